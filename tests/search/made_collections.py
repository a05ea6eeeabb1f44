"""Made collections that are small and taken for large: pages, queries, fixtures for the first stage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hydra_rag_indexing import codes, probe, snapshot, tuning
from hydra_rag_indexing.segments import write_segment
from hydra_rag_indexing.snapshot import PageRef, VectorIndex

DIM = 32
PAGES = 400


def made_pages(count: int, seed: int = 0) -> list[np.ndarray]:
    """Pages round 40 word-like centres, eight of them a page, pages of a document alike."""
    rng = np.random.default_rng(seed)
    words = np.random.default_rng(99).normal(size=(40, DIM))
    made = []
    for number in range(count):
        if number % 4 == 0:
            chosen = rng.choice(40, 8, replace=False)
        rows = words[rng.choice(chosen, int(rng.integers(5, 25)))]
        rows = rows + rng.normal(size=rows.shape) * 0.5
        made.append((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16))
    return made


def put_pages(folder: Path, pages: list[np.ndarray], first_key: int = 0) -> list[PageRef]:
    info = write_segment(folder, folder, pages)
    starts = np.concatenate([[0], np.cumsum(info.page_rows)])
    return [PageRef(first_key + i, info.id, int(starts[i]), n) for i, n in enumerate(info.page_rows)]


def made_queries(count: int = 12) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [p[:6].astype(np.float32) + 0.1 * rng.normal(size=(len(p[:6]), DIM)) for p in made_pages(count, 3)]


def recall_of(index: VectorIndex, **options: object) -> float:
    hits = total = 0
    for query in made_queries():
        exact = index.search(query, 10, exhaustive=True, **options)  # type: ignore[arg-type]
        found = index.search(query, 10, **options)  # type: ignore[arg-type]
        assert set(found) - set(exact) == set() or min(s for _, s in exact) >= min(s for _, s in found)
        hits, total = hits + len(set(found) & set(exact)), total + len(exact)
    return hits / total


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a few hundred pages a large collection."""
    monkeypatch.setattr(snapshot, "SCAN_ROWS", 100)
    monkeypatch.setattr(snapshot, "_TAIL_ROWS", 200)
    monkeypatch.setattr(snapshot, "_TAIL_MOST", 2000)
    monkeypatch.setattr(tuning, "_BATCH", 0)  # what it costs beside a large collection's pages
    monkeypatch.setattr(tuning, "TARGET", 0.98)


@pytest.fixture
def built(tmp_path: Path, small: None) -> tuple[VectorIndex, list[PageRef]]:
    refs = put_pages(tmp_path, made_pages(PAGES))
    return VectorIndex.build(tmp_path, refs, DIM, tmp_path / "cache").optimize(), refs


@pytest.fixture
def exact_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products of bytes that are exact on every processor."""
    if not probe.bytes_multiply_exactly():
        monkeypatch.setattr(torch, "_int_mm", lambda a, b: (a.double() @ b.double()).int())
        for module in (codes, probe):
            monkeypatch.setattr(module, "bytes_multiply_exactly", lambda: True)
