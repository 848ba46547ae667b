"""Tables as they are: missing values, categories, booleans, scales, containers."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars
import pytest
from shared import families, in_turn, kinds, lean, quick, unless_long
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import sktae._engine.net as net
from sktae import (
    Autoencoder,
    AutoencoderEnsemble,
    AutoencoderImputer,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    StackedGridSearchCV,
    VariationalAutoencoder,
    all_estimators,
    fit_many,
)
from sktae.inputs.tabular import Tabular

TABULAR = [E for E in all_estimators() if isinstance(E().inputs(), Tabular)]
JOBS = ["baker", "clerk", "smith"]


def people(n=240, seed=0):
    """Make rows with all kinds of columns, of which one in twelve values is missing."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    job = np.digitize(z, [-0.5, 0.5])
    table = pd.DataFrame(
        {
            "age": 40 + 10 * z + rng.normal(size=n),
            "income": np.exp(8 + z + 0.2 * rng.normal(size=n)),
            "visits": pd.array(rng.poisson(3, n), dtype="Int64"),
            "job": np.array(JOBS, dtype=object)[job],
            "grade": pd.Categorical.from_codes(2 - job, ["A", "B", "C"]),
            "member": z > 0,
        }
    )
    return table.mask(rng.random(table.shape) < 1 / 12)


@pytest.fixture(scope="module")
def table():
    return people()


def some(estimators):
    """Return those of some estimators that take tables."""
    return [E for E in estimators if E in TABULAR]


@pytest.mark.parametrize("E", TABULAR)
def test_mixed_tables_keep_the_contract(E, table, monkeypatch):
    """Any order, one row, recorded steps, pickles: the same bits; reasons add up."""
    model = quick(E, max_steps=6).fit(table)
    scores, codes = model.score_samples(table), model.transform(table)
    assert np.isfinite(scores).all()
    assert np.isfinite(codes).all()
    order = np.random.default_rng(0).permutation(len(table))
    for rows in (order, [7]):
        part = table.iloc[rows]
        np.testing.assert_array_equal(model.score_samples(part), scores[rows])
        np.testing.assert_array_equal(model.transform(part), codes[rows])
    for many_steps in (0, 10**9):
        monkeypatch.setattr(net, "MANY_STEPS", many_steps)
        np.testing.assert_array_equal(clone(model).fit(table).score_samples(table), scores)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.score_samples(table), scores)
    assert again.partial_fit(table[:100]).n_iter_ > model.n_iter_
    reasons = model.explain(table[:40])
    assert list(reasons) == list(table)
    np.testing.assert_allclose(reasons.sum(axis="columns"), -scores[:40], atol=1e-6)
    numbers = table.select_dtypes("number").columns
    assert (reasons[numbers].to_numpy()[table[numbers][:40].isna()] == 0).all()


@pytest.mark.parametrize("E", some(kinds()))
def test_mixed_tables_are_stacked(E, table):
    """Models of mixed tables that are trained together are as if trained alone."""
    models = [quick(E, max_steps=6, random_state=n) for n in range(5)]
    other = table.fillna({"age": 40})  # has one column less that is incomplete
    tables = [table, table[:200], other, other[:200], table.assign(age=other["income"], income=40)]
    together = fit_many([clone(model) for model in models], tables)
    assert [model.training_path_ for model in together][:4] == ["stacked"] * 4
    for one, model, rows in zip(together, models, tables, strict=True):
        codes = model.fit(rows).transform(table)
        np.testing.assert_allclose(one.transform(table), codes, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("E", some(families()))
def test_tables_come_back_in_their_own_values(E, table):
    """Reconstructions, imputed rows and samples have the categories and dtypes of the table."""
    model = quick(E, n_components=4).fit(table)
    tables = [model.reconstruct(table), model.impute(table)]
    tables.append(model.inverse_transform(model.transform(table)))
    if hasattr(model, "sample"):
        tables.append(model.sample(30))
    for made in tables:
        assert list(made) == list(table)
        assert set(made["job"]) <= set(JOBS)
        assert made["grade"].dtype == table["grade"].dtype
        assert set(made["member"]) <= {True, False}
        assert not made.isna().any(axis=None)
    filled = tables[1]
    assert filled.index.equals(table.index)
    there = table["age"].notna()
    np.testing.assert_array_equal(filled["age"][there], table["age"][there])
    assert (filled["job"] == table["job"])[table["job"].notna()].all()


def test_polars_comes_back_as_polars(table):
    """What goes in as polars comes out as polars, and the numbers are those of pandas."""
    columns = {name: table[name].astype(object).where(table[name].notna(), None) for name in table}
    other = polars.DataFrame({name: values.tolist() for name, values in columns.items()})
    other = other.with_columns(polars.col("grade").cast(polars.Categorical))
    models = [quick().fit(rows) for rows in (table, other)]
    np.testing.assert_array_equal(*(model.transform(table[:9]) for model in models))
    for made in (models[1].impute(other), models[1].reconstruct(other), models[1].explain(other)):
        assert isinstance(made, polars.DataFrame)
        assert made.columns == other.columns
    assert models[1].impute(other)["grade"].dtype == polars.Categorical
    assert models[1].impute(other).null_count().sum_horizontal().item() == 0


def test_declared_categories(table):
    """Integers are categories if one says so, by name, number or mask, in frames and arrays."""
    codes = pd.DataFrame(
        {
            "size": table["age"].fillna(40),
            "job": table["job"].map(dict(zip(JOBS, [7, 1, 4], strict=True))).fillna(1).astype(int),
        }
    )
    ways = [(codes, ["job"]), (codes, [1]), (codes, [False, True]), (codes.to_numpy(), [-1])]
    models = [quick(categorical_features=given).fit(rows) for rows, given in ways]
    expected = models[0].transform(codes)
    for model, (rows, _) in zip(models[1:], ways[1:], strict=True):
        np.testing.assert_array_equal(model.transform(rows), expected)
    assert set(np.unique(models[3].reconstruct(codes.to_numpy())[:, 1])) <= {7, 1, 4}
    assert not np.array_equal(quick().fit(codes).transform(codes), expected)


def test_unusual_categories_are_unusual(table):
    """A value that never occurred, or not with these others, lowers the score of its row."""
    model = Autoencoder(max_steps=300, training_data="clean", calibration=None, random_state=0).fit(
        table
    )
    rows = table.dropna()[:40]
    scores = model.score_samples(rows)
    assert (model.score_samples(rows.assign(job="astronaut")) < scores).mean() > 0.9
    other = rows["job"].map({"baker": "smith", "clerk": "smith", "smith": "baker"})
    swapped = rows.assign(job=other)
    assert (model.score_samples(swapped) < scores).mean() > 0.9
    assert (model.explain(swapped).idxmax(axis="columns") == "job").mean() > 0.6


def test_a_column_of_ten_thousand_values():
    """They are embedded: no memory for each pair of a row and a value."""
    rng = np.random.default_rng(0)
    names = [f"user {n}" for n in range(10_000)]
    table = pd.DataFrame({"user": names * 2, "spent": rng.normal(size=20_000)})
    model = quick(max_steps=5).fit(table)
    assert model.net_.module_.encoder[0].in_features < 50
    assert set(model.reconstruct(table[:50])["user"]) <= set(names)


@pytest.mark.parametrize("E", some(families()))
def test_what_is_missing_does_not_count(E):
    """Loss, errors and scores leave missing values out; complete rows are no outliers then."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 6)) @ rng.normal(size=(6, 12))
    holes = np.where(rng.random(X.shape) < 0.2, np.nan, X)
    model = lean(E, n_components=6, max_steps=150, training_data="clean").fit(holes)
    assert np.mean(model.predict(X) == -1) < 0.06
    error = model.reconstruction_error(holes, per_feature=True)
    np.testing.assert_array_equal(np.isnan(error), np.isnan(holes))
    np.testing.assert_allclose(model.reconstruction_error(holes), np.nanmean(error, axis=1))
    assert model.score(holes) > 0
    outlier = np.arange(400) < 40
    odd = np.where(outlier[:, np.newaxis], rng.permuted(holes, axis=0), holes)
    assert roc_auc_score(outlier, -model.score_samples(odd)) > 0.85


def test_models_of_complete_tables_take_incomplete_rows(X):
    """Normal rows stay normal where one value is taken away, and outliers stay outliers."""
    model = Autoencoder(training_data="clean", random_state=0).fit(X)
    one_gone = X.copy()
    one_gone[np.arange(len(X)), np.arange(len(X)) % X.shape[1]] = np.nan
    odd = np.random.default_rng(0).permuted(one_gone, axis=0)
    labels, rows = np.repeat([0, 1], len(X)), np.vstack([one_gone, odd])
    assert np.mean(model.predict(one_gone) == -1) < 0.1
    assert roc_auc_score(labels, -model.score_samples(rows)) > 0.9
    np.testing.assert_array_equal(model.score_samples(rows[5:6]), model.score_samples(rows)[5:6])
    assert np.isfinite(model.partial_fit(one_gone).score_samples(one_gone)).all()


def test_imputation_uses_what_is_there(X):
    """Values that were removed come back better than by the means of columns."""
    rng = np.random.default_rng(0)
    gone = rng.random(X.shape) < 0.2
    holes = np.where(gone, np.nan, X)
    filled = (
        Autoencoder(3, max_steps=400, calibration=None, random_state=0).fit(holes).impute(holes)
    )
    np.testing.assert_array_equal(filled[~gone], X[~gone])
    means = np.broadcast_to(np.nanmean(holes, axis=0), X.shape)
    assert ((filled - X)[gone] ** 2).sum() < 0.4 * ((means - X)[gone] ** 2).sum()


def test_the_imputer_is_a_step_of_a_pipeline(table):
    """What it gives is complete, whatever follows; it keeps the names of columns."""
    numbers = table[["age", "income", "visits"]].astype(float)
    imputer = AutoencoderImputer(quick())
    y = np.arange(len(table)) % 2
    made = make_pipeline(imputer, StandardScaler(), RandomForestClassifier(5)).fit(numbers, y)
    assert made.predict(numbers).shape == y.shape
    framed = clone(imputer).set_output(transform="pandas").fit_transform(numbers)
    assert framed.index.equals(table.index)
    assert not framed.isna().any(axis=None)
    assert list(imputer.fit(table).transform(table)) == list(table)
    assert imputer.get_feature_names_out().tolist() == list(table)


@parametrize_with_checks([AutoencoderImputer(quick(max_steps=2))])
def test_scikit_learn(estimator, check):
    """The imputer passes every check of scikit-learn."""
    check(estimator)


def test_ensembles_and_searches_take_mixed_tables(table):
    """Members get some of the columns; folds may lack a value."""
    ensemble = AutoencoderEnsemble(quick(), n_estimators=4, max_features=0.5, random_state=0)
    ensemble.fit(table)
    scores = ensemble.score_samples(table)
    np.testing.assert_array_equal(ensemble.score_samples(table[3:4]), scores[3:4])
    assert set(ensemble.reconstruct(table)["job"]) <= set(JOBS)
    np.testing.assert_allclose(ensemble.explain(table[:9]).sum(axis="columns"), -scores[:9])
    rare = pd.DataFrame({"a": np.arange(60.0), "c": ["rare", *["x", "y", "z"] * 19, "x", "y"]})
    ensemble.set_params(max_samples=0.3, max_features=1.0).fit(rare)  # most members lack a value
    numbers = ensemble._validated(rare)
    scores = np.stack([m.score_samples(numbers) for m in ensemble.estimators_], 1)
    expected = ((scores + ensemble.center_) / ensemble.scale_).mean(1)
    np.testing.assert_allclose(ensemble.score_samples(rare), expected)
    search = StackedGridSearchCV(quick(), {"n_components": [1, 3]}, cv=2).fit(table)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_transformers_before_and_beside(table, container):
    """Columns made by other transformers keep their names, in frames of pandas and polars."""
    table = table.assign(age=table["age"].fillna(40), income=table["income"].fillna(0))
    rows = table[["age", "income"]].astype(float).assign(job=table["job"].fillna("none"))
    rows = rows if container == "pandas" else polars.DataFrame(rows.to_dict("list"))
    scaled = make_column_transformer(
        (StandardScaler(), ["age", "income"]),
        remainder="passthrough",
        verbose_feature_names_out=False,
    )
    pipe = make_pipeline(scaled, FeatureUnion([("a", quick(n_components=2)), ("b", quick())]))
    pipe.set_output(transform=container)
    codes = pipe.fit(rows).transform(rows)
    assert type(codes).__module__.startswith(container)
    assert list(codes.columns)[:2] == ["a__autoencoder0", "a__autoencoder1"]
    detector = make_pipeline(scaled.set_output(transform=container), quick()).fit(rows)
    reasons = detector[-1].explain(detector[0].transform(rows))
    assert list(reasons.columns) == ["age", "income", "job"]
    assert type(reasons).__module__.startswith(container)
    assert np.isfinite(detector.score_samples(rows)).all()


@in_turn(E=some(families()), kind=["offset", "tails", "integers", "constant"])
def test_raw_scales(E, kind):
    """Huge offsets, heavy tails, integers beyond 2**53 and constants need no scaler."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 1)) + 0.1 * rng.normal(size=(200, 4))
    other = {
        "offset": 1e9 + X[:, :1],
        "tails": np.exp(3 * X[:, :1]),
        "integers": (2**60 + 10_000 * X[:, :1]).astype(np.int64),
        "constant": np.full((200, 1), 3.0),
    }[kind]
    model = lean(E, n_components=2, max_steps=unless_long(60, 500))
    model.fit(np.hstack([X, other]))
    assert np.isfinite(model.score_samples(np.hstack([X, other]))).all()
    if kind in ("offset", "integers"):  # it is known from the other columns
        found = model.reconstruct(np.hstack([X, other]))[:, 4:].astype(float)
        assert ((found - other) ** 2).mean() < 0.5 * np.var(other.astype(float))


@pytest.mark.parametrize("E", [VariationalAutoencoder, DenoisingAutoencoder])
def test_tables_between_0_and_1(E, table):
    """The losses for values between 0 and 1 take categories and missing values, too."""
    how = {"likelihood": "bernoulli"} if E is VariationalAutoencoder else {"loss": "cross_entropy"}
    unit = table[["job", "member"]].assign(share=(table["age"] - 0) / 100)
    model = quick(E, **how).fit(unit)
    assert np.isfinite(model.score_samples(unit)).all()
    assert model.reconstruct(unit)["share"].between(0, 1).all()


def test_images_may_have_holes():
    """A pixel that is missing counts nowhere, and is filled in."""
    rng = np.random.default_rng(0)
    images = rng.random((60, 1, 8, 8)) * np.linspace(0, 1, 8)
    holes = images.copy()
    holes[:, :, 2:4, 2:4] = np.nan
    model = quick(ConvolutionalAutoencoder).fit(holes)
    assert np.isfinite(model.score_samples(holes)).all()
    assert np.isfinite(model.score_samples(images)).all()
    reasons = model.explain(holes[:3]).to_numpy().reshape(3, 1, 8, 8)
    assert (reasons[np.isnan(holes[:3])] == 0).all()
    assert np.isnan(model.impute(holes)[:, :, 2:4, 2:4]).all()  # no image has them
    model.fit(images)
    assert np.isfinite(model.impute(holes)).all()


def test_columns_of_the_wrong_kind_are_named(table):
    """Dates, numbers among strings, lists, wrong names: the error says which column."""
    dated = table.assign(born=pd.Timestamp("2000-01-01"))
    listed = table.assign(job=[[1]] * len(table))
    cases = [
        (dated, {}, "Column 'born' of X holds dates.*TableVectorizer"),
        (polars.DataFrame({"born": [pd.Timestamp("2000-01-01")] * 3}), {}, "'born' .* dates"),
        (listed, {}, "Column 'job' of X holds values of several types"),
        (table, {"categorical_features": ["salary"]}, "has 'salary', but X has no such column"),
        (table, {"categorical_features": [True]}, "a mask of 1 columns, but X has 6"),
        (table, {"categorical_features": ["grade"]}, "Column 'job' of X holds 'clerk'.* list"),
        (table.assign(age=np.inf), {}, "Column 'age' of input X contains infinity"),
        (table.assign(age=1j), {}, "Complex data not supported: column 'age' of X"),
        (np.array([["1", "a"], ["2", "b"]]), {}, "Column 1 of X holds 'a'.* categorical_features"),
        (np.array([[1, "a"]], dtype=object), {}, "Column 1 of X holds 'a'.* categorical_features"),
    ]
    for rows, params, message in cases:
        with pytest.raises(ValueError, match=message):
            quick(**params).fit(rows)
    model = quick().fit(table)
    with pytest.raises(ValueError, match=r"Column 'age' of X holds 'old', but .* numbers there"):
        model.score_samples(table.assign(age="old"))
    empty = table.copy()
    empty.iloc[5] = None
    with pytest.raises(ValueError, match="Row 5 of X has no value"):
        model.score_samples(empty)


def test_values_of_another_type_are_named():
    """What was strings in the fit must not come as numbers, nor booleans as other numbers."""
    table = pd.DataFrame({"zip": ["10115", "20095"] * 20, "member": [True, False] * 20})
    model = quick(max_steps=2).fit(table)
    with pytest.raises(ValueError, match=r"Column 'zip' of X holds 10115, but .* on strings"):
        model.score_samples(table.assign(zip=table["zip"].astype(int)))
    with pytest.raises(ValueError, match=r"Column 'member' of X holds 3.7, but .* on booleans"):
        model.score_samples(table.assign(member=3.7))
    with pytest.raises(ValueError, match=r"'day' of X holds dates, such as '2026-11-28'"):
        model.fit(table.assign(day="2026-11-28"))
    with pytest.raises(ValueError, match=r"'time' of X holds durations"):
        model.fit(table.assign(time=pd.Timedelta("1D")))
    assert quick(max_steps=2, categorical_features=["day"]).fit(
        table.assign(day="2026-11-28", zip=0.0)
    )


@pytest.mark.parametrize("kinds_of", ["numbers", "categories"])
def test_skrub_goes_in_front(kinds_of):
    """It makes numbers of dates and text; categories may be left to the autoencoder."""
    skrub = pytest.importorskip("skrub", reason="skrub is optional")
    rng = np.random.default_rng(0)
    days = pd.date_range("2026-01-01", periods=90).astype(str)
    table = pd.DataFrame({"day": days, "job": rng.choice(["x", "y"], 90), "a": rng.normal(size=90)})
    table.loc[3, "a"] = np.nan
    model = quick(max_steps=3)
    pipe = skrub.tabular_pipeline(model)
    if kinds_of == "categories":
        pipe = make_pipeline(skrub.TableVectorizer(low_cardinality="passthrough"), model)
    assert np.isfinite(pipe.fit(table).score_samples(table)).all()
    if kinds_of == "categories":
        assert "job" in pipe[-1].explain(pipe[:-1].transform(table))


def test_names_do_not_make_outliers():
    """A column of names raises a warning, and rows with new names are no outliers."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=300), "name": [f"n{n}" for n in range(300)]})
    with pytest.warns(UserWarning, match="Column 'name' of X has 300 different values in 300 rows"):
        model = quick(max_steps=50).fit(table)
    assert np.mean(model.predict(table.assign(name="new")) == -1) < 0.05


def test_imputation_keeps_what_is_there():
    """Values that are not missing stay as they are, to the last digit, in their dtypes."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "id": 2**53 + 1 + np.arange(60),
            "count": pd.array(rng.integers(9, size=60), dtype="Int64"),
            "empty": np.nan,
            "text": ["x", "y", None] * 20,
        },
        index=np.arange(60) + 100,
    )
    table.loc[::7, "count"] = pd.NA
    with pytest.warns(UserWarning, match=r"Columns \['empty'\] had no values in the fit"):
        filled = quick(max_steps=5).fit(table).impute(table)
    assert filled["id"].equals(table["id"])
    assert filled["count"].dtype == "Int64"
    assert filled["count"][table["count"].notna()].equals(table["count"].dropna())
    assert not filled[["count", "text"]].isna().any(axis=None)
    assert filled.index.equals(table.index)


def test_a_missing_category_is_a_reason():
    """Where a category was never missing, that it is missing explains the score."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=300), "job": rng.choice(["x", "y"], 300)})
    model = quick(max_steps=100).fit(table)
    reasons = model.explain(table[:5].assign(job=None))
    assert (reasons.idxmax(axis="columns") == "job").all()


@pytest.mark.parametrize("training_data", ["unknown", "contaminated"])
def test_rare_categories_are_no_outliers(training_data):
    """A category of one row in twenty is less unusual than a number 8 standard deviations away."""
    rng = np.random.default_rng(0)
    cities = rng.choice(["Berlin", "Hamburg", "Ulm"], 600, p=[0.6, 0.35, 0.05])
    table = pd.DataFrame({"a": rng.normal(size=600), "b": rng.normal(size=600), "city": cities})
    table.loc[:5, "a"], table.loc[:5, "city"] = 8 + rng.normal(size=6), "Berlin"
    scores = Autoencoder(training_data=training_data, calibration=None, random_state=0).fit(table)
    scores = scores.score_samples(table)
    assert scores[:6].max() < np.median(scores[cities == "Ulm"])


def test_the_imputer_takes_weights(table):
    """They are those of the fit of its autoencoder."""
    weights = np.arange(len(table)) % 3
    imputer = AutoencoderImputer(quick(max_steps=3)).fit(table, sample_weight=weights)
    model = quick(max_steps=3).fit(table, sample_weight=weights)
    assert imputer.transform(table).equals(model.impute(table))


@pytest.mark.parametrize("day", ["28/11/2026", "28.11.2026", "28 Nov 2026", "Nov 28, 2026"])
def test_dates_are_recognized_however_they_are_written(day):
    with pytest.raises(ValueError, match=f"holds dates, such as '{day}'"):
        quick().fit(pd.DataFrame({"day": [day] * 9, "n": range(9)}))


def test_numbers_as_text_are_said_to_be_such():
    """Those with commas, which `read_csv` leaves; codes such as 10115 are categories."""
    table = pd.DataFrame({"price": ["1,388.52", "7"] * 20, "code": ["10115", "80331"] * 20})
    with pytest.warns(UserWarning, match="'price' of X holds numbers as text, such as '1,388.52'"):
        quick().fit(table)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Column")
        quick().fit(table[["code"]].assign(n=range(40)))
