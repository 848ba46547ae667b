"""Vision transformer autoencoder (Dosovitskiy et al. 2021; masked patches: He et al. 2022)."""

import math
from numbers import Integral
from typing import ClassVar, Literal

from sktae.base import Auto, BaseAutoencoder
from sktae.families.attention import AttentionMixin
from sktae.families.image import ImageMixin
from sktae.nn.losses import squared
from sktae.nn.patches import ImageEmbedding, patch_grid
from sktae.nn.transformer import TransformerNetwork
from sktae.parameters import Count, SomeWidths

# Of an "auto" patch, this many are along the longer side of an image, but its own side is within
# these limits. On digits of 8 x 8 pixels, patches of less than 4 x 4 take more time and reproduce
# no more. The largest ones are those of the paper.
_PATCHES, _LEAST_SIDE, _LARGEST_SIDE = 4, 4, 16


class Network(TransformerNetwork):
    """Codes of patches are a map, (k, rows, columns), so channels come first."""

    def code(self, h):
        if self.vector_code:
            return super().code(h)
        return self.to_code(h).mT.flatten(1)  # (n, p, width) -> (n, k * p)

    def memory(self, code):
        if self.vector_code:
            return super().memory(code)
        return self.from_code(code.unflatten(1, (-1, self.embedding.n_patches)).mT)


class VisionTransformerAutoencoder(AttentionMixin, ImageMixin, BaseAutoencoder):
    """Vision transformer autoencoder: encodes images with self-attention between patches.

    An image is cut into patches, each of which becomes a vector. With `noise="masking"`, patches
    are hidden in training: the encoder gets the visible ones, and the decoder fills in all others.

    Minimizes the squared error of the reconstruction, :math:`\\|x - g(f(\\tilde x))\\|^2`, where
    :math:`\\tilde x` is the image :math:`x`, or what is visible of it.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Size of the code of the image, "auto" is 128; or, with `bottleneck="patches"`, of each
        patch, "auto" is 8.

    hidden_layer_sizes : sequence of int or "auto", default="auto"
        Widths of the transformer blocks of the encoder, and of the decoder. "auto" is (64, 64).

    learning_rate : float or "auto", default="auto"
        Largest step size of the optimizer. "auto" is 0.002, or 0.004 where the whole code has fewer
        numbers than an image has.

    attention : {"full", "local", "linear", "low_rank"}, default="full"
        Which patches a patch may attend to: "full" allows all, "local" those at most `reach` rows
        and columns away. "linear" and "low_rank" allow all, but weights are products of positive
        features of queries and keys, or keys are `rank` learned sums. Their cost is linear in the
        number of patches, that of the others quadratic.

    positions : {"sinusoidal", "learned"} or None, default="sinusoidal"
        Positional encoding of patches. One half of "sinusoidal" encodes the row of a patch, the
        other its column.

    patch_size : int, tuple of int or "auto", default="auto"
        Side of square patches, or their height and width, in pixels. Where it does not divide the
        size of images, they are padded at the bottom and at the right, and reconstructions are cut
        to their size. "auto" is a quarter of the longer side, at least 4 and at most 16 pixels. In
        images of fewer rows or columns, a patch has all of them.

    bottleneck : {"vector", "patches"}, default="vector"
        Whether the code is one vector for the image, or a map, with a vector for each patch.

    noise : {"gaussian", "masking", "swap"} or None, default=None
        How images are corrupted in training; the network learns to reproduce clean ones. "gaussian"
        adds normal noise to pixels. "masking" hides patches, as if all their pixels were missing;
        so patches that are missing in new images are hidden, too, and filled in by the network.
        "swap" replaces patches by those of another image. None for no corruption.

    noise_level : float, default=0.3
        Standard deviation of the normal noise, for channels of variance 1, or the share of patches
        that are hidden or replaced.

    Attributes
    ----------
    grid_shape_ : tuple of int
        Number of rows and of columns of patches.

    See Also
    --------
    ConvolutionalAutoencoder
    TransformerAutoencoder

    References
    ----------
    .. [1] Dosovitskiy, A., Beyer, L., Kolesnikov, A., Weissenborn, D., Zhai, X., Unterthiner, T.,
       Dehghani, M., Minderer, M., Heigold, G., Gelly, S., Uszkoreit, J. and Houlsby, N. (2021). An
       Image is Worth 16x16 Words: Transformers for Image Recognition at Scale. ICLR.
    .. [2] He, K., Chen, X., Xie, S., Li, Y., Dollar, P. and Girshick, R. (2022). Masked
       Autoencoders Are Scalable Vision Learners. CVPR.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sktae import VisionTransformerAutoencoder
    >>> X = load_digits().images
    >>> model = VisionTransformerAutoencoder(8, max_steps=20, random_state=0).fit(X)
    >>> model.transform(X).shape
    (1797, 8)
    >>> model.attention_map(X).shape
    (1797, 4, 4)
    """

    hidden_layer_sizes: Literal["auto"] | SomeWidths = "auto"
    attention: Literal["full", "local", "linear", "low_rank"] = "full"
    positions: Literal["sinusoidal", "learned"] | None = "sinusoidal"
    patch_size: Literal["auto"] | Count | SomeWidths = "auto"
    bottleneck: Literal["vector", "patches"] = "vector"

    _hidden_entry: ClassVar[float] = math.nan

    def network(self, spec):
        widths, patch = spec.widths, self._patch(spec.shape)
        ends = widths[0], widths[-1]
        embedding = ImageEmbedding(spec.shape, patch, *ends, self._output_layers(spec.inputs))
        network = Network(
            embedding,
            widths,
            spec.n_components,
            self.bottleneck == "vector",
            self.dropout,
            columns=embedding.grid[1],
            **self._transformer_settings(),
        )
        # Who has learned to fill in patches needs no other guess at what is missing.
        network.takes_missing = self.noise == "masking"
        return network

    @staticmethod
    def objective(x, out):
        return squared(x, out.recon)

    def _auto(self, shape):
        components = 128 if self.bottleneck == "vector" else 8
        return Auto(components, widths=((64, 64), (64, 64)), rates=(2e-3, 4e-3))

    def _patch(self, shape):
        """Return height and width of the patches of images of this shape."""
        size, given = shape[1:], self.patch_size
        if isinstance(given, str):
            side = min(max(math.ceil(max(size) / _PATCHES), _LEAST_SIDE), _LARGEST_SIDE)
            return min(side, size[0]), min(side, size[1])
        patch = (given, given) if isinstance(given, Integral) else tuple(given)
        if len(patch) != 2 or patch[0] > size[0] or patch[1] > size[1]:
            raise ValueError(
                f"The 'patch_size' parameter of {type(self).__name__} must be a number or (height, "
                f"width), and no larger than the images, {size[0]} x {size[1]}. Got {given!r} "
                f"instead."
            )
        return patch

    def _code_size(self, n_components, shape):
        return math.prod(self._code_shape(shape, n_components, None))

    def _code_shape(self, shape, n_components, widths):
        if self.bottleneck == "vector":
            return (n_components,)
        return (n_components, *patch_grid(shape, self._patch(shape)))

    def _hidden_unit(self, shape):
        return (shape[0], *self._patch(shape))

    @property
    def grid_shape_(self):
        return self.net_.module_.embedding.grid
