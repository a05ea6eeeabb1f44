"""Progress bars on stderr, on terminals only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hydra_rag_api.cli.output import Output

if TYPE_CHECKING:
    from rich.progress import Progress

    from hydra_rag_indexing.events import IngestEvent

__all__ = ["ingest_progress", "page_progress"]


def _bars(out: Output) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=out.console(stderr=True),
        transient=True,
    )


@contextmanager
def ingest_progress(out: Output) -> Iterator[Callable[[IngestEvent], None]]:
    """One bar for the files, one for the pages of the current file."""
    if not out.live:
        yield lambda event: _tell(out, event)
        return
    with _bars(out) as bars:
        files = bars.add_task("Files", total=None)
        pages = bars.add_task("", total=None, visible=False)

        def show(event: IngestEvent) -> None:
            _tell(out, event)
            bars.update(files, completed=event.files_done, total=event.files_total or None)
            if event.kind in ("file", "page") and event.path:
                bars.update(
                    pages,
                    description=Path(event.path).name,
                    completed=event.pages_done,
                    total=event.pages_total,
                    visible=True,
                )

        yield show


def _tell(out: Output, event: IngestEvent) -> None:
    if event.kind == "waiting":
        out.note(event.message or "Another process is writing; it will index these files. Waiting for it.")


@contextmanager
def page_progress(out: Output, title: str) -> Iterator[Callable[[int, int], None]]:
    """One bar: called with (done, total)."""
    if not out.live:
        yield lambda done, total: None
        return
    with _bars(out) as bars:
        task = bars.add_task(title, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
