"""The one place where errors of the database become ours, with what to do about them."""

from collections.abc import Iterator
from contextlib import contextmanager

import pymysql

from dgconsole.support.errors import ChunkError, Fault

NOT_LET_IN = (1045, 1698)
"""The numbers of "wrong user or password"."""

EXISTS = 1050
"""The number of "there is such a table already"."""

_LOST = frozenset({0, 1040, 1053, 1079, 1152, 1158, 1159, 1160, 1161, 1184, 1203, 1226, 1927, 2002, 2003})
_LOST |= {2006, 2013, 2014, 2055, 4031}
"""The server is full, ends, or went away: it may be back in a moment."""

_FULL = frozenset({1021, 1026, 1114})
"""No space on the server's disk."""

_HINTS = {
    1021: "make space on the server",
    1026: "make space on the server",
    1030: "look into the server's error log",
    1044: "grant the user all rights on the database (GRANT ALL ON `<dbName>`.* TO ...)",
    1045: "check ingest.user and the password (ingest.passwordFile)",
    1049: "make the database, or leave 'ingest.schema: false' out",
    1064: "check the columns' types in spec and ingest JSON",
    1102: "give the database another name (ingest.dbName)",
    1114: "make space on the server",
    1115: "check 'charset_name' in the ingest JSON",
    1130: "let the user in from this machine (CREATE USER ...@'<host>')",
    1142: "grant the user all rights on the database (GRANT ALL ON `<dbName>`.* TO ...)",
    1148: "SET GLOBAL local_infile=1 on the server",
    1205: "somebody holds a lock on this table: end the query, then try again",
    1227: "grant the user all rights on the database (GRANT ALL ON `<dbName>`.* TO ...)",
    1253: "check 'charset_name' and 'collation_name' in the ingest JSON",
    1273: "check 'collation_name' in the ingest JSON",
    1286: "set ingest.engine to one that SHOW ENGINES lists",
    1290: "the server must be writable and allow LOAD DATA LOCAL",
    1698: "check ingest.user and the password (ingest.passwordFile)",
    3948: "SET GLOBAL local_infile=1 on the server",
    4161: "check the columns' types in spec and ingest JSON",
    4166: "SET GLOBAL local_infile=1 on the server",
}


class LostError(ChunkError):
    """The server cannot be reached, or the connection was lost in the middle; it may come back."""

    def __init__(self, text: str) -> None:
        super().__init__(Fault.DELIVER, text)


class RefusedError(ChunkError):
    """The server said no, in the words of ``said``; ``number`` is that of its error, ``hint`` what to do."""

    def __init__(self, fault: Fault, said: str, hint: str, number: int) -> None:
        self.said = said
        self.hint = hint
        self.number = number
        super().__init__(fault, f"{said}; {hint}" if hint else said)


@contextmanager
def mapped(where: str) -> Iterator[None]:
    """PyMySQL's errors become ChunkErrors: DISK where the server has no space, else DELIVER.

    A closed connection shows as AttributeError or OSError, too, where PyMySQL was about to use it.
    """
    try:
        yield
    except pymysql.MySQLError as error:
        raise _our_error(error, where) from error
    except (OSError, AttributeError) as error:
        raise LostError(f"lost the database at {where}: {error}") from error


def _our_error(error: pymysql.MySQLError, where: str) -> ChunkError:
    number = error.args[0] if error.args and isinstance(error.args[0], int) else -1
    said = " ".join(str(error.args[1]).split()) if len(error.args) > 1 else str(error)
    if number in _LOST:
        return LostError(f"lost the database at {where}: {said or 'the connection is closed'}")
    full = number in _FULL or (number == 1030 and "error 28" in said)
    text = f"the database at {where} refuses: {said} ({number})"
    return RefusedError(Fault.DISK if full else Fault.DELIVER, text, _HINTS.get(number, ""), number)
