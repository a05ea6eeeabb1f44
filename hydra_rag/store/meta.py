"""Generation and writer epoch: what makes a change visible, and what fences a stale writer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session

from hydra_rag.errors import StoreBusyError
from hydra_rag.store.base import now
from hydra_rag.store.models import MetaRow

__all__ = ["Holder", "bump", "fence", "holder", "take_epoch"]


@dataclass(frozen=True, slots=True)
class Holder:
    """Who took the write lease last."""

    epoch: int
    pid: int | None
    host: str | None
    since: datetime | None


def bump(db: Session) -> None:
    """Make the changes of this transaction visible to every process's snapshots."""
    db.execute(update(MetaRow).where(MetaRow.id == 1).values(generation=MetaRow.generation + 1))


def fence(db: Session, epoch: int, *, visible: bool = True) -> None:
    """Refuse this transaction unless ``epoch`` is still the newest; count a visible change.

    A writer that was paused, or whose file lock lied to it, cannot commit after a newer one began.
    """
    step = 1 if visible else 0
    statement = (
        update(MetaRow)
        .where(MetaRow.id == 1, MetaRow.writer_epoch == epoch)
        .values(generation=MetaRow.generation + step)
    )
    if cast("CursorResult[Any]", db.execute(statement)).rowcount != 1:
        raise StoreBusyError(
            "Another process has taken over writing to this store; nothing of this batch was committed. "
            "Run the command again."
        )


def take_epoch(db: Session, pid: int, host: str) -> int:
    """Become the newest writer; older ones can no longer commit."""
    db.execute(
        update(MetaRow)
        .where(MetaRow.id == 1)
        .values(writer_epoch=MetaRow.writer_epoch + 1, holder_pid=pid, holder_host=host, holder_since=now())
    )
    return db.scalars(select(MetaRow.writer_epoch).where(MetaRow.id == 1)).one()


def holder(db: Session) -> Holder:
    row = db.scalars(select(MetaRow).where(MetaRow.id == 1)).one()
    return Holder(row.writer_epoch, row.holder_pid, row.holder_host, row.holder_since)
