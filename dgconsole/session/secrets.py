"""The destination's secret where nobody has given it: asked of a person once it is wanted, kept in memory alone."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from msgspec.structs import replace

from dgconsole.ingest.destination import SecretError
from dgconsole.settings.structs import IngestTarget, RunSettings
from dgconsole.settings.target import AUTH_KEY_VARIABLE, PASSWORD, PASSWORD_VARIABLE
from dgconsole.settings.where import placed
from dgconsole.support.errors import InputError, Problem

Ask = Callable[[str], Awaitable[str | None]]
"""Puts a question to a person; None: there will be no answer."""

TRIES = 3
"""How often somebody who mistypes is asked."""

T = TypeVar("T")


async def with_secret(
    settings: RunSettings, ask: Ask | None, work: Callable[[RunSettings], Awaitable[T]]
) -> tuple[RunSettings, T]:
    """Do ``work``; where the destination wants a secret that nobody has given, ask for it, and do it again.

    Returns
    -------
    settings, result
        The settings with the secret that was right; what ``work`` came to.

    Raises
    ------
    InputError
        Whatever ``work`` raised; nobody gave the secret, or the one that was given is refused.
    """
    with placed(settings):
        return await _with_secret(settings, ask, work)


async def _with_secret(
    settings: RunSettings, ask: Ask | None, work: Callable[[RunSettings], Awaitable[T]]
) -> tuple[RunSettings, T]:
    asked = 0
    while True:
        try:
            return settings, await work(settings)
        except SecretError as error:
            if asked == TRIES or (not asked and error.name in settings.secrets):
                raise
            if ask is None:
                raise _missing(error) from error
            again = "That was refused.\n" if asked else ""
            answer = await ask(f"{again}{_question(settings.target, error.name)}")
            if answer is None:
                raise _missing(error) from error
            asked += 1
            settings = replace(settings, secrets={**settings.secrets, error.name: answer})


def _question(target: IngestTarget, name: str) -> str:
    place = target.socket or target.host
    if name == PASSWORD:
        return f"Password of '{target.user}' for the database at {place}:"
    return f"Key of the ingest services of the Qserv at {place}:"


def _missing(error: SecretError) -> InputError:
    file, variable, what = "ingest.authKeyFile", AUTH_KEY_VARIABLE, "key"
    if error.name == PASSWORD:
        file, variable, what = "ingest.passwordFile", PASSWORD_VARIABLE, "password"
    ways = (
        f"name a file with the {what} ({file}), set {variable}, or start a console with a screen, which asks for it"
    )
    return InputError(Problem(f"{error.said}: {ways}", key=error.name))
