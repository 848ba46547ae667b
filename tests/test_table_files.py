"""Tables that are larger than memory: Parquet, Arrow, Polars."""

import pickle
import sys
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from shared import FAMILIES, correlated_table, quick

from sktae import (
    AutoencoderClassifier,
    AutoencoderEnsemble,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
)
from sktae.datasets import TableDataset

pa = pytest.importorskip("pyarrow")
ds = pytest.importorskip("pyarrow.dataset")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def frame():
    """A table of numbers, booleans, strings and categories, some of them missing."""
    frame = pd.DataFrame(correlated_table(), columns=list("abcdefgh"))
    frame.loc[::7, "b"] = np.nan
    rng = np.random.default_rng(0)
    frame = frame.assign(i=rng.integers(0, 9, len(frame)), t=frame["a"] > 0)
    city = rng.choice(
        ["Rome", "Oslo", "Lima", "Bonn", None], len(frame), p=[0.1, 0.4, 0.2, 0.2, 0.1]
    )
    city[[3, 400]] = "Nome", "Como"
    grade = pd.Categorical(rng.choice(list("dbca"), len(frame)), list("dbeca"))
    return frame.assign(city=city, grade=grade)


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
    monkeypatch.setattr("sktae.datasets._tables._BATCH_NUMBERS", 700)


SOURCES = {
    "folder": lambda folder: folder,
    "arrow": lambda folder: ds.dataset(str(folder)),
    "polars": lambda folder: pl.scan_parquet(folder / "*.parquet"),
}


def same(found, expected):
    """Assert that results are the same bits, in containers of one kind."""
    assert type(found) is type(expected)
    if isinstance(found, np.ndarray):
        np.testing.assert_array_equal(found, expected)
    elif isinstance(found, pd.DataFrame):
        pd.testing.assert_frame_equal(found, expected, check_exact=True, check_dtype=False)
    else:
        assert found.equals(expected)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.usefixtures("small")
def test_as_in_memory(source, files, frame):
    """Fits and results are those of the same table in memory, to the last bit."""
    table, X = TableDataset(SOURCES[source](files)), frame
    if source == "polars":
        X = pl.from_pandas(frame)
    params = {"noise": "swap", "early_stopping": True, "calibration": 0.2}
    model, other = (quick(DenoisingAutoencoder, **params).fit(rows) for rows in (table, X))
    assert list(model.feature_names_in_) == list(frame)
    for method in ("score_samples", "transform", "predict", "p_values", "reconstruct", "impute"):
        found, expected = (getattr(model, method)(rows) for rows in (table, X))
        same(found, expected)
        same(expected, getattr(other, method)(X))
    np.testing.assert_array_equal(model.explain(table), model.explain(X))
    assert model.score(table) == other.score(X)
    few = X.head(9) if source == "polars" else X.iloc[:9].assign(city="Ulm", grade=None)
    same(model.score_samples(few), other.score_samples(few))
    part = TableDataset(few.lazy() if source == "polars" else ds.dataset(pa.Table.from_pandas(few)))
    same(model.score_samples(part), model.score_samples(few))
    weights = np.arange(len(X)) % 3
    model, other = (
        quick(categorical_features=["i", "t", "city", "grade"]).fit(rows, sample_weight=weights)
        for rows in (table, X)
    )
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
    frame = frame.assign(day=pd.Timestamp(0), far=np.inf, nothing=np.nan)
    lazy = pl.from_pandas(frame).lazy()
    for source in (lazy, ds.dataset(pa.Table.from_pandas(frame))):
        with pytest.raises(ValueError, match=r"Column 'day' of the table holds .*ime.*: make"):
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
    with pytest.raises(TypeError, match=r"Column 'city' of the TableDataset .* holds categories"):
        quick(ConvolutionalAutoencoder).fit(TableDataset(files))
    numbers, words = (TableDataset(files, ["a", name]) for name in ("i", "city"))
    renamed = TableDataset(lazy.select("a", i="city"))
    with pytest.raises(ValueError, match="Column 'i' of X holds 'Bonn', which is no number"):
        quick().fit(numbers).score_samples(renamed)
    with pytest.raises(ValueError, match=r"Column 'city' of X holds .*\d.*fitted on strings"):
        quick().fit(words).score_samples(TableDataset(lazy.select("a", city="i")))
    with pytest.raises(ValueError, match=r"Column 't' of X holds 2, .* fitted on booleans"):
        quick().fit(TableDataset(files, ["t"])).score_samples(TableDataset(lazy.select(t="i")))
    monkeypatch.setattr("sktae.datasets._readers._MOST_VALUES", 3)
    with pytest.raises(ValueError, match="Column 'city' of the table has more than 3 different"):
        quick().fit(TableDataset(files))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        TableDataset("nowhere.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow.dataset", None)
    with pytest.raises(ImportError, match=r"needs pyarrow.*: pip install \"sktae\[arrow\]\""):
        TableDataset("rows.parquet")
