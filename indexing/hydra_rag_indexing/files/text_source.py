"""Pages of text, Markdown, CSV and HTML files: typeset to a PDF in memory, then drawn like any PDF."""

from __future__ import annotations

import codecs
import unicodedata

from hydra_rag_indexing.files.arabic import is_form, join_letters
from hydra_rag_indexing.files.limits import Limits
from hydra_rag_indexing.files.pdf_fonts import CODE, REGULAR, Fonts
from hydra_rag_indexing.files.pdf_source import PdfSource
from hydra_rag_indexing.files.pdf_writer import write_pdf
from hydra_rag_indexing.files.typeset import Block, Rule, Table, typeset
from hydra_rag_indexing.files.wire import Refused

__all__ = ["TextSource", "decode"]

_TAB = 8


class TextSource(PdfSource):
    """``family`` is ``text``, ``csv``, ``markdown`` or ``html``."""

    def __init__(self, data: bytes, limits: Limits, dpi: float, family: str) -> None:
        text = decode(data)
        if family != "csv":  # where they part values
            text = text.expandtabs(_TAB)
        if not text.strip():
            raise Refused("empty", "the file holds no text; nothing to index")
        blocks, fonts = _prepared(join_letters(text), family)
        if any(is_form(char) for char in fonts.boxed):
            # No font here has the joined forms: separate letters are better than boxes.
            blocks, fonts = _prepared(text, family)
        pages = typeset(blocks, fonts, limits.pages)
        if not pages:
            raise Refused("empty", "the file shows no text; nothing to index")
        super().__init__(write_pdf(pages, fonts), limits, dpi)


def decode(data: bytes) -> str:
    """Text of a file: by its byte order mark, else UTF-8, else Windows-1252. Line ends become ``\\n``,
    characters that nothing can draw are dropped, the rest is composed (NFC)."""
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if data.startswith(mark):
            text = data[len(mark) :].decode(name, "replace")
            break
    else:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            text = data.decode("cp1252", "replace")
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n")
    text = unicodedata.normalize("NFC", text)
    if text.isascii() and text.isprintable():
        return text
    keep = {
        char
        for char in set(text)
        if char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn")
    }
    return "".join(char if char in keep else "" for char in text)


def _prepared(text: str, family: str) -> tuple[list[Block | Table | Rule], Fonts]:
    blocks = _blocks(text, family)
    return blocks, Fonts({char for block in blocks for char in _characters(block)})


def _blocks(text: str, family: str) -> list[Block | Table | Rule]:
    if family == "markdown":
        from hydra_rag_indexing.files.markdown_text import markdown_blocks

        return markdown_blocks(text)
    if family == "html":
        from hydra_rag_indexing.files.html_text import html_blocks

        return html_blocks(text)
    if family == "csv":
        from hydra_rag_indexing.files.csv_text import csv_blocks

        return csv_blocks(text)
    return plain_blocks(text)


def plain_blocks(text: str) -> list[Block | Table | Rule]:
    """One block per line, as the file has them; a fixed-width face where spaces make columns."""
    lines = text.split("\n")
    columns = sum("   " in line.strip() for line in lines) > len(lines) // 20
    style, size = (CODE, 9.5) if columns else (REGULAR, 11.0)
    return [Block([(line.rstrip(), style)], size=size, before=0.0, keep=True) for line in lines]


def _characters(block: Block | Table | Rule) -> set[str]:
    if isinstance(block, Block):
        return set(block.marker).union(*(text for text, _ in block.pieces))
    if isinstance(block, Table):
        return {char for row in block.rows for cell in row for text, _ in cell for char in text}
    return set()
