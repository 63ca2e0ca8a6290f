"""The ``arguments`` text of serverCfg.yml: the counts and the seed as datagen's command line spells them."""

import shlex

from dgconsole.settings.section import Section
from dgconsole.settings.suggest import did_you_mean

LIMITS = {"visits": (0, 2**31 - 1), "objects": (0, 2**31 - 1), "seed": (0, 2**63 - 1)}
"""The least and the most of each number."""


def read_counts(section: Section) -> dict[str, int]:
    """The numbers that a section gives, as keys or within ``arguments``; those that it gives nowhere are absent.

    Noted as problems: what is no option or no number within its limits, and a number that is given both
    ways with two values.
    """
    counts = {}
    for name, (least, most) in LIMITS.items():
        value = section.integer(name, least=least, most=most)
        if value is not None:
            counts[name] = value
    for name, value in _parsed(section).items():
        if counts.setdefault(name, value) != value:
            section.note("arguments", f"'--{name} {value}' disagrees with the key '{name}: {counts[name]}': keep one")
    return counts


def _parsed(section: Section) -> dict[str, int]:
    text = section.text("arguments") or ""
    try:
        words = shlex.split(text)
    except ValueError:
        section.note("arguments", f"{text!r}: a quote is not closed")
        return {}
    found: dict[str, int] = {}
    while words:
        option, equals, value = words.pop(0).partition("=")
        if not equals and words and not words[0].startswith("--"):
            value = words.pop(0)
        name = option.removeprefix("--")
        if option == name or name not in LIMITS:
            section.note(
                "arguments", f"unknown option '{option}'; {did_you_mean(option, [f'--{n}' for n in LIMITS])}"
            )
            continue
        least, most = LIMITS[name]
        if not (value.isascii() and value.isdigit()) or not least <= int(value) <= most:
            section.note("arguments", f"'{option} {value}': give a whole number from {least} to {most}")
        elif found.setdefault(name, int(value)) != int(value):
            section.note("arguments", f"'{option}' is there twice, with {found[name]} and {value}: keep one")
    return found
