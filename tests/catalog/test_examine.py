"""A spec examined in a process of its own: it may do what it likes, the caller gets one line and goes on."""

import os
import sys
from pathlib import Path

import pytest

from dgconsole.catalog.describe import describe
from dgconsole.catalog.examine import examine
from dgconsole.catalog.spec import SpecFile, load_spec, read_spec
from dgconsole.support.errors import InputError

ROOT = Path(__file__).parents[2]
GOOD = (ROOT / "fakeGenSpec.py").read_text()
FIRST = GOOD.count("\n") + 1
"""The line of what is written behind GOOD."""


def told(text: str, timeout: float = 60) -> str:
    with pytest.raises(InputError) as caught:
        examine(SpecFile("my.py", "söme/my.py", text.encode()), timeout=timeout)
    said = str(caught.value)
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize("name", ["fakeGenSpec.py", "tests/catalog/specs/wide.py", "tests/catalog/specs/fake2020.py"])
def test_it_says_what_loading_says(name: str) -> None:
    source = read_spec(ROOT / name)
    assert examine(source) == describe(load_spec(source))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def f():\n    return 1 / 0\nf()", "2: the spec raises ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit()", "2: the spec ends the process (exit(None))"),
        ("import os\nos._exit(0)", "2: the spec ends the process (exit(0))"),
        ("import posix\n\nposix._exit(7)", ": the spec ended the process (status 7)"),
        ("import os\nos.abort()", "2: the spec crashed Python (SIGABRT)"),
        ("import os\nos.kill(os.getpid(), 9)", ": the spec crashed Python (SIGKILL)"),
        ("class Odd(BaseException): ...\nraise Odd('two\\nlines')", "2: the spec raises Odd: two lines"),
        ("raise KeyboardInterrupt", "1: the spec raises KeyboardInterrupt"),
        ("def f(): return f()\nf()", "1: the spec raises RecursionError"),
        ("input()", "1: the spec raises EOFError"),
        ("import pandaz", "1: No module named 'pandaz'"),
        ("spec = {", "1: not valid Python: '{' was never closed"),
        ("raise ValueError('x' * 10**7)", "1: the spec raises ValueError: xxx"),
    ],
)
def test_what_a_spec_may_do(text: str, expected: str) -> None:
    line, colon, rest = expected.partition(":")
    place = f"söme/my.py:{FIRST + int(line) - 1}" if line else "söme/my.py"
    said = told(GOOD + text)
    assert said.startswith(f"{place}{colon}{rest}"), said
    assert len(said) < 500
    assert "\n" not in said


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("while True: pass", 1),
        ("import time\ndef wait():\n    time.sleep(1000)\nwait()", 3),
        ("import threading\nthreading.Thread(target=threading.Event().wait).start()\nthreading.Event().wait()", 3),
    ],
)
def test_one_that_does_not_end(text: str, line: int) -> None:
    said = told(GOOD + text, timeout=1)
    assert said.startswith(f"söme/my.py:{FIRST + line - 1}: the spec was not read to its end within 1 s"), said


@pytest.mark.parametrize(
    "text",
    [
        "for _ in range(100): print('x' * 10**6)",
        "import sys\nsys.stderr.write('x' * 10**7)",
        "import threading\nthreading.Thread(target=threading.Event().wait).start()",
        "import os, sys\nif os.fork() == 0: sys.exit(3)",
        "import os\nif os.fork() == 0: os._exit(3)",
        "import os, signal\nif os.fork() == 0: signal.pause()",
    ],
)
def test_what_does_no_harm(text: str, capfd: pytest.CaptureFixture[str]) -> None:
    found = examine(SpecFile("fakeGenSpec.py", "fakeGenSpec.py", (GOOD + text).encode()))
    assert [table.name for table in found.tables] == ["Object", "CcdVisit", "ForcedSource"]
    assert capfd.readouterr() == ("", "")


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    text = GOOD + f"import os, pathlib\npathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\n"
    told(text + "while True: pass", timeout=1)
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def test_all_problems_come_back() -> None:
    with pytest.raises(InputError) as caught:
        examine(SpecFile("my.py", "my.py", b"spec = {'A_': {}, 'B': {'columns': {}}}"))
    assert [(p.file, p.line, p.key) for p in caught.value.problems] == [
        ("my.py", 0, "chunker"),
        ("my.py", 1, "spec.A_"),
        ("my.py", 1, "spec.B.columns"),
    ]


class TestFolder:
    def test_the_spec_runs_in_it(self, tmp_path: Path) -> None:
        (tmp_path / "density.txt").write_text("17")
        text = GOOD.replace("UniformSpatialModel(1000)", "UniformSpatialModel(float(open('density.txt').read()))")
        found = examine(SpecFile("a.py", "a.py", text.encode()), cwd=tmp_path)
        assert found.tables[0].density == "UniformSpatialModel(17)"

    def test_what_lies_there_stands_in_for_no_module(self, tmp_path: Path) -> None:
        (tmp_path / "random.py").write_text("raise SystemError")
        (tmp_path / "numpy.py").write_text("raise SystemError")
        assert examine(SpecFile("a.py", "a.py", GOOD.encode()), cwd=tmp_path).tables

    def test_there_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="there is no such folder"):
            examine(SpecFile("a.py", "a.py", b""), cwd=tmp_path / "none")


def test_the_interpreter_is_our_own() -> None:
    found = told(f"{GOOD}import sys\nraise ValueError(sys.executable)")
    assert sys.executable in found
