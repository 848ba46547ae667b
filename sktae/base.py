"""The contract of an autoencoder: what every estimator of the gallery inherits."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import pandas as pd
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, _fit_context
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from sktae._docstrings import inherit_sections
from sktae._engine.freeze import Part
from sktae._engine.net import AutoencoderNet
from sktae._engine.rows import Rows
from sktae._engine.tiles import in_tiles
from sktae._outliers.scores import AnomalyMixin
from sktae._training.fit import Fit
from sktae._training.prepare import Prepared, fitted_source
from sktae._training.progress import CallbackSupportMixin
from sktae._training.state import fitted_state, restore
from sktae._transform import ReductionMixin
from sktae.inputs.images import Image
from sktae.inputs.sequences import Sequence
from sktae.inputs.tabular import Tabular
from sktae.nn.layers import Activation
from sktae.parameters import (
    Contamination,
    Count,
    Declared,
    Fraction,
    NonNegative,
    NonNegativeCount,
    Positive,
    Seed,
    Widths,
    positional,
)
from sktae.randomness import seed_of


class BaseAutoencoder(
    ClassNamePrefixFeaturesOutMixin,
    AnomalyMixin,
    ReductionMixin,
    CallbackSupportMixin,
    Declared,
):
    """Base of all autoencoders.

    A subclass states its network and its objective; the rest is inherited.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Size of the code. A small number reduces dimensions; "auto" is 128, an over-complete code
        for most tables, which is best for detecting outliers.

    hidden_layer_sizes : sequence of int or "auto", default="auto"
        Widths of the encoder's hidden layers; the decoder mirrors them. "auto" is (128,), and
        (128, 64) before a code of a given size.

    activation : {"identity", "relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid"}, \
default="silu"
        What stands between the layers.

    standardize : bool, default=True
        Whether the network sees each column with mean 0 and variance 1. What comes out is in the
        units of `X` either way. Not wanted where all columns have the same unit, as pixels do, and
        those that hardly vary should count little.

    learning_rate : float or "auto", default="auto"
        Step size of the optimizer, at its largest. "auto" is 0.002, and 0.01 where `n_components`
        is given, since to squeeze rows through a small code is harder.

    schedule : {"cosine", "constant"}, default="cosine"
        How the learning rate moves over the steps of a fit: down to 0 along a cosine, or not at
        all. `partial_fit`, which knows no end, keeps it constant.

    weight_decay : float, default=0.0
        Decoupled weight decay of the optimizer.

    max_grad_norm : float or None, default=1.0
        Longer gradients are shortened to this norm, counted for each feature; None for no limit.

    batch_size : int, default=128
        Rows in a training step. With fewer rows, all of them.

    max_steps : int, "auto" or None, default="auto"
        Training steps. "auto" is 500, whatever the number of rows; where `n_components` is given,
        it is at most 120 passes over them, or small tables would be learnt by heart.

    max_epochs : int or None, default=None
        Passes over the rows. With both limits, the first one reached ends the fit.

    early_stopping : bool, default=False
        Whether to hold out some rows, stop once their loss no longer falls, and keep the best
        weights.

    validation_fraction : float, default=0.1
        Share of the rows, drawn at random, that `early_stopping` holds out.

    patience : int, default=5
        Epochs without improvement that `early_stopping` bears.

    training_data : {"unknown", "clean", "contaminated"}, default="unknown"
        What you know of the training rows. "clean": all of them are normal, so whatever is unlike
        every one of them is an outlier; score new rows then, not those of the fit. "contaminated":
        some are outliers, so the network is trained on the central 70 % of the rows, and scores ask
        how far a row is from those.
        "unknown" serves both, each less well than if you say what you know.

    score_method : {"combined", "residual", "neighbours", "error"}, default="combined"
        What scores measure. "residual": what the network cannot reproduce, whitened by how
        residuals vary together. "neighbours": how far code and residual are from those of other
        rows. "combined": the sum of both, each on the scale of its tail in training. "error": the
        mean of the squared errors, and nothing else. It may be changed after the fit; `offset_`
        stays where the fit put it.

    contamination : float or "auto", default="auto"
        Share of outliers in the training rows, where `predict` puts its threshold; "auto" puts it
        at 1 %. With `calibration_fraction`, the share of false alarms among new rows instead. It
        does not change the fit.

    calibration_fraction : float or None, default=None
        Share of the rows, drawn at random, that the fit does not see; their scores give `p_values`
        and the threshold of `predict`. "auto" `contamination` is then 1 %, or as little as so many
        rows can assure. `partial_fit` holds out none.

    device : str, default="auto"
        Where to compute: "cpu", "cuda", "mps", ...; "auto" takes CUDA if there is one.

    precision : {"float32", "bf16"}, default="float32"
        In what numbers the network computes while it is trained. "bf16" takes half the memory and
        pays on recent GPUs; parameters, and everything after the fit, stay in float32.

    warm_start : bool, default=False
        Whether `fit` continues from the weights of the last fit.

    init_from : estimator or None, default=None
        A fitted autoencoder of the same structure, whose weights and column scales a new fit begins
        with. Put it into scikit-learn's `FrozenEstimator` where this estimator will be cloned, as
        in searches.

    trainable : {"all", "decoder", "head"}, default="all"
        What a fit changes: all weights, those of the decoder, or those of its last layer.

    random_state : int, RandomState instance or None, default=None
        The same number gives the same model. Global generators are not touched.

    verbose : int, default=0
        Above 0, `fit` shows a progress bar.

    net : AutoencoderNet or None, default=None
        Prototype of the skorch net, for all that skorch offers: optimizer classes, callbacks. What
        the estimator has a parameter for is set here, not there.

    Attributes
    ----------
    n_components_ : int
        Size of the code.

    hidden_layer_sizes_ : tuple of int
        Widths of the encoder's hidden layers.

    net_ : AutoencoderNet
        The trained skorch net; its `module_` is the network.

    history_ : pandas.DataFrame
        One row for each epoch: steps so far, losses, the terms of the objective by name, learning
        rate, seconds. Where `max_epochs` is None, an epoch is a twentieth of the budget.

    n_iter_ : int
        Training steps taken.

    road_ : {"plain", "traced", "stacked", "skorch"}
        How the steps were taken: one by one, replayed from a recording, for many models at once,
        or by skorch for callbacks that listen to batches and for optimizers other than Adam. It
        makes no difference to the numbers, but that a stack may round its sums otherwise.

    offset_ : float
        Threshold on `score_samples`.

    error_model_ : ErrorModel
        What the residuals and codes of the training rows were.

    calibration_scores_ : ndarray or None
        Scores of the rows that `calibration_fraction` held out, in ascending order.

    n_features_in_ : int
        Number of columns seen in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen in `fit`, where all of them are strings.
    """

    n_components: Literal["auto"] | Count = positional("auto")
    hidden_layer_sizes: Literal["auto"] | Widths = "auto"
    activation: Activation = "silu"
    standardize: bool = True
    learning_rate: Literal["auto"] | Positive = "auto"
    schedule: Literal["cosine", "constant"] = "cosine"
    weight_decay: NonNegative = 0.0
    max_grad_norm: Positive | None = 1.0
    batch_size: Count = 128
    max_steps: Literal["auto"] | Count | None = "auto"
    max_epochs: Count | None = None
    early_stopping: bool = False
    validation_fraction: Fraction = 0.1
    patience: Count = 5
    training_data: Literal["unknown", "clean", "contaminated"] = "unknown"
    score_method: Literal["combined", "residual", "neighbours", "error"] = "combined"
    contamination: Literal["auto"] | Contamination = "auto"
    calibration_fraction: Fraction | None = None
    device: str = "auto"
    precision: Literal["float32", "bf16"] = "float32"
    warm_start: bool = False
    init_from: BaseEstimator | None = None
    trainable: Part = "all"
    random_state: Seed = None
    verbose: NonNegativeCount = 0
    net: AutoencoderNet | None = None

    objective: ClassVar[Callable[..., Any]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        inherit_sections(cls)

    # What "auto" stands for. Codes are wider than most tables: with a budget in steps, such codes
    # detect outliers best. The second of a pair is for a code of a given size.
    auto_components: ClassVar[int] = 128
    auto_widths: ClassVar[tuple[tuple[int, ...], tuple[int, ...]]] = ((128,), (128, 64))
    auto_rates: ClassVar[tuple[float, float]] = (2e-3, 1e-2)

    # -- what a subclass states ---------------------------------------------------------------

    @abstractmethod
    def network(self, shape: tuple[int, ...]) -> nn.Module:
        """Build the network for rows of this shape, with a code of `self.n_components_`."""

    def inputs(self) -> Tabular | Sequence | Image:
        """Say how rows become tensors."""
        return Tabular(self.standardize)

    # diagnose(out) gives figures on the state of the network, by name, for `history_`;
    # revive(network, out) repairs, after each epoch, what died in it;
    # calibrate(network, x) fixes, after the fit, the statistics that it needs on its own, from a
    # sample of the training rows;
    # groups(y, n) numbers the groups that n rows belong to, for networks that are told a `Label`;
    # conclude(X) sets fitted attributes of its own, from the rows that were given to the fit.
    diagnose: ClassVar[Callable[[Any], dict[str, Tensor]] | None] = None
    revive: ClassVar[Callable[[nn.Module, Any], None] | None] = None
    calibrate: ClassVar[Callable[[nn.Module, Tensor], None] | None] = None
    groups: ClassVar[Callable[..., Tensor] | None] = None
    conclude: ClassVar[Callable[[Any], None] | None] = None

    @property
    def widths(self) -> tuple[int, ...]:
        """The widths of hidden layers, for networks that cannot do without."""
        if not self.hidden_layer_sizes_:
            raise ValueError(
                f"The 'hidden_layer_sizes' parameter of {type(self).__name__} must have at least "
                f"one width. Got {self.hidden_layer_sizes!r} instead."
            )
        return self.hidden_layer_sizes_

    def complaint(self, last: dict[str, Any]) -> str | None:
        """Say what went wrong in a fit, going by its last epoch, and what to do about that."""
        return None

    # -- the contract --------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Train the autoencoder.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or torch Dataset
            The rows to learn from. What is too large to be held in memory may be a
            `numpy.memmap`, or a Dataset of rows: batches are read while the last ones are learnt.

        y : Ignored
            Here for scikit-learn's conventions.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        return self._train(X, y, resume=self.warm_start and hasattr(self, "net_"))

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None):
        """Train for one pass over a chunk of rows.

        Column scales are those of the first chunk; what scores compare rows with, and the
        threshold, those of a sample of all chunks. The learning rate is constant, and no rows are
        held out.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to learn from.

        y : Ignored
            Here for scikit-learn's conventions.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        return self._train(X, y, resume=hasattr(self, "net_"), one_pass=True)

    def set_params(self, **params):
        if self.net is None and params.get("net") is None:
            for name in params:
                if name.startswith("net__"):
                    raise ValueError(
                        f"{name} sets a parameter of net, but net is None: pass "
                        f"net=AutoencoderNet() to {type(self).__name__} first."
                    )
        return super().set_params(**params)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self):
        return self.n_components_

    @property
    def history_(self):
        check_is_fitted(self)
        frame = pd.DataFrame(list(self.net_.history)).rename(columns={"dur": "seconds"})
        frame = frame.drop(columns=list(frame.filter(regex="_best$|_batch_count$|^batches$")))
        first = [name for name in ("epoch", "step", "train_loss", "valid_loss") if name in frame]
        last = [name for name in ("learning_rate", "seconds") if name in frame]
        middle = [name for name in frame if name not in (*first, *last)]
        return frame[[*first, *middle, *last]]

    def __sklearn_is_fitted__(self):
        return hasattr(self, "net_")

    # -- the private twins ---------------------------------------------------------------------

    def _train(self, X, y, resume, one_pass=False):
        before = fitted_state(self)
        try:
            source = self if resume else fitted_source(self)
            seed = self._seed if resume else seed_of(self.random_state)
            prepared = Prepared(self, X, seed, source, one_pass, y)
            fit = Fit(self, prepared, seed, source, one_pass)
            fit.run()
            fit.finish(stacklevel=5)  # where the user calls fit
        except BaseException:
            restore(self, before)
            raise
        return self

    def _checked(self, X):
        check_is_fitted(self)
        return self._inputs.checked(self, X, reset=False)

    def _rows(self, X):
        return Rows(self._checked(X), self._inputs.prepare, self.net_.device)

    def _apply(self, function, x):
        network = self.net_.module_
        return in_tiles(lambda rows: (function(network, rows),), network, x)[0]
