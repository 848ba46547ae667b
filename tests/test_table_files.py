"""Tables that are larger than memory: Parquet, Arrow, Polars."""

import pickle
import sys
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from shared import FAMILIES, correlated_table, quick

from sktae import AutoencoderClassifier, AutoencoderEnsemble, DenoisingAutoencoder
from sktae.datasets import TableDataset

pa = pytest.importorskip("pyarrow")
ds = pytest.importorskip("pyarrow.dataset")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def frame():
    """A table of floats, of which some are missing, integers and booleans."""
    frame = pd.DataFrame(correlated_table(), columns=list("abcdefgh"))
    frame.loc[::7, "b"] = np.nan
    rng = np.random.default_rng(0)
    return frame.assign(i=rng.integers(0, 9, len(frame)), t=frame["a"] > 0)


@pytest.fixture
def files(frame, tmp_path):
    """The table in two files of several row groups."""
    for number, part in enumerate((frame[:250], frame[250:])):
        table = pa.Table.from_pandas(part, preserve_index=False)
        pq.write_table(table, tmp_path / f"{number}.parquet", row_group_size=100)
    return tmp_path


@pytest.fixture
def small(monkeypatch):
    """Make small tables read like large ones."""
    monkeypatch.setattr("sktae._training.prepare._LOADED_NUMBERS", 0)
    monkeypatch.setattr("sktae.datasets._BATCH_NUMBERS", 700)


SOURCES = {
    "folder": lambda folder: folder,
    "arrow": lambda folder: ds.dataset(str(folder)),
    "polars": lambda folder: pl.scan_parquet(folder / "*.parquet"),
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.usefixtures("small")
def test_as_in_memory(source, files, frame):
    """Fits and results are those of the same table in memory, to the last bit."""
    table, X = TableDataset(SOURCES[source](files)), frame.astype(float)
    params = {"noise": "swap", "early_stopping": True, "calibration": 0.2}
    model, other = (quick(DenoisingAutoencoder, **params).fit(rows) for rows in (table, X))
    assert list(model.feature_names_in_) == list(frame)
    for method in ("score_samples", "transform", "predict", "p_values", "reconstruct", "impute"):
        found, expected = (getattr(model, method)(rows) for rows in (table, X))
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(expected, getattr(other, method)(X))
    np.testing.assert_array_equal(model.explain(table), model.explain(X))
    assert model.score(table) == other.score(X)
    weights = np.arange(len(X)) % 3
    model, other = (quick().fit(rows, sample_weight=weights) for rows in (table, X))
    np.testing.assert_array_equal(model.score_samples(table), other.score_samples(X))


@pytest.mark.parametrize("E", FAMILIES)
@pytest.mark.usefixtures("small")
def test_all_families(E):
    """Sequences and images are rows of such a table, too."""
    X = correlated_table(100).astype(np.float32)
    table = TableDataset(pl.from_numpy(X).lazy())
    assert table.dtype == np.float32
    model, other = (quick(E).fit(rows) for rows in (table, X))
    np.testing.assert_array_equal(model.score_samples(table), other.score_samples(X))


@pytest.mark.usefixtures("small")
def test_ensembles_and_classifiers():
    """What consists of autoencoders takes such a table, too."""
    X = correlated_table(100)
    table, y = TableDataset(pl.from_numpy(X).lazy()), X[:, 0] > 0
    ensemble = AutoencoderEnsemble(quick(), n_estimators=2, random_state=0)
    for make, method in (
        (ensemble.fit, "score_samples"),
        (partial(AutoencoderClassifier(quick(), random_state=0).fit, y=y), "predict_proba"),
    ):
        found, expected = (getattr(make(rows), method)(rows) for rows in (table, X))
        np.testing.assert_array_equal(found, expected)


def test_read_once(files):
    """Fits and scores, however many, read the table itself once; each process has a copy."""

    class Counted:
        def __init__(self, dataset):
            self.dataset, self.schema, self.n_passes = dataset, dataset.schema, 0

        def to_batches(self, **kwargs):
            self.n_passes += 1
            return self.dataset.to_batches(**kwargs)

    source = Counted(ds.dataset(str(files)))
    table = TableDataset(source)
    assert source.n_passes == 0
    quick(max_steps=None, max_epochs=3).fit(table).score_samples(table)
    assert source.n_passes == 1
    sent = pickle.loads(pickle.dumps(TableDataset(ds.dataset(str(files)))))
    np.testing.assert_array_equal(sent[:], table[:])


def test_columns(files, frame):
    """Columns have names and an order, which later tables are checked for."""
    table = TableDataset(files / "0.parquet", columns=["i", "t", "c"])
    assert table.shape == (250, 3)
    np.testing.assert_array_equal(table, frame[:250][["i", "t", "c"]].astype(float))
    np.testing.assert_array_equal(table[[7, 3]], table[:][[7, 3]])
    np.testing.assert_array_equal(table[-1], table[:][-1])
    np.testing.assert_array_equal(table[9:2:-3], table[:][9:2:-3])
    with pytest.raises(IndexError, match="has 250 rows, but no row 250"):
        table[[250]]
    model = quick().fit(table)
    with pytest.raises(ValueError, match="feature names should match"):
        model.score_samples(TableDataset(files, columns=["t", "i", "c"]))
    nameless, few = quick().fit(table[:]), TableDataset(files, columns=["t", "i"])
    with (
        pytest.warns(UserWarning, match="fitted without feature names"),
        pytest.raises(ValueError, match="X has 2 features, but Autoencoder is expecting 3"),
    ):
        nameless.predict(few)


def test_what_is_no_table(files, frame, monkeypatch):
    """Errors say what is wrong with a table, and what to do."""
    frame = frame.assign(city="Rome", far=np.inf, nothing=np.nan)
    lazy = pl.from_pandas(frame).lazy()
    for source in (lazy, ds.dataset(pa.Table.from_pandas(frame))):
        with pytest.raises(ValueError, match=r"Column 'city' of the table holds .*tring.*: make"):
            TableDataset(source)
        with pytest.raises(ValueError, match="Column 'far' of the table contains infinity"):
            quick().fit(TableDataset(source, ["a", "far"]))
        with pytest.raises(ValueError, match="Row 0 of X has no value"):
            quick().fit(TableDataset(source, ["nothing"]))
        with pytest.raises(ValueError, match=r"'z', but the table has no such column; .*'a', 'b'"):
            TableDataset(source, ["z"])
    with pytest.raises(ValueError, match="has no rows"):
        quick().fit(TableDataset(lazy.head(0), ["a"]))
    with pytest.raises(ValueError, match="has no columns"):
        TableDataset(lazy, [])
    with pytest.raises(TypeError, match=r"source of TableDataset must be .* Got 3 instead"):
        TableDataset(3)
    with pytest.raises(TypeError, match="TableDataset was passed as X, but Autoencoder has categ"):
        quick(categorical_features=["i"]).fit(TableDataset(files))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        TableDataset("nowhere.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow.dataset", None)
    with pytest.raises(ImportError, match=r"needs pyarrow.*: pip install \"sktae\[arrow\]\""):
        TableDataset("rows.parquet")
