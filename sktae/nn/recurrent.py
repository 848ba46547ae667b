"""Recurrent layers, written out, so that they may be recorded, stacked and told what is missing."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, cast

import torch
from torch import Tensor, nn

Cell = Literal["gru", "lstm"]


class GRU(nn.Module):
    """Gated recurrent unit (Cho et al. 2014): from inputs and states to states."""

    n_gates, n_states = 3, 1

    def __init__(self, width_in: int, width: int):
        super().__init__()
        self.width = width
        self.from_input = nn.Linear(width_in, self.n_gates * width)
        self.from_state = nn.Linear(width, self.n_gates * width)

    def step(self, given: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Move states one step on, given what comes from the input."""
        (h,) = states
        kept = self.from_state(h)
        reset, update = (given + kept)[:, : 2 * self.width].sigmoid().chunk(2, 1)
        new = torch.tanh(given[:, 2 * self.width :] + reset * kept[:, 2 * self.width :])
        return (torch.lerp(new, h, update),)


class LSTM(GRU):
    """Long short-term memory (Hochreiter & Schmidhuber 1997)."""

    n_gates, n_states = 4, 2

    def step(self, given: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        h, memory = states
        read, write, keep, new = (given + self.from_state(h)).chunk(4, 1)
        memory = keep.sigmoid() * memory + write.sigmoid() * new.tanh()
        return read.sigmoid() * memory.tanh(), memory


_CELLS = {"gru": GRU, "lstm": LSTM}


class Recurrent(nn.Module):
    """Layers of recurrent cells over the steps of sequences."""

    def __init__(self, width_in: int, widths: Sequence[int], cell: Cell):
        super().__init__()
        cells = [_CELLS[cell](*pair) for pair in pairwise((width_in, *widths))]
        self.layers = nn.ModuleList(cells)

    def forward(self, h: Tensor, known: Tensor | None = None) -> Tensor:
        """Return the states of the last layer, (n, t, width); where a step is missing, the last."""
        for layer in cast(Sequence[GRU], self.layers):
            states = (h.new_zeros(len(h), layer.width),) * layer.n_states
            found = []
            for step, given in enumerate(layer.from_input(h).unbind(1)):
                moved = layer.step(given, states)
                if known is not None:
                    there, pairs = known[:, step, None], zip(moved, states, strict=True)
                    moved = tuple(torch.where(there, *pair) for pair in pairs)
                states = moved
                found.append(states[0])
            h = torch.stack(found, 1)
        return h
