"""The first stage by codes: one byte or one bit a number, and none at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hydra_rag.errors import MissingExtraError, UsageError
from hydra_rag_indexing import (
    MultiVectorIndex,
    codes,
    faiss_support,
    probe,
    product_codes,
    rerank,
    tuning,
)
from hydra_rag_indexing.snapshot import PageRef, VectorIndex
from tests.search.made_collections import (
    DIM,
    PAGES,
    built,
    exact_bytes,
    made_pages,
    made_queries,
    put_pages,
    recall_of,
    small,
)

__all__ = ["built", "exact_bytes", "small"]  # fixtures


def test_processors_that_do_not_multiply_bytes_exactly(
    built: tuple[VectorIndex, list[PageRef]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [built[0].search(q, 10) for q in made_queries()]
    for module in (codes, probe):
        monkeypatch.setattr(module, "bytes_multiply_exactly", lambda: False)
    plain = VectorIndex.build(tmp_path, built[1], DIM, tmp_path / "cache")
    assert plain._codes is None
    assert [{key for key, _ in plain.search(q, 10)} for q in made_queries()] == [
        {key for key, _ in hits} for hits in expected
    ]


def test_scores_by_codes_stay_within_their_slack(
    exact_bytes: None, built: tuple[VectorIndex, list[PageRef]]
) -> None:
    index, _ = built
    table, held = index._table, codes.Codes.empty(PAGES, DIM)
    assert held is not None
    every = np.arange(PAGES)
    held.fill(table, every)
    assert held.nbytes == table.live_rows * DIM
    for query in made_queries():
        rows = query.astype(np.float32)
        exact = rerank.score_pages(table, rows, every)
        by_codes = held.scores(table, rows, every[::-1])[::-1]
        slack = held.slack(rows, every, table.max_norm)
        assert np.abs(by_codes - exact).max() <= slack < 0.2
        assert rerank.best_pages(table, rows, every, by_codes, 10, slack) == index.search(
            query, 10, exhaustive=True
        )


def test_codes_keep_to_their_memory(exact_bytes: None, built: tuple[VectorIndex, list[PageRef]]) -> None:
    table = built[0]._table
    held = codes.Codes.empty(PAGES, DIM, limit=50 * DIM)
    assert held is not None
    held.fill(table, np.arange(PAGES))
    inside = held.start >= 0
    assert 0 < inside.sum() < 50
    assert held.nbytes == table.count[inside].sum() * DIM <= 50 * DIM
    moved = held.moved(np.array([-1, 0, 1]))
    assert moved.start.tolist() == [-1, held.start[0], held.start[1]]


@pytest.mark.parametrize(
    ("names", "words"), [([], "needs FAISS"), (["faiss-cpu", "faiss-gpu-cu12"], "overwrite each other")]
)
def test_missing_and_doubled_faiss(monkeypatch: pytest.MonkeyPatch, names: list[str], words: str) -> None:
    monkeypatch.setattr(faiss_support, "_installed", lambda: set(names))

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(faiss_support.importlib, "import_module", missing)
    with pytest.raises(MissingExtraError, match=words):
        faiss_support.load_faiss.__wrapped__()


def test_without_a_first_stage_all_pages_are_scored_by_their_codes(
    exact_bytes: None, small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refs = put_pages(tmp_path, made_pages(PAGES))
    monkeypatch.setattr(tuning, "ACCEPTED", 2.0)  # nothing is good enough
    index = VectorIndex.build(tmp_path, refs, DIM, tmp_path / "cache")
    for searched in (index, index.optimize(), VectorIndex.build(tmp_path, refs, DIM, tmp_path / "cache")):
        assert searched.stage_bytes == 0
        assert recall_of(searched) == 1.0
        assert recall_of(searched, allowed={r.key for r in refs[:200]}) == 1.0
        assert searched._codes is not None
        assert searched._codes.nbytes > 0
    monkeypatch.setattr(codes, "CODE_BYTES", 50 * DIM)  # room for few: the rest is scored from the file
    assert recall_of(VectorIndex.build(tmp_path, refs, DIM, None)) == 1.0
    more = put_pages(tmp_path, made_pages(8, seed=5), first_key=1000)
    assert recall_of(index.refresh(refs[5:] + more)) == 1.0


def test_product_codes_find_what_the_exact_scan_finds(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cost in ("_CODE", "_FOUND"):  # too much for a few hundred pages
        monkeypatch.setattr(product_codes, cost, 0.0)
    refs, cache = put_pages(tmp_path, made_pages(PAGES)), tmp_path / "cache"
    index = VectorIndex.build(tmp_path, refs, DIM, cache, "product").optimize()
    assert index._stage is not None
    assert index._stage.kind == "product"
    assert recall_of(index) >= 0.95
    assert recall_of(index, allowed={r.key for r in refs[:200]}) >= 0.95
    opened = VectorIndex.build(tmp_path, refs, DIM, cache, "product")
    assert opened.stage_bytes == index.stage_bytes > 0
    for query in made_queries():
        assert opened.search(query, 10) == index.search(query, 10)
    more = put_pages(tmp_path, made_pages(40, seed=3), first_key=1000)
    grown = index.refresh(refs[30:] + more).extend()
    assert grown.tail_rows == 0
    assert recall_of(grown) >= 0.95
    query = made_pages(40, seed=3)[7][:6].astype(np.float32)
    assert grown.search(query, 1) == grown.search(query, 1, exhaustive=True)
    assert recall_of(grown.optimize()) >= 0.95  # without the removed pages' positions
    assert not index.needs_optimize
    assert VectorIndex.build(tmp_path, refs, DIM, cache, "lists").needs_optimize  # another kind is wanted
    index._stage = index._stage.tuned(candidates=10**6)
    for query in made_queries():
        assert index.search(query, 20) == index.search(query, 20, exhaustive=True)


def test_no_first_stage_where_none_is_wanted(small: None, tmp_path: Path) -> None:
    index = VectorIndex.build(
        tmp_path, put_pages(tmp_path, made_pages(PAGES)), DIM, tmp_path / "cache", "none"
    )
    made = index.optimize()
    assert made.stage_bytes == 0
    assert not made.needs_optimize
    assert recall_of(made) == 1.0
    with pytest.raises(UsageError, match="first_stage is one of"):
        MultiVectorIndex(tmp_path / "other", DIM, first_stage="bits")


def test_positions_of_removed_pages_are_given_up(
    exact_bytes: None, small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store whose pages are replaced again and again needs no more memory than its pages."""
    monkeypatch.setattr(codes, "CODE_BYTES", 10_000 * DIM)
    refs = put_pages(tmp_path, made_pages(120))
    index = VectorIndex.build(tmp_path, refs, DIM, None).optimize()
    for turn in range(1, 16):
        refs = put_pages(tmp_path, made_pages(120, seed=turn), first_key=1000 * turn)
        index = index.refresh(refs)
        assert recall_of(index) >= 0.8
    assert len(index._table) <= 3 * 120 + 1024
    assert index._codes is not None
    assert index._codes.nbytes <= 10_000 * DIM
    assert (index._codes.start[index._table.alive] >= 0).any()
