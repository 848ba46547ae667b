"""Files of models: what goes in comes out, nothing else does, and no file can do harm."""

import functools
import json
import pickle
import re
import signal
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import save_file
from shared import families, quick, unless_long
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.discovery import all_estimators as all_of_scikit_learn
from skorch.callbacks import LRScheduler

from sktae import (
    Autoencoder,
    AutoencoderEnsemble,
    AutoencoderImputer,
    AutoencoderNet,
    DenoisingAutoencoder,
    WindowedDetector,
    all_estimators,
    load,
    save,
)
from sktae._files import container
from sktae._files.scikit_learn import ALLOWED, class_of

SAMPLES = Path(__file__).parent / "files"
SMALL = {"hidden_layer_sizes": (4,), "max_steps": 2, "random_state": 0}


def mixed_table(n=60):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "number": rng.normal(size=n),
            "integer": pd.array(rng.integers(9, size=n), dtype="Int64"),
            "category": pd.Categorical(rng.choice(["x", "y"], n), ordered=True),
            "text": pd.array(rng.choice(["u", "v", "w"], n), dtype="string"),
            "boolean": rng.random(n) < 0.5,
        }
    )
    table.loc[::7, "number"] = np.nan
    return table


def again(model, path):
    save(model, path)
    return load(path)


@pytest.mark.parametrize("E", all_estimators())
def test_models_go_through_files_and_pickles(E, X, tmp_path):
    """They give the same bits, have the same attributes, and go on training alike."""
    X = X[:100]
    model = quick(E, max_steps=2, calibration=0.3).fit(X)
    skops = pytest.importorskip("skops.io", reason="skops is optional")
    skops.dump(model, tmp_path / "skops")
    untrusted = skops.get_untrusted_types(file=tmp_path / "skops")
    assert all(name.startswith("sktae.") for name in untrusted)
    copies = [
        again(model, tmp_path / "model.sktae"),
        pickle.loads(pickle.dumps(model)),
        skops.load(tmp_path / "skops", trusted=untrusted),
    ]
    codes, scores = model.transform(X), model.score_samples(X)
    later = pickle.loads(pickle.dumps(model)).partial_fit(X).score_samples(X)
    for other in copies:
        assert vars(other).keys() == vars(model).keys()
        assert np.array_equal(other.transform(X), codes)
        assert np.array_equal(other.score_samples(X), scores)
        assert other.history_.equals(model.history_)
        assert np.array_equal(other.partial_fit(X).score_samples(X), later)


def others(X):
    series = np.cumsum(np.random.default_rng(0).normal(size=(300, 2)), 0)
    table = mixed_table()
    numbers, rest = make_column_selector(dtype_include="number"), ["category", "text"]
    encoded = ColumnTransformer(
        [
            ("numbers", make_pipeline(AutoencoderImputer(), StandardScaler()), numbers),
            ("ones", class_of("sklearn.preprocessing", "OneHotEncoder")(), rest),
        ],
        remainder="passthrough",
    )
    sgd = AutoencoderNet(optimizer=torch.optim.SGD, optimizer__momentum=0.5)
    union = FeatureUnion([("pca", PCA(2)), ("codes", Autoencoder(2, **SMALL))])
    return {
        "missing values": (DenoisingAutoencoder(**SMALL), table),
        "calibrated": (Autoencoder(calibration=0.2, **SMALL), X),
        "another optimizer": (Autoencoder(net=sgd, **SMALL), X),
        "frozen": (
            Autoencoder(
                init_from=FrozenEstimator(Autoencoder(**SMALL).fit(X)), trainable="head", **SMALL
            ),
            X,
        ),
        "a random state": (Autoencoder(random_state=np.random.RandomState(0), max_steps=2), X),
        "ensemble": (AutoencoderEnsemble(Autoencoder(**SMALL), n_estimators=2), table),
        "detector": (WindowedDetector(Autoencoder(**SMALL), window_size=9), series),
        "detector of another kind": (WindowedDetector(PCA(2), window_size=9), series),
        "imputer": (AutoencoderImputer(DenoisingAutoencoder(**SMALL)), table),
        "pipeline": (make_pipeline(encoded, Autoencoder(**SMALL)), table),
        "union": (make_pipeline(union, LogisticRegression()), X),
    }


@pytest.mark.parametrize("kind", others(np.zeros((9, 2))))
def test_other_estimators_go_through_files(kind, X, tmp_path):
    """Ensembles, detectors, pipelines, tables of all kinds: all results are the same."""
    model, data = others(X[:100])[kind]
    model.fit(data, np.arange(len(data)) % 2)
    other = again(model, tmp_path / "model.sktae")
    methods = ("transform", "predict", "score_samples", "p_values", "impute", "explain")
    for method in filter(lambda name: hasattr(model, name), methods):
        if method == "p_values" and model.calibration_scores_ is None:
            continue
        ours, its = getattr(model, method)(data), getattr(other, method)(data)
        assert ours.equals(its) if hasattr(ours, "equals") else np.array_equal(ours, its), method
    if hasattr(model, "score_next"):
        assert np.array_equal(model.score_next(data[:50]), other.score_next(data[:50]))
        other = again(model, tmp_path / "stream.sktae")  # in the middle of a stream
        rest = [m.score_next(data[50:], last=True) for m in (model, other)]
        assert np.array_equal(*rest)
    if kind == "detector":
        model.partial_fit(data[:5])
        other = again(other.partial_fit(data[:5]), tmp_path / "x")  # while rows wait for a window
        both = [m.partial_fit(data[5:60]).score_samples(data) for m in (model, other)]
        assert np.array_equal(*both)


def test_types_of_python_go_through_files(tmp_path):
    """As they select the columns of a transformer."""
    floats = make_column_selector(dtype_include=float)
    model = ColumnTransformer([("floats", StandardScaler(), floats)]).fit(mixed_table())
    other = again(model, tmp_path / "model.sktae")
    assert other.transformers[0][2].dtype_include is float


def test_tables_of_polars_go_through_files(tmp_path):
    """Dtypes of polars come back."""
    polars = pytest.importorskip("polars", reason="polars is optional")
    table = polars.DataFrame(
        {
            "number": np.arange(40.0),
            "enum": polars.Series(["u", "v"] * 20, dtype=polars.Enum(["u", "v", "w"])),
            "category": polars.Series(["x", "y"] * 20, dtype=polars.Categorical),
            "text": ["a", "b"] * 20,
            "boolean": [True, False] * 20,
        }
    )
    model = Autoencoder(**SMALL).fit(table)
    other = again(model, tmp_path / "model.sktae")
    assert other.impute(table).schema == model.impute(table).schema


@pytest.mark.parametrize("name", [f"{p}.{n}" for p, names in ALLOWED.items() for n in names])
def test_steps_of_scikit_learn_go_through_files(name, X, tmp_path):
    """Each class in the list is saved, and gives the same results when it is loaded."""
    package, _, own = name.rpartition(".")
    known = {n for n, _ in all_of_scikit_learn()} | {"FrozenEstimator", "make_column_selector"}
    assert own in known
    if own in ("Pipeline", "FeatureUnion", "ColumnTransformer", "make_column_selector"):
        return  # in the test of other estimators
    cls, X, y = class_of(package, own), abs(X[:80]), np.arange(80) % 2
    model = cls(StandardScaler().fit(X)) if own == "FrozenEstimator" else cls()
    X = y if own == "LabelEncoder" else X
    model.fit(*((y,) if own == "LabelEncoder" else (X, y)))
    other, method = again(model, tmp_path / "x"), "transform"
    method = method if hasattr(model, method) else "predict"
    ours, its = getattr(model, method)(X), getattr(other, method)(X)
    assert np.array_equal(*(v.toarray() if hasattr(v, "toarray") else v for v in (ours, its)))


def test_files_open_in_another_process(X, tmp_path):
    """A file of each family gives the same bits there."""
    for E in families():
        model = E(max_steps=2, random_state=0).fit(X[:50])
        save(model, tmp_path / f"{E.__name__}.sktae")
        np.save(tmp_path / f"{E.__name__}.npy", model.score_samples(X[:50]))
    np.save(tmp_path / "X", X[:50])
    code = (
        "import sys, pathlib, numpy as np, sktae\n"
        "here = pathlib.Path(sys.argv[1])\n"
        "for path in here.glob('*.sktae'):\n"
        "    scores = sktae.load(path).score_samples(np.load(here / 'X.npy'))\n"
        "    assert np.array_equal(scores, np.load(path.with_suffix('.npy'))), path\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


def test_pickles_of_other_libraries(X):
    """joblib and cloudpickle; a model of a GPU opens on a CPU."""
    model = Autoencoder(**SMALL).fit(X)
    scores = model.score_samples(X)
    cloudpickle = pytest.importorskip("cloudpickle", reason="cloudpickle is optional")
    other = pickle.loads(cloudpickle.dumps(model))
    assert np.array_equal(other.score_samples(X), scores)
    model._fitted.params["device"] = "cuda"
    if not torch.cuda.is_available():
        assert pickle.loads(pickle.dumps(model)).net_.device == "cpu"


def test_parameters_may_change_after_the_fit(X, tmp_path):
    """What is loaded is the fit, with the parameters that the estimator has now."""
    model = Autoencoder(3, **SMALL).fit(X).set_params(n_components=5, activation="tanh")
    model.offset_ = -7.0
    other = again(model, tmp_path / "x")
    assert other.get_params() == model.get_params()
    assert other.offset_ == -7
    assert np.array_equal(other.transform(X), model.transform(X))


class Own(Autoencoder):
    """A user's class."""


def test_own_classes_must_be_trusted(X, tmp_path):
    """A file names the class that it needs."""
    path = tmp_path / "own.sktae"
    save(Own(**SMALL).fit(X), path)
    with pytest.raises(ValueError, match=r"objects of test_persistence\.Own: pass these classes"):
        load(path)
    assert type(load(path, trusted=[Own])) is Own
    with pytest.raises(TypeError, match="trusted must be a list of classes"):
        load(path, trusted=Own)


def with_a_set(X):
    model = Autoencoder(**SMALL).fit(X)
    model.note = {1}
    return model


REFUSED = {
    "best_estimator_": lambda X: GridSearchCV(Autoencoder(**SMALL), {"patience": [2]}, cv=2).fit(X),
    r"steps\[0\]\['log'\].*lambda.*apply it to the rows before": lambda X: Pipeline(
        [("log", FunctionTransformer(lambda X: np.log(abs(X)))), ("pca", PCA(2))]
    ).fit(X),
    r"\['functiontransformer'\].*ufunc.*Files hold no functions": lambda X: make_pipeline(
        FunctionTransformer(np.abs), PCA(2)
    ).fit(X),
    "IsolationForest": lambda X: make_pipeline(PCA(2), IsolationForest(n_estimators=2)).fit(X),
    "LRScheduler": lambda X: Autoencoder(
        schedule="constant", net=AutoencoderNet(callbacks=[LRScheduler()]), **SMALL
    ).fit(X),
    r"Autoencoder\.note.*builtins\.set": with_a_set,
    "not fitted": lambda X: Autoencoder(),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_files_cannot_hold_is_named(words, X, tmp_path):
    """A sentence, and no file."""
    with pytest.raises((TypeError, ValueError), match=words):
        save(REFUSED[words](X), tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_a_file_is_written_whole_or_not_at_all(X, tmp_path, monkeypatch):
    """An error, or Ctrl-C, while a file is written leaves the one that was there."""
    path, model = tmp_path / "model.sktae", Autoencoder(**SMALL).fit(X)
    save(model, path)
    before = path.read_bytes()

    def interrupted(arrays, name, metadata):
        Path(name).write_bytes(b"half")
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(container, "save_file", interrupted)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            save(model, path)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert [*tmp_path.iterdir()] == [path]
    assert path.read_bytes() == before
    with pytest.raises(FileNotFoundError, match="no folder' does not exist: make it first"):
        save(model, tmp_path / "no folder" / "x")
    with pytest.raises(IsADirectoryError, match="is no file, so no file can take its place"):
        save(model, tmp_path)


# -- hostile files -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return a small file, its description and its arrays, and rows with their scores."""
    path = tmp_path_factory.mktemp("files") / "model.sktae"
    X = np.random.default_rng(0).normal(size=(30, 3))
    model = Autoencoder(2, hidden_layer_sizes=(3,), max_steps=2, random_state=0).fit(X)
    save(model, path)
    return path, *container.read(path), X, model.score_samples(X)


def edits(description):
    """Return descriptions with one mistake each."""
    text = json.dumps(description)
    estimator = description["estimator"]
    state = estimator["state"]
    return {
        "another format": {**description, "format": 2},
        "no format": {k: v for k, v in description.items() if k != "format"},
        "a format of words": {**description, "format": "1"},
        "an unknown entry": {**description, "more": 1},
        "no estimator": {**description, "estimator": [1]},
        "an unknown kind": {**description, "estimator": {"kind": "code", "value": "1"}},
        "an unknown class": {**description, "estimator": {**estimator, "class": "os.system"}},
        "another class": {**description, "estimator": {**estimator, "class": "Spec"}},
        "an unknown field": {**description, "estimator": {**estimator, "more": 1}},
        "a method": {
            **description,
            "estimator": {**estimator, "state": {**state, "fit": 1}},
        },
        "a parameter that none can have": {
            **description,
            "estimator": {**estimator, "state": {**state, "verbose": [1, 2]}},
        },
        "no checks": {**description, "checks": []},
        "other sizes": json.loads(text.replace('"widths": ', '"width": ')),
        "a large code": json.loads(text.replace('"n_components": 2', '"n_components": 99999999')),
        "nested": {**description, "estimator": functools.reduce(lambda v, _: [v], range(300), 1)},
    }


@pytest.mark.parametrize("mistake", sorted(edits({"estimator": {"state": {}}})))
def test_mistakes_in_descriptions_are_refused(mistake, written, tmp_path):
    """Even where all hashes are right."""
    _, text, arrays, *_ = written
    edited = edits(json.loads(text))[mistake]
    if edited == json.loads(text):
        pytest.fail("the edit did nothing")
    container.write(tmp_path / "x", json.dumps(edited), arrays)
    with pytest.raises(ValueError, match=r"is damaged|reads formats up to 1"):
        load(tmp_path / "x")


@pytest.mark.parametrize("E", [Autoencoder, WindowedDetector])
def test_everything_that_a_fit_learns_is_needed(E, X, tmp_path):
    """No attribute may be left out of a file, also if the scores that are checked do without."""
    model = E(random_state=0) if E is WindowedDetector else E(**SMALL)
    save(model.fit(X), tmp_path / "x")
    text, arrays = container.read(tmp_path / "x")
    description = json.loads(text)
    state = description["estimator"]["state"]
    learned = state.keys() - model.get_params()
    assert learned
    for name in learned:
        fewer = {k: v for k, v in state.items() if k != name}
        description["estimator"]["state"] = fewer
        container.write(tmp_path / "x", json.dumps(description), arrays)
        with pytest.raises(ValueError, match="is damaged"):
            load(tmp_path / "x")


def test_other_files_are_refused(written, tmp_path):
    """Pickles, other safetensors, parts of files, text, nothing at all; what they are is said."""
    path, text, arrays, *_ = written
    content = path.read_bytes()
    save_file({"x": np.zeros(3)}, tmp_path / "safetensors")
    joblib.dump(Autoencoder(), tmp_path / "joblib")
    for name in ("zlib", "gzip", "bz2", "xz", "lzma"):
        joblib.dump(Autoencoder(), tmp_path / name, compress=name)
    torch.save({"x": torch.zeros(3)}, tmp_path / "torch")
    container.write(tmp_path / "more arrays", text, {**arrays, "more": np.zeros(3)})
    fewer = dict(list(arrays.items())[1:])
    container.write(tmp_path / "fewer arrays", text, fewer)
    (tmp_path / "half").write_bytes(content[: len(content) // 2])
    (tmp_path / "longer").write_bytes(content + b"more")
    (tmp_path / "header of 2^60 bytes").write_bytes(b"\0" * 7 + b"\x10" + content[8:])
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text").write_text("../../etc/passwd")
    (tmp_path / "onnx").write_bytes(b"\x08\n\x12\x07pytorch\x1a\n2.13.0+cpu:")
    compressed = "It looks like a compressed pickle, as of joblib, which load never opens"
    looks = {
        "joblib": "It looks like a pickle, which load never opens, since it can run code",
        **dict.fromkeys(("zlib", "gzip", "bz2", "xz", "lzma"), compressed),
        "torch": "It looks like a zip archive",
        "onnx": "It looks like a graph of ONNX",
        "empty": "It is empty",
        "safetensors": "It looks like safetensors, but of another library",
        "half": "It looks like safetensors, but of another library, or damaged",
        "text": r"damaged \(.*\)\.$",
    }
    for file in list(tmp_path.iterdir()):
        with pytest.raises(ValueError, match="damaged") as error:
            load(file)
        assert re.search(looks.get(file.name, ""), str(error.value)), (file.name, error.value)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing")
    with pytest.raises(IsADirectoryError):
        load(tmp_path)


def test_paths_of_any_kind(X, tmp_path, monkeypatch):
    """Strings, bytes and paths work; an empty one is a sentence."""
    monkeypatch.chdir(tmp_path)
    model = Autoencoder(**SMALL).fit(X)
    for path in ("model", b"model", Path("model")):
        save(model, path)
        assert load(path).offset_ == model.offset_
    assert [*tmp_path.iterdir()] == [tmp_path / "model"]
    for call in (lambda: save(model, ""), lambda: load(b"")):
        with pytest.raises(ValueError, match="The path is empty: name a file"):
            call()
    with pytest.raises(ValueError, match="checkpoint_dir='' of Autoencoder is empty: name a"):
        model.set_params(checkpoint_dir="").fit(X)


def mutate(text, arrays, rng):
    """Return a description and arrays with one change."""
    if rng.random() < 0.3:
        arrays = {name: array.copy() for name, array in arrays.items()}
        array = arrays[rng.choice(sorted(name for name in arrays if arrays[name].nbytes))]
        raw = array.reshape(-1).view(np.uint8)
        raw[rng.integers(len(raw))] ^= 1 << rng.integers(8)
        return text, arrays
    start = rng.integers(len(text))
    end = start + rng.integers(4)
    new = rng.choice(["", "9", "-", "null", "1e9", '"', "[", "}", "true", text[end : end + 9]])
    return text[:start] + str(new) + text[end:], arrays


@pytest.mark.parametrize("hashed", [False, True], ids=["hash as before", "hash made again"])
def test_mutated_files_do_no_harm(hashed, written, tmp_path):
    """They are refused by a sentence; with a new hash they may be another model, a working one."""
    path, text, arrays, X, _ = written
    content, target = path.read_bytes(), tmp_path / "x"
    rng = np.random.default_rng(0)
    n_refused, n = 0, unless_long(200, 20_000)
    for _ in range(n):
        if hashed:
            container.write(target, *mutate(text, arrays, rng))
        else:
            mutated = bytearray(content)
            mutated[rng.integers(len(mutated))] ^= 1 << rng.integers(8)
            target.write_bytes(mutated)
        try:
            model = load(target)
        except ValueError:
            n_refused += 1
            continue
        assert hashed
        try:
            assert np.isfinite(model.score_samples(X)).all()
        except ValueError:
            n_refused += 1
    assert n_refused > (n / 4 if hashed else n - 1)


def test_files_of_older_formats_open():
    """A sample of each format gives the scores that it gave when it was written."""
    paths = sorted(SAMPLES.glob("*.sktae"))
    assert {int(path.stem.split("-")[1]) for path in paths} == {1}
    for path in paths:
        expected = json.loads(path.with_suffix(".json").read_text())
        scores = load(path).score_samples(pd.DataFrame(expected["rows"]))
        assert scores == pytest.approx(expected["scores"], rel=1e-4)
