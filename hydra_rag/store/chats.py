"""Chat sessions: turns with their settings, steps and citations, so that each can be replayed.

Every function takes the tenant first and looks at nothing of another one; a foreign id is reported
exactly like an unknown one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hydra_rag.errors import NotFoundError
from hydra_rag.geometry import Box
from hydra_rag.store.base import now
from hydra_rag.store.chat_models import CitationRow, FeedbackRow, SessionRow, StepRow, TurnRow
from hydra_rag.store.ids import new_id
from hydra_rag.store.records import ChatSession, Citation, Feedback, Step, Turn
from hydra_rag.store.store import Store

__all__ = [
    "add_citation",
    "add_feedback",
    "add_step",
    "add_turn",
    "create_session",
    "finish_turn",
    "get_session",
    "get_turn",
    "interrupt_running",
    "list_feedback",
    "list_sessions",
    "list_turns",
    "remove_session",
]


def create_session(
    store: Store, tenant: str, title: str | None = None, *, collection: str = "default"
) -> ChatSession:
    row = SessionRow(id=new_id(), tenant=tenant, collection=collection, title=title)
    with store.write() as db:
        db.add(row)
        db.flush()
        return _session(row, 0)


def get_session(store: Store, tenant: str, session_id: str) -> ChatSession:
    with store.session() as db:
        return _session(_session_row(db, tenant, session_id), _count(db, tenant, session_id))


def list_sessions(
    store: Store,
    tenant: str,
    *,
    collection: str | None = None,
    limit: int | None = None,
    after: str | None = None,
) -> list[ChatSession]:
    """Newest first. ``limit``: the first so many; ``after``: of those behind the session of this id, which
    may be gone."""
    count = (
        select(func.count())
        .where(TurnRow.session_id == SessionRow.id, TurnRow.tenant == tenant)
        .scalar_subquery()
    )
    query = select(SessionRow, count).where(SessionRow.tenant == tenant).order_by(SessionRow.id.desc())
    if collection is not None:
        query = query.where(SessionRow.collection == collection)
    if after is not None:
        query = query.where(SessionRow.id < after)
    with store.session() as db:
        return [_session(row, turns) for row, turns in db.execute(query.limit(limit))]


def remove_session(store: Store, tenant: str, session_id: str) -> None:
    with store.write() as db:
        db.delete(_session_row(db, tenant, session_id))


def add_turn(
    store: Store,
    tenant: str,
    session_id: str,
    question: str,
    *,
    settings: Mapping[str, Any] | None = None,
    fingerprint: str | None = None,
    image_sha256: str | None = None,
) -> Turn:
    """Begin a turn with status ``running``. ``settings`` (JSON) must suffice to ask it again."""
    with store.write() as db:
        session = _session_row(db, tenant, session_id)
        last = db.scalar(select(func.max(TurnRow.position)).where(TurnRow.session_id == session_id))
        row = TurnRow(
            id=new_id(),
            tenant=tenant,
            session_id=session_id,
            position=0 if last is None else last + 1,
            question=question,
            settings=dict(settings or {}),
            fingerprint=fingerprint,
            image_sha256=image_sha256,
        )
        session.updated = now()
        db.add(row)
        db.flush()
        return _turn(row, (), ())


def finish_turn(
    store: Store,
    tenant: str,
    turn_id: str,
    *,
    status: str,
    answer: str | None = None,
    confidence: float | None = None,
    steps: Sequence[Step] | None = None,
    citations: Sequence[Citation] | None = None,
) -> Turn:
    """End a turn: ``answered``, ``not_found``, ``interrupted`` or ``failed``.

    ``steps`` and ``citations``, when given, are added in the same transaction.
    """
    with store.write() as db:
        row = _turn_row(db, tenant, turn_id)
        row.status, row.answer, row.confidence, row.finished = status, answer, confidence, now()
        for step in steps or ():
            _add_step(db, tenant, turn_id, step)
        for citation in citations or ():
            _add_citation(db, tenant, turn_id, citation)
        db.flush()
        return _load_turn(db, row)


def add_step(store: Store, tenant: str, turn_id: str, step: Step) -> None:
    with store.write() as db:
        _turn_row(db, tenant, turn_id)
        _add_step(db, tenant, turn_id, step)


def add_citation(store: Store, tenant: str, turn_id: str, citation: Citation) -> None:
    with store.write() as db:
        _turn_row(db, tenant, turn_id)
        _add_citation(db, tenant, turn_id, citation)


def add_feedback(store: Store, tenant: str, turn_id: str, rating: int, comment: str | None = None) -> None:
    """``rating``: 1 (helped) or -1 (did not)."""
    with store.write() as db:
        _turn_row(db, tenant, turn_id)
        db.add(FeedbackRow(tenant=tenant, turn_id=turn_id, rating=rating, comment=comment))


def list_feedback(store: Store, tenant: str, turn_id: str) -> list[Feedback]:
    query = select(FeedbackRow).where(FeedbackRow.tenant == tenant, FeedbackRow.turn_id == turn_id)
    with store.session() as db:
        return [
            Feedback(row.turn_id, row.rating, row.comment, row.created)
            for row in db.scalars(query.order_by(FeedbackRow.id))
        ]


def get_turn(store: Store, tenant: str, turn_id: str) -> Turn:
    with store.session() as db:
        return _load_turn(db, _turn_row(db, tenant, turn_id))


def list_turns(
    store: Store, tenant: str, session_id: str, *, limit: int | None = None, before: str | None = None
) -> list[Turn]:
    """In the order they were asked. ``limit``: the last so many; ``before``: of those that were asked before
    the turn of this id (none when the session has no such turn)."""
    query = select(TurnRow).where(TurnRow.tenant == tenant, TurnRow.session_id == session_id)
    if before is not None:
        place = select(TurnRow.position).where(
            TurnRow.tenant == tenant, TurnRow.session_id == session_id, TurnRow.id == before
        )
        query = query.where(TurnRow.position < place.scalar_subquery())
    with store.session() as db:
        _session_row(db, tenant, session_id)
        rows = db.scalars(query.order_by(TurnRow.position.desc()).limit(limit)).all()
        return [_load_turn(db, row) for row in reversed(rows)]


def interrupt_running(store: Store, tenant: str, *, session_id: str | None = None) -> int:
    """Mark turns that a stopped process left ``running`` as ``interrupted``. Returns how many."""
    query = select(TurnRow).where(TurnRow.tenant == tenant, TurnRow.status == "running")
    if session_id is not None:
        query = query.where(TurnRow.session_id == session_id)
    with store.write() as db:
        rows = db.scalars(query).all()
        for row in rows:
            row.status, row.finished = "interrupted", now()
        return len(rows)


def _session_row(db: Session, tenant: str, session_id: str) -> SessionRow:
    row = db.scalar(select(SessionRow).where(SessionRow.tenant == tenant, SessionRow.id == session_id))
    if row is None:
        raise NotFoundError(f"There is no session {session_id}: `hydra-rag sessions list` shows them.")
    return row


def _turn_row(db: Session, tenant: str, turn_id: str) -> TurnRow:
    row = db.scalar(select(TurnRow).where(TurnRow.tenant == tenant, TurnRow.id == turn_id))
    if row is None:
        raise NotFoundError(f"There is no turn {turn_id}: `hydra-rag sessions show` lists them.")
    return row


def _count(db: Session, tenant: str, session_id: str) -> int:
    query = select(func.count()).where(TurnRow.tenant == tenant, TurnRow.session_id == session_id)
    return db.scalar(query) or 0


def _next(db: Session, table: type[StepRow] | type[CitationRow], turn_id: str) -> int:
    last = db.scalar(select(func.max(table.position)).where(table.turn_id == turn_id))
    return 0 if last is None else last + 1


def _add_step(db: Session, tenant: str, turn_id: str, step: Step) -> None:
    db.add(
        StepRow(
            tenant=tenant,
            turn_id=turn_id,
            position=_next(db, StepRow, turn_id),
            action=step.action,
            detail=step.detail,
        )
    )
    db.flush()


def _add_citation(db: Session, tenant: str, turn_id: str, citation: Citation) -> None:
    db.add(
        CitationRow(
            tenant=tenant,
            turn_id=turn_id,
            position=_next(db, CitationRow, turn_id),
            document_id=citation.document_id,
            document=citation.document,
            page=citation.page,
            box=None if citation.box is None else list(citation.box),
            quote=citation.quote,
        )
    )
    db.flush()


def _load_turn(db: Session, row: TurnRow) -> Turn:
    steps = db.scalars(
        select(StepRow)
        .where(StepRow.tenant == row.tenant, StepRow.turn_id == row.id)
        .order_by(StepRow.position)
    )
    citations = db.scalars(
        select(CitationRow)
        .where(CitationRow.tenant == row.tenant, CitationRow.turn_id == row.id)
        .order_by(CitationRow.position)
    )
    return _turn(
        row,
        tuple(Step(s.action, s.detail) for s in steps),
        tuple(
            Citation(c.document_id, c.document, c.page, None if c.box is None else Box(*c.box), c.quote)
            for c in citations
        ),
    )


def _turn(row: TurnRow, steps: tuple[Step, ...], citations: tuple[Citation, ...]) -> Turn:
    return Turn(
        turn_id=row.id,
        session_id=row.session_id,
        position=row.position,
        question=row.question,
        answer=row.answer,
        status=row.status,
        confidence=row.confidence,
        fingerprint=row.fingerprint,
        settings=row.settings,
        image_sha256=row.image_sha256,
        created=row.created,
        finished=row.finished,
        steps=steps,
        citations=citations,
    )


def _session(row: SessionRow, turns: int) -> ChatSession:
    return ChatSession(row.id, row.tenant, row.collection, row.title, row.created, row.updated, turns)
