"""The question that `q` asks while chunks are in work."""

from dgconsole.console.dialogs import Question
from dgconsole.views.text import plural

INTERRUPTED = 130
"""Exit status of a run that was left with targets unmade."""


def question(in_work: int, *, stopping: bool, title: str = "Quit") -> Question:
    """``finish`` and ``now`` are the answers; when the run is stopping already, waiting is suggested."""
    chunks = plural(in_work, "chunk")
    if stopping:
        text = f"The run stops after {chunks} in hand. Stopped now, they go back to pending."
        return Question(title, text, (("", "Wait for them"), ("now", "Stop now")))
    text = (
        f"{chunks} in work. Finish them and stop, or stop now: then they go back to pending. "
        "Started again, the run goes on where it stopped."
    )
    return Question(title, text, (("finish", "Finish, then stop"), ("now", "Stop now"), ("", "Cancel")))
