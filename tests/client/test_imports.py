"""What a client may load: nothing of the console, and nothing heavy before a spec asks for it."""

import subprocess
import sys

FORBIDDEN = (
    "textual", "rich", "asyncssh", "sqlite3", "pyarrow", "scipy", "astropy", "healpy", "lsst", "aiohttp", "pymysql",
    "dgconsole.coordinator", "dgconsole.fleet", "dgconsole.session", "dgconsole.console", "dgconsole.views",
)  # fmt: skip

LOADED = f"""
import sys
{{}}
found = sorted(name for name in sys.modules if any(name == f or name.startswith(f + ".") for f in {FORBIDDEN!r}))
sys.exit(f"loaded: {{{{found}}}}" if found else 0)
"""


def loads_nothing_forbidden(statements: str) -> None:
    done = subprocess.run([sys.executable, "-c", LOADED.format(statements)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_whole_client_loads_nothing_forbidden() -> None:
    loads_nothing_forbidden(
        "import dgconsole.client.command, dgconsole.client.life, dgconsole.client.setup, polars, asyncio"
    )


def test_help_loads_next_to_nothing() -> None:
    script = "import sys, dgconsole.client.command as c\ntry: c.main(['--help'])\nexcept SystemExit: pass\n"
    script += "sys.exit(any(name in sys.modules for name in ('numpy', 'polars', 'msgspec', 'asyncio')))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--token-file" in done.stdout
