"""Blocks of styled text to pages: wrapping, headings, lists, tables, code. Pure layout, no drawing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from hydra_rag_indexing.files.pdf_fonts import BOLD, CODE, REGULAR, Fonts
from hydra_rag_indexing.files.wire import Refused

__all__ = ["Block", "Page", "Piece", "Rule", "Run", "Table", "typeset"]

#: A4 in points, the margin, and the leading as a factor of the size.
WIDTH, HEIGHT, MARGIN, LEADING = 595.0, 842.0, 56.0, 1.32
_CELL = 4.0

#: Styled text: (text, face name). A newline in it breaks the line.
Piece = tuple[str, str]


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
class Table:
    """Rows of cells; the first row is the heading when ``heading``."""

    rows: list[list[list[Piece]]]
    heading: bool = True
    size: float = 9.5


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
            sheet.table(block)
        else:
            sheet.room(14)
            sheet.y -= 8
            sheet.page.lines.append((MARGIN, sheet.y, WIDTH - 2 * MARGIN, 0.6))
    return [page for page in sheet.pages if page.runs or page.lines]


class _Sheet:
    def __init__(self, fonts: Fonts, max_pages: int) -> None:
        self.fonts, self.max_pages = fonts, max_pages
        self.page, self.y = Page(), HEIGHT - MARGIN
        self.pages = [self.page]

    def room(self, height: float) -> None:
        """Starts a new page when ``height`` points are not left."""
        if self.y - height >= MARGIN or self.y >= HEIGHT - MARGIN:
            return
        if len(self.pages) >= self.max_pages:
            raise Refused(
                "too_many_pages", f"the text fills more than {self.max_pages} pages; split the file"
            )
        self.page, self.y = Page(), HEIGHT - MARGIN
        self.pages.append(self.page)

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

    def table(self, table: Table) -> None:
        count = max((len(row) for row in table.rows), default=0)
        if not count:
            return
        widths = self._columns(table, count)
        step = table.size * LEADING
        self.y -= 6
        for index, row in enumerate(table.rows):
            cells = [
                wrap(
                    _bold(cell) if table.heading and index == 0 else cell,
                    self.fonts,
                    table.size,
                    wide - 2 * _CELL,
                )
                for cell, wide in zip(row, widths, strict=False)
            ]
            depth = max(map(len, cells), default=1)
            self.room(min(depth * step + 6, HEIGHT - 2 * MARGIN))
            for line in range(depth):
                self.room(step)
                self.y -= step
                x = MARGIN
                for cell, wide in zip(cells, widths, strict=False):
                    if line < len(cell):
                        self.line(cell[line], x + _CELL, self.y, table.size)
                    x += wide
            self.y -= 4
            self.page.lines.append(
                (MARGIN, self.y, sum(widths), 0.9 if index == 0 and table.heading else 0.4)
            )

    def _columns(self, table: Table, count: int) -> list[float]:
        """Column widths in points: natural where they fit, else shared by their square roots."""
        natural = [20.0] * count
        for row in table.rows[:500]:
            for index, cell in enumerate(row[:count]):
                wide = (
                    sum(self.fonts.width(BOLD, text[:200]) for text, _ in cell) * table.size / 1000
                    + 2 * _CELL
                    + 1
                )
                natural[index] = max(natural[index], wide)
        space = WIDTH - 2 * MARGIN
        if sum(natural) <= space:
            return natural
        roots = [wide**0.5 for wide in natural]
        return [space * root / sum(roots) for root in roots]


def _bold(cell: list[Piece]) -> list[Piece]:
    return [(text, style if style == CODE else BOLD) for text, style in cell]


def wrap(
    pieces: list[Piece], fonts: Fonts, size: float, space: float, *, keep: bool = False
) -> list[list[Piece]]:
    """Lines no wider than ``space`` points. With ``keep`` spaces count and long lines break anywhere."""
    lines: list[list[Piece]] = [[]]
    room = max(space, size) * 1000 / size
    used = 0.0
    for text, style in pieces:
        for number, part in enumerate(text.split("\n")):
            if number:
                lines.append([])
                used = 0.0
            for token in _tokens(part, keep):
                wide = fonts.width(style, token)
                if used + wide > room and used > 0 and token != " ":
                    lines.append([])
                    used = 0.0
                if not keep and token == " " and used == 0:
                    continue
                while wide > room:
                    cut = _fitting(token, style, fonts, room)
                    lines[-1].append((token[:cut], style))
                    lines.append([])
                    token = token[cut:]
                    wide = fonts.width(style, token)
                used += wide
                _append(lines[-1], token, style)
    return lines


def _tokens(text: str, keep: bool) -> list[str]:
    if not keep:
        words = text.split()
        lead = [" "] if text[:1].isspace() and words else []
        tail = [" "] if text[-1:].isspace() and words else []
        between = [token for word in words for token in (word, " ")][:-1]
        return lead + between + tail or ([" "] if text else [])
    tokens: list[str] = []
    for char in text:
        if tokens and char != " " and tokens[-1][-1] != " ":
            tokens[-1] += char
        else:
            tokens.append(char)
    return tokens


def _fitting(token: str, style: str, fonts: Fonts, room: float) -> int:
    used = 0.0
    for index, char in enumerate(token):
        used += fonts.width(style, char)
        if used > room:
            return max(1, index)
    return len(token)


def _append(line: list[Piece], token: str, style: str) -> None:
    if line and line[-1][1] == style:
        line[-1] = (line[-1][0] + token, style)
    else:
        line.append((token, style))
