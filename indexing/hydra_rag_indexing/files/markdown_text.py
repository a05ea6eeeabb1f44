"""Markdown to blocks, through markdown-it (CommonMark with tables). Raw HTML and images are not followed."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markdown_it.token import Token

from hydra_rag_indexing.files.pdf_fonts import BOLD, CODE, ITALIC, REGULAR
from hydra_rag_indexing.files.typeset import Block, Piece, Rule, Table

__all__ = ["markdown_blocks"]

_SIZES = {"h1": 22.0, "h2": 17.0, "h3": 14.0, "h4": 12.5, "h5": 11.5, "h6": 11.5}
_STEP = 18.0
_LABEL = re.compile(r"[^\W\d_][^\n:.!?]{0,30}:(\s|$)")


def markdown_blocks(text: str) -> list[Block | Table | Rule]:
    """Blocks of a Markdown document in order."""
    return _Walk().run(MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text))


class _Walk:
    def __init__(self) -> None:
        self.out: list[Block | Table | Rule] = []
        self.lists: list[int | None] = []  # next number, or None for bullets
        self.quotes = 0
        self.marker = ""
        self.heading = ""
        self.rows: list[list[list[Piece]]] = []
        self.in_table = False

    def run(self, tokens: list[Token]) -> list[Block | Table | Rule]:
        for token in tokens:
            handler = getattr(self, f"on_{token.type}", None)
            if handler is not None:
                handler(token)
        return self.out

    @property
    def indent(self) -> float:
        return _STEP * (len(self.lists) + self.quotes)

    def on_heading_open(self, token: Token) -> None:
        self.heading = token.tag

    def on_heading_close(self, token: Token) -> None:
        self.heading = ""

    def on_bullet_list_open(self, token: Token) -> None:
        self.lists.append(None)

    def on_ordered_list_open(self, token: Token) -> None:
        self.lists.append(int(token.attrs.get("start", 1)))

    def on_bullet_list_close(self, token: Token) -> None:
        self.lists.pop()

    on_ordered_list_close = on_bullet_list_close

    def on_list_item_open(self, token: Token) -> None:
        number = self.lists[-1]
        self.marker = "\u2022" if number is None else f"{number}."
        if number is not None:
            self.lists[-1] = number + 1

    def on_blockquote_open(self, token: Token) -> None:
        self.quotes += 1

    def on_blockquote_close(self, token: Token) -> None:
        self.quotes -= 1

    def on_hr(self, token: Token) -> None:
        self.out.append(Rule())

    def on_fence(self, token: Token) -> None:
        lines = token.content.rstrip("\n")
        self.out.append(
            Block([(lines, CODE)], size=9.5, indent=self.indent + 8, marker=self._mark(), keep=True)
        )

    on_code_block = on_fence

    def on_html_block(self, token: Token) -> None:
        from hydra_rag_indexing.files.html_text import html_blocks

        self.out.extend(html_blocks(token.content))

    def on_table_open(self, token: Token) -> None:
        self.rows, self.in_table = [], True

    def on_table_close(self, token: Token) -> None:
        self.in_table = False
        self.out.append(Table(self.rows))

    def on_tr_open(self, token: Token) -> None:
        self.rows.append([])

    def on_inline(self, token: Token) -> None:
        pieces = _inline(token.children or [], BOLD if self.heading else REGULAR)
        if self.in_table:
            self.rows[-1].append(pieces)
        elif any(text.strip() for text, _ in pieces):
            size = _SIZES.get(self.heading, 11.0)
            before = size * 0.8 if self.heading else (3.0 if self.marker else 6.0)
            self.out.append(Block(pieces, size=size, indent=self.indent, marker=self._mark(), before=before))

    def _mark(self) -> str:
        marker, self.marker = self.marker, ""
        return marker


def _inline(tokens: list[Token], base: str) -> list[Piece]:
    pieces: list[Piece] = []
    styles = [base]
    for number, token in enumerate(tokens):
        if token.type == "text":
            pieces.append((token.content, styles[-1]))
        elif token.type == "code_inline":
            pieces.append((token.content, CODE))
        elif token.type == "softbreak":
            pieces.append(("\n" if _labels(tokens[number + 1 :]) else " ", styles[-1]))
        elif token.type == "hardbreak":
            pieces.append(("\n", styles[-1]))
        elif token.type == "image":
            pieces.append((f"[{token.content}]" if token.content else "", styles[-1]))
        elif token.type == "strong_open":
            styles.append(BOLD)
        elif token.type == "em_open":
            styles.append(ITALIC if styles[-1] != BOLD else BOLD)
        elif token.type in ("strong_close", "em_close"):
            styles.pop()
    return [piece for piece in pieces if piece[0]]


def _labels(tokens: list[Token]) -> bool:
    """Whether the line that these begin starts with a label (``Present: ...``): people put such lines one
    under the other and mean it, though Markdown joins them."""
    line = "".join("\n" if token.type == "softbreak" else token.content for token in tokens)
    return line[:1].isupper() and _LABEL.match(line) is not None
