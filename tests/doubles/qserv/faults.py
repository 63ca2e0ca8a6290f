"""What a service can be told to do wrong, the next time a matching call comes."""

import asyncio
import re
import threading
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Fault:
    """One fault, armed for ``times`` matching calls.

    ``kind`` is one of

    - ``status``: an HTML page with ``status``, nothing done;
    - ``garbage``: status 200, a text that is no JSON, nothing done;
    - ``refuse``: success 0 with ``text`` and ``ext``, nothing done;
    - ``drop``: the connection is reset, nothing done;
    - ``drop_after``: done, and then the connection is reset instead of an answer;
    - ``half_after``: done, and then reset within the answer;
    - ``hang``: nothing done and no answer until ``release``; then it is done;
    - ``reset``: the connection is reset after ``bytes`` of the body;
    - ``notice``: no fault; ``reached`` says that the call came;
    - any other: looked up by the service itself (``abort_failed``, ``stuck``, ``load_failed``, ``lose_row``, ...).
    """

    kind: str
    method: str = ""
    path: str = ""
    times: int = 1
    status: int = 500
    text: str = ""
    ext: dict[str, Any] = field(default_factory=dict)
    bytes: int = 0
    place: str = ""
    used: int = 0
    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def matches(self, place: str, method: str, path: str) -> bool:
        return (
            self.used < self.times
            and self.place in ("", place)
            and self.method in ("", method)
            and re.fullmatch(self.path or ".*", path) is not None
        )

    def release(self) -> None:
        self.released.set()

    async def hang(self) -> None:
        self.reached.set()
        await asyncio.to_thread(self.released.wait)


class Faults:
    def __init__(self) -> None:
        self.all: list[Fault] = []

    def take(self, kinds: tuple[str, ...], place: str, method: str, path: str) -> Fault | None:
        """The first armed fault of one of ``kinds`` for this call, used up by one."""
        for fault in self.all:
            if fault.kind in kinds and fault.matches(place, method, path):
                fault.used += 1
                fault.reached.set()
                return fault
        return None
