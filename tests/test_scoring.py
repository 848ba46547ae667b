"""What scores mean: explanations, p-values, what is known of the training rows, the measures."""

import math
from functools import cache
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import betabinom, kstest, spearmanr
from shared import (
    correlated_table,
    every,
    families,
    in_turn,
    kinds,
    lean,
    quick,
    turns,
    unless_long,
)
from sklearn.metrics import roc_auc_score
from torch.utils.data import TensorDataset

from sktae import (
    Autoencoder,
    AutoencoderEnsemble,
    VariationalAutoencoder,
    WindowedDetector,
    fit_many,
)
from sktae._engine.batches import TrainingSteps
from sktae._training import fit
from sktae.families.density import DensityAutoencoder
from sktae.randomness import hold_out

TABLE = correlated_table(1400, seed=1)
TRAIN, NEW, SD = TABLE[:1000], TABLE[1000:], TABLE.std(0)
COLUMN = np.arange(len(NEW)) % 8
CELL = np.arange(len(NEW)), COLUMN  # one of each row


def Ensemble(**params):
    """Make a small ensemble; its members take what it has no parameter for."""
    names = {"calibration", "contamination", "false_alarm_rate", "random_state"} & set(params)
    own = {"calibration": None, **{name: params.pop(name) for name in names}}
    return AutoencoderEnsemble(Autoencoder(**params), n_estimators=3, **own)


TRAINING_DATA = ["clean", "unknown", "contaminated"]
EVERY_KIND = [*kinds(), Ensemble]
every_kind = pytest.mark.parametrize("E", EVERY_KIND)
each_told = in_turn(E=EVERY_KIND, training_data=TRAINING_DATA)


@cache
def fitted(E, training_data="unknown"):
    how = {"training_data": training_data, "max_steps": unless_long(200, 500), "random_state": 0}
    return (E(**how) if E is Ensemble else lean(E, **how)).fit(TRAIN)


# -- explanations ----------------------------------------------------------------------------------


@every_kind
def test_explanations_add_up(E, X):
    """Rows sum to minus their scores, under the names of rows and columns, for any table."""
    frame = pd.DataFrame(X[:40], index=[f"row {i}" for i in range(40)], columns=list("abcdefgh"))
    for table in (frame, X[:60], X[:1], X[:60, :1], X[:60].astype(np.float32)):
        model = quick(E, max_steps=2).fit(table)
        found, scores = model.explain(table), model.score_samples(table)
        np.testing.assert_allclose(found.sum(axis=1), -scores, rtol=1e-9, atol=1e-9)
        columns = [f"x{i}" for i in range(table.shape[1])]
        expected = pd.DataFrame(found.to_numpy(), columns=columns) if table is not frame else frame
        assert found.index.equals(expected.index)
        assert found.columns.equals(expected.columns)


@every_kind
@pytest.mark.filterwarnings("error")
def test_explains_whatever_it_scores(E, X, tmp_path):
    """Frames, lists, read-only and reversed arrays, maps and Datasets, without a warning."""
    X = X[:60]
    model = quick(E, max_steps=2).fit(X)
    expected = model.explain(X).to_numpy()
    np.save(tmp_path / "X.npy", X)
    tables = [pd.DataFrame(X), X.tolist(), X[::-1].copy()[::-1], np.asfortranarray(X)]
    tables += [np.load(tmp_path / "X.npy", mmap_mode="r")]
    tables += [] if E is Ensemble else [TensorDataset(torch.tensor(X))]
    for table in tables:
        np.testing.assert_array_equal(model.explain(table).to_numpy(), expected)


@every_kind
def test_explanations_do_not_depend_on_other_rows(E, X, monkeypatch):
    """A row is explained alike among many, a few and none, however rows are cut into chunks."""
    model, order = quick(E, max_steps=2).fit(X), np.random.default_rng(0).permutation(len(X))
    whole = model.explain(X).to_numpy()
    for rows in (order, order[:37], order[:1]):
        np.testing.assert_array_equal(model.explain(X[rows]).to_numpy(), whole[rows])
    monkeypatch.setattr("sktae._outliers.explain._CHUNK_NUMBERS", 50 * 64)
    np.testing.assert_array_equal(model.explain(X).to_numpy(), whole)


def rank(model, rows, columns):
    """Count, for each row, the features that contribute more than this one."""
    found = model.explain(rows).to_numpy()
    return (found > np.take_along_axis(found, columns[:, None], 1)).sum(1)


@each_told
def test_explanations_find_the_culprit(E, training_data):
    """A feature far outside comes first; one that breaks correlations is among the first two.

    The latter has the value of another row, where that is more than a standard deviation from its
    own: elsewhere little is broken.
    """
    model, rng = fitted(E, training_data), np.random.default_rng(3)
    far, broken = NEW.copy(), NEW.copy()
    far[CELL] += 8 * SD[COLUMN] * rng.choice([-1, 1], len(NEW))
    assert (rank(model, far, COLUMN) == 0).mean() >= 0.95
    broken[CELL] = NEW[rng.permutation(len(NEW)), COLUMN]
    moved = abs(broken - NEW)[CELL] > SD[COLUMN]
    assert (rank(model, broken[moved], COLUMN[moved]) < 2).mean() >= 0.9


@pytest.mark.parametrize("method", ["elbo", "importance", "monte_carlo"])
def test_every_bound_is_explained(method):
    """A variational autoencoder's own scores are split up too."""
    model, far = quick(VariationalAutoencoder, score_method=method, max_steps=200), NEW.copy()
    far[CELL] += 8 * SD[COLUMN]
    scores = model.fit(TRAIN).score_samples(far)
    np.testing.assert_allclose(model.explain(far).sum(axis=1), -scores, rtol=1e-9)
    assert (rank(model, far, COLUMN) == 0).mean() >= 0.95


# -- p-values --------------------------------------------------------------------------------------


@each_told
def test_p_values_keep_their_word(E, training_data):
    """Of new normal rows a share of alpha has a p-value of alpha, within sampling error."""
    table = correlated_table(7000, seed=3)
    model = quick(E, calibration=0.3, training_data=training_data).fit(table[:2000])
    p, n = model.p_values(table[2000:]), 600
    assert len(model.calibration_scores_) == n
    assert 1 / (n + 1) <= p.min() <= p.max() <= 1
    for alpha in (0.01, 0.05, 0.1, 0.2):
        k = int(alpha * (n + 1))
        flagged = betabinom(5000, k, n + 1 - k)  # by n calibration rows that are drawn as well
        assert abs((p <= alpha).sum() - flagged.mean()) < 4 * flagged.std()
    assert kstest(p, "uniform").statistic < 2 * np.sqrt(1 / n + 1 / 5000)
    assert (model.p_values(table[:50] + 50 * table.std(0)) == 1 / (n + 1)).all()


@pytest.mark.parametrize("E", [Autoencoder, Ensemble])
def test_predictions_agree_with_p_values(E):
    """Exactly the rows with p-values up to `false_alarm_rate` are outliers, or the least possible.

    `contamination` is a share of the training rows all the same.
    """
    table = correlated_table(300, seed=3)
    for n, how in ((20, 0.5), (38, "cross"), (99, "cross"), (200, 0.5)):
        for rate in (0.1, 0.3, 0.35, 0.01):
            model = quick(E, max_steps=2, calibration=how, false_alarm_rate=rate)
            p = model.fit(table[:n]).p_values(table)
            alpha = max(rate, 1 / (len(model.calibration_scores_) + 1))
            np.testing.assert_array_equal(model.predict(table) == -1, p <= alpha)
        model.set_params(contamination=0.25, calibration="cross").fit(table[:n])
        assert (model.predict(table[:n]) == -1).mean() == pytest.approx(0.25, abs=1 / n)


@every_kind
def test_p_values_need_rows_held_out(E, X):
    """Without any, what to do about it is said; a pass over a chunk holds out none."""
    models = [quick(E, max_steps=2).fit(X)]
    if E is not Ensemble:
        models += [quick(E, calibration=0.3).partial_fit(X)]
        assert models[1].n_iter_ == math.ceil(600 / models[1].batch_size)  # all 600 rows
    for model in models:
        assert model.calibration_scores_ is None
        with pytest.raises(ValueError, match=r"set calibration of .* to 0.2, say"):
            model.p_values(X)


@each_told
def test_held_out_rows_teach_nothing(E, training_data, X):
    """Whatever they are, weights, scales and all scores stay the same, but for the threshold."""
    _, held_out = hold_out("calibration", len(X), 0.25, 0, "calibrate")
    changed = X.copy()
    how = {"training_data": training_data, "early_stopping": training_data != "unknown"}
    changed[held_out] = 100 + 50 * changed[held_out]
    how |= {"calibration": 0.25, "max_steps": 5}
    pair = [quick(E, **how).fit(table) for table in (X, changed)]
    for method in ("transform", "reconstruct", "score_samples", "explain"):
        np.testing.assert_array_equal(*(getattr(model, method)(X) for model in pair))
    np.testing.assert_array_equal(*(model._inputs.scale for model in pair))
    networks = [getattr(model, "estimators_", [model])[0].net_.module_ for model in pair]
    for weights in zip(*(network.parameters() for network in networks), strict=True):
        assert torch.equal(*weights)
    scores = np.sort(pair[0].score_samples(X[held_out]))
    np.testing.assert_array_equal(pair[0].calibration_scores_, scores)
    assert pair[1].calibration_scores_.max() < scores.min()


@pytest.mark.parametrize("how", [{}, {"early_stopping": True}, {"training_data": "contaminated"}])
def test_rows_are_held_out_of_any_source(how, X, tmp_path):
    """Maps and Datasets give the p-values of an array; so do many fits at once."""
    how = {**how, "calibration": 0.3}
    np.save(tmp_path / "X.npy", X)
    alone = [quick(random_state=seed, **how).fit(X) for seed in range(3)]
    for rows in (np.load(tmp_path / "X.npy", mmap_mode="r"), TensorDataset(torch.tensor(X))):
        p = quick(**how).fit(rows).p_values(rows)
        np.testing.assert_array_equal(p, alone[0].p_values(X))
    many = fit_many([quick(random_state=seed, **how) for seed in range(3)], [X] * 3)
    for pair in zip(many, alone, strict=True):
        scores = [model.calibration_scores_ for model in pair]
        np.testing.assert_allclose(*scores, rtol=0.01, atol=0.01)


@pytest.mark.parametrize(
    ("make", "change"),
    [
        (lambda: quick(calibration=0.2), {"score_method": "error"}),
        (lambda: AutoencoderEnsemble(quick(), n_estimators=2), {"aggregation": "max"}),
        (lambda: WindowedDetector(quick(), window_size=9), {"aggregation": "mean"}),
    ],
    ids=["autoencoder", "ensemble", "series"],
)
def test_thresholds_are_of_one_kind_of_score(make, change, X):
    """Scores of another kind than in the fit are given, but set against no threshold."""
    model = make().fit(X)
    labels = model.predict(X)
    (name,) = change
    before = getattr(model, name)
    assert np.isfinite(model.set_params(**change).score_samples(X)).all()
    for method in ("decision_function", "predict", "p_values"):
        if method == "p_values" and model.calibration_scores_ is None:
            continue
        with pytest.raises(ValueError, match=f"{name} of .* is '.*' now, but .* fit again"):
            getattr(model, method)(X)
    np.testing.assert_array_equal(model.set_params(**{name: before}).predict(X), labels)


@pytest.mark.parametrize("n_rows", [100, 600, 3000])
@pytest.mark.parametrize("training_data", ["clean", "unknown", "contaminated"])
def test_contamination_is_a_share_of_the_training_rows(training_data, n_rows):
    """Asked for 30 % of the rows, `fit_predict` flags 30 % of them, whatever is said of them."""
    rows = correlated_table(n_rows)
    model = quick(training_data=training_data, contamination=0.3)
    assert (model.fit_predict(rows) == -1).mean() == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize(
    ("contamination", "n_judged"), [(0.1, 500), (0.02, 1000), (0.001, 2000), ("auto", 2000)]
)
def test_long_tables_are_judged_in_part(contamination, n_judged, monkeypatch):
    """The threshold is that of some rows, of which enough are outliers, evenly spaced."""
    for name, n in (("_THRESHOLD_ROWS", 500), ("_BELOW", 20), ("_MOST_ROWS", 2000)):
        monkeypatch.setattr(fit, name, n)
    model = quick(contamination=contamination, calibration=None, max_steps=3)
    table = correlated_table(4000)
    model.fit(table)
    scores, share = model.score_samples(table), contamination
    share = model.false_alarm_rate if share == "auto" else share
    some = scores[:: len(table) // n_judged]
    np.testing.assert_allclose(model.offset_, np.quantile(some, share), rtol=1e-6)


@pytest.mark.parametrize("random_state", [0, None, np.random.RandomState(0)], ids=type)
def test_a_warm_start_holds_out_the_same_rows(random_state, X):
    """What one fit has learnt from cannot judge the next."""
    model = quick(calibration=0.3, warm_start=True, random_state=random_state)
    before = model.fit(X).calibration_scores_
    model.set_params(learning_rate=1e-12).fit(X)  # the same network, that is
    np.testing.assert_allclose(model.calibration_scores_, before, rtol=1e-3, atol=1e-3)


# -- what is known of the training rows ------------------------------------------------------------


def contaminated(kind, share, far, n=800):
    """Return rows of which a share are some standard deviations away, and which."""
    X, rng = correlated_table(n, seed=2), np.random.default_rng(0)
    outlier = rng.permutation(np.arange(n) < share * n)
    shape, sd = X[outlier].shape, X.std(0)
    if kind == "scattered":
        X[outlier] += far * sd * rng.choice([-1, 1], shape)
    else:
        spread = {"wide": 0.5 * X[outlier], "tight": 0.05 * rng.normal(size=shape)}[kind]
        X[outlier] = far * sd * rng.choice([-1, 1], 8) + spread
    return X, outlier


CROWDS = [("wide", 0.15, 4), ("tight", 0.15, 5)]


@in_turn(E=families(), crowd=CROWDS)
def test_crowds_of_outliers_are_found(E, crowd):
    """A cluster is reproduced like the rest, but found if one says that there are outliers."""
    X, outlier = contaminated(*crowd)
    how = {"max_steps": unless_long(150, 500)}
    pair = [lean(E, training_data=known, **how) for known in ("clean", "contaminated")]
    clean, told = (roc_auc_score(outlier, -model.fit(X).score_samples(X)) for model in pair)
    assert clean < 0.9
    assert told >= 0.95


@pytest.mark.parametrize("E", families())
def test_gross_outliers_hardly_move_scores(E):
    """Rows rank alike whether a fifth of the training rows are far away or not there."""
    X, outlier = contaminated("scattered", 0.2, 20)
    models = [
        quick(E, training_data="contaminated", max_steps=unless_long(80, 200)) for _ in range(2)
    ]
    pair = [model.fit(rows) for model, rows in zip(models, (X, X[~outlier]), strict=True)]
    new = correlated_table(800, seed=2)[:400]  # what normal rows were, each a little off
    new[CELL] += SD[COLUMN] * np.random.default_rng(1).normal(size=len(new))
    assert spearmanr(*(model.score_samples(new) for model in pair))[0] > 0.9
    assert roc_auc_score(outlier, -pair[0].score_samples(X)) > 0.99


@pytest.mark.parametrize("crowd", CROWDS)
@pytest.mark.parametrize("how", [{}, {"early_stopping": True}, {"calibration": 0.2}])
def test_outliers_are_not_trained_on(crowd, how, monkeypatch):
    """Of contaminated rows, training and the scales of columns take central ones only."""
    (X, outlier), taken = contaminated(*crowd), []

    class Spy(TrainingSteps):
        def __init__(self, x, *args):
            taken.extend(map(bytes, x.load().x.numpy()))
            super().__init__(x, *args)

    monkeypatch.setattr("sktae._training.budget.TrainingSteps", Spy)
    inputs = quick(training_data="contaminated", **how).fit(X)._inputs
    rows = np.array([bytes(row) for row in inputs.to_tensor(torch.tensor(X)).numpy()])
    assert set(taken) < set(rows[~outlier])
    np.testing.assert_allclose(inputs.mean, X[~outlier].mean(0), atol=0.1 * SD.max())
    np.testing.assert_allclose(inputs.scale, X[~outlier].std(0), rtol=0.2)


@in_turn(E=families(), training_data=TRAINING_DATA)
def test_odd_tables_have_scores(E, training_data):
    """Few rows, many columns, constant ones and repeated rows give finite float64 scores."""
    rng = np.random.default_rng(0)
    shapes = [(1, 4), (2, 4), (3, 4), (5, 4), (20, 300), (30, 1500), (50, 1), (1, 1)]
    tables = [rng.normal(size=shape) for shape in shapes]
    tables += [np.ones((20, 3)), np.column_stack([rng.normal(size=(60, 3)), np.full(60, 7.0)])]
    tables += [np.repeat(rng.normal(size=(4, 3)), 15, axis=0), np.eye(3)[[0] * 57 + [0, 1, 2]]]
    for table in tables:
        model = quick(E, training_data=training_data, max_steps=2).fit(table)
        scores = model.score_samples(np.vstack([table, table + 100, table + 1e200]))
        assert scores.dtype == np.float64
        assert np.isfinite(scores).all()
        usual, far, beyond = scores.reshape(3, -1)
        assert usual.min() > far.max() >= far.min() > beyond.max()


@every
def test_bad_values_are_refused(E, X):
    """Both parameters are checked at the fit, and the method, which may change, at each score."""
    for name in ("training_data", "score_method"):
        with pytest.raises(ValueError, match=f"The '{name}' parameter of {E.__name__} must be"):
            quick(E, **{name: "dirty"}).fit(X)
    model = quick(E, max_steps=1).fit(X).set_params(score_method="dirty")
    for method in (model.score_samples, model.predict, model.explain):
        with pytest.raises(ValueError, match=f"The 'score_method' parameter of {E.__name__}"):
            method(X)


# -- methods ---------------------------------------------------------------------------------------


@in_turn(E=kinds(), training_data=TRAINING_DATA)
def test_methods(E, training_data, X):
    """Methods rank differently, may change after the fit, and are what they are called."""
    model, own = fitted(E, training_data), "elbo" if issubclass(E, DensityAutoencoder) else "error"
    methods = (own, "residual", "distance", "combined")
    scores = {s: model.set_params(score_method=s).score_samples(NEW) for s in methods}
    assert len({tuple(found.argsort()) for found in scores.values()}) == 4
    np.testing.assert_allclose(scores["combined"], scores["residual"] + scores["distance"])
    if own == "error":
        error = (NEW - model.reconstruct(NEW)) / model._inputs.scale
        np.testing.assert_allclose(scores["error"], -(error**2).mean(1), rtol=1e-3)
    early, late = (quick(E, max_steps=2, score_method=s).fit(X) for s in ("residual", own))
    late.set_params(score_method="residual")
    np.testing.assert_array_equal(early.score_samples(X), late.score_samples(X))


@pytest.mark.parametrize(
    ("E", "training_data"),
    dict.fromkeys([*product([Autoencoder], TRAINING_DATA), *turns(kinds(), TRAINING_DATA)]),
)
def test_rows_do_not_see_each_other(E, training_data):
    """Scores are the same bits in any company, for odd numbers of rows and columns."""
    order = np.random.default_rng(0).permutation(300)
    widths, numbers = (1, 3, 16, 33), (17, 100, 333, 1029)
    sizes = product(widths, numbers) if E is Autoencoder else turns(widths, numbers)
    for d, n in sizes:
        new = correlated_table(300, d, seed=5)
        model = quick(E, training_data=training_data, max_steps=1).fit(correlated_table(n, d))
        whole = model.score_samples(new)
        for rows in (order, order[:1]):
            np.testing.assert_array_equal(model.score_samples(new[rows]), whole[rows])
