"""dgconsole serve, looked at with a real Chromium: it shows the run, and steers it only where it may."""

import asyncio
import base64
import contextlib
import json
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

pytestmark = pytest.mark.slow

GATED = 57701


class Page:
    """One page of a browser, driven through its debugging socket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self.got = b""
        self.loaded: list[str] = []

    async def send(self, method: str, **params: object) -> None:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": params})

    async def until(self, *words: str) -> None:
        """Until all of ``words`` came over the page's websocket."""
        async with asyncio.timeout(40):
            while not all(word.encode() in self.got for word in words):
                message = json.loads((await self._socket.receive()).data)
                told = message.get("params", {})
                if message.get("method") == "Network.webSocketFrameReceived":
                    data = told["response"]["payloadData"]
                    self.got += base64.b64decode(data) if told["response"]["opcode"] == 2 else data.encode()
                elif message.get("method") == "Network.responseReceived":
                    self.loaded.append(told["response"]["url"])

    async def open(self, url: str) -> None:
        for domain in ("Network", "Page"):
            await self.send(f"{domain}.enable")
        await self.send("Page.navigate", url=url)

    async def click(self, x: int, y: int) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            await self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def press(self, key: str) -> None:
        self.got = b""
        await self.send("Input.dispatchKeyEvent", type="keyDown", key=key, text=key)
        await self.send("Input.dispatchKeyEvent", type="keyUp", key=key)


@pytest.fixture
def browser(tmp_path: Path, need: Callable[[bool, str], None]) -> Callable[[], Any]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    need(chromium is not None, "needs chromium")

    @asynccontextmanager
    async def opened() -> AsyncIterator[Page]:
        options = ("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0")
        process = await asyncio.create_subprocess_exec(
            str(chromium),
            *options,
            f"--user-data-dir={tmp_path / 'browser'}",
            "--window-size=1200,800",
            "about:blank",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stderr is not None
        try:
            async with asyncio.timeout(40), aiohttp.ClientSession() as http:
                found = None
                while found is None:
                    found = re.search(rb"ws://([^/]+)/", await process.stderr.readline())
                async with http.get(f"http://{found[1].decode()}/json") as answer:
                    (page,) = (each for each in await answer.json() if each["type"] == "page")
                async with http.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                    yield Page(socket)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.communicate()

    return opened


def serve(project: Any, wait_until: Any, *options: str) -> tuple[Any, str]:
    serving = project.start("dgconsole", "serve", "run", *options)
    wait_until(lambda: serving.out.count("\n") == 2 or not serving.running(), "the address")
    assert serving.running(), serving.err
    return serving, serving.out.splitlines()[0]


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.fixture
def running(project: Any, gates: Any, wait_until: Any) -> Any:
    gates.shut(GATED)
    started = project.begin(f"0,39600,{GATED}")
    wait_until(lambda: project.ledger.completed() == {0, 39600}, "the others are made")
    gates.reached(GATED)
    return started


async def test_a_browser_shows_the_run_and_changes_nothing(
    project: Any, running: Any, gates: Any, wait_until: Any, browser: Any
) -> None:
    serving, url = await asyncio.to_thread(serve, project, wait_until)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", url)
    async with browser() as page:
        await page.open(url)
        await page.until("running, read-only", "66.6 %", "here-1")
        await page.click(600, 300)
        await page.press("p")
        await page.press("5")
        await page.until("Report", "so far")
    origin = url[: url.index("/", 7)]
    assert page.loaded
    assert [url for url in page.loaded if not url.startswith(f"{origin}/")] == []
    assert "asks:" not in project.console_log()
    assert running.running()
    serving.signal(signal.SIGINT)
    assert (await asyncio.to_thread(serving.end)).status == 0
    gates.open()
    assert (await asyncio.to_thread(running.end)).status == 0


async def test_a_browser_steers_where_it_may(
    project: Any, running: Any, gates: Any, wait_until: Any, browser: Any
) -> None:
    serving, url = await asyncio.to_thread(serve, project, wait_until, "--write")
    assert "can steer the run" in serving.out
    async with browser() as page:
        await page.open(url)
        await page.until("running, attached")
        await page.click(600, 300)
        await page.press("p")
        await page.until("paused, attached")
    assert "an attached console asks: Pause" in project.console_log()
    serving.signal(signal.SIGTERM)
    await asyncio.to_thread(serving.end)
    gates.open()
    running.signal(signal.SIGTERM)
    await asyncio.to_thread(running.end)


async def test_a_killed_serve_leaves_nothing_behind(
    project: Any, running: Any, gates: Any, ends: Any, wait_until: Any
) -> None:
    serving, url = await asyncio.to_thread(serve, project, wait_until, "--write")
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{url}ws?width=100&height=30") as page:
        async with asyncio.timeout(40):
            async for message in page:
                if b"running, attached" in (message.data if isinstance(message.data, bytes) else b""):
                    break
        left = ends(project.pids(" attach "))
        assert project.pids(" attach ")
        serving.signal(signal.SIGKILL)
        await asyncio.to_thread(left.wait)
    assert running.running()
    gates.open()
    assert (await asyncio.to_thread(running.end)).status == 0


def test_only_who_has_the_address_gets_anything(project: Any, running: Any, wait_until: Any) -> None:
    serving, url = serve(project, wait_until)
    origin = url[: url.index("/", 7)]
    assert status_of(url) == 200
    for path in ("/", "/ws", "/static/js/textual.js", f"/{'x' * 32}/"):
        assert status_of(origin + path) == 404
    with urllib.request.urlopen(url) as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert answer.headers["Referrer-Policy"] == "no-referrer"
    listening = {line.split()[1] for line in Path(f"/proc/{serving.pid}/net/tcp").read_text().splitlines()[1:]}
    port = int(origin.rpartition(":")[2])
    assert {place for place in listening if place.endswith(f":{port:04X}")} == {f"0100007F:{port:04X}"}
    serving.signal(signal.SIGTERM)
    serving.end()


def test_without_a_session_nothing_is_served(project: Any) -> None:
    assert project.run("0").status == 0
    ended = project.start("dgconsole", "serve", "run").end()
    assert (ended.status, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert "no session runs there" in ended.err


def test_a_port_that_is_taken_is_quoted(project: Any, running: Any, wait_until: Any) -> None:
    serving, url = serve(project, wait_until)
    port = url[: url.index("/", 7)].rpartition(":")[2]
    ended = project.start("dgconsole", "serve", "run", "--port", port).end()
    assert ended.status == 2
    assert ended.err.startswith(f"--port '{port}': 127.0.0.1:{port} cannot be had")
    serving.signal(signal.SIGTERM)
    serving.end()


def test_without_its_package_serve_says_how_to_get_it(project: Any, tmp_path: Path) -> None:
    line = (
        "import sys; sys.modules['textual_serve'] = None; from dgconsole.cli import dgconsole; sys.exit(dgconsole())"
    )
    ended = project._start([sys.executable, "-c", line, "serve", "run"], {}).end()
    assert ended.status == 2
    assert ended.err == "serve needs the package textual-serve: pip install 'dgconsole[serve]'\n"
