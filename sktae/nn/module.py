"""The base of all networks."""

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn

from sktae.randomness import Draw


class AutoencoderModule(nn.Module, ABC):
    """Network of an autoencoder: what an estimator's `network` returns.

    Three rules make fits repeatable and scores independent of other rows, and let steps be recorded
    and models be trained together. They hold for `forward` and `decode`.

    1. Draw no random numbers. Declare them in `noise`; they are passed as further arguments.
    2. Change no buffers. Use LayerNorm, or the batch norm of `sktae.nn.images`; repairs belong in
       `revive`, statistics in `calibrate`.
    3. Treat rows independently. What concerns the batch belongs in the objective.

    A network that reads a value from a tensor (`.item()`, `float(x)`, a boolean mask as an index)
    is trained correctly, but step by step. A tensor that a network keeps must be a parameter or a
    buffer.

    Attributes
    ----------
    noise : tuple of draws
        Random numbers that `forward` takes in training besides rows, such as `Normal((k,))` or
        `Mask((d,), 0.1)` of `sktae.randomness`.

    layer_size : int
        Number of outputs of the largest layer for one row, if it is far larger than the row. Fewer
        rows are then scored at a time.

    projects : bool
        Whether `project` does what it says. Fits to few rows then begin there.

    takes_missing : bool
        Whether values of rows may be NaN. If not, and rows lack values, these are filled in before.
    """

    noise: tuple[Draw, ...] = ()
    layer_size: int = 1
    projects: bool = False
    takes_missing: bool = False
    # Set for each fit: for which columns there are indicators, at the end of a row, of whether
    # values are missing.
    _incomplete: tuple[int, ...] = ()

    decoder: Any

    @abstractmethod
    def forward(self, x: Tensor, *noise: Tensor) -> Any:
        """Encode rows and decode them again.

        Parameters
        ----------
        x : Tensor of shape (n, ...)
            Rows.

        *noise : Tensor
            Random numbers as declared in `noise`, one tensor for each entry. They are left out
            after the fit, and the result must then not be random.

        Returns
        -------
        out : NamedTuple
            `recon`, (n, ...); `code`, (n, k); and whatever the objective reads.
        """

    def decode(self, code: Tensor) -> Tensor:
        """Decode codes, (n, k) to (n, ...); by default with the layers in `decoder`."""
        return self.decoder(code)

    def diagnose(self, x: Tensor, out: Any) -> dict[str, Tensor]:
        """Measure the state of the network after an epoch, for `history_`.

        Parameters
        ----------
        x : Tensor of shape (n, ...)
            A fixed sample of rows.

        out : NamedTuple
            What `forward` returned for them, in training mode and with noise.

        Returns
        -------
        figures : dict of Tensor
            One number for each name.
        """
        return {}

    def revive(self, out: Any) -> None:
        """Repair dead units, which no row uses any more, in place before an epoch.

        It is called without gradients during the first three quarters of a fit; `out` is as in
        `diagnose`.
        """

    def project(self, mean: Tensor, directions: Tensor) -> None:
        """Set the weights so that rows are projected on directions, as by PCA; see `projects`.

        Parameters
        ----------
        mean : Tensor of shape (d,)
            The mean of the rows.

        directions : Tensor of shape (m, d)
            Their principal directions, of which as many are used as the layers can carry.
        """

    def start(self, x: Tensor) -> None:
        """Set parameters and buffers that depend on the training rows, before the first step.

        It is called without gradients.

        Parameters
        ----------
        x : Tensor of shape (n, ...)
            A sample of the training rows.
        """

    def calibrate(self, x: Tensor) -> None:
        """Set buffers that scoring needs, such as a threshold, after the fit.

        Parameters
        ----------
        x : Tensor of shape (n, ...)
            A sample of the training rows.
        """

    def extra_repr(self) -> str:
        # Networks of equal structure, by which they are trained together, look alike.
        return f"incomplete={self._incomplete}" if self._incomplete else ""

    def overrides(self, method: str) -> bool:
        """Return whether the class of this network overrides a method."""
        return getattr(type(self), method) is not getattr(AutoencoderModule, method)
