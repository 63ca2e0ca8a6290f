"""What a login wants of a person: passphrases and passwords between two logins, all else while one waits."""

import asyncio
import re
from pathlib import Path

import asyncssh
from msgspec import Struct

from dgconsole.fleet.asking import Asker, Secrets
from dgconsole.support.errors import HostError

TRIES = 3
"""How often the same is asked when the answers are wrong."""
PASSPHRASE = "passphrase"  # noqa: S105 - a word
PASSWORD = "password"  # noqa: S105 - a word
AGAIN = "c asks again."
_PASSWORD_PROMPT = re.compile(r"(\(\S+\)\s*)?(\S+'s )?password( for \S+)?\s*:?", re.IGNORECASE)


class Secret(Struct, frozen=True):
    """A passphrase (``of`` is the key's file) or a password (``of`` is user and host)."""

    kind: str
    of: str

    @property
    def name(self) -> str:
        """What people call it."""
        if self.kind == PASSWORD:
            return f"password of {self.of}"
        file = Path(self.of)
        shown = f"~/{file.relative_to(Path.home())}" if file.is_relative_to(Path.home()) else self.of
        return f"passphrase of the key {shown}"


class Wanted(asyncssh.DisconnectError):
    """Ends a login that needs a secret, so that nobody waits while it is asked for.

    ``refused`` is what the server was told and did not take.
    """

    def __init__(self, secret: Secret, refused: str | None = None) -> None:
        super().__init__(asyncssh.DISC_AUTH_CANCELLED_BY_USER, f"the {secret.name} is wanted")
        self.secret = secret
        self.refused = refused


class Declined(asyncssh.DisconnectError):
    """Ends a login whose question a person has not answered, or not rightly."""

    def __init__(self, what: str) -> None:
        super().__init__(asyncssh.DISC_AUTH_CANCELLED_BY_USER, what)
        self.what = what


class Questions:
    """What the logins of a fleet ask; the secrets among the answers are asked for once."""

    def __init__(self, asker: Asker) -> None:
        self.asker = asker
        self._secrets = Secrets()

    def known(self, secret: Secret) -> str | None:
        return self._secrets.known(secret.name)

    def keep(self, secret: Secret, text: str) -> None:
        self._secrets.keep(secret.name, text)

    def passphrase(self, file: str) -> str:
        """For a key that the server takes; called from threads, so it waits for nobody. Raises Wanted."""
        secret = Secret(PASSPHRASE, file)
        known = self.known(secret)
        if known is None:
            raise Wanted(secret)
        return known

    def forget(self, wanted: Wanted) -> None:
        """What the server did not take is not told to it again."""
        if wanted.refused is not None:
            self._secrets.forget(wanted.secret.name, wanted.refused)

    async def learn(self, wanted: Wanted, host: str) -> None:
        """Have a person tell what is wanted. HostError when nobody does, or what is told opens no key."""
        secret, refused = wanted.secret, wanted.refused
        self.forget(wanted)

        async def asking() -> str:
            if secret.kind == PASSPHRASE:
                return await self._ask_passphrase(secret, host)
            hint = " (the last one was refused)" if refused is not None else ""
            return await self._ask(host, f"P{secret.name[1:]}{hint}", secret)

        await self._secrets.learn(secret.name, asking)

    async def _ask_passphrase(self, secret: Secret, host: str) -> str:
        hint = ""
        for _ in range(TRIES):
            text = await self._ask(host, f"P{secret.name[1:]}{hint}", secret)
            if await asyncio.to_thread(_opens, secret.of, text):
                return text
            hint = " (the last one was wrong)"
        reason = f"the {secret.name} was wrong {TRIES} times"
        raise HostError(reason, f"{AGAIN} Or load the key into an agent (ssh-add).", hopeless=True)

    async def _ask(self, host: str, text: str, secret: Secret) -> str:
        told = await self.asker.ask(host, text)
        if told is None:
            raise HostError(f"the {secret.name} was asked for, and not answered", AGAIN, hopeless=True)
        return told


def is_password(prompt: str) -> bool:
    """Whether a challenge asks for the password that logs in, not for a new one or for a code."""
    return _PASSWORD_PROMPT.fullmatch(prompt.strip()) is not None


def _opens(file: str, passphrase: str) -> bool:
    try:
        asyncssh.read_private_key(Path(file).expanduser(), passphrase)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
        return False
    except OSError as error:
        raise HostError(f"{file}: {error.strerror}", "Mend that path.", hopeless=True) from error
    return True
