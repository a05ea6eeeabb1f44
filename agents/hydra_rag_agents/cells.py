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
from hydra_rag_agents.text_context import content_tokens, said

__all__ = ["CAPTION", "Cell", "page_rows"]

#: In line heights: what parts the cells of a row.
_GAP = 1.5
#: Cells of so many words are prose.
_PROSE = 6
#: A figure's parts are no words of the query; a caption is no value.
_FRACTION = re.compile(r"\d+(?:[.,]\d+)+")
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
        return sum(any(c.isalpha() for c in word.text) for word in self.words) >= _PROSE

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
    for number, line in enumerate(group_lines(words)):
        yield [
            _cell(part, number, asked)
            for column in _columns(line)
            for cell in group_lines(column, max_gap=_GAP)
            for part in _sentences(cell.words)
        ]


def _columns(line: Line) -> Iterator[tuple[Word, ...]]:
    edges = [0, *sorted(line.breaks), len(line.words)]
    return (line.words[start:end] for start, end in pairwise(edges))


def _sentences(words: tuple[Word, ...]) -> Iterator[tuple[Word, ...]]:
    start = 0
    for end, word in enumerate(words, start=1):
        ends = len(words) >= _PROSE and word.text[-1:] in ".!?" and len(word.text) > 3
        if ends or end == len(words):
            yield words[start:end]
            start = end


def _cell(words: tuple[Word, ...], row: int, asked: set[str]) -> Cell:
    text = " ".join(word.text for word in words)
    told = frozenset(said(asked, content_tokens(_FRACTION.sub("", text))))
    only = bool(CAPTION.match(text)) or all(said({token}, asked) for token in content_tokens(text))
    return Cell(words, row, told, bool(told) and only)
