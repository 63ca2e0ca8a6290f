#!/usr/bin/env python3
"""Run a partitioner command on every golden case and compare its files with the expected ones.

    check_golden [options] DIR -- CMD [ARG...]

DIR holds case folders (or is one case folder). For each case the folder, without `expected/` and
`case.json`, is copied to a new temporary folder, CMD plus the case's argv is run in it, and the
folder `out` that it leaves is compared with `expected/`, byte for byte.

case.json keys:
  argv       list of options; `{cwd}` in one becomes the absolute path of the working folder
  runs       instead of argv: a list of argv lists, run one after the other into the same `out`
  exit       exit status expected of the (last) run; earlier runs must exit 0
  files      the exact list of files expected under `out`, sorted
  unordered  true: the lines of each text file are compared as a sorted list (the real tool sorts
             with an unstable sort); false or absent: exact bytes
  tool_exit  only with --as-tool: the exit status of the original tool where it differs from `exit`
             (negative: killed by that signal); with it `files` is not compared
  reference  which release of the original tool made the case (exported as GOLDEN_REFERENCE)
  covers, note, stderr   for people; not compared

Files named *_index.bin are always compared as a multiset of 24-byte records: their order is that of
a hash table.

Exit status: 0 all cases agree, 1 some case differs, 2 wrong use.
"""

import argparse
import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

RECORD = 24


def listing(root: Path) -> list[str]:
    if not root.is_dir():
        return []
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


def first_line_difference(want: bytes, got: bytes, unordered: bool) -> str:
    w, g = want.splitlines(True), got.splitlines(True)
    if unordered:
        missing = collections.Counter(w)
        missing.subtract(g)
        lost = [k for k, n in missing.items() if n > 0]
        extra = [k for k, n in missing.items() if n < 0]
        text = f"{len(w)} lines expected, {len(g)} found"
        if lost:
            text += f"; missing e.g. {lost[0][:120]!r}"
        if extra:
            text += f"; unexpected e.g. {extra[0][:120]!r}"
        return text
    for n, (a, b) in enumerate(zip(w, g, strict=False), 1):
        if a != b:
            return f"line {n}: expected {a[:120]!r}, found {b[:120]!r}"
    return f"{len(w)} lines expected, {len(g)} found"


def compare_file(name: str, want: bytes, got: bytes, unordered: bool) -> str | None:
    if want == got:
        return None
    if name.endswith("_index.bin"):

        def cut(b: bytes) -> list[bytes]:
            return sorted(b[i : i + RECORD] for i in range(0, len(b), RECORD))

        if cut(want) == cut(got):
            return None
        return f"{name}: {len(want) / RECORD:g} index records expected, {len(got) / RECORD:g} found, contents differ"
    if unordered and sorted(want.splitlines(True)) == sorted(got.splitlines(True)):
        return None
    return f"{name}: {first_line_difference(want, got, unordered)}"


def check(case_dir: Path, command: list[str], as_tool: bool, timeout: float, keep: Path | None) -> list[str]:
    case = json.loads((case_dir / "case.json").read_text())
    runs = case.get("runs") or [case["argv"]]
    problems: list[str] = []
    work = Path(tempfile.mkdtemp(prefix="golden-"))
    try:
        for p in case_dir.iterdir():
            if p.name in ("expected", "case.json"):
                continue
            (shutil.copytree if p.is_dir() else shutil.copy2)(p, work / p.name)
        env = dict(os.environ, GOLDEN_REFERENCE=str(case.get("reference", "")), GOLDEN_CASE=case_dir.name)
        status, err = 0, ""
        for n, argv in enumerate(runs):
            full = command + [a.replace("{cwd}", str(work)) for a in argv]
            try:
                done = subprocess.run(full, cwd=work, env=env, capture_output=True, timeout=timeout)
            except subprocess.TimeoutExpired:
                return [f"no end after {timeout:g} s"]
            except OSError as e:
                return [f"cannot run {command[0]}: {e}"]
            status, err = done.returncode, done.stderr.decode(errors="replace")
            if n + 1 < len(runs) and status != 0:
                return [f"run {n + 1} of {len(runs)}: exit {status}, expected 0; stderr: {err.strip()[-200:]}"]
        want_status = case.get("exit", 0)
        if as_tool and "tool_exit" in case:
            if status != case["tool_exit"]:
                problems.append(f"exit {status}, expected {case['tool_exit']} of the original tool")
            return problems
        if status != want_status:
            problems.append(f"exit {status}, expected {want_status}; stderr: {err.strip()[-200:]}")
        if want_status != 0 and not as_tool and "Traceback (most recent call last)" in err:
            problems.append("a traceback on stderr")
        expected, out = case_dir / "expected", work / "out"
        want_files, got_files = sorted(case["files"]), listing(out)
        if listing(expected) != want_files:
            problems.append("the case itself is broken: expected/ does not hold what case.json lists")
        for name in want_files:
            if name not in got_files:
                problems.append(f"{name}: not written")
        for name in got_files:
            if name not in want_files:
                problems.append(f"{name}: written, not expected")
        for name in want_files:
            if name in got_files:
                diff = compare_file(
                    name, (expected / name).read_bytes(), (out / name).read_bytes(), bool(case.get("unordered"))
                )
                if diff:
                    problems.append(diff)
        return problems
    finally:
        if keep is not None:
            target = keep / case_dir.name
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(work, target)
        shutil.rmtree(work, ignore_errors=True)


def main() -> int:
    argv = sys.argv[1:]
    if "--" not in argv:
        if {"-h", "--help"} & set(argv):
            print(__doc__)
            return 0
        print("usage: check_golden [options] DIR -- CMD [ARG...]   (--help for more)", file=sys.stderr)
        return 2
    cut = argv.index("--")
    command = argv[cut + 1 :]
    ap = argparse.ArgumentParser(prog="check_golden", add_help=False)
    ap.add_argument("dir", type=Path)
    ap.add_argument("--as-tool", action="store_true")
    ap.add_argument("--only", action="append", default=[], metavar="TEXT", help="only cases whose name has TEXT")
    ap.add_argument("--timeout", type=float, default=120.0)
    ap.add_argument("--keep", type=Path, default=None, metavar="DIR", help="leave the working folders there")
    ap.add_argument("-h", "--help", action="store_true")
    opt = ap.parse_args(argv[:cut])
    if opt.help:
        print(__doc__)
        return 0
    if not command:
        print("check_golden: no command after --", file=sys.stderr)
        return 2
    if os.sep in command[0]:
        command[0] = str(Path(command[0]).absolute())
    if (opt.dir / "case.json").is_file():
        cases = [opt.dir]
    elif opt.dir.is_dir():
        cases = sorted(p.parent for p in opt.dir.glob("*/case.json"))
    else:
        cases = []
    cases = [c for c in cases if not opt.only or any(t in c.name for t in opt.only)]
    if not cases:
        print(f"check_golden: no cases in {opt.dir}", file=sys.stderr)
        return 2
    failed = 0
    for c in cases:
        problems = check(c.resolve(), command, opt.as_tool, opt.timeout, opt.keep)
        failed += bool(problems)
        if problems:
            more = f" (+{len(problems) - 1} more)" if len(problems) > 1 else ""
            print(f"FAIL {c.name}: {problems[0]}{more}")
        else:
            print(f"ok   {c.name}")
    print(f"{len(cases) - failed} of {len(cases)} cases agree")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
