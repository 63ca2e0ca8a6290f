"""The order in which tables are made: prerequisites first, each table once, otherwise as the spec lists them."""

from collections.abc import Mapping, Sequence


class CycleError(ValueError):
    """Tables that need each other; ``path`` begins and ends with the same one."""

    def __init__(self, path: Sequence[str]) -> None:
        self.path = tuple(path)
        super().__init__(" -> ".join(path))


def making_order(needs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Every table after all that it needs; the same input gives the same order on every host.

    ``needs`` maps each table to its prerequisites, which must be tables themselves. Raises CycleError.
    """
    done: dict[str, None] = {}
    path: list[str] = []

    def visit(table: str) -> None:
        if table in done:
            return
        if table in path:
            raise CycleError([*path[path.index(table) :], table])
        path.append(table)
        for need in needs[table]:
            visit(need)
        path.pop()
        done[table] = None

    for table in needs:
        visit(table)
    return tuple(done)


def all_needs(table: str, needs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """What a table needs, and what that needs, in making order and without the table itself."""
    found: dict[str, None] = {}
    for need in needs[table]:
        for name in (*all_needs(need, needs), need):
            found[name] = None
    return tuple(found)
