"""What matches in one place: the strips against a plain loop, and searches that look again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_rag.geometry import Grid
from hydra_rag.maxsim import maxsim
from hydra_rag.nearby import DEPTH, WIDTH, nearby_score, reranked
from hydra_rag.training.contrastive import nearby_scores
from hydra_rag.values import FloatArray, MultiVector


def unit(rng: np.random.Generator, n: int, dim: int = 8) -> FloatArray:
    rows = rng.normal(size=(n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def page(vectors: FloatArray, rows: int, cols: int) -> MultiVector:
    return MultiVector(vectors, np.asarray(Grid(rows, cols).boxes(cols * 10 + 3, rows * 10 + 1), np.int64))


def by_loop(query: FloatArray, cells: FloatArray, rows: int, cols: int) -> float:
    """Every strip of at most WIDTH cells that has a middle on the page."""
    best = -np.inf
    for row in range(rows):
        for middle in range(cols):
            strip = range(max(0, middle - WIDTH // 2), min(cols, middle + WIDTH // 2 + 1))
            total = sum(max(float(q @ cells[row * cols + c]) for c in strip) for q in query)
            best = max(best, total)
    return best


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 12), st.integers(1, 6))
def test_strips_equal_a_plain_loop(seed: int, rows: int, cols: int, tokens: int) -> None:
    rng = np.random.default_rng(seed)
    query, cells = unit(rng, tokens), unit(rng, rows * cols)
    found = nearby_score(MultiVector(query), page(cells, rows, cols))
    assert found == pytest.approx(by_loop(query, cells, rows, cols), abs=1e-5)
    assert found <= maxsim(query, cells) + 1e-5
    with_grid = nearby_score(MultiVector(query), MultiVector(cells, grid=Grid(rows, cols)))
    assert with_grid == found
    trained = nearby_scores([torch.from_numpy(query)], [torch.from_numpy(cells)], [Grid(rows, cols)])
    assert float(trained[0, 0]) * tokens == pytest.approx(found, abs=1e-5)


def test_a_page_that_says_it_in_one_place_comes_first() -> None:
    rng = np.random.default_rng(3)
    query = unit(rng, 4)
    together, apart = (np.zeros((30, 8), np.float32) for _ in range(2))
    together[5:9] = 0.95 * query
    apart[[0, 9, 15, 29]] = query
    pages = [page(apart, 3, 10), page(together, 3, 10)]
    ranking = sorted(((i, maxsim(query, p.vectors)) for i, p in enumerate(pages)), key=lambda x: -x[1])
    assert [key for key, _ in ranking] == [0, 1]
    asks = MultiVector(query, nearby=0.5)
    again = reranked(asks, ranking, pages.__getitem__)
    assert [key for key, _ in again] == [1, 0]
    assert again[0][1] == pytest.approx(1.5 * 0.95 * 4, abs=1e-4)
    assert reranked(MultiVector(query), ranking, pages.__getitem__) == ranking  # it asks for nothing


def test_pages_that_are_no_grid_stay_as_they_are() -> None:
    rng = np.random.default_rng(4)
    query, cells = MultiVector(unit(rng, 3), nearby=0.5), unit(rng, 12)
    whole = page(cells, 3, 4)
    assert whole.boxes is not None
    pooled = MultiVector(cells[:11], whole.boxes[:11])
    mixed = MultiVector(cells, whole.boxes[rng.permutation(12)])
    bare = MultiVector(cells)
    for odd in (pooled, mixed, bare):
        assert nearby_score(query, odd) is None
        ranking = [(0, 2.0), (1, 1.0)]
        assert reranked(query, ranking, [whole, odd].__getitem__) == ranking


def test_only_the_first_pages_are_looked_at_again() -> None:
    rng = np.random.default_rng(5)
    query, cells = MultiVector(unit(rng, 3), nearby=0.5), unit(rng, 12)
    ranking = [(key, 100.0 - key) for key in range(DEPTH + 5)]
    seen: list[int] = []

    def page_of(key: int) -> MultiVector:
        seen.append(key)
        return page(cells, 3, 4)

    again = reranked(query, ranking, page_of)
    assert seen == list(range(DEPTH))
    assert again[DEPTH:] == ranking[DEPTH:]
    assert {key for key, _ in again} == {key for key, _ in ranking}
