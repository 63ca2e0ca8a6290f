"""Poisson distributions in whole numbers: exact to 2^-64, the same on every machine."""

from functools import lru_cache
from itertools import accumulate
from math import floor

import numpy as np
from numpy.typing import NDArray

_ONE = 1 << 96
_CUT = 1 << 20
"""Outcomes less likely than 2^-76 of the likeliest are left out."""


def poisson_weights(mean: float) -> tuple[int, list[int]]:
    """The outcomes of a Poisson distribution: the lowest one, and whole weights of it and its successors.

    Starts at the likeliest outcome and multiplies its way up and down, so nothing needs an exponential; the
    sum of the weights is whatever it comes to.
    """
    over, under = mean.as_integer_ratio()
    mode = floor(mean)
    down: list[int] = []
    weight, k = _ONE, mode
    while k > 0 and weight > _CUT:
        weight = weight * under * k // over
        down.append(weight)
        k -= 1
    up: list[int] = []
    weight, k = _ONE, mode
    while weight > _CUT:
        k += 1
        weight = weight * over // (under * k)
        if weight:
            up.append(weight)
    return mode - len(down), [*reversed(down), _ONE, *up]


@lru_cache(maxsize=256)
def _thresholds(mean: float) -> tuple[int, NDArray[np.uint64]]:
    low, weights = poisson_weights(mean)
    sums = list(accumulate(weights))
    total = sums.pop()
    return low, np.array([(value << 64) // total for value in sums], np.uint64)


def poisson_count(mean: float, hash64: int) -> int:
    """The count that one 64-bit hash stands for: the inverse of the cumulative distribution."""
    low, thresholds = _thresholds(mean)
    return low + int(np.searchsorted(thresholds, np.uint64(hash64), side="right"))
