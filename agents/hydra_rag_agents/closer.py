"""Reading again: what a gaze reads larger takes the place of what was read of the whole page.

The words of a page without a text layer are what the model read of it when it was indexed, at the size of a
glance. Small print is misread there. A gaze draws a part of the page larger and reads that; what it reads are
the page's words from then on, for as long as the turn lasts: for the spans that may be the answer, for what
the answer is held against, and for the quote of its citation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hydra_rag.geometry import Box
from hydra_rag.lines import group_lines
from hydra_rag.values import MultiVector, QueryItem, Word
from hydra_rag_agents.ports import Library
from hydra_rag_agents.state import Candidate, PageId

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["CloserLibrary", "on_page", "replace_words"]


class CloserLibrary:
    """``library`` for one turn, with the words that were read again. Everything else is passed on."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._words: dict[PageId, tuple[Word, ...]] = {}
        self._frames: dict[PageId, tuple[Box, ...]] = {}

    def reread(self, page: PageId, frame: Box, words: Sequence[Word]) -> None:
        """``words``: what was read of ``frame``, both in page pixels."""
        self._words[page] = replace_words(self.words(page), frame, words)
        self._frames[page] = (*self._frames.get(page, ()), frame)

    def words(self, page: PageId) -> Sequence[Word]:
        return self._words[page] if page in self._words else self._library.words(page)

    def read_by_model(self, page: PageId, box: Box | None = None) -> bool:
        if box is not None and any(box.intersect(f).area == box.area for f in self._frames.get(page, ())):
            return False
        return self._library.read_by_model(page, box)

    def find(
        self, query: QueryItem, k: int, *, mode: str, documents: Sequence[str] | None
    ) -> list[Candidate]:
        return self._library.find(query, k, mode=mode, documents=documents)

    def candidate(self, page: PageId) -> Candidate | None:
        return self._library.candidate(page)

    def image(self, page: PageId) -> Image.Image:
        return self._library.image(page)

    def crop(self, page: PageId, box: Box, scale: float = 2.0) -> Image.Image:
        return self._library.crop(page, box, scale)

    def vectors(self, page: PageId) -> MultiVector | None:
        return self._library.vectors(page)

    def likeness(self, query: MultiVector, page: PageId) -> float:
        return self._library.likeness(query, page)

    def regions(self, query: MultiVector, page: PageId, top: int = 3) -> list[tuple[Box, float]]:
        return self._library.regions(query, page, top)


def on_page(words: Sequence[Word], frame: Box, size: tuple[int, int]) -> list[Word]:
    """Words of a picture of ``frame`` that is ``size`` pixels large, in page pixels."""
    across, down = frame.width / size[0], frame.height / size[1]
    return [Word(word.text, word.box.scale(across, down).shift(frame.left, frame.top)) for word in words]


def replace_words(words: Sequence[Word], frame: Box, found: Sequence[Word]) -> tuple[Word, ...]:
    """``words`` of a page with those that lie within ``frame`` replaced by ``found``, in reading order.

    A word that the frame cuts through stays as it was, and what was read of its part is left out.
    """
    cut = [w for w in words if w.box.intersect(frame).area and w.box.intersect(frame) != w.box]
    kept = [w for w in words if w.box.intersect(frame) != w.box]
    new = [w for w in found if not any(_same_ink(w.box, other.box) for other in cut)]
    return tuple(word for line in group_lines([*kept, *new]) for word in line.words)


def _same_ink(one: Box, other: Box) -> bool:
    return 2 * one.intersect(other).area > min(one.area, other.area)
