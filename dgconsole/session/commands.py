"""What faces may ask of a session, carried out."""

import asyncio
from pathlib import Path

from dgconsole.session.course import TAKES_PART, Course
from dgconsole.session.opening import misfits
from dgconsole.settings.hosts import more_hosts
from dgconsole.snapshot import (
    AddClient,
    AddHost,
    Answer,
    Command,
    DrainHost,
    Export,
    FetchLog,
    Pause,
    Quit,
    ReconnectHost,
    Reply,
    Resume,
    Retry,
    RetryAll,
    StopClient,
)
from dgconsole.support.errors import InputError


class Commands:
    """Turns commands into deeds of coordinator, crew and course."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._joining = asyncio.Lock()

    async def carry_out(self, command: Command) -> Reply:
        """Carry out one command; the answer says in a line what was done or why not."""
        if self._course.closing:
            return Reply(False, "The session is ending.")
        match command:
            case Pause():
                await self._course.coordinator.pause()
                return Reply(True, "Paused: chunks in hand go on, nothing more is handed out.")
            case Resume():
                await self._course.coordinator.resume()
                return Reply(True, "Handing out again.")
            case Retry(chunks=chunks):
                count = await self._course.coordinator.retry(chunks)
                await self._course.need_clients()
                return Reply(
                    count > 0, f"{count:,} chunks back to pending." if count else "No limbo chunk among them."
                )
            case RetryAll():
                return await self._retry_all()
            case AddClient(host=host):
                return self._course.crew.add_client(host)
            case AddHost(entry=entry):
                return await self._add_host(entry)
            case FetchLog(client=client):
                return await self._course.crew.fetch_log(client)
            case Answer(question=question, text=text):
                return self._course.crew.answer(question, text)
            case StopClient(client=client):
                await self._course.coordinator.stop_client(client, now=False)
                return Reply(True, f"{client} stops after the chunk in hand.")
            case DrainHost(host=host):
                return await self._drain(host)
            case ReconnectHost(host=host):
                return self._course.crew.reconnect(host)
            case Quit():
                return await self._course.begin_quit(command)
            case Export():
                return await self._export(command)
        return Reply(False, f"unknown command {type(command).__name__}")

    async def _retry_all(self) -> Reply:
        count = await self._course.coordinator.retry_all()
        again = self._course.crew.restart_ended()
        await self._course.need_clients()
        return Reply(True, f"{count:,} chunks back to pending, {again:,} clients started again.")

    async def _add_host(self, entry: str) -> Reply:
        if self._course.quit is not None:
            return Reply(False, "The run is stopping: no host joins it any more.")
        file = self._course.options.hosts_file
        if file is None:
            return Reply(False, "This run was started without a hosts.yml: no host can join it.")
        async with self._joining:  # the next one is checked against this one, too
            try:
                hosts = await asyncio.to_thread(more_hosts, entry, file, self._course.crew.configs)
                InputError.raise_if(misfits(hosts, self._course.prepared.settings))
            except InputError as error:
                return Reply(False, "; ".join(map(str, error.problems)))
            reply = await self._course.crew.add_hosts(hosts)
        self._course.say(reply.text)
        return reply

    async def _drain(self, host: str) -> Reply:
        reply = self._course.crew.drain(host)
        for row in self._course.coordinator.clients():
            if reply.ok and row.host == host and row.state in TAKES_PART:
                await self._course.coordinator.stop_client(row.name, now=False)
        return reply

    async def _export(self, wanted: Export) -> Reply:
        from dgconsole.records.export import FILE_FORMATS, writer

        course, path, form = self._course, Path(wanted.path), wanted.format
        if form not in FILE_FORMATS:
            return Reply(False, f"The report is written as {', '.join(FILE_FORMATS)}, not as {form}.")
        if await asyncio.to_thread(path.exists) and not wanted.overwrite:
            return Reply(False, f"{path} exists; choose another name.")
        try:
            write = writer(path, form, await course.report(), course.prepared.plan.name)
            await course.coordinator.write(path, write)
        except InputError as error:
            return Reply(False, str(error))
        return Reply(True, f"Written: {path}")
