"""Asking one page: the whole agent on a collection of a single page. For evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from hydra_rag.geometry import Box
from hydra_rag.values import MultiVector, QueryItem, Word
from hydra_rag_agents.events import Done, Glanced, Looked, step_of
from hydra_rag_agents.gate import Look
from hydra_rag_agents.loop import run
from hydra_rag_agents.ports import Reader
from hydra_rag_agents.state import Answer, AskSettings, Candidate, PageId, Turn

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Asked", "OnePage", "ask_page"]


class OnePage:
    """A library of a single page; retrieval finds it first. ``read``: the model read its words itself."""

    PAGE = PageId("page", 1)

    def __init__(
        self,
        image: Image.Image,
        words: Sequence[Word],
        vectors: MultiVector | None,
        *,
        read: bool = False,
    ) -> None:
        self._image, self._words, self._vectors, self._read = image, words, vectors, read

    def find(
        self, query: QueryItem, k: int, *, mode: str, documents: Sequence[str] | None
    ) -> list[Candidate]:
        return [Candidate(self.PAGE, "page", 1.0, 1)]

    def candidate(self, page: PageId) -> Candidate | None:
        return Candidate(page, "page", 1.0, 1)

    def image(self, page: PageId) -> Image.Image:
        return self._image

    def crop(self, page: PageId, box: Box, scale: float = 2.0) -> Image.Image:
        crop = self._image.crop(box)
        if scale >= 1.0:
            return crop
        return crop.resize((max(1, round(box.width * scale)), max(1, round(box.height * scale))))

    def words(self, page: PageId) -> Sequence[Word]:
        return self._words

    def read_by_model(self, page: PageId, box: Box | None = None) -> bool:
        return self._read

    def vectors(self, page: PageId) -> MultiVector | None:
        return self._vectors

    def likeness(self, query: MultiVector, page: PageId) -> float:
        return 0.0

    def regions(self, query: MultiVector, page: PageId, top: int = 3) -> list[tuple[Box, float]]:
        from hydra_rag.evidence import evidence_regions

        known = self._vectors is not None and self._vectors.boxes is not None
        return evidence_regions(query, self._vectors, top=top) if known and self._vectors else []


class Asked(NamedTuple):
    """``tokens``: read and written, all steps. ``glance_confidence``, ``gain``: of the first draft (how many
    times larger a gaze would show its words). ``look``: the first one."""

    answer: Answer
    tokens: int
    gazes: int
    glance_confidence: float | None
    gain: float | None
    look: Look | None


def ask_page(library: OnePage, reader: Reader, question: str, settings: AskSettings) -> Asked:
    """The answer to ``question`` from the page of ``library``, and what it took."""
    tokens = gazes = 0
    confidence = gain = None
    look: Look | None = None
    answer: Answer | None = None
    for event in run(library, reader, Turn(question, settings)):
        step = step_of(event)
        if step is not None:
            tokens += step.detail.get("prompt_tokens", 0) + step.detail.get("new_tokens", 0)
            gazes += step.action == "gaze"
            if not gazes:  # of the answer, where there is one, else of what it was looked for in
                gain = next((d["gain"] for d in step.detail.get("drafts", ()) if "gain" in d), gain)
                gain = step.detail.get("gain", gain)
        if isinstance(event, Glanced) and confidence is None:
            confidence = event.confidence
        elif isinstance(event, Looked) and look is None:
            look = event.look
        elif isinstance(event, Done):
            answer = event.answer
    assert answer is not None, "a run ends with Done"
    return Asked(answer, tokens, gazes, confidence, gain, look)
