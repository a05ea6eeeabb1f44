"""Pages with queries for the retrieval adapter: look-alikes by construction, queries of several kinds.

A batch shares layouts and labels, so that its pages differ in values (hard negatives). Queries: a field
with its
value, a question for something only one page has, a phrase from the page, a crop, a crop with words.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image

from hydra_rag.geometry import Box
from hydra_rag.lines import group_lines
from hydra_rag.nano.build import CELL
from hydra_rag.training.canvas import degrade
from hydra_rag.training.documents import LAYOUTS, MadePage, make_page
from hydra_rag.training.guides import Sources, image_sources
from hydra_rag.values import QueryItem, Word


@dataclass(frozen=True)
class Alignment:
    """``cells[k]``: the cells of page ``page`` that show character ``start + k`` of text query ``query``.
    For models whose tokens are characters and whose cells are those of the page maker."""

    query: int
    page: int
    start: int
    cells: Sources


@dataclass(frozen=True)
class RetrievalBatch:
    """``relevant[i]``: indices into ``pages`` of every page that answers ``queries[i]``. A page may be the
    file of a picture: it is opened when it is first needed. ``aligned``: which cells of a page show what a
    query says, where that is known."""

    pages: Sequence[Image.Image | Path]
    queries: list[QueryItem]
    relevant: list[list[int]]
    aligned: list[Alignment] = field(default_factory=list)


def draw_batch(
    rng: random.Random,
    *,
    pages: int,
    cells: tuple[int, int],
    queries_per_page: int = 2,
    size: tuple[int, int] = (13, 20),
    image_share: float = 0.15,
    fonts: str = "train",
) -> RetrievalBatch:
    """New pages with queries."""
    made = draw_pages(rng, pages=pages, cells=cells, size=size, fonts=fonts)
    return ask_pages(rng, made, cells, queries_per_page=queries_per_page, image_share=image_share)


def draw_pages(
    rng: random.Random,
    *,
    pages: int,
    cells: tuple[int, int],
    size: tuple[int, int] = (13, 20),
    fonts: str = "train",
) -> list[MadePage]:
    """Pages of one to three layouts, ``cells`` (rows, cols) large."""
    kinds = rng.sample(list(LAYOUTS), rng.choice((1, 2, 3)))
    return [
        make_page(
            rng,
            cells[1] * CELL,
            cells[0] * CELL,
            size=size,
            layout=rng.choice(kinds),
            fonts=fonts,
            wear=rng.choice((0.0, 0.5, 1.0)),
        )
        for _ in range(pages)
    ]


def ask_pages(
    rng: random.Random,
    made: list[MadePage],
    cells: tuple[int, int],
    *,
    queries_per_page: int = 2,
    image_share: float = 0.15,
) -> RetrievalBatch:
    """Fresh queries for these pages: the same pages can be asked many times."""
    texts = [" ".join(line.text for line in group_lines(p.words)).casefold() for p in made]
    asked = [{q.casefold() for f in p.facts for q in f.questions} for p in made]
    queries: list[QueryItem] = []
    relevant: list[list[int]] = []
    aligned: list[Alignment] = []
    for i, page in enumerate(made):
        for _ in range(queries_per_page):
            if rng.random() < image_share and page.facts:
                queries.append(_image_query(rng, page))
                relevant.append([i])
                continue
            found = _text_query(rng, page, i, texts, asked)
            if found:
                if found.shown and found.text.count(found.shown) == 1:
                    places = image_sources(found.shown, found.words, found.boxes, cells[0], cells[1], 0)
                    aligned.append(Alignment(len(queries), i, found.text.index(found.shown), places))
                queries.append(found.text)
                relevant.append(found.relevant)
    return RetrievalBatch([p.image for p in made], queries, relevant, aligned)


@dataclass(frozen=True)
class _Query:
    """``shown``: the part of ``text`` that ``words`` in ``boxes`` spell ("": none)."""

    text: str
    relevant: list[int]
    shown: str = ""
    words: Sequence[Word] = ()
    boxes: Sequence[Box] | None = None


def _text_query(
    rng: random.Random, page: MadePage, index: int, texts: list[str], asked: list[set[str]]
) -> _Query | None:
    for _ in range(6):
        r = rng.random()
        if r < 0.5 and page.facts:
            fact = rng.choice(page.facts)
            question = rng.choice(fact.questions)
            same = [i for i, a in enumerate(asked) if question.casefold() in a]
            noun = question.rstrip("?.").removeprefix("What is the ").removeprefix("Who is the ")
            if len(same) == 1 and rng.random() < 0.3:
                return _Query(question, same)
            has = [i for i, t in enumerate(texts) if fact.answer.casefold() in t]
            style = rng.random()
            text = (
                f"{noun} {fact.answer}"
                if style < 0.5
                else f"{fact.answer} {noun}"
                if style < 0.7
                else f"Which page has {noun} {fact.answer}?"
            )
            if len(fact.answer) >= 3:
                return _Query(text, has or [index], fact.answer, _in_order(page), fact.boxes)
        elif r < 0.85 and page.words:
            lines = [line for line in group_lines(page.words) if len(line.words) >= 1]
            words = rng.choice(lines).words
            start = rng.randrange(len(words))
            phrase = " ".join(w.text for w in words[start : start + rng.randint(1, 4)])
            has = [i for i, t in enumerate(texts) if phrase.casefold() in t]
            if len(phrase) >= 4 and len(has) <= max(1, len(texts) // 8):
                text = phrase if rng.random() < 0.7 else phrase.lower()
                chosen = words[start : start + phrase.count(" ") + 1]
                return _Query(text, has or [index], text, [replace(w, text=w.text.lower()) for w in chosen])
        elif len(page.facts) >= 2:
            a, b = rng.sample(page.facts, 2)
            noun = rng.choice(b.questions)
            has = [i for i, t in enumerate(texts) if a.answer.casefold() in t]
            return _Query(f"{noun} {a.answer}", has or [index], a.answer, _in_order(page), a.boxes)
    return None


def _in_order(page: MadePage) -> list[Word]:
    return [word for line in group_lines(page.words) for word in line.words]


def _image_query(rng: random.Random, page: MadePage) -> QueryItem:
    """A crop round a fact, as a photo of it would look; sometimes with the question."""
    fact = rng.choice(page.facts)
    box = fact.boxes[0]
    around = Box(*box).pad(rng.randint(20, 140), rng.randint(8, 60)).clip(*page.image.size)
    crop = degrade(page.image.crop(around), rng, 0.7)
    if rng.random() < 0.4:
        return {"text": rng.choice(fact.questions), "image": crop}
    return crop
