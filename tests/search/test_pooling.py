"""Pooling: fewer vectors, the same places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hydra_rag_indexing.files.load as files_load
from hydra_rag.errors import FingerprintError, UsageError
from hydra_rag.geometry import Grid
from hydra_rag.store import Store
from hydra_rag.testing_fakes import FakeEmbedder
from hydra_rag.values import MultiVector
from hydra_rag_indexing.collection import Collection
from hydra_rag_indexing.pooling import Pooling, _ward
from tests.indexing.library import load_pages, page_image, write_source


def _page(rows: int, cols: int, seed: int = 0, kinds: int = 4) -> MultiVector:
    """Left half of one kind, the rest mixed."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(kinds, 24))
    kind = rng.integers(0, kinds, rows * cols)
    kind[(np.arange(rows * cols) % cols) < cols // 2] = 0
    vectors = centres[kind] + 0.1 * rng.normal(size=(rows * cols, 24))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    grid = Grid(rows, cols)
    return MultiVector(vectors.astype(np.float32), np.array(grid.boxes(cols * 10, rows * 10)), grid)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 8),
    cols=st.integers(1, 8),
    seed=st.integers(0, 99),
    factor=st.floats(1, 9),
    method=st.sampled_from(["hierarchical", "apet"]),
)
def test_shape_and_boxes(rows: int, cols: int, seed: int, factor: float, method: str) -> None:
    page = _page(rows, cols, seed)
    pooled = Pooling.parse(f"{method}:{factor}")(page)
    assert len(pooled) == int(np.ceil(len(page) / factor))
    assert np.linalg.norm(pooled.vectors, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert pooled.boxes is not None
    left, top, right, bottom = pooled.boxes.T
    assert ((left >= 0) & (top >= 0) & (right <= cols * 10) & (bottom <= rows * 10)).all()
    assert ((right > left) & (bottom > top)).all()
    again = Pooling.parse(f"{method}:{factor}")(page)
    assert np.array_equal(pooled.vectors, again.vectors)


def test_hierarchical_joins_what_is_alike_and_touches() -> None:
    grid = Grid(6, 8)
    rng = np.random.default_rng(0)
    vectors = np.eye(24)[[0 if i % 8 < 4 else 1 for i in range(48)]] + 0.01 * rng.normal(size=(48, 24))
    page = MultiVector(vectors.astype(np.float32), np.array(grid.boxes(80, 60)), grid)
    pooled = Pooling("hierarchical", 24.0)(page)
    assert pooled.boxes is not None
    assert sorted(pooled.boxes.tolist()) == [[0, 0, 40, 60], [40, 0, 80, 60]]
    covered = np.zeros((60, 80), bool)
    for left, top, right, bottom in pooled.boxes:
        covered[top:bottom, left:right] = True
    assert covered.all()


def test_ward_equals_the_plain_way() -> None:
    rng = np.random.default_rng(4)
    vectors = rng.normal(size=(24, 5)).astype(np.float32)
    groups = [[i] for i in range(24)]
    while len(groups) > 6:
        best = None
        for i in range(len(groups)):
            for j in range(i + 1, len(groups)):
                a, b = vectors[groups[i]].astype(float), vectors[groups[j]].astype(float)
                gap = ((a.mean(0) - b.mean(0)) ** 2).sum() * len(a) * len(b) / (len(a) + len(b))
                if best is None or gap < best[0]:
                    best = (gap, i, j)
        assert best is not None
        groups[best[1]] += groups.pop(best[2])
    member = _ward(vectors, None, 6)
    found = {tuple(np.flatnonzero(member == m).tolist()) for m in set(member.tolist())}
    assert found == {tuple(sorted(g)) for g in groups}


def test_separate_pieces_still_reach_the_target() -> None:
    page = _page(4, 4)
    assert page.boxes is not None
    apart = MultiVector(page.vectors, page.boxes * 3)
    assert len(Pooling("hierarchical", 8.0)(apart)) == 2


def test_apet_keeps_what_is_rare() -> None:
    page = _page(10, 10, kinds=1)
    vectors = page.vectors.copy()
    vectors[37] = np.eye(24)[3]
    pooled = Pooling("apet", 5.0)(MultiVector(vectors, page.boxes, page.grid))
    assert (pooled.vectors @ vectors[37]).max() > 0.999
    assert pooled.boxes is not None
    assert page.boxes is not None
    assert page.boxes[37].tolist() in pooled.boxes.tolist()


def test_names() -> None:
    assert Pooling.parse("none").name == Pooling("apet").name == "none"
    assert Pooling.parse("apet:2").name == "apet:2"
    assert Pooling.parse(Pooling("hierarchical", 2.5).name) == Pooling("hierarchical", 2.5)
    page = _page(2, 2)
    assert Pooling()(page) is page
    assert Pooling("apet", 2.0)(MultiVector(page.vectors)).boxes is None
    for name in ("median:2", "apet:x", "apet:0.5", "apet:nan"):
        with pytest.raises(UsageError):
            Pooling.parse(name)


def test_the_setting_is_part_of_the_fingerprint() -> None:
    model = FakeEmbedder()
    pooled = Pooling.parse("apet:2").applied(model)
    assert pooled.fingerprint == f"{model.fingerprint}+apet:2"
    assert Pooling.of(pooled.fingerprint).name == "apet:2"
    assert Pooling.of(model.fingerprint).name == Pooling.of(None).name == "none"
    assert Pooling.parse("none").applied(model) is model
    [page], [plain] = (e.embed_pages([page_image(1, 1)]) for e in (pooled, model))
    assert len(page) == (len(plain) + 1) // 2
    [one], [other] = (e.embed_queries(["a few words"]) for e in (pooled, model))
    assert np.array_equal(one.vectors, other.vectors)


def test_a_collection_keeps_its_pooling_until_it_is_reindexed(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(files_load, "load_pages", load_pages)
    source = write_source(tmp_path / "a.txt", 2, 1, "word1")

    def vectors(collection: Collection) -> int:
        [document] = collection.documents()
        return len(collection.page_vectors(document.document_id, 1))

    with Store.open(tmp_path / "store") as store:
        plain = len(FakeEmbedder().embed_pages([page_image(1, 1)])[0])
        [made] = Collection(store, FakeEmbedder, pooling="hierarchical:2").ingest([source])
        assert made.error is None
        later = Collection(store, FakeEmbedder)  # no setting: as stored
        later.embedder()
        assert vectors(later) == (plain + 1) // 2
        [hit, *_] = later.search(page_image(1, 1), mode="visual")
        assert (hit.page, bool(hit.regions)) == (1, True)
        for other in ("none", "apet:2"):
            with pytest.raises(FingerprintError, match="stored with pooling 'hierarchical:2', not"):
                Collection(store, FakeEmbedder, pooling=other).search("word1", mode="visual")
        assert Collection(store, FakeEmbedder, pooling="none").reindex() == 2
        assert vectors(Collection(store, FakeEmbedder)) == plain
