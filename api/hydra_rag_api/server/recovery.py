"""What a server does before it answers: what a killed one left behind is put in order."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

from sqlalchemy import delete, select, update

from hydra_rag.store.base import now
from hydra_rag.store.chat_models import TurnRow
from hydra_rag.store.models import JobRow
from hydra_rag.store.store import Store

__all__ = ["recover", "uploads_dir"]

_KEEP_JOBS = timedelta(days=7)


def uploads_dir(store: Store) -> Path:
    """Where uploaded files wait until they are ingested."""
    return store.directory / "uploads"


def recover(store: Store) -> None:
    """Turns left running become interrupted; old job rows and uploads that no job waits for go."""
    ended = ("done", "failed", "cancelled")
    with store.session() as db:
        running = db.scalar(select(TurnRow.id).where(TurnRow.status == "running").limit(1))
        oldest = db.scalar(
            select(JobRow.id).where(JobRow.state.in_(ended), JobRow.updated < now() - _KEEP_JOBS).limit(1)
        )
        paths = db.scalars(select(JobRow.path).where(JobRow.state.in_(("queued", "running")))).all()
    if running is not None or oldest is not None:
        with store.write() as db:
            db.execute(
                update(TurnRow)
                .where(TurnRow.status == "running")
                .values(status="interrupted", finished=now())
            )
            db.execute(delete(JobRow).where(JobRow.state.in_(ended), JobRow.updated < now() - _KEEP_JOBS))
    wanted = {str(Path(path).parent) for path in paths}
    root = uploads_dir(store)
    if root.is_dir():
        for tenant in root.iterdir():
            for batch in tenant.iterdir() if tenant.is_dir() else ():
                if str(batch) not in wanted:
                    shutil.rmtree(batch, ignore_errors=True)
