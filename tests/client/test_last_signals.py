"""A signal that comes while a client's event loop closes."""

import signal
import subprocess
import sys
from pathlib import Path

LATE = """
import asyncio.selector_events, os, signal, sys
close = asyncio.selector_events.BaseSelectorEventLoop._close_self_pipe
def close_and_signal(self):
    close(self)
    os.kill(os.getpid(), signal.SIGTERM)
asyncio.selector_events.BaseSelectorEventLoop._close_self_pipe = close_and_signal
from dgconsole.client.command import main
sys.exit(main(["--server", "unix:/nowhere", "--workdir", sys.argv[1]]))
"""


def test_it_ends_the_client_without_a_word_of_python(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LATE, str(tmp_path / "w")],
        env={"DGCONSOLE_TOKEN": "t"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    words = "lost the console: cannot connect to unix:/nowhere: No such file or directory"
    assert ended.stderr == f"ERROR ends: {words}\n"
    assert ended.returncode == -signal.SIGTERM
