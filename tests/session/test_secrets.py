"""A secret that nobody has given: asked for, and tried."""

from pathlib import Path
from typing import Any

import pytest

from dgconsole.ingest.destination import SecretError
from dgconsole.session.secrets import TRIES, with_secret
from dgconsole.settings.server import load_settings
from dgconsole.settings.structs import RunSettings
from dgconsole.settings.target import AUTH_KEY, PASSWORD
from dgconsole.support.errors import InputError

ROOT = Path(__file__).parents[2]
SAID = "the database at db:3306 refuses: Access denied (1045)"
HINT = "check ingest.user and the password (ingest.passwordFile)"


def settings_of(tmp_path: Path, ingest: str) -> RunSettings:
    file = tmp_path / "serverCfg.yml"
    file.write_text(f"fakeDataGenerator: {{baseCfgDir: {ROOT}}}\ningest: {{dbName: skydb, {ingest}}}\n")
    return load_settings(file)


class Asked:
    """A person who answers in this order, and a destination that takes ``right`` only."""

    def __init__(self, *answers: str | None, right: str = "right", name: str = PASSWORD) -> None:
        self.questions: list[str] = []
        self._answers = list(answers)
        self._right = right
        self._name = name

    async def ask(self, text: str) -> str | None:
        self.questions.append(text)
        return self._answers.pop(0)

    async def work(self, settings: RunSettings) -> str:
        if settings.secrets.get(self._name, "") != self._right:
            raise SecretError(self._name, SAID, HINT, "ingest")
        return "done"


@pytest.fixture
def mysql(tmp_path: Path) -> RunSettings:
    return settings_of(tmp_path, "kind: mysql, host: db, user: gen")


async def test_nobody_is_asked_where_none_is_wanted(mysql: RunSettings) -> None:
    asked = Asked(right="")
    assert await with_secret(mysql, asked.ask, asked.work) == (mysql, "done")
    assert asked.questions == []


async def test_the_answer_goes_on_with_the_settings(mysql: RunSettings) -> None:
    asked = Asked("right")
    settings, result = await with_secret(mysql, asked.ask, asked.work)
    assert (settings.secrets, result) == ({PASSWORD: "right"}, "done")
    assert asked.questions == ["Password of 'gen' for the database at db:"]
    assert await with_secret(settings, None, asked.work) == (settings, "done")


async def test_who_mistypes_is_asked_again(mysql: RunSettings) -> None:
    asked = Asked("wrong", "right")
    settings, _ = await with_secret(mysql, asked.ask, asked.work)
    assert settings.secrets == {PASSWORD: "right"}
    assert asked.questions[1].startswith("That was refused.\n")


async def test_not_for_ever(mysql: RunSettings) -> None:
    asked = Asked(*["wrong"] * TRIES)
    with pytest.raises(InputError) as caught:
        await with_secret(mysql, asked.ask, asked.work)
    assert str(caught.value) == f"{mysql.path}:2: ingest: {SAID}; {HINT}"
    assert len(asked.questions) == TRIES


@pytest.mark.parametrize("somebody", [True, False], ids=["no answer", "nobody is there"])
async def test_without_an_answer_the_ways_to_give_it_are_named(mysql: RunSettings, somebody: bool) -> None:
    asked = Asked(None)
    with pytest.raises(InputError) as caught:
        await with_secret(mysql, asked.ask if somebody else None, asked.work)
    assert str(caught.value) == (
        f"{mysql.path}:2: ingest.password: {SAID}: name a file with the password (ingest.passwordFile), "
        "set DGCONSOLE_DB_PASSWORD, or start a console with a screen, which asks for it"
    )


async def test_one_that_was_given_and_is_refused_is_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DGCONSOLE_DB_PASSWORD", "stale")
    asked = Asked("right")
    with pytest.raises(InputError, match=r"check ingest\.user"):
        await with_secret(settings_of(tmp_path, "kind: mysql, host: db, user: gen"), asked.ask, asked.work)
    assert asked.questions == []


async def test_the_key_of_a_qserv(tmp_path: Path) -> None:
    asked = Asked("right", name=AUTH_KEY)
    settings, _ = await with_secret(settings_of(tmp_path, "host: repl"), asked.ask, asked.work)
    assert settings.secrets == {AUTH_KEY: "right"}
    assert asked.questions == ["Key of the ingest services of the Qserv at repl:"]


async def test_other_trouble_goes_by(mysql: RunSettings) -> None:
    async def work(_: Any) -> None:
        raise InputError("no database answers")

    with pytest.raises(InputError, match="no database answers"):
        await with_secret(mysql, None, work)
