"""Any pure function of tensors, recorded once and replayed without Python code around its kernels.

For small networks, most of the time of a training step goes into deciding which kernel runs next:
autograd, modules, dispatch, allocation of memory. So every kernel that the function calls, those of
the backward pass included, is recorded (`record.py`), and the list is bound to fixed buffers
(`bind.py`). A replay is then one call for each kernel, which writes where the next one reads. These
are the kernels that would have run anyway, in the same order, so the numbers are the same, to the
bit. Each recording is compared with its original before it is used.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from sktae._engine.bind import Binder
from sktae._engine.flat import total
from sktae._engine.record import Recorder, Unrecordable


class Step:
    """A pure function of tensors; its first results go into `outputs`, the rest is returned.

    Parameters
    ----------
    function : callable
        Takes tensors and returns a tuple of tensors.

    outputs : sequence of tensors
        Where the first results go.

    state : sequence of tensors
        What else may change between two calls, beside the arguments: parameters, say. A recording
        takes everything else that the function reads for a constant.
    """

    def __init__(
        self,
        function: Callable[..., tuple[Tensor, ...]],
        outputs: Sequence[Tensor] = (),
        state: Sequence[Tensor] = (),
    ):
        self.function, self.outputs, self.state = function, outputs, state

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        results = self.function(*inputs)
        n = len(self.outputs)
        if n:
            torch._foreach_copy_(list(self.outputs), list(results[:n]))
        return results[n:]


class Replay:
    """A `Step` for inputs of one shape, much faster.

    What it returns lies in its own buffers, so the next call overwrites it.
    """

    def __init__(self, step: Step, *inputs: Tensor):
        # Kernels are bound to these tensors; each call copies its inputs into them.
        self.inputs = [value.clone() for value in inputs]
        with Recorder() as recorder:
            results = step.function(*self.inputs)
        # Copied, since binding and the calls below may write over what was recorded.
        expected = [result.detach().clone() for result in results]
        varying = [*self.inputs, *step.state]
        with torch.no_grad():
            try:
                binder = Binder(recorder.calls, varying)
                self.results, self.calls = binder.bind(results, step.outputs)
                for call in self.calls:
                    call()
            except RuntimeError as error:  # of a kernel that cannot be called like that again
                raise Unrecordable(str(error)) from error
            if not all(map(_equal, self.results, expected)):
                raise Unrecordable("a replay differs from what was recorded")
            self.graph = self._checked_graph(expected) if _on_gpu(self.inputs[0]) else None
        self.returned = tuple(self.results[len(step.outputs) :])

    def _checked_graph(self, expected: Sequence[Tensor]) -> Any:
        """Return a CUDA graph of the calls, or None if it does not give what they give."""
        graph = _captured(self.calls, self.inputs[0].device)
        if graph is None:
            return None
        # Other results in between, since a graph that does nothing would leave the right ones.
        given = [value.clone() for value in self.inputs]
        torch._foreach_zero_(self.inputs)
        for call in self.calls:
            call()
        torch._foreach_copy_(self.inputs, given)
        graph.replay()
        return graph if all(map(_equal, self.results, expected)) else None

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        # Gradients are among the results already, so autograd has nothing to keep track of.
        with torch.inference_mode():
            for bound, value in zip(self.inputs, inputs, strict=True):
                bound.copy_(value)
            if self.graph is not None:
                self.graph.replay()
            else:
                for call in self.calls:
                    call()
        return self.returned


def recorded(step: Step, *inputs: Tensor) -> Step | Replay:
    """Return a faster step for inputs of these shapes, or the step itself if there is none."""
    try:
        return Replay(step, *inputs)
    except Unrecordable:
        return step


class Gradient:
    """The gradient of an objective, as a step that can be recorded.

    `step` writes gradients into `outputs` and returns the sum of each term over the rows. In a
    stack of models, all have an axis of models in front.

    Parameters
    ----------
    terms : callable
        From `((x, *noise), x)` to the terms of the objective by name, one value per row each.

    parameters : sequence of tensors
        What to differentiate for; those that require no gradient get zeros.

    outputs : sequence of tensors
        Where to put the gradients, zeros at first.

    state : sequence of tensors
        What the terms depend on, if it may change: parameters, say.
    """

    def __init__(
        self,
        terms: Callable[..., Mapping[str, Tensor]],
        parameters: Sequence[Tensor],
        outputs: Sequence[Tensor],
        state: Sequence[Tensor],
    ):
        pairs = zip(parameters, outputs, strict=True)
        trained = [(p, output) for p, output in pairs if p.requires_grad]
        variables = [p for p, _ in trained]
        self.names: list[str] = []  # of the terms, known after the first step
        self.tried = False  # whether `record` was called

        def function(*inputs: Tensor) -> tuple[Tensor, ...]:
            with torch.enable_grad():
                values = terms(inputs, inputs[0])
                # The mean over rows. Models of a stack share no parameter, so the gradient of the
                # sum of their losses holds the gradient of each.
                loss = total(values).mean(-1).sum()
                gradients = torch.autograd.grad(loss, variables, materialize_grads=True)
            self.names = list(values)
            return (*gradients, *(term.detach().sum(-1) for term in values.values()))

        self.step: Step | Replay = Step(function, [output for _, output in trained], state)

    def record(self, *inputs: Tensor) -> None:
        """Replace the step by a recording, if it can be recorded; try only once."""
        self.tried = True
        if isinstance(self.step, Step):
            self.step = recorded(self.step, *inputs)


def _equal(a: Tensor, b: Tensor) -> bool:
    # Some sums of a GPU have no fixed order.
    return torch.equal(a, b) or (a.is_cuda and torch.allclose(a, b, rtol=1e-4, atol=1e-6))


def _on_gpu(value: Tensor) -> bool:
    return value.is_cuda


def _captured(calls: Sequence[Callable[[], Any]], device: torch.device) -> Any:
    """Capture the calls as one CUDA graph, so that a step is launched as a whole.

    Kernels run on a stream of their device, so the stream of the capture is one of it, and need not
    be of the current device. What other threads do meanwhile is no part of it. The outer stream is
    the current one: a capture that fails would leave its own in place.
    """
    with torch.cuda.device(device), torch.cuda.stream(torch.cuda.current_stream(device)):
        torch.cuda.synchronize(device)
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream(device)
        try:
            with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                for call in calls:
                    call()
        except RuntimeError:  # a kernel that waits for the host; the calls themselves still work
            return None
    return graph
