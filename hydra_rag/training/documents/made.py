"""Make a page: a layout, a style, a size, and the wear of print and scan."""

from __future__ import annotations

import random
from collections.abc import Callable

from hydra_rag.training.canvas import Canvas, degrade
from hydra_rag.training.documents import forms, prose
from hydra_rag.training.documents.page import MadePage, Sheet, draw_style

Layout = Callable[[Sheet], None]

#: Layouts with how often they are drawn.
LAYOUTS: dict[str, tuple[Layout, int]] = {
    "card": (forms.card, 4),
    "form": (forms.form, 4),
    "invoice": (forms.invoice, 4),
    "product": (forms.product, 2),
    "letter": (prose.letter, 2),
    "report": (prose.report, 3),
    "table": (prose.table_page, 4),
    "slide": (prose.slide, 2),
    "photo": (prose.photo_card, 1),
}


def make_page(
    rng: random.Random,
    width: int,
    height: int,
    *,
    size: tuple[int, int] = (14, 22),
    layout: str | None = None,
    fonts: str = "train",
    wear: float = 0.5,
) -> MadePage:
    """A page of ``width`` × ``height`` pixels with body text of ``size`` pixels per em (a range)."""
    if layout is None:
        layout = rng.choices(list(LAYOUTS), [w for _, w in LAYOUTS.values()])[0]
    tint = rng.random() < 0.15
    paper = (rng.randint(225, 255), rng.randint(225, 255), rng.randint(220, 255)) if tint else (255, 255, 255)
    canvas = Canvas(width, height, paper)
    style = draw_style(rng, rng.randint(*size), fonts)
    margin = int(min(width * rng.uniform(0.02, 0.1), 80))
    sheet = Sheet(canvas, style, rng, margin, width - margin, margin * rng.uniform(0.6, 1.2))
    LAYOUTS[layout][0](sheet)
    image = degrade(canvas.image, rng, wear)
    inside = [r for r in canvas.runs if r.top < height and r.edges[0] < width]
    lines = [r.text for r in sorted(inside, key=lambda r: (round(r.top), float(r.edges[0])))]
    return MadePage(image, canvas.words(), sheet.facts, layout, lines, sheet.labels, canvas.runs)
