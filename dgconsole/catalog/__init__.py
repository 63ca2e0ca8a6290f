"""Synthetic tables: values as pure functions of their address, in batches of rows.

Spec files import from here: ``from dgconsole.catalog import Chunker, UniformSpatialModel, columns``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dgconsole.catalog import columns
    from dgconsole.catalog.chunker import Chunker
    from dgconsole.catalog.density import HealpixSpatialModel, SpatialModel, UniformSpatialModel

__all__ = ["Chunker", "HealpixSpatialModel", "SpatialModel", "UniformSpatialModel", "columns"]

_HOMES = {
    "Chunker": "chunker",
    "HealpixSpatialModel": "density",
    "SpatialModel": "density",
    "UniformSpatialModel": "density",
}


def __getattr__(name: str) -> Any:
    if name == "columns":
        return import_module("dgconsole.catalog.columns")
    if name in _HOMES:
        return getattr(import_module(f"dgconsole.catalog.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
