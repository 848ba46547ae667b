"""Content-style autoencoder (Bouchacourt et al. 2018; means of groups: Hosoya 2019)."""

from sktae.families.density import DensityAutoencoder
from sktae.families.parts import ContentStyleMixin
from sktae.nn.posteriors import GroupedCode


class Network(GroupedCode):
    """The code of a row is a normal distribution, of content and style."""


class ContentStyleAutoencoder(ContentStyleMixin, DensityAutoencoder):
    """Content-style autoencoder: separates what a group's rows share from how each row differs.

    `fit(X, y)` takes the group of each row, -1 or NaN if it is unknown. The code has two parts,
    content and style. In training, a row is decoded from its own style and from the mean content of
    its group, so content must be what the rows of a group share. After the fit, both parts are
    computed from the row alone, so new rows need no group. `swap` combines the content of one row
    with the style of another. Without `y`, the model is a variational autoencoder.

    Minimizes :math:`-E_q \\log p(x|c, s) + \\beta KL(q(c|x_1, ..., x_n) \\| N(0, 1)) / n + \\beta
    KL(q(s|x) \\| N(0, 1))`, for the content :math:`c` of the :math:`n` rows of a group in a batch
    and the style :math:`s`.

    See Also
    --------
    DisentangledAutoencoder
    ConvolutionalVariationalAutoencoder
    ConvolutionalSequenceVariationalAutoencoder

    References
    ----------
    .. [1] Bouchacourt, D., Tomioka, R. and Nowozin, S. (2018). Multi-Level Variational Autoencoder:
       Learning Disentangled Representations from Grouped Observations. AAAI.
    .. [2] Hosoya, H. (2019). Group-based Learning of Disentangled Representations with
       Generalizability for Novel Contents. IJCAI.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sktae import ContentStyleAutoencoder
    >>> X, y = load_digits(return_X_y=True)
    >>> model = ContentStyleAutoencoder(8, max_steps=50, random_state=0).fit(X, y)
    >>> model.swap(X[:5], X[5:10]).shape
    (5, 64)
    """

    def network(self, spec):
        n_content = self._content_size(spec.n_components)
        return Network(*self._network_arguments(spec), n_content=n_content)
