"""A store, sources with known pages, collections with a fake model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hydra_rag.store import Store
from hydra_rag.testing_fakes import FakeEmbedder
from hydra_rag_indexing.collection import Collection
from hydra_rag_indexing.pipeline import Settings
from tests.indexing import library

QUICK = Settings(
    embed_pages=2, segment_pages=4, segment_seconds=60.0, retry_seconds=0.0, min_free_bytes=0, attempts=2
)


@pytest.fixture(autouse=True)
def _known_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hydra_rag_indexing.files.load.load_pages", library.load_pages)


@pytest.fixture
def store(store_dir: Path) -> Iterator[Store]:
    with Store.open(store_dir) as opened:
        yield opened


@pytest.fixture
def embedder() -> FakeEmbedder:
    return FakeEmbedder()


@pytest.fixture
def collection(store: Store, embedder: FakeEmbedder) -> Collection:
    return Collection(store, lambda: embedder, model="fake", settings=QUICK)


@pytest.fixture
def source(tmp_path: Path) -> Callable[..., Path]:
    """``source(name, pages, seed, words)`` writes a source file."""

    def make(name: str, pages: int = 1, seed: int = 0, words: str = "") -> Path:
        return library.write_source(tmp_path / "sources" / name, pages, seed, words)

    return make
