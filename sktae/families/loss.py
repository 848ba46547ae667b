"""How a reconstruction is measured, for the autoencoders whose papers leave a choice."""

from typing import Literal

from sktae.inputs.tabular import Tabular
from sktae.nn.losses import distance
from sktae.parameters import Declared


class LossMixin(Declared):
    """Lets a user choose between two losses.

    Parameters
    ----------
    loss : {"squared", "cross_entropy"}, default="squared"
        What reconstructions are measured by. "cross_entropy" is for values from 0 to 1, which it
        takes as they are, whatever `standardize`; outputs are squashed to that range, and later
        rows cut off.
    """

    loss: Literal["squared", "cross_entropy"] = "squared"

    @property
    def _squashed(self) -> bool:
        """Whether the network's outputs lie between 0 and 1."""
        return self.loss == "cross_entropy"

    def inputs(self):
        return Tabular(self.standardize and not self._squashed, self._squashed)

    def error(self, x, out):
        return distance(self.loss, x, out)
