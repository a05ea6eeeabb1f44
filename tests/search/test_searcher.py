"""Search in a store: modes, filters, and SQL's last word."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hydra_rag.errors import UsageError
from hydra_rag.geometry import Grid
from hydra_rag.maxsim import maxsim
from hydra_rag.nearby import nearby_score
from hydra_rag.store.documents import get_page
from hydra_rag.store.models import DocumentRow
from hydra_rag.store.store import Store
from hydra_rag.values import MultiVector
from hydra_rag_indexing.search import Filters, Hit, Searcher
from hydra_rag_indexing.segments import write_segment
from hydra_rag_indexing.snapshot import PageRef, VectorIndex
from hydra_rag_indexing.text import index_page_text

from .conftest import add_document

DIM = 64


class World:
    """Three documents of the default tenant, one of another; all with vectors in one snapshot."""

    def __init__(self, store: Store) -> None:
        self.store = store
        rng = np.random.default_rng(5)
        self.keys: dict[str, list[int]] = {}
        with store.write() as db:
            for name, options in {
                "a": {},
                "b": {"media_type": "image/png"},
                "c": {},
                "x": {"tenant": "else"},
                "y": {"collection": "other"},
            }.items():
                self.keys[name] = add_document(db, name, 40, **options)
                for i, key in enumerate(self.keys[name]):
                    value = f"page {i} of {name}" + (" turbine" if i == 7 else "")
                    index_page_text(db, key, options.get("tenant", "default"), value)
        every = [k for keys in self.keys.values() for k in keys]
        pages = [rng.normal(size=(6, DIM)).astype(np.float16) for _ in every]
        self.vectors = dict(zip(every, pages, strict=True))
        boxes = [np.array([[x, y, x + 10, y + 10] for y in (0, 10, 20) for x in (0, 10)])] * len(every)
        info = write_segment(store.segments_dir, store.tmp_dir, pages, boxes=boxes)
        refs = [PageRef(k, info.id, 6 * i, 6) for i, k in enumerate(every)]
        # A snapshot that knows more than the tenant may see: only SQL keeps the rest away.
        self.index = VectorIndex.build(store.segments_dir, refs, DIM)
        self.query = MultiVector(rng.normal(size=(4, DIM)).astype(np.float32))
        self.searcher = Searcher(store, "default", "default", lambda: self.index)

    def best(self, keys: list[int], k: int) -> list[int]:
        return sorted(keys, key=lambda key: (-maxsim(self.query.vectors, self.vectors[key]), key))[:k]

    @property
    def visible(self) -> list[int]:
        return [k for name in "abc" for k in self.keys[name]]


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


def _keys(hits: list[Hit]) -> list[int]:
    assert [h.rank for h in hits] == list(range(1, len(hits) + 1))
    return [h.page_key for h in hits]


def test_visual_equals_brute_force_over_what_the_tenant_sees(world: World) -> None:
    hits = world.searcher.search(vectors=world.query, mode="visual", k=10)
    assert _keys(hits) == world.best(world.visible, 10)
    assert hits[0].sources == {"visual": {"rank": 1, "score": hits[0].score}}
    assert all(len(h.regions) >= 1 and h.regions[0].box.right <= 60 for h in hits)
    assert len(world.searcher.search(vectors=world.query, mode="visual", k=1000)) == 120


def test_what_matches_in_one_place_counts_where_the_query_says_so(world: World) -> None:
    asks = replace(world.query, nearby=0.5)

    def score(key: int) -> float:
        page = MultiVector(world.vectors[key], grid=Grid(3, 2))
        return maxsim(asks.vectors, page.vectors) + 0.5 * (nearby_score(asks, page) or 0.0)

    expected = sorted(world.best(world.visible, 50), key=lambda key: (-score(key), key))[:5]
    hits = world.searcher.search(vectors=asks, mode="visual", k=5)
    assert _keys(hits) == expected != world.best(world.visible, 5)
    assert hits[0].score == pytest.approx(score(expected[0]), abs=1e-3)


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        (Filters(documents=["b"]), lambda w: w.keys["b"]),
        (Filters(documents=[]), lambda w: []),
        (Filters(documents=["x", "c"]), lambda w: w.keys["c"]),
        (Filters(pages=(3, 5)), lambda w: [k for n in "abc" for k in w.keys[n][2:5]]),
        (Filters(media_types=["image/png"]), lambda w: w.keys["b"]),
        (Filters(documents=["a", "b"], pages=(1, 1)), lambda w: [w.keys["a"][0], w.keys["b"][0]]),
        (Filters(documents=[*map(str, range(300_000)), "c"]), lambda w: w.keys["c"]),
        (Filters(pages=(39, 10**30)), lambda w: [k for n in "abc" for k in w.keys[n][38:]]),
    ],
)
def test_filters_keep_recall(world: World, filters: Filters, kept: object) -> None:
    expected = kept(world)  # type: ignore[operator]
    hits = world.searcher.search(vectors=world.query, mode="visual", k=10, filters=filters)
    assert _keys(hits) == world.best(expected, 10)
    hits = world.searcher.search(text="page", mode="text", k=500, filters=filters)
    assert sorted(_keys(hits)) == sorted(expected)


def test_pages_that_sql_no_longer_has_leave_no_gap(world: World) -> None:
    with world.store.write() as db:
        db.delete(db.get(DocumentRow, "a"))
    expected = world.best(world.keys["b"] + world.keys["c"], 10)
    assert _keys(world.searcher.search(vectors=world.query, mode="visual", k=10)) == expected
    hits = world.searcher.search(text="turbine", vectors=world.query, k=500)
    assert {h.document_id for h in hits} == {"b", "c"}


def test_hybrid_fuses_both(world: World) -> None:
    hits = world.searcher.search(text="turbine", vectors=world.query, k=10)
    found = {h.page_key for h in hits}
    assert {world.keys[n][7] for n in "abc"} <= found
    assert world.best(world.visible, 1)[0] in found
    assert hits == world.searcher.search(text="turbine", vectors=world.query, k=10)
    both = world.searcher.search(text="turbine", vectors=world.query, k=500)
    assert len(both) >= 50
    only_text = world.searcher.search(text="turbine", k=10)
    assert {h.document for h in only_text} == {"a", "b", "c"}
    assert all(set(h.sources) == {"text"} and h.page == 8 for h in only_text)


def test_without_vectors_in_the_collection(world: World) -> None:
    empty = Searcher(world.store, "default", "default", lambda: None)
    assert empty.search(vectors=world.query, mode="visual") == []
    assert len(empty.search(text="turbine", vectors=world.query)) == 3


def test_modes_need_what_they_need(world: World) -> None:
    for arguments in (
        {"mode": "visual", "text": "a"},
        {"mode": "text", "vectors": world.query},
        {"mode": "hybrid"},
        {"mode": "sideways", "text": "a"},
    ):
        with pytest.raises(UsageError):
            world.searcher.search(**arguments)  # type: ignore[arg-type]
    assert world.searcher.search(text="turbine", k=0) == []
    assert len(world.searcher.search(text="turbine", vectors=world.query, k=10**30)) == 120


def test_what_no_store_can_hold_is_a_usage_error(store: Store) -> None:
    for tenant, page in (("a", 10**30), ("\ud800", 1)):
        with pytest.raises(UsageError, match="nothing like that"):
            get_page(store, tenant, "default", "a", page)
