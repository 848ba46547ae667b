"""Pipelines and searches explain and judge rows as the detector inside them does."""

import numpy as np
import pandas as pd
import polars
import pytest
from shared import correlated_table, families, quick
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    StandardScaler,
)
from skrub import TableVectorizer

import sktae
from sktae import (
    AutoencoderEnsemble,
    AutoencoderImputer,
    StackedGridSearchCV,
    StackedRandomizedSearchCV,
    Vocabulary,
    WindowedDetector,
)

FDR = 0.3


@pytest.fixture(scope="module")
def table():
    """Numbers of which one is missing at times, and categories whose names begin alike."""
    rng = np.random.default_rng(0)
    numbers = correlated_table(60, 3)
    numbers[::7, 1] = np.nan
    frame = pd.DataFrame(numbers, columns=["size", "size_b", "age"])
    frame.insert(1, "a", rng.choice(["b_c", "c", "d"], 60))
    frame["a_b"] = rng.choice(["c", "d"], 60)
    frame.index = pd.Index(range(100, 160))
    return frame


def columns(**transformers):
    parts = [(name, *part) for name, part in transformers.items()]
    return ColumnTransformer(parts, remainder="passthrough")


ONE_HOT = OneHotEncoder(max_categories=2, drop="first")
SCALER = StandardScaler().fit(np.eye(3))
NUMBERS, WORDS = ["size", "size_b", "age"], ["a", "a_b"]
KEEP_ALL = [
    columns(words=(ONE_HOT, WORDS)),
    columns(words=(OrdinalEncoder(), make_column_selector(dtype_exclude="number"))),
    columns(words=(OneHotEncoder(), [1, 4])).set_params(remainder=FrozenEstimator(SCALER)),
    columns(
        words=(make_pipeline(OneHotEncoder(sparse_output=False), StandardScaler()), WORDS),
        numbers=(SimpleImputer(add_indicator=True), NUMBERS),
    ),
    columns(
        words=(OneHotEncoder(sparse_output=False), WORDS),
        first=("passthrough", slice(0, 1)),
        rest=(make_pipeline(SimpleImputer(), KBinsDiscretizer(3)), ["size_b", "age"]),
    ),
    make_pipeline(
        columns(words=(OrdinalEncoder(), WORDS)),
        AutoencoderImputer(quick()),
        FeatureUnion([("same", "passthrough"), ("scaled", StandardScaler())]),
    ),
    TableVectorizer(),
]


@pytest.mark.parametrize("steps", KEEP_ALL, ids=range(len(KEEP_ALL)))
def test_speaks_of_the_columns_before_the_pipeline(steps, table):
    """Contributions of what comes from one column are added up, and a row's to minus its score."""
    model = make_pipeline(steps, quick(calibration=None)).fit(table)
    contributions = sktae.explain(model, table)
    assert contributions.columns.tolist() == table.columns.tolist()
    assert contributions.index.equals(table.index)
    np.testing.assert_allclose(contributions.sum(axis=1), -model.score_samples(table))


def test_a_column_gets_what_its_outputs_contribute(table):
    """Names that begin alike are not confused."""
    model = make_pipeline(columns(words=(OneHotEncoder(), WORDS)), quick()).fit(table)
    inner = np.asarray(model[-1].explain(model[:-1].transform(table)))
    expected = np.column_stack([*inner[:, [5]].T, inner[:, :3].sum(1), *inner[:, 6:].T])
    contributions = sktae.explain(model, table)
    np.testing.assert_allclose(contributions[["size", "a", "size_b", "age"]], expected)
    np.testing.assert_allclose(contributions["a_b"], inner[:, 3:5].sum(1))


def test_says_which_columns_are_mixed(table):
    """What is made of several columns keeps its name, and columns left out are not named."""
    y = np.arange(60) % 2
    filled = make_pipeline(SimpleImputer(), StandardScaler())
    for steps, names in [
        (columns(pca=(make_pipeline(filled, PCA(2)), ["size", "age", "size_b"])), "pca__pca{}"),
        (columns(pca=(make_pipeline(filled, PCA(2)), ["age", "size"])), "pca__pca{}"),
    ]:
        steps = steps.set_params(remainder="drop")
        model = make_pipeline(steps, quick()).fit(table)
        assert list(sktae.explain(model, table)) == [names.format(i) for i in range(2)]
    numbers = table[["size", "age"]]
    products = PolynomialFeatures(2, include_bias=False)
    unnamed = FunctionTransformer(lambda X: np.column_stack([X, X.sum(axis=1)]))
    for step, names in [
        (products, ["size", "age", "size age"]),
        (unnamed, ["functiontransformer0", "functiontransformer1", "functiontransformer2"]),
        (SelectKBest(f_classif, k=1), None),
        (make_pipeline(PCA(2), StandardScaler()), ["pca0", "pca1"]),
    ]:
        model = make_pipeline(StandardScaler(), step, quick()).fit(numbers, y)
        contributions = sktae.explain(model, numbers)
        kept = names or [["size", "age"][np.argmax(step.fit(numbers, y).scores_)]]
        assert list(contributions) == kept
        np.testing.assert_allclose(contributions.sum(axis=1), -model.score_samples(numbers))


def test_keeps_the_container(table):
    """Frames of polars give such frames; arrays give numbered columns, or those of the fit."""
    numbers = table[["size", "age"]]
    model = make_pipeline(StandardScaler(), quick()).fit(numbers.to_numpy())
    assert list(sktae.explain(model, numbers.to_numpy())) == ["x0", "x1"]
    frame = polars.from_pandas(numbers)
    model.fit(frame)
    assert sktae.explain(model, frame).columns == ["size", "age"]
    assert isinstance(sktae.explain(model, frame), polars.DataFrame)


def test_texts():
    """Where X has no columns, the first step names them."""
    texts = ["open read close", "open close", "read read close"] * 8
    tfidf = make_pipeline(TfidfVectorizer(), quick()).fit(texts)
    assert list(sktae.explain(tfidf, texts)) == ["close", "open", "read"]
    tokens = make_pipeline(Vocabulary(), quick(sktae.RecurrentAutoencoder, n_tokens="auto"))
    assert list(sktae.explain(tokens.fit(texts), texts)) == [f"token{i}" for i in range(4)]


@pytest.mark.parametrize("E", [*families(), AutoencoderEnsemble])
def test_any_detector_in_a_pipeline(E):
    """Results are those of the detector on transformed rows."""
    X = correlated_table(40, 4)
    kind = {"estimator": quick(), "n_estimators": 2} if E is AutoencoderEnsemble else {}
    detector = (E(**kind, random_state=0) if kind else quick(E)).set_params(calibration=0.3)
    model = make_pipeline(StandardScaler(), "passthrough", make_pipeline(detector)).fit(X)
    detector, rows = model[-1][-1], model[:-1].transform(X)
    np.testing.assert_allclose(sktae.explain(model, X), detector.explain(rows))
    assert np.array_equal(sktae.p_values(model, X), detector.p_values(rows))
    assert np.array_equal(sktae.select(model, X, FDR), detector.select(rows, FDR))


@pytest.mark.parametrize("Search", [GridSearchCV, StackedGridSearchCV, StackedRandomizedSearchCV])
def test_searches(Search, table):
    """The best estimator explains and judges; our own searches have the methods, too."""
    model = make_pipeline(columns(words=(OneHotEncoder(), WORDS)), quick(calibration=0.3))
    search = Search(model, {"autoencoder__n_components": [1]}, cv=2).fit(table)
    best = search.best_estimator_
    outer = make_pipeline(search)
    for found in (search, outer):
        pd.testing.assert_frame_equal(sktae.explain(found, table), sktae.explain(best, table))
        assert np.array_equal(sktae.p_values(found, table), sktae.p_values(best, table))
        assert np.array_equal(sktae.select(found, table, FDR), sktae.select(best, table, FDR))
    if Search is not GridSearchCV:
        assert list(search.explain(table)) == list(table)
        assert np.array_equal(search.p_values(table), sktae.p_values(best, table))
        assert np.array_equal(search.select(table, FDR), sktae.select(best, table, FDR))
        assert not hasattr(search, "events")


def test_names_that_a_function_gives(table):
    """A step whose names nobody can tell before has those of the table that it returns."""
    ages = FunctionTransformer(lambda X: pd.DataFrame({"old": X["age"] > 40, "age2": 2 * X["age"]}))
    both = columns(ages=(ages, ["age"]), size=("passthrough", ["size"]))
    both.set_output(transform="pandas").set_params(verbose_feature_names_out=False)
    model = make_pipeline(both, quick()).fit(table)
    assert set(sktae.explain(model, table)) == set(table)
    pair = columns(pair=(ages, ["age", "size"])).set_output(transform="pandas")
    model = make_pipeline(pair, quick()).fit(table)
    assert list(sktae.explain(model, table))[-2:] == ["pair__old", "pair__age2"]


def test_series():
    """Events and reasons have the times and the channels of X."""
    times = pd.date_range("2026-01-01", periods=600, freq="min")
    wave = np.sin(np.arange(600) / 5)
    X = pd.DataFrame({"slow": wave, "fast": np.sin(np.arange(600) / 2)}, index=times)
    X.iloc[500:510, 1] = 4
    detector = WindowedDetector(quick(), window_size=30, contamination=None, random_state=0)
    model = make_pipeline(columns(both=(StandardScaler(), ["fast", "slow"])), detector)
    search = StackedGridSearchCV(model, {"windoweddetector__n_scales": [1]}, cv=[(range(400),) * 2])
    search.set_params(scoring=lambda model, X, y=None: 0.0).fit(X[:400])
    found = search.events(X)
    assert found["channels"].tolist() == [("fast",)]
    start, peak, duration = found.loc[0, ["start", "peak", "duration"]]
    assert times[470] < start <= times[500]
    assert abs(peak - times[505]) < pd.Timedelta("30min")
    assert duration < pd.Timedelta("80min")
    reasons = search.explain(X)
    assert list(reasons) == ["slow", "fast"]
    assert reasons.index.equals(times)
    np.testing.assert_allclose(reasons.sum(axis=1), -search.score_samples(X))
    plain = make_pipeline(StandardScaler(), detector).fit(X[:400].to_numpy())
    assert sktae.events(plain, X.to_numpy())["channels"].tolist() == [("x1",)]


def test_what_cannot_explain_is_refused(table):
    """One sentence says what is missing."""
    numbers = table[["size", "age"]]
    pca = make_pipeline(StandardScaler(), PCA(1)).fit(numbers)
    with pytest.raises(TypeError, match="explain needs a detector of sktae that has the method"):
        sktae.explain(pca, numbers)
    model = make_pipeline(StandardScaler(), quick())
    with pytest.raises(TypeError, match="events needs a detector"):
        sktae.events(model.fit(numbers), numbers)
    search = StackedGridSearchCV(model, {"autoencoder__n_components": [1]}, cv=2, refit=False)
    for unfitted in (make_pipeline(StandardScaler(), quick()), search):
        with pytest.raises(NotFittedError):
            sktae.explain(unfitted, numbers)
    with pytest.raises(NotFittedError, match="no best_estimator_ yet"):
        sktae.explain(search.fit(numbers), numbers)
