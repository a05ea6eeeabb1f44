"""Samples as ``ask`` puts a page's text: a few lines of a full page, chosen for the question.

The lines that share words with a question are the ones among which its answer is easily mistaken, so they
teach more than neighbours do. Letters may be misread, as they are where a page's text was read from pixels.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import log

from hydra_rag.geometry import Box
from hydra_rag.lines import Line, group_lines
from hydra_rag.nano import tokens
from hydra_rag.nano.build import CELL
from hydra_rag.prompts import NOT_FOUND_TEXT
from hydra_rag.training.documents import MadePage, make_page
from hydra_rag.training.documents.absent import absent_question
from hydra_rag.training.documents.page import Fact
from hydra_rag.training.guides import asked_in_text, asked_words, text_sources
from hydra_rag.training.samples import Branch, Sample, branch, typed_question
from hydra_rag.training.text_source import held_out
from hydra_rag.values import Word

__all__ = ["best_lines", "chosen_samples"]

#: What a line is worth to its neighbours: the one below, the one above.
_BELOW, _ABOVE = 0.45, 0.2
#: Weight of chance, and of lines that are to be shown.
_CHANCE, _KEPT = 0.3, 1000.0
#: Share of the pages that are misread, and of their letters.
_MISREAD, _WRONG = 0.25, 0.012
#: Letters and what each is taken for.
_LOOK_ALIKE = str.maketrans("1lIOo0S5B8Z2cevuhntrG6ij.,", "lIlo0O5S8B2Zecuvnhrt6Gji,.")


def best_lines(
    lines: Sequence[Line], question: str, budget: int, rng: random.Random, keep: Sequence[Box] = ()
) -> list[Line]:
    """The lines that share most with ``question``, weighted by rarity, in reading order, at most ``budget``
    characters. Lines that touch a box of ``keep`` are among them whatever they say."""
    words = {word[:5] for _, word in asked_words(question)}
    hits = [{w for w in words if any(t.casefold().startswith(w) for t in x.text.split())} for x in lines]
    common = Counter(w for found in hits for w in found)
    own = [sum(log(1 + len(lines) / common[w]) for w in sorted(found)) for found in hits]
    weights = [
        value
        + _BELOW * (own[i - 1] if i else 0.0)
        + _ABOVE * (own[i + 1] if i + 1 < len(own) else 0.0)
        + _CHANCE * rng.random()
        + (_KEPT if touches(line, keep) else 0.0)
        for i, (value, line) in enumerate(zip(own, lines, strict=True))
    ]
    chosen: list[int] = []
    for i in sorted(range(len(lines)), key=lambda i: -weights[i]):
        if len(lines[i].text) + 1 <= budget:
            chosen.append(i)
            budget -= len(lines[i].text) + 1
    return [lines[i] for i in sorted(chosen)]


def touches(line: Line, boxes: Sequence[Box]) -> bool:
    """Whether a word of ``line`` stands in one of ``boxes``."""
    return any(
        box.contains((word.box.left + word.box.right) / 2, (word.box.top + word.box.bottom) / 2)
        for box in boxes
        for word in line.words
    )


def misread(word: Word, rng: random.Random) -> Word:
    """The word with some letters taken for others of their look."""
    letters = [ch.translate(_LOOK_ALIKE) if rng.random() < _WRONG else ch for ch in word.text]
    return replace(word, text="".join(letters))


def chosen_samples(
    rng: random.Random, cells: tuple[int, int], *, prefixes: int, layout: str | None = None
) -> list[Sample]:
    """At most ``prefixes`` samples of one page of ``cells`` (rows, cols): each shows the lines for one of its
    questions; other questions about these lines, and one that they do not answer, are branches too."""
    page = make_page(rng, cells[1] * CELL, cells[0] * CELL, size=(14, 20), wear=0.0, layout=layout)
    if rng.random() < _MISREAD:
        page = replace(page, words=[misread(word, rng) for word in page.words])
    lines = group_lines(page.words)
    facts = [f for f in page.facts if not held_out(f.answer)]
    rng.shuffle(facts)
    return [found for fact in facts[:prefixes] if (found := _sample(rng, page, lines, facts, fact))]


def _sample(
    rng: random.Random, page: MadePage, lines: Sequence[Line], facts: Sequence[Fact], fact: Fact
) -> Sample | None:
    question = typed_question(rng, rng.choice(fact.questions), page)
    missing = absent_question(rng, page) if rng.random() < 0.6 else None
    leading = missing if missing and rng.random() < 0.35 else question
    budget = rng.choice((180, 240, 300, 300, 360))
    chosen = best_lines(lines, leading, budget, rng, fact.boxes if leading is question else ())
    text = "\n".join(line.cells for line in chosen)
    prefix = [*tokens.open_user(), *tokens.encode(f"Text: {text}\n")]
    start = len(tokens.open_user()) + len("Text: ")
    shown = [f for f in facts if f.answer in text and any(touches(line, f.boxes) for line in chosen)]
    asked = [(question, fact)] if fact in shown else []
    others = [f for f in shown if f is not fact]
    asked += [
        (typed_question(rng, rng.choice(f.questions), page), f)
        for f in rng.sample(others, min(2, len(others)))
    ]
    branches: list[Branch] = [
        branch(q, f.answer, f.kind, text_sources(f.answer, text, start), asked_in_text(q, text, start))
        for q, f in asked
    ]
    if missing:
        typed = typed_question(rng, missing, page)
        branches.append(branch(typed, NOT_FOUND_TEXT, "absent", asked=asked_in_text(typed, text, start)))
    return Sample(None, 0, 0, prefix, branches) if branches and text else None
