"""Parts of HTML pages: the sheet that is written on, paragraphs, tables, charts, headings.

A value is marked ``<span data-fact="...">``: the browser itself says afterwards where it printed it.
"""

from __future__ import annotations

import random
from html import escape

from benchmarks.other_programs.content import Content, Fact, Table, Writer, topic_names
from benchmarks.other_programs.style import Style, base_css, draw_style


class Sheet:
    """One HTML document being written. ``rng`` draws the looks, ``writer`` the content."""

    def __init__(self, rng: random.Random, writer: Writer, size: tuple[int, int], *, mono: bool) -> None:
        self.rng, self.writer, self.size = rng, writer, size
        self.style: Style = draw_style(rng, mono=mono)
        self.css: list[str] = []
        self.pages: list[str] = []
        self._padding = rng.randint(size[0] // 22, size[0] // 10)

    def page(self, *parts: str) -> None:
        self.pages.append("".join(parts))

    def html(self) -> str:
        css = base_css(self.style, *self.size, self._padding) + "\n".join(self.css)
        body = "".join(f"<section>{page}</section>" for page in self.pages)
        return f'<!doctype html><html lang="en"><meta charset="utf-8"><style>{css}</style><body>{body}</body></html>'


def value(fact: Fact) -> str:
    return f'<span data-fact="{fact.key}">{escape(fact.answer)}</span>'


def paragraph(sheet: Sheet, facts: int, filler: int) -> str:
    """Sentences with facts among sentences that say nothing."""
    said = [f"{escape(a)}{value(f)}{escape(b)}" for a, f, b in sheet.writer.sentences(facts)]
    said += [escape(text) for text in sheet.writer.filler(filler)]
    sheet.rng.shuffle(said)
    return f"<p>{' '.join(said)}</p>"


def table(sheet: Sheet, made: Table, *, wide: bool = True) -> str:
    """Borders, zebra, rules or nothing; a head that is filled or not."""
    rng, style = sheet.rng, sheet.style
    look = rng.choice(("grid", "zebra", "rules", "bare"))
    name = f"t{len(sheet.css)}"
    border = {"grid": f"1px solid {style.line}", "rules": "none", "zebra": "none", "bare": "none"}[look]
    head = rng.choice(
        (
            f"background:{style.accent};color:#fff",
            f"background:{style.pale}",
            f"border-bottom:2px solid {style.ink}",
        )
    )
    sheet.css.append(
        f".{name} td,.{name} th{{border:{border};padding:{rng.randint(3, 9)}px {rng.randint(6, 14)}px;text-align:left;"
        f"vertical-align:top}}.{name} th{{{head}}}"
        + (f".{name} tr:nth-child(even) td{{background:{style.pale}}}" if look == "zebra" else "")
        + (f".{name} td{{border-bottom:1px solid {style.line}}}" if look == "rules" else "")
        + (f".{name}{{width:100%}}" if wide else "")
    )
    right = [rng.random() < 0.45 for _ in made.head]
    rows = ["<tr>" + "".join(f"<th>{escape(h)}</th>" for h in made.head) + "</tr>"]
    for row_name, row in zip(made.names, made.cells, strict=True):
        cells = "".join(
            f"<td{' class=n' if right[i] else ''}>{value(f)}</td>" for i, f in enumerate(row, start=1)
        )
        rows.append(f"<tr><td>{escape(row_name)}</td>{cells}</tr>")
    return f"<table class={name}>{''.join(rows)}</table>"


def bars(sheet: Sheet, *, width: int, height: int) -> str:
    """A bar chart as inline SVG with a number at every bar."""
    caption, made = sheet.writer.chart(sheet.rng.randint(4, 7))
    top, step = max(v for _, _, v in made), width / len(made)
    size, room = sheet.style.size, height - 3.2 * sheet.style.size
    parts = []
    for i, (label, fact, amount) in enumerate(made):
        x, tall = (i + 0.5) * step, room * amount / top
        y = height - 1.6 * size - tall
        parts.append(
            f'<rect x="{x - step * 0.3:.1f}" y="{y:.1f}" width="{step * 0.6:.1f}" height="{tall:.1f}" fill="{sheet.style.accent}"/>'
            f'<text x="{x:.1f}" y="{y - 4:.1f}" text-anchor="middle" data-fact="{fact.key}">{fact.answer}</text>'
            f'<text x="{x:.1f}" y="{height - 4:.1f}" text-anchor="middle" font-size="{size * 0.85:.1f}">{escape(label)}</text>'
        )
    return (
        f'<h2>{escape(caption)}</h2><svg width="{width}" height="{height}" font-size="{size}" '
        f'fill="{sheet.style.ink}">{"".join(parts)}</svg>'
    )


def heading(sheet: Sheet, text: str, extra: str = "") -> str:
    style = sheet.style
    looks = (
        f"color:{style.accent}",
        f"border-bottom:2px solid {style.accent};padding-bottom:6px",
        f"background:{style.accent};color:#fff;padding:10px 14px",
        "text-align:center",
        "",
    )
    return f'<h1 style="{sheet.rng.choice(looks)}">{escape(text)}{extra}</h1>'


def topic(sheet: Sheet, count: int, *names: str) -> Content:
    return sheet.writer.fields(sheet.rng.choice(names or tuple(topic_names())), count)
