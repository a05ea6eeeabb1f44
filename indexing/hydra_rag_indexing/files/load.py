"""Files to pages: the one entrance for every kind of file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hydra_rag.errors import UsageError
from hydra_rag.geometry import Box
from hydra_rag_indexing.files.drawing import draw_pages
from hydra_rag_indexing.files.in_order import in_order
from hydra_rag_indexing.files.kinds import Kind, identify
from hydra_rag_indexing.files.limits import Limits
from hydra_rag_indexing.files.page import BadPage, FileInfo, PageImage
from hydra_rag_indexing.files.process import Parser

if TYPE_CHECKING:
    from PIL import Image

    from hydra_rag_indexing.files.conversions import Conversion

__all__ = ["OcrMode", "load_pages", "probe", "render_region"]

OcrMode = Literal["auto", "always", "never"]

#: Threads that read pictures, at most; each has an engine of its own, of about 150 MB.
_READERS = 4

#: Dots per inch of stored pages that are rendered.
DPI = 144.0


def load_pages(
    path: Path | str,
    *,
    limits: Limits | None = None,
    ocr: OcrMode = "auto",
    dpi: float = DPI,
    on_bad_page: Callable[[BadPage], None] | None = None,
) -> Iterator[PageImage]:
    """Every page of one file, in order, one at a time (the next one is drawn while the caller works).

    Rendered pages (PDF, text, Markdown, Office) have ``dpi`` pixels per inch, less where ``limits`` say so;
    images keep their own pixels. ``ocr``: ``"auto"`` reads pages without a text layer when the ``ocr`` extra
    is installed, ``"always"`` reads every page and needs it, ``"never"`` reads none.

    ``on_bad_page`` is told of a PDF's damaged pages, and the others are read; without it the first one is the
    file's error. When more than half of the pages are damaged, the file is.

    Raises ``FileError`` for this file, also in the middle of it: pages that came before are then part of a
    file that can't be read whole. Raises ``MissingExtraError`` when OCR or a file kind needs a package.
    Closing the iterator early ends the parser process.
    """
    if ocr not in ("auto", "always", "never"):
        raise UsageError(f"ocr={ocr!r} is unknown; use auto, always or never")
    if ocr == "always":
        from hydra_rag_indexing.files import ocr as engine

        engine.require()
    return _pages(Path(path), limits or Limits(), dpi, ocr, on_bad_page)


def _pages(
    path: Path, limits: Limits, dpi: float, ocr: OcrMode, on_bad_page: Callable[[BadPage], None] | None
) -> Iterator[PageImage]:
    with _readable(path, identify(path, limits), limits) as (source, family):
        # Frames of an image file depend on each other; only a PDF's pages stand alone.
        drawn = draw_pages(source, family, limits, dpi, on_bad_page if family == "pdf" else None)
        with closing(drawn):
            yield from drawn if ocr == "never" else _with_ocr(drawn, ocr)


def _with_ocr(pages: Iterable[PageImage], mode: OcrMode) -> Iterator[PageImage]:
    """The pages, with words read from their pictures where ``mode`` asks for it: one page in one thread,
    which takes less time of the processor than all threads for every page."""
    from hydra_rag_indexing.files import ocr as engine

    if mode == "auto" and not engine.available():
        yield from pages
        return

    def read(page: PageImage) -> PageImage:
        if mode == "auto" and page.words:
            return page
        words = engine.read_words(page.image)
        return replace(page, words=words, text_source="ocr" if words else None)

    with closing(in_order(read, pages, min(os.cpu_count() or 1, _READERS))) as done:
        yield from done


def probe(path: Path | str, *, limits: Limits | None = None) -> FileInfo:
    """Kind and number of pages without drawing any. ``pages`` is ``None`` for files that LibreOffice
    would have to convert first. Raises ``FileError``."""
    path, limits = Path(path), limits or Limits()
    kind = identify(path, limits)
    if kind.family == "office":
        return FileInfo(kind.media_type)
    with Parser(path, kind.family, limits, DPI) as parser:
        return FileInfo(kind.media_type, parser.pages)


def render_region(
    path: Path | str,
    page_number: int,
    box: Box | tuple[int, int, int, int],
    scale: float = 2.0,
    *,
    limits: Limits | None = None,
    dpi: float = DPI,
    kept: Conversion | None = None,
) -> Image.Image:
    """The part ``box`` (pixels of the stored page, as :func:`load_pages` gave it with the same ``dpi`` and
    ``limits``) drawn ``scale`` times larger. Image files give their own pixels, never enlarged; ``scale``
    falls where the result would pass ``limits.page_pixels``. ``kept``: where the PDF of an Office document is
    kept, so that the next part of it needs no LibreOffice. Raises ``FileError``, ``UsageError``."""
    from hydra_rag_indexing.files.pictures import to_image

    limits = limits or Limits()
    left, top, right, bottom = (int(value) for value in box)
    if not (0 <= left < right and 0 <= top < bottom) or not 0 < scale <= 100:
        raise UsageError(
            f"box {tuple(box)} or scale {scale} makes no region; give left < right and top < bottom"
        )
    with _parser(Path(path), limits, dpi, kept) as parser:
        if not 1 <= page_number <= parser.pages:
            raise UsageError(f"there is no page {page_number}; the file has pages 1 to {parser.pages}")
        parser.request(
            {"op": "region", "number": page_number, "box": [left, top, right, bottom], "scale": float(scale)}
        )
        return to_image(*parser.receive(f"drawing a part of page {page_number}"))


@contextmanager
def _parser(path: Path, limits: Limits, dpi: float, kept: Conversion | None) -> Iterator[Parser]:
    kind = identify(path, limits)
    with (
        _readable(path, kind, limits, kept) as (source, family),
        Parser(source, family, limits, dpi) as parser,
    ):
        yield parser


@contextmanager
def _readable(
    path: Path, kind: Kind, limits: Limits, kept: Conversion | None = None
) -> Iterator[tuple[Path, str]]:
    if kind.family == "office":
        from hydra_rag_indexing.files.office import converted

        with converted(path, kind, limits, kept) as pdf:
            yield pdf, "pdf"
    else:
        yield path, kind.family
