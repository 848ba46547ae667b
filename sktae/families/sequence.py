"""Autoencoders of sequences."""

import math
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from sktae._engine.rows import Loaded, Rows
from sktae._engine.settings import usual_settings
from sktae._engine.tiles import in_tiles
from sktae._training.spec import Spec
from sktae.base import BaseAutoencoder
from sktae.families.noise import NoiseMixin
from sktae.families.sampling import check_count
from sktae.inputs.sequences import Sequence
from sktae.nn.losses import masked_squared, token_nll
from sktae.nn.sequences import NumberEmbedding, TokenEmbedding
from sktae.parameters import Count, NonNegativeCount
from sktae.randomness import generator, seed_of

# With "auto" patch size. More patches train more slowly and detect outliers no better.
_MAX_PATCHES = 16


def _is_autoregressive(estimator: Any) -> bool:
    return estimator._autoregressive


def squared_error(x: Tensor, out: Any) -> Tensor:
    return masked_squared(x, out.recon)


def negative_log_likelihood(x: Tensor, out: Any) -> Tensor:
    return token_nll(x, out.logits)


class SequenceMixin(NoiseMixin):
    """Makes an autoencoder take sequences of numbers.

    `X` is an array of shape (n_samples, n_steps, n_channels), a list of arrays of unequal length,
    or has sequences as rows, one step after the other. NaN marks missing values, which count
    neither in training nor in scores. Decoded sequences are as long as the longest training
    sequence.

    Parameters
    ----------
    standardize : bool or "shared", default=True
        Whether each channel is scaled to mean 0 and variance 1 for the network. "shared" divides
        all channels by one number. Reconstructions are in the units of `X` either way.

    n_channels : int, default=1
        Number of channels of sequences that are rows of `X`.

    sequence_length : int or "auto", default="auto"
        Maximal number of steps of a sequence; "auto" is that of the training sequences.

    patch_size : int or "auto", default="auto"
        Number of steps in a patch, which the network takes as one vector. "auto" makes at most 16
        patches of a sequence.

    noise : {"gaussian", "masking"} or None, default=None
        How sequences are corrupted in training; the network learns to reproduce clean ones.
        "gaussian" adds normal noise to numbers. "masking" hides steps, as if they were missing, so
        that the network learns to fill in blanks. None for no corruption.

    noise_level : float, default=0.3
        Standard deviation of the normal noise, for channels of variance 1, or the share of steps
        that are hidden.

    Attributes
    ----------
    sequence_length_ : int
        Maximal number of steps of a sequence.

    n_channels_ : int
        Number of channels.

    code_shape_ : tuple of int
        Shape of the code of a sequence, which `transform` returns as a row.
    """

    _fills_missing: ClassVar[bool] = False  # networks of sequences leave missing steps out

    n_channels: Count = 1
    sequence_length: Count | Literal["auto"] = "auto"
    patch_size: Count | Literal["auto"] = "auto"
    noise: Literal["gaussian", "masking"] | None = None

    _hidden_entry: ClassVar[float] = math.nan  # what is missing is left out

    def _hidden_unit(self, shape):
        return (1, shape[1])  # all channels of a step

    def inputs(self):
        length = self.sequence_length
        return Sequence(self.standardize, self.n_channels, sequence_length=length)

    @property
    def sequence_length_(self):
        return self._inputs.shape[0]

    @property
    def n_channels_(self):
        return self._inputs.shape[1]

    @property
    def code_shape_(self):
        return (*self._n_codes(self._inputs.shape), self.n_components_)

    def _n_codes(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return how many codes a sequence has, if it has several."""
        return ()

    def _code_size(self, n_components, shape):
        return n_components * math.prod(self._n_codes(shape))

    def _embedding(self, spec: Spec, width_in: int, width_out: int) -> Any:
        """Return the embedding and readout of sequences, for vectors of these widths."""
        steps, channels = spec.shape
        return NumberEmbedding(steps, channels, self._patch(steps), width_in, width_out)

    def _patch(self, steps: int) -> int:
        """Return the number of steps in a patch, for sequences of so many steps."""
        return math.ceil(steps / _MAX_PATCHES) if self.patch_size == "auto" else self.patch_size

    def explain(self, X: Any) -> Any:
        """Compute which steps make sequences unusual.

        Each number in turn is replaced by its expected value, given all others, and counts in
        proportion to how far the anomaly of the sequence, minus its score, falls by that. Tokens
        count in proportion to their negative log-likelihoods.

        Parameters
        ----------
        X : array-like
            The sequences to explain.

        Returns
        -------
        contributions : DataFrame
            Contribution of each number or token to the anomaly; a row adds up to minus the score.
            Columns are those of `X`, if sequences are its rows, or pairs of step and channel.
        """
        return super().explain(X)

    def _reconstruct(self, x):
        recon = super()._reconstruct(x)
        if recon.ndim == 3:  # steps beyond the end of a sequence stay missing
            recon[np.isnan(x.raw).all(axis=2)] = np.nan
        return recon

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.sparse = False
        tags.input_tags.allow_nan = True
        return tags


class SequenceAutoencoder(SequenceMixin, BaseAutoencoder):
    """Base of autoencoders of sequences of numbers or tokens, by their errors.

    Parameters
    ----------
    standardize : bool or "shared", default=True
        Whether each channel is scaled to mean 0 and variance 1 for the network. "shared" divides
        all channels by one number. Reconstructions are in the units of `X` either way.
        Tokens are not scaled.

    n_tokens : int, "auto" or None, default=None
        Size of the vocabulary for sequences of tokens, which are integers from 0 on; "auto" is the
        largest training token plus 1. New tokens outside of the vocabulary count as one unknown
        token. Scores measure how unlikely the tokens are. None for sequences of numbers.

    padding_token : int or None, default=None
        Token that marks padding and counts as missing, as NaN does.

    end_token : int or None, default=None
        Token that ends a sequence. In sequences that are decoded or sampled, steps after the first
        one are NaN. It is 0 for tokens of a `Vocabulary`.

    patch_size : int or "auto", default="auto"
        Number of steps in a patch, which the network takes as one vector. "auto" makes at most 16
        patches of a sequence. For tokens, a patch is always one token.

    Attributes
    ----------
    n_tokens_ : int
        Size of the vocabulary, if `n_tokens` is given.
    """

    n_tokens: Count | Literal["auto"] | None = None
    padding_token: int | None = None
    end_token: NonNegativeCount | None = None

    def _corruption(self, spec):
        if self.noise == "gaussian" and self.n_tokens is not None:
            raise ValueError(
                f"noise='gaussian' of {type(self).__name__} is for numbers; with n_tokens, set it "
                f"to 'masking' or None."
            )
        return super()._corruption(spec)

    def inputs(self):
        tokens = self.n_tokens, self.padding_token, self.end_token
        return Sequence(self.standardize, self.n_channels, *tokens, self.sequence_length)

    @property
    def objective(self):
        return squared_error if self.n_tokens is None else negative_log_likelihood

    @property
    def n_tokens_(self):
        return self._inputs.vocabulary

    def _embedding(self, spec, width_in, width_out):
        if self.n_tokens is not None:
            return TokenEmbedding(spec.shape[0], spec.inputs.vocabulary, width_in, width_out)
        return super()._embedding(spec, width_in, width_out)

    def _n_patches(self, steps: int) -> int:
        """Return the number of patches of sequences of so many steps."""
        return steps if self.n_tokens is not None else math.ceil(steps / self._patch(steps))

    def error(self, x, out):
        return _rescaled(self.objective(x, out), x)

    def residual(self, x, out):
        if self.n_tokens is None:
            return _rescaled((x - out.recon).nan_to_num(), x, 0.5)
        # Deviance residuals, as in generalized linear models: their squares are twice the negative
        # log-likelihoods.
        return (2 * self.error(x, out)).clamp(min=0).sqrt()

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Compute how well sequences are reconstructed, comparable across models.

        Parameters
        ----------
        X : array-like
            The sequences to reconstruct.

        y : Ignored
            Not used, present for API consistency.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the sequences; None for equal weights.

        Returns
        -------
        score : float
            Share of the variance that is explained, at most 1; for tokens, their mean
            log-likelihood, at most 0.
        """
        if self.n_tokens is None:
            return super().score(X, sample_weight=sample_weight)
        x, weights = self._read_weighted(X, sample_weight)
        nll = self._token_nll(x)
        if weights is None:
            return -float(np.nanmean(nll, dtype=np.float64))
        observed = ~np.isnan(nll)
        return -float(weights @ np.nansum(nll, axis=1) / (weights @ observed.sum(axis=1)))

    # Whether the decoder is autoregressive, so that sequences can be sampled step by step.
    _autoregressive: ClassVar[bool] = False

    @available_if(_is_autoregressive)
    @usual_settings()
    def sample(self, n_samples: int = 1) -> Any:
        """Sample new sequences from the decoder.

        The decoder gets the codes of randomly chosen training sequences. It samples one step after
        the other, given the code and the steps that it has sampled before. For numbers, normal
        noise is added to each predicted step, with the standard deviation of each channel's
        residuals in training. Tokens are sampled from their predicted probabilities.

        Parameters
        ----------
        n_samples : int, default=1
            Number of sequences.

        Returns
        -------
        X : ndarray of shape (n_samples, n_steps * n_channels) or (n_samples, n_steps, n_channels)
            New sequences, as from `inverse_transform`: as rows if those of the fit were rows, else
            as an array of three dimensions. Each call returns the same sequences, if
            `random_state` is fixed.
        """
        check_is_fitted(self)
        check_count(n_samples)
        network = self.net_.module_
        training_rows = Loaded(self._fitted.memory.x.to(self.net_.device))
        rng = generator(seed_of(self.random_state), "sample")
        x = training_rows.take(torch.randint(len(training_rows), (n_samples,), generator=rng))
        if self.n_tokens is None:
            (residual,) = in_tiles(
                lambda rows: (rows - network(rows).recon,), network, training_rows
            )
            noise = torch.randn(x.shape, generator=rng)
            noise *= torch.from_numpy(np.nanstd(residual, axis=(0, 1)))
        else:
            noise = torch.rand(x.shape, generator=rng)

        def decode(x, noise):
            patches = network.embedding.to_patches(noise).nan_to_num()
            return (network.decode(network(x).code, patches),)

        (samples,) = in_tiles(decode, network, Loaded(x), Loaded(noise.to(x.device)))
        return self._inputs.to_array(samples, np.dtype(np.float64))

    def _token_nll(self, x: Rows) -> np.ndarray:
        """Return the negative log-likelihood of each token, (n, steps), NaN where missing."""
        network = self.net_.module_

        def masked_nll(rows):
            nll = token_nll(rows, network(rows).logits)
            return (torch.where(rows.squeeze(-1).isnan(), torch.nan, nll),)

        return in_tiles(masked_nll, network, x)[0]

    def _contributions(self, rows, parts):
        if self.n_tokens is None:
            return super()._contributions(rows, parts)
        x = self._loader(rows)
        # Plus a little, since the anomaly cannot be shared in proportion to zeros alone.
        nll = np.nan_to_num(self._token_nll(x).astype(np.float64) + 1e-12)
        return self._anomalies(rows)[:, np.newaxis] * nll / nll.sum(axis=1, keepdims=True)

    def _reproduce(self, network, x):
        # Not `recon`, since an autoregressive decoder computes it from the true earlier steps, too.
        return network.decode(network(x).code)


def _rescaled(values: Tensor, x: Tensor, power: float = 1.0) -> Tensor:
    """Divide values by the share of x that is observed, to some power.

    `values` are 0 where x is missing. Rescaled, their mean is that over the observed ones.
    """
    share = (~x.isnan()).to(values.dtype).flatten(1).mean(1)
    return values / (share**power).view(-1, *[1] * (values.ndim - 1))
