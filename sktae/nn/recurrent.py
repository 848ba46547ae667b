"""Recurrent layers, written out step by step.

torch's own layers can neither be recorded nor run for many models at once, and do not skip missing
steps.
"""

from collections.abc import Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn

Cell = Literal["gru", "lstm"]


class GRU(nn.Module):
    """Gated recurrent unit (Cho et al. 2014)."""

    n_gates, n_states = 3, 1

    def __init__(self, width_in: int, width: int):
        super().__init__()
        self.width = width
        self.from_input = nn.Linear(width_in, self.n_gates * width)
        self.from_state = nn.Linear(width, self.n_gates * width)

    def step(self, inputs: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Compute the next states, (n, width) each, from `from_input(x)` of one step."""
        (h,) = states
        # Split, not sliced: the gradients of slices would be filled up with zeros, and added.
        widths = 2 * self.width, self.width
        gates, candidate = inputs.split(widths, 1)
        recurrent_gates, recurrent = self.from_state(h).split(widths, 1)
        reset, update = (gates + recurrent_gates).sigmoid().chunk(2, 1)
        candidate = torch.tanh(candidate + reset * recurrent)
        return (candidate + update * (h - candidate),)


class LSTM(GRU):
    """Long short-term memory (Hochreiter & Schmidhuber 1997): a hidden state and a cell state."""

    n_gates, n_states = 4, 2

    def step(self, inputs: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        h, cell = states
        output, write, forget, candidate = (inputs + self.from_state(h)).chunk(4, 1)
        cell = forget.sigmoid() * cell + write.sigmoid() * candidate.tanh()
        return output.sigmoid() * cell.tanh(), cell


_CELLS = {"gru": GRU, "lstm": LSTM}


class Recurrent(nn.Module):
    """Stacked recurrent layers, (n, t, width_in) -> (n, t, widths[-1]).

    If bidirectional, each layer has a second one that begins at the end. Their states, side by
    side, are twice as wide.
    """

    def __init__(
        self, width_in: int, widths: Sequence[int], cell: Cell, bidirectional: bool = False
    ):
        super().__init__()
        factor = 2 if bidirectional else 1
        pairs = list(zip((width_in, *(factor * w for w in widths[:-1])), widths, strict=True))
        self.layers = nn.ModuleList(_CELLS[cell](*pair) for pair in pairs)
        self.reverse = None
        if bidirectional:
            self.reverse = nn.ModuleList(_CELLS[cell](*pair) for pair in pairs)

    def forward(self, h: Tensor, observed: Tensor | None = None, n_steps: int = -1) -> Tensor:
        """Return the hidden states of the last layer, (n, t, width).

        At steps that are not observed, (n, t), the states of the step before are kept. If `n_steps`
        is given, `h` has one step, (n, 1, width_in), which is the input of all.
        """
        turned = None if observed is None else observed.flip(1)
        for depth, layer in enumerate(cast(Sequence[GRU], self.layers)):
            states = _states(layer, h, observed, n_steps)
            if self.reverse is not None:
                other = cast(GRU, self.reverse[depth])
                states = torch.cat([states, _states(other, h.flip(1), turned, n_steps).flip(1)], 2)
            h = states
        return h

    def last(self, h: Tensor) -> Tensor:
        """Return the hidden states that have seen all steps, (n, t, width) -> (n, width)."""
        if self.reverse is None:
            return h[:, -1]
        forward, backward = h.chunk(2, 2)
        return torch.cat([forward[:, -1], backward[:, 0]], 1)


def _states(layer: GRU, h: Tensor, observed: Tensor | None, n_steps: int) -> Tensor:
    """Return the hidden states of a layer, (n, t, width_in) -> (n, t, width)."""
    projected = layer.from_input(h).expand(-1, n_steps, -1)
    # Of its dtype, which is that of all that follows.
    states = (projected.new_zeros(h.shape[0], layer.width),) * layer.n_states
    hidden = []
    for step, inputs in enumerate(projected.unbind(1)):
        updated = layer.step(inputs, states)
        if observed is not None:
            mask, pairs = observed[:, step, None], zip(updated, states, strict=True)
            updated = tuple(torch.where(mask, *pair) for pair in pairs)
        states = updated
        hidden.append(states[0])
    return torch.stack(hidden, 1)
