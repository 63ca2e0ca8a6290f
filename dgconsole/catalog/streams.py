"""Counter-based random numbers: a keyed 64-bit mixer of each row's counter, vectorised in blocks.

No state and no order: the number of a row is the same alone, in any batch and on any machine. Two keys a
stream, one before and one inside the mixer (with one key two streams could be shifts of each other).
"""

from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BLOCK = 32768
"""Values computed at a time: what fits the second-level cache with its scratch."""

Hashes = NDArray[np.uint64]

_G = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_S30, _S31, _S32 = np.uint64(30), np.uint64(31), np.uint64(32)
_PAIR = np.uint64(0xD1342543DE82EF95)
_LOW = np.uint64(0xFFFFFFFF)


class Key(NamedTuple):
    """The two 64-bit keys of one stream."""

    first: int
    second: int


def make_key(seed: int, table: str, column: str, salt: str | int = "") -> Key:
    """The stream of one column; ``salt`` (the column seed, or a purpose) only varies it."""
    digest = blake2b(repr((seed, table, column, salt)).encode(), digest_size=16).digest()
    return Key(int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little"))


def key_arrays(keys: "list[Key] | tuple[Key, ...]") -> tuple[Hashes, Hashes]:
    """The keys of several streams as two arrays of shape (len(keys), 1)."""
    first = np.array([key.first for key in keys], np.uint64).reshape(-1, 1)
    second = np.array([key.second for key in keys], np.uint64).reshape(-1, 1)
    return first, second


def mix(counters: Hashes, first: Hashes, second: Hashes, x: Hashes, t: Hashes) -> None:
    """Hash ``counters`` (rows,) under keys of shape (columns, 1) into ``x`` (columns, rows); ``t`` is scratch.

    After Steele, Lea and Flood (2014), SplitMix64, keyed.
    """
    np.bitwise_xor(counters, first, out=x)
    np.multiply(x, _G, out=x)
    np.right_shift(x, _S32, out=t)
    np.bitwise_xor(x, t, out=x)
    np.multiply(x, _M1, out=x)
    np.right_shift(x, _S30, out=t)
    np.bitwise_xor(x, t, out=x)
    np.add(x, second, out=x)
    np.multiply(x, _M2, out=x)
    np.right_shift(x, _S31, out=t)
    np.bitwise_xor(x, t, out=x)


def hash_rows(counters: Hashes, key: Key) -> Hashes:
    """One 64-bit hash a row, shape (rows,)."""
    first, second = key_arrays([key])
    hashes = np.empty((1, len(counters)), np.uint64)
    scratch = np.empty((1, min(BLOCK, len(counters))), np.uint64)
    for start in range(0, len(counters), BLOCK):
        part = counters[start : start + BLOCK]
        mix(part, first, second, hashes[:, start : start + BLOCK], scratch[:, : len(part)])
    row: Hashes = hashes[0]
    return row


def hash_one(counter: int, key: Key) -> int:
    """The hash of a single counter."""
    return int(hash_rows(np.array([counter], np.uint64), key)[0])


def row_ids(chunk: int, start: int, stop: int) -> Hashes:
    """Ids (and counters) of rows ``start`` to ``stop`` of a chunk: ``chunk << 32 | row``."""
    return np.arange(start, stop, dtype=np.uint64) + np.uint64(chunk << 32)


def rows_of(ids: Hashes) -> NDArray[np.int64]:
    """The row numbers within their chunk."""
    rows: NDArray[np.int64] = (ids & _LOW).view(np.int64)
    return rows


def pair_counters(parents: Hashes, others: Hashes) -> Hashes:
    """Counters of rows made from two parents: ``parent * ODD + other``, modulo 2^64."""
    counters: Hashes = parents * _PAIR
    counters += others
    return counters
