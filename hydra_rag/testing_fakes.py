"""A stand-in for the model, for tests: deterministic vectors from hashes, no torch, no weights."""

from __future__ import annotations

import time
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hydra_rag.geometry import Grid
from hydra_rag.values import FloatArray, MultiVector, QueryItem

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["FakeEmbedder"]


class FakeEmbedder:
    """An :class:`~hydra_rag.values.Embedder`: equal pixels in a cell (or equal words) give equal vectors.

    A page is cut into a grid of about ``cell`` pixels; an image query gets the vectors of its cells, a text
    query one per word. ``seconds``: how long a page takes. ``pages`` counts the pages embedded.
    """

    def __init__(self, dim: int = 16, *, name: str = "fake", cell: int = 64, seconds: float = 0.0) -> None:
        self._dim, self._cell, self._seconds = dim, cell, seconds
        self._fingerprint = f"{zlib.crc32(f'{name}/{dim}/{cell}'.encode()):08x}"
        self.pages = 0

    @property
    def dim(self) -> int:
        return self._dim

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    def embed_pages(self, images: Sequence[Image.Image]) -> list[MultiVector]:
        time.sleep(self._seconds * len(images))
        self.pages += len(images)
        return [self._page(image) for image in images]

    def embed_queries(self, items: Sequence[QueryItem]) -> list[MultiVector]:
        return [self._query(item) for item in items]

    def _query(self, item: QueryItem) -> MultiVector:
        parts: list[FloatArray] = []
        text, image = (item.get("text"), item.get("image")) if isinstance(item, dict) else (item, item)
        if isinstance(text, str):
            parts += [self._vector(word.encode()) for word in text.casefold().split()]
        if image is not None and not isinstance(image, str):
            parts += list(self._page(image).vectors)  # type: ignore[arg-type]
        return MultiVector(np.stack(parts or [self._vector(b"")]))

    def _page(self, image: Image.Image) -> MultiVector:
        pixels = np.asarray(image.convert("RGB"))
        height, width = pixels.shape[:2]
        grid = Grid(max(1, height // self._cell), max(1, width // self._cell))
        boxes = grid.boxes(width, height)
        vectors = [self._vector(pixels[b.top : b.bottom, b.left : b.right].tobytes()) for b in boxes]
        return MultiVector(np.stack(vectors), np.array(boxes, np.int64), grid)

    def _vector(self, data: bytes) -> FloatArray:
        seed = zlib.crc32(data, zlib.crc32(self._fingerprint.encode()))
        vector = np.random.default_rng(seed).standard_normal(self._dim).astype(np.float32)
        unit: FloatArray = vector / np.linalg.norm(vector)
        return unit
