"""A map of where the model looks, held against the words of the page.

A small model's attention finds the region of an answer and hardly the line. Where the words of a page are
known (its text layer, or what the model read of it), the layout says how likely each of them begins an answer
(:mod:`hydra_rag_agents.priors`); the map is its product with the attention, as independent witnesses combine.
Where the model has scored the page's spans as answers (:mod:`hydra_rag_agents.spans`), these say best of all
where the answer would be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hydra_rag.geometry import Box, Grid
from hydra_rag.lines import group_lines
from hydra_rag.metrics import similarity
from hydra_rag.saliency.maps import SaliencyMap
from hydra_rag.values import FloatArray, Word
from hydra_rag_agents.matching import squeeze
from hydra_rag_agents.priors import line_priors
from hydra_rag_agents.text_context import content_tokens, said, tidied

__all__ = ["guessed_places", "likened", "with_answers", "with_words", "word_strengths"]

#: Exponent of the attention, chosen on pages of other programs than ours.
ATTENTION = 0.25
#: Places that are kept of a guess.
_PLACES = 24
#: Letters that a word has at least, and its similarity to the word that it is taken for.
_GUESSED, _ALIKE = 4, 0.6
#: Weight of where the answer would be read, against the peak of the rest.
ANSWERS = 8.0
#: Attention of the cells where there is least of it, as a share of its peak.
_LEAST = 1e-3


def likened(words: Sequence[Word], question: str) -> list[Word]:
    """``words`` with those that look like a word of the question spelled as it: what small print was misread
    from, at a guess. Words of the question that the page says already are left alone."""
    asked = set(content_tokens(question))
    asked -= said(asked, (token for word in words for token in content_tokens(word.text)))
    wanted = [token for token in asked if len(token) >= _GUESSED]
    return [Word(_likest(word.text, wanted), word.box) for word in words]


def _likest(text: str, wanted: Sequence[str]) -> str:
    plain = squeeze(text)
    if len(plain) < _GUESSED:
        return text
    alike = max(((similarity(plain, token), token) for token in wanted), default=(0.0, ""))
    return alike[1] + (":" if text.endswith(":") else "") if alike[0] >= _ALIKE else text


def with_words(
    found: SaliencyMap, words: Sequence[Word], question: str, width: int, height: int
) -> SaliencyMap:
    """``found`` times how likely the answer begins at the words of each cell. ``words``: boxes in pixels of
    the image of ``width`` × ``height``. Unchanged where no word speaks for an answer."""
    likely = word_strengths(found.grid, words, question, width, height)
    if not likely.any():
        return found
    attention = np.maximum(found.values / found.values.max(), _LEAST) ** ATTENTION
    return SaliencyMap.of(found.grid, likely * attention, f"{found.method}+words")


def with_answers(
    found: SaliencyMap, places: Sequence[tuple[Box, float]], width: int, height: int
) -> SaliencyMap:
    """``found`` with where the answer would be read: ``places`` are boxes of words in pixels of the image of
    ``width`` × ``height``, and how likely each is a part of it (0 to 1). They outweigh what ``found`` says of
    other places. Unchanged where there are none."""
    plane = _Plane(found.grid, width, height)
    for box, weight in places:
        plane.raise_to(box, weight)
    if not plane.values.any():
        return found
    both = found.values / found.values.max() + ANSWERS * plane.values.reshape(-1)
    return SaliencyMap.of(found.grid, both, f"{found.method}+answers")


def word_strengths(grid: Grid, words: Sequence[Word], question: str, width: int, height: int) -> FloatArray:
    """float32 [cells]: the strongest support of a word in each cell, less where it covers another more."""
    plane = _Plane(grid, width, height)
    for box, support in _supports(words, question):
        plane.raise_to(box, support)
    return plane.values.reshape(-1)


def guessed_places(words: Sequence[Word], question: str) -> tuple[Box, ...]:
    """The words where the layout expects the answer, if ``words`` were read badly; the likeliest first."""
    found = sorted(_supports(likened(words, question), question), key=lambda place: -place[1])[:_PLACES]
    return tuple(box for box, support in found if support > 0.0)


def _supports(words: Sequence[Word], question: str) -> Iterator[tuple[Box, float]]:
    """How much the layout supports an answer that begins with each word."""
    lines = group_lines(tidied(words))
    for line, priors in zip(lines, line_priors(lines, lines, question), strict=True):
        pieces = iter(priors)
        for word in line.words:
            yield word.box, max((next(pieces).supports for _ in word.text.split()), default=0.0)


class _Plane:
    """Cells of an image, float32 [rows, cols], that boxes raise."""

    def __init__(self, grid: Grid, width: int, height: int) -> None:
        self.values = np.zeros((grid.rows, grid.cols), np.float32)
        self._size, self._across, self._down = (width, height), width / grid.cols, height / grid.rows

    def raise_to(self, box: Box, strength: float) -> None:
        """The cell that the box covers most to ``strength``, the others by their share of that, unless they
        are higher. So a short word of small print counts as much as a heading."""
        box = box.clip(*self._size)
        rows, high = _overlaps(box.top, box.bottom, self._down)
        cols, wide = _overlaps(box.left, box.right, self._across)
        part, covered = self.values[rows, cols], np.outer(high, wide)
        if (most := covered.max(initial=0.0)) > 0.0:
            np.maximum(part, strength * covered / most, out=part)


def _overlaps(start: int, end: int, step: float) -> tuple[slice, FloatArray]:
    """The cells of ``step`` pixels that a half-open range meets, and the share of each that it covers."""
    first, last = int(start / step), int((end - 1) / step)
    edges = np.arange(first, last + 2) * step
    covered = np.minimum(edges[1:], end) - np.maximum(edges[:-1], start)
    return slice(first, last + 1), (np.maximum(covered, 0) / step).astype(np.float32)
