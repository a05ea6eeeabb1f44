"""The first stage: right with every page as a candidate, kept in step, and its cache worth nothing."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from hydra_rag.errors import MissingExtraError, UsageError
from hydra_rag_indexing import (
    MultiVectorIndex,
    codes,
    faiss_support,
    probe,
    product_codes,
    rerank,
    snapshot,
    tuning,
)
from hydra_rag_indexing.page_lists import PageLists
from hydra_rag_indexing.postings import Lists
from hydra_rag_indexing.probe import Probe, quantised
from hydra_rag_indexing.segments import write_segment
from hydra_rag_indexing.snapshot import PageRef, VectorIndex

DIM = 32
PAGES = 400


def _pages(count: int, seed: int = 0) -> list[np.ndarray]:
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


def _put(folder: Path, pages: list[np.ndarray], first_key: int = 0) -> list[PageRef]:
    info = write_segment(folder, folder, pages)
    starts = np.concatenate([[0], np.cumsum(info.page_rows)])
    return [PageRef(first_key + i, info.id, int(starts[i]), n) for i, n in enumerate(info.page_rows)]


def _queries(count: int = 12) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [p[:6].astype(np.float32) + 0.1 * rng.normal(size=(len(p[:6]), DIM)) for p in _pages(count, 3)]


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
    refs = _put(tmp_path, _pages(PAGES))
    return VectorIndex.build(tmp_path, refs, DIM, tmp_path / "cache").optimize(), refs


@pytest.fixture
def exact_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products of bytes that are exact on every processor."""
    if not probe.bytes_multiply_exactly():
        monkeypatch.setattr(torch, "_int_mm", lambda a, b: (a.double() @ b.double()).int())
        for module in (codes, probe):
            monkeypatch.setattr(module, "bytes_multiply_exactly", lambda: True)


def _recall(index: VectorIndex, **options: object) -> float:
    hits = total = 0
    for query in _queries():
        exact = index.search(query, 10, exhaustive=True, **options)  # type: ignore[arg-type]
        found = index.search(query, 10, **options)  # type: ignore[arg-type]
        assert set(found) - set(exact) == set() or min(s for _, s in exact) >= min(s for _, s in found)
        hits, total = hits + len(set(found) & set(exact)), total + len(exact)
    return hits / total


def test_finds_what_the_exact_scan_finds(built: tuple[VectorIndex, list[PageRef]]) -> None:
    index, _ = built
    assert index.stage_bytes > 0
    assert index.tail_rows == 0
    assert _recall(index) >= 0.95
    assert index.recall_estimate() == pytest.approx(1.0, abs=0.1)


def test_all_pages_as_candidates_is_brute_force(
    built: tuple[VectorIndex, list[PageRef]], monkeypatch: pytest.MonkeyPatch
) -> None:
    index, _ = built
    assert index._stage is not None
    index._stage = index._stage.tuned(candidates=10**6)
    for query in _queries():
        assert index.search(query, 20) == index.search(query, 20, exhaustive=True)
    for query in _queries():
        assert len(index.search(query, 1000)) == PAGES


def test_estimates_equal_a_plain_loop(built: tuple[VectorIndex, list[PageRef]]) -> None:
    stage = built[0]._stage
    assert isinstance(stage, PageLists)
    query = _queries()[0]
    similarities = stage.probe._scores(query.astype(np.float32)).numpy()
    true = query @ (stage.probe.codes * stage.probe.scale[:, None]).T
    assert similarities == pytest.approx(true, abs=0.02)
    for budget in (0.01, 0.3, 2.0):
        expected = np.zeros(PAGES)
        for row in similarities:
            met: dict[int, float] = {}
            walked = 0
            for centroid in np.argsort(-row, kind="stable")[: stage.most_lists(max(64.0, budget * PAGES))]:
                start, end = stage.lists.starts[centroid : centroid + 2]
                for page in stage.lists.pages[start:end]:
                    met.setdefault(int(page), float(row[centroid]))
                walked, worst = walked + int(end - start), float(row[centroid])
                if walked >= max(64.0, budget * PAGES):
                    break
            expected += [met.get(page, worst) for page in range(PAGES)]
        assert stage.estimates(query.astype(np.float32), PAGES, budget) == pytest.approx(expected, abs=1e-4)
    expected += 0.7 * stage.shift.scores(query.sum(0, keepdims=True).astype(np.float32))[0]
    shifted = stage.tuned(budget=1.0, share=0.7)
    assert shifted.guesses(query.astype(np.float32), PAGES, wider=2.0) == pytest.approx(expected, abs=1e-4)


def test_adding_and_removing_pages(built: tuple[VectorIndex, list[PageRef]], tmp_path: Path) -> None:
    index, refs = built
    more = _put(tmp_path, _pages(40, seed=3), first_key=1000)
    few, many = index.refresh(refs + more[:3]), index.refresh(refs + more)
    assert 0 < few.tail_rows <= 200  # scanned beside the lists
    assert many.tail_rows == 0  # put into the lists
    for changed in (few, many, index.refresh(refs[50:])):
        assert _recall(changed) >= 0.95
    query = _queries()[0]
    best = index.search(query, 5)
    kept = [r for r in refs if r.key not in {key for key, _ in best}]
    after = index.refresh(kept)
    never = VectorIndex.build(tmp_path, kept, DIM, None).optimize()
    for query in _queries():
        exact = never.search(query, 10, exhaustive=True)
        assert after.search(query, 10, exhaustive=True) == exact
        assert {k for k, _ in after.search(query, 100)} <= {r.key for r in kept}
    assert index.search(_queries()[0], 5) == best  # a snapshot never changes
    again = after.refresh(refs).optimize()
    assert again.search(_queries()[0], 5) == best
    assert _recall(many.optimize()) >= 0.95


def test_filters_keep_recall(built: tuple[VectorIndex, list[PageRef]]) -> None:
    index, refs = built
    rng = np.random.default_rng(0)
    for share in (0.02, 0.3, 0.9):
        allowed = {r.key for r in refs if rng.random() < share}
        assert _recall(index, allowed=allowed) >= 0.95


def test_cache_can_be_deleted_and_is_never_trusted(
    built: tuple[VectorIndex, list[PageRef]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    index, refs = built
    cache = tmp_path / "cache"
    (file,) = cache.iterdir()
    expected = [index.search(q, 10) for q in _queries()]

    def opened() -> VectorIndex:
        return VectorIndex.build(tmp_path, refs, DIM, cache)

    assert opened().stage_bytes == index.stage_bytes
    assert [opened().search(q, 10) for q in _queries()] == expected
    raw = file.read_bytes()
    damaged = [raw[:-1], raw[:100], b"", raw[:500] + bytes([raw[500] ^ 1]) + raw[501:]]
    for data in damaged:
        file.write_bytes(data)
        assert opened().stage_bytes == 0
        assert not file.exists()
    for data in (*damaged, b"\x00" * 64):  # whole files with a fitting name, and nonsense inside
        (cache / f"first-stage-{hashlib.sha256(data).hexdigest()}.safetensors").write_bytes(data)
        assert opened().search(_queries()[0], 400) == index.search(_queries()[0], 400, exhaustive=True)
    for path in cache.iterdir():
        path.unlink()
    cache.rmdir()
    assert opened().stage_bytes == 0
    assert opened().optimize().stage_bytes > 0
    assert "not used" in caplog.text


def test_cache_of_other_vectors_covers_nothing(
    built: tuple[VectorIndex, list[PageRef]], tmp_path: Path
) -> None:
    other = _put(tmp_path, _pages(PAGES, seed=8))  # the same keys, another model's vectors
    index = VectorIndex.build(tmp_path, other, DIM, tmp_path / "cache")
    assert index.stage_bytes == 0
    for query in _queries():
        assert index.search(query, 10) == index.search(query, 10, exhaustive=True)


def test_cache_that_can_not_be_written_is_no_error(
    tmp_path: Path, small: None, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    refs = _put(tmp_path, _pages(PAGES))
    index = VectorIndex.build(tmp_path, refs, DIM, tmp_path / "file" / "cache").optimize()
    assert index.stage_bytes > 0
    assert "can't be written" in caplog.text


def test_vectors_without_structure_are_scanned(tmp_path: Path, small: None) -> None:
    rng = np.random.default_rng(0)
    refs = _put(tmp_path, [rng.normal(size=(3, DIM)).astype(np.float16) for _ in range(300)])
    index = VectorIndex.build(tmp_path, refs, DIM, None).optimize(
        queries=[rng.normal(size=(4, DIM)).astype(np.float32) for _ in range(8)]
    )
    for _ in range(5):
        query = rng.normal(size=(4, DIM)).astype(np.float32)
        assert index.search(query, 10) == index.search(query, 10, exhaustive=True)


def test_many_threads_search_one_snapshot(built: tuple[VectorIndex, list[PageRef]]) -> None:
    index, _ = built
    expected = [index.search(q, 10) for q in _queries()]
    wrong: list[int] = []

    def work() -> None:
        for _ in range(5):
            for i, query in enumerate(_queries()):
                if index.search(query, 10) != expected[i]:
                    wrong.append(i)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_training_is_repeatable(tmp_path: Path, small: None) -> None:
    table = VectorIndex.build(tmp_path, _put(tmp_path, _pages(100)), DIM)._table
    a, b = PageLists.train(table), PageLists.train(table)
    assert np.array_equal(a.probe.codes, b.probe.codes)
    assert np.array_equal(a.lists.pages, b.lists.pages)


def test_lists_hold_each_pair_once() -> None:
    lists = Lists.make(np.array([5, 1, 5, 1]), np.array([2, 0, 2, 2]), 4)
    assert lists.starts.tolist() == [0, 1, 1, 3, 3]
    assert lists.pages.tolist() == [1, 1, 5]
    probes = [Probe(*quantised(np.eye(n, 4, dtype=np.float32))) for n in (4, 6)]
    stage = PageLists(probes[0], lists, np.ones(6, bool), probes[1])
    moved = stage.moved(np.array([-1, 0, 1, 2, 3, 4]), 5)
    assert moved.lists.pages.tolist() == [0, 0, 4]
    assert np.array_equal(moved.shift.codes, probes[1].codes[1:])


def test_nearest_centroids_are_those_of_a_full_sort() -> None:
    rng = np.random.default_rng(1)
    for count, dim in ((3, 5), (1000, 33), (4099, 64)):
        probe = Probe(*quantised(rng.normal(size=(count, dim)).astype(np.float32)))
        query = rng.normal(size=(3, dim)).astype(np.float32)
        scores = probe._scores(query).numpy()
        for wanted in (1, 7, 60):
            found, ids = probe.top(query, wanted)
            assert np.array_equal(found, -np.sort(-scores, axis=1)[:, :wanted])
            assert np.array_equal(np.take_along_axis(scores, ids, 1), found)


def test_processors_that_do_not_multiply_bytes_exactly(
    built: tuple[VectorIndex, list[PageRef]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [built[0].search(q, 10) for q in _queries()]
    for module in (codes, probe):
        monkeypatch.setattr(module, "bytes_multiply_exactly", lambda: False)
    plain = VectorIndex.build(tmp_path, built[1], DIM, tmp_path / "cache")
    assert plain._codes is None
    assert [{key for key, _ in plain.search(q, 10)} for q in _queries()] == [
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
    for query in _queries():
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
    refs = _put(tmp_path, _pages(PAGES))
    monkeypatch.setattr(tuning, "ACCEPTED", 2.0)  # nothing is good enough
    index = VectorIndex.build(tmp_path, refs, DIM, tmp_path / "cache")
    for searched in (index, index.optimize(), VectorIndex.build(tmp_path, refs, DIM, tmp_path / "cache")):
        assert searched.stage_bytes == 0
        assert _recall(searched) == 1.0
        assert _recall(searched, allowed={r.key for r in refs[:200]}) == 1.0
        assert searched._codes is not None
        assert searched._codes.nbytes > 0
    monkeypatch.setattr(codes, "CODE_BYTES", 50 * DIM)  # room for few: the rest is scored from the file
    assert _recall(VectorIndex.build(tmp_path, refs, DIM, None)) == 1.0
    more = _put(tmp_path, _pages(8, seed=5), first_key=1000)
    assert _recall(index.refresh(refs[5:] + more)) == 1.0


def test_product_codes_find_what_the_exact_scan_finds(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cost in ("_CODE", "_FOUND"):  # too much for a few hundred pages
        monkeypatch.setattr(product_codes, cost, 0.0)
    refs, cache = _put(tmp_path, _pages(PAGES)), tmp_path / "cache"
    index = VectorIndex.build(tmp_path, refs, DIM, cache, "product").optimize()
    assert index._stage is not None
    assert index._stage.kind == "product"
    assert _recall(index) >= 0.95
    assert _recall(index, allowed={r.key for r in refs[:200]}) >= 0.95
    opened = VectorIndex.build(tmp_path, refs, DIM, cache, "product")
    assert opened.stage_bytes == index.stage_bytes > 0
    for query in _queries():
        assert opened.search(query, 10) == index.search(query, 10)
    more = _put(tmp_path, _pages(40, seed=3), first_key=1000)
    grown = index.refresh(refs[30:] + more)
    assert grown.tail_rows == 0
    assert _recall(grown) >= 0.95
    query = _pages(40, seed=3)[7][:6].astype(np.float32)
    assert grown.search(query, 1) == grown.search(query, 1, exhaustive=True)
    assert _recall(grown.optimize()) >= 0.95  # without the removed pages' positions
    assert not index.needs_optimize
    assert VectorIndex.build(tmp_path, refs, DIM, cache, "lists").needs_optimize  # another kind is wanted
    index._stage = index._stage.tuned(candidates=10**6)
    for query in _queries():
        assert index.search(query, 20) == index.search(query, 20, exhaustive=True)


def test_no_first_stage_where_none_is_wanted(small: None, tmp_path: Path) -> None:
    index = VectorIndex.build(tmp_path, _put(tmp_path, _pages(PAGES)), DIM, tmp_path / "cache", "none")
    made = index.optimize()
    assert made.stage_bytes == 0
    assert not made.needs_optimize
    assert _recall(made) == 1.0
    with pytest.raises(UsageError, match="first_stage is one of"):
        MultiVectorIndex(tmp_path / "other", DIM, first_stage="bits")


def test_positions_of_removed_pages_are_given_up(
    exact_bytes: None, small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store whose pages are replaced again and again needs no more memory than its pages."""
    monkeypatch.setattr(codes, "CODE_BYTES", 10_000 * DIM)
    refs = _put(tmp_path, _pages(120))
    index = VectorIndex.build(tmp_path, refs, DIM, None).optimize()
    for turn in range(1, 16):
        refs = _put(tmp_path, _pages(120, seed=turn), first_key=1000 * turn)
        index = index.refresh(refs)
        assert _recall(index) >= 0.8
    assert len(index._table) <= 3 * 120 + 1024
    assert index._codes is not None
    assert index._codes.nbytes <= 10_000 * DIM
    assert (index._codes.start[index._table.alive] >= 0).any()
