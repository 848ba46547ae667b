"""The contract of an autoencoder: what every estimator of the gallery inherits."""

import copy
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import field
from os import PathLike
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, _fit_context
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from sktae._docstrings import inherit_sections
from sktae._engine.freeze import Part
from sktae._engine.net import AutoencoderNet
from sktae._engine.rows import Rows
from sktae._engine.settings import usual_settings
from sktae._engine.tiles import Trial, in_tiles
from sktae._outliers.explain import ExplainMixin
from sktae._outliers.measures import Ellipsoid
from sktae._outliers.model import SPACE
from sktae._training.build import fitted_source
from sktae._training.fit import Fit
from sktae._training.plain import from_plain, to_plain
from sktae._training.prepare import Prepared
from sktae._training.progress import CallbackSupportMixin
from sktae._training.spec import Auto, Spec
from sktae._training.state import Fitted
from sktae._transform import TransformMixin
from sktae.inputs.protocol import Inputs, validated
from sktae.inputs.tabular import Tabular
from sktae.nn.corruption import Corruption
from sktae.nn.layers import Activation
from sktae.nn.losses import squared
from sktae.nn.missing import on_observed
from sktae.nn.module import AutoencoderModule
from sktae.parameters import (
    Contamination,
    Count,
    Declared,
    Fraction,
    NonNegative,
    NonNegativeCount,
    Positive,
    Seed,
    Table,
    Widths,
)
from sktae.randomness import seed_of


class BaseAutoencoder(
    ClassNamePrefixFeaturesOutMixin,
    ExplainMixin,
    TransformMixin,
    CallbackSupportMixin,
    Declared,
):
    """Base class of all autoencoders.

    A subclass defines its network and its objective, and inherits the rest.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Number of components of the code. A small number reduces dimensions. "auto" is 128, more
        than most tables have columns, which is best for detecting outliers.

    hidden_layer_sizes : sequence of int or "auto", default="auto"
        Widths of the encoder's hidden layers; the decoder has them in reverse order. "auto" is
        (128,), and (128, 64) where the code has fewer numbers than a row.

    activation : {"identity", "relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid"} or \
tuple, default="silu"
        Activation function of the hidden layers. A tuple is ("leaky_relu", slope), with the slope
        for negative numbers, such as 0.2; that of "leaky_relu" is 0.01.

    standardize : bool or "shared", default=True
        Whether columns are scaled to mean 0 and variance 1 before they enter the network. "shared"
        divides all of them by one number, so that their mean variance is 1: for columns of the same
        unit, as pixels are, of which those that hardly vary should count little. Results are in the
        units of `X` either way.

    categorical_features : "from_dtype", array-like or None, default="from_dtype"
        Which columns of a table are categories: names, numbers, or a mask. "from_dtype": the
        columns of strings, objects and categories of a DataFrame. A category counts as much as a
        column of numbers. None: no column. Sequences and images have no categories.

    learning_rate : float or "auto", default="auto"
        Largest step size of the optimizer. "auto" is 0.002, and 0.01 where the code has fewer
        numbers than a row.

    schedule : {"cosine", "one_cycle", "constant"}, default="cosine"
        How the learning rate changes during a fit: "cosine" lowers it to 0 along half a cosine.
        "one_cycle" first raises it, from a 25th, in 30 % of the steps. `partial_fit`, which has no
        last step, keeps it constant.

    weight_decay : float, default=0.0
        Weight decay of the optimizer, decoupled from the gradient as in AdamW.

    max_grad_norm : float or None, default=1.0
        Gradients longer than this, times the number of features, are scaled down to that norm. None
        for no limit.

    batch_size : int, default=128
        Number of rows in a training step. If there are fewer rows, a step takes all of them.

    max_steps : int, "auto" or None, default="auto"
        Number of training steps. "auto" is 500, whatever the number of rows. Where the code has
        fewer numbers than a row, it is also at most 120 passes over the rows, or the network would
        memorize small tables. If a table of ten rows or more also has fewer rows than columns,
        `Autoencoder` and `DenoisingAutoencoder` begin as a PCA of the rows, and stop as with
        `early_stopping`, so that they reproduce new rows no worse than PCA; then
        `learning_rate="auto"` is 0.002.

    max_epochs : int or None, default=None
        Number of passes over the rows. If both limits are set, the fit ends at the first one.

    early_stopping : bool, default=False
        Whether to hold out some rows, to stop when their loss no longer falls, and to keep the
        weights with the lowest loss.

    validation_fraction : float, default=0.1
        Share of the rows, drawn at random, that `early_stopping` holds out.

    patience : int, default=5
        Number of epochs without improvement after which `early_stopping` stops.

    training_data : {"unknown", "clean", "contaminated"}, default="unknown"
        What you know about the training rows. "clean": all are normal, so a row is an outlier if it
        is unlike every one of them. "contaminated": some are outliers, so the network is trained on
        the central 70 % of the rows, and scores measure the distance from their center. "unknown"
        works for both cases, each less well than if you say which it is.

    use_labels : bool, default=False
        Whether `y` of `fit` says what is known of the training rows: -1 for a known outlier, 1 for
        a known inlier, 0 or NaN where nothing is known. Known outliers are left out of everything
        that is learned of normal rows, and scores also measure how much a row looks like them.
        Known inliers count as rows of which nothing is known. By default `y` has no such meaning.

    score_method : {"combined", "residual", "distance", "error"}, default="combined"
        What scores measure. "residual": the Mahalanobis distance of the residual, that is of the
        row minus its reconstruction, and, if the model has one, the likelihood. "distance": how far
        the row is from the nearest training row and from their center, by codes, residuals and, in
        tables, ranks. "combined": the sum of both, each as the log of its tail probability among
        the training rows. "error": the mean squared error. If it is changed after the fit,
        `score_samples` uses the new method, but `decision_function` and `predict` raise an error,
        because `offset_` is a threshold for the old one.

    contamination : float or "auto", default="auto"
        Share of the training rows that `predict` labels as outliers. With "auto",
        `false_alarm_rate` sets the threshold instead. Both set `offset_` and change nothing else.

    false_alarm_rate : float, default=0.01
        Share of new normal rows that `predict` labels as outliers, if `contamination` is "auto". It
        is at least 1 / (n + 1), for n rows in `calibration_scores_`. If there are none, it is a
        share of the training rows.

    calibration : "cross", float or None, default="cross"
        Where the scores come from that new rows are compared with, for the threshold of `predict`
        and for `p_values`. "cross": half of the rows are scored by a second model, which is trained
        on the other half, and in tables of fewer than 2000 rows these are scored by a third model,
        too; the model itself is trained on all rows. That is approximate, and takes about half of
        the time of the fit more for each. Fewer than 20 rows, `partial_fit` and a `warm_start` have
        no such scores. A float: this share of the rows, drawn
        at random, is held out of the fit, which is exact. `partial_fit` holds out none. None: no
        such scores, so no `p_values`; the threshold comes from the training rows.

    device : str, default="auto"
        Device of torch: "cpu", "cuda", "mps" and so on. "auto" is "cuda" if there is a GPU for it,
        else "cpu": "mps" has no double precision, so it must be asked for.

    precision : {"float32", "bfloat16"}, default="float32"
        Number format of the network during training. "bfloat16" takes half the memory and is faster
        on recent GPUs. Parameters, and everything after the fit, are float32.

    checkpoint_dir : str, path-like or None, default=None
        A folder to which `fit` writes where it is, every ten seconds and at its end. After an
        interruption, the same call goes on from there, with the same result as without. It needs a
        number as `random_state`. Files stay until you delete the folder.

    warm_start : bool, default=False
        Whether `fit` starts from the weights of the last fit.

    init_from : estimator or None, default=None
        A fitted autoencoder of the same structure. A new fit starts from its weights and keeps its
        column scales. Wrap it in scikit-learn's `FrozenEstimator` where this estimator will be
        cloned, as in searches.

    trainable : {"all", "decoder", "head"}, default="all"
        Which weights a fit changes: all, those of the decoder, or those of its last layer.

    random_state : int, RandomState instance or None, default=None
        Seed of all random draws. The same number gives the same model. The global generators of
        NumPy and torch are neither used nor changed.

    verbose : int, default=0
        With 1, `fit` shows a progress bar; above, a line with the losses of each epoch.

    net : AutoencoderNet or None, default=None
        Prototype of the skorch net, for what the estimator has no parameter for, such as another
        optimizer class or skorch's callbacks.

    Attributes
    ----------
    n_components_ : int
        Number of components of the code.

    hidden_layer_sizes_ : tuple of int
        Widths of the encoder's hidden layers.

    net_ : AutoencoderNet
        The trained skorch net; its `module_` is the network.

    history_ : pandas.DataFrame
        One row for each epoch: steps so far, losses, the terms of the objective by name, learning
        rate, seconds. If `max_epochs` is None, an epoch is a twentieth of the training steps.

    n_iter_ : int
        Number of training steps taken.

    training_path_ : {"plain", "traced", "stacked", "skorch"}
        How the training steps were computed: one by one, replayed from a recording, for many models
        at once, or by skorch, which is needed for callbacks that listen to batches and for
        optimizers other than Adam and AdamW. All give the same model; only "stacked" may differ in
        the rounding of sums.

    offset_ : float
        Threshold on `score_samples`.

    outlier_model_ : OutlierModel
        What residuals and codes of normal rows are like.

    calibration_scores_ : ndarray or None
        Scores of rows by a model that has not seen them, in ascending order; see `calibration`.
        With "cross", none is above the score of the training row of the same rank.

    n_features_in_ : int
        Number of columns seen in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen in `fit`, where all of them are strings.
    """

    n_components: Literal["auto"] | Count = field(default="auto", kw_only=False)
    hidden_layer_sizes: Literal["auto"] | Widths = "auto"
    activation: Activation = "silu"
    standardize: bool | Literal["shared"] = True
    categorical_features: Literal["from_dtype"] | Table | None = "from_dtype"
    learning_rate: Literal["auto"] | Positive = "auto"
    schedule: Literal["cosine", "one_cycle", "constant"] = "cosine"
    weight_decay: NonNegative = 0.0
    max_grad_norm: Positive | None = 1.0
    batch_size: Count = 128
    max_steps: Literal["auto"] | Count | None = "auto"
    max_epochs: Count | None = None
    early_stopping: bool = False
    validation_fraction: Fraction = 0.1
    patience: Count = 5
    training_data: Literal["unknown", "clean", "contaminated"] = "unknown"
    use_labels: bool = False
    score_method: Literal["combined", "residual", "distance", "error"] = "combined"
    contamination: Literal["auto"] | Contamination = "auto"
    false_alarm_rate: Fraction = 0.01
    calibration: Literal["cross"] | Fraction | None = "cross"
    device: str = "auto"
    precision: Literal["float32", "bfloat16"] = "float32"
    checkpoint_dir: str | PathLike | None = None
    warm_start: bool = False
    init_from: BaseEstimator | None = None
    trainable: Part = "all"
    random_state: Seed = None
    verbose: NonNegativeCount = 0
    net: AutoencoderNet | None = None

    _score_parameters: ClassVar = ("score_method",)
    # Whether missing values are filled in before the network; if not, it gets NaN.
    _fills_missing: ClassVar[bool] = True
    # What scores compare rows by, with weights.
    _space: ClassVar[dict[str, float]] = SPACE

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        inherit_sections(cls)

    # -- what a subclass states ----------------------------------------------------------------

    @abstractmethod
    def network(self, spec: Spec) -> AutoencoderModule:
        """Build the network.

        Parameters
        ----------
        spec : Spec
            What it is built for: `shape` of a row, `n_components`, `widths` of the hidden layers,
            all these as `sizes`, and the fitted `inputs`.

        Returns
        -------
        network : AutoencoderModule
            With weights drawn by torch's own rules, which are seeded around this call.
        """

    @staticmethod
    @abstractmethod
    def objective(x: Tensor, out: Any) -> Tensor | dict[str, Tensor]:
        """Return what training minimizes: the equation of the paper.

        Write it as a static method, or as a property that chooses between functions. Further
        keyword-only arguments are filled with the hyperparameters of the same names. In a stack of
        models they are tensors, so compute with them by torch.

        Parameters
        ----------
        x : Tensor of shape (n, ...)
            A batch of rows.

        out : NamedTuple
            What the network returned for them.

        Returns
        -------
        terms : Tensor, or dict of Tensor by name
            Each with one value for each row, (n,), or for each element, (n, ...). All are added up,
            and their mean over rows is the loss; `history_` lists them by name. A penalty on the
            batch as a whole is given to each row undivided. Call the term that compares `x` with
            its reconstruction "reconstruction": missing values are left out of it.
        """

    def inputs(self) -> Inputs:
        """Return how rows become tensors, and what range their values must have.

        Returns
        -------
        inputs : Inputs
            By default `Tabular`, for tables.
        """
        return self._table()

    def _table(self, unit_interval: bool = False) -> Tabular:
        """Return the inputs of a table, with the columns that the user declares as categories.

        Values between 0 and 1 are not scaled.
        """
        standardize = False if unit_interval else self.standardize
        return Tabular(standardize, unit_interval, self.categorical_features)

    @staticmethod
    def error(x: Tensor, out: Any) -> Tensor:
        """Return the error of each element, for `score_method="error"`.

        Parameters
        ----------
        x : Tensor of shape (n, ...)
            Rows.

        out : NamedTuple
            What the network returned for them.

        Returns
        -------
        error : Tensor of shape (n, ...)
            By default the squared error of `out.recon`.
        """
        return squared(x, out.recon)

    @staticmethod
    def residual(x: Tensor, out: Any) -> Tensor:
        """Return what the network did not reproduce, for all scores but "error".

        Parameters
        ----------
        x : Tensor of shape (n, ...)
            Rows.

        out : NamedTuple
            What the network returned for them.

        Returns
        -------
        residual : Tensor of shape (n, ...)
            By default `x - out.recon`.
        """
        return x - out.recon

    @staticmethod
    def nll(x: Tensor, out: Any) -> Tensor | None:
        """Return the negative log-likelihood of each element, for all scores that use `residual`.

        Parameters
        ----------
        x : Tensor of shape (n, ...)
            Rows.

        out : NamedTuple
            What the network returned for them.

        Returns
        -------
        nll : Tensor of shape (n, ...), or None
            Scores then measure how unlikely a row is, beside its residual. None, the default, if
            they do not.
        """
        return None

    @staticmethod
    def surprise(out: Any) -> Tensor | None:
        """Return how unlikely the code of each row is, for models with a likelihood.

        Parameters
        ----------
        out : NamedTuple
            What the network returned for rows.

        Returns
        -------
        surprise : Tensor of shape (n,), or None
            In the units of `error`. The anomaly score is then the sum of both; with None, the
            default, it is the mean of `error`.
        """
        return None

    # -- what few subclasses change ------------------------------------------------------------

    def _auto(self, shape: tuple[int, ...]) -> Auto:
        """Return what "auto" stands for, for rows of this shape."""
        return Auto()

    def _code_size(self, n_components: int, shape: tuple[int, ...]) -> int:
        """Return how many numbers the code of a row has."""
        return n_components

    def _groups(self, y: Any, n: int) -> Tensor | None:
        """Number the groups that n rows belong to, for networks whose noise has a `Label`."""
        return None

    def _corruption(self, spec: Spec) -> Corruption | None:
        """Return what corrupts rows in training, if anything."""
        return None

    def _row_errors(self, network: AutoencoderModule, x: Tensor, method: str) -> Tensor:
        """Return how badly rows are reproduced, whatever those of training were, (n,)."""
        out = network(x)
        error = on_observed(self.error, network, x, out).flatten(1)
        surprise = self.surprise(out)
        return error.mean(1) if surprise is None else error.sum(1) + surprise

    def _completed(self, x: Tensor, out: Any) -> Tensor:
        """Return rows in which missing values are as the network reproduces them."""
        return torch.where(x.isnan(), out.recon, x) if self._fills_missing else x

    def _complaint(self, last: dict[str, Any], spec: Spec) -> str | None:
        """Say what went wrong in a fit, given the last row of its history, and what to do."""
        return None

    def _after_fit(self, X: Any) -> None:
        """Set fitted attributes that need a fitted estimator and the rows of the fit."""

    # -- the contract --------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, X_val: Any = None) -> Self:
        """Train the autoencoder.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or torch Dataset
            The training rows. A table larger than memory may be a `numpy.memmap`, a `TableDataset`
            of Parquet files, or another Dataset of rows; the next batches are read while the
            network trains on the last ones. Beside training, each row of a Dataset is read once for
            the scales, once or twice for checks of their range, and once for scores.

        y : array-like of shape (n_samples,) or None, default=None
            With `use_labels`, what is known of each row: -1 for an outlier, 1 for an inlier, 0 or
            NaN if nothing is. Otherwise ignored, and here for scikit-learn's conventions.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows. Only their ratios matter. A row of twice the weight counts
            as two rows in the scales of columns, in scores and in the threshold, and training steps
            draw it twice as often. A row of weight 0 is left out. In `calibration_scores_`, all
            rows count alike. None for equal weights.

        X_val : array-like of shape (n_validation_samples, n_features) or None, default=None
            Rows whose loss `history_` has for each epoch, as `valid_loss`. With `early_stopping`,
            they take the place of the rows that are held out.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        resume = self.warm_start and hasattr(self, "_fitted")
        return self._train(X, y, sample_weight, resume, X_val, one_pass=False)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train for one pass over a chunk of rows.

        Columns are scaled as in the first chunk. Scores and the threshold come from a sample of all
        chunks so far. The learning rate is constant, and no rows are held out.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The next training rows.

        y : Ignored
            Here for scikit-learn's conventions.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows. Only their ratios within the chunk matter. None for equal
            weights.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        return self._train(X, y, sample_weight, hasattr(self, "_fitted"), None, one_pass=True)

    def set_params(self, **params: Any) -> Self:
        if self.net is None and params.get("net") is None:
            for name in params:
                if name.startswith("net__"):
                    raise ValueError(
                        f"{name} sets a parameter of net, but net is None: pass "
                        f"net=AutoencoderNet() to {type(self).__name__} first."
                    )
        return super().set_params(**params)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.allow_nan = tags.input_tags.sparse = True
        return tags

    @property
    def _n_features_out(self) -> int:  # type: ignore[override]
        return self._code_size(self.n_components_, self._inputs.shape)

    @property
    def history_(self) -> pd.DataFrame:
        check_is_fitted(self)
        frame = pd.DataFrame(list(self.net_.history)).rename(columns={"dur": "seconds"})
        frame = frame.drop(columns=list(frame.filter(regex="_best$|_batch_count$|^batches$")))
        first = [name for name in ("epoch", "step", "train_loss", "valid_loss") if name in frame]
        last = [name for name in ("learning_rate", "seconds") if name in frame]
        middle = [name for name in frame if name not in (*first, *last)]
        return frame[[*first, *middle, *last]]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_fitted")

    # -- copies, pickles and files -------------------------------------------------------------

    def __copy__(self) -> Self:
        fresh = object.__new__(type(self))
        fresh.__dict__.update(vars(self))
        return fresh

    def __getstate__(self) -> dict[str, Any]:
        # A fitted state is plain data in pickles and files. What `_install` makes of it is left
        # out, unless a user has replaced it since.
        state = dict(super().__getstate__())
        if "_fitted" in state:
            installed = self._fitted_attributes(self._fitted)
            state = {
                name: value
                for name, value in state.items()
                if value is not installed.get(name, ...)
            }
            state["_fitted"] = to_plain(self._fitted)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        plain = state.pop("_fitted", None)
        super().__setstate__(state)
        if plain is not None:
            self._install(from_plain(self, plain))
            self.__dict__.update(state)

    # -- a fit, and what it leaves -------------------------------------------------------------

    def _train(self, X: Any, y: Any, weight: Any, resume: bool, X_val: Any, one_pass: bool) -> Self:
        source = self if resume else fitted_source(self)
        seed = self._fitted.seed if resume else seed_of(self.random_state)
        with usual_settings():
            prepared = Prepared(self, X, y, seed, source, one_pass, weight, X_val)
            fit = Fit(self, prepared, seed, source, one_pass)
            fit.calibrate()
            fit.run()
            fitted = fit.finish()
            fresh = self._with(fitted, X)
        self.__dict__ = fresh.__dict__
        return self

    def _with(self, fitted: Fitted, X: Any) -> Self:
        """Return a copy that has taken over a fit on X.

        To swap its `__dict__` in is one step, so a fit that fails or is interrupted leaves nothing
        half done.
        """
        fresh = copy.copy(self)
        fresh._install(fitted)
        fresh._after_fit(X)
        return fresh

    def _install(self, fitted: Fitted) -> None:
        """Take over what a fit left: the one place where fitted attributes are assigned."""
        self._fitted = fitted
        self.net_ = fitted.net
        self.n_components_ = fitted.spec.n_components
        self.hidden_layer_sizes_ = fitted.spec.widths
        self.n_iter_ = fitted.n_steps
        self.training_path_ = fitted.net.training_path_
        self.outlier_model_ = fitted.outlier_model
        self.offset_ = fitted.offset
        self.calibration_scores_ = fitted.calibration_scores
        self._scored_by = fitted.scored_by
        self.n_features_in_ = fitted.n_features
        if fitted.feature_names is not None:
            self.feature_names_in_ = fitted.feature_names
        elif hasattr(self, "feature_names_in_"):  # of an earlier fit
            del self.feature_names_in_

    def _fitted_attributes(self, fitted: Fitted) -> dict[str, Any]:
        """Return the attributes that a fit would add, by name, for scikit-learn's callbacks."""
        fresh = object.__new__(type(self))
        fresh._install(fitted)
        return dict(vars(fresh))

    # -- what the methods above and in the mixins rest on --------------------------------------

    @property
    def _inputs(self) -> Inputs:  # type: ignore[override]  # mixins only read it
        return self._fitted.inputs

    @property
    def _feature_model(self) -> Ellipsoid:  # type: ignore[override]
        return self.outlier_model_.features

    def _validated(self, X: Any) -> Any:
        check_is_fitted(self)
        return validated(self, X)

    def _rows(self, X: Any) -> Rows:
        return self._loader(self._validated(X))

    def _loader(self, raw: Any) -> Rows:
        """Return raw rows, which become tensors on the network's device as they are read."""
        return Rows(raw, self._inputs.to_tensor, self.net_.device)

    def _apply(self, function: Callable[..., Tensor], x: Rows) -> np.ndarray:
        """Apply a function of network and rows, tile by tile."""
        network, module = self._network(x), self.net_.module_
        trial = Trial(module, (type(network), function.__qualname__), self._fitted.memory.x)
        return in_tiles(lambda rows: (function(network, rows),), module, x, trial=trial)[0]

    def _network(self, x: Rows) -> Any:
        return self.outlier_model_.completing(self, self.net_.module_, x)

    def _anomalies(self, raw: Any) -> np.ndarray:
        if self.score_method != self._scored_by["score_method"]:
            self._validate_params()  # it may be changed after the fit
        x, model, sample = self._loader(raw), self.outlier_model_, self._fitted.memory.x
        return model.score(self, self._network(x), self._inputs, x, self.score_method, sample)
