"""Distributions as tables of their quantiles: 4096 cells, and finer ones for both tails.

A draw is a look-up, a product and a sum: exact on every machine. The tables themselves are made of exact
operations too.
"""

from decimal import Decimal, localcontext
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dgconsole.catalog import exactmath
from dgconsole.catalog.alias import AliasTable
from dgconsole.catalog.poisson import poisson_weights
from dgconsole.catalog.streams import Hashes

Floats = NDArray[np.float64]

CELLS = 4096
_FINE = CELLS * CELLS
_SHIFT_MAIN, _SHIFT_FINE = np.uint64(52), np.uint64(40)
_MASK_MAIN, _MASK_FINE = np.uint64((1 << 52) - 1), np.uint64((1 << 40) - 1)


class QuantileTable:
    """The inverse of a cumulative distribution, linear within cells of probability 2^-12; within the outermost
    cell on each side, linear within cells of 2^-24.

    Parameters
    ----------
    main
        Quantiles of i / 4096, shape (4097,).
    low, high
        Quantiles of i / 4096**2 and of 1 - 1 / 4096 + i / 4096**2, shape (4097,).
    """

    def __init__(self, main: Floats, low: Floats, high: Floats) -> None:
        self.main, self.low, self.high = main, low, high
        self._left = main[:-1].copy()
        self._step = np.diff(main) * 2.0**-52
        self._tails_left = np.concatenate([low[:-1], high[:-1]])
        self._tails_step = np.concatenate([np.diff(low), np.diff(high)]) * 2.0**-40

    def draw(self, x: Hashes, t: Hashes, out: Floats) -> None:
        """The value of each hash in ``x`` into ``out``; ``x`` is used up, ``t`` is scratch, all of one shape."""
        np.right_shift(x, _SHIFT_MAIN, out=t)
        cell = t.view(np.int64)
        # The first cell and the last: 0 - 1 is the largest number there is.
        outer = np.flatnonzero(t - np.uint64(1) >= CELLS - 2)
        np.bitwise_and(x, _MASK_MAIN, out=x)
        np.take(self._step, cell, out=out, mode="clip")
        np.multiply(out, x.view(np.int64), out=out, casting="unsafe")
        rest = x.reshape(-1)[outer]
        out += np.take(self._left, cell, out=x.view(np.float64), mode="clip")
        if len(outer):
            fine = (rest >> _SHIFT_FINE).view(np.int64) + np.where(cell.reshape(-1)[outer] == 0, 0, CELLS)
            values = self._tails_step[fine] * (rest & _MASK_FINE).view(np.int64)
            values += self._tails_left[fine]
            out.reshape(-1)[outer] = values


@lru_cache(maxsize=64)
def magnitude_law(low: float, high: float, slope: float) -> QuantileTable:
    """Magnitudes from ``low`` to ``high`` whose density grows as ``10 ** (slope * magnitude)``."""
    with localcontext(prec=40):
        grown = Decimal(10) ** (Decimal(slope) * (Decimal(high) - Decimal(low)))
        growth = float(grown - 1)
        scale = float(1 / (Decimal(slope) * Decimal(10).ln()))

    def quantile(share: Floats) -> Floats:
        values: Floats = low + exactmath.log(1.0 + share * growth) * scale
        return np.minimum(values, high)

    steps = np.arange(CELLS + 1, dtype=np.float64)
    last = (_FINE - CELLS + steps) / _FINE
    table = QuantileTable(quantile(steps / CELLS), quantile(steps / _FINE), quantile(last))
    table.main[-1] = table.high[-1] = high
    return table


@lru_cache(maxsize=1)
def normal_law() -> QuantileTable:
    """The standard normal distribution, cut at 5.7 on both sides (beyond 5.3 linear)."""
    half = CELLS // 2
    inner = _outward(0.0, _PEAK, [1.0 / CELLS] * (half - 1))
    outer = _outward(*inner[-1], [1.0 / _FINE] * (CELLS - 1))
    right = np.array([0.0] + [z for z, _ in inner])
    last = outer[-1][0]
    tail = np.array([inner[-1][0]] + [z for z, _ in outer] + [last + 2.0 / last])
    main = np.concatenate([[-tail[-1]], -right[:0:-1], right, [tail[-1]]])
    return QuantileTable(main, -tail[::-1], tail)


_PEAK = 0.3989422804014327
"""The normal density at 0."""


def _outward(z: float, density: float, steps: list[float]) -> list[tuple[float, float]]:
    """Normal quantiles (and the density there), each ``steps[i]`` of probability further out than the last.

    From z on, the density is ``density * exp(-z*s - s*s/2)``, whose Taylor coefficients follow
    (n+1) a[n+1] = -z a[n] - a[n-1]; Newton's method finds the s whose integral is the step.
    """
    found = []
    for step in steps:
        s = wanted = step / density
        terms, n, power = [1.0, -z], 1, s
        while n < 40 and (n < 4 or abs(terms[n]) * power > 1e-24):
            terms.append((-z * terms[n] - terms[n - 1]) / (n + 1))
            n, power = n + 1, power * s
        for _ in range(60):
            value = integral = 0.0
            for n in range(len(terms) - 1, -1, -1):
                value = value * s + terms[n]
                integral = integral * s + terms[n] / (n + 1)
            change = (integral * s - wanted) / value
            s -= change
            if abs(change) < 1e-17 or abs(change) < 1e-16 * s:
                break
        z, density = z + s, density * value
        found.append((z, density))
    return found


@lru_cache(maxsize=64)
def poisson_alias(mean: float) -> tuple[int, AliasTable]:
    """The lowest outcome of a Poisson distribution, and a table that draws the steps above it."""
    low, weights = poisson_weights(mean)
    return low, AliasTable(weights)
