"""HTML to blocks, with the standard library's parser: text, headings, lists, tables, code.

Nothing is fetched, no script runs, no style is applied."""

from __future__ import annotations

from html.parser import HTMLParser

from hydra_rag_indexing.files.pdf_fonts import BOLD, CODE, ITALIC, REGULAR
from hydra_rag_indexing.files.typeset import Block, Piece, Rule, Table

__all__ = ["html_blocks"]

_SIZES = {"h1": 22.0, "h2": 17.0, "h3": 14.0, "h4": 12.5, "h5": 11.5, "h6": 11.5}
_HIDDEN = frozenset(("script", "style", "template", "noscript", "svg", "math", "head"))
_INLINE = {
    "b": BOLD,
    "strong": BOLD,
    "i": ITALIC,
    "em": ITALIC,
    "code": CODE,
    "kbd": CODE,
    "tt": CODE,
    "samp": CODE,
}
_PARAGRAPHS = frozenset(
    "p div section article header footer main aside nav address blockquote dl dt dd figure figcaption form "
    "fieldset ul ol li table tr td th caption thead tbody tfoot pre body html title".split()
)
_MAX_DEPTH = 12


def html_blocks(text: str) -> list[Block | Table | Rule]:
    """Blocks of an HTML document or fragment in order."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    reader.finish()
    return reader.out


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[Block | Table | Rule] = []
        self.pieces: list[Piece] = []
        self.styles: list[tuple[str, str]] = []
        self.lists: list[int | None] = []
        self.marker = ""
        self.heading = ""
        self.pre = 0
        self.hidden = 0
        self.title = False
        self.tables: list[list[list[list[Piece]]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self.hidden += 1
            return
        if tag in _PARAGRAPHS or tag in _SIZES:
            self._flush()
        if tag in _SIZES:
            self.heading = tag
        elif tag in _INLINE:
            self.styles.append((tag, _INLINE[tag]))
        elif tag == "br":
            self.pieces.append(("\n", REGULAR))
        elif tag == "hr":
            self._flush()
            self.out.append(Rule())
        elif tag == "pre":
            self.pre += 1
        elif tag in ("ul", "ol"):
            self.lists.append(1 if tag == "ol" else None)
        elif tag == "li":
            self._item()
        elif tag == "table":
            self.tables.append([])
        elif tag == "tr" and self.tables:
            self.tables[-1].append([])
        elif tag == "img":
            alt = dict(attrs).get("alt")
            if alt:
                self.handle_data(f"[{alt}]")

    def handle_endtag(self, tag: str) -> None:
        if tag in _HIDDEN:
            self.hidden = max(0, self.hidden - 1)
            return
        if tag in _PARAGRAPHS or tag in _SIZES:
            self._flush(cell=tag in ("td", "th"))
        if tag in _SIZES:
            self.heading = ""
        elif tag in _INLINE and any(name == tag for name, _ in self.styles):
            while self.styles.pop()[0] != tag:
                continue
        elif tag == "pre":
            self.pre = max(0, self.pre - 1)
        elif tag in ("ul", "ol") and self.lists:
            self.lists.pop()
        elif tag == "table" and self.tables:
            self._table()

    def handle_data(self, data: str) -> None:
        if self.hidden or not data:
            return
        style = (
            self.styles[-1][1] if self.styles else (CODE if self.pre else BOLD if self.heading else REGULAR)
        )
        self.pieces.append((data if self.pre else " ".join(f"x{data}x".split())[1:-1], style))

    def finish(self) -> None:
        self._flush()
        while self.tables:
            self._table()

    def _item(self) -> None:
        number = self.lists[-1] if self.lists else None
        self.marker = "\u2022" if number is None else f"{number}."
        if number is not None:
            self.lists[-1] = number + 1

    def _table(self) -> None:
        rows = [row for row in self.tables.pop() if row]
        if rows:
            self.out.append(Table(rows))

    def _flush(self, *, cell: bool = False) -> None:
        pieces, self.pieces = self.pieces, []
        shown = any(text.strip() for text, _ in pieces)
        if self.tables and self.tables[-1]:
            if cell or shown:
                self.tables[-1][-1].append(pieces if shown else [])
            return
        if not shown:
            return
        size = _SIZES.get(self.heading, 9.5 if self.pre else 11.0)
        self.out.append(
            Block(
                [(text.strip("\n"), style) for text, style in pieces] if self.pre else pieces,
                size=size,
                indent=18.0 * min(len(self.lists), _MAX_DEPTH),
                marker=self.marker,
                before=size * 0.8 if self.heading else (3.0 if self.marker else 6.0),
                keep=bool(self.pre),
            )
        )
        self.marker = ""
