"""Safeguards taken out on purpose: each must be noticed by the checks, or the checks prove nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.faults.points import Points


def _no_fsync(points: Points) -> None:
    points.no_fsync = True


def _no_folder_fsync(points: Points) -> None:
    points.no_folder_fsync = True


def _rows_before_files(_points: Points) -> None:
    """Commit the rows first, write the segment afterwards."""
    import tempfile
    from pathlib import Path

    from hydra_rag.store import changes
    from hydra_rag_indexing import pipeline, vector_rows

    write = vector_rows.to_segment
    moved: list[tuple[Path, Path]] = []

    def elsewhere(store: Any, *args: Any) -> Any:
        folder = Path(tempfile.mkdtemp(dir=store.directory.parent))
        segment = write(_Elsewhere(folder), *args)  # type: ignore[arg-type]
        moved.append((folder / f"{segment.id}.safetensors", store.segment_path(segment.id)))
        return segment

    commit = pipeline.Ingestor._commit

    def late(self: Any, *args: Any, **kwargs: Any) -> bool:
        done = commit(self, *args, **kwargs)
        import os

        for source, target in moved:
            os.replace(source, target)
        moved.clear()
        return done

    pipeline.to_segment = elsewhere  # type: ignore[assignment]
    pipeline.Ingestor._commit = late  # type: ignore[method-assign]
    assert changes is not None


class _Elsewhere:
    def __init__(self, folder: Any) -> None:
        self.segments_dir = folder


def _ready_too_early(_points: Points) -> None:
    """A document turns ready with its first pages."""
    from sqlalchemy import update

    from hydra_rag.store import changes
    from hydra_rag.store.models import DocumentRow

    add = changes.add_pages

    def early(db: Any, tenant: str, collection: str, document_id: str, pages: Any) -> list[int]:
        keys = add(db, tenant, collection, document_id, pages)
        db.execute(update(DocumentRow).where(DocumentRow.id == document_id).values(state="ready"))
        return keys

    changes.add_pages = early


def _two_commits(_points: Points) -> None:
    """The old version is removed in a transaction before the new one is ready."""
    from hydra_rag.store import changes
    from hydra_rag.store.models import DocumentRow
    from hydra_rag_indexing.admission import Admission

    start = Admission.start

    def removing(self: Any, path: Any, media_type: str, embedder: Any) -> Any:
        from sqlalchemy import select

        with self.store.write() as db:
            old = db.scalars(
                select(DocumentRow.id).where(DocumentRow.path == str(path), DocumentRow.state == "ready")
            ).all()
            changes.remove_documents(db, self.store, self.tenant, old)
        return start(self, path, media_type, embedder)

    Admission.start = removing  # type: ignore[method-assign]


def _compaction_removes_first(_points: Points) -> None:
    """The old segments go before the rows point to the new one."""
    import os

    from hydra_rag_indexing import compaction

    rewrite = compaction._rewrite

    def removing(store: Any, lease: Any, group: Any, moves: Any) -> None:
        for old in group:
            os.unlink(store.segment_path(old.id))
        rewrite(store, lease, group, moves)

    compaction._rewrite = removing


def _reindex_switches_first(_points: Points) -> None:
    """The collection is the new model's before its pages have vectors of it."""
    from hydra_rag_indexing import reindex

    embed, missing = reindex.embed_missing, reindex._missing

    def switching(store: Any, lease: Any, tenant: str, name: str, embedder: Any, *args: Any) -> Any:
        reindex._missing = lambda *_: []
        reindex._switch(store, lease, tenant, name, embedder, None)
        reindex._missing = missing
        return embed(store, lease, tenant, name, embedder, *args)

    reindex.embed_missing = switching  # type: ignore[assignment]


def _disk_errors_ignored(_points: Points) -> None:
    """What the disk says about a segment does not count."""
    import hashlib

    from hydra_rag_indexing import segment_writer

    write = segment_writer._write_durably

    def careless(tmp: Any, target: Any, parts: Any) -> tuple[str, int]:
        kept = [bytes(memoryview(part).cast("B")) for part in parts]
        try:
            return write(tmp, target, kept)
        except OSError:
            data = b"".join(kept)
            return hashlib.sha256(data).hexdigest(), len(data)

    segment_writer._write_durably = careless


MUTANTS: dict[str, Callable[[Points], None]] = {
    "no_fsync": _no_fsync,
    "no_folder_fsync": _no_folder_fsync,
    "rows_before_files": _rows_before_files,
    "ready_too_early": _ready_too_early,
    "two_commits": _two_commits,
    "compaction_removes_first": _compaction_removes_first,
    "reindex_switches_first": _reindex_switches_first,
    "disk_errors_ignored": _disk_errors_ignored,
}
#: Those that only a power cut can show.
NEED_POWER_CUT = ("no_fsync", "no_folder_fsync")
#: Those that only a failing disk can show.
NEED_FAILING_DISK = ("disk_errors_ignored",)
