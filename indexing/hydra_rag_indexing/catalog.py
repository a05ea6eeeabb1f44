"""The SQLite catalog of a :class:`MultiVectorIndex`: which items exist and in which segment they lie.

Not the project's store: an index on its own needs no documents, tenants or migrations.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from hydra_rag.errors import CorruptionError, FingerprintError, StoreBusyError, StoreError, UsageError
from hydra_rag_indexing.segments import SegmentInfo

__all__ = ["Catalog", "ItemId", "translated"]

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
#: Keys of items as they were removed, so that who knows the rest need not read it again.
_REMOVED = """
CREATE TABLE IF NOT EXISTS removed (number INTEGER PRIMARY KEY AUTOINCREMENT, key INTEGER NOT NULL)
"""


class Catalog:
    """One connection, used under the owner's lock. Raises ``FingerprintError`` for another dim or dtype,
    ``CorruptionError`` when there are segments and no catalog that names them."""

    def __init__(self, directory: Path, dim: int, dtype: str) -> None:
        self._directory = directory
        self._closed = False
        self._db = sqlite3.connect(
            directory / "catalog.db", timeout=30.0, isolation_level=None, check_same_thread=False
        )
        try:
            # A rollback journal: no shared memory, and EXTRA makes the end of a commit durable too.
            self._db.execute("PRAGMA journal_mode=DELETE")
            self._db.execute("PRAGMA synchronous=EXTRA")
            self._db.execute("PRAGMA foreign_keys=ON")
            found = self._create(dim, dtype)
        except BaseException:
            self._db.close()
            raise
        if found.get("dim") != str(dim) or found.get("dtype") != dtype:
            self._db.close()
            raise FingerprintError(
                f"{directory} holds vectors of {found.get('dim')} dimensions as {found.get('dtype')}:"
                " open it with those, or choose another folder."
            )

    @property
    def db(self) -> sqlite3.Connection:
        if self._closed:
            raise UsageError("This index is closed: open it again.")
        return self._db

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._db.close()

    def version(self) -> int:
        """Changes when another connection has committed (not with commits of this one)."""
        return int(self.db.execute("PRAGMA data_version").fetchone()[0])

    def items(self, after: int = -1) -> list[tuple[int, ItemId, str, int, int]]:
        """(key, id, segment, first row, rows) of every item with a key above ``after``, by key."""
        return self.db.execute(
            "SELECT key, id, segment, row_start, row_count FROM items WHERE key > ? ORDER BY key", (after,)
        ).fetchall()

    def removed(self, after: int) -> list[tuple[int, int]]:
        """(number of the removal, key) of every item removed since the one with this number."""
        return self.db.execute("SELECT number, key FROM removed WHERE number > ?", (after,)).fetchall()

    def moves(self) -> int:
        """Counts up when items move to other segments."""
        row = self.db.execute("SELECT value FROM meta WHERE name = 'moves'").fetchone()
        return 0 if row is None else int(row[0])

    def segments(self) -> list[tuple[str, str, int, int]]:
        """(id, sha256, bytes, live rows) of every segment."""
        return self.db.execute(
            "SELECT s.id, s.sha256, s.bytes, coalesce(sum(i.row_count), 0)"
            " FROM segments s LEFT JOIN items i ON i.segment = s.id GROUP BY s.id"
        ).fetchall()

    def count_segments(self, smaller_than: int) -> int:
        row = self.db.execute("SELECT count(*) FROM segments WHERE bytes < ?", (smaller_than,)).fetchone()
        return int(row[0])

    @contextlib.contextmanager
    def transaction(self, kind: str = "IMMEDIATE") -> Iterator[None]:
        """``DEFERRED``: only to read several things of one moment."""
        self.db.execute(f"BEGIN {kind}")
        try:
            yield
            self.db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self.db.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def writer(self) -> Iterator[None]:
        """One writer at a time, over all processes; others wait."""
        handle = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def insert(self, info: SegmentInfo, items: Iterable[ItemId]) -> None:
        """Register a segment and one new item for each of its pages. Inside a transaction."""
        self._register(info)
        start = 0
        for item, count in zip(items, info.page_rows, strict=True):
            self.db.execute(
                "INSERT INTO items (id, segment, row_start, row_count) VALUES (?, ?, ?, ?)",
                (item, info.id, start, count),
            )
            start += count

    def move(self, info: SegmentInfo, keys: Iterable[int]) -> None:
        """Register a segment whose pages are those of items that exist. Inside a transaction."""
        self._register(info)
        start = 0
        for key, count in zip(keys, info.page_rows, strict=True):
            self.db.execute(
                "UPDATE items SET segment = ?, row_start = ? WHERE key = ?", (info.id, start, key)
            )
            start += count
        self.db.execute("REPLACE INTO meta VALUES ('moves', ?)", (str(self.moves() + 1),))
        self.db.execute("DELETE FROM removed")  # everybody reads everything anew

    def delete(self, items: Iterable[ItemId]) -> int:
        """Forget items; returns how many there were. Inside a transaction."""
        count = 0
        for item in items:
            self.db.execute("INSERT INTO removed (key) SELECT key FROM items WHERE id = ?", (item,))
            count += self.db.execute("DELETE FROM items WHERE id = ?", (item,)).rowcount
        return count

    def drop_segments(self, names: Sequence[str]) -> None:
        self.db.executemany("DELETE FROM segments WHERE id = ?", [(name,) for name in names])

    def _register(self, info: SegmentInfo) -> None:
        self.db.execute("INSERT INTO segments VALUES (?, ?, ?)", (info.id, info.sha256, info.bytes))

    def _create(self, dim: int, dtype: str) -> dict[str, str]:
        with self.transaction():
            if not self.db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
                # The catalog comes before the first segment; without it the next writer would sweep them.
                if any((self._directory / "segments").glob("*.safetensors")):
                    raise CorruptionError(
                        f"{self._directory} holds vectors, but its catalog.db is missing or empty: put it "
                        "back from a backup, or choose another folder."
                    )
                for statement in _SCHEMA.split(";\n"):
                    self.db.execute(statement)
                settings = {"format": "1", "dim": str(dim), "dtype": dtype}
                self.db.executemany("INSERT INTO meta VALUES (?, ?)", settings.items())
            self.db.execute(_REMOVED)
            return dict(self.db.execute("SELECT name, value FROM meta").fetchall())


@contextlib.contextmanager
def translated(directory: Path) -> Iterator[None]:
    """Turn the driver's and the system's errors into the project's."""
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
        raise StoreError(f"{directory} can't be used: {error}. Check the disk.", code="storage") from error
