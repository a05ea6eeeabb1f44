"""A reader that remembers: the same prompt is read once. For evaluations that ask a page in several ways."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING

from hydra_rag.values import GenerationResult, MultiVector, QueryItem, TextDelta
from hydra_rag_agents.gate import Gate
from hydra_rag_agents.ports import EvidenceLine, Reader, Reading, Transcribed
from hydra_rag_agents.state import ReaderProfile

if TYPE_CHECKING:
    from PIL import Image

    from hydra_rag.saliency.maps import SaliencyMap

__all__ = ["MemoReader", "Told"]


class Told:
    """A reading that is over; iterating it tells the whole text in one piece."""

    def __init__(self, result: GenerationResult) -> None:
        self.result = result

    def __iter__(self) -> Iterator[TextDelta]:
        yield TextDelta(self.result.text, self.result.token_ids)

    def close(self) -> None:
        return None


class MemoReader:
    """``reader`` with a memory, to be emptied by :meth:`forget`.

    ``seconds``: what reading and looking has taken so far, a remembered answer as long as the first time.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._told: dict[Hashable, tuple[GenerationResult, float]] = {}
        self._looked: dict[Hashable, tuple[SaliencyMap, float]] = {}
        self._seen: dict[Hashable, tuple[Transcribed, float]] = {}
        self.seconds = 0.0

    def forget(self) -> None:
        self._told.clear()
        self._looked.clear()
        self._seen.clear()

    @property
    def profile(self) -> ReaderProfile:
        return self._reader.profile

    @property
    def fingerprint(self) -> str:
        return self._reader.fingerprint

    @property
    def gate(self) -> Gate:
        return self._reader.gate

    def read(
        self,
        images: Sequence[Image.Image],
        text: str,
        *,
        max_new_tokens: int,
        seed: int,
        evidence: Sequence[EvidenceLine] = (),
    ) -> Reading:
        key = (tuple(_digest(image) for image in images), text, max_new_tokens, seed, tuple(evidence))
        if key not in self._told:
            began = time.monotonic()
            reading = self._reader.read(
                images, text, max_new_tokens=max_new_tokens, seed=seed, evidence=evidence
            )
            for _ in reading:
                pass
            self._told[key] = (reading.result, time.monotonic() - began)
        result, seconds = self._told[key]
        self.seconds += seconds
        return Told(result)

    def tokens(self, images: int, text: str, max_new_tokens: int) -> int:
        return self._reader.tokens(images, text, max_new_tokens)

    def embed(self, item: QueryItem) -> MultiVector:
        return self._reader.embed(item)

    @property
    def can_read(self) -> bool:
        return self._reader.can_read

    def transcribe(self, image: Image.Image) -> Transcribed:
        key = _digest(image)
        if key not in self._seen:
            began = time.monotonic()
            self._seen[key] = (self._reader.transcribe(image), time.monotonic() - began)
        found, seconds = self._seen[key]
        self.seconds += seconds
        return found

    def look(self, image: Image.Image, question: str) -> SaliencyMap:
        key = (_digest(image), question)
        if key not in self._looked:
            began = time.monotonic()
            self._looked[key] = (self._reader.look(image, question), time.monotonic() - began)
        found, seconds = self._looked[key]
        self.seconds += seconds
        return found

    def look_tokens(self, question: str) -> int:
        return self._reader.look_tokens(question)

    def sharpness(self, width: int, height: int) -> float:
        return self._reader.sharpness(width, height)


def _digest(image: Image.Image) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16, person=repr(image.size).encode()[:16]).digest()
