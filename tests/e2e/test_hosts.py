"""Hosts that can't be used: the run ends with what is wrong; others make the chunks."""

import sys
from typing import Any

import pytest

pytestmark = pytest.mark.slow

BROKEN = {
    "no such interpreter": ("python: /no/such/python", "here set aside: /no/such/python cannot be started"),
    "another interpreter": (
        "python: ./bare",
        "/bare has no dgconsole: ModuleNotFoundError: No module named 'dgconsole'",
    ),
    "setup that fails": ("setup: ['true', 'false']", "here set aside: setup failed: line 2 failed"),
    "workdir that can't be made": ("workdir: /proc/nowhere", "lost: /proc/nowhere"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_host_that_cannot_be_used(project: Any, case: str) -> None:
    setting, words = BROKEN[case]
    project.write("bare", f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    (project.folder / "bare").chmod(0o755)
    project.write("hosts.yml", f"hosts:\n  here:\n    clients: 2\n    {setting}\n")
    ended = project.run("57701")
    assert ended.status == 1, ended
    assert words in ended.err
    assert "1 not made. Ended: no client is left." in ended.out
    assert "Traceback" not in ended.err
    assert "R starts" not in ended.err
    assert project.states() == {57701: "pending"}
    assert project.processes() == []


def test_one_of_two_hosts_cannot_be_used(project: Any) -> None:
    project.write("hosts.yml", "hosts:\n  bad: {setup: ['false']}\n  good: {clients: 1}\n")
    ended = project.run("39600:39603,57701")
    assert ended.status == 0, ended
    assert "bad set aside: setup failed: line 1 failed" in ended.err
    assert {row["host"] for row in project.report()} == {"good"}


def test_setup_and_environment_reach_the_clients(project: Any) -> None:
    project.generator("assert os.environ['BOTH'] == 'first second'", "import os\n")
    host = "{clients: 1, env: {ONE: first}, setup: ['TWO=second', 'export BOTH=\"$ONE $TWO\"']}"
    project.write("hosts.yml", f"hosts:\n  here: {host}\n")
    ended = project.run("57701")
    assert ended.status == 0, ended


def test_a_folder_of_our_name_beside_the_files_is_not_taken_for_us(project: Any) -> None:
    (project.folder / "dgconsole").mkdir()
    ended = project.run("57701")
    assert ended.status == 0, ended
    project.assert_whole([57701])
