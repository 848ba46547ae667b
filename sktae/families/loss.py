"""The loss of the reconstruction, for autoencoders whose papers name two."""

from typing import Literal

from sktae.nn.losses import reconstruction_loss
from sktae.parameters import Declared


class LossMixin(Declared):
    """Gives an autoencoder the parameter `loss`.

    Parameters
    ----------
    loss : {"squared", "cross_entropy"}, default="squared"
        Loss of the reconstruction. "cross_entropy" is for values between 0 and 1: it ignores
        `standardize`, reconstructions pass through a sigmoid, and new rows are clipped to this
        range.
    """

    loss: Literal["squared", "cross_entropy"] = "squared"

    @property
    def _cross_entropy(self) -> bool:
        """Whether rows and reconstructions lie between 0 and 1."""
        return self.loss == "cross_entropy"

    def inputs(self):
        return self._table(unit_interval=self._cross_entropy)

    def error(self, x, out):
        return reconstruction_loss(self.loss, x, out)
