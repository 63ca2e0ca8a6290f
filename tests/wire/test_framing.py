"""Frames: whole, in pieces, too long, garbage."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgconsole.support.errors import Fault, PeerError
from dgconsole.wire import messages as m
from dgconsole.wire.framing import LIMIT, FrameReader, encode
from dgconsole.wire.messages import Role

FIGURES = m.Figures((m.TableFigures("Object", 860, 300, 123_456, {"generate": 0.5}),), {"generate": 1.0})
FROM_CLIENT = [
    m.Hello("token", 1, "0.1.0", "", "höst", 77),
    m.Ready("aa", "bb"),
    m.Ask(3),
    m.Progress(4321, 1, "generate", 0.25, 10, 1000),
    m.Ping(1, 2),
    m.Completed(4321, 2, FIGURES),
    m.Ready("aa", "bb", "/scratch/dg/chunks"),
    m.Kept(4321, 2),
    m.Kept(4321, 2, "no space left", Fault.DISK),
    m.Failed(4321, 1, Fault.SPEC, "generate", "no such column", "Traceback ..."),
    m.GiveUp(Fault.DISK, "no space left"),
    m.Bye(),
]
FROM_COORDINATOR = [
    m.Welcome("here-1", "here", 5.0, 30.0, 3),
    m.Refused("wrong token"),
    m.BundleFile("spec", "spec.py", b"\0" * 524_288, True),
    m.BundleEnd(),
    m.Assign(((1, 1), (2, 3))),
    m.Welcome("far-1", "far", 5.0, 30.0, 3, keep="~/.dgconsole/run/chunks"),
    m.Keep(1, 1),
    m.Settled(1, 1, True),
    m.Pong(1),
    m.NoMore(),
    m.Stop(False),
]


@pytest.mark.parametrize(("role", "sent"), [(Role.COORDINATOR, FROM_CLIENT), (Role.CLIENT, FROM_COORDINATOR)])
def test_every_message_comes_back_equal(role: Role, sent: list[m.Message]) -> None:
    reader = FrameReader(role)
    assert reader.feed(b"".join(map(encode, sent))) == sent
    assert reader.partial == 0


@given(st.lists(st.sampled_from(FROM_CLIENT), max_size=8), st.data())
def test_pieces_of_any_size_give_the_same_messages(sent: list[m.Message], data: st.DataObject) -> None:
    stream = b"".join(map(encode, sent))
    reader, got, at = FrameReader(Role.COORDINATOR), [], 0
    while at < len(stream):
        size = data.draw(st.integers(1, len(stream) - at))
        got += reader.feed(stream[at : at + size])
        at += size
    assert got == sent


def test_messages_of_the_wrong_end_are_refused() -> None:
    with pytest.raises(PeerError):
        FrameReader(Role.COORDINATOR).feed(encode(m.NoMore()))


def test_a_long_frame_is_refused_by_its_length_alone() -> None:
    with pytest.raises(PeerError, match="4294967295 bytes"):
        FrameReader(Role.COORDINATOR).feed(b"\xff\xff\xff\xff")


def test_a_message_over_the_limit_is_not_encoded() -> None:
    with pytest.raises(ValueError, match="over the limit"):
        encode(m.BundleFile("pregenerated", "big", b"x" * (LIMIT + 1), True))


@pytest.mark.parametrize(
    "message",
    [
        m.Ask(0),
        m.Ask(10_001),
        m.Progress(1, 1, "generate", float("nan"), 0, 0),
        m.Progress(-1, 1, "generate", 0.0, 0, 0),
        m.Completed(1, 0, FIGURES),
        m.Completed(1, 1, m.Figures((), {"generate": float("inf")})),
        m.Completed(1, 1, m.Figures((m.TableFigures("Object", 2**49, 0, 0, {}),), {})),
        m.Failed(1, 1, Fault.DISK, "deliver", "x" * 20_001),
        m.Kept(-1, 1),
        m.Kept(1, 0),
        m.Kept(1, 1, "x" * 20_001),
        m.Ready("", "", "x" * 20_001),
    ],
)
def test_values_out_of_bounds_are_refused(message: m.Message) -> None:
    with pytest.raises(PeerError):
        FrameReader(Role.COORDINATOR).feed(encode(message))


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_waits_for_more(data: bytes) -> None:
    reader = FrameReader(Role.COORDINATOR)
    try:
        reader.feed(data)
    except PeerError:
        return
    assert reader.partial <= len(data)


@given(st.recursive(st.none() | st.integers(-5, 5) | st.text(max_size=5) | st.binary(max_size=5), st.lists))
def test_well_formed_msgpack_that_is_no_message_is_refused(value: object) -> None:
    body = msgspec.msgpack.encode(value)
    with pytest.raises(PeerError):
        FrameReader(Role.COORDINATOR).feed(len(body).to_bytes(4, "big") + body)
