"""Blocks of styled text to pages: paragraphs, headings, lists, code. Pure layout, no drawing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from hydra_rag_indexing.files.pdf_fonts import REGULAR, Fonts
from hydra_rag_indexing.files.tables import Table, draw_table
from hydra_rag_indexing.files.wire import Refused
from hydra_rag_indexing.files.wrapping import LEADING, Piece, wrap

__all__ = ["Block", "Page", "Piece", "Rule", "Run", "Table", "typeset"]

#: A4 in points, and the margin.
WIDTH, HEIGHT, MARGIN = 595.0, 842.0, 56.0


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, heading, list item (``marker``) or, with ``keep``, lines whose spaces count."""

    pieces: list[Piece]
    size: float = 11.0
    indent: float = 0.0
    marker: str = ""
    before: float = 6.0
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A line across the page."""


@dataclass(frozen=True, slots=True)
class Run:
    """Text drawn from the baseline point (x, y), y upwards from the page's bottom, in points."""

    x: float
    y: float
    text: str
    style: str
    size: float


@dataclass(slots=True)
class Page:
    runs: list[Run] = field(default_factory=list)
    #: Grey lines as (left, bottom, width, height) in points.
    lines: list[tuple[float, float, float, float]] = field(default_factory=list)


def typeset(blocks: Iterable[Block | Table | Rule], fonts: Fonts, max_pages: int) -> list[Page]:
    """The pages of a document. Raises ``Refused`` beyond ``max_pages``."""
    sheet = _Sheet(fonts, max_pages)
    for block in blocks:
        if isinstance(block, Block):
            sheet.block(block)
        elif isinstance(block, Table):
            draw_table(sheet, block)
        else:
            sheet.room(14)
            sheet.y -= 8
            sheet.rule(sheet.width, 0.6)
    return [page for page in sheet.pages if page.runs or page.lines]


class _Sheet:
    left, width, height = MARGIN, WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN

    def __init__(self, fonts: Fonts, max_pages: int) -> None:
        self.fonts, self.max_pages = fonts, max_pages
        self.page, self.y = Page(), HEIGHT - MARGIN
        self.pages = [self.page]

    def room(self, height: float) -> bool:
        """Starts a new page when ``height`` points are not left; says whether it did."""
        if self.y - height >= MARGIN or self.y >= HEIGHT - MARGIN:
            return False
        if len(self.pages) >= self.max_pages:
            raise Refused(
                "too_many_pages", f"the text fills more than {self.max_pages} pages; split the file"
            )
        self.page, self.y = Page(), HEIGHT - MARGIN
        self.pages.append(self.page)
        return True

    def rule(self, width: float, thick: float) -> None:
        self.page.lines.append((MARGIN, self.y, width, thick))

    def block(self, block: Block) -> None:
        left = MARGIN + block.indent
        lines = wrap(block.pieces, self.fonts, block.size, WIDTH - MARGIN - left, keep=block.keep)
        if self.y < HEIGHT - MARGIN:
            self.y -= block.before
        step = block.size * LEADING
        # A heading does not stay alone at the foot of a page.
        self.room(step * (3 if block.size > 11 else 1))
        for index, line in enumerate(lines):
            self.room(step)
            self.y -= step
            if index == 0 and block.marker:
                wide = self.fonts.width(REGULAR, block.marker) * block.size / 1000
                self.page.runs.append(Run(left - wide - 5, self.y, block.marker, REGULAR, block.size))
            self.line(line, left, self.y, block.size)

    def line(self, line: list[Piece], x: float, y: float, size: float) -> None:
        for text, style in line:
            if text.strip():
                self.page.runs.append(Run(x, y, text, style, size))
            x += self.fonts.width(style, text) * size / 1000
