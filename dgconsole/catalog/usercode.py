"""The edge where code of the user's own runs: what it raises, and what it returns."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgconsole.support.errors import ChunkError, Fault


def guarded(where: str, call: Callable[[], Any]) -> Any:
    """Call a generator of the user's own; whatever it raises is a fault of the chunk's generation."""
    try:
        return call()
    except (ChunkError, MemoryError):
        raise
    except Exception as exc:
        text = str(exc).strip().splitlines()
        raise ChunkError(Fault.GENERATE, f"{where}: {type(exc).__name__}: {text[0] if text else 'no words'}") from exc


def checked_arrays(
    where: str, made: Any, count: int, length: int | None, warn: Callable[[str], None]
) -> list[NDArray[Any]]:
    """What a generator returned, as ``count`` arrays of one length (``length``, unless None).

    Extra ones are dropped with a warning. Text comes as objects, str or None.
    """
    if isinstance(made, np.ndarray) and made.ndim == 1:
        made = [made]
    try:
        arrays = [np.asarray(values) for values in made]
    except TypeError:
        raise ChunkError(Fault.GENERATE, f"{where}: returned {type(made).__name__}, not arrays") from None
    if len(arrays) < count:
        raise ChunkError(Fault.GENERATE, f"{where}: returned {len(arrays)} arrays for {count} columns")
    if len(arrays) > count:
        extra = len(arrays) - count
        warn(f"{where}: the last {extra} of {len(arrays)} arrays have no name and are dropped")
    arrays = [_text(where, a) if a.dtype.kind in "USOT" else a for a in arrays[:count]]
    shape = (len(arrays[0]) if arrays[0].ndim else 0,) if length is None else (length,)
    for values in arrays:
        if values.shape != shape:
            raise ChunkError(Fault.GENERATE, f"{where}: an array has shape {values.shape}, expected {shape}")
        if values.dtype.kind not in "biufO":
            raise ChunkError(Fault.GENERATE, f"{where}: an array holds {values.dtype}, expected numbers or text")
    return arrays


def _text(where: str, values: NDArray[Any]) -> NDArray[Any]:
    """Text as objects; NaN among it (as data frames have it) is None."""
    if values.dtype.kind == "S":
        values = np.char.decode(values)
    found = values.astype(object)
    for index, value in enumerate(found.flat):
        if isinstance(value, float) and value != value:
            found.flat[index] = None
        elif value is not None and not isinstance(value, str):
            kind = type(value).__name__
            raise ChunkError(Fault.GENERATE, f"{where}: an array mixes text with {kind}; give numbers or text")
    return found
