"""Layouts as HTML with CSS. Every function draws one document onto a :class:`Sheet`."""

from __future__ import annotations

import random
from collections.abc import Callable
from html import escape

from benchmarks.other_programs.content import Writer
from benchmarks.other_programs.html_parts import Sheet, bars, heading, paragraph, table, topic, value

#: Pixels of 1/96 inch: A4 and letter, A5, slides, a slip.
SHEETS = ((794, 1123), (794, 1123), (816, 1056))
SMALL = ((794, 1123), (816, 1056), (559, 794))
SLIDE = ((1024, 576), (960, 720))
SLIP = ((420, 620), (380, 560))


def boxed_form(sheet: Sheet) -> None:
    """Cells with a small label above the value, as printed forms have."""
    rng, style, content = sheet.rng, sheet.style, topic(sheet, sheet.rng.randint(7, 11))
    columns = rng.choice((2, 2, 3))
    sheet.css.append(
        f".f{{display:grid;grid-template-columns:repeat({columns},1fr);gap:{rng.choice((0, 0, 8, 14))}px}}"
        f".f>div{{border:{rng.choice((1, 1, 2))}px solid {style.line};padding:5px 9px {rng.randint(6, 14)}px}}"
        f".f .label{{display:block}}"
    )
    cells = "".join(
        f'<div><span class="label small">{escape(f.label)}</span>{value(f.fact)}</div>'
        for f in content.fields
    )
    sheet.page(heading(sheet, content.title), f"<div class=f>{cells}</div>", paragraph(sheet, 1, 2))


def definitions(sheet: Sheet) -> None:
    """A definition list: labels in a column beside the values, or above them."""
    rng, content = sheet.rng, topic(sheet, sheet.rng.randint(6, 10))
    if rng.random() < 0.6:
        sheet.css.append(
            f"dl{{display:grid;grid-template-columns:{rng.randint(28, 45)}% 1fr;gap:{rng.randint(4, 16)}px 10px}}dd{{margin:0}}"
        )
    else:
        sheet.css.append(f"dd{{margin:0 0 {rng.randint(6, 16)}px {rng.choice((0, 24))}px}}")
    weight = rng.choice(
        ("dt{font-weight:700}", "dd{font-weight:700}", f"dt{{color:{sheet.style.accent}}}", "")
    )
    colon = rng.choice((":", ""))
    sheet.css.append(weight)
    rows = "".join(f"<dt>{escape(f.label)}{colon}</dt><dd>{value(f.fact)}</dd>" for f in content.fields)
    sheet.page(heading(sheet, content.title), f"<dl>{rows}</dl>", paragraph(sheet, 1, 3))


def invoice(sheet: Sheet) -> None:
    """Sender and particulars at the top, a table of items, the sum at the bottom right."""
    rng, style = sheet.rng, sheet.style
    content = topic(sheet, rng.randint(6, 9), "invoice", "shipment")
    made = sheet.writer.table(rng.randint(3, 6), 3)
    firm = sheet.writer.values.draw("company")
    meta = "".join(
        f'<tr><td class="label">{escape(f.label)}</td><td class={rng.choice(("n", "l"))}>{value(f.fact)}</td></tr>'
        for f in content.fields
    )
    side = rng.choice(("row", "row-reverse", "column"))
    sheet.css.append(
        f".top{{display:flex;flex-direction:{side};justify-content:space-between;gap:24px;margin-bottom:20px}}"
        f".top td{{padding:2px 12px 2px 0}}.foot{{position:absolute;bottom:34px;left:60px;right:60px;"
        f"border-top:1px solid {style.line};padding-top:6px}}"
    )
    sheet.page(
        f'<div class=top><div><b style="font-size:1.25em">{escape(firm)}</b></div><table>{meta}</table></div>',
        heading(sheet, content.title),
        table(sheet, made),
        f'<div class="foot small label">{escape(rng.choice(sheet.writer.filler(2)))}</div>',
    )


def letter(sheet: Sheet) -> None:
    """Letterhead, a line of references, paragraphs."""
    rng, values = sheet.rng, sheet.writer.values
    content = topic(sheet, rng.randint(2, 3))
    refs = "".join(
        f'<div><div class="label small">{escape(f.label)}</div>{value(f.fact)}</div>' for f in content.fields
    )
    sheet.css.append(".refs{display:flex;gap:36px;margin:26px 0 30px}")
    sheet.page(
        f'<div style="text-align:{rng.choice(("right", "left", "center"))};color:{sheet.style.accent}">'
        f'<b style="font-size:1.3em">{escape(values.draw("company"))}</b></div>',
        f"<div class=refs>{refs}</div>",
        f"<p><b>{escape(content.title)}</b></p><p>{rng.choice(('Dear Sir or Madam,', 'Dear neighbours,', 'Hello,'))}</p>",
        paragraph(sheet, 2, 2),
        paragraph(sheet, 1, 2),
        "<p>With kind regards</p>",
    )


def table_page(sheet: Sheet) -> None:
    """A heading, a large table, a remark."""
    made = sheet.writer.table(sheet.rng.randint(5, 10), sheet.rng.randint(2, 4))
    sheet.page(heading(sheet, made.caption), table(sheet, made), paragraph(sheet, 1, 2))


def product(sheet: Sheet) -> None:
    """A drawing beside a table of data."""
    rng, style = sheet.rng, sheet.style
    content = topic(sheet, rng.randint(7, 11), "device", "vehicle", "flat")
    shapes = "".join(
        f'<circle cx="{rng.randint(30, 170)}" cy="{rng.randint(30, 130)}" r="{rng.randint(8, 40)}" fill="none" '
        f'stroke="{style.accent}" stroke-width="{rng.randint(2, 6)}"/>'
        for _ in range(rng.randint(2, 5))
    )
    rows = "".join(f"<tr><td>{escape(f.label)}</td><td>{value(f.fact)}</td></tr>" for f in content.fields)
    sheet.css.append(
        f".p{{display:flex;flex-direction:{rng.choice(('row', 'row-reverse', 'column'))};gap:26px}}.p table{{flex:1}}"
        f".p td{{padding:{rng.randint(4, 9)}px 8px;border-bottom:1px solid {style.line}}}"
        f".p tr:nth-child({rng.choice(('odd', 'even'))}){{background:{style.pale}}}"
        + (".p td:first-child{font-weight:700}" if rng.random() < 0.5 else "")
    )
    drawing = f'<svg width="200" height="160" style="background:{style.pale}">{shapes}</svg>'
    sheet.page(
        heading(sheet, content.title),
        f"<div class=p>{drawing}<table>{rows}</table></div>",
        f"<ul>{''.join(f'<li>{escape(t)}</li>' for t in sheet.writer.filler(3))}</ul>",
    )


def columns(sheet: Sheet) -> None:
    """Two columns of text with headings, as newsletters have."""
    rng, style = sheet.rng, sheet.style
    rule = rng.choice((f"1px solid {style.line}", "none"))
    sheet.css.append(
        f".c{{column-count:2;column-gap:{rng.randint(24, 40)}px;column-rule:{rule};"
        f"text-align:{rng.choice(('left', 'justify'))}}}.c h2{{break-after:avoid;margin-top:0}}"
    )
    facts = iter(sheet.writer.sentences(6))
    blocks = []
    for _ in range(3):
        said = [f"{escape(a)}{value(f)}{escape(b)}" for a, f, b in (next(facts), next(facts))]
        said += [escape(text) for text in sheet.writer.filler(3)]
        rng.shuffle(said)
        blocks.append(f"<h2>{escape(sheet.writer.heading())}</h2><p>{' '.join(said)}</p>")
    title = f"{sheet.writer.values.draw('city')} {rng.choice(('News', 'Bulletin', 'Report', 'Letter'))}"
    sheet.page(heading(sheet, title), f"<div class=c>{''.join(blocks)}</div>")


def slides(sheet: Sheet) -> None:
    """Two or three slides: points, a table or a chart."""
    rng, style = sheet.rng, sheet.style
    sheet.css.append(
        f"section{{background:{rng.choice(('#fff', style.pale))};font-size:{style.size * 1.35:.1f}px}}"
        f"h1{{font-size:{style.size * 2:.1f}px}}li{{margin-bottom:{rng.randint(8, 18)}px}}"
    )
    points = "".join(f"<li>{escape(a)}{value(f)}{escape(b)}</li>" for a, f, b in sheet.writer.sentences(4))
    sheet.page(heading(sheet, sheet.writer.heading()), f"<ul>{points}</ul>")
    if rng.random() < 0.5:
        made = sheet.writer.table(3, 2)
        sheet.page(heading(sheet, made.caption), table(sheet, made))
    else:
        sheet.page(bars(sheet, width=840, height=360))


def report(sheet: Sheet) -> None:
    """Two pages: text and a chart, then fields."""
    sheet.page(
        heading(sheet, sheet.writer.heading()),
        paragraph(sheet, 2, 3),
        bars(sheet, width=sheet.rng.randint(460, 640), height=sheet.rng.randint(220, 340)),
        paragraph(sheet, 1, 2),
    )
    content = topic(sheet, 6)
    rows = "".join(f"<p><b>{escape(f.label)}:</b> {value(f.fact)}</p>" for f in content.fields)
    sheet.page(f"<h2>{escape(content.title)}</h2>", rows)


def ticket(sheet: Sheet) -> None:
    """A narrow slip in type of one width, dots between label and value."""
    rng, content = sheet.rng, topic(sheet, sheet.rng.randint(6, 9))
    sheet.css.append(
        f".r{{display:flex;align-items:baseline;gap:8px;margin:{rng.randint(3, 9)}px 0}}"
        f".r i{{flex:1;border-bottom:2px {rng.choice(('dotted', 'dashed', 'none'))} #777}}"
    )
    rows = "".join(
        f"<div class=r><span>{escape(f.label)}</span><i></i>{value(f.fact)}</div>" for f in content.fields
    )
    sheet.page(
        f'<h1 style="text-align:center;font-size:1.3em">{escape(content.title)}</h1><hr>{rows}<hr>'
        f'<p class=small style="text-align:center">{escape(rng.choice(sheet.writer.filler(2)))}</p>'
    )


def cards(sheet: Sheet) -> None:
    """A grid of cards, one a row of a table: the label stands in every card."""
    rng, style = sheet.rng, sheet.style
    made = sheet.writer.table(rng.choice((4, 6)), 3)
    sheet.css.append(
        f".g{{display:grid;grid-template-columns:1fr 1fr;gap:18px}}.g>div{{border:1px solid {style.line};"
        f"border-radius:{rng.choice((0, 8, 14))}px;padding:12px 16px;background:{rng.choice(('#fff', style.pale))}}}"
    )
    blocks = []
    for name, row in zip(made.names, made.cells, strict=True):
        lines = "".join(
            f"<div><span class=label>{escape(head)}:</span> {value(f)}</div>"
            for head, f in zip(made.head[1:], row, strict=True)
        )
        blocks.append(f"<div><b>{escape(name)}</b>{lines}</div>")
    sheet.page(heading(sheet, made.caption), f"<div class=g>{''.join(blocks)}</div>")


#: Layouts with the page sizes that they come in. A slip has type of one width.
LAYOUTS: dict[str, tuple[Callable[[Sheet], None], tuple[tuple[int, int], ...]]] = {
    "boxed_form": (boxed_form, SMALL),
    "definitions": (definitions, SMALL),
    "invoice": (invoice, SHEETS),
    "letter": (letter, SMALL),
    "table_page": (table_page, SHEETS),
    "product": (product, SHEETS),
    "columns": (columns, SHEETS),
    "slides": (slides, SLIDE),
    "report": (report, SHEETS),
    "ticket": (ticket, SLIP),
    "cards": (cards, SHEETS),
}


def make_html(layout: str, looks: random.Random, writer: Writer) -> tuple[str, tuple[int, int]]:
    """The document as HTML and the size of its pages.

    Looks and content are drawn apart, so that look-alikes can share their looks.
    """
    draw, sizes = LAYOUTS[layout]
    sheet = Sheet(looks, writer, looks.choice(sizes), mono=sizes is SLIP)
    draw(sheet)
    return sheet.html(), sheet.size
