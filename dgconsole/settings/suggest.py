"""The nearest right word for a wrong one, said as part of a message."""

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of ``known`` that ``word`` was most likely meant to be, letter case aside; None when none is near."""
    by_fold = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(word.casefold(), by_fold, n=1, cutoff=0.6)
    return by_fold[close[0]] if close else None


def did_you_mean(word: str, known: Iterable[str], elsewhere: Iterable[str] = ()) -> str:
    """Half a sentence that says which name to use.

    Parameters
    ----------
    word
        What the user wrote.
    known
        The names that are right at this place.
    elsewhere
        Dotted names of other places; they are compared by their last part.
    """
    names = sorted(known)
    last = {dotted.rpartition(".")[2]: dotted for dotted in elsewhere}
    near = None if word in last else nearest(word, names)
    if near:
        return f"did you mean '{near}'?"
    if near := nearest(word, last):
        return f"did you mean '{last[near]}'?"
    return f"known here: {', '.join(names)}"
