"""Classification and regression on the code of an autoencoder."""

import copy
from abc import abstractmethod
from dataclasses import field, replace
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import torch
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, _fit_context, clone
from sklearn.metrics import accuracy_score
from sklearn.utils import check_consistent_length, column_or_1d, get_tags
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_array, check_is_fitted
from torch import Tensor, nn
from torch.nn import functional as F

from sktae._docstrings import inherit_sections
from sktae._engine.batches import TrainingSteps
from sktae._engine.freeze import passes_gradients
from sktae._engine.net import AutoencoderNet
from sktae._engine.objective import Objective
from sktae._engine.rows import Loaded, Rows
from sktae._engine.settings import usual_settings
from sktae._inner import InnerMixin, check_inner, without_threshold
from sktae._training.prepare import read_once
from sktae.autoencoders.denoising import DenoisingAutoencoder
from sktae.datasets import TableDataset
from sktae.inputs.datasets import SparseRows
from sktae.inputs.weights import check_weights
from sktae.parameters import Count, Declared, Positive, Seed, plain_copy, take_over
from sktae.randomness import Draw, Label, Neighbor, Plan, seed_of

# Largest step size of the head alone, whose loss is convex.
_HEAD_RATE = 0.01
# Steps with max_steps="auto", and passes over the rows, of which more memorize few rows: see
# benchmarks/results/quality/few_labels.csv.
_STEPS, _PASSES = 500, 50


class Output(NamedTuple):
    output: Tensor  # (n, m), one number for each class or target
    target: Tensor  # (n, m), what they should be


class Head(nn.Module):
    """A linear map of codes, which it first scales to mean 0 and variance 1."""

    noise: tuple[Draw, ...] = ()

    mean: Tensor
    scale: Tensor

    def __init__(self, codes: Tensor, n_outputs: int):
        super().__init__()
        deviation = codes.std(0, correction=0)
        self.register_buffer("mean", codes.mean(0))
        self.register_buffer("scale", torch.where(deviation > 0, deviation, 1.0))
        self.weight = nn.Parameter(codes.new_zeros(n_outputs, codes.shape[1]))
        self.bias = nn.Parameter(codes.new_zeros(n_outputs))

    def forward(self, code: Tensor, target: Tensor) -> Output:
        scaled = (code - self.mean) / self.scale
        return Output(F.linear(scaled, self.weight, self.bias), target)


class EncoderAndHead(nn.Module):
    """The network of an autoencoder, and a head on its code."""

    def __init__(self, estimator: Any, x: Rows, head: Head):
        super().__init__()
        self.module, self.head = estimator.net_.module_.requires_grad_(), head
        self.network = estimator._network(x)  # completes rows, if values are missing
        # What labels say of rows is for the fit of the autoencoder alone.
        noise = self.module.noise
        noise = [replace(d, target_weight=0.0) if isinstance(d, Neighbor) else d for d in noise]
        self.noise = () if Label() in noise else tuple(noise)

    def train(self, mode: bool = True) -> "EncoderAndHead":
        # Statistics of training rows, such as those of a batch norm, stay those of the fit.
        super().train(mode)
        self.module.eval()
        return self

    def forward(self, x: Tensor, *noise: Tensor) -> Output:
        return self.head(self.network(x, *noise[:-1]).code, noise[-1])


class FineTuned(InnerMixin, Declared):
    """Base of estimators that learn a target by a head, a linear map of an autoencoder's code.

    Parameters
    ----------
    estimator : autoencoder, FrozenEstimator or None, default=None
        The autoencoder. A fitted one is taken as it is; an unfitted one is first fitted to `X`. It
        is copied and stays as it is. Searches and pipelines clone it, which leaves it unfitted:
        wrap a fitted one in scikit-learn's `FrozenEstimator`. None is `DenoisingAutoencoder()`.

    trainable : {"all", "head"}, default="all"
        Which weights are trained for the target: "head", those of a linear map of the code. "all":
        first these, and then those of the encoder together with them, from rows with the noise of
        the autoencoder's own training. With a head that has learned nothing yet, the encoder would
        lose some of what it has learned.

    learning_rate : float, default=0.001
        Largest step size of encoder and head. That of the head alone is 0.01.

    batch_size : int, default=32
        Number of rows in a training step. If there are fewer rows, a step takes all of them.

    max_steps : int or "auto", default="auto"
        Number of training steps, of the head alone and again of both. "auto" is 500, but at most
        50 passes over the rows with a target, since few rows would be memorized.

    random_state : int, RandomState instance or None, default=None
        Seed of the order of rows and of noise. An unfitted autoencoder without one gets it, too.

    Attributes
    ----------
    estimator_ : autoencoder
        The autoencoder with the trained encoder: its `transform` returns the codes. Its decoder,
        scores and threshold are those from before the encoder was trained for the target.

    n_features_in_ : int
        Number of columns seen in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen in `fit`, where all of them are strings.
    """

    estimator: BaseEstimator | None = field(default=None, kw_only=False)
    trainable: Literal["all", "head"] = "all"
    learning_rate: Positive = 0.001
    batch_size: Count = 32
    max_steps: Literal["auto"] | Count = "auto"
    random_state: Seed = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        inherit_sections(cls)

    @abstractmethod
    def _learn_targets(self, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the targets of rows, (n, m), and the weight of each row, (n,)."""

    def _scaled(self, targets: np.ndarray) -> np.ndarray:
        """Return the targets of the rows that are trained on, as the head is to learn them."""
        return targets

    @staticmethod
    @abstractmethod
    def _objective(x: Tensor, out: Output) -> dict[str, Tensor]:
        """Return what is minimized, as the objective of an autoencoder."""

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train head and encoder.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or what else the autoencoder takes
            The training rows.

        y : array-like of shape (n_samples,)
            What is to be predicted.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows, as in the `fit` of the autoencoder. None for equal weights.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        check_consistent_length(X, y)
        fresh = plain_copy(self)
        fresh._train(X, y, sample_weight)
        take_over(self, fresh)  # only now, so that a fit that fails changes nothing
        return self

    def _train(self, X: Any, y: Any, sample_weight: Any) -> None:
        targets, given = self._learn_targets(y)
        given = given * _check_sample_weight(sample_weight, X, dtype=np.float64)
        weights, chosen = check_weights(given, X)
        targets = self._scaled(targets if chosen is None else targets[chosen])
        seed = seed_of(self.random_state)
        self.estimator_ = self._autoencoder(X, sample_weight, seed)
        with usual_settings():
            x = self.estimator_._rows(X)
            x = x if chosen is None else x.choose(torch.from_numpy(chosen))
            codes = self.estimator_._apply(lambda network, x: network(x).code, x)
            codes = Loaded(torch.from_numpy(codes).to(x.device))
            head = Head(codes.x, targets.shape[1])
            codes.labels = torch.from_numpy(targets).float()
            codes.weights = None if weights is None else torch.from_numpy(weights)
            self._minimize(head, codes, _HEAD_RATE, seed)
            if self.trainable == "all":
                module, x = self._with_encoder(head, x)
                x.labels, x.weights = codes.labels, codes.weights
                self._minimize(module, x, self.learning_rate, seed)
            with torch.no_grad():
                weight = head.weight / head.scale
                bias = head.bias - weight @ head.mean
        self._weight, self._bias = weight.cpu().numpy(), bias.cpu().numpy()

    def _autoencoder(self, X: Any, sample_weight: Any, seed: int) -> Any:
        """Return a copy of the autoencoder if it is fitted, or fit one to the rows."""
        given = self._given
        given = getattr(given, "estimator", given)  # what a FrozenEstimator holds
        check_inner(self, given)
        if given.__sklearn_is_fitted__():
            return copy.deepcopy(given)
        fresh = without_threshold(clone(given))
        if fresh.random_state is None:
            fresh.random_state = seed
        return fresh.fit(X, sample_weight=sample_weight)

    def _with_encoder(self, head: Head, x: Rows) -> tuple[EncoderAndHead, Any]:
        """Return encoder and head as one module, and its rows."""
        module = EncoderAndHead(self.estimator_, x, head)
        if not passes_gradients(module.module, x.slice(0, 1).nan_to_num()):
            raise ValueError(
                f"The code of {type(self.estimator_).__name__} is discrete, so its encoder cannot "
                f"be trained through it: set trainable='head'."
            )
        # Another Dataset may augment rows.
        fixed = isinstance(x.raw, np.ndarray | SparseRows | TableDataset)
        return module, read_once(x) if fixed else x

    def _minimize(self, module: Any, x: Any, rate: float, seed: int) -> None:
        """Train a module on rows with labels."""
        plan = Plan(seed, len(x), min(self.batch_size, len(x)), (*module.noise, Label()))
        automatic = min(_STEPS, _PASSES * plan.steps_per_pass)
        n_steps = automatic if self.max_steps == "auto" else self.max_steps
        steps = TrainingSteps(x, plan, 0, n_steps, n_steps)
        net = AutoencoderNet(
            module,
            Objective(self._objective, {}),
            lr=rate,
            optimizer__weight_decay=0.0,
            schedule="cosine",
            precision=self.estimator_.precision,
            device=x.device,
        )
        net.partial_fit(steps, epochs=steps.n_blocks)

    def _outputs(self, X: Any) -> np.ndarray:
        """Return the outputs of the head, (n, m)."""
        check_is_fitted(self)
        estimator = self.estimator_
        weight, bias = (
            torch.from_numpy(part).to(estimator.net_.device) for part in (self._weight, self._bias)
        )

        def outputs(network: Any, x: Tensor) -> Tensor:
            return F.linear(network(x).code, weight, bias)

        return estimator._apply(outputs, estimator._rows(X)).astype(np.float64)

    @property
    def _given(self) -> Any:
        return DenoisingAutoencoder() if self.estimator is None else self.estimator

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags = get_tags(self._given).input_tags
        return tags


class AutoencoderClassifier(ClassifierMixin, FineTuned):
    """Classifier: a linear model on the code of an autoencoder, which is trained with it.

    Minimizes the cross-entropy of the classes. With few labels, the autoencoder may learn from
    other rows before: give a fitted one, or mark rows without a label by `unlabeled`.

    Parameters
    ----------
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes. "balanced": all classes count alike, however many rows they have.
        None: all rows count alike. Training steps draw rows in proportion to their weights.

    unlabeled : int, str or None, default=None
        The value of `y` that marks rows without a label. From these, only an unfitted autoencoder
        learns. It is -1 in scikit-learn's semi-supervised classifiers. None: all rows have a label.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes.

    See Also
    --------
    AutoencoderRegressor
    DenoisingAutoencoder

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sktae import Autoencoder, AutoencoderClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = AutoencoderClassifier(Autoencoder(2, random_state=0), random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.9
    True
    """

    class_weight: dict | Literal["balanced"] | None = None
    unlabeled: int | str | None = None

    def _learn_targets(self, y: Any) -> tuple[np.ndarray, np.ndarray]:
        y = column_or_1d(y, warn=True)
        known = self._is_known(y)
        check_classification_targets(y[known])
        self.classes_, numbers = np.unique(y[known], return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"{type(self).__name__} needs rows of more than one class, but y has the classes "
                f"{self.classes_.tolist()}."
            )
        targets, weights = np.zeros((len(y), len(self.classes_))), np.zeros(len(y))
        targets[np.flatnonzero(known), numbers] = 1.0
        weights[known] = compute_sample_weight(self.class_weight, y[known])
        return targets, weights

    @staticmethod
    def _objective(x: Tensor, out: Output) -> dict[str, Tensor]:
        return {"cross_entropy": -(out.target * out.output.log_softmax(1)).sum(1)}

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Compute the accuracy of the predictions.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        y : array-like of shape (n_samples,)
            Their classes. Rows without a label, `unlabeled`, do not count.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows.

        Returns
        -------
        accuracy : float
            Share of rows whose class is predicted.
        """
        y = column_or_1d(y)
        known = self._is_known(y)
        weights = known if sample_weight is None else known * np.asarray(sample_weight)
        return accuracy_score(y, self.predict(X), sample_weight=weights)

    def _is_known(self, y: np.ndarray) -> np.ndarray:
        """Return which rows have a label."""
        return np.ones(len(y), bool) if self.unlabeled is None else y != self.unlabeled

    def decision_function(self, X: Any) -> np.ndarray:
        """Compute the outputs of the head.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
            Logarithms of the probabilities of classes, up to a constant in each row. For two
            classes, that of the second minus that of the first.
        """
        outputs = self._outputs(X)
        return outputs[:, 1] - outputs[:, 0] if len(self.classes_) == 2 else outputs

    def predict_proba(self, X: Any) -> np.ndarray:
        """Compute the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        return softmax(self._outputs(X), axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the most likely class of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        classes : ndarray of shape (n_samples,)
            Classes.
        """
        numbers = self._outputs(X).argmax(axis=1)
        return self.classes_[numbers]


class AutoencoderRegressor(RegressorMixin, FineTuned):
    """Regressor: a linear model on the code of an autoencoder, which is trained with it.

    Minimizes the squared error of each target, in units of its standard deviation.

    See Also
    --------
    AutoencoderClassifier
    DenoisingAutoencoder

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sktae import Autoencoder, AutoencoderRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = AutoencoderRegressor(Autoencoder(4, random_state=0), random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.4
    True
    """

    def _learn_targets(self, y: Any) -> tuple[np.ndarray, np.ndarray]:
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        self._one_target = y.ndim == 1
        return y.reshape(len(y), -1), np.ones(len(y))

    def _scaled(self, targets: np.ndarray) -> np.ndarray:
        self._center, scale = targets.mean(axis=0), targets.std(axis=0)
        self._scale = np.where(scale > 0, scale, 1.0)
        return (targets - self._center) / self._scale

    @staticmethod
    def _objective(x: Tensor, out: Output) -> dict[str, Tensor]:
        return {"squared_error": (out.target - out.output).square()}

    def predict(self, X: Any) -> np.ndarray:
        """Predict the target of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets)
            Predictions.
        """
        outputs = self._outputs(X)
        y = self._center + self._scale * outputs
        return y[:, 0] if self._one_target else y

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
