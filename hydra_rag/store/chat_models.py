"""Tables of chat sessions, their evidence, and API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Float, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from hydra_rag.store.base import Base, BigKey, WrittenText, now

__all__ = [
    "ApiKeyRow",
    "CitationRow",
    "FeedbackRow",
    "SessionRow",
    "StepRow",
    "TurnRow",
]


class SessionRow(Base):
    __tablename__ = "chat_sessions"
    __table_args__ = (Index(None, "tenant", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    collection: Mapped[str]
    title: Mapped[str | None] = mapped_column(WrittenText)
    created: Mapped[datetime] = mapped_column(default=now)
    updated: Mapped[datetime] = mapped_column(default=now)


class TurnRow(Base):
    """One question. ``settings`` holds everything that is needed to ask it again the same way."""

    __tablename__ = "turns"
    __table_args__ = (
        CheckConstraint(
            "status IN ('running', 'answered', 'not_found', 'interrupted', 'failed')", name="status"
        ),
        Index(None, "session_id", "position", unique=True),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    session_id: Mapped[str] = mapped_column(ForeignKey("chat_sessions.id", ondelete="CASCADE"))
    position: Mapped[int]
    question: Mapped[str] = mapped_column(WrittenText)
    image_sha256: Mapped[str | None] = mapped_column(String(64))
    answer: Mapped[str | None] = mapped_column(WrittenText)
    status: Mapped[str] = mapped_column(default="running")
    confidence: Mapped[float | None] = mapped_column(Float)
    fingerprint: Mapped[str | None]
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created: Mapped[datetime] = mapped_column(default=now)
    finished: Mapped[datetime | None]


class StepRow(Base):
    __tablename__ = "steps"
    __table_args__ = (Index(None, "turn_id", "position", unique=True),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    tenant: Mapped[str]
    turn_id: Mapped[str] = mapped_column(ForeignKey("turns.id", ondelete="CASCADE"))
    position: Mapped[int]
    action: Mapped[str]
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created: Mapped[datetime] = mapped_column(default=now)


class CitationRow(Base):
    """``document_id`` has no foreign key: a session outlives the documents it cites."""

    __tablename__ = "citations"
    __table_args__ = (Index(None, "turn_id", "position", unique=True),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    tenant: Mapped[str]
    turn_id: Mapped[str] = mapped_column(ForeignKey("turns.id", ondelete="CASCADE"))
    position: Mapped[int]
    document_id: Mapped[str]
    document: Mapped[str]
    page: Mapped[int]
    box: Mapped[list[Any] | None]
    quote: Mapped[str | None] = mapped_column(WrittenText)


class FeedbackRow(Base):
    __tablename__ = "feedback"
    __table_args__ = (Index(None, "turn_id"),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    tenant: Mapped[str]
    turn_id: Mapped[str] = mapped_column(ForeignKey("turns.id", ondelete="CASCADE"))
    rating: Mapped[int]
    comment: Mapped[str | None] = mapped_column(WrittenText)
    created: Mapped[datetime] = mapped_column(default=now)


class ApiKeyRow(Base):
    """Only the SHA-256 of a random 256-bit secret is kept."""

    __tablename__ = "api_keys"
    __table_args__ = (Index(None, "tenant"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    name: Mapped[str]
    sha256: Mapped[str] = mapped_column(String(64))
    created: Mapped[datetime] = mapped_column(default=now)
    last_used: Mapped[datetime | None]
    revoked: Mapped[datetime | None]
