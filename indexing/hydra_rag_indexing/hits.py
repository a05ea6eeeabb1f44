"""What a search is given and what it finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hydra_rag.geometry import Box
from hydra_rag.values import QueryItem

__all__ = ["MOST_HITS", "Filters", "Hit", "Mode", "Region", "text_of"]

Mode = Literal["visual", "text", "hybrid"]

#: Hits, and page numbers: beyond that there is nothing, and databases count no further.
MOST_HITS = 1 << 30


@dataclass(frozen=True, slots=True)
class Region:
    """A place on the page that supports the query: page pixels, score 0 to 1."""

    box: Box
    score: float


@dataclass(frozen=True, slots=True)
class Hit:
    """``page`` is 1-based, ``document`` the file's name. ``score``: MaxSim (visual; with what
    matches in one place, where the model's adapter asks for it, :mod:`hydra_rag.nearby`), BM25 (text; more
    where the query names the document) or the fused score, 0 to 1 (hybrid). ``sources``:
    ``{"visual" | "text" | "name": {"rank", "score"}}``, ranks from 1."""

    rank: int
    document_id: str
    document: str
    page: int
    page_key: int
    score: float
    sources: dict[str, dict[str, float]] = field(default_factory=dict)
    regions: list[Region] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Filters:
    """Which pages may be found. ``pages``: first and last page number, 1-based, both included."""

    documents: Sequence[str] | None = None
    pages: tuple[int, int] | None = None
    media_types: Sequence[str] | None = None

    def __post_init__(self) -> None:
        if self.pages is not None:
            first, last = (min(max(number, 0), MOST_HITS) for number in self.pages)
            object.__setattr__(self, "pages", (first, last))

    @property
    def empty(self) -> bool:
        return self.documents is None and self.pages is None and self.media_types is None


def text_of(query: QueryItem) -> str | None:
    """The words of a query, ``None`` for one that is an image alone."""
    if isinstance(query, str):
        return query
    if isinstance(query, Mapping):
        text = query.get("text")
        return text if isinstance(text, str) and text.strip() else None
    return None
