"""A fit that fails or is interrupted leaves an estimator exactly as it was."""

import pickle
import signal
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from shared import correlated_table, quick
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest

import sktae
from sktae import (
    Autoencoder,
    AutoencoderEnsemble,
    CategoricalAutoencoder,
    StackedGridSearchCV,
    WindowedDetector,
    fit_many,
)

PACKAGE = str(Path(sktae.__file__).parent)
X = correlated_table(200)
FRAME = pd.DataFrame(X[::-1] * 2, columns=list("abcdefgh"))


class Interrupter:
    """Sends Ctrl-C before a line of sktae runs, counting the lines that do; never at 0."""

    def __init__(self, at=0, functions=None):
        self.at, self.functions, self.n_lines = at, functions, 0

    def trace(self, frame, event, arg):
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line" and (not self.functions or frame.f_code.co_name in self.functions):
            self.n_lines += 1
            if self.n_lines == self.at:
                signal.raise_signal(signal.SIGINT)
        return self.trace

    def run(self, function):
        tracer = sys.gettrace()
        sys.settrace(self.trace)
        try:
            function()
        finally:
            sys.settrace(tracer)


@pytest.fixture(autouse=True)
def ctrl_c():
    """Let Ctrl-C interrupt, also where a shell has started the tests with it ignored."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


# Where the state of a fit is handed over.
HANDING_OVER = {"_train", "_with", "_install", "_after_fit", "_installed", "finish", "fit"}


def few(E=Autoencoder, **params):
    """Make an estimator with few steps, since each line of a fit is traced."""
    return quick(E, max_steps=5, **params)


def forest():
    return IsolationForest(n_estimators=3, random_state=0)


def search():
    return StackedGridSearchCV(few(), {"n_components": [1, 2]}, cv=2)


def series(estimator=None):
    default = few(training_data="clean")
    return WindowedDetector(estimator or default, window_size=10, random_state=0)


# What is fitted first, and what is then interrupted.
CASES = {
    "fit": (lambda: [few(CategoricalAutoencoder).fit(X)], lambda m: m.fit(FRAME)),
    "first fit": (lambda: [few(calibration=0.2)], lambda m: m.fit(FRAME)),
    "warm start": (lambda: [few(warm_start=True).fit(X)], lambda m: m.fit(X[:100])),
    "partial_fit": (lambda: [few().partial_fit(X)], lambda m: m.partial_fit(X[:100] + 1)),
    "fit_many": (
        lambda: [few(random_state=n).fit(X) for n in range(3)] + [forest().fit(X)],
        lambda *models: fit_many(models, [FRAME] * 4),
    ),
    "ensemble": (
        lambda: [AutoencoderEnsemble(few(), n_estimators=2, random_state=0).fit(X)],
        lambda m: m.fit(FRAME),
    ),
    "search": (lambda: [search().fit(X)], lambda m: m.fit(FRAME)),
    "series": (lambda: [series().fit(X)], lambda m: m.fit(FRAME)),
    "series in chunks": (
        lambda: [series().partial_fit(X)],
        lambda m: m.partial_fit(X[:50] + 1),
    ),
    "series with PCA": (lambda: [series(PCA(2)).fit(X)], lambda m: m.fit(FRAME)),
}


def state(model):
    """Return what a model answers, and what attributes it has."""
    if not hasattr(model, "offset_") and not hasattr(model, "cv_results_"):
        return sorted(vars(model))
    names = [n for n in ("score_samples", "transform", "predict") if hasattr(model, n)]
    return sorted(vars(model)), [getattr(model, name)(X[:50]).tolist() for name in names]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore:All training rows have the same score:UserWarning")
def test_an_interruption_changes_nothing(case, pytestconfig):
    """Wherever Ctrl-C comes, a fit is either whole or never was: of all models or of none."""
    make, work = CASES[case]
    pickled = pickle.dumps(make())
    before = [state(model) for model in pickle.loads(pickled)]
    fitted = pickle.loads(pickled)
    work(*fitted)
    after = [state(model) for model in fitted]
    assert after != before
    n_places = 30 if pytestconfig.getoption("--long", default=False) else 2
    rng, n_interrupted = np.random.default_rng(0), 0
    for functions in (None, HANDING_OVER):
        whole = Interrupter(functions=functions)
        whole.run(lambda: work(*pickle.loads(pickled)))
        # What is done once in a process makes later runs shorter, so that a place may not be met.
        for place in rng.integers(1, whole.n_lines + 1, n_places):
            models = pickle.loads(pickled)
            interrupter = Interrupter(place, functions)
            try:
                interrupter.run(lambda models=models: work(*models))
            except KeyboardInterrupt:
                n_interrupted += 1
                # Complete where only its return was left.
                assert [state(model) for model in models] in (before, after), place
            else:
                assert interrupter.n_lines < place
    assert n_interrupted > n_places


def test_a_fit_that_fails_late_changes_nothing(monkeypatch):
    """So does an error after the network is trained."""
    model = few(CategoricalAutoencoder).fit(X)
    before = state(model), model.labels_.tolist()

    def fail(self, X):
        raise RuntimeError("late")

    monkeypatch.setattr(CategoricalAutoencoder, "_after_fit", fail)
    with pytest.raises(RuntimeError, match="late"):
        model.fit(FRAME)
    assert (state(model), model.labels_.tolist()) == before


def test_a_snapshot_is_what_a_fit_leaves(X):
    """Callbacks see an estimator with the attributes of a fitted one, and no others."""
    sklearn_callback = pytest.importorskip("sklearn.callback")
    seen = []

    class Watch:
        def setup(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context, *, fitted_estimator):
            seen.append(set(vars(fitted_estimator)))

        def teardown(self, estimator, context):
            pass

    assert sklearn_callback
    model = Autoencoder(max_steps=3, random_state=0).set_callbacks(Watch()).fit(X)
    own = [{n for n in names if n.endswith("_") or n.startswith("_fit")} for names in seen]
    assert seen
    assert all(names <= set(vars(model)) for names in own)
