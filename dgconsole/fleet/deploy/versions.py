"""The packages that our clients need, in the versions that the console itself has: the same code, the same bytes."""

import re
from collections.abc import Iterator
from importlib import metadata

OURS = "dgconsole"
CLIENTS_NEED = ("healpy", "lsst-sphgeom", "msgspec", "numpy", "polars", "pyarrow", "pyyaml")
"""What a client cannot do without; all but the last have a part in the values."""

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?")
_EXTRA = re.compile(r"""\bextra\s*==\s*["']([^"']+)["']""")


def own_versions() -> dict[str, str]:
    """Version by (normalized) name of every installed package that ours needs, through all levels.

    Empty where dgconsole was never installed.
    """
    found: dict[str, str] = {}
    todo: list[tuple[str, frozenset[str]]] = [(OURS, frozenset())]
    seen = set(todo)
    while todo:
        name, extras = todo.pop()
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # not for this Python or machine
        found[name] = distribution.version
        for needed in _needs(distribution, extras):
            if needed not in seen:
                seen.add(needed)
                todo.append(needed)
    found.pop(OURS, None)
    return dict(sorted(found.items()))


def least_python() -> tuple[int, int]:
    """The oldest (major, minor) Python that our clients run on."""
    try:
        requires = str(metadata.metadata(OURS)["Requires-Python"])
    except metadata.PackageNotFoundError:
        requires = ""
    match = re.search(r">=\s*(\d+)\.(\d+)", requires)
    return (int(match[1]), int(match[2])) if match else (3, 0)


def pins(versions: dict[str, str]) -> tuple[str, ...]:
    """The lines of a constraints file. What a version says after + names a build of this machine alone."""
    return tuple(f"{name}=={version.partition('+')[0]}" for name, version in versions.items())


def normalized(name: str) -> str:
    """As https://packaging.python.org/specifications/name-normalization has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _needs(distribution: metadata.Distribution, extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    for text in distribution.requires or ():
        requirement, _, marker = text.partition(";")
        only_for = set(_EXTRA.findall(marker))
        match = _REQUIREMENT.match(requirement)
        if match and (not only_for or only_for & extras):
            wanted = (extra.strip() for extra in (match[2] or "").split(","))
            yield normalized(match[1]), frozenset(extra for extra in wanted if extra)
