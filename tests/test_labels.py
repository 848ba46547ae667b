"""Known outliers: left out of what is learned of normal rows, and looked for in new ones."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from shared import correlated_table, families, in_turn, kinds, quick, unless_long
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from torch.utils.data import TensorDataset

from sktae import (
    Autoencoder,
    AutoencoderEnsemble,
    ContentStyleAutoencoder,
    StackedGridSearchCV,
    fit_many,
    load,
    save,
)

TRAINING_DATA = ["clean", "unknown", "contaminated"]


TABLE = correlated_table(501)
NORMAL = TABLE[:300]


def cluster(n, seed):
    """Return rows that lie close together, and as far from the center as others do."""
    return TABLE[-1] + 0.2 * np.random.default_rng(seed).normal(size=(n, 8))


# 40 outliers hide among 340 rows; 8 of them are known, and 8 inliers.
X = np.vstack([NORMAL, cluster(40, 1)])
Y = np.zeros(340)
Y[:8], Y[-8:] = 1, -1
UNLABELED = X[:-8]
NEW, KIND = np.vstack([TABLE[300:500], cluster(40, 2)]), np.repeat([0, 1], [200, 40])


def state(model):
    """Return what a fit learned of normal rows: weights, statistics of residuals, scales."""
    weights = torch.cat([p.flatten() for p in model.net_.module_.parameters()])
    outliers = model.outlier_model_
    tails = [tail.excess for name, tail in outliers.tails.items() if name != "known"]
    return [weights.detach().numpy(), outliers.residuals.mean, outliers.space.axes, tails]


def assert_same(one, other):
    for given, expected in zip(state(one), state(other), strict=True):
        assert_array_equal(given, expected)


@in_turn(E=kinds(), training_data=TRAINING_DATA)
def test_known_outliers_only_add(E, training_data):
    """All else is learned as if they were not there, and no row looks more normal."""
    how = {"training_data": training_data, "max_steps": 3, "calibration": None}
    labeled = quick(E, use_labels=True, **how).fit(X, Y)
    without = quick(E, **how).fit(UNLABELED)
    assert_same(labeled, without)
    assert (labeled.score_samples(NEW) <= without.score_samples(NEW)).all()
    contributions = labeled.explain(NEW[-5:])
    assert_allclose(contributions.sum(axis=1), -labeled.score_samples(NEW[-5:]))


@pytest.mark.parametrize("E", families())
@pytest.mark.parametrize("y", [np.arange(340), np.array(["a", "b"] * 170), None], ids=type)
def test_by_default_y_means_nothing(E, y):
    if E is not ContentStyleAutoencoder:
        assert_array_equal(
            quick(E, max_steps=2).fit(X, y).score_samples(X),
            quick(E, max_steps=2).fit(X).score_samples(X),
        )


@in_turn(E=[Autoencoder, AutoencoderEnsemble], training_data=TRAINING_DATA)
def test_outliers_of_a_known_kind_are_found(E, training_data):
    """Also those in the training rows, of which a few are known; others stay as they are."""
    member = Autoencoder(training_data=training_data, max_steps=100, random_state=0)
    labeled = Autoencoder(**{**member.get_params(), "use_labels": True})
    if E is AutoencoderEnsemble:
        member, labeled = (E(m, n_estimators=2, random_state=0) for m in (member, labeled))
    labeled.contamination = 0.1
    auroc = [
        roc_auc_score(KIND, -model.fit(X, Y).score_samples(NEW)) for model in (member, labeled)
    ]
    assert auroc[1] > max(0.95, auroc[0] + 0.02)
    assert labeled.score_samples(X[-40:]).max() < np.median(labeled.score_samples(X[:300]))
    assert (labeled.fit_predict(X, Y)[-8:] == -1).mean() > 0.5


def test_thresholds_are_those_of_other_rows():
    """Known outliers are neither in the share of outliers, nor compared with in p-values."""
    model = quick(use_labels=True, contamination=0.25, calibration=0.2).fit(X, Y)
    assert len(model.calibration_scores_) == round(0.2 * len(UNLABELED))
    share = quick(use_labels=True, contamination=0.25, calibration=None).fit(X, Y)
    assert np.mean(share.predict(UNLABELED) == -1) == pytest.approx(0.25, abs=0.01)
    crossed = quick(use_labels=True, calibration="cross").fit(X, Y)
    assert len(crossed.calibration_scores_) == len(UNLABELED)
    members = AutoencoderEnsemble(quick(use_labels=True), n_estimators=2, random_state=0)
    assert len(members.fit(X, Y).calibration_scores_) == len(UNLABELED)


def frame(rows):
    return pd.DataFrame(rows, columns=list("abcdefgh")).assign(
        kind=np.where(rows[:, 0] > 0, "high", "low")
    )


def with_gaps(rows):
    """Return rows of which only known outliers lack values."""
    rows = rows.copy()
    rows[-3:, 2] = np.nan
    return rows


@pytest.mark.parametrize(
    "make", [frame, with_gaps, csr_array, lambda x: TensorDataset(torch.tensor(x))]
)
def test_any_table(make):
    """Labels go with frames, missing values, sparse tables and Datasets."""
    model, new = quick(use_labels=True).fit(make(X), Y), make(NEW)
    assert roc_auc_score(KIND, -model.score_samples(new)) > 0.9
    marked = pd.Series(Y).replace(0, np.nan)
    assert_array_equal(model.fit(make(X), marked).score_samples(new), model.score_samples(new))


def test_weights_of_0_leave_out_known_outliers():
    weights = np.ones(len(X))
    weights[-4:] = 0
    less = quick(use_labels=True).fit(X[:-4], Y[:-4]).score_samples(NEW)
    assert_array_equal(quick(use_labels=True).fit(X, Y, weights).score_samples(NEW), less)
    none = np.where(Y == -1, 0, 1)
    assert_same(quick(use_labels=True).fit(X, Y, none), quick().fit(UNLABELED))


def test_many_at_once():
    """Stacks and searches fit as each estimator does by itself."""
    models = [quick(use_labels=True), quick(use_labels=True, random_state=1), quick()]
    many = fit_many(models, [X] * 3, ys=[Y, -Y, Y])
    assert {model.training_path_ for model in many} == {"stacked"}
    for model, y in zip(many, [Y, -Y, Y], strict=True):
        alone = quick(**model.get_params()).fit(X, y)
        assert_allclose(model.score_samples(NEW), alone.score_samples(NEW), rtol=1e-2)
    with pytest.raises(ValueError, match="2 estimators and 1 ys"):
        fit_many([quick(), quick()], [X, X], ys=[Y])
    order = np.random.default_rng(0).permutation(len(X))
    results = []
    for Search in (StackedGridSearchCV, GridSearchCV):
        search = Search(quick(), {"use_labels": [False, True]}, cv=2, scoring="roc_auc")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            search.fit(X[order], np.where(np.arange(340) < 300, 1, -1)[order])
        results.append(search.cv_results_["mean_test_score"])
    assert_allclose(*results, rtol=1e-2)
    assert results[0][1] > results[0][0]


def test_groups_in_stacks():
    """Groups of rows reach estimators of a stack, too."""
    how = {"max_steps": 3}
    models = [quick(ContentStyleAutoencoder, random_state=seed, **how) for seed in (0, 1)]
    groups = np.arange(340) % 5
    for model in fit_many(models, [X, X], ys=[groups, groups]):
        alone = quick(ContentStyleAutoencoder, **model.get_params()).fit(X, groups)
        assert_allclose(model.transform(NEW), alone.transform(NEW), rtol=1e-2, atol=1e-3)


def test_saved(tmp_path):
    model = quick(use_labels=True).fit(X, Y)
    save(model, tmp_path / "model.sktae")
    assert_array_equal(load(tmp_path / "model.sktae").score_samples(NEW), model.score_samples(NEW))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "needs y"),
        (Y[:-1], "339 rows, but X has 340"),
        (Y + 3, "must have -1 for a known outlier"),
        (np.where(Y == 1, "good", "bad"), "'bad' for row|'good' for row"),
        (np.full(340, -1), "-1 for all 340 rows"),
        ((Y == -1).astype(int), "pass -y"),
    ],
)
def test_labels_that_say_nothing_are_refused(y, message):
    for model in (quick(use_labels=True), AutoencoderEnsemble(quick(use_labels=True))):
        with pytest.raises(ValueError, match=message):
            model.fit(X, y)


def test_labels_are_refused_where_they_have_no_place():
    with pytest.raises(ValueError, match="cannot use labels"):
        quick(use_labels=True).partial_fit(X, Y)
    with pytest.raises(ValueError, match="groups of rows"):
        quick(ContentStyleAutoencoder, use_labels=True).fit(X, Y)


@pytest.mark.parametrize("m", [1, unless_long(400, 2000)])
def test_few_and_many_known_outliers(m):
    """One is enough, and many are no more than are compared with."""
    table = np.vstack([NORMAL, cluster(m, 3)])
    model = quick(use_labels=True).fit(table, np.repeat([0, -1], [300, m]))
    assert roc_auc_score(KIND, -model.score_samples(NEW)) > 0.9
    assert len(model.outlier_model_.known.known) <= 256
