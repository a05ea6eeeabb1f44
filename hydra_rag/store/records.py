"""Frozen values that the repositories return instead of rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hydra_rag.geometry import Box
from hydra_rag.values import Word

__all__ = [
    "ApiKey",
    "BlobInfo",
    "ChatSession",
    "Citation",
    "CollectionInfo",
    "DocumentInfo",
    "FailedPage",
    "Feedback",
    "NewPage",
    "NewSegment",
    "PageInfo",
    "Step",
    "Turn",
]


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    tenant: str
    name: str
    fingerprint: str | None
    dim: int | None
    model: str | None


@dataclass(frozen=True, slots=True)
class BlobInfo:
    sha256: str
    bytes: int
    suffix: str
    media_type: str | None


@dataclass(frozen=True, slots=True)
class PageInfo:
    """``page`` is 1-based; ``width`` and ``height`` are pixels of the stored image. ``text_source``: where
    its words came from: ``layer`` (the file), ``ocr``, ``model`` (read by it), or ``None``: it has none."""

    page_key: int
    document_id: str
    page: int
    width: int
    height: int
    dpi: float | None
    label: str | None
    text_source: str | None
    image_sha256: str
    image_suffix: str

    @property
    def has_text(self) -> bool:
        return self.text_source is not None


@dataclass(frozen=True, slots=True)
class FailedPage:
    """A page that could not be read when its document was ingested, and why. ``page`` is 1-based."""

    page: int
    code: str
    message: str

    def to_json(self) -> dict[str, Any]:
        return {"page": self.page, "code": self.code, "message": self.message}


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """``document`` is the file's name; ``status`` is ``"ready"`` or ``"working"``.

    ``pages`` counts the pages that are stored; ``failed_pages`` are those of the file that could not be
    read. ``page_list`` is filled by the functions that show one document, and empty in lists.
    """

    document_id: str
    document: str
    path: str
    collection: str
    status: str
    pages: int
    bytes: int
    media_type: str | None
    sha256: str
    added: datetime
    page_list: tuple[PageInfo, ...] = ()
    failed_pages: tuple[FailedPage, ...] = ()


@dataclass(frozen=True, slots=True)
class NewPage:
    """A page about to be stored; its image file is already durable."""

    number: int
    width: int
    height: int
    dpi: float | None
    label: str | None
    text_source: str | None
    image_sha256: str
    image_suffix: str
    image_bytes: int
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class NewSegment:
    """A segment about to be committed; its file is already durable.

    ``row_starts``, ``row_counts`` and ``crc32s`` have one entry per page, in the file's order.
    """

    id: str
    fingerprint: str
    sha256: str
    bytes: int
    rows: int
    dim: int
    dtype: str
    row_starts: tuple[int, ...]
    row_counts: tuple[int, ...]
    crc32s: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Citation:
    """Evidence: a box (page pixels) on a 1-based page; the box is ``None`` for a whole page."""

    document_id: str
    document: str
    page: int
    box: Box | None = None
    quote: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One action of the agent; ``detail`` is JSON."""

    action: str
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turn:
    turn_id: str
    session_id: str
    position: int
    question: str
    answer: str | None
    status: str
    confidence: float | None
    fingerprint: str | None
    settings: dict[str, Any]
    image_sha256: str | None
    created: datetime
    finished: datetime | None
    steps: tuple[Step, ...] = ()
    citations: tuple[Citation, ...] = ()


@dataclass(frozen=True, slots=True)
class ChatSession:
    session_id: str
    tenant: str
    collection: str
    title: str | None
    created: datetime
    updated: datetime
    turns: int = 0


@dataclass(frozen=True, slots=True)
class Feedback:
    turn_id: str
    rating: int
    comment: str | None
    created: datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """``secret`` is filled once, by the call that created the key."""

    key_id: str
    tenant: str
    name: str
    created: datetime
    last_used: datetime | None
    revoked: datetime | None
    secret: str | None = None
