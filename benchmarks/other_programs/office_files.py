"""Office documents written by hand: flat OpenDocument text, slides and sheets, Word, rich text, CSV.

A document is a list of blocks; every writer makes a file of them that an office suite can print.
"""

from __future__ import annotations

import csv
import io
import random
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from benchmarks.other_programs.style import MONO, SANS, SERIF

_NAMES = " ".join(
    f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for short, name in {
        "office": "office", "style": "style", "text": "text", "table": "table", "draw": "drawing",
        "fo": "xsl-fo-compatible", "svg": "svg-compatible", "presentation": "presentation",
    }.items()
)  # fmt: skip
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006"


@dataclass(frozen=True)
class Block:
    """``kind``: "heading", "text", "pairs" (label and value) or "grid" (first row: heads)."""

    kind: str
    rows: list[list[str]]


@dataclass(frozen=True)
class Look:
    """``points``: body text. ``lines``: borders of tables. ``tabbed``: pairs as lines with a tab, not a table."""

    font: str
    points: float
    colour: str
    lines: bool
    bold: bool
    tabbed: bool


def draw_look(rng: random.Random) -> Look:
    return Look(
        font=rng.choice(f"{SANS}|{SERIF}|{MONO.split('|')[0]}".split("|")),
        points=rng.choice((10.5, 11, 12, 12, 13)),
        colour=rng.choice(("#000000", "#1f3864", "#7b1e1e", "#20552f", "#444444")),
        lines=rng.random() < 0.5,
        bold=rng.random() < 0.5,
        tabbed=rng.random() < 0.5,
    )


def fodt(blocks: Sequence[Block], look: Look) -> bytes:
    """Flat OpenDocument text."""
    border = "0.5pt solid #777777" if look.lines else "none"
    styles = (
        f'<style:style style:name="H" style:family="paragraph"><style:paragraph-properties fo:margin-bottom="12pt"/>'
        f'<style:text-properties {_font(look, 1.6)} fo:font-weight="bold" fo:color="{look.colour}"/></style:style>'
        f'<style:style style:name="P" style:family="paragraph"><style:paragraph-properties fo:margin-bottom="6pt">'
        f'<style:tab-stops><style:tab-stop style:position="6cm"/></style:tab-stops></style:paragraph-properties>'
        f"<style:text-properties {_font(look, 1)}/></style:style>"
        f'<style:style style:name="B" style:family="text"><style:text-properties fo:font-weight="bold"/></style:style>'
        f'<style:style style:name="C" style:family="table-cell"><style:table-cell-properties fo:padding="0.12cm" '
        f'fo:border="{border}"/></style:style>'
    )
    body = "".join(_fodt_block(block, look) for block in blocks)
    return _flat("text", styles, f"<office:text>{body}</office:text>")


def _fodt_block(block: Block, look: Look) -> str:
    if block.kind in ("heading", "text"):
        style = "H" if block.kind == "heading" else "P"
        return "".join(f'<text:p text:style-name="{style}">{escape(row[0])}</text:p>' for row in block.rows)
    if block.kind == "pairs" and look.tabbed:
        return "".join(
            f'<text:p text:style-name="P">{_bold(escape(a), look)}<text:tab/>{escape(b)}</text:p>'
            for a, b in block.rows
        )
    rows = "".join(
        "<table:table-row>"
        + "".join(
            f'<table:table-cell table:style-name="C"><text:p text:style-name="P">'
            f"{_bold(escape(cell), look) if _strong(block, r, c) else escape(cell)}</text:p></table:table-cell>"
            for c, cell in enumerate(row)
        )
        + "</table:table-row>"
        for r, row in enumerate(block.rows)
    )
    return f'<table:table><table:table-column table:number-columns-repeated="{len(block.rows[0])}"/>{rows}</table:table>'


def _strong(block: Block, row: int, column: int) -> bool:
    return row == 0 if block.kind == "grid" else column == 0


def _bold(text: str, look: Look) -> str:
    return f'<text:span text:style-name="B">{text}</text:span>' if look.bold else text


def _font(look: Look, factor: float) -> str:
    return f"fo:font-family={quoteattr(look.font)} fo:font-size={quoteattr(f'{look.points * factor:.1f}pt')}"


def _flat(kind: str, styles: str, body: str, masters: str = "") -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><office:document {_NAMES} office:version="1.3" '
        f'office:mimetype="application/vnd.oasis.opendocument.{kind}">'
        f"<office:automatic-styles>{styles}</office:automatic-styles>"
        f"<office:master-styles>{masters}</office:master-styles><office:body>{body}</office:body></office:document>"
    ).encode()


def fodp(blocks: Sequence[Block], look: Look) -> bytes:
    """Flat OpenDocument slides: a heading begins a slide."""
    styles = (
        '<style:page-layout style:name="L"><style:page-layout-properties fo:page-width="25.4cm" '
        'fo:page-height="14.3cm" style:print-orientation="landscape"/></style:page-layout>'
        '<style:style style:name="G" style:family="graphic"><style:graphic-properties draw:stroke="none" '
        'draw:fill="none"/></style:style>'
        f'<style:style style:name="H" style:family="paragraph"><style:text-properties {_font(look, 2.2)} '
        f'fo:font-weight="bold" fo:color="{look.colour}"/></style:style>'
        f'<style:style style:name="P" style:family="paragraph"><style:paragraph-properties fo:margin-bottom="8pt"/>'
        f"<style:text-properties {_font(look, 1.5)}/></style:style>"
    )
    masters = '<style:master-page style:name="M" style:page-layout-name="L"/>'
    slides: list[tuple[str, list[str]]] = []
    for block in blocks:
        if block.kind == "heading":
            slides.append((block.rows[0][0], []))
        else:
            slides[-1][1].extend(": ".join(row) for row in block.rows)
    pages = "".join(
        f'<draw:page draw:master-page-name="M">{_frame("H", [title], 1, 2)}{_frame("P", lines, 3.4, 10)}</draw:page>'
        for title, lines in slides
    )
    return _flat("presentation", styles, f"<office:presentation>{pages}</office:presentation>", masters)


def _frame(style: str, lines: Sequence[str], top: float, height: float) -> str:
    text = "".join(f'<text:p text:style-name="{style}">{escape(line)}</text:p>' for line in lines)
    return (
        f'<draw:frame draw:style-name="G" svg:x="1.8cm" svg:y="{top}cm" svg:width="21.8cm" svg:height="{height}cm">'
        f"<draw:text-box>{text}</draw:text-box></draw:frame>"
    )


def fods(blocks: Sequence[Block], look: Look) -> bytes:
    """A flat OpenDocument sheet; every cell is text."""
    rows = _lines(blocks)
    columns = max(len(row) for row in rows)
    # The first row is a heading, which may run over into empty cells.
    longest = [
        max((len(row[c]) for row in rows[1:] if len(row) > max(c, 1)), default=8) for c in range(columns)
    ]
    border = "0.5pt solid #777777" if look.lines else "none"
    styles = "".join(
        f'<style:style style:name="K{c}" style:family="table-column"><style:table-column-properties '
        f'style:column-width="{0.4 + n * look.points * 0.024:.2f}cm"/></style:style>'
        for c, n in enumerate(longest)
    ) + (
        f'<style:style style:name="C" style:family="table-cell"><style:table-cell-properties fo:border="{border}"/>'
        f"<style:text-properties {_font(look, 1)}/></style:style>"
        f'<style:style style:name="D" style:family="table-cell"><style:text-properties {_font(look, 1.4)} '
        f'fo:font-weight="bold" fo:color="{look.colour}"/></style:style>'
    )
    cells = "".join(
        "<table:table-row>"
        + "".join(
            f'<table:table-cell office:value-type="string" table:style-name="{"D" if r == 0 else "C"}">'
            f"<text:p>{escape(cell)}</text:p></table:table-cell>"
            for cell in row
        )
        + "</table:table-row>"
        for r, row in enumerate(rows)
    )
    heads = "".join(f'<table:table-column table:style-name="K{c}"/>' for c in range(columns))
    sheet = f'<office:spreadsheet><table:table table:name="Sheet1">{heads}{cells}</table:table></office:spreadsheet>'
    return _flat("spreadsheet", styles, sheet)


def _lines(blocks: Sequence[Block]) -> list[list[str]]:
    return [row for block in blocks for row in block.rows]


def comma_separated(blocks: Sequence[Block], look: Look) -> bytes:
    """The table alone, as programs export it."""
    out = io.StringIO()
    csv.writer(out).writerows(
        row for block in blocks if block.kind in ("pairs", "grid") for row in block.rows
    )
    return out.getvalue().encode()


def rtf(blocks: Sequence[Block], look: Look) -> bytes:
    """Rich text: paragraphs with tabs."""

    def plain(text: str) -> str:
        return "".join(c if ord(c) < 128 else f"\\u{ord(c)}?" for c in text)

    size = round(look.points * 2)
    lines = []
    for block in blocks:
        for r, row in enumerate(block.rows):
            weight = "\\b" if block.kind == "heading" or (block.kind == "grid" and r == 0) else "\\b0"
            scale = size * 3 // 2 if block.kind == "heading" else size
            stops = "".join(f"\\tx{(i + 1) * 9000 // len(row)}" for i in range(len(row) - 1))
            lines.append(
                f"\\pard{stops}\\sa140\\f0\\fs{scale}{weight} " + "\\tab ".join(map(plain, row)) + "\\par"
            )
    page = "\\paperw11906\\paperh16838\\margl1200\\margr1200\\margt1200\\margb1200"
    return (
        f"{{\\rtf1\\ansi\\deff0{{\\fonttbl{{\\f0 {look.font};}}}}{page}\n" + "\n".join(lines) + "}"
    ).encode("ascii")


def docx(blocks: Sequence[Block], look: Look) -> bytes:
    """A Word document of the least parts that make one."""
    body = "".join(_docx_block(block, look) for block in blocks)
    edges = '<w:pgSz w:w="11906" w:h="16838"/><w:pgMar w:top="1200" w:bottom="1200" w:left="1200" w:right="1200"/>'
    document = (
        f'<w:document xmlns:w="{_WORD}"><w:body>{body}<w:sectPr>{edges}</w:sectPr></w:body></w:document>'
    )
    types = (
        f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/word/document.xml" '
        'ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
    )
    relations = (
        f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1" '
        f'Type="{_OFFICE}/relationships/officeDocument" Target="word/document.xml"/></Relationships>'
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for name, text in {
            "[Content_Types].xml": types, "_rels/.rels": relations, "word/document.xml": document,
        }.items():  # fmt: skip
            package.writestr(name, f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>{text}')
    return out.getvalue()


def _docx_block(block: Block, look: Look) -> str:
    if block.kind in ("heading", "text"):
        return "".join(_paragraph(row, look, heading=block.kind == "heading") for row in block.rows)
    if block.kind == "pairs" and look.tabbed:
        return "".join(_paragraph(row, look) for row in block.rows)
    edge = "".join(
        f'<w:{side} w:val="{"single" if look.lines else "nil"}" w:sz="4" w:color="888888"/>'
        for side in ("top", "left", "bottom", "right", "insideH", "insideV")
    )
    rows = "".join(
        "<w:tr>"
        + "".join(
            f'<w:tc><w:tcPr><w:tcW w:w="{9500 // len(row)}" w:type="dxa"/></w:tcPr>'
            f"{_paragraph([cell], look, bold=look.bold and _strong(block, r, c))}</w:tc>"
            for c, cell in enumerate(row)
        )
        + "</w:tr>"
        for r, row in enumerate(block.rows)
    )
    return f"<w:tbl><w:tblPr><w:tblBorders>{edge}</w:tblBorders></w:tblPr>{rows}</w:tbl>" + _paragraph(
        [""], look
    )


def _paragraph(cells: Sequence[str], look: Look, *, heading: bool = False, bold: bool = False) -> str:
    size = round(look.points * (3.2 if heading else 2))
    strong = "<w:b/>" if heading or bold else ""
    colour = f'<w:color w:val="{look.colour[1:]}"/>' if heading else ""
    looks = f'<w:rPr><w:rFonts w:ascii={quoteattr(look.font)} w:hAnsi={quoteattr(look.font)}/>{strong}{colour}<w:sz w:val="{size}"/></w:rPr>'
    runs = f"<w:r>{looks}<w:tab/></w:r>".join(
        f'<w:r>{looks}<w:t xml:space="preserve">{escape(cell)}</w:t></w:r>' for cell in cells
    )
    stops = '<w:tabs><w:tab w:val="left" w:pos="3600"/></w:tabs>' if len(cells) > 1 else ""
    return f'<w:p><w:pPr>{stops}<w:spacing w:after="120"/></w:pPr>{runs}</w:p>'


#: Writers by suffix.
WRITERS: dict[str, Callable[[Sequence[Block], Look], bytes]] = {
    ".fodt": fodt,
    ".docx": docx,
    ".fodp": fodp,
    ".fods": fods,
    ".rtf": rtf,
    ".csv": comma_separated,
}
