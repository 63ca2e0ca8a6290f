"""Draws among weighted outcomes by Walker's alias method, in whole numbers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dgconsole.catalog.streams import Hashes


class AliasTable:
    """Outcomes 0..n-1 with given weights; one hash picks one of them, exact to 2^-40 or better.

    The top bits of the hash pick a cell, the others decide between the cell's own outcome and its alias.

    Parameters
    ----------
    weights
        Whole numbers, not all 0; at most 2^24 of them.
    """

    def __init__(self, weights: Sequence[int]) -> None:
        bits = max(1, (len(weights) - 1).bit_length())
        size = 1 << bits
        full = 1 << (64 - bits)
        total = sum(weights)
        scaled = [weight * size for weight in weights] + [0] * (size - len(weights))
        keep = [full] * size
        alias = list(range(size))
        poor = [i for i, value in enumerate(scaled) if value < total]
        rich = [i for i, value in enumerate(scaled) if value >= total]
        while poor and rich:
            low, high = poor.pop(), rich[-1]
            keep[low] = scaled[low] * full // total
            alias[low] = high
            scaled[high] -= total - scaled[low]
            if scaled[high] < total:
                poor.append(rich.pop())
        self.size = size
        self._shift = np.uint64(64 - bits)
        self._mask = np.uint64(full - 1)
        self._keep: Hashes = np.array(keep, np.uint64)
        self._alias: NDArray[np.int64] = np.array(alias, np.int64)

    def pick(self, hashes: Hashes) -> NDArray[np.int64]:
        """The outcome of each hash, in the shape of ``hashes``."""
        cell = (hashes >> self._shift).view(np.int64)
        # mode="clip" spares the check of indices that are right by construction.
        own = (hashes & self._mask) < self._keep.take(cell, mode="clip")
        return np.where(own, cell, self._alias.take(cell, mode="clip"))
