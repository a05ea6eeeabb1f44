"""What is attacked: ingest, replace, remove, compact, reindex; each step acknowledged in a file outside.

Every step can be run again; a second run skips what was acknowledged.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import hydra_rag_indexing.files.load
from hydra_rag.store import Store
from hydra_rag.testing_fakes import FakeEmbedder
from hydra_rag_indexing.collection import Collection
from hydra_rag_indexing.pipeline import Settings
from tests.indexing import library

QUICK = Settings(
    embed_pages=2, segment_pages=2, segment_seconds=60.0, retry_seconds=0.0, min_free_bytes=0, attempts=1
)


@dataclass(frozen=True)
class Step:
    """``after``: documents that are visible once the step is done: name -> (seed, pages); and the model."""

    name: str
    after: dict[str, tuple[int, int]]
    model: str
    do: Callable[[Path, Path], None]


def embedder(name: str) -> FakeEmbedder:
    return FakeEmbedder(16 if name == "one" else 24, name=name)


def _collection(store: Path, model: str = "one") -> Collection:
    made = embedder(model)
    return Collection(Store.open(store), lambda: made, fingerprint=made.fingerprint, settings=QUICK)


def _ingest(name: str, pages: int, seed: int, model: str = "one") -> Callable[[Path, Path], None]:
    def do(store: Path, sources: Path) -> None:
        path = library.write_source(sources / name, pages, seed, f"word{seed}")
        collection = _collection(store, model)
        [result] = collection.ingest([path])
        collection.store.close()
        if result.error is not None:
            raise OSError(result.error.message)

    return do


def _remove(name: str) -> Callable[[Path, Path], None]:
    def do(store: Path, _sources: Path) -> None:
        collection = _collection(store)
        ids = [d.document_id for d in collection.documents() if d.document == name]
        if ids:
            collection.remove(ids)
        collection.store.close()

    return do


def _compact(store: Path, _sources: Path) -> None:
    collection = _collection(store)
    collection.compact(purge=True)
    collection.store.close()


def _reindex(store: Path, _sources: Path) -> None:
    collection = _collection(store, "two")
    collection.reindex()
    collection.store.close()


STEPS = (
    Step("ingest a", {"a.txt": (1, 5)}, "one", _ingest("a.txt", 5, 1)),
    Step("ingest b", {"a.txt": (1, 5), "b.txt": (2, 1)}, "one", _ingest("b.txt", 1, 2)),
    Step("replace a", {"a.txt": (3, 3), "b.txt": (2, 1)}, "one", _ingest("a.txt", 3, 3)),
    Step("ingest c", {"a.txt": (3, 3), "b.txt": (2, 1), "c.txt": (4, 2)}, "one", _ingest("c.txt", 2, 4)),
    Step("remove b", {"a.txt": (3, 3), "c.txt": (4, 2)}, "one", _remove("b.txt")),
    Step("compact", {"a.txt": (3, 3), "c.txt": (4, 2)}, "one", _compact),
    Step("reindex", {"a.txt": (3, 3), "c.txt": (4, 2)}, "two", _reindex),
    Step(
        "ingest d", {"a.txt": (3, 3), "c.txt": (4, 2), "d.txt": (5, 1)}, "two", _ingest("d.txt", 1, 5, "two")
    ),
)


def run(root: Path, until: int | None = None) -> None:
    """The steps before ``until`` not yet acknowledged, in ``root`` (``store``, ``sources``, ``acks``)."""
    hydra_rag_indexing.files.load.load_pages = library.load_pages  # type: ignore[assignment]
    for step in STEPS[acknowledged(root) : until]:
        step.do(root / "store", root / "sources")
        handle = os.open(root / "acks", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(handle, f"{step.name}\n".encode())
        os.close(handle)


def acknowledged(root: Path) -> int:
    path = root / "acks"
    return len(path.read_text().splitlines()) if path.exists() else 0
