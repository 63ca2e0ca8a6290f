"""The same chunks into each kind of destination: files, a MariaDB, the double of Qserv; chunks and bytes a second.

    python benchmarks/destinations.py [--chunks 39600:39719] [--clients 2]

Needs the test extra and mariadb-server-core.
"""

import argparse
import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
KINDS = ("files", "mysql", "qserv")
SHIPPED = ("serverCfg.yml", "fakeGenSpec.py", "fakePartitionerCfgs")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chunks", default="39600:39719")
    parser.add_argument("--clients", type=int, default=2)
    given = parser.parse_args()
    with ExitStack() as ending:
        folder = Path(tempfile.mkdtemp(prefix="dgb"))
        ending.callback(shutil.rmtree, folder)
        sections = {"files": "kind: files\n  dbName: sky", **databases(folder, ending)}
        for kind in KINDS:
            project = folder / kind
            prepare(project, sections[kind], given.clients)
            began = time.monotonic()
            words = run(project, given.chunks)
            seconds = time.monotonic() - began
            (chunks,) = re.findall(r"^chunks ([\d,]+) of", words, re.MULTILINE)
            count, size = int(chunks.replace(",", "")), told_bytes(words)
            speed = f"{count / seconds:5.1f} chunks/s {size / seconds:6.1f} MB/s"
            (spent,) = re.findall(r"^deliver +(\S+ s +\d+%)", words, re.MULTILINE) or [""]
            print(f"{kind:6} {count} chunks in {seconds:6.1f} s: {speed}; deliver {spent}")


def told_bytes(words: str) -> float:
    """MB of the last line's figure."""
    number, unit = re.findall(r"bytes ([\d.,]+) ([kMG]?B)", words)[-1]
    return float(number.replace(",", "")) * {"B": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3}[unit]


def databases(folder: Path, ending: ExitStack) -> dict[str, str]:
    """A MariaDB of our own and a Qserv double over it, as the tests have them."""
    tests = shared_by_tests()
    made = tests.MariaDb(Path(tempfile.mkdtemp(prefix="dgdb")))
    ending.callback(shutil.rmtree, made.folder)
    ending.callback(made.kill)
    made.install()
    made.start()
    qserv = tests.Qserv(made.connect, "bench", made.folder)
    qserv.start()
    ending.callback(qserv.stop)
    (folder / "key.txt").write_text(qserv.key)
    return {
        "mysql": f"kind: mysql\n  dbName: sky\n  socket: {made.socket}\n  user: root",
        "qserv": f"host: {qserv.host}\n  port: {qserv.port}\n  dbName: sky\n  authKeyFile: {folder}/key.txt",
    }


def shared_by_tests() -> Any:
    sys.path.insert(0, str(ROOT / "tests" / "doubles"))
    spec = importlib.util.spec_from_file_location("shared_by_tests", ROOT / "tests" / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def prepare(project: Path, section: str, clients: int) -> None:
    project.mkdir()
    for name in SHIPPED:
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, project / name)
    head, _, rest = (project / "serverCfg.yml").read_text().partition("ingest:\n")
    (project / "serverCfg.yml").write_text(f"{head}ingest:\n  {section}\n{rest[rest.index(chr(10) * 2) :]}")
    (project / "hosts.yml").write_text(f"hosts: {{here: {{clients: {clients}}}}}\n")


def run(project: Path, chunks: str) -> str:
    command = [str(Path(sys.executable).with_name("dgconsole")), "hosts.yml", "--headless", "--chunks", chunks]
    done = subprocess.run([*command, "--run-dir", "run"], cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


if __name__ == "__main__":
    main()
