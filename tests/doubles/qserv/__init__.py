"""A double of Qserv's ingest services: real HTTP over a real MariaDB, strict, and able to fail in each way."""

from qserv.double import KEY, Qserv

__all__ = ["KEY", "Qserv"]
