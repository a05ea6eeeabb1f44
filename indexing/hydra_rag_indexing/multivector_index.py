"""A self-contained index for multi-vectors: a folder, no model, no documents.

The folder holds ``catalog.db`` (SQLite: what exists), ``segments/`` (immutable vectors), ``cache/``
(deletable) and ``tmp/``. A change is: write and sync the segment file, then one SQLite commit. A process that dies leaves
at most files that nothing refers to; the next writer removes them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from hydra_rag.errors import (
    CorruptionError,
    FingerprintError,
    NotFoundError,
    StoreBusyError,
    StoreError,
    UsageError,
)
from hydra_rag.values import FloatArray
from hydra_rag_indexing.segments import SegmentInfo, segment_path, sync_directory, write_segment
from hydra_rag_indexing.snapshot import PageRef, VectorIndex

__all__ = ["MultiVectorIndex"]

ItemId: TypeAlias = int | str

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE segments (id TEXT PRIMARY KEY, sha256 TEXT NOT NULL, bytes INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE items (
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  id BLOB NOT NULL UNIQUE,  -- INTEGER or TEXT as given: a BLOB column converts neither
  segment TEXT NOT NULL REFERENCES segments (id),
  row_start INTEGER NOT NULL,
  row_count INTEGER NOT NULL
);
CREATE INDEX items_segment ON items (segment);
"""
_SMALL_BYTES = 16 << 20
_MAX_SMALL = 128  # so many small segments are merged by the add that makes one more
_MERGED_ROWS = 4 << 20


class MultiVectorIndex:
    """Vectors of items, searched by exact MaxSim. Safe between threads and between processes.

    ``directory`` is made if needed; ``dim`` and ``dtype`` ("float16" or "float32", how vectors are stored)
    must be those it was made with (``FingerprintError``).
    """

    def __init__(self, directory: str | os.PathLike[str], dim: int, dtype: str = "float16") -> None:
        if dim < 1 or dtype not in ("float16", "float32"):
            raise UsageError(f"dim must be at least 1 and dtype float16 or float32, not {dim!r}, {dtype!r}.")
        self.directory, self.dim, self.dtype = Path(directory).absolute(), int(dim), dtype
        self._segments, self._tmp = self.directory / "segments", self.directory / "tmp"
        self._cache = self.directory / "cache"
        self._lock = threading.RLock()
        self._closed = False
        try:
            for folder in (self._segments, self._tmp, self._cache):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{self.directory} can't be used: {error}. Choose another folder.") from error
        with _translated(self.directory):
            self._db = sqlite3.connect(
                self.directory / "catalog.db", timeout=30.0, isolation_level=None, check_same_thread=False
            )
            # A rollback journal: no shared memory, and EXTRA makes the end of a commit durable too.
            self._db.execute("PRAGMA journal_mode=DELETE")
            self._db.execute("PRAGMA synchronous=EXTRA")
            self._db.execute("PRAGMA foreign_keys=ON")
            self._create()
        self._version = -1  # of the catalog as loaded; -1 after changes of our own
        self._ids: dict[int, ItemId] = {}
        self._keys: dict[ItemId, int] = {}
        self._index = VectorIndex.build(self._segments, [], self.dim, self._cache)
        self._current()

    def add(self, ids: Sequence[ItemId], vectors: Sequence[npt.NDArray[Any]]) -> None:
        """Store ``vectors[i]`` ([tokens, dim]) for ``ids[i]``; an existing id is replaced. Durable on return.

        All or nothing. Within one call the last of equal ids holds.
        """
        if len(ids) != len(vectors):
            raise UsageError(f"{len(ids)} ids but {len(vectors)} arrays.")
        last = {_checked_id(item): array for item, array in zip(ids, vectors, strict=True)}
        if not last:
            return
        for item, array in last.items():
            if np.ndim(array) != 2 or np.shape(array)[1] != self.dim:
                raise UsageError(f"Item {item!r} must be [tokens, {self.dim}], got {np.shape(array)}.")
        with self._writing():
            info = write_segment(self._segments, self._tmp, list(last.values()), dtype=self.dtype)
            with self._transaction() as db:
                _delete(db, last)
                _register(db, info)
                start = 0
                for item, count in zip(last, info.page_rows, strict=True):
                    db.execute(
                        "INSERT INTO items (id, segment, row_start, row_count) VALUES (?, ?, ?, ?)",
                        (item, info.id, start, count),
                    )
                    start += count
            if self._small_segments() > _MAX_SMALL:
                self._merge(small_only=True)

    def remove(self, ids: Iterable[ItemId]) -> int:
        """Forget these items; unknown ids are fine. Returns how many there were."""
        wanted = [_checked_id(item) for item in ids]
        with self._writing(), self._transaction() as db:
            return _delete(db, wanted)

    def search(
        self, query: npt.ArrayLike, k: int = 10, *, exhaustive: bool = False
    ) -> list[tuple[ItemId, float]]:
        """The ``k`` best items as (id, MaxSim on the stored vectors), best first.

        ``query``: [q, dim]. Sees every change that was durable when it began. ``exhaustive``: look at every
        item even where an index has been built. Equal scores stand in the order in which items were added.
        """
        index, ids = self._current()
        return [(ids[key], score) for key, score in index.search(query, k, exhaustive=exhaustive)]

    def get(self, item: ItemId) -> FloatArray:
        """The stored vectors of an item, float32 [tokens, dim]. Raises ``NotFoundError``."""
        with self._lock:
            index, _ = self._current()
            key = self._keys.get(_checked_id(item))
        if key is None:
            raise NotFoundError(f"The index has no item {item!r}.")
        return index.vectors(key)[0]

    def optimize(self) -> None:
        """Merge segments, drop removed items' vectors, build the first stage. Blocks until done."""
        with self._writing():
            self._merge(small_only=False)
        index, _ = self._current()
        built = index.optimize()
        with self._lock:
            if self._index is index:
                self._index = built

    def verify(self) -> None:
        """Read everything and compare every checksum. Raises ``CorruptionError``."""
        from hydra_rag_indexing.segments import open_segment

        with self._lock, _translated(self.directory):
            rows = self._open_db().execute("SELECT id, sha256, bytes FROM segments").fetchall()
        for name, sha256, size in rows:
            open_segment(segment_path(self._segments, name), expected_bytes=size).verify(sha256)

    def __len__(self) -> int:
        return len(self._current()[1])

    def __contains__(self, item: object) -> bool:
        with self._lock:
            self._current()
            return isinstance(item, int | str) and item in self._keys

    def close(self) -> None:
        """Release the catalog; idempotent."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._db.close()

    def __enter__(self) -> MultiVectorIndex:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- catalog ------------------------------------------------------------------------------------------

    def _open_db(self) -> sqlite3.Connection:
        if self._closed:
            raise UsageError("This index is closed: open it again.")
        return self._db

    def _create(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
                for statement in _SCHEMA.split(";\n"):
                    self._db.execute(statement)
                settings = {"format": "1", "dim": str(self.dim), "dtype": self.dtype}
                self._db.executemany("INSERT INTO meta VALUES (?, ?)", settings.items())
            found = dict(self._db.execute("SELECT name, value FROM meta"))
            self._db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise
        if found.get("dim") != str(self.dim) or found.get("dtype") != self.dtype:
            self._db.close()
            raise FingerprintError(
                f"{self.directory} holds vectors of {found.get('dim')} dimensions as {found.get('dtype')}:"
                " open it with those, or choose another folder."
            )

    def _current(self) -> tuple[VectorIndex, dict[int, ItemId]]:
        with self._lock, _translated(self.directory):
            # Changes of this connection do not move data_version: they set the version back instead.
            if self._open_db().execute("PRAGMA data_version").fetchone()[0] != self._version:
                self._reload()
            return self._index, self._ids

    def _reload(self) -> None:
        for attempt in range(3):
            version = self._db.execute("PRAGMA data_version").fetchone()[0]
            rows = self._db.execute(
                "SELECT key, id, segment, row_start, row_count FROM items ORDER BY key"
            ).fetchall()
            try:
                self._index = self._index.refresh([PageRef(r[0], r[2], r[3], r[4]) for r in rows])
                break
            except CorruptionError:
                # A segment may have been merged away between reading the catalog and opening the file.
                changed = self._db.execute("PRAGMA data_version").fetchone()[0] != version
                if attempt == 2 or not changed:
                    raise
        self._ids = {r[0]: r[1] for r in rows}
        self._keys = {r[1]: r[0] for r in rows}
        self._version = version

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
            self._db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise
        self._version = -1

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """One writer at a time, over all processes; others wait."""
        with self._lock, _translated(self.directory):
            self._open_db()
            handle = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                self._sweep()
                yield
            finally:
                os.close(handle)

    def _sweep(self) -> None:
        """Remove files of writers that died. Only called by the one writer."""
        named = {row[0] for row in self._db.execute("SELECT id FROM segments")}
        for path in (*self._tmp.iterdir(), *self._segments.iterdir()):
            if path.parent == self._tmp or path.stem not in named:
                path.unlink(missing_ok=True)

    def _small_segments(self) -> int:
        count = self._db.execute("SELECT count(*) FROM segments WHERE bytes < ?", (_SMALL_BYTES,))
        return int(count.fetchone()[0])

    def _merge(self, *, small_only: bool) -> None:
        """Rewrite segments into fewer. Items keep their keys; readers keep the old files open."""
        rows = self._db.execute(
            "SELECT s.id, s.bytes, count(i.key), coalesce(sum(i.row_count), 0)"
            " FROM segments s LEFT JOIN items i ON i.segment = s.id GROUP BY s.id"
        ).fetchall()
        width = self.dim * (2 if self.dtype == "float16" else 4) + 16
        chosen = [r[0] for r in rows if r[1] < _SMALL_BYTES or r[3] * width < 0.8 * (r[1] - 4096)]
        if small_only:
            chosen = [r[0] for r in rows if r[1] < _SMALL_BYTES]
        if not chosen or (len(chosen) == 1 and not small_only and rows[0][3] * width >= 0.8 * rows[0][1]):
            return
        marks = ",".join("?" * len(chosen))
        items = self._db.execute(
            f"SELECT key, row_count FROM items WHERE segment IN ({marks}) ORDER BY key", chosen
        ).fetchall()
        limit = max(1, _MERGED_ROWS * 128 // self.dim)
        groups: list[list[int]] = [[]]
        filled = 0
        for key, count in items:
            if groups[-1] and filled + count > limit:
                groups.append([])
                filled = 0
            groups[-1].append(key)
            filled += count
        index, _ = self._current()
        written: list[tuple[SegmentInfo, list[int]]] = []
        for keys in filter(None, groups):
            # As stored, so that a merge never changes a bit of any vector.
            pages = [index.stored(key) for key in keys]
            written.append((write_segment(self._segments, self._tmp, pages, dtype=self.dtype), keys))
        with self._transaction() as db:
            for info, keys in written:
                _register(db, info)
                start = 0
                for key, count in zip(keys, info.page_rows, strict=True):
                    db.execute(
                        "UPDATE items SET segment = ?, row_start = ? WHERE key = ?", (info.id, start, key)
                    )
                    start += count
            db.execute(f"DELETE FROM segments WHERE id IN ({marks})", chosen)
        for name in chosen:
            segment_path(self._segments, name).unlink(missing_ok=True)
        sync_directory(self._segments)


def _checked_id(item: object) -> ItemId:
    if isinstance(item, np.integer):
        item = int(item)
    if isinstance(item, str):
        try:
            item.encode()
        except UnicodeEncodeError as error:
            raise UsageError(f"The id {item!r} is not valid Unicode.") from error
        return str(item)
    if isinstance(item, int) and not isinstance(item, bool) and -(2**63) <= item < 2**63:
        return int(item)
    raise UsageError(f"An id is a str or an int of 64 bits, not {item!r}.")


def _delete(db: sqlite3.Connection, items: Iterable[ItemId]) -> int:
    return sum(db.execute("DELETE FROM items WHERE id = ?", (item,)).rowcount for item in items)


def _register(db: sqlite3.Connection, info: SegmentInfo) -> None:
    db.execute("INSERT INTO segments VALUES (?, ?, ?)", (info.id, info.sha256, info.bytes))


@contextlib.contextmanager
def _translated(directory: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            raise StoreBusyError(f"{directory} is busy: try again in a moment.") from error
        raise StoreError(f"The catalog of {directory} can't be used: {error}. Check the disk.") from error
    except sqlite3.DatabaseError as error:
        raise CorruptionError(
            f"The catalog of {directory} is damaged: {error}. Restore it from a backup."
        ) from error
    except OSError as error:
        raise StoreError(f"{directory} can't be written: {error}. Check the disk.", code="storage") from error
