"""A scripted reader and an in-memory library: the agent without model, index and store."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hydra_rag.geometry import Box, Grid
from hydra_rag.saliency.maps import SaliencyMap
from hydra_rag.values import GenerationResult, MultiVector, QueryItem, TextDelta, Word
from hydra_rag_agents.gate import Gate
from hydra_rag_agents.ports import EvidenceLine, Reading, Transcribed
from hydra_rag_agents.state import Candidate, PageId, ReaderProfile

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["LOOK", "FakePage", "MemoryLibrary", "ScriptedReader", "ScriptedReading", "words_of"]

#: The cells of every scripted look.
LOOK = Grid(16, 12)
Script = Callable[[Sequence["Image.Image"], str], tuple[str, float]]


def words_of(text: str, *, left: int = 40, top: int = 40, char: int = 10, line: int = 30) -> list[Word]:
    """Words of ``text`` set in a fixed-width face: one text line a line, boxes in page pixels."""
    words = []
    for row, content in enumerate(text.split("\n")):
        column = 0
        for part in content.split(" "):
            if part:
                x, y = left + column * char, top + row * line
                words.append(Word(part, Box(x, y, x + len(part) * char, y + 20)))
            column += len(part) + 1
    return words


@dataclass
class FakePage:
    """``text`` becomes the text layer; ``score``: how well retrieval likes the page. ``read``: the words are
    what the model read of it. ``sources``: how retrieval found it."""

    text: str = ""
    score: float = 1.0
    size: tuple[int, int] = (600, 800)
    document: str = "a.pdf"
    regions: tuple[tuple[Box, float], ...] = ()
    read: bool = False
    sources: Mapping[str, Any] = field(default_factory=dict)


class MemoryLibrary:
    """Pages by id; retrieval returns them by score, whatever is asked."""

    def __init__(self, pages: Mapping[PageId, FakePage]) -> None:
        self.pages = dict(pages)
        self.queries: list[QueryItem] = []

    def find(
        self, query: QueryItem, k: int, *, mode: str, documents: Sequence[str] | None
    ) -> list[Candidate]:
        self.queries.append(query)
        allowed = [p for p in self.pages if documents is None or p.document_id in documents]
        ranked = sorted(allowed, key=lambda p: (-self.pages[p].score, p))[:k]
        return [self._candidate(page, rank) for rank, page in enumerate(ranked, start=1)]

    def candidate(self, page: PageId) -> Candidate | None:
        return self._candidate(page, 1) if page in self.pages else None

    def _candidate(self, page: PageId, rank: int) -> Candidate:
        fake = self.pages[page]
        return Candidate(page, fake.document, fake.score, rank, fake.sources, fake.regions)

    def image(self, page: PageId) -> Image.Image:
        from PIL import Image

        return Image.new("RGB", self.pages[page].size, "white")

    def crop(self, page: PageId, box: Box, scale: float = 2.0) -> Image.Image:
        box = box.clip(*self.pages[page].size)
        size = (max(1, round(box.width * scale)), max(1, round(box.height * scale)))
        return self.image(page).crop(box).resize(size)

    def words(self, page: PageId) -> Sequence[Word]:
        return words_of(self.pages[page].text)

    def read_by_model(self, page: PageId, box: Box | None = None) -> bool:
        return self.pages[page].read

    def vectors(self, page: PageId) -> MultiVector | None:
        grid = Grid(4, 3)
        boxes = np.array(grid.boxes(*self.pages[page].size), np.int64)
        return MultiVector(np.eye(grid.cells, 16, dtype=np.float32), boxes, grid)

    def likeness(self, query: MultiVector, page: PageId) -> float:
        return self.pages[page].score

    def regions(self, query: MultiVector, page: PageId, top: int = 3) -> list[tuple[Box, float]]:
        return list(self.pages[page].regions[:top])


class ScriptedReading:
    """One character a token, all with the same probability."""

    def __init__(self, text: str, confidence: float, most: int, prompt_tokens: int) -> None:
        self.closed = False
        self.told = 0
        self._text, self._logprob = text, math.log(max(confidence, 1e-9))
        self._most, self._prompt_tokens = most, prompt_tokens

    def __iter__(self) -> Iterator[TextDelta]:
        for letter in self._text[: self._most]:
            if self.closed:
                return
            self.told += 1
            yield TextDelta(letter, (ord(letter) % 256,))

    @property
    def result(self) -> GenerationResult:
        text = self._text[: self.told]
        done = self.told == len(self._text)
        return GenerationResult(
            text,
            tuple(ord(letter) % 256 for letter in text),
            "stop" if done else "length",
            (self._logprob,) * max(1, len(text)),
            self._prompt_tokens,
        )

    def close(self) -> None:
        self.closed = True


@dataclass
class ScriptedReader:
    """``script(images, prompt)`` returns (text, confidence); ``gaze_at`` the strengths of the cells of
    :data:`LOOK`; ``reads`` the words of a picture (``None``: it can't read)."""

    script: Script
    profile: ReaderProfile = field(default_factory=lambda: ReaderProfile(style="nano", image_tokens=100))
    fingerprint: str = "scripted"
    readings: list[ScriptedReading] = field(default_factory=list)
    prompts: list[str] = field(default_factory=list)
    shown: list[int] = field(default_factory=list)
    evidence: list[tuple[str, ...]] = field(default_factory=list)
    looks: int = 0
    gate: Gate = field(default_factory=Gate)
    gaze_at: Callable[[Image.Image, str], Sequence[float]] = lambda image, question: [1.0] * LOOK.cells
    reads: Callable[[Image.Image], Sequence[Word]] | None = None
    transcribed: list[tuple[int, int]] = field(default_factory=list)

    def read(
        self,
        images: Sequence[Image.Image],
        text: str,
        *,
        max_new_tokens: int,
        seed: int,
        evidence: Sequence[EvidenceLine] = (),
    ) -> Reading:
        answer, confidence = self.script(images, text)
        used = len(images) * self.profile.image_tokens + len(text)
        reading = ScriptedReading(answer, confidence, max_new_tokens, used)
        self.readings.append(reading)
        self.prompts.append(text)
        self.evidence.append(tuple(line.text for line in evidence))
        self.shown.append(len(images))
        return reading

    def tokens(self, images: int, text: str, max_new_tokens: int) -> int:
        return images * self.profile.image_tokens + len(text.encode()) + max_new_tokens

    def look(self, image: Image.Image, question: str) -> SaliencyMap:
        self.looks += 1
        return SaliencyMap.of(LOOK, self.gaze_at(image, question), "scripted")

    def look_tokens(self, question: str) -> int:
        return self.profile.image_tokens + len(question.encode())

    def sharpness(self, width: int, height: int) -> float:
        return min(1.0, math.sqrt(self.profile.image_tokens * 32 * 32 / (width * height)))

    @property
    def can_read(self) -> bool:
        return self.reads is not None

    def transcribe(self, image: Image.Image) -> Transcribed:
        assert self.reads is not None
        self.transcribed.append(image.size)
        return Transcribed(tuple(self.reads(image)), self.profile.image_tokens)

    def embed(self, item: QueryItem) -> MultiVector:
        seed = sum(ord(letter) for letter in item) if isinstance(item, str) else 0
        vectors = np.random.default_rng(seed).standard_normal((4, 16)).astype(np.float32)
        return MultiVector(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
