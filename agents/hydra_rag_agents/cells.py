"""A page's text as rows of cells: what stands together, sentences where it is prose."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from hydra_rag.geometry import Box, union
from hydra_rag.lines import Line, group_lines
from hydra_rag.values import Word
from hydra_rag_agents.text_context import content_tokens, said, without_fractions

__all__ = ["BULLET", "CAPTION", "HEADS", "Cell", "page_rows"]

#: In line heights: what parts the cells of a row.
_GAP = 1.5
#: In line heights: how far below a row, how far from the word before, and how exactly under a cell of that
#: row a word stands with which a cell of its own begins.
_NEAR, _APART, _ALIGNED = 2.0, 0.7, 0.6
#: In line heights: what may part the heads of columns.
_HEADS_APART = 0.8
#: Cells of so many words are prose.
_PROSE = 6
#: Words of the shortest sentence.
_SENTENCE = 4
#: "Dimensions (W x H x D)" is a label.
_SIDES = frozenset("w h d l b x".split())
#: Words that begin a sentence where they follow a full stop.
_BEGINNINGS = frozenset(
    "The A An It In This These That There They We You Your Our At On As After For If".split()
)
#: Heads of columns that are made of function words alone, and what a question may say for them.
HEADS = {"what to do": ["help", "remedy", "fix", "solution", "done", "action"]}
#: What a sentence tells that it does not say: to be called is to have a telephone number.
_IMPLIED = (
    (re.compile(r"\b(?:call|reach|dial|ring)\b.* \+?\(?\d", re.IGNORECASE), "phone telephone number"),
    (re.compile(r"\b(?:write|mail|sent?|apply|contact)\b.*\w@\w", re.IGNORECASE), "email mail address"),
)
#: What begins an item of a list.
BULLET = re.compile(r"[^\w\s(\"'“$€£¥+]+ ")
CAPTION = re.compile(r"(figure|fig\.?|table|chart|diagram)\s+\d", re.IGNORECASE)


@dataclass(slots=True, eq=False)
class Cell:
    words: tuple[Word, ...]
    row: int
    told: frozenset[str]
    only: bool  # nothing but words of the query
    box: Box = field(init=False)
    text: str = field(init=False)
    height: float = field(init=False)

    def __post_init__(self) -> None:
        self.box = union(word.box for word in self.words)
        self.text = " ".join(word.text for word in self.words)
        self.height = median(word.box.height for word in self.words)

    @property
    def prose(self) -> bool:
        words = (word.text for word in self.words if word.text.strip("()").casefold() not in _SIDES)
        return sum(any(c.isalpha() for c in word) for word in words) >= _PROSE

    @property
    def sentence(self) -> bool:
        """Whether it is one, however short: "The train leaves at 9:00." holds its value itself."""
        return len(self.words) >= _SENTENCE and (self.text[-1] in ".!?" or bool(BULLET.match(self.text)))

    @property
    def figures(self) -> bool:
        return any(c.isdigit() for c in self.text)

    def over(self, other: Cell) -> bool:
        """Whether this stands above ``other``, in its column."""
        return (
            self.box.left < other.box.right
            and self.box.right > other.box.left
            and self.box.bottom - other.box.top < 0.5 * other.height
        )


def page_rows(words: Sequence[Word], asked: set[str]) -> Iterator[list[Cell]]:
    above: list[Cell] = []
    lines = [
        [cell.words for column in _columns(line) for cell in group_lines(column, max_gap=_GAP)]
        for line in group_lines(words)
    ]
    for number, line in enumerate(lines):
        below = lines[number + 1] if number + 1 < len(lines) else ()
        row = [
            _cell(part, number, asked)
            for cell in line
            for over in _over_each(cell, below)
            for under in _under_each(over, above)
            for part in _sentences(under)
        ]
        yield row
        above = row


def _under_each(words: tuple[Word, ...], above: Sequence[Cell]) -> Iterator[tuple[Word, ...]]:
    """``words`` of one cell, parted where one of them begins under a cell of the row ``above``: large values
    stand close under labels that stand apart."""
    start = 0
    near = [cell for cell in above[1:] if words[0].box.top - cell.box.bottom < _NEAR * cell.height]
    for number in range(1, len(words)):
        box, gap = words[number].box, words[number].box.left - words[number - 1].box.right
        if gap >= _APART * box.height and any(
            abs(cell.box.left - box.left) <= _ALIGNED * max(cell.height, box.height) and not cell.prose
            for cell in near
        ):
            yield words[start:number]
            start = number
    yield words[start:]


def _over_each(words: tuple[Word, ...], below: Sequence[tuple[Word, ...]]) -> Iterator[tuple[Word, ...]]:
    """``words`` of one cell, parted where the cells of the row ``below`` part: the heads of columns stand
    closer than their figures do."""
    gaps = [(a[-1].box, b[0].box) for a, b in pairwise(below)]
    start = 0
    for number in range(1, len(words)):
        one, other = words[number - 1].box, words[number].box
        space = other.left - one.right
        for left, right in gaps if space >= _HEADS_APART * other.height else ():
            through = min(other.left, right.left) - max(one.right, left.right)
            near = left.top - one.bottom < _NEAR * one.height
            if near and through >= 0.5 * space and left.left < one.right and right.right > other.left:
                yield words[start:number]
                start = number
                break
    yield words[start:]


def _columns(line: Line) -> Iterator[tuple[Word, ...]]:
    edges = [0, *sorted(line.breaks), len(line.words)]
    return (line.words[start:end] for start, end in pairwise(edges))


def _sentences(words: tuple[Word, ...]) -> Iterator[tuple[Word, ...]]:
    start = 0
    for end, word in enumerate(words, start=1):
        begins = end < len(words) and words[end].text in _BEGINNINGS  # after "Ltd.", "5 m." or "No."
        goes_on = end < len(words) and words[end].text[0].islower()  # after "S.A." or "approx."
        ends = len(words) >= _PROSE and word.text[-1:] in ".!?" and (len(word.text) > 3 or begins)
        ends = ends and not goes_on
        if ends or end == len(words):
            yield words[start:end]
            start = end


def _cell(words: tuple[Word, ...], row: int, asked: set[str]) -> Cell:
    text = " ".join(word.text for word in words)
    label, colon, value = text.partition(": ")
    parts = (label, value) if colon else (text,)
    tokens = HEADS.get(text.casefold()) or [
        t for part in parts for t in content_tokens(without_fractions(part))
    ]
    implied = [token for says, meant in _IMPLIED if says.search(text) for token in meant.split()]
    told = frozenset(said(asked, [*tokens, *implied]))
    only = bool(CAPTION.match(text)) or all(said({token}, asked) for token in content_tokens(text))
    return Cell(words, row, told, bool(told) and only)
