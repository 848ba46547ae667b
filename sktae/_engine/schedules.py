"""How the learning rate moves over the steps of a fit."""

import math

# With "one_cycle", the learning rate begins at this share of the largest, and rises in this share
# of the steps.
_FIRST, _WARM_UP = 1 / 25, 0.3


def cosine(progress: float) -> float:
    """Return the factor of the learning rate that falls from 1 to 0 along half a cosine."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def one_cycle(progress: float) -> float:
    """Return the factor that first rises to 1 along half a cosine, and then falls to 0."""
    if progress < _WARM_UP:
        return 1 - (1 - _FIRST) * cosine(progress / _WARM_UP)
    return cosine((progress - _WARM_UP) / (1 - _WARM_UP))


# The factor of the learning rate, by the share of the steps that are done.
SCHEDULES = {"cosine": cosine, "one_cycle": one_cycle}
