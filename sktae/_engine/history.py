"""What a fit adds to the history of its net."""

import math
from collections.abc import Mapping
from typing import Any


def record_block(
    history: Any, prefix: str, terms: Mapping[str, float], n_rows: int | None = None
) -> None:
    """Add the means of the objective's terms over a block of steps, or over validation rows.

    With its number of rows, the block also counts as one batch, where batches are not recorded.
    """
    loss = sum(terms.values())
    if not math.isfinite(loss):
        ill = [repr(term) for term, value in terms.items() if not math.isfinite(value)]
        by = f", by its term {' and '.join(ill)}" if len(terms) > 1 and ill else ""
        raise ValueError(
            f"The {prefix} loss became {loss} in epoch {len(history)}{by}. Scale the columns "
            f"to similar ranges, lower learning_rate, or set max_grad_norm. In an objective of "
            f"your own, look for a root or a logarithm of 0."
        )
    name = f"{prefix}_loss"
    earlier = (row[name] for row in reversed(history) if row.get(f"{name}_best"))
    best = next(earlier, math.inf)
    history.record(name, loss)
    # What skorch's Checkpoint reads: the best so far, and the last batch.
    history.record(f"{name}_best", loss < best)
    if n_rows is not None:
        history.new_batch()
        record_batch(history, prefix, loss, n_rows)
    if len(terms) > 1:
        for term, value in terms.items():
            history.record(f"{prefix}_{term}", value)


def record_batch(history: Any, prefix: str, loss: float, n_rows: int) -> None:
    """Add loss and size of a batch, as skorch does."""
    history.record_batch(f"{prefix}_loss", loss)
    history.record_batch(f"{prefix}_batch_size", n_rows)
