"""Autoencoders whose patches attend to each other."""

from typing import Any

from sktae.nn.attending import Similarity, Weighting
from sktae.nn.attention import Kind, Options, Positions
from sktae.parameters import Count, Declared, Positive, Rate, Table


class AttentionMixin(Declared):
    """Gives an autoencoder the parameters of attention between patches, and `attention_map`.

    Parameters
    ----------
    n_heads : int, default=4
        Attention heads of each block.

    attention : {"full", "causal", "local", "linear", "low_rank"}, default="full"
        Which patches a patch may attend to: "full" allows all, "causal" the patch itself and
        earlier ones, "local" those at most `reach` patches away. "linear" and "low_rank" allow all,
        but weights are products of positive features of queries and keys, or keys are `rank`
        learned sums. The cost of "full" and "causal" is quadratic in the length, that of the others
        linear.

    rank : int, default=32
        Number of keys that "low_rank" attention leaves.

    similarity : {"dot", "additive"}, default="dot"
        How a query is compared with a key: by their product, or by a learned direction times the
        hyperbolic tangent of their sum. "linear" attention has neither.

    weighting : {"softmax", "relu"}, default="softmax"
        How similarities become weights: with the sum 1, or those below 0 as 0, divided by the
        number of keys.

    reach : int, default=16
        Largest distance of "local" attention, in patches.

    mask : array-like of shape (n_patches, n_patches) or None, default=None
        True where a patch (row) may attend to another one (column). A patch may always attend to
        itself. None allows all.

    positions : {"sinusoidal", "learned", "recurrent"} or None, default="sinusoidal"
        Positional encoding of patches. "recurrent" are the states of a GRU, whose input is learned.

    feedforward : float, default=2.0
        Width of the perceptron in a block, as a multiple of that of the block.

    dropout : float, default=0.0
        Share of the numbers, added by attention and by perceptrons, that are 0 in training.
    """

    n_heads: Count = 4
    attention: Kind = "full"
    rank: Count = 32
    similarity: Similarity = "dot"
    weighting: Weighting = "softmax"
    reach: Count = 16
    mask: Table | None = None
    positions: Positions | None = "sinusoidal"
    feedforward: Positive = 2.0
    dropout: Rate = 0.0

    def _transformer_settings(self, kernel_size: int | None = None) -> dict[str, Any]:
        """Return arguments of `Transformer`, or raise where two of them exclude each other."""
        kind, masked = self.attention, self.mask is not None
        if kind == "linear" and (self.similarity != "dot" or self.weighting != "softmax" or masked):
            raise ValueError(f"attention={kind!r} needs similarity='dot', softmax and no mask.")
        if kind == "low_rank" and masked:
            raise ValueError(f"attention={kind!r} needs no mask.")
        shape = self.feedforward, kernel_size, kind, self.rank
        return {
            "options": Options(
                self.n_heads, self.activation, self.similarity, self.weighting, *shape
            ),
            "positions": self.positions,
            "reach": self.reach,
            "mask": self.mask,
        }

    def attention_map(self, X: Any) -> Any:
        """Compute how much the encoder attends from patch to patch, over blocks and heads.

        Parameters
        ----------
        X : array-like
            Rows to encode.

        Returns
        -------
        weights : ndarray of shape (n_samples, n_patches, n_patches)
            For each patch, means of its weights for each patch. "low_rank" attention has none.
        """
        if self.attention == "low_rank":
            raise ValueError("attention='low_rank' has no weights for patches, but for their sums.")
        return self._apply(lambda network, x: network.attention_map(x), self._rows(X))
