"""Searches over hyperparameters that fit all candidates, on all folds, in one call."""

import copy
from collections.abc import Iterator, Sequence
from itertools import product
from numbers import Number
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
from sklearn import get_config
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags, indexable
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.parallel import Parallel, delayed

from sktae._docstrings import inherit_sections
from sktae._fit_many import attempt_many
from sktae._training.progress import CallbackSupportMixin
from sktae.base import BaseAutoencoder


class _Fitted(CallbackSupportMixin):
    """Stands where scikit-learn expects a clone: `fit` turns it into a model fitted before."""

    def __init__(self, model: Any, error: Exception | None):
        self.outcome = model, error

    def __sklearn_tags__(self) -> Any:
        return get_tags(self.outcome[0])

    def set_params(self, **params: Any) -> "_Fitted":
        return self  # the model was made with them

    def fit(self, X: Any, y: Any = None) -> None:
        model, error = self.outcome
        if error is not None:
            raise error
        # Scorers must see the model itself, and scikit-learn goes on with this very object.
        del self.outcome
        self.__dict__.update(vars(model))
        self.__class__ = type(model)


class _Job:
    """A candidate on a fold: its model, and what became of it."""

    def __init__(self, base: Any, params: dict[str, Any], fold: int):
        self.model = clone(base).set_params(**clone(params, safe=False))
        self.last = _stackable(self.model)
        self.head = fold, _head_params(self.model, params)
        self.error: Exception | None = None
        self.training_path = "ordinary"
        self.times: dict[str, float] = {}

    def finish(self, outcome: Any, seconds: float) -> None:
        """Note the fitted last step, or an error, and the time that it took."""
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
    """Find the autoencoder that a model is, or ends with, if nothing else depends on its fit."""
    last = model
    if type(model) is Pipeline and model.memory is None and model.transform_input is None:
        last = model.steps[-1][1] if model.steps else None
    # Callbacks follow a fit of their own.
    followed = any(getattr(part, "_skl_callbacks", ()) for part in (model, last))
    return last if isinstance(last, BaseAutoencoder) and not followed else None


def _head_params(model: Any, params: dict[str, Any]) -> tuple[Any, ...]:
    """Tell apart what candidates set in the steps before the last one."""
    if not isinstance(model, Pipeline) or not model.steps:
        return ()
    last = model.steps[-1][0]
    return tuple(
        (name, type(value), value if isinstance(value, str | Number) else id(value))
        for name, value in sorted(params.items())
        if name.split("__")[0] != last
    )


def _fit_head(model: Any, X: Any, y: Any) -> tuple[Any, float]:
    """Fit the steps before the last one in place; give the rows that it sees, or the error."""
    start = perf_counter()
    outcome = X
    if isinstance(model, Pipeline) and len(model) > 1:
        try:
            outcome = model[:-1].fit_transform(X, y)
        except Exception as error:
            outcome = error
    return outcome, perf_counter() - start


def _fit_lasts(jobs: Sequence[_Job], rows: dict[Any, Any]) -> None:
    """Fit all autoencoders in one call, which returns the errors of those that fail."""
    start = perf_counter()
    outcomes = attempt_many([job.last for job in jobs], [rows[job.head] for job in jobs])
    seconds = perf_counter() - start
    for job, outcome in zip(jobs, outcomes, strict=True):
        job.finish(outcome, seconds / len(jobs))


class _Counter:
    """Hands out fitted models, in the order in which a search asks for clones to fit."""

    def __init__(self, search: Any, X: Any, y: Any, split_params: dict[str, Any]):
        self.estimator, self.n_jobs = search.estimator, search.n_jobs
        self.X, self.y = indexable(X, y)
        self.split_params = split_params
        self.jobs: list[_Job] = []
        self.stand_in = clone(search.estimator)
        self.stand_in.__sklearn_clone__ = self.give
        # A search clones its estimator, and then that clone for each fit.
        self.queue: Iterator[Any] = iter([self.stand_in])

    def __getstate__(self) -> dict[str, Any]:
        return {}  # workers get the search and its scorers, but the models one by one

    def give(self) -> Any:
        model = next(self.queue, None)
        return clone(self.estimator) if model is None else model

    def take(self, candidates: Sequence[dict[str, Any]], cv: Any) -> Any:
        """Take an order; its models are fitted once the first is asked for."""
        splits = list(cv.split(self.X, self.y, **self.split_params))
        self.queue = self.serve(candidates, splits)
        return check_cv(splits)  # what is drawn at random must not be drawn twice

    def serve(self, candidates: Sequence[dict[str, Any]], splits: list[Any]) -> Iterator[Any]:
        pairs = product(candidates, range(len(splits)))
        jobs = [_Job(self.estimator, params, fold) for params, fold in pairs]
        self.jobs += jobs
        ours = [job for job in jobs if job.last is not None]
        rows = self.fit_heads(ours, splits)
        _fit_lasts([job for job in ours if job.error is None], rows)
        for job in jobs:
            ordinary = job.last is None
            yield clone(self.estimator) if ordinary else _Fitted(job.model, job.error)

    def fit_heads(self, jobs: Sequence[_Job], splits: list[Any]) -> dict[Any, Any]:
        """Fit the steps before the last one, once for all candidates that share them."""
        groups: dict[Any, list[_Job]] = {}
        for job in jobs:
            groups.setdefault(job.head, []).append(job)
        models = {head: group[0].model for head, group in groups.items()}
        # Threads, since the steps are fitted in place.
        outcomes = Parallel(n_jobs=self.n_jobs, require="sharedmem")(
            delayed(_fit_head)(model, *_safe_split(model, self.X, self.y, splits[head[0]][0]))
            for head, model in models.items()
        )
        rows = {}
        for (head, group), (rows[head], seconds) in zip(groups.items(), outcomes, strict=True):
            for job in group:
                job.times = {"fit_time": seconds / len(group)}
                if isinstance(rows[head], Exception):
                    job.finish(rows[head], 0)
                elif isinstance(job.model, Pipeline):
                    job.model.steps[:-1] = models[head].steps[:-1]
        return rows


class _StackedSearch:
    """What turns a search of scikit-learn into one that fits everything at once.

    Parameters
    ----------
    estimator : estimator
        What to fit: an autoencoder, or a pipeline that ends with one. Any other estimator is
        fitted in the ordinary way.

    scoring : str, callable, list, tuple or dict, default=None
        What to score models with; None for the `score` method of the estimator.

    n_jobs : int, default=None
        Processes that score the models and make the ordinary fits, and threads that fit the steps
        before the autoencoder. One process trains the autoencoders.

    refit : bool, str or callable, default=True
        Whether to fit the best candidate on all rows. With several scores, the name of the one
        that counts. A callable takes `cv_results_` and gives the index of the best candidate.

    cv : int, cross-validation generator or iterable, default=None
        How to split the rows; None for 5 folds.

    verbose : int, default=0
        How much scikit-learn tells.

    pre_dispatch : int or str, default="2*n_jobs"
        How many jobs are sent to the processes ahead of time.

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
        Its place in `cv_results_`.

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

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._parameter_constraints = super()._parameter_constraints  # type: ignore[misc]
        inherit_sections(cls)

    def fit(self, X, y=None, **params):
        """Fit all candidates on all folds, then the best one on all rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to learn from.

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
        ours = isinstance(self.estimator, BaseAutoencoder) or type(self.estimator) is Pipeline
        if ours and not routed and not params.keys() - {"groups"}:
            fresh._counter = _Counter(self, X, y, params)
            fresh.estimator = fresh._counter.stand_in
            fresh.cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        super(_StackedSearch, fresh).fit(X, y, **params)
        vars(fresh).pop("_counter", None)
        fresh.estimator, fresh.cv = self.estimator, self.cv
        self.__dict__ = fresh.__dict__
        return self

    def _run_search(self, evaluate_candidates, *, callback_ctx=None):
        def evaluate(candidates, cv=None, more_results=None, **context):
            candidates = list(candidates)
            cv = self._counter.take(candidates, cv or self.cv)
            return evaluate_candidates(candidates, cv, more_results, **context)

        # Only scikit-learn 1.9 and later have the context.
        context = {} if callback_ctx is None else {"callback_ctx": callback_ctx}
        stacked = hasattr(self, "_counter")
        super()._run_search(evaluate if stacked else evaluate_candidates, **context)

    def _format_results(self, candidate_params, n_splits, out, more_results=None):
        paths = ["ordinary"] * len(out)
        if hasattr(self, "_counter"):
            jobs = self._counter.jobs
            paths = [job.training_path for job in jobs]
            out = [{**result, **job.times} for result, job in zip(out, jobs, strict=True)]
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
