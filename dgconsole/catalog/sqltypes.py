"""SQL types of columns and the dtypes that their values are made in."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DTYPES: dict[str, Any] = {
    "FLOAT": np.float32,
    "FLOATE": np.float32,
    "DOUBLE": np.float64,
    "DOUBLE PRECISION": np.float64,
    "REAL": np.float64,
    "BIT": np.int8,
    "BOOL": np.int8,
    "BOOLEAN": np.int8,
    "TINYINT": np.int8,
    "SMALLINT": np.int16,
    "MEDIUMINT": np.int32,
    "INT": np.int32,
    "INTEGER": np.int32,
    "BIGINT": np.int64,
}


def dtype_of(sql: str) -> Any:
    """The dtype for a type, None where the type says nothing about numbers (text, dates, empty, unknown)."""
    words = re.sub(r"\(.*?\)", "", sql.upper()).split()
    unsigned = "UNSIGNED" in words
    name = " ".join(word for word in words if word not in ("UNSIGNED", "ZEROFILL", "NOT", "NULL"))
    found = _DTYPES.get(name)
    if found is not None and unsigned and np.issubdtype(found, np.integer):
        return np.dtype(f"u{np.dtype(found).itemsize}")
    return found


def converted(values: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """``values`` as ``dtype``: fractions are cut off towards minus infinity, whole numbers that do not fit
    become the nearest that does. Text and None dtypes are passed through; NaN cannot become whole and stays.
    """
    if dtype is None or values.dtype == object or values.dtype == np.dtype(dtype):
        return values
    target = np.dtype(dtype)
    if target.kind == "f":
        return values.astype(target)
    if values.dtype.kind == "f":
        if bool(np.isnan(values).any()):
            return values
        values = np.floor(values)
    if values.dtype == np.bool_:
        return values.astype(target)
    limits = np.iinfo(target)
    if values.dtype.kind == "f":
        # The largest double below 2^63 is what a clipped double may become.
        high = float(limits.max) if limits.max < 2**53 else float(np.nextafter(float(limits.max), 0.0))
        clipped: NDArray[Any] = np.clip(values, float(limits.min), high)
        return clipped.astype(target)
    if values.size and not limits.min <= values.min() <= values.max() <= limits.max:
        own = np.iinfo(values.dtype)
        values = np.clip(values, max(int(limits.min), int(own.min)), min(int(limits.max), int(own.max)))
    return values.astype(target)
