"""The snapshot against brute force, and under change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hydra_rag.errors import CorruptionError, FingerprintError, NotFoundError, UsageError
from hydra_rag.maxsim import maxsim_reference
from hydra_rag_indexing.segments import write_segment
from hydra_rag_indexing.snapshot import PageRef, VectorIndex


def put(folder: Path, pages: list[np.ndarray], first_key: int, dtype: str = "float16") -> list[PageRef]:
    info = write_segment(folder, folder, pages, dtype=dtype)
    starts = np.concatenate([[0], np.cumsum(info.page_rows)])
    return [PageRef(first_key + i, info.id, int(starts[i]), n) for i, n in enumerate(info.page_rows)]


def brute(query: np.ndarray, stored: dict[int, np.ndarray], k: int) -> list[tuple[int, float]]:
    scores = {key: float(np.float32(maxsim_reference(query, page))) for key, page in stored.items()}
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:k]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32 - 1),
    dim=st.sampled_from([64, 128, 2560]),
    dtype=st.sampled_from(["float16", "float32"]),
    batches=st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=6), min_size=1, max_size=4),
    sign=st.sampled_from([0, -1]),
    k=st.integers(1, 30),
)
def test_hits_equal_brute_force(
    tmp_path: Path, seed: int, dim: int, dtype: str, batches: list[list[int]], sign: int, k: int
) -> None:
    rng = np.random.default_rng(seed)
    query = rng.normal(size=(int(rng.integers(1, 20)), dim)).astype(np.float32)
    query = np.abs(query) if sign else query
    refs: list[PageRef] = []
    stored: dict[int, np.ndarray] = {}
    for lengths in batches:
        pages = [rng.normal(size=(n, dim)).astype(np.float32) for n in lengths]
        pages = [-np.abs(p) if sign else p for p in pages] + [pages[0]] * int(rng.integers(0, 3))
        pages = [-np.abs(p) if sign else p for p in pages]
        new = put(tmp_path, pages, 7 + len(refs), dtype)
        refs += new
        stored |= {r.key: p.astype(dtype) for r, p in zip(new, pages, strict=True)}
    order = rng.permutation(len(refs))
    index = VectorIndex.build(tmp_path, [refs[i] for i in order], dim, None)
    assert index.search(query, k) == brute(query, stored, k)
    allowed = {r.key for r in refs if rng.random() < 0.5} | {10**9}
    some = {key: page for key, page in stored.items() if key in allowed}
    assert index.search(query, k, allowed=allowed) == brute(query, some, k)
    gone = {r.key for r in refs if rng.random() < 0.3}
    kept = [r for r in refs if r.key not in gone]
    after = index.refresh(kept)
    never = VectorIndex.build(tmp_path, kept, dim, None)
    assert after.search(query, k) == never.search(query, k)
    assert after.refresh(refs).search(query, k) == index.search(query, k)


def test_vectors_and_boxes_come_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pages = [rng.normal(size=(n, 8)).astype(np.float32) for n in (3, 5)]
    boxes = [np.arange(12).reshape(3, 4), np.arange(20).reshape(5, 4)]
    info = write_segment(tmp_path, tmp_path, pages, boxes=boxes, dtype="float32")
    index = VectorIndex.build(tmp_path, [PageRef(4, info.id, 0, 3), PageRef(9, info.id, 3, 5)], 8)
    vectors, found = index.vectors(9)
    assert np.array_equal(vectors, pages[1])
    assert found is not None
    assert np.array_equal(found, boxes[1])
    with pytest.raises(NotFoundError):
        index.vectors(5)
    with pytest.raises(NotFoundError):
        index.refresh([PageRef(4, info.id, 0, 3)]).vectors(9)
    assert put(tmp_path, [pages[0]], 1)
    assert VectorIndex.build(tmp_path, put(tmp_path, pages, 1), 8).vectors(1)[1] is None


def test_wrong_questions_and_catalogs(tmp_path: Path) -> None:
    refs = put(tmp_path, [np.ones((2, 8), np.float32)], 1)
    index = VectorIndex.build(tmp_path, refs, 8)
    for query in (np.ones((1, 7)), np.ones((0, 8)), np.ones(8), np.full((1, 8), np.nan)):
        with pytest.raises(UsageError):
            index.search(query, 3)
    assert index.search(np.ones((1, 8)), 0) == []
    assert index.search(np.ones((1, 8)), 3, allowed=set()) == []
    assert VectorIndex.build(tmp_path, [], 8).search(np.ones((1, 8)), 3) == []
    with pytest.raises(FingerprintError):
        VectorIndex.build(tmp_path, refs, 16)
    name = refs[0].segment_id
    for bad in (
        PageRef(1, name, 0, 3),
        PageRef(1, name, -1, 2),
        PageRef(1, name, 0, 0),
        PageRef(1, "no", 0, 1),
    ):
        with pytest.raises(CorruptionError):
            VectorIndex.build(tmp_path, [bad], 8)
    with pytest.raises(CorruptionError):
        VectorIndex.build(tmp_path, refs * 2, 8)
    with pytest.raises(CorruptionError):  # rows that exist but are not a page
        VectorIndex.build(tmp_path, [PageRef(1, name, 0, 1)], 8).search(np.ones((1, 8)), 1)
