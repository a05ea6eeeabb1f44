"""Where a found page answers a query: the words that say so.

A page is read as rows of cells (sentences, where a cell is prose). The query's words speak for the cell that
they stand in, for the value that they label (beside or under them), for the cells of their table's row and
column, and for what stands under their heading. Words that are rare on the page count more. A cell that only
repeats the query is a label: its value is meant.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from hydra_rag.geometry import Box, union
from hydra_rag.values import Word
from hydra_rag_agents.answer_form import fits_form
from hydra_rag_agents.cells import CAPTION, Cell, page_rows
from hydra_rag_agents.extremes import extreme
from hydra_rag_agents.flowing import continued
from hydra_rag_agents.forms import LIST_GAP
from hydra_rag_agents.headline import ABOUT_PAGE, asks_headline, headline
from hydra_rag_agents.labels import has_label, value_of
from hydra_rag_agents.letterhead import asks_issuer, letterhead
from hydra_rag_agents.meanings import is_label
from hydra_rag_agents.tables import in_table
from hydra_rag_agents.text_context import content_tokens, said

__all__ = ["WordSupport", "text_places", "word_support"]

#: Text so much taller than the page's other is a heading.
_TALL = 1.3
#: What is asked for: "which department", "the weight of". It counts so much more than the rest.
_ASKED = re.compile(
    r"\b(?:which|what) (?!is|are|was|were|does|do|did|has|have)(\w+)"
    r"|\b(?:what|how \w+) (?:is|are|was|were) the (\w+(?: \w+)?) of\b",
    re.IGNORECASE,
)
_ASKED_FOR = 1.2
#: What is left of the worth of words about the page ("listed", "in the chart") where it says them too.
_ABOUT = 0.3
#: What the query's words are worth where they stand.
_LABEL, _SENTENCE, _TABLE, _HEADING, _OTHER = 1.0, 0.9, 0.9, 0.6, 0.4
#: Whatever stands in a row with a word of the query, or in the next line of a text: in line heights, from top
#: to top.
_BESIDE, _LINES = 0.01, 2.5
#: Two lines further in the same sentence.
_FURTHER = 0.6
#: What is left of the worth of a cell that says nothing but the query, is what forms print as a label, or has
#: another form than is asked for.
_ONLY_ASKED, _A_LABEL, _MISFORMED = 0.35, 0.7, 0.5
#: Places weaker than this share of the best one are not reported.
_LEAST = 0.5


def text_places(words: Sequence[Word], query: str, top: int = 3) -> list[tuple[Box, float]]:
    """At most ``top`` (box in page pixels, score 0 to 1), best first; none where the page has no word of
    the query. A place is a value with its label, where that stands near.

    The score: which share of the query's words, by their worth, speaks for the place.
    """
    if top < 1:
        return []
    options = [
        (score, -number, union([cell.box, *near]))
        for number, (cell, score, near) in enumerate(
            _scored(page_rows(words, set(content_tokens(query))), query)
        )
    ]
    options.sort(reverse=True)
    places: list[tuple[Box, float]] = []
    for score, _, box in options:
        if len(places) == top or score < _LEAST * options[0][0]:
            break
        if all(box.intersect(other).area < 0.5 * min(box.area, other.area) for other, _ in places):
            places.append((box, min(1.0, score)))
    return places


class WordSupport(NamedTuple):
    """``score``: how well a word's cell answers, 0 to 1: its share of the ``best`` cell's score in
    :func:`text_places`; 0 where not even its row has a word of the query. ``begins``: whether the word begins
    what the cell may answer (its first word, or the first after words of the query or a colon); ``ends``:
    whether it is the last of its cell; ``prose``: whether the cell is, or goes on in another line."""

    score: float
    best: float
    begins: bool
    ends: bool
    prose: bool


def word_support(words: Sequence[Word], query: str) -> dict[Word, WordSupport]:
    """What the layout says about every word on the page."""
    asked = set(content_tokens(query))
    rows = list(page_rows(words, asked))
    scores = {cell: score for cell, score, _ in _scored(rows, query)}
    best = min(1.0, max(scores.values(), default=0.0))
    found: dict[Word, WordSupport] = {}
    beside = {cell: any(_beside(cell, other) for other in near) for cell, near in _neighbours(rows)}
    flows = {cell for number in range(len(rows)) for pair in continued(rows, number) for cell in pair}
    for cell in beside:
        begins = True
        colon = max((i for i, word in enumerate(cell.words) if word.text.endswith(":")), default=-1)
        for number, word in enumerate(cell.words):
            score = min(1.0, scores.get(cell, 0.0) / best) if best else 0.0
            score = max(score, _BESIDE * beside[cell])
            last = number == len(cell.words) - 1
            prose = cell.prose or cell in flows
            found[word] = WordSupport(score, best, begins and number > colon, last, prose)
            begins = number <= colon or (begins and bool(said(asked, content_tokens(word.text))))
    return found


def _neighbours(rows: Sequence[list[Cell]]) -> Iterator[tuple[Cell, list[Cell]]]:
    """Every cell of the page, and those of its row and of the two rows around."""
    for number, row in enumerate(rows):
        near = [other for line in rows[max(0, number - 1) : number + 2] for other in line]
        yield from ((cell, near) for cell in row)


def _beside(cell: Cell, other: Cell) -> bool:
    """Whether ``other`` has a word of the query, in the row of ``cell`` or in the text around it."""
    close = abs(cell.box.top - other.box.top) < _LINES * cell.height and (cell.prose or other.prose)
    return bool(other.told) and (cell.row == other.row or close)


def _scored(rows: Iterable[list[Cell]], query: str) -> list[tuple[Cell, float, list[Box]]]:
    """Every cell that the query's words speak for, its score, the boxes of its labels nearby."""
    asked = set(content_tokens(query))
    rows = list(rows)
    seen = Counter(token for row in rows for token in frozenset().union(*(cell.told for cell in row)))
    if asks_headline(query, asked, seen):
        return [(cell, 1.0, []) for cell in headline(rows)]
    if (bar := extreme(rows, query)) is not None:
        return [(bar, 1.0, [])]
    if asks_issuer(query) and (head := letterhead(rows)):
        return [(head, 1.0, [])]
    if not seen:
        return []
    worth = {token: math.log(1 + len(rows) / (seen[token] or 0.5)) for token in asked}
    for noun in _ASKED.findall(query):
        worth |= {t: _ASKED_FOR * worth[t] for t in content_tokens("".join(noun)) if t in worth}
    worth |= {token: _ABOUT * worth[token] * (token in seen) for token in ABOUT_PAGE & asked}
    usual = median(cell.height for row in rows for cell in row)
    shares: dict[Cell, dict[str, float]] = {}
    near: dict[Cell, list[Box]] = {}
    for cell, other, share, close in _support(rows, usual, query, asked):
        known = shares.setdefault(cell, {})
        new = {token for token in other.told if known.get(token, 0.0) < share}
        known.update(dict.fromkeys(new, share))
        if close and new:
            near.setdefault(cell, []).append(other.box)
    total = math.fsum(worth.values()) or 1.0  # exact: the order of a set's words differs between processes
    scored = []
    for cell, found in shares.items():
        score = math.fsum(worth[token] * share for token, share in found.items()) / total
        score *= _ONLY_ASKED if cell.only else _A_LABEL if is_label(cell.text) else 1.0
        score *= 1.0 if fits_form(query, cell.text) else _MISFORMED
        scored.append((cell, score, near.get(cell, [])))
    return scored


def _support(
    rows: Sequence[Sequence[Cell]], usual: float, query: str, asked: set[str]
) -> Iterator[tuple[Cell, Cell, float, bool]]:
    """(cell, what speaks for it, how much it counts, whether it is part of the place)."""
    headings: list[Cell] = []
    sentences = [pair for number in range(len(rows)) for pair in continued(rows, number)]
    for before, after in sentences:  # goes on in the next line
        yield before, after, _SENTENCE, True
        yield after, before, _SENTENCE, True
    for (first, middle), (goes_on, last) in pairwise(sentences):
        if middle is goes_on:
            yield last, first, _FURTHER, False
    inside = {id(before) for before, _ in sentences}
    inside |= {id(after) for _, after in sentences if after.text[:1].islower()}
    for number, row in enumerate(rows):
        for at, cell in enumerate(row):
            if cell.told and id(cell) in inside and len(row) > 1:  # no label
                yield cell, cell, _fit(cell, asked) * _SENTENCE, False
            elif cell.told:
                value, other = value_of(rows, number, at, query)
                fit = _fit(cell, asked)
                yield cell, cell, fit * (_SENTENCE if cell.prose or value else _LABEL), False
                if value is not None:
                    yield value, cell, _LABEL * fit, True
                if other is not None:
                    yield other, cell, _OTHER, False
                for under in _listed(rows, number):
                    yield under, cell, _HEADING, False
                for beside, close in in_table(rows, number, at, query):
                    if beside.row != number or beside.told or not has_label(beside):
                        yield beside, cell, _TABLE, close
            for heading in headings:
                yield cell, heading, _HEADING, False
        tall = [c for c in row if c.height >= _TALL * usual or CAPTION.match(c.text)]
        headings += [cell for cell in tall if cell.told]


def _fit(label: Cell, asked: set[str]) -> float:
    """A label that says more than was asked (the customer's number, not the order's) is another value's."""
    own = label.text.partition(":")[0] if ":" in label.text else label.text
    tokens = [token for token in content_tokens(own) if not any(c.isdigit() for c in token)]
    share = sum(1 for token in tokens if said({token}, asked)) / len(tokens) if tokens else 1.0
    return 1.0 if label.prose else 0.6 + 0.4 * share


def _listed(rows: Sequence[Sequence[Cell]], number: int) -> Iterator[Cell]:
    """The cells of the table or list under row ``number``, where that row is its heading."""
    if len(rows[number]) > 1 or rows[number][0].prose:
        return
    bottom = rows[number][0].box.bottom
    for row in rows[number + 1 :]:
        if len(row) < 2 or row[0].box.top - bottom > LIST_GAP * row[0].height:
            return
        bottom = max(cell.box.bottom for cell in row)
        yield from row
