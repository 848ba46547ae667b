"""What all autoencoders of sequences share."""

import math
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from sktae._engine.rows import Loaded, Rows
from sktae._engine.tiles import in_tiles
from sktae._training.spec import Spec
from sktae.base import BaseAutoencoder
from sktae.families.sampling import check_count
from sktae.inputs.sequences import Sequence
from sktae.nn.losses import squared_where_known, token_nll
from sktae.nn.sequences import Numbers, Tokens
from sktae.parameters import Count
from sktae.randomness import generator, seed_of

# So many patches are quick to train, and as good as more.
_PATCHES = 16


def _tells_stepwise(estimator: Any) -> bool:
    return estimator._stepwise


def squared_error(x: Tensor, out: Any) -> Tensor:
    return squared_where_known(x, out.recon)


def negative_log_likelihood(x: Tensor, out: Any) -> Tensor:
    return token_nll(x, out.natural)


class SequenceAutoencoder(BaseAutoencoder):
    """Base of the autoencoders of sequences.

    Sequences come as an array of shape (n_samples, n_steps, n_channels), as rows that run through
    them step by step, or as a list of arrays of unequal length. NaN stands for what is missing: it
    counts neither in training nor in scores. What the network gives back has the length of the
    longest sequence of the fit.

    Parameters
    ----------
    standardize : bool, default=True
        Whether the network sees each channel with mean 0 and variance 1. What comes out is in the
        units of `X` either way.

    n_channels : int, default=1
        Channels of sequences that come as rows.

    n_tokens : int, "auto" or None, default=None
        For sequences of tokens, integers from 0 on, how many there are; "auto" for as many as the
        fit sees. Tokens that come later count as one more, unlikely one. Scores then measure how
        unlikely each token is. None for sequences of numbers.

    padding_token : int or None, default=None
        The token that stands for none, beside NaN.

    sequence_length : int or "auto", default="auto"
        Steps of the longest sequence that may come, where lengths differ; "auto" for the longest of
        the fit.

    patch_size : int or "auto", default="auto"
        How many steps the network takes at once. "auto" makes at most 16 patches of a sequence;
        tokens are taken one by one.

    Attributes
    ----------
    sequence_length_ : int
        Steps of the longest sequence.

    n_channels_ : int
        Channels of a sequence.

    n_tokens_ : int
        Number of tokens, where `n_tokens` is given.
    """

    n_channels: Count = 1
    n_tokens: Count | Literal["auto"] | None = None
    padding_token: int | None = None
    sequence_length: Count | Literal["auto"] = "auto"
    patch_size: Count | Literal["auto"] = "auto"

    def inputs(self):
        tokens = self.n_tokens, self.padding_token
        return Sequence(self.standardize, self.n_channels, *tokens, self.sequence_length)

    @property
    def objective(self):
        return squared_error if self.n_tokens is None else negative_log_likelihood

    @property
    def sequence_length_(self):
        return self._inputs.shape[0]

    @property
    def n_channels_(self):
        return self._inputs.shape[1]

    @property
    def n_tokens_(self):
        return self._inputs.vocabulary

    def _alphabet(self, spec: Spec, width_in: int, width_out: int):
        """Return the layers through which sequences enter and leave a network."""
        if self.n_tokens is not None:
            return Tokens(spec.shape[0], spec.inputs.vocabulary, width_in, width_out)
        steps, channels = spec.shape
        return Numbers(steps, channels, self._patch(steps), width_in, width_out)

    def _patch(self, steps: int) -> int:
        """Return how many of these steps the network takes at once."""
        return math.ceil(steps / _PATCHES) if self.patch_size == "auto" else self.patch_size

    def _n_patches(self, steps: int) -> int:
        """Return how many patches so many steps make."""
        return steps if self.n_tokens is not None else math.ceil(steps / self._patch(steps))

    def error(self, x, out):
        return _evened(self.objective(x, out), x)

    def residual(self, x, out):
        if self.n_tokens is None:
            return _evened((x - out.recon).nan_to_num(), x, 0.5)
        # Of deviance, as in generalised linear models: their squares are log-likelihoods, too.
        return (2 * self.error(x, out)).clamp(min=0).sqrt()

    def explain(self, X):
        """Say which steps make sequences unusual.

        Numbers are set to what the others let one expect of them, and count in proportion to how
        far the anomaly of the sequence, minus its score, thereby falls. Tokens count in proportion
        to how unlikely they are.

        Parameters
        ----------
        X : array-like
            The sequences to explain.

        Returns
        -------
        contributions : DataFrame
            What each number or token adds to the anomaly; a row adds up to minus its score.
            Columns are those of rows or, for other sequences, pairs of step and channel.
        """
        return super().explain(X)

    def score(self, X, y=None):
        """Compute how well sequences are reconstructed: comparable across models.

        Parameters
        ----------
        X : array-like
            The sequences to reconstruct.

        y : Ignored
            Here for scikit-learn's conventions.

        Returns
        -------
        score : float
            The share of variance explained, at most 1; for tokens, the mean of their
            log-likelihoods, at most 0.
        """
        if self.n_tokens is None:
            return super().score(X)
        return -float(np.nanmean(self._token_nll(self._rows(X)), dtype=np.float64))

    # Whether sequences are told step by step, so that they may be drawn.
    _stepwise: ClassVar[bool] = False

    @available_if(_tells_stepwise)
    def sample(self, n_samples=1):
        """Draw sequences: the codes of some that were seen in the fit, told anew by chance.

        Of numbers, each step departs from what is expected as much as in the fit; tokens are drawn
        by their likelihoods.

        Parameters
        ----------
        n_samples : int, default=1
            How many.

        Returns
        -------
        X : ndarray
            The sequences; with a fixed `random_state` the same at each call.
        """
        check_is_fitted(self)
        check_count(n_samples)
        network, seen = self.net_.module_, Loaded(self._fitted.memory.x.to(self.net_.device))
        rng = generator(seed_of(self.random_state), "sample")
        x = seen.take(torch.randint(len(seen), (n_samples,), generator=rng))
        if self.n_tokens is None:
            (residual,) = in_tiles(lambda rows: (rows - network(rows).recon,), network, seen)
            chance = torch.randn(x.shape, generator=rng)
            chance *= torch.from_numpy(np.nanstd(residual, axis=(0, 1)))
        else:
            chance = torch.rand(x.shape, generator=rng)

        def told(x, chance):
            patches = network.alphabet.split(chance).nan_to_num()
            return (network.decode(network(x).code, patches),)

        (found,) = in_tiles(told, network, Loaded(x), Loaded(chance.to(x.device)))
        return self._inputs.to_array(found, np.float64)

    def _token_nll(self, x: Rows) -> np.ndarray:
        """Return how unlikely each token is, (n, steps), NaN for none."""
        network = self.net_.module_

        def nll(rows):
            found = token_nll(rows, network(rows).natural)
            return (torch.where(rows.squeeze(-1).isnan(), torch.nan, found),)

        return in_tiles(nll, network, x)[0]

    def _contributions(self, rows, parts):
        if self.n_tokens is None:
            return super()._contributions(rows, parts)
        x = self._loader(rows)
        # Never 0 all along a sequence, or there would be nothing in proportion to which to share.
        nll = np.nan_to_num(self._token_nll(x).astype(np.float64) + 1e-12)
        return self._anomalies(rows)[:, np.newaxis] * nll / nll.sum(axis=1, keepdims=True)

    def _reconstruct(self, x):
        # Not what the network gives, which may have seen more than the code.
        recon = self._apply(lambda network, rows: network.decode(network(rows).code), x)
        found = self._inputs.to_array(recon, x.raw.dtype)
        if found.ndim == 3:  # what was filled up to the length of the longest stays missing
            found[np.isnan(x.raw).all(axis=2)] = np.nan
        return found

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags


def _evened(values: Tensor, x: Tensor, power: float = 1.0) -> Tensor:
    """Let what is known stand for what is not: the mean over all is that over what is known."""
    share = (~x.isnan()).to(values.dtype).flatten(1).mean(1)
    return values / (share**power).view(-1, *[1] * (values.ndim - 1))
