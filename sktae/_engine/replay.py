"""Any pure function of tensors, recorded once and replayed without autograd's bookkeeping.

While the function runs, every kernel that it calls, backward ones included, is written down. The
list is then bound to memory: each result has a fixed place, so that a view is taken once and costs
nothing in a replay. What remains is one call per kernel, writing where the next one reads. These
are the kernels that would have run anyway, so the numbers are the same, to the bit.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from sktae._engine.bind import Binder
from sktae._engine.flat import total
from sktae._engine.record import Tape, Unrecordable


class Step:
    """A pure function of tensors; its first results are put into given places, the rest returned.

    Parameters
    ----------
    function : callable
        Takes tensors and returns a tuple of tensors.

    places : sequence of tensors
        Where the first results go.

    state : sequence of tensors
        What else may change between two calls, beside the arguments: parameters, say.
    """

    def __init__(
        self,
        function: Callable[..., tuple[Tensor, ...]],
        places: Sequence[Tensor] = (),
        state: Sequence[Tensor] = (),
    ):
        self.function, self.places, self.state = function, places, state

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        results = self.function(*inputs)
        n = len(self.places)
        if n:
            torch._foreach_copy_(list(self.places), list(results[:n]))
        return results[n:]


class Replay:
    """A `Step` for inputs of one shape, much faster."""

    def __init__(self, step: Step, *inputs: Tensor):
        self.inputs = [value.clone() for value in inputs]
        with Tape() as tape:
            results = step.function(*self.inputs)
        expected = [result.detach().clone() for result in results]
        varying = [*self.inputs, *step.state]
        with torch.no_grad():
            try:
                self.results, self.calls = Binder(tape.calls, varying).bind(results, step.places)
                for call in self.calls:
                    call()
            except RuntimeError as error:  # of a kernel that cannot be called like that again
                raise Unrecordable(str(error)) from error
            if not all(map(_same, self.results, expected)):
                raise Unrecordable("a replay differs from what was recorded")
        self.returned = tuple(self.results[len(step.places) :])
        self.graph = _captured(self.calls) if self.inputs[0].is_cuda else None

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        with torch.inference_mode():
            for place, value in zip(self.inputs, inputs, strict=True):
                place.copy_(value)
            if self.graph is not None:
                self.graph.replay()
            else:
                for call in self.calls:
                    call()
        return self.returned


def recorded(step: Step, *inputs: Tensor) -> Step | Replay:
    """Return a faster step for inputs like these, or the step itself where there is none."""
    try:
        return Replay(step, *inputs)
    except Unrecordable:
        return step


class Gradient:
    """The gradient of an objective.

    Parameters
    ----------
    terms : callable
        From `((x, *noise), x)` to the terms of the objective by name, one value per row each.

    parameters : sequence of tensors
        What to differentiate for; those that require no gradient get zeros.

    places : sequence of tensors
        Where to put the gradients.

    state : sequence of tensors
        What the terms depend on, if it may change: parameters, say.
    """

    def __init__(
        self,
        terms: Callable[..., Mapping[str, Tensor]],
        parameters: Sequence[Tensor],
        places: Sequence[Tensor],
        state: Sequence[Tensor],
    ):
        pairs = zip(parameters, places, strict=True)
        wanted = [(p, place) for p, place in pairs if p.requires_grad]
        variables = [p for p, _ in wanted]
        self.names: list[str] = []
        self.tried = False

        def function(*inputs: Tensor) -> tuple[Tensor, ...]:
            with torch.enable_grad():
                found = terms(inputs, inputs[0])
                loss = total(found).mean(-1).sum()
                gradients = torch.autograd.grad(loss, variables, materialize_grads=True)
            self.names = list(found)
            return (*gradients, *(term.detach().sum(-1) for term in found.values()))

        self.step: Step | Replay = Step(function, [place for _, place in wanted], state)

    def record(self, *inputs: Tensor) -> None:
        """Look for a faster way, once."""
        self.tried = True
        if isinstance(self.step, Step):
            self.step = recorded(self.step, *inputs)


def _same(a: Tensor, b: Tensor) -> bool:
    # Some sums of a GPU have no fixed order.
    return torch.equal(a, b) or (a.is_cuda and torch.allclose(a, b, rtol=1e-4, atol=1e-6))


def _captured(calls: Sequence[Callable[[], Any]]) -> Any:
    """Capture the calls as one CUDA graph."""
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.no_grad(), torch.cuda.graph(graph):
            for call in calls:
                call()
    except RuntimeError:  # a kernel that waits for the host; the calls themselves still work
        return None
    return graph
