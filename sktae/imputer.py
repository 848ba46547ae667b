"""Imputation as a step of a pipeline."""

from dataclasses import field
from typing import Any, Self

from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, _fit_context, clone
from sklearn.utils.validation import check_is_fitted

from sktae._inner import InnerMixin, check_inner, without_threshold
from sktae.autoencoders.denoising import DenoisingAutoencoder
from sktae.parameters import Declared


class AutoencoderImputer(InnerMixin, OneToOneFeatureMixin, TransformerMixin, Declared):
    """Imputer: fills in missing values by an autoencoder, as a step of a pipeline.

    Parameters
    ----------
    estimator : autoencoder or None, default=None
        The autoencoder that is trained. It is copied and stays unfitted. None is
        `DenoisingAutoencoder()`.

    Attributes
    ----------
    estimator_ : autoencoder
        The fitted autoencoder.

    n_features_in_ : int
        Number of columns seen in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen in `fit`, where all of them are strings.

    See Also
    --------
    DenoisingAutoencoder
    MaskedAutoencoder

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sktae import AutoencoderImputer, DenoisingAutoencoder
    >>> X = load_iris().data.copy()
    >>> X[::7, 2] = np.nan
    >>> imputer = AutoencoderImputer(DenoisingAutoencoder(2, max_steps=100, random_state=0))
    >>> bool(np.isnan(imputer.fit_transform(X)).any())
    False
    """

    estimator: BaseEstimator | None = field(default=None, kw_only=False)

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train the autoencoder.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of which some values may be missing.

        y : Ignored
            Here for scikit-learn's conventions.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows, as in the `fit` of the autoencoder. None for equal weights.

        Returns
        -------
        self : object
            The fitted imputer.
        """
        template = DenoisingAutoencoder() if self.estimator is None else self.estimator
        check_inner(self, template)
        estimator = without_threshold(clone(template))
        self.estimator_ = estimator.fit(X, sample_weight=sample_weight)
        return self

    def transform(self, X: Any) -> Any:
        """Replace missing values.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of which some values may be missing.

        Returns
        -------
        X : array or DataFrame of shape (n_samples, n_features)
            The rows, with what the autoencoder expects where values were missing.
        """
        check_is_fitted(self)
        return self.estimator_.impute(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
