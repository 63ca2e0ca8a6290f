"""`Rows`: what a generator is given: some rows of one table in one chunk, and numbers drawn for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgconsole.catalog.quantiles import normal_law
from dgconsole.catalog.streams import Hashes, Key, hash_rows, make_key
from dgconsole.sky.boxes import Box

Columns = Mapping[str, NDArray[Any]]
Tables = Mapping[str, Columns]


@dataclass(frozen=True, slots=True)
class Pairs:
    """What the rows of a table of pairs know about their objects and visits, each of shape (n,).

    ``bands`` are indices into ``words``; ``flux`` is the object's flux in the visit's band, empty where no
    column asks for it.
    """

    objects: NDArray[np.int64]
    visits: NDArray[np.int64]
    bands: NDArray[np.uint8]
    words: tuple[str, ...]
    flux: NDArray[np.float64]


class Rows:
    """Some rows of a table. ``len(rows)`` says how many; which ones is the engine's business.

    Parameters
    ----------
    table, names
        The table, and the columns that this generator fills.
    chunk, box
        The chunk that the rows belong to, and its exact box in degrees.
    seed
        The run's seed.
    ids
        int64, shape (n,): the rows' ids, unique over the sky (``chunk << 32 | number``).
    ra, dec
        float64, shape (n,): the rows' places in degrees; empty where the table has none.
    parents
        In a table whose rows follow those of a prerequisite (``prereq_row``, or pairs of objects and visits):
        column -> values of the row's own object, shape (n,).
    tables
        The prerequisite tables: table -> column -> all values in this chunk. Made when first asked for.
    counters
        uint64, shape (n,): what the draws are keyed by.
    pairs
        In a table of pairs: ids, band and flux of the rows' objects and visits.
    """

    def __init__(
        self,
        *,
        table: str,
        chunk: int,
        box: Box,
        seed: int,
        ids: NDArray[np.int64],
        counters: Hashes,
        ra: NDArray[np.float64],
        dec: NDArray[np.float64],
        tables: Tables,
        parents: Columns,
        pairs: Pairs | None = None,
        names: tuple[str, ...] = (),
        salt: int = 0,
    ) -> None:
        self.table = table
        self.names = names
        self.chunk = chunk
        self.box = box
        self.seed = seed
        self.ids = ids
        self.ra = ra
        self.dec = dec
        self.parents = parents
        self.tables = tables
        self.counters = counters
        self.pairs = pairs
        self._salt = salt
        self._draws = 0

    def __len__(self) -> int:
        return len(self.counters)

    def for_columns(self, names: tuple[str, ...], salt: int) -> "Rows":
        """The same rows, for a generator that fills ``names`` with draws of its own."""
        return Rows(
            table=self.table,
            chunk=self.chunk,
            box=self.box,
            seed=self.seed,
            ids=self.ids,
            counters=self.counters,
            ra=self.ra,
            dec=self.dec,
            tables=self.tables,
            parents=self.parents,
            pairs=self.pairs,
            names=names,
            salt=salt,
        )

    def uniform(self, n_columns: int = 1) -> NDArray[np.float64]:
        """Uniform numbers in [0, 1), shape (n_columns, n). Each call draws new ones, the same for each row
        whatever rows it comes with: make the same calls in the same order every time.
        """
        return np.stack([(h >> np.uint64(11)).view(np.int64) * 2.0**-53 for h in self._hashes(n_columns)])

    def integers(self, low: int, high: int, n_columns: int = 1) -> NDArray[np.int64]:
        """Whole numbers from ``low`` to ``high`` - 1 (at most 2^32 of them), shape (n_columns, n)."""
        if not 0 < high - low <= 1 << 32:
            raise ValueError(f"integers({low}, {high}): the second must be larger, by at most 2**32")
        count, half = np.uint64(high - low), np.uint64(32)
        return np.stack([(((h >> half) * count) >> half).view(np.int64) + low for h in self._hashes(n_columns)])

    def normal(self, n_columns: int = 1) -> NDArray[np.float64]:
        """Numbers of the standard normal distribution, shape (n_columns, n)."""
        drawn = np.empty((n_columns, len(self)))
        for out, hashes in zip(drawn, self._hashes(n_columns), strict=True):
            normal_law().draw(hashes, np.empty_like(hashes), out)
        return drawn

    def _hashes(self, n_columns: int) -> list[Hashes]:
        self._draws += 1
        return [hash_rows(self.counters, self._key(column)) for column in range(n_columns)]

    def _key(self, column: int) -> Key:
        return make_key(self.seed, self.table, ",".join(self.names), f"{self._salt}/{self._draws}/{column}")
