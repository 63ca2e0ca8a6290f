"""The coordinator with the destination ``files`` itself: what appears under which name, and when."""

from pathlib import Path
from typing import Any

from dgconsole.ingest.files import FilesDestination
from dgconsole.support.filenames import attempt_name
from dgconsole.wire import messages as m


def deliver(root: Path, chunk: int, attempt: int, text: str = "1\t2\n") -> m.Figures:
    """What a client does before it reports: whole files under the attempt's names."""
    (root / "Object" / attempt_name(f"chunk_{chunk}.txt", attempt)).write_text(text)
    return m.Figures((m.TableFigures("Object", 1, 0, len(text), {}),), {})


def names(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "Object").iterdir())


async def test_a_file_has_its_name_when_the_client_is_told(start: Any, tmp_path: Path) -> None:
    root = tmp_path / "chunks"
    run = await start([5, 6], destination=FilesDestination(root))
    client = await run.client()
    ((chunk, attempt),) = await client.ask()
    await client.say(m.Completed(chunk, attempt, deliver(root, chunk, attempt)))
    assert (await client.until(m.Settled)).accepted
    assert names(root) == ["chunk_5.txt"]


async def test_a_report_without_files_is_refused_and_tried_again(start: Any, tmp_path: Path) -> None:
    root = tmp_path / "chunks"
    run = await start([5], destination=FilesDestination(root))
    client = await run.client()
    ((chunk, attempt),) = await client.ask()
    figures = m.Figures((m.TableFigures("Object", 1, 0, 4, {}),), {})
    await client.say(m.Completed(chunk, attempt, figures))
    assert not (await client.until(m.Settled)).accepted
    ((chunk, attempt),) = await client.ask()
    await client.say(m.Completed(chunk, attempt, deliver(root, chunk, attempt)))
    assert (await client.until(m.Settled)).accepted


async def test_a_late_file_of_an_older_attempt_never_gets_the_name(start: Any, tmp_path: Path) -> None:
    root = tmp_path / "chunks"
    run = await start([5], destination=FilesDestination(root))
    old = await run.client("here-1")
    ((chunk, attempt),) = await old.ask()
    await old.say(m.Failed(chunk, attempt, "stopped", "", ""))
    await old.until(m.Settled)
    new = await run.client("here-2")
    ((_, newer),) = await new.ask()
    await new.say(m.Completed(chunk, newer, deliver(root, chunk, newer, "new\n")))
    assert (await new.until(m.Settled)).accepted
    await old.say(m.Completed(chunk, attempt, deliver(root, chunk, attempt, "old\n")))
    assert not (await old.until(m.Settled)).accepted
    assert (root / "Object" / "chunk_5.txt").read_text() == "new\n"
    await run.close()
    again = await start([5], destination=FilesDestination(root))
    assert names(root) == ["chunk_5.txt"]
    assert again.coordinator.finished.is_set()
