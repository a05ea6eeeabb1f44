"""A self-contained index for multi-vectors: a folder, no model, no documents.

The folder holds ``catalog.db`` (SQLite: what exists), ``segments/`` (immutable vectors), ``cache/``
(deletable) and ``tmp/``. A change is: write and sync the segment file, then one SQLite commit. A process that
dies leaves at most files that nothing refers to; the next writer removes them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from hydra_rag.errors import CorruptionError, HydraError, NotFoundError, StoreError, UsageError
from hydra_rag.values import FloatArray
from hydra_rag_indexing.building import checked
from hydra_rag_indexing.catalog import Catalog, ItemId, translated
from hydra_rag_indexing.segments import SegmentInfo, open_segment, segment_path, sync_directory, write_segment
from hydra_rag_indexing.snapshot import PageList, VectorIndex

__all__ = ["MultiVectorIndex"]

log = logging.getLogger(__name__)

_SMALL_BYTES = 16 << 20
_MAX_SMALL = 128  # so many small segments are merged by the add that makes one more
_MANY_ROWS = 4096  # added vectors after which the first stage is looked at
_MERGED_ELEMENTS = 512 << 20  # numbers in a merged segment


class MultiVectorIndex:
    """Vectors of items, searched by exact MaxSim. Safe between threads and between processes.

    ``directory`` is made if needed; ``dim`` and ``dtype`` ("float16" or "float32", how vectors are stored)
    must be those it was made with (``FingerprintError``). ``first_stage``: what :meth:`optimize` builds,
    ``"lists"``, ``"product"`` or ``"none"`` (see :mod:`hydra_rag_indexing.building`).
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        dim: int,
        dtype: str = "float16",
        *,
        first_stage: str = "lists",
    ) -> None:
        if dim < 1 or dtype not in ("float16", "float32"):
            raise UsageError(f"dim must be at least 1 and dtype float16 or float32, not {dim!r}, {dtype!r}.")
        self.directory, self.dim, self.dtype = Path(directory).absolute(), int(dim), dtype
        self._segments, self._tmp = self.directory / "segments", self.directory / "tmp"
        self._cache = self.directory / "cache"
        self._lock = threading.RLock()
        try:
            for folder in (self._segments, self._tmp, self._cache):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{self.directory} can't be used: {error}. Choose another folder.") from error
        with translated(self.directory):
            self._catalog = Catalog(self.directory, self.dim, dtype)
        self._added = 0  # vectors since the first stage was last looked at
        self._version = -1  # of the catalog as loaded; -1 after changes of our own
        # What is known of the catalog: its pages, the last removal, the count of moves (-1: nothing).
        self._pages, self._removals, self._moves = PageList.from_rows([]), 0, -1
        self._ids: dict[int, ItemId] = {}  # also of items that were removed since it was read whole
        self._keys: dict[ItemId, int] = {}
        self._index = VectorIndex.build(self._segments, [], self.dim, self._cache, checked(first_stage))
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
            with self._changing():
                self._catalog.delete(last)
                self._catalog.insert(info, last)
            if self._catalog.count_segments(_SMALL_BYTES) > _MAX_SMALL:
                self._merge(small_only=True)
            self._added += info.rows
        self._extend()

    def remove(self, ids: Iterable[ItemId]) -> int:
        """Forget these items; unknown ids are fine. Returns how many there were."""
        wanted = [_checked_id(item) for item in ids]
        with self._writing(), self._changing():
            return self._catalog.delete(wanted)

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
        self._build(VectorIndex.optimize)

    def verify(self) -> None:
        """Read everything and compare every checksum. Raises ``CorruptionError``."""
        with self._lock, translated(self.directory):
            segments = self._catalog.segments()
        for name, sha256, size, _ in segments:
            open_segment(segment_path(self._segments, name), expected_bytes=size).verify(sha256)

    def __len__(self) -> int:
        return len(self._current()[0])

    def __contains__(self, item: object) -> bool:
        with self._lock:
            self._current()
            return isinstance(item, int | str) and item in self._keys

    def close(self) -> None:
        """Release the catalog; idempotent."""
        with self._lock:
            self._catalog.close()

    def __enter__(self) -> MultiVectorIndex:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _current(self) -> tuple[VectorIndex, dict[int, ItemId]]:
        with self._lock, translated(self.directory):
            if self._catalog.version() != self._version:
                self._reload()
            return self._index, self._ids

    def _reload(self) -> None:
        """Read what has changed in the catalog; all of it when items have moved."""
        for attempt in range(3):
            version = self._catalog.version()
            with self._catalog.transaction("DEFERRED"):
                moves = self._catalog.moves()
                whole = moves != self._moves
                removed = self._catalog.removed(self._removals)
                last = -1 if whole or not len(self._pages) else int(self._pages.keys[-1])
                items = self._catalog.items(last)
            gone = [key for _, key in removed]
            rows = [(key, segment, start, count) for key, _, segment, start, count in items]
            if whole:
                pages = PageList.from_rows(rows)
            else:
                pages = (self._pages.without(gone) if gone else self._pages).with_rows(rows)
            try:
                self._index = self._index.refresh(pages)
                break
            except CorruptionError:
                # A segment may have been merged away between reading the catalog and opening the file.
                if attempt == 2 or self._catalog.version() == version:
                    raise
        if whole:
            self._ids, self._keys = {}, {}
        for key in gone:
            if self._keys.get(self._ids.get(key, "")) == key:
                del self._keys[self._ids[key]]
        self._ids.update((key, item) for key, item, *_ in items)
        self._keys.update((item, key) for key, item, *_ in items)
        self._pages, self._moves, self._version = pages, moves, version
        self._removals = max([self._removals, *(number for number, _ in removed)])

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock, translated(self.directory), self._catalog.writer():
            self._sweep()
            yield

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """One commit; the snapshot is loaded again when it is next needed."""
        with self._catalog.transaction():
            yield
        self._version = -1

    def _extend(self) -> None:
        """Put new items into the first stage once they are many: by whoever adds them, never by a search."""
        if self._added < _MANY_ROWS or not self._index.stage_bytes:
            return
        self._added = 0
        try:
            self._build(VectorIndex.extend)
        except (HydraError, OSError, MemoryError, RuntimeError) as error:
            # They are stored, and found without.
            log.warning("The search of %s was not made faster: %s", self.directory, error)

    def _build(self, build: Callable[[VectorIndex], VectorIndex]) -> None:
        index, _ = self._current()
        built = build(index)
        if built is not index:
            with self._lock:
                # Items may have come or gone meanwhile: then the cache has what was built.
                self._index = built if self._index is index else self._index.reread()

    def _sweep(self) -> None:
        """Remove files of writers that died. Only called by the one writer."""
        named = {name for name, *_ in self._catalog.segments()}
        for path in (*self._tmp.iterdir(), *self._segments.iterdir()):
            if path.parent == self._tmp or path.stem not in named:
                path.unlink(missing_ok=True)

    def _merge(self, *, small_only: bool) -> None:
        """Rewrite segments into fewer. Items keep their keys; readers keep the old files open."""
        row_bytes = self.dim * np.dtype(self.dtype).itemsize + 16
        rows = self._catalog.segments()
        small = {name for name, _, size, _ in rows if size < _SMALL_BYTES}
        wasteful = {name for name, _, size, live in rows if live * row_bytes < 0.8 * (size - 4096)}
        chosen = small if small_only else small | wasteful
        if not chosen or (len(chosen) == 1 and not chosen & wasteful):
            return
        index, _ = self._current()
        limit = max(1, _MERGED_ELEMENTS // self.dim)
        groups: list[list[int]] = [[]]
        filled = 0
        for key, _, segment, _, count in self._catalog.items():
            if segment not in chosen:
                continue
            if groups[-1] and filled + count > limit:
                groups.append([])
                filled = 0
            groups[-1].append(key)
            filled += count
        written: list[tuple[SegmentInfo, list[int]]] = []
        for keys in filter(None, groups):
            # As stored, so that a merge never changes a bit of any vector.
            pages = [index.stored(key) for key in keys]
            written.append((write_segment(self._segments, self._tmp, pages, dtype=self.dtype), keys))
        with self._changing():
            for info, keys in written:
                self._catalog.move(info, keys)
            self._catalog.drop_segments(sorted(chosen))
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
