"""A run from its files to its report: wires plan, coordinator and fleet; no policy of its own."""

from dgconsole.session.opening import SessionOptions
from dgconsole.session.run import Session

__all__ = ["Session", "SessionOptions"]
