"""Ensembles of autoencoders."""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import field
from numbers import Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from scipy.sparse import issparse
from scipy.stats import mode
from sklearn.base import ClassNamePrefixFeaturesOutMixin, _fit_context, clone
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from sktae._engine.rows import Rows
from sktae._engine.settings import usual_settings
from sktae._fit_many import fit_many
from sktae._outliers.explain import ExplainMixin
from sktae._outliers.model import feature_model
from sktae._outliers.scores import score_settings
from sktae._outliers.threshold import no_higher, percentile, threshold
from sktae._training.checkpoint import check_seed
from sktae._training.fit import CROSS_ROWS, CROSS_SHARE
from sktae._training.prepare import FEWEST_ROWS
from sktae._transform import TransformMixin
from sktae.autoencoders.plain import Autoencoder
from sktae.base import BaseAutoencoder
from sktae.inputs.columns import is_frame
from sktae.inputs.labels import check_labels, set_apart
from sktae.inputs.protocol import validated
from sktae.inputs.tabular import Tabular
from sktae.inputs.weights import check_weights
from sktae.parameters import (
    Contamination,
    Count,
    Declared,
    Fraction,
    Seed,
    Share,
    plain_copy,
    take_over,
)
from sktae.randomness import generator, halves, hold_out, seed_of

# Numbers of the draws of a member, for the purpose "sample". The member itself draws at number 0.
_ROWS, _COLUMNS = 1, 2
_AGGREGATES: dict[str, Callable[..., np.ndarray]] = {
    "mean": np.mean,
    "max": np.max,
    "median": np.median,
}


class AutoencoderEnsemble(ClassNamePrefixFeaturesOutMixin, ExplainMixin, TransformMixin, Declared):
    r"""Ensemble of autoencoders: one estimator is trained many times, and scores are aggregated.

    Members differ by their seeds and, if wanted, by the rows and columns that they are trained on.
    So the randomness of single fits averages out. The anomaly :math:`a` of a row is minus its score
    by a member. Anomalies are brought to a common scale by
    :math:`(a - median) / (q_{75} - q_{25})`, with the median and the quartiles of the training
    rows, which outliers hardly change. So members with large errors do not outweigh the others. The
    score of a row is minus the mean, the median or the maximum over members.

    Parameters
    ----------
    estimator : autoencoder or None, default=None
        The estimator that is trained many times. It is copied and stays unfitted. None is
        `Autoencoder()`. Its `random_state`, `contamination`, `false_alarm_rate` and
        `calibration="cross"` have no effect here.

    n_estimators : int, default=8
        Number of members.

    max_samples : float, default=1.0
        Share of the rows that each member is trained on. They are drawn at random.

    bootstrap : bool, default=False
        Whether rows are drawn with replacement.

    max_features : float, default=1.0
        Share of the columns that each member gets. They are drawn at random, the columns of the
        fewest members so far first. There must be enough members to cover all columns.

    aggregation : {"mean", "max", "median"}, default="mean"
        How the scaled anomalies of a row are aggregated over members. "max" is the anomaly by the
        member that finds the row most unusual, which helps if an outlier shows in few columns only.
        "median" ignores a few members that differ from the others. It may be changed after the fit,
        but `offset_` remains that of the fit.

    contamination : float or "auto", default="auto"
        Share of the training rows that `predict` labels as outliers. With "auto",
        `false_alarm_rate` sets the threshold instead. Both set `offset_` and change nothing else.

    false_alarm_rate : float, default=0.01
        Share of new normal rows that `predict` labels as outliers, if `contamination` is "auto". It
        is at least 1 / (n + 1), for n rows in `calibration_scores_`. If there are none, it is a
        share of the training rows.

    calibration : "cross", float or None, default="cross"
        Where the scores come from that new rows are compared with, for the threshold of `predict`
        and for `p_values`. "cross": half of the rows are scored by another ensemble of as many
        members, trained on the other half, and in tables of fewer than 2000 rows these by a third
        one, too; the ensemble itself is trained on all rows. That is approximate, and takes about
        half of the time of the fit more for each. Fewer than 20 rows have no such scores. A float:
        no member is trained on this share of the rows, drawn at random, which is exact. None: no
        such scores, so no `p_values`; the threshold comes from the training rows.

    random_state : int, RandomState instance or None, default=None
        The same number gives the same ensemble. With more `n_estimators`, the first members stay
        the same.

    Attributes
    ----------
    estimators_ : list of autoencoders
        The fitted members, each with a `random_state` of its own.

    features_ : ndarray of shape (n_estimators, n_features_of_each)
        The columns that each member gets.

    n_components_ : int
        Number of components of all members together: columns of `transform`.

    center_ : ndarray of shape (n_estimators,)
        Median of the training rows' anomalies by each member.

    scale_ : ndarray of shape (n_estimators,)
        Distance between the quartiles of the training rows' anomalies by each member.

    offset_ : float
        Threshold on `score_samples`.

    calibration_scores_ : ndarray or None
        Scores of rows by members that have not seen them, in ascending order; see `calibration`.
        With "cross", none is above the score of the training row of the same rank.

    n_features_in_ : int
        Number of columns seen in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen in `fit`, where all of them are strings.

    See Also
    --------
    DenoisingAutoencoder
    StackedGridSearchCV

    References
    ----------
    .. [1] Chen, J., Sathe, S., Aggarwal, C. and Turaga, D. (2017). Outlier Detection with
       Autoencoder Ensembles. SDM.
    .. [2] Aggarwal, C. and Sathe, S. (2015). Theoretical Foundations and Algorithms for Outlier
       Ensembles. SIGKDD Explorations.
    .. [3] Lazarevic, A. and Kumar, V. (2005). Feature Bagging for Outlier Detection. KDD.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sktae import Autoencoder, AutoencoderEnsemble
    >>> X, _ = load_wine(return_X_y=True)
    >>> ensemble = AutoencoderEnsemble(Autoencoder(2), n_estimators=4, random_state=0).fit(X)
    >>> ensemble.score_samples(X).shape, ensemble.transform(X).shape
    ((178,), (178, 8))
    """

    estimator: BaseAutoencoder | None = field(default=None, kw_only=False)
    n_estimators: Count = 8
    max_samples: Share = 1.0
    bootstrap: bool = False
    max_features: Share = 1.0
    aggregation: Literal["mean", "max", "median"] = "mean"
    contamination: Literal["auto"] | Contamination = "auto"
    false_alarm_rate: Fraction = 0.01
    calibration: Literal["cross"] | Fraction | None = "cross"
    random_state: Seed = None

    _score_parameters: ClassVar = ("aggregation",)

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train all members.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to learn from.

        y : array-like of shape (n_samples,) or None, default=None
            What is known of each row, if members have `use_labels`. Otherwise ignored.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows, as in the `fit` of members. None for equal weights.

        Returns
        -------
        self : object
            The fitted ensemble.
        """
        fresh, outliers = plain_copy(self), None
        if self._template.use_labels:
            found = check_labels(self._template, y, X)
            sample_weight, known = set_apart(found, sample_weight, X)
            outliers = _safe_indexing(X, known) if len(known) else None
        with usual_settings():
            fresh._train(X, sample_weight, outliers)
        take_over(self, fresh)  # only now, so that a fit that fails changes nothing
        return self

    def transform(self, X: Any) -> np.ndarray:
        return np.hstack(self._call_members("transform", self._validated(X)))

    def _decode(self, codes: np.ndarray) -> np.ndarray:
        parts = np.hsplit(codes, np.cumsum([m.n_components_ for m in self.estimators_])[:-1])
        pairs = zip(self.estimators_, parts, strict=True)
        return self._mean_by_column([m.inverse_transform(part) for m, part in pairs], codes.dtype)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.allow_nan = True
        return tags

    @property
    def _n_features_out(self) -> int:  # type: ignore[override]
        return self.n_components_

    @property
    def _template(self) -> BaseAutoencoder:
        return Autoencoder() if self.estimator is None else self.estimator

    def _train(self, X: Any, sample_weight: Any, outliers: Any) -> None:
        if issparse(X):
            raise TypeError("Sparse data was passed as X, but members get columns: X.toarray().")
        template = self._template
        check_seed(self, template)  # members are not resumed if their seeds differ
        self._inputs = Tabular(True, False, template.categorical_features)
        weights, positive = check_weights(sample_weight, X)
        given = X if positive is None else _safe_indexing(X, positive)
        X, held_out = self._inputs.validate(self, given, reset=True), None
        if self._inputs.columns and not isinstance(template.inputs(), Tabular):
            raise ValueError(
                f"X has columns that are no numbers, which {type(template).__name__} does not take."
            )
        seed, all_weights = seed_of(self.random_state), weights
        if isinstance(self.calibration, Real):
            fraction = "calibration", len(X), float(self.calibration)
            rows, others = hold_out(*fraction, seed, "calibrate")
            X, held_out = X[rows.numpy()], X[others.numpy()]
            weights = None if weights is None else weights[rows.numpy()]
        first = torch.randint(2**30, (), generator=generator(seed, "sample"))
        seeds = range(int(first), int(first) + self.n_estimators)
        self._inputs.fit(X, weights)
        self.features_ = self._drawn_features(X.shape[1], seeds)
        # Members return arrays, whatever output the user has set.
        template = clone(template).set_output(transform="default")
        if template.calibration == "cross":  # the threshold is that of the ensemble
            template.calibration = None
        members = [clone(template).set_params(random_state=seed) for seed in seeds]
        if self._inputs.columns:  # they get categories as numbers
            for member, columns in zip(members, self.features_, strict=True):
                member.categorical_features = np.isin(columns, self._inputs.columns.categorical)
        table, own, labels = X, weights, np.zeros(len(X)) if template.use_labels else None
        if outliers is not None:  # each member gets them all
            known = self._inputs.validate(self, outliers, reset=False)
            table, labels = np.concatenate([X, known]), np.repeat([0, -1], [len(X), len(known)])
            own = None if weights is None else np.append(weights, np.ones(len(known)))
        drawn = [self._drawn_rows(table, len(X), seed) for seed in seeds]
        tables = list(map(self._columns, drawn, self.features_))
        shares, ys = (
            None if part is None else [self._drawn_rows(part, len(X), seed) for seed in seeds]
            for part in (own, labels)
        )
        self.estimators_ = fit_many(members, tables, shares, ys)
        self.n_components_ = sum(member.n_components_ for member in self.estimators_)
        features = Rows(
            X,
            lambda rows: self._inputs.summary(self._inputs.to_tensor(rows)),
            weights=None if weights is None else torch.from_numpy(weights),
        )
        self._feature_model = feature_model(
            features, template.training_data, self._inputs.n_central
        )
        anomalies = self._member_anomalies(X)
        self.center_, self.scale_ = _center_and_scale(anomalies, weights)
        self._scored_by = score_settings(self)
        training = -self._aggregated(anomalies)
        calibration: np.ndarray | None = None
        if held_out is not None:
            calibration = np.sort(-self._anomalies(held_out))
        elif self.calibration == "cross":
            crossed = self._crossed(given, all_weights, template, seed, outliers)
            calibration = None if crossed is None else no_higher(crossed, training)
        self.calibration_scores_ = calibration
        self.offset_ = threshold(self, training, calibration, weights)

    def _crossed(
        self, X: Any, weights: Any, template: Any, seed: int, outliers: Any
    ) -> np.ndarray | None:
        """Return the scores that halves of the rows, each by an ensemble, give each other."""
        X = X if is_frame(X) else np.asarray(X)
        pairs, scores = halves(len(X), CROSS_ROWS, seed), []
        if min(len(rows) for rows, _ in pairs) < FEWEST_ROWS:
            return None
        n_steps = max(member.n_iter_ for member in self.estimators_)
        part = plain_copy(self)
        part.estimator = clone(template).set_params(
            max_steps=math.ceil(CROSS_SHARE * n_steps), max_epochs=None, verbose=0
        )
        part.calibration, part.random_state = None, seed
        for rows, others in pairs:
            own = None if weights is None else weights[rows.numpy()]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the ensemble itself has warned
                part._train(_safe_indexing(X, rows.numpy()), own, outliers)
                scores.append(part.score_samples(_safe_indexing(X, others.numpy())))
        return np.sort(np.concatenate(scores))

    def _drawn_rows(self, X: Any, n: int, seed: int) -> Any:
        """Draw the training rows of the member with this seed, or their weights or labels.

        They are drawn from the first n rows; the others belong to each member.
        """
        size = _size(self.max_samples, n)
        if size == n and not self.bootstrap:
            return X
        rng = generator(seed, "sample", _ROWS)
        if self.bootstrap:
            rows = torch.randint(n, (size,), generator=rng)
        else:
            rows = torch.randperm(n, generator=rng)[:size]
        rows = X[rows.numpy()]
        return rows if len(X) == n else np.concatenate([rows, X[n:]])

    def _drawn_features(self, n: int, seeds: Sequence[int]) -> np.ndarray:
        """Draw the columns of each member, (n_members, size), so that none is left out."""
        size = _size(self.max_features, n)
        if size * self.n_estimators < n:
            raise ValueError(
                f"max_features={self.max_features} gives each member of {type(self).__name__} "
                f"{size} of {n} columns, so n_estimators={self.n_estimators} members "
                f"cannot see all of them; raise either."
            )
        counts, features = np.zeros(n, dtype=int), []
        for seed in seeds:
            order = torch.randperm(n, generator=generator(seed, "sample", _COLUMNS)).numpy()
            columns = order[np.argsort(counts[order], kind="stable")[:size]]
            counts[columns] += 1
            features.append(np.sort(columns))
        return np.stack(features)

    def _validated(self, X: Any) -> Any:
        check_is_fitted(self)
        return validated(self, X)

    def _rows(self, X: Any) -> Rows:
        return Rows(self._validated(X), Tensor.float)

    def _call_members(self, method: str, X: Any) -> list[Any]:
        """Return the result of a method of each member, on its columns of X.

        Public methods, since a member may know fewer categories, and number them by itself.
        """
        pairs = zip(self.estimators_, self.features_, strict=True)
        return [getattr(member, method)(self._columns(X, columns)) for member, columns in pairs]

    def _columns(self, X: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return what a member gets of rows: columns, with their means where all are missing."""
        if len(columns) == X.shape[1]:
            return X
        part = X[:, columns]
        empty = np.isnan(part).all(axis=1)
        return np.where(empty[:, np.newaxis], self._inputs.mean[columns], part).astype(X.dtype)

    def _reconstruct(self, x: Rows) -> np.ndarray:
        return self._mean_by_column(self._call_members("reconstruct", x.raw), x.raw.dtype)

    def _mean_by_column(self, parts: Sequence[np.ndarray], dtype: np.dtype) -> np.ndarray:
        """Return, for each column, the mean over the members that have it.

        Of a category, it is the one that most members give.
        """
        total = np.zeros((len(parts[0]), self.n_features_in_))
        for columns, part in zip(self.features_, parts, strict=True):
            total[:, columns] += part
        mean = (total / np.bincount(self.features_.ravel())).astype(dtype)
        for column in self._inputs.categorical:
            pairs = zip(self.features_, parts, strict=True)
            votes = [part[:, columns == column] for columns, part in pairs]
            mean[:, column] = mode(np.hstack(votes), axis=1).mode
        return mean

    def _anomalies(self, raw: Any) -> np.ndarray:
        return self._aggregated(self._member_anomalies(raw))

    def _member_anomalies(self, raw: Any) -> np.ndarray:
        return -np.stack(self._call_members("score_samples", raw), axis=1)

    def _aggregated(self, anomalies: np.ndarray) -> np.ndarray:
        self._validate_params()  # aggregation may have been changed after the fit
        # Along the last axis, where rounding does not depend on the number of rows.
        return _AGGREGATES[self.aggregation]((anomalies - self.center_) / self.scale_, axis=1)


def _size(share: float, n: int) -> int:
    # The small number is for products such as 0.07 * 100, which come out above 7.
    return max(1, math.ceil(share * n - 1e-9))


def _center_and_scale(anomalies: np.ndarray, weights: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the median and the distance between the quartiles of each column."""
    quartiles = [percentile(column, [25, 50, 75], weights) for column in anomalies.T]
    low, center, high = np.transpose(quartiles)
    # Where most rows are the same, the quartiles are equal, and the mean deviation is the scale.
    deviation = np.average(np.abs(anomalies - center), axis=0, weights=weights)
    scale = np.where(high > low, high - low, deviation)
    return center, np.where(scale > 0, scale, 1.0)
