"""From HTML in a browser to a document with boxes in pixels, checked against the text of the PDF."""

from __future__ import annotations

import random

import pypdfium2

from benchmarks.other_programs.browser import Browser, Place, Printed
from benchmarks.other_programs.content import Writer
from benchmarks.other_programs.folder import Made, unique_facts
from benchmarks.other_programs.pages_html import make_html
from hydra_rag.errors import HydraError
from hydra_rag.geometry import Box
from hydra_rag.values import Word


def print_html(
    browser: Browser, name: str, layout: str, looks: random.Random, writer: Writer, dpi: int
) -> Made | None:
    """One document; ``None`` where its content does not fit on its pages."""
    seen = browser.print(*make_html(layout, looks, writer))
    if seen.overfull:
        return None
    _check(seen, {fact.key: fact.answer for fact in writer.facts})
    scale = dpi / 96
    words: list[list[Word]] = [[] for _ in range(seen.pages)]
    for text, place in seen.words:
        words[int(place[0])].append(Word(text, _box(place, scale)))
    facts = [
        (fact, int(seen.facts[fact.key][0][0]), [_box(place, scale) for place in seen.facts[fact.key]])
        for fact in writer.facts
        if seen.facts.get(fact.key)
    ]
    return Made(name, layout, seen.pdf, dpi, words, unique_facts(facts), writer.absent, writer.title)


def _box(place: Place, scale: float) -> Box:
    _, left, top, right, bottom = place
    return Box(int(left * scale), int(top * scale), -int(-right * scale // 1), -int(-bottom * scale // 1))


def _check(seen: Printed, answers: dict[str, str]) -> None:
    """The text layer of the PDF must say at every box what the truth says."""
    document = pypdfium2.PdfDocument(seen.pdf)
    try:
        if len(document) != seen.pages:
            raise HydraError(f"The browser printed {len(document)} pages where {seen.pages} were laid out.")
        layers = [page.get_textpage() for page in document]
        tall = [page.get_height() for page in document]
        for key, places in seen.facts.items():
            found = ""
            for page, left, top, right, bottom in places:
                height = tall[int(page)]
                found += layers[int(page)].get_text_bounded(
                    left * 0.75 - 1, height - bottom * 0.75 - 1, right * 0.75 + 1, height - top * 0.75 + 1
                )
            found = found.replace("\x02", "-")  # how PDFium tells a hyphen at the end of a line
            if "".join(answers[key].split()) not in "".join(found.split()):
                raise HydraError(f"The PDF says {found!r} where {answers[key]!r} was laid out.")
    finally:
        document.close()
