"""The last line of a client: it tells one that lost its console from one that gave up (exit status 1 both)."""

ENDS = "ends: "
LOST_CONSOLE = "lost the console"


def last_line(why: str) -> str:
    """What a client that ends writes last."""
    return ENDS + why


def last_words(line: str) -> str:
    """The reason in ``line``; "" where it is no last line."""
    return line.removeprefix(ENDS) if line.startswith(ENDS) else ""


def tells_of_a_lost_console(words: str) -> bool:
    return words.startswith(LOST_CONSOLE)
