"""What only a person can say: real keys with passphrases, and servers that ask for passwords and codes."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncssh
import pytest

from dgconsole.fleet.asking import Asker, Secrets
from dgconsole.fleet.launchers.ssh import Limits, SshLauncher
from dgconsole.fleet.launchers.sshquestions import is_password
from dgconsole.settings.structs import HostConfig
from dgconsole.snapshot import Answer, Question
from dgconsole.support.errors import HostError

BRIEF = Limits(login=1.0)


def lock(key: Path, passphrase: str = "open sesame") -> None:
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", passphrase, "-f", key], check=True, capture_output=True)


def make(key: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)


class Person:
    """Somebody who answers what is asked, in order; ``asked`` is what was."""

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self._answers: list[str | None] = []
        self._news = asyncio.Event()
        self.asker = Asker(self._look)

    def says(self, *answers: str | None) -> None:
        self._answers += answers
        self._look()

    def _look(self) -> None:
        for question in self.asker.questions:
            if question not in self.asked:
                self.asked.append(question)
            if self._answers and self.asker.answer(question.number, self._answers[0]):
                del self._answers[0]
        self._news.set()

    async def is_asked(self, times: int = 1) -> Question:
        async with asyncio.timeout(10):
            while len(self.asked) < times:
                self._news.clear()
                await self._news.wait()
        return self.asked[-1]

    @property
    def texts(self) -> list[str]:
        return [question.text for question in self.asked]


@pytest.fixture
async def person() -> Person:
    return Person()


async def refused(launcher: SshLauncher, host: HostConfig) -> HostError:
    with pytest.raises(HostError) as caught:
        await launcher.connect(host)
    assert caught.value.hopeless
    return caught.value


# ---- passphrases, with real servers


async def test_a_passphrase_is_asked_for_once_and_serves_all_hosts(ssh_hosts, person):
    hosts = [ssh_hosts.start() for _ in range(3)]
    lock(ssh_hosts.identity)
    launcher = SshLauncher(asker=person.asker)
    person.says("open sesame")
    connections = await asyncio.gather(*(launcher.connect(host.config()) for host in hosts))
    assert person.texts == ["Passphrase of the key ~/.ssh/id_ed25519"]
    assert person.asked[0].secret
    assert person.asker.questions == ()
    again = await launcher.connect(hosts[0].config(identity=str(ssh_hosts.identity)))
    assert len(person.asked) == 1
    for connection in (*connections, again):
        await connection.close()


async def test_while_a_passphrase_is_asked_for_no_server_waits_and_no_slot_is_held(ssh_hosts, person):
    asks, other = ssh_hosts.start(), ssh_hosts.start()
    plain = ssh_hosts.home / "plain"
    make(plain)
    with (other.folder / "authorized_keys").open("a") as keys:
        keys.write(plain.with_suffix(".pub").read_text())
    lock(ssh_hosts.identity)
    launcher = SshLauncher(Limits(login=5, logins=1), person.asker)
    waiting = asyncio.create_task(launcher.connect(asks.config(identity=str(ssh_hosts.identity))))
    await person.is_asked()
    await (await launcher.connect(other.config(identity=str(plain)))).close()
    async with asyncio.timeout(10):
        while asks.sessions():  # noqa: ASYNC110 - a server's own processes
            await asyncio.sleep(0.02)
    person.says("open sesame")
    await (await waiting).close()


async def test_a_key_that_the_server_does_not_take_asks_for_no_passphrase(ssh_hosts, person):
    host = ssh_hosts.start()
    (host.folder / "authorized_keys").write_text("")
    lock(ssh_hosts.identity)
    error = await refused(SshLauncher(asker=person.asker), host.config())
    assert "the login was refused" in error.reason
    assert "not answered" not in error.reason
    assert person.asked == []


async def test_wrong_passphrases_are_asked_again_three_times_in_all(ssh_hosts, person):
    host = ssh_hosts.start()
    lock(ssh_hosts.identity)
    launcher = SshLauncher(asker=person.asker)
    person.says("close sesame", "", "open sesame")
    await (await launcher.connect(host.config())).close()
    assert [text.partition(" (")[2] for text in person.texts] == ["", *["the last one was wrong)"] * 2]
    launcher = SshLauncher(asker=person.asker)
    person.says("a", "b", "c")
    error = await refused(launcher, host.config())
    assert "the passphrase of the key ~/.ssh/id_ed25519 was wrong 3 times" in error.reason
    assert "c asks again" in error.mend
    person.says("open sesame")
    await (await launcher.connect(host.config())).close()
    assert "Failed" not in host.log()


async def test_a_passphrase_that_nobody_tells_sets_all_that_wait_for_it_aside(ssh_hosts, person):
    hosts = [ssh_hosts.start() for _ in range(2)]
    lock(ssh_hosts.identity)
    launcher = SshLauncher(asker=person.asker)
    both = [asyncio.create_task(launcher.connect(host.config())) for host in hosts]
    await person.is_asked()
    async with asyncio.timeout(10):
        while sum("closed by" in host.log() or "Disconnected" in host.log() for host in hosts) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    person.says(None)
    for error in await asyncio.gather(*both, return_exceptions=True):
        assert isinstance(error, HostError)
        assert error.hopeless
        assert "the passphrase of the key ~/.ssh/id_ed25519 was asked for, and not answered" in error.reason
        assert error.mend == "c asks again."
    assert len(person.asked) == 1
    person.says("open sesame")
    await (await launcher.connect(hosts[0].config())).close()


async def test_a_locked_key_without_its_public_half(ssh_hosts, person):
    host = ssh_hosts.start()
    key = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    file = ssh_hosts.home / "old"
    file.write_bytes(key.export_private_key("pkcs1-pem", passphrase="old", cipher_name="aes128-cbc"))
    (host.folder / "authorized_keys").write_bytes(key.export_public_key())
    person.says("new", "old")
    await (await SshLauncher(asker=person.asker).connect(host.config(identity=str(file)))).close()
    assert len(person.asked) == 2


async def test_the_passphrase_for_a_jump_host_serves_what_is_behind_it(ssh_hosts, person):
    jump, host = ssh_hosts.start(), ssh_hosts.start()
    lock(ssh_hosts.identity)
    behind = host.config(jump=f"{jump.user}@{jump.address}:{jump.port}")
    person.says("open sesame")
    launcher = SshLauncher(asker=person.asker)
    connections = await asyncio.gather(*(launcher.connect(behind) for _ in range(12)))
    assert len(person.asked) == 1
    for connection in connections:
        await connection.close()


# ---- servers that ask


class Server(asyncssh.SSHServer):
    """Lets in by what its class says; ``seen`` is all that it was told."""

    password = ""
    rounds: tuple[tuple[tuple[str, bool, str], ...], ...] = ()
    """Of (prompt, echo, right answer)."""
    expired = False
    seen: list[object]

    def __init__(self) -> None:
        self._round = 0

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return bool(self.password)

    def validate_password(self, username: str, password: str) -> bool:
        self.seen.append(password)
        if type(self).expired and password == self.password:
            raise asyncssh.PasswordChangeRequired("Too old.")
        return password == self.password

    def change_password(self, username: str, old: str, new: str) -> bool:
        self.seen.append((old, new))
        type(self).password, type(self).expired = new, False
        return True

    def kbdint_auth_supported(self) -> bool:
        return bool(self.rounds)

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str):
        self._round = 0
        return self._challenge()

    def _challenge(self):
        return (
            "Site",
            "Have your token ready.\n",
            "",
            [(prompt, echo) for prompt, echo, _ in self.rounds[self._round]],
        )

    def validate_kbdint_response(self, username: str, responses):
        self.seen.append(tuple(responses))
        if list(responses) != [right for *_, right in self.rounds[self._round]]:
            return False
        self._round += 1
        return True if self._round == len(self.rounds) else self._challenge()


Serve = Callable[..., object]


@pytest.fixture
async def serve(ssh_hosts) -> AsyncIterator[Serve]:
    """``await serve(password=..., rounds=...)``: (host, server class) of a server in this process."""
    async with contextlib.AsyncExitStack() as ending:

        async def started(**how: object):
            kind = type("Asking", (Server,), {"seen": [], **how})
            key = asyncssh.generate_private_key("ssh-ed25519")
            listener = await asyncssh.listen(
                "127.0.0.8", 0, server_factory=kind, server_host_keys=[key], config=None, process_factory=None
            )
            ending.push_async_callback(listener.wait_closed)
            ending.callback(listener.close)
            port = listener.get_port()
            with ssh_hosts.known_hosts.open("a") as known:
                known.write(f"[127.0.0.8]:{port} {key.export_public_key().decode()}")
            return HostConfig(name="asks", launcher="ssh", address="127.0.0.8", port=port, user="gen"), kind

        yield started


async def test_a_password_is_asked_for_and_kept_for_the_next_time(serve, person):
    host, server = await serve(password="tiger")
    launcher = SshLauncher(BRIEF, person.asker)
    person.says("lion", "tiger")
    for _ in range(2):
        await (await launcher.connect(host)).close()
    where = f"gen@127.0.0.8:{host.port}"
    assert person.texts == [f"Password of {where}", f"Password of {where} (the last one was refused)"]
    assert [question.host for question in person.asked] == ["asks", "asks"]
    assert server.seen == ["lion", "tiger", "tiger"]


async def test_three_wrong_passwords_are_enough(serve, person):
    host, server = await serve(password="tiger")
    launcher = SshLauncher(BRIEF, person.asker)
    person.says("a", "b", "c")
    error = await refused(launcher, host)
    assert "the password was refused 3 times" in error.reason
    assert error.mend == "c asks again."
    assert server.seen == ["a", "b", "c"]
    person.says("tiger")
    await (await launcher.connect(host)).close()


async def test_no_password_is_told_without_a_person(serve, person):
    host, server = await serve(password="tiger")
    person.says(None)
    error = await refused(SshLauncher(BRIEF, person.asker), host)
    assert error.reason.endswith("was asked for, and not answered")
    error = await refused(SshLauncher(BRIEF), host)
    assert "asked for, and not answered: password" in error.reason
    assert server.seen == []


async def test_two_factors_shown_and_hidden_each_as_the_server_wants(serve, person):
    rounds = ((("Token: ", True, "t-17"), ("PIN: ", False, "1234")),)
    host, server = await serve(rounds=rounds)
    person.says("t-17", "1234")
    await (await SshLauncher(BRIEF, person.asker).connect(host)).close()
    assert [(question.text, question.secret) for question in person.asked] == [
        ("Site\nHave your token ready.\nToken:", False),
        ("Site\nHave your token ready.\nPIN:", True),
    ]
    assert server.seen == [("t-17", "1234")]


async def test_a_password_before_a_code_is_kept_and_the_code_is_not(serve, person):
    rounds = ((("Password: ", False, "tiger"),), (("Verification code: ", False, "246810"),))
    host, server = await serve(rounds=rounds)
    launcher = SshLauncher(BRIEF, person.asker)
    for _ in range(2):
        person.says(*(["tiger"] if not person.asked else []), "246810")
        await (await launcher.connect(host)).close()
    assert [text.rpartition("\n")[2] for text in person.texts] == [
        f"Password of gen@127.0.0.8:{host.port}",
        "Verification code:",
        "Verification code:",
    ]
    assert server.seen == [("tiger",), ("246810",)] * 2


async def test_a_wrong_code_is_asked_for_again_three_times_in_all(serve, person):
    host, server = await serve(rounds=((("Code: ", False, "1"),),))
    launcher = SshLauncher(BRIEF, person.asker)
    person.says("2", "1")
    await (await launcher.connect(host)).close()
    assert person.texts[1].endswith("Code: (the last one was wrong)")
    person.says("2", "3", "4")
    error = await refused(launcher, host)
    assert "wrong 3 times: Code" in error.reason
    assert len(server.seen) == 5


async def test_a_code_that_nobody_tells(serve, person):
    host, server = await serve(rounds=((("Code: ", False, "1"),),), password="tiger")
    person.says(None)
    error = await refused(SshLauncher(BRIEF, person.asker), host)
    assert "asked for, and not answered: Code" in error.reason
    assert error.mend == "c asks again."
    assert server.seen == []
    assert len(person.asked) == 1, "no other way in is tried after that"


async def test_an_expired_password_is_changed_by_hand(serve, person):
    host, server = await serve(password="tiger", expired=True)
    launcher = SshLauncher(BRIEF, person.asker)
    person.says("tiger", "puma", "pumas", "puma", "puma")
    for _ in range(2):
        await (await launcher.connect(host)).close()
    where = f"gen@127.0.0.8:{host.port}"
    assert person.texts == [
        f"Password of {where}",
        f"Too old.\nNew password of {where}",
        f"The new password of {where} once more",
        f"Too old.\nNew password of {where} (the two were not the same)",
        f"The new password of {where} once more",
    ]
    assert server.seen == ["tiger", ("tiger", "puma"), "puma"]


async def test_the_clock_of_the_login_stands_still_while_a_person_types(serve, person):
    host, _ = await serve(rounds=((("Code: ", False, "1"),),))
    launcher = SshLauncher(Limits(login=0.3, logins=1), person.asker)
    waiting = asyncio.create_task(launcher.connect(host))
    await person.is_asked()
    open_, _ = await serve(password="tiger")
    other = asyncio.create_task(launcher.connect(open_))
    assert (await person.is_asked(2)).text.startswith("Password"), "the slot is free"
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waiting), 0.6)  # twice the limit
    assert not waiting.done()
    first, second = person.asker.questions
    person.asker.answer(second.number, "tiger")
    person.asker.answer(first.number, "1")
    for connecting in (waiting, other):
        await (await connecting).close()


async def test_a_server_that_hangs_up_while_a_person_types_is_said_to(serve, person, monkeypatch):
    host, _ = await serve(rounds=((("Code: ", False, "1"),),))
    servers: list[asyncssh.SSHServerConnection] = []
    monkeypatch.setattr(Server, "connection_made", lambda _, conn: servers.append(conn))
    waiting = asyncio.create_task(refused(SshLauncher(BRIEF, person.asker), host))
    await person.is_asked()
    servers[-1].abort()
    error = await waiting
    assert "the server hung up after 0 s, as it had no answer yet to: Code" in error.reason
    assert person.asker.questions == (), "an answer would be for nobody"


# ---- the parts


async def test_a_question_is_answered_once_and_ends_with_whoever_asks():
    news: list[int] = []
    asker = Asker(lambda: news.append(len(asker.questions)))
    asking = [asyncio.create_task(asker.ask("db01", text)) for text in ("one", "two", "x" * 9999)]
    await asyncio.sleep(0)
    first, second, third = asker.questions
    assert [question.number for question in asker.questions] == [1, 2, 3]
    assert len(third.text) == 2000
    assert asker.answer(first.number, "yes")
    assert not asker.answer(first.number, "no")
    assert await asking[0] == "yes"
    asking[1].cancel()
    await asyncio.gather(asking[1], return_exceptions=True)
    assert not asker.answer(second.number, "late")
    asker.close()
    assert await asking[2] is None
    assert await asker.ask("db01", "later") is None
    assert asker.questions == ()
    assert news == [1, 2, 3, 2, 1, 0]


async def test_what_is_asked_together_is_asked_once_and_goes_with_the_last_who_waits():
    secrets, started = Secrets(), []
    never: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def ask() -> str:
        started.append(1)
        return await never

    waiting = [asyncio.create_task(secrets.learn("key", ask)) for _ in range(3)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert started == [1]
    assert never.cancelled()
    assert secrets.known("key") is None


@pytest.mark.parametrize(
    ("prompt", "is_one"),
    [
        ("Password: ", True),
        ("(gen@db01) Password:", True),
        ("gen@db01's password:", True),
        ("Password for gen@db01:", True),
        ("New password: ", False),
        ("Retype new password:", False),
        ("One-time password (OATH) for gen:", False),
        ("Verification code: ", False),
    ],
)
def test_only_the_password_that_logs_in_is_kept(prompt, is_one):
    assert is_password(prompt) is is_one


def test_an_answer_shows_in_no_log():
    assert "tiger" not in repr(Answer(1, "tiger"))
    assert "tiger" not in f"{[Answer(1, 'tiger')]}"
