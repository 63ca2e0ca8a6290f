"""Command lines whose mistakes are InputErrors: one line that quotes the option and its value."""

import argparse
from collections.abc import Callable
from typing import NoReturn

from dgconsole.support.errors import InputError


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises InputError instead of printing usage; options are never abbreviated."""

    def __init__(self, prog: str, description: str, *, epilog: str | None = None) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} ({self.prog} --help shows the options)")


def whole(option: str, *, least: int = 0, most: int = 2**62) -> Callable[[str], int]:
    """A reader of whole numbers within limits, for ``type=``; its error quotes ``option`` and the value."""

    def read(text: str) -> int:
        digits = text.removeprefix("-")
        number = int(text) if digits.isascii() and digits.isdigit() else None
        if number is None or not least <= number <= most:
            limits = f"of at least {least}" if most == 2**62 else f"from {least} to {most}"
            raise InputError(f"{option} {text!r}: give a whole number {limits}")
        return number

    return read
