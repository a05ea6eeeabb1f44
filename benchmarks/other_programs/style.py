"""A random style sheet: fonts of the system, colours, sizes, spacing."""

from __future__ import annotations

import random
from dataclasses import dataclass

SANS = "Liberation Sans|DejaVu Sans|Carlito|Open Sans|Roboto|Lato|Noto Sans|Cantarell|FreeSans|Liberation Sans Narrow"
SERIF = "Liberation Serif|DejaVu Serif|Caladea|Linux Libertine O|FreeSerif|EB Garamond|Nimbus Roman|P052"
MONO = "Liberation Mono|DejaVu Sans Mono|Hack|Inconsolata|FreeMono"


@dataclass(frozen=True)
class Style:
    """Lengths are in CSS pixels (1/96 inch). ``size``: body text."""

    font: str
    title_font: str
    size: float
    ink: str
    accent: str
    pale: str
    muted: str
    line: str
    gap: int


def draw_style(rng: random.Random, *, mono: bool = False) -> Style:
    """Body text of 10.5 to 13.5 points: readable when an A4 page is shown 900 pixels wide."""
    hue = rng.randint(0, 359)
    families = MONO if mono else SANS if rng.random() < 0.65 else SERIF
    font = rng.choice(families.split("|"))
    return Style(
        font=font,
        title_font=font if rng.random() < 0.7 else rng.choice(f"{SANS}|{SERIF}".split("|")),
        size=round(rng.uniform(14, 18), 1),
        ink=rng.choice(("#000", "#111", "#222", "#1d2733", "#2b2320")),
        accent=f"hsl({hue} {rng.randint(35, 85)}% {rng.randint(20, 38)}%)",
        pale=f"hsl({hue} {rng.randint(15, 60)}% {rng.randint(91, 96)}%)",
        muted=rng.choice(("#444", "#555", "#4a5560", "#000")),
        line=rng.choice(("#000", "#888", "#bbb", "#ccd3da")),
        gap=rng.randint(4, 14),
    )


def base_css(style: Style, width: int, height: int, padding: int) -> str:
    """What all layouts share. Every ``section`` is one page of exactly this size."""
    return f"""
@page {{ size: {width}px {height}px; margin: 0 }}
* {{ box-sizing: border-box }}
html, body {{ margin: 0; padding: 0; -webkit-print-color-adjust: exact; print-color-adjust: exact }}
body {{ font: {style.size}px/1.35 "{style.font}", sans-serif; color: {style.ink}; width: {width}px }}
section {{ width: {width}px; height: {height}px; padding: {padding}px; overflow: hidden; break-after: page;
  position: relative }}
section:last-of-type {{ break-after: auto }}
h1 {{ font: 700 {style.size * 1.7:.1f}px/1.2 "{style.title_font}", sans-serif; margin: 0 0 {style.gap * 2}px }}
h2 {{ font: 700 {style.size * 1.2:.1f}px/1.25 "{style.title_font}", sans-serif; margin: {style.gap * 2}px 0 {style.gap}px;
  color: {style.accent} }}
p {{ margin: 0 0 {style.gap + 4}px }}
table {{ border-collapse: collapse; margin: {style.gap}px 0 {style.gap * 2}px }}
.label {{ color: {style.muted} }}
.small {{ font-size: {max(12.5, style.size * 0.82):.1f}px }}
.n {{ text-align: right }}
"""
