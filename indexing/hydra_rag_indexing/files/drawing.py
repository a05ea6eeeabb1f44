"""All pages of an open file, in order, past those that can't be drawn."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

from hydra_rag.errors import FileError
from hydra_rag_indexing.files.limits import Limits
from hydra_rag_indexing.files.page import BadPage, PageImage
from hydra_rag_indexing.files.process import Parser

__all__ = ["draw_pages"]


def draw_pages(
    path: Path, family: str, limits: Limits, dpi: float, on_bad_page: Callable[[BadPage], None] | None
) -> Generator[PageImage]:
    """Pages one at a time; the next one is drawn while the caller works. Closing it ends the parser.

    ``on_bad_page``: told of a page that can't be drawn, which is then left out; ``None``: it is the file's
    error. A page that crashes the parser or takes too long costs a new process, ``limits.parser_restarts``
    times at most. Raises ``FileError``, also when more than half of the pages can't be drawn.
    """
    parser = Parser(path, family, limits, dpi)
    try:
        count = parser.pages
        if count < 1:
            raise FileError(f"{path.name} has no pages; nothing to index", code="empty")
        bad, restarts = 0, 0
        first: FileError | None = None
        parser.request(_page(1))
        for number in range(1, count + 1):
            try:
                page = _receive(parser, number, count)
            except FileError as error:
                bad += 1
                first = first or error
                if on_bad_page is None:
                    raise
                if 2 * bad > count:
                    raise _beyond_use(first, bad, count) from error
                on_bad_page(BadPage(number, error.code, error.message))
                if not parser.alive:
                    restarts += 1
                    if restarts > limits.parser_restarts:
                        raise
                    parser = Parser(path, family, limits, dpi, waited=parser.waited)
                if number < count:
                    parser.request(_page(number + 1))
            else:
                yield page
    finally:
        parser.close()


def _receive(parser: Parser, number: int, count: int) -> PageImage:
    from hydra_rag_indexing.files.pictures import to_page

    header, payload = parser.receive(f"drawing page {number}")
    if number < count:
        parser.request(_page(number + 1))
    try:
        return to_page(number, header, payload)
    except FileError:
        # What it sends can't be believed.
        parser.close()
        raise


def _page(number: int) -> dict[str, object]:
    return {"op": "page", "number": number}


def _beyond_use(first: FileError, bad: int, count: int) -> FileError:
    if count == 1:
        return first
    return FileError(
        f"more than half of its {count} pages can't be read ({bad} tried in vain); the first error: "
        f"{first.message}",
        code=first.code,
    )
