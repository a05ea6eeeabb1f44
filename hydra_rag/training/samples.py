"""Samples of the language stage: one page as a shared prefix, many questions as branches.

All branches of a sample attend to the prefix and to themselves only, and count positions from the end of
the prefix, so each of them sees exactly what it would see alone; the page is computed once.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from hydra_rag.geometry import Box
from hydra_rag.lines import group_lines
from hydra_rag.nano import tokens
from hydra_rag.nano.build import CELL
from hydra_rag.prompts import NOT_FOUND_TEXT, READ_PROMPT
from hydra_rag.training.blocks import Block, Recipe, draw_block, labelled
from hydra_rag.training.canvas import Run, degrade
from hydra_rag.training.documents import MadePage, make_page
from hydra_rag.training.documents.absent import absent_question
from hydra_rag.training.documents.page import Fact
from hydra_rag.training.guides import (
    Sources,
    asked_in_image,
    asked_in_text,
    image_sources,
    merge,
    merge_asked,
    text_sources,
)
from hydra_rag.training.text_source import held_out, pseudo_word
from hydra_rag.values import Word


@dataclass(frozen=True)
class Branch:
    """``prompt``: question with the turn's end; ``answer``: ids with the end token; both int lists.
    ``sources``: where in the prefix the answer's tokens stand, or []; ``asked``: by index into the prompt,
    where the question's words stand."""

    prompt: list[int]
    answer: list[int]
    kind: str
    sources: Sources = field(default_factory=list)
    asked: dict[int, frozenset[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """``block``: the picture with the characters of its patches and cells, or ``None`` without image;
    ``rows`` × ``cols`` merged cells; ``prefix`` ids (image run included)."""

    block: Block | None
    rows: int
    cols: int
    prefix: list[int]
    branches: list[Branch]


def branch(
    question: str,
    answer: str,
    kind: str,
    sources: Sources | None = None,
    asked: dict[int, frozenset[int]] | None = None,
) -> Branch:
    prompt = tokens.encode(question) + tokens.close_user()
    ids = tokens.encode(answer)
    known = sources if sources and len(sources) == len(ids) else []
    return Branch(prompt, [*ids, tokens.END], kind, known, asked or {})


def text_lines(page: MadePage, rng: random.Random, budget: int) -> str:
    """Some lines of the page in reading order, as ``ask`` shows a text layer: mostly neighbours, so that
    a label stays with its value."""
    lines = [line.cells for line in group_lines(page.words)]
    order = list(range(len(lines)))
    if rng.random() < 0.25:
        rng.shuffle(order)
    elif lines:
        first = rng.randrange(len(lines)) if sum(len(x) + 1 for x in lines) > budget else 0
        order = order[first:] + order[:first][::-1]
    kept: list[int] = []
    left = budget
    for i in order:
        if len(lines[i]) + 1 <= left:
            kept.append(i)
            left -= len(lines[i]) + 1
    return "\n".join(lines[i] for i in sorted(kept))


def page_branches(
    page: MadePage,
    rng: random.Random,
    count: int,
    *,
    shown: str | None,
    absent: float = 0.1,
    locate: Callable[[Fact], Sources] = lambda fact: [],
    find: Callable[[str], dict[int, frozenset[int]]] = lambda question: {},
) -> list[Branch]:
    """Questions about a page. ``shown``: only facts that stand in this text (no image), or ``None``.
    ``locate``: where the answer of a fact stands in the prefix; ``find``: where a question's words stand."""
    facts = [f for f in page.facts if not held_out(f.answer)]
    if shown is not None:
        facts = [f for f in facts if f.answer in shown]
    rng.shuffle(facts)
    out = []
    for fact in facts[:count]:
        question = typed_question(rng, rng.choice(fact.questions), page)
        out.append(branch(question, fact.answer, fact.kind, locate(fact), find(question)))
    for _ in range(max(1, round(count * absent))):
        if rng.random() < 0.8 and (missing := absent_question(rng, page)):
            question = typed_question(rng, missing, page)
            out.append(branch(question, NOT_FOUND_TEXT, "absent", asked=find(question)))
    return out


_HOLDERS = """applicant customer company patient employee product device project order invoice letter report
form client
member student supplier machine parcel contract event meeting person kettle pump printer vehicle house
team""".split()
_PLACES = """invoice letter report form page document table slide sheet contract receipt manual leaflet
certificate""".split()


def typed_question(rng: random.Random, question: str, page: MadePage) -> str:
    """A question as people type it: with the thing it is about, with a frame, in any case."""
    r = rng.random()
    if question.startswith("What is the ") and question.endswith("?") and r < 0.30:
        noun = question[len("What is the ") : -1]
        if r < 0.10:
            question = f"What is the {rng.choice(_HOLDERS)}'s {noun}?"
        elif r < 0.24:
            question = f"What is the {noun} {rng.choice(('of', 'of', 'for'))} {_entity(rng, page)}?"
        else:
            question = f"What is the {noun} {rng.choice(('on', 'in', 'of'))} the {rng.choice(_PLACES)}?"
    elif question.endswith("?") and r < 0.14:
        question = f"{question[:-1]} {rng.choice(('of', 'of', 'for', 'from', 'in'))} {_entity(rng, page)}?"
    elif question.endswith("?") and r < 0.36:
        question = f"{question[:-1]} {rng.choice(('in', 'on', 'according to'))} the {rng.choice(_PLACES)}?"
    elif r < 0.40:
        question = rng.choice(
            ("Please tell me: {}", "Can you tell me: {}", "I would like to know: {}")
        ).format(question)
    r = rng.random()
    if r < 0.08:
        return question.lower()
    if r < 0.14:
        return question.rstrip("?.")
    return question


def _entity(rng: random.Random, page: MadePage) -> str:
    titles = [f.answer for f in page.facts if f.kind == "title"]
    if titles and rng.random() < 0.5:
        return titles[0]
    if rng.random() < 0.5:
        return f"the {rng.choice(_HOLDERS)}"
    return rng.choice(
        (
            f"the {pseudo_word(rng).capitalize()} {rng.randint(2, 900)}",
            f"{pseudo_word(rng).capitalize()} {rng.choice(_HOLDERS)}",
            f"Project {pseudo_word(rng).capitalize()}",
        )
    )


def read_sample(rng: random.Random, width: float, shape: tuple[int, int], *, whole: bool = False) -> Sample:
    """A block of text with the one task to read it, top to bottom. ``whole``: no line is cut off."""
    canvas = draw_block(rng, Recipe(width, shape, whole))
    image = degrade(canvas.image, rng, width)
    inside = [r for r in canvas.runs if r.top >= -2 and r.bottom <= shape[0] + 3]
    rows: dict[int, list[tuple[float, str, Run]]] = {}
    for run in inside:
        centres = (run.edges[:-1] + run.edges[1:]) / 2
        text = "".join(ch for ch, c in zip(run.text, centres, strict=True) if 0 <= c < shape[1]).strip()
        if text:
            rows.setdefault(round(run.top), []).append((float(run.edges[0]), text, run))
    ordered = [sorted(rows[y], key=lambda r: r[:2]) for y in sorted(rows)]
    answer = "\n".join(" ".join(text for _, text, _ in row) for row in ordered)
    sample_rows, cols = shape[0] // CELL, shape[1] // CELL
    prefix = tokens.open_user() + tokens.image_run(sample_rows * cols)
    letters = [
        Word(ch, Box(int(run.edges[i]), int(run.top), int(run.edges[i + 1]), int(run.bottom)))
        for row in ordered
        for _, _, run in row
        for i, ch in enumerate(run.text)
        if not ch.isspace() and 0 <= (run.edges[i] + run.edges[i + 1]) / 2 < shape[1]
    ]
    start = prefix.index(tokens.SPECIAL["<|image_pad|>"])
    sources = image_sources(answer, letters, None, sample_rows, cols, start)
    return Sample(
        labelled(np.asarray(image, np.uint8), canvas.runs),
        sample_rows,
        cols,
        prefix,
        [branch(READ_PROMPT, answer, "read", sources)],
    )


def page_sample(
    rng: random.Random,
    cells: tuple[int, int],
    *,
    size: tuple[int, int],
    questions: int,
    mode: str,
    wear: float,
    layout: str | None = None,
    budget: int | None = None,
) -> Sample:
    """A page of ``cells`` (rows, cols) with questions; ``mode``: "image", "text" or "both"; ``budget``:
    characters of its text that are shown (random by default)."""
    rows, cols = cells
    page = make_page(rng, cols * CELL, rows * CELL, size=size, wear=wear, layout=layout)
    text = text_lines(page, rng, budget or rng.choice((150, 200, 300, 600))) if mode != "image" else ""
    prefix = tokens.open_user()
    image_at = len(prefix) + tokens.image_run(1).index(tokens.SPECIAL["<|image_pad|>"])
    if mode != "text":
        prefix += tokens.image_run(rows * cols)
    text_at = len(prefix) + len("Text: ")
    if text:
        prefix += tokens.encode(f"Text: {text}\n")
    words = [word for line in group_lines(page.words) for word in line.words]

    def locate(fact: Fact) -> Sources:
        seen = image_sources(fact.answer, words, fact.boxes, rows, cols, image_at) if mode != "text" else []
        return merge(seen, text_sources(fact.answer, text, text_at))

    def find(question: str) -> dict[int, frozenset[int]]:
        seen = asked_in_image(question, words, rows, cols, image_at) if mode != "text" else {}
        return merge_asked(seen, asked_in_text(question, text, text_at))

    # Beside an image, too, the lines that are shown are mostly the ones that answer, as `ask` chooses them.
    only = text if mode == "text" or (text and rng.random() < 0.6) else None
    branches = page_branches(page, rng, questions, shown=only, locate=locate, find=find)
    if mode == "image" and rows * cols <= 120 and rng.random() < 0.4:
        lines = "\n".join(line.text for line in group_lines(page.words))
        if len(lines) <= 260:
            sources = image_sources(lines, words, None, rows, cols, image_at)
            branches.append(branch(READ_PROMPT, lines, "read", sources))
    if mode == "text":
        return Sample(None, 0, 0, prefix, branches)
    return Sample(labelled(np.asarray(page.image, np.uint8), page.runs), rows, cols, prefix, branches)
