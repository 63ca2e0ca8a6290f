"""What we answer when asyncssh asks about a host: no unknown keys; what wants a person is asked, or remembered."""

from collections import Counter
from collections.abc import Callable, Sequence

import asyncssh
from asyncssh.public_key import get_default_public_key_algs

from dgconsole.fleet.launchers.hostkeys import DEFAULT_PORT, Refusal
from dgconsole.fleet.launchers.sshconfig import Target
from dgconsole.fleet.launchers.sshquestions import (
    PASSWORD,
    TRIES,
    Declined,
    Questions,
    Secret,
    Wanted,
    is_password,
)


class Witness(asyncssh.SSHClient):
    """Stands by one connection. ``lost`` is why it ended, None while it lives or when we ended it ourselves.

    ``questions`` None: nobody is there to be asked. ``on_question`` is told when a person's answer is waited for,
    and when no longer; ``asking`` is what is asked then, ``hung_up_on`` what was asked when the connection was lost.
    ``told`` is the password that the server was told.
    """

    def __init__(
        self,
        target: Target,
        on_reached: Callable[[], None],
        questions: Questions | None = None,
        on_question: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._target = target
        self._on_reached = on_reached
        self._questions = questions
        self._on_question = on_question
        self._password = Secret(PASSWORD, str(target))
        self._new_password = ""
        self._asked_so_far: Counter[str] = Counter()
        self.asking = ""
        self.hung_up_on = ""
        self.told: str | None = None
        self._conn: asyncssh.SSHClientConnection | None = None
        self.refusal: Refusal | None = None
        self.asked: list[str] = []
        self.lost: Exception | None = None

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self._conn = conn
        self._on_reached()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = exc
        self.hung_up_on = self.asking

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.refusal = self._target.keys.refusal(host, addr, port, key)
        return False

    def kinds_not_asked_for(self) -> list[str]:
        """After a failure: the kinds of host key to ask for in another try, empty where that would change nothing.

        asyncssh asks only for the kinds that are known of a host, and a server that has none of them just hangs up,
        once it has said who it is. Asked for all kinds, known ones first, it shows the key that has changed.
        """
        conn, target = self._conn, self._target
        if conn is None or self.refusal or self.asked or "server_host_key_algs" in target.arguments:
            return []
        if not isinstance(self.lost, (asyncssh.ConnectionLost, OSError)) or conn.get_server_host_key() is not None:
            return []
        address = (conn.get_extra_info("peername") or ("",))[0]
        port = target.port if target.port != DEFAULT_PORT else None
        known = target.keys.match(target.key_name, address, port)[0]
        if not known or not conn.get_extra_info("server_version"):
            return []
        first = [kind for key in known for kind in key.sig_algorithms]
        kinds = first + [kind for kind in get_default_public_key_algs() if kind not in first]
        return [kind.decode() for kind in kinds]

    # ---- what a person is asked

    def password_auth_requested(self) -> str | None:
        if self._questions is None:
            self.asked.append("password")
            return None
        return self._known_password(self._questions)

    async def password_change_requested(self, prompt: str, lang: str) -> tuple[str, str]:  # noqa: ARG002
        questions, told = self._questions, self.told
        if questions is None or told is None:
            self.asked.append("a new password, as the old one has expired")
            return NotImplemented  # type: ignore[no-any-return]
        said = prompt.strip() or "The password has expired."
        hint = ""
        for _ in range(TRIES):
            new = await self._ask(questions, f"{said}\nNew password of {self._target}{hint}")
            if await self._ask(questions, f"The new password of {self._target} once more") == new:
                self._new_password = new
                return told, new
            hint = " (the two were not the same)"
        raise Declined(f"the two new passwords were not the same {TRIES} times")

    def password_changed(self) -> None:
        if self._questions is not None:
            self._questions.keep(self._password, self._new_password)

    def kbdint_auth_requested(self) -> str:
        return ""

    async def kbdint_challenge_received(
        self,
        name: str,
        instructions: str,
        lang: str,  # noqa: ARG002
        prompts: Sequence[tuple[str, bool]],
    ) -> list[str] | None:
        questions = self._questions
        if questions is None:
            self.asked += [text.strip().rstrip(":") for text, _ in prompts]
            return None if prompts else []
        answers: list[str] = []
        said = [part.strip() for part in (name, instructions) if part.strip()]
        for text, echo in prompts:
            if not echo and is_password(text):
                answers.append(self._known_password(questions))
            else:
                asked = "\n".join([*said, text.strip()])
                answers.append(await self._ask(questions, asked + self._hint(text), secret=not echo))
        return answers

    def _hint(self, prompt: str) -> str:
        """What to say of a prompt that comes again; the third wrong answer is the last one."""
        self._asked_so_far[prompt] += 1
        if self._asked_so_far[prompt] > TRIES:
            raise Declined(f"wrong {TRIES} times: {_last_line(prompt)}")
        return " (the last one was wrong)" if self._asked_so_far[prompt] > 1 else ""

    def _known_password(self, questions: Questions) -> str:
        """The password that a person told, once; else the login ends until there is another one."""
        if self.told is not None:
            raise Wanted(self._password, refused=self.told)
        self.told = questions.known(self._password)
        if self.told is None:
            raise Wanted(self._password)
        return self.told

    async def _ask(self, questions: Questions, text: str, *, secret: bool = True) -> str:
        """Ask while the server waits, as the answer is good for this login only."""
        self.asking = _last_line(text)
        self._on_question(True)
        try:
            told = await questions.asker.ask(self._target.name, text, secret=secret)
        finally:
            self.asking = ""
            self._on_question(False)
        if told is None:
            raise Declined(f"asked for, and not answered: {_last_line(text)}")
        return told


def _last_line(text: str) -> str:
    return text.rpartition("\n")[2].rstrip(": ")
