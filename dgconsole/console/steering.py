"""What the keys ask of the session: commands, with the questions that go before some of them."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace
from textual.app import App
from textual.widgets import Input

from dgconsole.console.dialogs import ExportDialog, Question
from dgconsole.console.freename import free_name
from dgconsole.console.pane import Pane
from dgconsole.console.roles import Role
from dgconsole.snapshot import (
    AddClient,
    AddHost,
    Answer,
    Command,
    DrainHost,
    Export,
    FetchLog,
    Pause,
    ReconnectHost,
    Reply,
    Resume,
    Retry,
    RetryAll,
    RunState,
    StopClient,
)
from dgconsole.support.errors import DgError
from dgconsole.views.signs import BAD_CLIENTS, LIVE_CLIENTS
from dgconsole.views.text import harmless, plural

if TYPE_CHECKING:
    from dgconsole.console.feed import Feed

_log = logging.getLogger("dgconsole.console")


class Steering(App[int | DgError]):
    """The part of the console that acts on the run. ``feed`` is None until the session is open."""

    feed: "Feed | None" = None
    role: Role
    _answered = 0
    """The number of the last question that was answered here."""

    @property
    def pane(self) -> Pane:
        """The visible screen."""
        raise NotImplementedError

    def look_again(self) -> None:
        """Something was asked of the session: look at it soon."""
        raise NotImplementedError

    def may(self, action: str) -> bool:
        """Whether a console in this role may ever do that."""
        return self.role.writes if action == "export" else self.role.steers or action not in _STEERS

    @property
    def has_bad_clients(self) -> bool:
        """Whether a client gave up, got lost or was refused."""
        return self.feed is not None and any(client.state in BAD_CLIENTS for client in self.feed.snapshot.clients)

    def send(self, command: Command, then: Callable[[Reply], None] | None = None) -> None:
        """Send a command and show the answer; ``then`` gets it instead, where given."""
        if not (self.role.writes if isinstance(command, Export) else self.role.steers):
            self.tell(Reply(False, f"This console is {self.role.value}: it asks nothing of a run."))
            return
        self.run_worker(self._send(command, then), exit_on_error=False)

    async def _send(self, command: Command, then: Callable[[Reply], None] | None) -> None:
        assert self.feed is not None
        try:
            reply = await self.feed.handle.command(command)
        except Exception as error:  # noqa: BLE001
            _log.exception("a command failed: %r", command)
            reply = Reply(False, f"that did not work: {error}")
        if then is not None:
            then(reply)
        else:
            self.tell(reply)
        self.look_again()

    def tell(self, reply: Reply) -> None:
        """Show a reply for a while."""
        if reply.text:
            self.notify(harmless(reply.text), severity="information" if reply.ok else "warning", markup=False)

    def ask(self, question: Question, yes: Callable[[], None]) -> None:
        """Put a question; ``yes`` is called on any answer but "leave as it is"."""
        self.push_screen(question, lambda answer: yes() if answer else None)

    def action_retry(self) -> None:
        chunks = self.pane.chunks_to_retry()
        if not chunks:
            self.notify("no limbo chunk under the cursor and none marked; R retries all", severity="warning")
            return
        forget = getattr(self.pane, "forget_marks", None)
        if forget is not None:
            forget()
        self.send(Retry(chunks))

    def action_retry_all(self) -> None:
        assert self.feed is not None
        limbo = self.feed.snapshot.counts.limbo
        gone = sum(client.state in BAD_CLIENTS for client in self.feed.snapshot.clients)
        happens = []
        if limbo or not gone:
            goes = "goes" if limbo == 1 else "go"
            happens.append(f"{plural(limbo, 'chunk')} in limbo {goes} back to pending with fresh attempts.")
        if gone:
            comes = "comes" if gone == 1 else "come"
            happens.append(f"{plural(gone, 'client')} that gave up or got lost {comes} back.")
        answers = (("retry", f"Retry {plural(limbo, 'chunk')}" if limbo else "Bring back"), ("", "Cancel"))
        self.ask(Question("Retry all", " ".join(happens), answers), lambda: self.send(RetryAll()))

    def action_pause(self) -> None:
        assert self.feed is not None
        self.send(Resume() if self.feed.snapshot.state is RunState.PAUSED else Pause())

    def _host(self) -> str:
        """The host that + and d are about: the cursor's, or the only one."""
        assert self.feed is not None
        host = self.pane.target().host
        hosts = {row.name for row in self.feed.snapshot.hosts} | {row.host for row in self.feed.snapshot.clients}
        if not host and len(hosts) == 1:
            host = next(iter(hosts))
        if not host:
            self.notify("put the cursor on a host or a client of it, on Overview", severity="warning")
        return host

    def action_add_client(self) -> None:
        if host := self._host():
            self.send(AddClient(host))

    def action_stop_client(self) -> None:
        assert self.feed is not None
        target = self.pane.target()
        live = [c for c in self.feed.snapshot.clients if c.host == target.host and c.state in LIVE_CLIENTS]
        name = target.client or (live[-1].name if live else "")
        if not name:
            self.notify("put the cursor on a client, or on a host that has some, on Overview", severity="warning")
            return
        text = f"{name} finishes the chunk in hand and ends. + on its host starts another."
        self.ask(
            Question(f"Stop {name}", text, (("stop", "Stop it"), ("", "Cancel"))), lambda: self.send(StopClient(name))
        )

    def action_drain(self) -> None:
        assert self.feed is not None
        if host := self._host():
            count = sum(c.host == host and c.state in LIVE_CLIENTS for c in self.feed.snapshot.clients)
            ends = "finishes its chunk and ends" if count == 1 else "finish their chunks and end"
            text = f"{plural(count, 'client')} on {host} {ends}. + brings clients back one by one."
            self.ask(
                Question(f"Drain {host}", text, (("drain", "Drain it"), ("", "Cancel"))),
                lambda: self.send(DrainHost(host)),
            )

    def action_reconnect(self) -> None:
        if host := self._host():
            self.send(ReconnectHost(host))

    # ---- what a person is asked

    def follow_questions(self) -> None:
        """Ask what is open, the oldest first; not while another dialog or a field is being typed in."""
        from dgconsole.console.asking import Asking

        assert self.feed is not None
        questions = self.feed.snapshot.questions
        top = self.screen
        if isinstance(top, Asking) and all(question.number != top.question.number for question in questions):
            top.dismiss(None)
            self.notify("that is no longer asked", markup=False)
        elif len(self.screen_stack) == 1 and not isinstance(self.focused, Input):
            waiting = next((question for question in questions if question.number > self._answered), None)
            if waiting is not None:
                self.push_screen(Asking(waiting), self._person_answered)

    def _person_answered(self, answer: Answer | None) -> None:
        if answer is None:
            return
        number = self._answered = answer.question

        def heard(reply: Reply) -> None:
            self.tell(reply)
            if not reply.ok:
                self._answered = number - 1  # asked again, if it is still open

        self.send(answer, heard)

    # ---- hosts and logs

    def action_add_host(self) -> None:
        from dgconsole.console.prompt import Prompt

        text = (
            "A name, a range, or an entry as hosts.yml has it: db07.example.org, db[07-09], db07: {clients: 4}. "
            "The defaults of hosts.yml hold for it."
        )
        self.push_screen(
            Prompt("Add a host", text, "Add"), lambda entry: self.send(AddHost(entry)) if entry else None
        )

    def action_whole_log(self) -> None:
        if client := self.pane.target().client:
            self.send(FetchLog(client), lambda reply: self._log_fetched(client, reply))
        else:
            self.notify("choose a client: with ← → on Logs, or under the cursor on Overview", severity="warning")

    def _log_fetched(self, client: str, reply: Reply) -> None:
        self.tell(reply)
        if reply.ok:
            self.pane.log_fetched(client)

    # ---- export

    def action_export(self) -> None:
        assert self.feed is not None
        self.push_screen(ExportDialog(free_name(self.feed.snapshot.run_dir, "report", ".csv")), self._export)

    def _export(self, path: str | None) -> None:
        if path:
            if self.role is not Role.OWNER:  # the session may have been started elsewhere
                path = str(Path(path).expanduser().absolute())
            wanted = Export(path, format=Path(path).suffix[1:].lower())
            self.send(wanted, lambda reply: self._exported(wanted, reply))

    def _exported(self, wanted: Export, reply: Reply) -> None:
        if reply.ok or not Path(wanted.path).exists():
            self.tell(reply)
            return
        text = f"{wanted.path} exists."
        question = Question("Overwrite", text, (("over", "Overwrite it"), ("", "Cancel")), hot=True)
        self.ask(question, lambda: self.send(replace(wanted, overwrite=True)))


_STEERS = frozenset(
    {"retry", "retry_all", "pause", "add_client", "stop_client", "drain", "reconnect", "add_host", "whole_log"}
)
