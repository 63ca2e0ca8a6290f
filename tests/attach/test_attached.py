"""A session seen over control.sock: what faces get, who is refused, and that nobody harms anybody else."""

import asyncio
import contextlib
import logging
import socket
import stat
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgconsole.attach import protocol as p
from dgconsole.attach.attached import UNTOLD, AttachedSession
from dgconsole.attach.pipe import Pipe
from dgconsole.attach.place import connect, session_runs
from dgconsole.session.control import MOST_FACES, Control
from dgconsole.snapshot import (
    Answer,
    Command,
    Export,
    FetchLog,
    LogMark,
    Pause,
    Quit,
    Resume,
    Retry,
    RetryAll,
    RunState,
    StopClient,
)
from dgconsole.support.errors import InputError, PeerError


async def raw(place: Any) -> Pipe:
    return Pipe(await connect(place.folder), limit=1 << 20, patience=5.0)


async def greet(pipe: Pipe, protocol: int = p.PROTOCOL) -> Any:
    await pipe.send(0, p.ASKS, p.ENCODER.encode(p.Hello(protocol, "1", False)))
    return await pipe.receive(5.0)


async def test_everything_that_a_session_tells_arrives(place: Any) -> None:
    place.listen()
    face = await place.attach()
    assert await face.snapshot() == await place.session.snapshot()
    assert await face.chunk_table() == await place.session.chunk_table()
    assert await face.chunk_states(-1) == await place.session.chunk_states(-1)
    assert await face.chunk_states(5) is None
    assert await face.chunk_history(0) is None
    assert (await face.chunk_history(7)).chunk == 7
    assert await face.logs(1, 10) == await place.session.logs(1, 10)
    for mark in (None, LogMark(7.5, {"a-1": 3})):
        assert await face.older("a-1", mark, 5, 2) == await place.session.older("a-1", mark, 5, 2)
    whole = await place.session.whole_log("a-1", 7, 5, backward=True, needle="x")
    assert await face.whole_log("a-1", 7, 5, backward=True, needle="x") == whole
    assert await face.log_files() == await place.session.log_files()
    assert await face.report() == await place.session.report()


@pytest.mark.parametrize(
    "command",
    [
        Pause(),
        Resume(),
        Retry((1, 2, 3)),
        RetryAll(),
        StopClient("a-1"),
        Quit(now=True),
        FetchLog("a-1"),
        Export("x"),
    ],
)
async def test_commands_arrive_as_they_were(place: Any, command: Command) -> None:
    place.listen()
    face = await place.attach()
    assert (await face.command(command)).ok
    assert place.session.commands == [command]
    assert place.said == [f"an attached console asks: {type(command).__name__}"]


async def test_every_command_there_is_can_be_sent() -> None:
    for kind in Command.__subclasses__():
        hints = {name: kind.__annotations__[name] for name in kind.__struct_fields__}
        samples = {str: "x", int: 1, bool: True, tuple[int, ...]: (1,), str | None: None}
        command = kind(**{name: samples[hint] for name, hint in hints.items()})
        assert p.COMMANDS.decode(p.ENCODER.encode(command)) == command


async def test_an_answer_is_told_to_nobody_but_the_session(place: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    place.listen()
    face = await place.attach()
    await face.command(Answer(1, "open sesame"))
    assert place.session.commands == [Answer(1, "open sesame")]
    assert place.said == []
    assert "sesame" not in caplog.text


async def test_the_socket_is_this_users_alone(place: Any) -> None:
    place.listen()
    assert stat.S_IMODE(place.socket.stat().st_mode) == 0o600
    assert session_runs(place.folder)
    await place.control.close()
    assert not place.socket.exists()
    assert not session_runs(place.folder)


async def test_two_faces_see_what_each_other_did(place: Any) -> None:
    place.listen()
    first, second = await place.attach(), await place.attach()
    await first.command(Pause())
    assert (await second.snapshot()).state is RunState.PAUSED
    await first.close()
    assert (await second.command(Resume())).ok
    assert place.session.commands == [Pause(), Resume()]


async def test_read_only_is_refused_at_both_ends(place: Any) -> None:
    place.listen()
    face = await place.attach(read_only=True)
    assert "read-only" in (await face.command(Pause())).text
    face.read_only = False  # a face that does not keep to what it said
    reply = await face.command(Pause())
    assert not reply.ok
    assert "read-only" in reply.text
    assert place.session.commands == []
    assert (await face.snapshot()).name == "small"


async def test_a_slow_question_holds_up_no_other(place: Any) -> None:
    place.listen()
    face = await place.attach()
    place.session.gate.clear()
    slow = asyncio.create_task(face.chunk_history(7))
    assert (await face.snapshot()).name == "small"
    assert not slow.done()
    place.session.gate.set()
    assert (await slow).chunk == 7


async def test_a_command_is_carried_out_though_its_face_leaves(place: Any, until: Any) -> None:
    place.listen()
    face = await place.attach()
    place.session.gate.clear()
    asked = asyncio.create_task(face.command(Pause()))
    await until(lambda: place.said)
    await face.close()
    assert "look whether it was done" in (await asked).text
    place.session.gate.set()
    await until(lambda: place.session.commands)
    assert place.session.commands == [Pause()]


async def test_what_a_session_cannot_answer_is_said_and_the_connection_stays(place: Any) -> None:
    place.listen()
    face = await place.attach()
    with pytest.raises(PeerError, match="that did not work: no such chunk"):
        await face.chunk_history(-1)
    assert (await face.snapshot()).name == "small"


# ---- who does not belong there


async def test_another_protocol_is_refused_with_both_versions(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    place.listen()
    monkeypatch.setattr(p, "PROTOCOL", p.PROTOCOL + 1)
    pipe = await raw(place)
    frame = await greet(pipe, p.PROTOCOL - 1)
    pipe.close()
    assert frame.kind == p.FAILS
    assert b"of dgconsole 1, this is 1" in frame.body
    assert b"Attach with the same version" in frame.body


async def test_a_refusal_is_one_line_for_people(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    place.listen()

    def refuse(_: Control, hello: p.Hello) -> p.Welcome:
        raise PeerError("the session there is of dgconsole 9")

    monkeypatch.setattr(Control, "greet", refuse)
    with pytest.raises(InputError) as caught:
        await place.attach()
    assert str(caught.value) == f"{place.folder}: the session there is of dgconsole 9"


async def test_one_face_too_many_is_told_so(place: Any) -> None:
    place.listen()
    for _ in range(MOST_FACES):
        await place.attach()
    with pytest.raises(InputError, match="too many consoles"):
        await place.attach()
    assert (await place.faces[0].snapshot()).name == "small"


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_nonsense_harms_only_who_says_it(tmp_path_factory: Any, small: Any, nonsense: bytes, greeted: bool) -> None:
    async def one() -> None:
        folder = tmp_path_factory.mktemp("s")
        made = Control(small(), folder / "control.sock", version="1", patience=0.05)
        made.start()
        sock = await connect(folder)
        if greeted:
            hello = p.ENCODER.encode(p.Hello(p.PROTOCOL, "1", True))
            sock.send((len(hello) + 5).to_bytes(4, "big") + bytes(5) + hello)
        sock.send(nonsense)
        sock.shutdown(socket.SHUT_WR)
        sock.close()
        pipe = Pipe(await connect(folder), limit=1 << 20, patience=5.0)
        assert (await greet(pipe)).kind == p.ANSWERS
        pipe.close()
        await made.close()

    asyncio.run(one())


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff\xff\xff\xff" + bytes(20),
        b"\x00\x00\x00\x01",
        (5).to_bytes(4, "big") + bytes(5),
        (9).to_bytes(4, "big") + bytes(5) + b"\x94\x94\x94\x94",
    ],
    ids=["http", "too-long", "too-short", "empty", "cut-msgpack"],
)
async def test_garbage_ends_its_own_connection_only(place: Any, said: bytes) -> None:
    place.listen()
    face = await place.attach()
    sock = await connect(place.folder)
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, said)
    sock.shutdown(socket.SHUT_WR)
    async with asyncio.timeout(5):
        with contextlib.suppress(ConnectionResetError):
            assert await loop.sock_recv(sock, 100) == b""
    sock.close()
    assert (await face.snapshot()).name == "small"


async def test_who_says_nothing_is_let_go(place: Any) -> None:
    place.listen(patience=0.05)
    sock = await connect(place.folder)
    async with asyncio.timeout(5):
        assert await asyncio.get_running_loop().sock_recv(sock, 100) == b""
    sock.close()


async def test_who_reads_nothing_is_let_go_and_finds_back(place: Any, until: Any) -> None:
    place.session.count = 100_000
    control = place.listen(patience=0.05)
    other = await place.attach()
    pipe = await raw(place)
    await greet(pipe)
    for number in range(1, 30):
        await pipe.send(number, p.ASKS, p.ENCODER.encode(p.GetTable()))
    await until(lambda: len(control._faces) == 1)
    assert len((await other.chunk_table()).boxes) == 3_200_000
    pipe.close()


async def test_a_connection_that_breaks_is_made_anew(place: Any) -> None:
    control = place.listen()
    face = await place.attach()
    await face.snapshot()
    for task in list(control._faces):
        task.cancel()
    assert (await face.snapshot()).state is RunState.RUNNING
    assert not face.over
    assert (await face.command(Pause())).ok


async def test_a_sky_of_a_million_goes_over_and_is_shared(place: Any) -> None:
    place.session.count = 1_000_000
    place.listen()
    faces = [await place.attach() for _ in range(3)]
    tables = await asyncio.gather(*(face.chunk_table() for face in faces))
    assert {len(table.boxes) for table in tables} == {32_000_000}
    states = await asyncio.gather(*(face.chunk_states(-1) for face in faces))
    assert {len(each.rows) for each in states if each} == {8_000_000}
    assert await faces[0].chunk_states(5) is None


# ---- the end


async def test_the_last_word_of_a_session_stays(place: Any) -> None:
    place.listen()
    face = await place.attach()
    await face.snapshot()
    place.session.state = RunState.ENDED
    await place.control.close()
    last = await face.snapshot()
    assert (last.state, last.exit_status, last.verdict) == (RunState.ENDED, 130, "0 of 3 chunks are made.")
    assert last.notices[0].text.startswith("The session has ended")
    assert face.over
    assert (await face.report()).verdict == "0 of 3 chunks are made."
    assert [line.text for line in (await face.logs(1, 10)).lines] == ["two"]
    assert (await face.older("", None, 5)).lines
    assert (await face.whole_log("a-1", 0, 5)).size == 3
    assert await face.log_files()
    assert (await face.chunk_table()).count == 3
    assert (await face.chunk_states(99)) is not None
    assert (await face.chunk_states(99)) is None
    assert (await face.chunk_history(7)).chunk == 7
    assert not (await face.command(Pause())).ok
    assert (await face.command(Export("x"))).ok


async def test_a_session_that_ends_in_the_middle_of_a_question(place: Any, until: Any) -> None:
    place.listen()
    face = await place.attach()
    place.session.gate.clear()
    asked = asyncio.create_task(face.chunk_history(7))
    await until(lambda: face._asked)
    closing = asyncio.create_task(place.control.close())
    place.session.state = RunState.ENDED
    await closing
    place.session.gate.set()
    assert (await asked).chunk == 7
    assert (await face.snapshot()).state is RunState.ENDED


async def test_a_session_that_is_killed_says_nothing_and_the_books_are_shown(place: Any) -> None:
    control = place.listen()
    face = await place.attach()
    await face.snapshot()
    control._listening.cancel()  # as the kernel does it: all is closed at once, the name stays
    for task in list(control._faces):
        task.cancel()
    await asyncio.gather(control._listening, *control._faces, return_exceptions=True)
    last = await face.snapshot()
    assert (last.state, last.exit_status, last.verdict) == (RunState.ENDED, 1, UNTOLD)
    assert last.counts.completed == 1
    assert last.notices[0].level == "error"
    assert (await face.report()).verdict == UNTOLD


async def test_another_session_in_its_place_is_not_taken_for_it(place: Any) -> None:
    first = place.listen()
    face = await place.attach()
    first._listening.cancel()
    for task in list(first._faces):
        task.cancel()
    await asyncio.gather(first._listening, *first._faces, return_exceptions=True)
    place.listen()
    assert (await face.snapshot()).verdict == UNTOLD
    assert (await (await place.attach()).snapshot()).state is RunState.RUNNING


async def test_no_session_is_one_line(place: Any) -> None:
    with pytest.raises(InputError, match="no session runs there; `dgconsole report "):
        await place.attach()
    place.socket.touch()
    with pytest.raises(InputError, match=r"no session runs there|cannot be reached"):
        await place.attach()


async def test_a_hostile_session_harms_no_face(place: Any) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write((8).to_bytes(4, "big") + bytes(4) + bytes([p.ANSWERS]) + b"\xc1\xc1\xc1")
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(answer, str(place.socket))
    with pytest.raises(InputError, match="answers in a way that this program does not know"):
        await place.attach()
    server.close()


def test_frames_are_what_the_page_says() -> None:
    assert msgspec.msgpack.decode(p.ENCODER.encode(p.GetStates(3))) == {"type": "GetStates", "since": 3}
    assert {question.__name__ for question in p.ANSWER_TO} == {
        "GetSnapshot",
        "GetTable",
        "GetStates",
        "GetHistory",
        "GetLogs",
        "GetOlder",
        "GetWholeLog",
        "GetLogFiles",
        "GetReport",
        "Do",
    }


async def test_closing_twice_is_no_harm(place: Any) -> None:
    place.listen()
    face: AttachedSession = await place.attach()
    await face.close()
    await face.close()
    await place.control.close()
    await place.control.close()
