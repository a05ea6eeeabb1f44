"""Files that no row names: found, moved to the trash, deleted a day later.

Only with the write lease, only names of the store's own pattern, never straight to deletion. A file
that lost its last reference on purpose is listed in SQL and goes at once. Any other (left by a crash) must be
an hour old; and when there are many of those, nothing is moved: then the database was probably restored
from an older backup, and the "garbage" is the user's newer data.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from hydra_rag.store.chat_models import TurnRow
from hydra_rag.store.models import BlobRow, PageRow, RemovedFileRow, SegmentRow
from hydra_rag.store.store import Store
from hydra_rag_indexing.lease import WriteLease
from hydra_rag_indexing.page_images import conversion

__all__ = ["Garbage", "find_garbage", "named_files", "sweep", "to_trash"]

_OURS = re.compile(
    r"segments/[0-9a-f]{32}\.safetensors"
    r"|(blobs|pages)/[0-9a-f]{16}/[0-9a-f]{2}/[0-9a-f]{64}(\.[a-z0-9]{1,8})?"
    r"|questions/[0-9a-f]{16}/[0-9a-f]{64}\.png"
)
_GRACE_S = 3600.0
_TRASH_S = 24 * 3600.0
#: What one killed writer can leave: a batch of page images, its segment, its original.
_ONE_BATCH = 80
_MAX_SHARE = 0.10


@dataclass(frozen=True, slots=True)
class Garbage:
    """``released``: paths (relative to the store) that SQL lists as removed; ``unknown``: all others.

    ``suspicious``: too much is unknown to be the rest of a crash.
    """

    released: tuple[str, ...]
    unknown: tuple[str, ...]
    unknown_bytes: int
    total_bytes: int

    @property
    def suspicious(self) -> bool:
        return len(self.unknown) > _ONE_BATCH and self.unknown_bytes > _MAX_SHARE * self.total_bytes


def find_garbage(store: Store) -> Garbage:
    """Compare the folders with SQL. Files that appear meanwhile may be counted as unknown."""
    files = dict(_files(store))
    with store.session() as db:
        named = set(named_files(db, store))
        listed = set(db.scalars(select(RemovedFileRow.path)))
    loose = [path for path in files if path not in named]
    unknown = [path for path in loose if path not in listed]
    return Garbage(
        released=tuple(path for path in loose if path in listed),
        unknown=tuple(unknown),
        unknown_bytes=sum(files[path] for path in unknown),
        total_bytes=sum(files.values()),
    )


def sweep(store: Store, lease: WriteLease, *, purge: bool = False, grace_s: float = _GRACE_S) -> int:
    """Move garbage to the trash and delete old trash (all of it with ``purge``). Returns files moved.

    Unknown files are left alone while they look like a restored database (see :class:`Garbage`).
    """
    garbage = find_garbage(store)
    moved = list(garbage.released)
    if not garbage.suspicious:
        limit = time.time() - grace_s
        moved += [path for path in garbage.unknown if _modified(store.directory / path) <= limit]
    for path in moved:
        to_trash(store, path)
    with store.write() as db:
        lease.fence(db, visible=False)
        for row in db.scalars(select(RemovedFileRow)).all():
            if not (store.directory / row.path).exists():
                db.execute(delete(RemovedFileRow).where(RemovedFileRow.path == row.path))
    _empty_trash(store, 0.0 if purge else _TRASH_S)
    return len(moved)


def to_trash(store: Store, relative: str) -> None:
    """Move one file of the store into today's trash; a missing one is fine. What was made of an original for
    the next look at it goes with it."""
    if relative.startswith("blobs/"):
        conversion(store, store.directory / relative).forget()
    folder = store.trash_dir / datetime.now(UTC).strftime("%Y%m%d")
    folder.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        os.replace(store.directory / relative, folder / relative.replace("/", "__"))


def named_files(db: Session, store: Store) -> Iterator[str]:
    """Paths, relative to the store, of every file that a row names."""

    def relative(path: Path) -> str:
        return str(path.relative_to(store.directory))

    for segment_id in db.scalars(select(SegmentRow.id)):
        yield relative(store.segment_path(segment_id))
    for tenant, sha, suffix in db.execute(select(BlobRow.tenant, BlobRow.sha256, BlobRow.suffix)):
        yield relative(store.blob_path(tenant, sha, suffix))
    for tenant, sha, suffix in db.execute(
        select(PageRow.tenant, PageRow.image_sha256, PageRow.image_suffix).distinct()
    ):
        yield relative(store.page_image_path(tenant, sha, suffix))
    images = select(TurnRow.tenant, TurnRow.image_sha256).where(TurnRow.image_sha256.is_not(None))
    for tenant, image in db.execute(images):
        yield relative(store.question_image_path(tenant, str(image)))


def _files(store: Store) -> Iterator[tuple[str, int]]:
    for folder in (store.segments_dir, store.blobs_dir, store.pages_dir, store.questions_dir):
        for directory, _, names in os.walk(folder):
            for name in names:
                path = Path(directory, name)
                relative = path.relative_to(store.directory).as_posix()
                if _OURS.fullmatch(relative):
                    with suppress(FileNotFoundError):
                        yield relative, path.stat().st_size


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _empty_trash(store: Store, age_s: float) -> None:
    limit = time.time() - age_s
    for folder in sorted(store.trash_dir.iterdir()):
        # A folder's own time is that of the last file moved in.
        if folder.is_dir() and _modified(folder) <= limit:
            shutil.rmtree(folder, ignore_errors=True)
