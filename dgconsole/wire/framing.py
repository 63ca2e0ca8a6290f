"""Bytes to messages and back: a 4-byte big-endian length, then msgpack; no sockets here."""

from typing import Any

import msgspec

from dgconsole.support.errors import PeerError
from dgconsole.wire.messages import FromClient, FromCoordinator, Message, Role

LIMIT = 1 << 20
"""The longest frame in bytes (without its length) that either end takes."""

_LENGTH = 4
_ENCODER = msgspec.msgpack.Encoder()
_KINDS: dict[Role, Any] = {Role.CLIENT: FromClient, Role.COORDINATOR: FromCoordinator}


def encode(message: Message) -> bytes:
    """One frame.

    Raises
    ------
    ValueError
        The message is longer than the other end would take.
    """
    buffer = bytearray(_LENGTH)
    _ENCODER.encode_into(message, buffer, _LENGTH)
    length = len(buffer) - _LENGTH
    if length > LIMIT:
        raise ValueError(f"a {type(message).__name__} of {length} bytes is over the limit of {LIMIT}")
    buffer[:_LENGTH] = length.to_bytes(_LENGTH, "big")
    return bytes(buffer)


class FrameReader:
    """Gathers bytes until frames are whole.

    Parameters
    ----------
    role
        The end that reads: it takes only messages that the other end may send.
    limit
        Longest frame in bytes; so much, and the last bytes fed, is all that is ever held.
    """

    def __init__(self, role: Role, limit: int = LIMIT) -> None:
        self._decoder = msgspec.msgpack.Decoder(_KINDS[role.other])
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that ``data`` makes whole, in order.

        Raises
        ------
        PeerError
            A frame is too long or holds no message that the other end may send. The reader is of no use afterwards.
        """
        buffer = self._buffer
        buffer += data
        messages: list[Message] = []
        start = 0
        while len(buffer) - start >= _LENGTH:
            length = int.from_bytes(buffer[start : start + _LENGTH], "big")
            if length > self._limit:
                raise PeerError(f"sent a frame of {length} bytes; at most {self._limit} are taken")
            end = start + _LENGTH + length
            if end > len(buffer):
                break
            messages.append(self._decode(bytes(buffer[start + _LENGTH : end])))
            start = end
        del buffer[:start]
        return messages

    @property
    def partial(self) -> int:
        """Bytes of a frame that is not whole yet; more than 0 at the end of a connection: it was cut."""
        return len(self._buffer)

    def _decode(self, frame: bytes) -> Message:
        try:
            message: Message = self._decoder.decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise PeerError(f"sent something that is no message: {error}") from error
        return message
