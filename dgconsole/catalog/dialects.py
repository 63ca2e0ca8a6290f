"""The original's two dialects: its package names while a spec is read, and older forms of the vocabulary."""

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from dgconsole.catalog import columns, density
from dgconsole.catalog.chunker import Chunker

_OLD_NAMES = {"column_val": "column_seed", "ignoreEdgeOnly": "ignore_edge_only"}
_CLASSES = (
    "ObjIdGenerator",
    "VisitIdGenerator",
    "FilterGenerator",
    "MagnitudeGenerator",
    "UniformGenerator",
    "PoissonGenerator",
    "ForcedSourceGenerator",
    "SourceGenerator",
)


class CcdVisitGenerator:
    """The oldest form of a visit table: ccdVisitId, ra, decl, filterName in one entry.

    Read as the three generators that make these columns. Its number of visits is not used: ``--visits``, or
    ``visits`` of the server's configuration, says it for every form.
    """

    def __init__(self, chunker: Chunker, ccd_visits_per_chunk: int, filters: str = "ugrizy") -> None:
        del chunker, ccd_visits_per_chunk
        self._filter = columns.FilterGenerator(filters)

    def parts(self, names: Sequence[str]) -> tuple[tuple[int, Any], ...]:
        """(how many of ``names``, generator) in order. ValueError where there are not four names."""
        if len(names) != 4:
            raise ValueError(
                f"CcdVisitGenerator makes ccdVisitId, ra, decl, filterName: give 4 names, not {len(names)}"
            )
        return (
            (1, columns.VisitIdGenerator()),
            (2, columns.RaDecGenerator(ignore_edge_only=True)),
            (1, self._filter),
        )


def calcSeedFrom(chunk_id: int, seed: int, column_val: int) -> int:  # noqa: N802
    """The older form's seed for ``numpy.random.seed``, which generators of a user's own may call."""
    return chunk_id * 10000 + seed + column_val * 100


@contextmanager
def original_packages() -> Iterator[None]:
    """Inside the block ``import lsst.dax.data_generator.columns as columns`` and the like give our vocabulary.

    A real ``lsst`` package stays what it is (specs may import ``lsst.sphgeom``); what is grafted on it comes
    off at the end, and what it covered comes back. Not for two threads at once.
    """
    lsst = _real("lsst") or _package("lsst")
    dax = _real("lsst.dax") or _package("lsst.dax")
    generator = _package("lsst.dax.data_generator")
    models = ("SpatialModel", "UniformSpatialModel", "HealpixSpatialModel")
    parts = {
        "columns": _columns(),
        "chunker": _module("lsst.dax.data_generator.chunker", Chunker=Chunker),
        "spatial": _module("lsst.dax.data_generator.spatial", **{name: getattr(density, name) for name in models}),
    }
    vars(generator).update(parts, Chunker=Chunker, **{name: getattr(density, name) for name in models})
    modules = {"lsst": lsst, "lsst.dax": dax, "lsst.dax.data_generator": generator}
    modules |= {f"lsst.dax.data_generator.{name}": module for name, module in parts.items()}

    covered = {name: sys.modules.get(name) for name in modules}
    attributes = [(lsst, "dax", dax), (dax, "data_generator", generator)]
    hidden = [(owner, name, vars(owner).get(name)) for owner, name, _ in attributes]
    sys.modules.update(modules)
    for owner, name, value in attributes:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, former in hidden:
            if former is None:
                delattr(owner, name)
            else:
                setattr(owner, name, former)
        for full, module in covered.items():
            if module is None:
                sys.modules.pop(full, None)
            else:
                sys.modules[full] = module


def _real(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _module(name: str, **contents: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(contents)
    return module


def _package(name: str) -> ModuleType:
    return _module(name, __path__=[])


def _columns() -> ModuleType:
    """The vocabulary with the older keywords, the names of June 2020 (``...EF``) and its forms."""
    known = {name: _with_old_keywords(getattr(columns, name)) for name in _CLASSES}
    known["RaDecGenerator"] = _ra_dec()
    known["CcdVisitGenerator"] = CcdVisitGenerator
    early = {f"{name}EF": made for name, made in known.items()}
    return _module(
        "lsst.dax.data_generator.columns",
        ColumnGenerator=columns.ColumnGenerator,
        calcSeedFrom=calcSeedFrom,
        **known,
        **early,
    )


def _with_old_keywords(base: type[Any]) -> type[Any]:
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        base.__init__(self, *args, **_renamed(kwargs))

    return type(base.__name__, (base,), {"__init__": __init__, "__doc__": base.__doc__})


def _ra_dec() -> type[Any]:
    base = columns.RaDecGenerator

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        kwargs.pop("chunker", None)
        if args and isinstance(args[0], Chunker):
            args = args[1:]
        base.__init__(self, *args, **_renamed(kwargs))

    return type(base.__name__, (base,), {"__init__": __init__, "__doc__": base.__doc__})


def _renamed(arguments: dict[str, Any]) -> dict[str, Any]:
    return {_OLD_NAMES.get(name, name): value for name, value in arguments.items()}
