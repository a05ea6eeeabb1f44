"""Tables of documents and vectors. Every row carries its tenant; every query names one.

The full-text table ``page_text`` is made by the first migration, because it differs between SQLite and
PostgreSQL. Chat tables are in :mod:`hydra_rag.store.chat_models`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Float, ForeignKey, ForeignKeyConstraint, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from hydra_rag.store.base import Base, BigKey, now

__all__ = [
    "BlobRow",
    "CollectionRow",
    "DocumentRow",
    "JobRow",
    "MetaRow",
    "PageRow",
    "PageVectorsRow",
    "PageWordsRow",
    "RemovedFileRow",
    "SegmentRow",
]


class MetaRow(Base):
    """One row (id 1). ``generation`` grows with every visible change, ``writer_epoch`` with every new
    holder of the write lease: a commit of an older epoch is refused."""

    __tablename__ = "store_meta"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    format_version: Mapped[int] = mapped_column(default=1)
    generation: Mapped[int] = mapped_column(BigInteger, default=0)
    writer_epoch: Mapped[int] = mapped_column(BigInteger, default=0)
    holder_pid: Mapped[int | None]
    holder_host: Mapped[str | None]
    holder_since: Mapped[datetime | None]


class CollectionRow(Base):
    """``fingerprint`` and ``dim`` say which model's vectors are searched; ``None`` until the first page."""

    __tablename__ = "collections"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str | None]
    dim: Mapped[int | None]
    model: Mapped[str | None]
    created: Mapped[datetime] = mapped_column(default=now)


class BlobRow(Base):
    """An original file, content-addressed, immutable; shared by documents of one tenant only."""

    __tablename__ = "blobs"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
    suffix: Mapped[str] = mapped_column(default="")
    media_type: Mapped[str | None]
    created: Mapped[datetime] = mapped_column(default=now)


class DocumentRow(Base):
    """``state``: ``working`` (being ingested, invisible to search) or ``ready``. ``page_count`` pages are
    stored; ``failed_pages`` lists those that could not be read, ``{"page", "code", "message"}`` each."""

    __tablename__ = "documents"
    __table_args__ = (
        ForeignKeyConstraint(["tenant", "sha256"], ["blobs.tenant", "blobs.sha256"]),
        ForeignKeyConstraint(["tenant", "collection"], ["collections.tenant", "collections.name"]),
        CheckConstraint("state IN ('working', 'ready')", name="state"),
        Index(None, "tenant", "collection", "path"),
        Index(None, "tenant", "sha256"),
        Index(None, "tenant", "collection", "state"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    collection: Mapped[str]
    path: Mapped[str]
    name: Mapped[str]
    sha256: Mapped[str] = mapped_column(String(64))
    bytes: Mapped[int] = mapped_column(BigInteger)
    media_type: Mapped[str | None]
    state: Mapped[str]
    page_count: Mapped[int] = mapped_column(default=0)
    failed_pages: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    added: Mapped[datetime] = mapped_column(default=now)


class PageRow(Base):
    """``page_key`` is the id in every index; it is never reused. ``page_number`` is 1-based."""

    __tablename__ = "pages"
    __table_args__ = (
        Index(None, "document_id", "page_number", unique=True),
        Index(None, "tenant", "collection"),
        Index(None, "tenant", "image_sha256"),
        {"sqlite_autoincrement": True},
    )

    page_key: Mapped[int] = mapped_column(BigKey, primary_key=True)
    tenant: Mapped[str]
    collection: Mapped[str]
    document_id: Mapped[str] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"))
    page_number: Mapped[int]
    width: Mapped[int]
    height: Mapped[int]
    dpi: Mapped[float | None] = mapped_column(Float)
    label: Mapped[str | None]
    text_source: Mapped[str | None]
    image_sha256: Mapped[str] = mapped_column(String(64))
    image_suffix: Mapped[str]
    image_bytes: Mapped[int] = mapped_column(BigInteger)


class PageWordsRow(Base):
    """The text layer of a page: JSON list of ``[text, left, top, right, bottom]`` in page pixels."""

    __tablename__ = "page_words"

    page_key: Mapped[int] = mapped_column(
        BigKey, ForeignKey("pages.page_key", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    tenant: Mapped[str]
    words: Mapped[list[Any]]


class SegmentRow(Base):
    """An immutable file of vectors. ``rows`` counts the file's rows, dead ones included."""

    __tablename__ = "segments"
    __table_args__ = (Index(None, "tenant", "collection", "fingerprint"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    collection: Mapped[str]
    fingerprint: Mapped[str]
    sha256: Mapped[str] = mapped_column(String(64))
    bytes: Mapped[int] = mapped_column(BigInteger)
    rows: Mapped[int] = mapped_column(BigInteger)
    pages: Mapped[int]
    dim: Mapped[int]
    dtype: Mapped[str]
    created: Mapped[datetime] = mapped_column(default=now)


class PageVectorsRow(Base):
    """Where a page's vectors of one model lie: rows ``[row_start, row_start + row_count)`` of a segment."""

    __tablename__ = "page_vectors"
    __table_args__ = (Index(None, "segment_id"), Index(None, "tenant", "fingerprint"))

    page_key: Mapped[int] = mapped_column(
        BigKey, ForeignKey("pages.page_key", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    fingerprint: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    segment_id: Mapped[str] = mapped_column(ForeignKey("segments.id"))
    row_start: Mapped[int] = mapped_column(BigInteger)
    row_count: Mapped[int]
    crc32: Mapped[int] = mapped_column(BigInteger)


class RemovedFileRow(Base):
    """A file that lost its last reference on purpose; the sweep may move it to the trash."""

    __tablename__ = "removed_files"

    path: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    removed: Mapped[datetime] = mapped_column(default=now)


class JobRow(Base):
    """One file to ingest. ``owner`` names the process that waits for it (``None``: nobody, it is done
    whenever a holder of the lease comes by)."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint("state IN ('queued', 'running', 'done', 'failed', 'cancelled')", name="state"),
        Index(None, "state", "id"),
        Index(None, "tenant", "batch"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    collection: Mapped[str]
    batch: Mapped[str]
    kind: Mapped[str] = mapped_column(default="ingest")
    path: Mapped[str]
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    fingerprint: Mapped[str | None]
    state: Mapped[str] = mapped_column(default="queued")
    owner: Mapped[str | None]
    epoch: Mapped[int | None] = mapped_column(BigInteger)
    attempts: Mapped[int] = mapped_column(default=0)
    pages_done: Mapped[int] = mapped_column(default=0)
    pages_total: Mapped[int | None]
    document_id: Mapped[str | None]
    outcome: Mapped[str | None]
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    created: Mapped[datetime] = mapped_column(default=now)
    updated: Mapped[datetime] = mapped_column(default=now, onupdate=now)
