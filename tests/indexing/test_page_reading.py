"""Pages without text are read by the model where it can: stored, marked, searched, and read anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import select

from hydra_rag.errors import UsageError
from hydra_rag.geometry import Box
from hydra_rag.store import Store
from hydra_rag.store.models import PageRow
from hydra_rag.testing_fakes import FakeEmbedder
from hydra_rag.values import Word
from hydra_rag_indexing.collection import Collection
from hydra_rag_indexing.page_reading import file_ocr
from hydra_rag_indexing.pooling import Pooling
from tests.indexing import library
from tests.indexing.conftest import QUICK

Source = Callable[..., Path]


class ReadingEmbedder(FakeEmbedder):
    """Reads the same two words on every page and counts the pages."""

    def __init__(self, said: str = "gazebo", name: str = "fake") -> None:
        super().__init__(name=name)
        self.said, self.read = said, 0

    @property
    def can_read(self) -> bool:
        return True

    def read_pages(self, images: Sequence[Image.Image]) -> list[list[Word]]:
        self.read += len(images)
        return [[Word("the", Box(0, 0, 20, 10)), Word(self.said, Box(24, 0, 70, 10))] for _ in images]


@pytest.fixture(autouse=True)
def _scans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hydra_rag_indexing.files.load_pages", library.load_scans)


def _sources(store: Store) -> list[str | None]:
    with store.session() as db:
        return list(db.scalars(select(PageRow.text_source).order_by(PageRow.page_number)))


def test_only_pages_without_text_are_read(store: Store, source: Source) -> None:
    embedder = ReadingEmbedder()
    collection = Collection(store, lambda: embedder, settings=QUICK)
    [result] = collection.ingest([source("a.txt", pages=5, seed=1, words="layer")])
    assert result.status == "indexed"
    assert embedder.read == 2
    assert _sources(store) == ["layer", "model", "layer", "model", "layer"]
    assert {hit.page for hit in collection.search("gazebo", mode="text")} == {2, 4}
    assert result.document_id is not None
    words = collection.page_words(result.document_id, 2)
    assert [(w.text, tuple(w.box)) for w in words] == [("the", (0, 0, 20, 10)), ("gazebo", (24, 0, 70, 10))]
    assert collection.doctor().problems == []


@pytest.mark.parametrize("mode", ["never", "always"])
def test_not_where_it_is_not_wanted(store: Store, source: Source, mode: str) -> None:
    embedder = ReadingEmbedder()
    collection = Collection(store, lambda: embedder, settings=QUICK)
    collection.ingest([source("a.txt", pages=2)], ocr=mode)
    assert embedder.read == 0
    assert _sources(store) == ["layer", None]


def test_a_model_that_cannot_read_leaves_pages_without_text(store: Store, source: Source) -> None:
    collection = Collection(store, FakeEmbedder, settings=QUICK)
    collection.ingest([source("a.txt", pages=2)])
    assert _sources(store) == ["layer", None]


def test_pooled_vectors_are_read_all_the_same(store: Store, source: Source) -> None:
    embedder = Pooling("hierarchical", 2).applied(ReadingEmbedder())
    collection = Collection(store, lambda: embedder, settings=QUICK)
    collection.ingest([source("a.txt", pages=2)])
    assert _sources(store) == ["layer", "model"]


def test_another_model_reads_anew_and_leaves_text_layers_alone(store: Store, source: Source) -> None:
    Collection(store, FakeEmbedder, settings=QUICK).ingest([source("a.txt", pages=4, words="layer")])
    assert _sources(store) == ["layer", None, "layer", None]
    second = ReadingEmbedder("gazebo", name="second")
    collection = Collection(store, lambda: second, settings=QUICK)
    collection.reindex()
    assert _sources(store) == ["layer", "model", "layer", "model"]
    assert {hit.page for hit in collection.search("gazebo", mode="text")} == {2, 4}
    third = ReadingEmbedder("pergola", name="third")
    collection = Collection(store, lambda: third, settings=QUICK)
    collection.reindex()
    assert collection.search("gazebo", mode="text") == []
    assert {hit.page for hit in collection.search("pergola", mode="text")} == {2, 4}
    assert {hit.page for hit in collection.search("layer", mode="text")} == {1, 3}
    assert collection.doctor().problems == []


def test_unknown_modes_name_the_known_ones() -> None:
    assert [file_ocr(mode) for mode in ("auto", "always", "never", "model")] == [
        "auto",
        "always",
        "never",
        "never",
    ]
    with pytest.raises(UsageError, match="model"):
        file_ocr("sometimes")
