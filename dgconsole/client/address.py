"""Where the console listens, as people write it: ``HOST:PORT`` or ``unix:PATH``."""

from dataclasses import dataclass
from pathlib import Path

from dgconsole.support.errors import InputError, Problem


@dataclass(frozen=True, slots=True)
class Address:
    """A UNIX socket's path (absolute), or a host and a port."""

    path: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_address(text: str) -> Address:
    """Raises InputError, quoting ``text``, where it is no address."""
    if text.startswith("unix:"):
        if not text.removeprefix("unix:"):
            raise _wrong(text)
        return Address(path=str(Path(text.removeprefix("unix:")).absolute()))
    host, colon, port = text.rpartition(":")
    number = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else 0
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not host or not 0 < number < 65536:
        raise _wrong(text)
    return Address(host=host, port=number)


def _wrong(text: str) -> InputError:
    return InputError(Problem(f"{text!r} is no address: write HOST:PORT or unix:PATH", key="--server"))
