"""Searches over hyperparameters that fit all candidates, on all folds, in one call.

scikit-learn's search clones its estimator once for each candidate and fold, and fits and scores the
clones one by one. All of that stays scikit-learn's. Only the clones are others: when a search asks
for the first one, `_FittedModels` fits all models together, and then passes out models that are
fitted already, in the order in which the search asks. So scoring, results and refit are those of
scikit-learn, whatever its version does there.
"""

import copy
from collections.abc import Iterator, Sequence
from itertools import product
from numbers import Number
from time import perf_counter
from typing import Any, ClassVar, Self

import numpy as np
from joblib import parallel_config
from sklearn import get_config
from sklearn.base import MetaEstimatorMixin, clone, is_classifier
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags, indexable
from sklearn.utils.metaestimators import _safe_split, available_if
from sklearn.utils.parallel import Parallel, delayed

from sktae._docstrings import inherit_sections
from sktae._fit_many import attempt_many
from sktae._pipelines import events, explain, last_step, p_values, select
from sktae._training.fit import Needs
from sktae._training.progress import CallbackSupportMixin
from sktae.base import BaseAutoencoder
from sktae.families.sequence import SequenceAutoencoder
from sktae.parameters import Declared

# Scores that depend on reconstructions alone, and those that depend on no threshold.
_RECONSTRUCTING = {BaseAutoencoder.score, SequenceAutoencoder.score}
_RANKING = ("roc_auc", "average_precision")


class _Prefitted(CallbackSupportMixin):
    """What scikit-learn gets instead of a clone: `fit` turns it into a model fitted before."""

    def __init__(self, model: Any, error: Exception | None):
        self.outcome = model, error

    def __sklearn_tags__(self) -> Any:
        return get_tags(self.outcome[0])

    def set_params(self, **params: Any) -> "_Prefitted":
        return self  # the model was made with them

    def fit(self, X: Any, y: Any = None) -> None:
        model, error = self.outcome
        if error is not None:
            raise error
        # Scorers must see the model itself, and scikit-learn goes on with this very object.
        del self.outcome
        self.__dict__.update(vars(model))
        self.__class__ = type(model)


class _CandidateFit:
    """The fit of a candidate on a fold: its model, then the fitted model or an error.

    `autoencoder` is the final estimator, if it can be stacked. `preprocessing` identifies the
    steps before it and their rows: fits for which it is equal share the fitted steps.
    """

    def __init__(self, base: Any, params: dict[str, Any], fold: int):
        self.model = clone(base).set_params(**clone(params, safe=False))
        self.autoencoder = _stackable(self.model)
        self.preprocessing = fold, _preprocessing_params(self.model, params)
        self.error: Exception | None = None
        self.training_path = "ordinary"
        self.times: dict[str, float] = {}

    def finish(self, outcome: Any, seconds: float) -> None:
        """Take the fitted final estimator, or an error, and the time that the fit took."""
        self.times = {"fit_time": seconds + self.times.get("fit_time", 0)}
        if isinstance(outcome, Exception):
            self.error, self.training_path = outcome, "failed"
            return
        self.training_path = getattr(outcome, "training_path_", "plain")
        if isinstance(self.model, Pipeline):
            self.model.steps[-1] = (self.model.steps[-1][0], outcome)
        else:
            self.model = outcome


def _stackable(model: Any) -> BaseAutoencoder | None:
    """Return the autoencoder that a model is, or ends with, or None if scikit-learn must fit it.

    A pipeline that caches its steps, or routes its input, does more than fit one step after the
    other. Callbacks of scikit-learn follow one fit, so they need a fit of their own.
    """
    final = model
    if type(model) is Pipeline and model.memory is None and model.transform_input is None:
        final = model.steps[-1][1] if model.steps else None
    has_callbacks = any(getattr(part, "_skl_callbacks", ()) for part in (model, final))
    return final if isinstance(final, BaseAutoencoder) and not has_callbacks else None


def _preprocessing_params(model: Any, params: dict[str, Any]) -> tuple[Any, ...]:
    """Return a candidate's parameters of the preprocessing steps, as a key of a dictionary.

    Strings and numbers are compared by type and value; other objects, which may not be hashable,
    are equal only to themselves.
    """
    if not isinstance(model, Pipeline) or not model.steps:
        return ()
    final = model.steps[-1][0]
    return tuple(
        (name, type(value), value if isinstance(value, str | Number) else id(value))
        for name, value in sorted(params.items())
        if name.split("__")[0] != final
    )


def _fit_preprocessing(model: Any, X: Any, y: Any) -> tuple[Any, Any, float]:
    """Fit the preprocessing steps in place.

    Return transformed rows, or the error; what y has for them; and the time.
    """
    start = perf_counter()
    outcome = X
    if isinstance(model, Pipeline) and len(model) > 1:
        try:
            outcome = model[:-1].fit_transform(X, y)
        except Exception as error:
            outcome = error
    return outcome, y, perf_counter() - start


def _needs(autoencoders: Sequence[Any], scoring: Any) -> Needs:
    """Return what candidates have to learn for a `scoring`; the model of the refit learns all."""
    ours = {type(each).score for each in autoencoders} <= _RECONSTRUCTING
    if scoring is None and ours:
        return "reconstructions"
    return "scores" if scoring in _RANKING else "labels"


def _fit_autoencoders(fits: Sequence[_CandidateFit], rows: dict[Any, Any], scoring: Any) -> None:
    """Fit the final estimators in one call, which returns the errors of those that fail."""
    start = perf_counter()
    autoencoders = [fit.autoencoder for fit in fits]
    Xs, ys = ([rows[fit.preprocessing][n] for fit in fits] for n in (0, 1))
    outcomes = attempt_many(autoencoders, Xs, ys=ys, needs=_needs(autoencoders, scoring))
    seconds = perf_counter() - start
    for fit, outcome in zip(fits, outcomes, strict=True):
        fit.finish(outcome, seconds / len(fits))  # an equal share of the time of all


class _FittedModels:
    """Fits all models of a search, and returns them one by one as the clones that it asks for.

    The search gets `base`, a clone of its estimator with a `__sklearn_clone__` of ours.
    """

    def __init__(self, search: Any, X: Any, y: Any, split_params: dict[str, Any]):
        self.estimator, self.n_jobs = search.estimator, search.n_jobs
        self.scoring = search.scoring
        self.X, self.y = indexable(X, y)
        self.split_params = split_params
        self.fits: list[_CandidateFit] = []
        self.base = clone(search.estimator)
        self.base.__sklearn_clone__ = self.next_clone
        # A search first clones its estimator, and then that clone for each fit. The first clone
        # must be `base` itself, since another one would not have this method.
        self.clones: Iterator[Any] = iter([self.base])

    def __getstate__(self) -> dict[str, Any]:
        return {}  # workers get the search and its scorers, but the models one by one

    def next_clone(self) -> Any:
        """Return the next model; after the last one, such as for the refit, an ordinary clone."""
        model = next(self.clones, None)
        return clone(self.estimator) if model is None else model

    def set_candidates(self, candidates: Sequence[dict[str, Any]], cv: Any) -> Any:
        """Set what the next clones are; they are fitted when the search asks for the first.

        Return the folds that the search must use: those of a random splitter, drawn once.
        """
        splits = list(cv.split(self.X, self.y, **self.split_params))
        self.clones = self.fitted(candidates, splits)
        return check_cv(splits)

    def fitted(self, candidates: Sequence[dict[str, Any]], splits: list[Any]) -> Iterator[Any]:
        """Fit all candidates on all folds; yield them in the order in which a search fits them."""
        pairs = product(candidates, range(len(splits)))
        fits = [_CandidateFit(self.estimator, params, fold) for params, fold in pairs]
        self.fits += fits
        stackable = [fit for fit in fits if fit.autoencoder is not None]
        rows = self.fit_preprocessing(stackable, splits)
        _fit_autoencoders([f for f in stackable if f.error is None], rows, self.scoring)
        for fit in fits:
            ordinary = fit.autoencoder is None
            yield clone(self.estimator) if ordinary else _Prefitted(fit.model, fit.error)

    def fit_preprocessing(self, fits: Sequence[_CandidateFit], splits: list[Any]) -> dict[Any, Any]:
        """Fit preprocessing steps, once for all fits that share them; return what they leave."""
        groups: dict[Any, list[_CandidateFit]] = {}
        for fit in fits:
            groups.setdefault(fit.preprocessing, []).append(fit)
        models = {key: group[0].model for key, group in groups.items()}
        # Threads, since the steps are fitted in place.
        outcomes = Parallel(n_jobs=self.n_jobs, require="sharedmem")(
            delayed(_fit_preprocessing)(
                model, *_safe_split(model, self.X, self.y, splits[key[0]][0])
            )
            for key, model in models.items()
        )
        rows = {}
        for (key, group), (X, y, seconds) in zip(groups.items(), outcomes, strict=True):
            rows[key] = X, y
            for fit in group:
                fit.times = {"fit_time": seconds / len(group)}
                if isinstance(X, Exception):
                    fit.finish(X, 0)
                elif isinstance(fit.model, Pipeline):
                    fit.model.steps[:-1] = models[key].steps[:-1]
        return rows


def _best_has(method: str) -> Any:
    """Return a check of searches for a method of the detector that they have chosen."""
    return lambda search: hasattr(last_step(search), method)


class _StackedSearch(MetaEstimatorMixin):
    """Base of the stacked searches, before a search of scikit-learn, which does all but the fits.

    Parameters
    ----------
    estimator : estimator
        An autoencoder, or a pipeline that ends with one. Any other estimator is fitted in the
        ordinary way, by scikit-learn.

    scoring : str, callable, list, tuple or dict, default=None
        What to score models with; None for the `score` method of the estimator.

    n_jobs : int, default=None
        Threads that score the models, make the ordinary fits and fit the steps before the
        autoencoder. One thread trains the autoencoders. `joblib.parallel_config("loky")` scores
        and makes the ordinary fits in processes, each of which first imports torch.

    refit : bool, str or callable, default=True
        Whether to fit the best candidate on all rows. With several scores, the name of the one
        that decides. A callable takes `cv_results_` and gives the index of the best candidate.

    cv : int, cross-validation generator or iterable, default=None
        How to split the rows; None for 5 folds.

    verbose : int, default=0
        How much scikit-learn prints.

    pre_dispatch : int or str, default="2*n_jobs"
        How many fits and scores are sent to the processes ahead of time.

    error_score : "raise" or float, default=np.nan
        Score of a candidate whose fit fails, or "raise" to fail with it.

    return_train_score : bool, default=False
        Whether to score the rows trained on as well.

    Attributes
    ----------
    cv_results_ : dict of ndarray
        One value for each candidate, by the names that scikit-learn gives them. "training_path" is
        added: how the fits were made, "ordinary" for those made one by one by scikit-learn,
        "failed" for those that raised an error. `mean_fit_time` is an equal share of the time of
        all.

    best_estimator_ : estimator
        The best candidate, fitted on all rows; only with `refit`.

    best_score_ : float
        Its mean score on the folds.

    best_params_ : dict
        Its parameters.

    best_index_ : int
        Its index in `cv_results_`.

    scorer_ : callable or dict
        What scored the models.

    n_splits_ : int
        Number of folds.

    refit_time_ : float
        Seconds that the last fit took; only with `refit`.

    multimetric_ : bool
        Whether there are several scores.

    classes_ : ndarray
        Labels, where the best estimator has any.

    n_features_in_ : int
        Number of columns seen in `fit`; only with `refit`.

    feature_names_in_ : ndarray
        Names of the columns seen in `fit`, where all of them are strings; only with `refit`.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {}  # the sections above are to be inherited
    _doc_link_module: ClassVar = Declared._doc_link_module
    _doc_link_template: ClassVar = Declared._doc_link_template

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._parameter_constraints = super()._parameter_constraints  # type: ignore[misc]
        inherit_sections(cls)

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Fit all candidates on all folds, then the best one on all rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows.

        y : array-like of shape (n_samples,), default=None
            Labels, where the scores need them.

        **params : dict
            `groups` goes to the splitter. With anything else, such as sample weights, all fits
            are ordinary ones.

        Returns
        -------
        self : object
            The fitted search.
        """
        # On a copy, so that a fit that fails or is interrupted leaves nothing half done.
        fresh = copy.copy(self)
        routed = params and get_config()["enable_metadata_routing"]
        stacks = isinstance(self.estimator, BaseAutoencoder) or type(self.estimator) is Pipeline
        if stacks and not routed and not params.keys() - {"groups"}:
            fresh._models = _FittedModels(self, X, y, params)
            fresh.estimator = fresh._models.base
            fresh.cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        # Fitted models are scored in less time than a process takes to import torch.
        hints = {"prefer": "threads"} if hasattr(fresh, "_models") else {}
        with parallel_config(**hints):
            super(_StackedSearch, fresh).fit(X, y, **params)
        fresh.__dict__.pop("_models", None)
        fresh.estimator, fresh.cv = self.estimator, self.cv
        self.__dict__ = fresh.__dict__
        return self

    @available_if(_best_has("explain"))
    def explain(self, X: Any) -> Any:
        """Compute which columns make rows unusual, by the best estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to explain.

        Returns
        -------
        contributions : DataFrame of shape (n_samples, n_columns)
            As of `sktae.explain`.
        """
        return explain(self, X)

    @available_if(_best_has("p_values"))
    def p_values(self, X: Any) -> Any:
        """Compute how often normal rows would look at least as unusual, by the best estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to judge.

        Returns
        -------
        p_values : ndarray of shape (n_samples,)
            As of `sktae.p_values`.
        """
        return p_values(self, X)

    @available_if(_best_has("select"))
    def select(self, X: Any, fdr: float = 0.1) -> Any:
        """Select outliers at a given false discovery rate, by the best estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to judge together.

        fdr : float, default=0.1
            False discovery rate.

        Returns
        -------
        selected : ndarray of shape (n_samples,), bool
            As of `sktae.select`.
        """
        return select(self, X, fdr)

    @available_if(_best_has("events"))
    def events(self, X: Any) -> Any:
        """List the intervals of outliers in a series, by the best estimator.

        Parameters
        ----------
        X : array-like of shape (n_timepoints, n_channels)
            The series to judge.

        Returns
        -------
        events : DataFrame
            As of `sktae.events`.
        """
        return events(self, X)

    def _run_search(self, evaluate_candidates: Any, *, callback_ctx: Any = None) -> None:
        def evaluate(
            candidates: Any, cv: Any = None, more_results: Any = None, **context: Any
        ) -> Any:
            candidates = list(candidates)
            cv = self._models.set_candidates(candidates, cv or self.cv)
            return evaluate_candidates(candidates, cv, more_results, **context)

        # Only scikit-learn 1.9 and later have the context.
        context = {} if callback_ctx is None else {"callback_ctx": callback_ctx}
        stacked = hasattr(self, "_models")
        super()._run_search(evaluate if stacked else evaluate_candidates, **context)

    def _format_results(
        self, candidate_params: Any, n_splits: int, out: Any, more_results: Any = None
    ) -> dict[str, Any]:
        paths = ["ordinary"] * len(out)
        if hasattr(self, "_models"):
            fits = self._models.fits
            paths = [fit.training_path for fit in fits]
            # scikit-learn has timed the `fit` of `_Prefitted`, which does nothing.
            out = [{**result, **fit.times} for result, fit in zip(out, fits, strict=True)]
        results = super()._format_results(candidate_params, n_splits, out, more_results)
        by_candidate = np.reshape(paths, (len(candidate_params), n_splits))
        results["training_path"] = np.array(["+".join(sorted(set(own))) for own in by_candidate])
        return results


class StackedGridSearchCV(_StackedSearch, GridSearchCV):
    """`GridSearchCV` that trains all its autoencoders at once.

    Takes the place of scikit-learn's `GridSearchCV`: same parameters, same results.

    Parameters
    ----------
    param_grid : dict or list of dict
        Values to try, by the name of the parameter.

    See Also
    --------
    StackedRandomizedSearchCV
    AutoencoderEnsemble

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sktae import Autoencoder, StackedGridSearchCV
    >>> X, _ = load_iris(return_X_y=True)
    >>> grid = {"n_components": [1, 2, 3]}
    >>> search = StackedGridSearchCV(Autoencoder(max_steps=50, random_state=0), grid).fit(X)
    >>> search.best_params_
    {'n_components': 3}
    """


class StackedRandomizedSearchCV(_StackedSearch, RandomizedSearchCV):
    """`RandomizedSearchCV` that trains all its autoencoders at once.

    Takes the place of scikit-learn's `RandomizedSearchCV`: same parameters, same results.

    Parameters
    ----------
    param_distributions : dict or list of dict
        Distributions, or lists of values, to draw from, by the name of the parameter.

    n_iter : int, default=10
        Number of candidates.

    random_state : int, RandomState instance or None, default=None
        What draws the candidates.

    See Also
    --------
    StackedGridSearchCV
    AutoencoderEnsemble

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from sktae import Autoencoder, StackedRandomizedSearchCV
    >>> X, _ = load_iris(return_X_y=True)
    >>> model = Autoencoder(2, max_steps=50, random_state=0)
    >>> rates = {"learning_rate": loguniform(1e-4, 1e-2)}
    >>> search = StackedRandomizedSearchCV(model, rates, n_iter=4, random_state=0).fit(X)
    >>> bool(search.best_params_["learning_rate"] > 1e-3)
    True
    """
