"""Frozen values that cross the layers. Importing this module costs numpy, never torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias, Union, runtime_checkable

import numpy as np
import numpy.typing as npt

from hydra_rag.geometry import Box, Grid

if TYPE_CHECKING:
    import torch
    from PIL import Image

__all__ = [
    "AttentionRows",
    "Embedder",
    "FloatArray",
    "GenerationResult",
    "MultiVector",
    "PageReader",
    "QueryItem",
    "TextDelta",
    "Word",
]

FloatArray: TypeAlias = npt.NDArray[np.float32]
#: A query: text, an image, or ``{"text": str, "image": Image}``.
QueryItem: TypeAlias = Union[str, "Image.Image", dict[str, object]]


@dataclass(frozen=True, slots=True)
class MultiVector:
    """One vector per token of a query or per visual cell of a page (late interaction).

    ``vectors``: float32 [n, dim], every row L2-normalised, no padding. For pages only image tokens.
    ``boxes``: for pages int64 [n, 4], (left, top, right, bottom) in page pixels, one per row of
    ``vectors``; ``None`` for queries. ``grid``: (rows, cols) when the rows are one whole regular grid
    in row-major order, else ``None`` (pooled or tiled vectors). ``nearby``: of a query, what a match in one
    place of a page counts beside MaxSim (:mod:`hydra_rag.nearby`; 0: nothing).
    """

    vectors: FloatArray
    boxes: npt.NDArray[np.int64] | None = None
    grid: Grid | None = None
    nearby: float = 0.0

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2:
            raise ValueError(f"vectors must be [n, dim], got shape {self.vectors.shape}")
        if self.boxes is not None and self.boxes.shape != (len(self.vectors), 4):
            raise ValueError(f"boxes must be [{len(self.vectors)}, 4], got {self.boxes.shape}")
        if self.grid is not None and self.grid.cells != len(self.vectors):
            raise ValueError(f"grid {self.grid} does not have {len(self.vectors)} cells")

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def dim(self) -> int:
        return int(self.vectors.shape[1])


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a page's text layer with its box in page pixels."""

    text: str
    box: Box


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of streamed text. ``token_ids`` are the ids that produced it (possibly none)."""

    text: str
    token_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class GenerationResult:
    """A finished generation.

    ``text``: decoded, special tokens and thinking blocks removed. ``token_ids``: the new tokens, end
    token included. ``finish_reason``: ``"stop"``, ``"length"`` or ``"cancelled"``.
    ``logprobs``: natural log-probability of each new token under the model (before temperature).
    ``prompt_tokens``: length of the prompt, image tokens included. ``chance``: of an answer that was chosen
    among spans, how likely that choice is right (0.0 to 1.0), which then is the confidence. ``weights``: of
    such an answer, how likely each word of the evidence is a part of it (the best span's are 1).
    """

    text: str
    token_ids: tuple[int, ...]
    finish_reason: str
    logprobs: tuple[float, ...] = field(default=(), repr=False)
    prompt_tokens: int = 0
    chance: float | None = None
    weights: tuple[float, ...] = field(default=(), repr=False)

    @property
    def confidence(self) -> float:
        """The chance where there is one, else the geometric mean probability of the tokens, 0.0 to 1.0 (0.0
        when nothing was generated)."""
        if self.chance is not None:
            return self.chance
        if not self.logprobs:
            return 0.0
        return float(np.exp(sum(self.logprobs) / len(self.logprobs)))


@dataclass(frozen=True, slots=True)
class AttentionRows:
    """Post-softmax attention of chosen query rows.

    ``rows``: float32 tensor [layers, heads, rows, tokens] on the CPU. ``layers``: decoder layer index of
    each entry of axis 0. ``positions``: prompt position of each entry of axis 2. ``image_spans``: half-open
    (start, end) token range of every image. ``grids``: merged grid of every image. ``token_ids``: the
    prompt, for naming rows.
    """

    rows: torch.Tensor
    layers: tuple[int, ...]
    positions: tuple[int, ...]
    image_spans: tuple[tuple[int, int], ...]
    grids: tuple[Grid, ...]
    token_ids: tuple[int, ...]


class Embedder(Protocol):
    """What the index needs of a model; tests use a fake without torch."""

    @property
    def dim(self) -> int: ...

    @property
    def fingerprint(self) -> str:
        """Hex hash of everything that changes vectors: weights, adapter, prompts, processor, pooling."""
        ...

    def embed_pages(self, images: Sequence[Image.Image]) -> list[MultiVector]: ...

    def embed_queries(self, items: Sequence[QueryItem]) -> list[MultiVector]: ...


@runtime_checkable
class PageReader(Protocol):
    """An embedder whose vision tower may also read pages."""

    @property
    def can_read(self) -> bool: ...

    def read_pages(self, images: Sequence[Image.Image]) -> list[list[Word]]:
        """Words in reading order with boxes in pixels of their image. Only where :attr:`can_read`."""
        ...
