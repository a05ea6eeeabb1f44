"""What makes searches fast is built after changes, never by a search, and no fault of it harms anything."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hydra_rag.errors import MissingExtraError
from hydra_rag.store import Store
from hydra_rag.values import MultiVector
from hydra_rag_indexing import snapshot, tuning
from hydra_rag_indexing.collection import Collection
from hydra_rag_indexing.snapshots import Snapshots
from hydra_rag_indexing.stage_cache import save_stage
from tests.indexing.conftest import QUICK

DIM = 32


class Embedder:
    """Vectors that depend on the page's picture alone: five words of forty a page (``language``: which)."""

    fingerprint, dim = "f" * 64, DIM
    language = 0

    def embed_pages(self, images: list[Image.Image]) -> list[MultiVector]:
        return [self._vectors(int(np.asarray(image, np.int64).sum())) for image in images]

    def embed_queries(self, items: list[object]) -> list[MultiVector]:
        return [self._vectors(len(str(item))) for item in items]

    def _vectors(self, seed: int) -> MultiVector:
        random = np.random.default_rng(seed)
        words = np.random.default_rng(self.language).normal(size=(40, DIM))
        rows = words[random.choice(random.choice(40, 5), 30)] + 0.5 * random.normal(size=(30, DIM))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return MultiVector(rows.astype(np.float32), None)


@pytest.fixture
def collection(store: Store, monkeypatch: pytest.MonkeyPatch) -> Collection:
    monkeypatch.setattr(snapshot, "SCAN_ROWS", 300)
    monkeypatch.setattr(tuning, "_COUNTS", (5, 10, 20))
    monkeypatch.setattr(tuning, "_BATCH", 0)  # of vectors: more than these pages have
    monkeypatch.setattr(tuning, "TARGET", 0.3)
    monkeypatch.setattr(tuning, "ACCEPTED", 0.0)
    return Collection(store, Embedder, settings=QUICK)


def built(collection: Collection) -> bool:
    index = collection.snapshot()
    return index is not None and index.stage_bytes > 0


def test_built_after_ingest_compaction_and_reindex(
    collection: Collection, source: Callable[..., Path]
) -> None:
    collection.ingest([source("a.txt", 5)])
    assert not built(collection)  # few vectors are scanned
    collection.ingest([source("b.txt", 60, 1)])
    assert built(collection)
    index = collection.snapshot()
    assert index is not None
    query = Embedder().embed_queries(["?"])[0].vectors
    assert {k for k, _ in index.search(query, 5)} <= {k for k, _ in index.search(query, 65, exhaustive=True)}
    for change in (collection.compact, collection.reindex):
        for path in (collection.store.cache_dir / "search").glob("*/*"):
            path.unlink()
        collection.forget_snapshot()
        assert not built(collection)
        change()
        assert built(collection)


def test_another_process_finds_what_was_built(collection: Collection, source: Callable[..., Path]) -> None:
    collection.ingest([source("b.txt", 60, 1)])
    with Store.open(collection.store.directory) as store:
        other = Collection(store, Embedder)
        assert built(other)
        assert not other.maintain()


def test_what_another_has_built_is_taken_up(
    collection: Collection, source: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Collection, "maintain", lambda self: False)
        collection.ingest([source("b.txt", 60, 1)])
    assert not built(collection)
    assert Snapshots(collection.store, "default", "default").maintain()
    assert built(collection)
    query = Embedder().embed_queries(["?"])[0].vectors
    index = collection.snapshot()
    assert index is not None
    assert index is collection.snapshot()
    assert len(index.search(query, 5)) == 5


def test_searches_build_nothing(
    collection: Collection, source: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Collection, "maintain", lambda self: False)
    collection.ingest([source("b.txt", 60, 1)])
    monkeypatch.setattr("hydra_rag_indexing.page_lists.PageLists.train", None)
    hits = collection.search("words", k=5, mode="visual")
    assert len(hits) == 5
    assert not built(collection)


@pytest.mark.parametrize(
    "error", [MissingExtraError("no FAISS"), OSError("disk"), MemoryError(), RuntimeError("x")]
)
def test_what_goes_wrong_harms_nothing(
    collection: Collection,
    source: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("hydra_rag_indexing.page_lists.PageLists.train", fail)
    (result,) = collection.ingest([source("b.txt", 60, 1)])
    assert result.status == "indexed"
    assert "not made faster" in caplog.text
    assert len(collection.search("words", k=5, mode="visual")) == 5


def test_a_refusal_is_remembered_until_the_collection_has_grown(
    collection: Collection, source: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "TARGET", 1.1)
    collection.ingest([source("b.txt", 30, 1)])
    assert not built(collection)
    with Store.open(collection.store.directory) as store:
        index = Collection(store, Embedder).snapshot()
        assert index is not None
        assert not index.needs_optimize
    monkeypatch.setattr(tuning, "TARGET", 0.3)
    collection.ingest([source("c.txt", 10, 2)])
    assert not built(collection)
    collection.ingest([source("d.txt", 30, 3)])
    assert built(collection)


def test_searches_go_on_while_it_is_built(
    collection: Collection, source: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.ingest([source("b.txt", 60, 1)])
    entered, leave = threading.Event(), threading.Event()
    real = snapshot.VectorIndex.optimize

    def slow(self: snapshot.VectorIndex, **options: object) -> snapshot.VectorIndex:
        entered.set()
        assert leave.wait(60)
        return real(self)

    monkeypatch.setattr(snapshot.VectorIndex, "optimize", slow)
    monkeypatch.setattr(snapshot.VectorIndex, "needs_optimize", True)
    builder = threading.Thread(target=collection.maintain)
    builder.start()
    try:
        assert entered.wait(60)
        assert len(collection.search("words", k=5, mode="visual")) == 5
        assert not collection.maintain()  # one builds at a time
    finally:
        leave.set()
        builder.join()
    assert built(collection)


def test_new_pages_that_fit_badly_ask_for_training(
    collection: Collection, source: Callable[..., Path]
) -> None:
    collection.ingest([source("b.txt", 60, 1)])
    index = collection.snapshot()
    assert index is not None
    assert index._stage is not None
    assert not index.needs_optimize
    index._stage = index._stage.tuned(newest_fit=0.8 * index._stage.settings.fit)
    assert index.needs_optimize


@pytest.mark.parametrize("language", [0, 1])
def test_only_pages_of_another_kind_are_trained_for(
    collection: Collection, source: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, language: int
) -> None:
    """What a user does: many files of one kind, then as many of another; searches stay as good."""
    monkeypatch.setattr(snapshot, "_TAIL_ROWS", 100)
    monkeypatch.setattr(tuning, "_COUNTS", (10, 20, 30, 40, 60))
    monkeypatch.setattr(tuning, "TARGET", 0.95)
    embedder = Embedder()
    held = Collection(collection.store, lambda: embedder, settings=QUICK)
    held.ingest([source("a.txt", 90, 1)])
    before = held.snapshot()
    assert before is not None
    assert before._stage is not None
    embedder.language = language
    held.ingest([source("b.txt", 60, 2)])
    after = held.snapshot()
    assert after is not None
    assert after._stage is not None
    trained = after._stage.settings.trained_rows
    assert trained == (after.rows if language else before.rows)
    assert after.tail_rows == 0
    report = held.doctor()
    assert report.ok
    assert report.recall_estimate is not None
    assert report.recall_estimate >= 0.93


def test_doctor_finds_and_mends_a_search_that_misses_pages(
    collection: Collection, source: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.ingest([source("b.txt", 60, 1)])
    index = collection.snapshot()
    assert index is not None
    assert index._stage is not None
    assert index._cache_dir is not None
    bad = index._stage.tuned(share=-50.0, candidates=1, stretch=1.0)
    save_stage(index._cache_dir, bad, index._table)
    monkeypatch.setattr(tuning, "TARGET", 0.995)
    monkeypatch.setattr(tuning, "ACCEPTED", 0.97)
    with Store.open(collection.store.directory) as store:
        other = Collection(store, Embedder)  # another process that goes on running
        report = other.doctor()
        assert [problem.code for problem in report.problems] == ["recall"]
        assert report.recall_estimate is not None
        assert report.recall_estimate < 0.93
        assert [problem.code for problem in collection.doctor().problems] == ["recall"]
        mended = collection.doctor(repair=True)
        assert mended.ok
        assert [problem.code for problem in mended.repaired] == ["recall"]
        assert mended.recall_estimate is not None
        assert mended.recall_estimate >= 0.93
        assert other.doctor().to_json() == collection.doctor().to_json()
