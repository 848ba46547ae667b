"""One network trained by several processes, each on a part of every batch.

What a step draws depends on its number alone, so every process draws the same batch, and takes its
part. Parameters lie in one vector, so the gradients of all parts are averaged by one call. The
average is taken between a recorded gradient and the update, so steps are recorded as usual.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from sktae._engine.batches import TrainingSteps
from sktae._engine.flat import total
from sktae._engine.net import AutoencoderNet

# Losses of the same rows may differ so much between a part of a batch and the whole batch, relative
# to the largest: sums are rounded differently, and bfloat16 keeps three digits.
_ROUNDING = 1e-2


class DataParallelNet(AutoencoderNet):
    """An `AutoencoderNet` that several processes train together.

    Every process calls `fit` with the same rows, the same parameters and the same `random_state`,
    after `torch.distributed.init_process_group`. Each one reads its part of every batch and
    computes the gradient of that part. The processes then use the mean of these gradients. So the
    fit is that of one process with the same `batch_size`, up to the rounding of sums, and all
    processes end with the same model.

    `batch_size` must be a multiple of the number of processes. The optimizer must be Adam or AdamW,
    and all parameters must be trained. The loss of a row may depend on no other row of the batch.
    Otherwise `fit` raises an error. Everything after the training, such as the threshold, is
    computed by every process.

    Parameters
    ----------
    module : nn.Module or None, default=None
        Set by the estimator.

    criterion : nn.Module or None, default=None
        Set by the estimator.

    optimizer : type, default=torch.optim.AdamW
        Class of the optimizer.

    schedule : {"cosine", "one_cycle", "constant"}, default="constant"
        Set by the estimator: how the learning rate moves over the steps of a fit.

    max_grad_norm : float or None, default=None
        Set by the estimator: the largest norm of the gradient.

    precision : {"float32", "bfloat16"}, default="float32"
        Set by the estimator: in what numbers the network computes in training.

    **kwargs : dict
        Everything else that `skorch.NeuralNet` takes.

    Examples
    --------
    This is a group of one process. `torchrun` starts several ones:

    >>> import tempfile
    >>> import torch.distributed as dist
    >>> from sklearn.datasets import load_iris
    >>> from sktae import Autoencoder, DataParallelNet
    >>> X, _ = load_iris(return_X_y=True)
    >>> store = dist.FileStore(tempfile.mkdtemp() + "/store", 1)
    >>> dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    >>> model = Autoencoder(2, net=DataParallelNet(), random_state=0).fit(X)
    >>> dist.destroy_process_group()
    >>> model.transform(X).shape
    (150, 2)
    """

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run one block of steps; before the first one, agree with the other processes."""
        if training and iterator.share is None:
            self._join(iterator)
        super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)

    def finish_gradient(self, gradient, shape):
        """Average the gradient over all processes, then clip it."""
        dist.all_reduce(gradient)
        gradient.div_(dist.get_world_size())
        super().finish_gradient(gradient, shape)

    def train_step_single(self, batch, **fit_params):
        """Compute loss and gradients of a part; callbacks on batches get the loss of the batch."""
        step = super().train_step_single(batch, **fit_params)
        loss = step["loss"].detach().clone()
        dist.all_reduce(loss)
        return {**step, "loss": loss / dist.get_world_size()}

    def _run_fused(self, steps):
        return _over_all(*super()._run_fused(steps))

    def _run_stepwise(self, iterator, training, prefix, step_fn, fit_params):
        results = super()._run_stepwise(iterator, training, prefix, step_fn, fit_params)
        return _over_all(*results) if training else results

    def _join(self, steps: TrainingSteps) -> None:
        """Take the part of this process, once it is sure that all processes make the same fit."""
        if not (dist.is_available() and dist.is_initialized()):
            raise RuntimeError(
                "DataParallelNet needs a group of processes: call "
                "torch.distributed.init_process_group before fit, or leave the net out."
            )
        flat, n, size = self._flat(), dist.get_world_size(), steps.plan.batch_size
        if flat is None:
            raise ValueError(
                f"DataParallelNet averages gradients that lie in one vector, but here "
                f"{self.optimizer.__name__} has several: use Adam or AdamW and trainable='all'."
            )
        if size % n:
            raise ValueError(
                f"A batch has {size} rows, which {n} processes cannot share equally: use a "
                f"batch_size that is a multiple of {n}, and no fewer rows."
            )
        self._set_training(True)  # where dropout is on, if there is any
        made = steps.plan.seed, tuple(steps.x.shape), len(steps.x), size, steps.step, steps.budget
        others: list[Any] = [None] * n
        dist.all_gather_object(others, (*made, flat.numel()))
        _check(
            len(set(others)) == 1,
            "The processes do not make the same fit: pass all of them the same rows, the same "
            "parameters and the same number as random_state.",
            flat.device,
        )
        whole = [part[0] for part in steps.stacked(steps.step, steps.step + 1)]
        first = whole[0].clone()
        dist.broadcast(first, 0)
        _check(
            torch.allclose(first, whole[0], rtol=1e-3, atol=1e-3, equal_nan=True),
            "The processes do not have the same rows: pass all of them the same table.",
            flat.device,
        )
        dist.broadcast(flat, 0)  # what was computed from rows may be rounded by kind of processor
        part = size // n
        steps.share = slice(dist.get_rank() * part, (dist.get_rank() + 1) * part)
        own = [value[steps.share] for value in whole]
        with torch.no_grad():
            alone, within = (total(self.terms(x, x[0])) for x in (own, whole))
        difference = (alone - within[steps.share]).abs().max()
        _check(
            bool(difference <= _ROUNDING * within.abs().max().clamp(min=1.0)),
            "The loss of a row depends on the other rows of its batch, or on dropout, so that "
            "parts of a batch cannot be trained apart: leave DataParallelNet out.",
            flat.device,
        )


def _check(holds: bool, message: str, device: torch.device) -> None:
    """Raise in all processes if something does not hold in one: none may wait for another."""
    fails = torch.tensor(0.0 if holds else 1.0, device=device)
    dist.all_reduce(fails)
    if fails:
        raise ValueError(message)


def _over_all(
    sums: dict[str, Tensor], n_rows: int, n_batches: int
) -> tuple[dict[str, Tensor], int, int]:
    """Add up the sums of all processes."""
    values = torch.stack(list(sums.values()))
    dist.all_reduce(values)
    return dict(zip(sums, values, strict=True)), n_rows * dist.get_world_size(), n_batches
