"""Many estimators fitted at once."""

import copy
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from numbers import Real
from typing import Any

from sktae._engine.parallel import DataParallelNet
from sktae._engine.settings import usual_settings
from sktae._engine.stack import Run, Unstackable, stackable, train_stacked
from sktae._training.build import objective_parameters
from sktae._training.callbacks import attached_callbacks
from sktae._training.fit import Fit, Needs
from sktae._training.prepare import Prepared
from sktae.base import BaseAutoencoder
from sktae.parameters import plain_copy
from sktae.randomness import seed_of

# Parameters that may differ between the models of a stack, beside the numbers in their objective.
# They concern the rows, the budget, the optimizer or the scores, but not the network.
_MAY_DIFFER = {
    "learning_rate",
    "schedule",
    "weight_decay",
    "max_grad_norm",
    "max_steps",
    "max_epochs",
    "early_stopping",
    "validation_fraction",
    "patience",
    "training_data",
    "use_labels",
    "score_method",
    "contamination",
    "false_alarm_rate",
    "calibration",
    "standardize",
    "random_state",
}


def fit_many(
    estimators: Iterable[Any],
    Xs: Iterable[Any],
    sample_weights: Iterable[Any] | None = None,
    ys: Iterable[Any] | None = None,
) -> list[Any]:
    """Fit many estimators, those of equal structure together, as one stack of models.

    Each model is the one that its own `fit` would give, up to the rounding of sums, but sooner.
    Models may differ in rows, seeds, budgets, early stopping, rates, and the numbers in their
    objective; those with another network or batch size make a stack of their own. What cannot be
    stacked is fitted by its own `fit`: other estimators, estimators with callbacks, other
    optimizers than Adam and AdamW. The fitted attribute `training_path_` says how a fit was made.

    Parameters
    ----------
    estimators : iterable of estimators
        What to fit, in place.

    Xs : iterable of array-like, one for each estimator
        The training rows. An array that is passed several times is prepared once.

    sample_weights : iterable of array-like or None, one for each estimator, default=None
        The weights of the rows; None for equal weights.

    ys : iterable of array-like or None, one for each estimator, default=None
        What is known of the rows, for estimators with `use_labels`, or the groups of rows.

    Returns
    -------
    estimators : list
        The fitted estimators. If a fit raises an error, it is raised after all others are made.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sktae import Autoencoder, fit_many
    >>> X, _ = load_iris(return_X_y=True)
    >>> models = [Autoencoder(2, learning_rate=rate) for rate in (0.001, 0.01)]
    >>> [model.training_path_ for model in fit_many(models, [X, X])]
    ['stacked', 'stacked']
    """
    estimators = list(estimators)
    for number, outcome in enumerate(attempt_many(estimators, Xs, sample_weights, ys)):
        if isinstance(outcome, Exception):
            outcome.add_note(f"This was raised by the fit of estimator {number} of fit_many.")
            raise outcome
    return estimators


def attempt_many(
    estimators: Sequence[Any],
    Xs: Any,
    sample_weights: Any = None,
    ys: Any = None,
    needs: Needs = "labels",
) -> list[Any]:
    """Fit many estimators; return each, or the exception that its fit raised.

    Those that are stacked learn no more than they are needed for. Fits are made on copies, and the
    estimators take over their state when all are done. So an interruption leaves all estimators as
    they were.
    """
    Xs = list(Xs)
    for number, estimator in enumerate(estimators):
        if isinstance(estimator, type) or not hasattr(estimator, "fit"):
            raise TypeError(
                f"fit_many takes estimators, but number {number} of them is {estimator!r}."
            )
    if len(estimators) != len(Xs):
        raise ValueError(
            f"fit_many takes a table for each estimator, but there are {len(estimators)} "
            f"estimators and {len(Xs)} tables. To fit all on one table X, pass [X] * "
            f"{len(estimators)}."
        )
    weights, ys = _each(sample_weights, "sample_weights", Xs), _each(ys, "ys", Xs)
    data = list(zip(Xs, ys, weights, strict=True))
    with usual_settings():
        outcomes = _fit_stacks(estimators, data, needs)
    for n, (estimator, rows) in enumerate(zip(estimators, data, strict=True)):
        if outcomes[n] is None:
            outcomes[n] = _fit_alone(estimator, *rows)
    return _install(estimators, outcomes)


def _each(values: Any, name: str, Xs: Sequence[Any]) -> list[Any]:
    """Return values as a list with one for each table."""
    values = [None] * len(Xs) if values is None else list(values)
    if len(values) != len(Xs):
        raise ValueError(
            f"fit_many takes {name} for each estimator, but there are {len(Xs)} estimators and "
            f"{len(values)} {name}."
        )
    return values


def _install(estimators: Sequence[Any], outcomes: Sequence[Any]) -> list[Any]:
    """Let estimators take over the state of their fitted copies, all of them or none."""
    before = [vars(estimator) for estimator in estimators]
    try:
        for estimator, outcome in zip(estimators, outcomes, strict=True):
            if not isinstance(outcome, Exception):
                estimator.__dict__ = vars(outcome)
    except BaseException:  # an interruption
        for estimator, state in zip(estimators, before, strict=True):
            estimator.__dict__ = state
        raise
    pairs = zip(estimators, outcomes, strict=True)
    return [o if isinstance(o, Exception) else estimator for estimator, o in pairs]


def _fit_stacks(
    estimators: Sequence[Any], data: Sequence[tuple[Any, ...]], needs: Needs
) -> list[Any]:
    """Fit what can be stacked; return fitted copies, errors, or None for what cannot."""
    outcomes: list[Any] = [None] * len(estimators)
    stacks: dict[Any, dict[int, Fit]] = defaultdict(dict)
    tables: dict[Any, Prepared] = {}
    for n, (estimator, (X, y, weight)) in enumerate(zip(estimators, data, strict=True)):
        structure = _structure(estimator)
        if structure is None:
            continue
        try:
            fit = _prepared_fit(estimator, X, y, weight, tables)
        except Exception as error:
            outcomes[n] = error
        else:
            fit.needs = needs
            stacks[structure, _shapes(fit)][n] = fit
    for fits in stacks.values():
        for n, outcome in zip(fits, _fit_stack(list(fits.values())), strict=True):
            outcomes[n] = outcome
    return outcomes


def _shapes(fit: Fit) -> Any:
    """Return what depends on the rows and must be equal in a stack."""
    # Layers and sizes may depend on them, and so does whether values are missing.
    network = repr(fit.net.module_), fit.net.module_.takes_missing
    return fit.plan.batch_size, fit.steps.x.shape, fit.net.device, network


def _prepared_fit(estimator: Any, X: Any, y: Any, weight: Any, tables: dict[Any, Prepared]) -> Fit:
    """Prepare a fit; fits that prepare the same array in the same way share the prepared rows.

    With rows held out, which are drawn by the seed of each estimator, nothing is shared.
    """
    estimator._validate_params()
    seed = seed_of(estimator.random_state)
    own = id(estimator) if isinstance(estimator.calibration, Real) else None
    contaminated = estimator.training_data == "contaminated"
    how = repr(estimator.inputs()), contaminated, estimator.use_labels
    key = id(X), id(y), id(weight), how, own
    if key not in tables:
        tables[key] = Prepared(estimator, X, y, seed, sample_weight=weight)
    return Fit(estimator, tables[key], seed)


def _fit_stack(fits: Sequence[Fit]) -> list[Any]:
    """Train fits as one stack; return fitted copies, errors, or None where that is impossible."""
    if len(fits) < 2 or not all(stackable(fit.net) for fit in fits):
        return [None] * len(fits)
    try:
        errors = _train(fits)
    except Unstackable:
        return [None] * len(fits)
    return [error or _finished(fit) for fit, error in zip(fits, errors, strict=True)]


def _train(fits: Sequence[Fit]) -> list[Exception | None]:
    """Train fits as one stack; return the errors that they raised."""
    runs = [Run(fit.net, fit.steps, fit.valid) for fit in fits]
    with ExitStack() as contexts:
        for fit in fits:
            contexts.enter_context(attached_callbacks(fit))
        train_stacked(runs)
    return [run.error for run in runs]


def _train_halves(fits: Sequence[Fit]) -> None:
    """Train halves of the rows as one stack, if there are two of equal shapes."""
    if len(fits) == 1 or _shapes(fits[0]) != _shapes(fits[1]):
        for fit in fits:
            fit.run()
    else:
        for error in filter(None, _train(fits)):
            raise error


def _finished(fit: Fit) -> Any:
    """Return the fitted copy, or the error of the rest of the fit."""
    try:
        fit.calibrate(_train_halves)
        return fit.estimator._with(fit.finish(), fit.prepared.data[0])
    except Exception as error:
        return error


def _fit_alone(estimator: Any, X: Any, y: Any, weight: Any) -> Any:
    weights = {} if weight is None else {"sample_weight": weight}
    try:
        return copy.copy(estimator).fit(X, y, **weights)
    except Exception as error:
        return error


def _structure(estimator: Any) -> Any:
    """Return what models of one stack have in common, or None for what is not stacked.

    That is their class and all parameters that may not differ. Of an objective, numbers may differ,
    since they become tensors in a stack; strings and booleans choose what is computed.
    """
    if (
        not isinstance(estimator, BaseAutoencoder)
        or type(estimator).fit is not BaseAutoencoder.fit
        or getattr(estimator, "_skl_callbacks", None)
        or estimator.warm_start
        or estimator.checkpoint_dir is not None
        or estimator.init_from is not None
        or estimator.trainable != "all"
        or isinstance(estimator.net, DataParallelNet)
        or estimator.verbose
    ):
        return None
    estimator = plain_copy(estimator)
    numbers = {
        name
        for name, value in objective_parameters(estimator).items()
        if isinstance(value, Real) and not isinstance(value, bool)
    }
    fixed = {
        name: repr(value)
        for name, value in estimator.get_params().items()
        if name not in _MAY_DIFFER | numbers
    }
    return type(estimator), tuple(sorted(fixed.items()))
