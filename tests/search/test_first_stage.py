"""The first stage: right with every page as a candidate, kept in step, and its cache worth nothing."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import numpy as np
import pytest

from hydra_rag_indexing import tuning
from hydra_rag_indexing.first_stage import StageSettings
from hydra_rag_indexing.page_lists import PageLists
from hydra_rag_indexing.postings import Lists
from hydra_rag_indexing.probe import Probe, quantised
from hydra_rag_indexing.rerank import best_first, score_pages
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


def test_finds_what_the_exact_scan_finds(built: tuple[VectorIndex, list[PageRef]]) -> None:
    index, _ = built
    assert index.stage_bytes > 0
    assert index.tail_rows == 0
    assert recall_of(index) >= 0.95
    assert index.recall_estimate() == pytest.approx(1.0, abs=0.1)


def test_all_pages_as_candidates_is_brute_force(
    built: tuple[VectorIndex, list[PageRef]], monkeypatch: pytest.MonkeyPatch
) -> None:
    index, _ = built
    assert index._stage is not None
    index._stage = index._stage.tuned(candidates=10**6)
    for query in made_queries():
        assert index.search(query, 20) == index.search(query, 20, exhaustive=True)
    for query in made_queries():
        assert len(index.search(query, 1000)) == PAGES


def test_pages_that_are_alike_are_found_once_each(tmp_path: Path, small: None) -> None:
    """Blank pages have the same estimate: where the first batch ends among them the second goes on."""
    pages = made_pages(100)
    refs = put_pages(tmp_path, [pages[n // 4] if n % 4 == 0 else pages[1] for n in range(PAGES)])
    index = VectorIndex.build(tmp_path, refs, DIM)
    index = index._with(PageLists.train(index._table))
    assert index._stage is not None
    query = pages[1][:6].astype(np.float32)
    for first in (7, 20, 60):
        index._stage = index._stage.tuned(candidates=first, caution=1e9, stretch=3.0)
        assert index.search(query, 10) == index.search(query, 10, exhaustive=True)


def test_best_first_of_more_goes_on_where_less_ended() -> None:
    estimates = np.random.default_rng(0).integers(0, 5, 300).astype(np.float32)
    estimates[::7] = -np.inf
    finite = int(np.isfinite(estimates).sum())
    whole = best_first(estimates, PAGES, finite)
    assert len(whole) == finite
    for count in range(1, finite):
        assert np.array_equal(best_first(estimates, count, finite), whole[:count])


def test_estimates_equal_a_plain_loop(built: tuple[VectorIndex, list[PageRef]]) -> None:
    stage = built[0]._stage
    assert isinstance(stage, PageLists)
    query = made_queries()[0]
    similarities = stage.probe.scores(query.astype(np.float32))
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
    table = built[0]._table
    expected += 0.3 * np.linalg.norm(query, axis=1).sum() * np.log(table.count)
    shifted = stage.tuned(budget=1.0, share=0.7, length=0.3, slope=1.5)
    guesses = shifted.guesses(query.astype(np.float32), table, wider=2.0)
    assert guesses == pytest.approx(1.5 * expected, abs=1e-3)


def test_settings_saved_before_lengths_counted_are_read() -> None:
    settings = StageSettings(share=0.7, candidates=30, recall=0.99)
    saved = settings.saved()
    assert StageSettings.parse(saved) == settings
    assert StageSettings.parse({n: v for n, v in saved.items() if n not in ("length", "slope")}) == settings
    for wrong in (saved | {"other": 1.0}, {n: v for n, v in saved.items() if n != "recall"}):
        with pytest.raises(ValueError, match="unknown settings"):
            StageSettings.parse(wrong)


def test_weights_of_estimates_are_fitted(built: tuple[VectorIndex, list[PageRef]]) -> None:
    """An estimate made of weighed signs is closer to the score than the bare one."""
    stage, table = built[0]._stage, built[0]._table
    assert stage is not None
    every, queries = np.arange(PAGES), tuning.sampled_queries(table, 24, seed=5)
    bare = stage.tuned(share=0.0, length=0.0, slope=1.0)
    for weighed in tuning._weighed(bare, table, queries[:12], every, None):
        same = bare.tuned(budget=weighed.settings.budget)
        off = dict.fromkeys((same, weighed), 0.0)
        for query in queries[12:]:
            exact = score_pages(table, query, every)
            for made in off:
                off[made] += float((exact - made.guesses(query, table)).std())
        assert off[weighed] < off[same]


def test_adding_and_removing_pages(built: tuple[VectorIndex, list[PageRef]], tmp_path: Path) -> None:
    index, refs = built
    more = put_pages(tmp_path, made_pages(40, seed=3), first_key=1000)
    few, many = index.refresh(refs + more[:3]), index.refresh(refs + more)
    for changed, long in ((few, False), (many, True)):  # scanned beside the lists
        assert changed.tail_rows == sum(r.row_count for r in (more if long else more[:3]))
        assert changed.needs_optimize == long
    assert few.extend() is few  # not worth it yet
    put = many.extend()
    assert put.tail_rows == 0
    assert put._stage is not None
    assert put._stage.settings.tuned_rows == index.rows  # with the settings that there were
    assert index.refresh(refs + more).tail_rows == 0  # as another process would find it
    for changed in (few, many, put, index.refresh(refs[50:])):
        assert recall_of(changed) >= 0.95
    query = made_queries()[0]
    best = index.search(query, 5)
    kept = [r for r in refs if r.key not in {key for key, _ in best}]
    after = index.refresh(kept)
    never = VectorIndex.build(tmp_path, kept, DIM, None).optimize()
    for query in made_queries():
        exact = never.search(query, 10, exhaustive=True)
        assert after.search(query, 10, exhaustive=True) == exact
        assert {k for k, _ in after.search(query, 100)} <= {r.key for r in kept}
    assert index.search(made_queries()[0], 5) == best  # a snapshot never changes
    again = after.refresh(refs).optimize()
    assert again.search(made_queries()[0], 5) == best
    assert recall_of(many.optimize()) >= 0.95


def test_filters_keep_recall(built: tuple[VectorIndex, list[PageRef]]) -> None:
    index, refs = built
    rng = np.random.default_rng(0)
    for share in (0.02, 0.3, 0.9):
        allowed = {r.key for r in refs if rng.random() < share}
        assert recall_of(index, allowed=allowed) >= 0.95
    assert index._stage is not None
    index._stage = index._stage.tuned(candidates=10, stretch=2.0)
    found = []
    for query in made_queries():  # what is left when all that is near is filtered out
        far = {key for key, _ in index.search(query, PAGES, exhaustive=True)[PAGES // 2 :]}
        exact = index.search(query, 10, allowed=far, exhaustive=True)
        found.append(len(set(exact) & set(index.search(query, 10, allowed=far))))
    assert np.mean(found) >= 9.5


def test_cache_can_be_deleted_and_is_never_trusted(
    built: tuple[VectorIndex, list[PageRef]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    index, refs = built
    cache = tmp_path / "cache"
    (file,) = cache.iterdir()
    expected = [index.search(q, 10) for q in made_queries()]

    def opened() -> VectorIndex:
        return VectorIndex.build(tmp_path, refs, DIM, cache)

    assert opened().stage_bytes == index.stage_bytes
    assert [opened().search(q, 10) for q in made_queries()] == expected
    raw = file.read_bytes()
    damaged = [raw[:-1], raw[:100], b"", raw[:500] + bytes([raw[500] ^ 1]) + raw[501:]]
    for data in damaged:
        file.write_bytes(data)
        assert opened().stage_bytes == 0
        assert not file.exists()
    for data in (*damaged, b"\x00" * 64):  # whole files with a fitting name, and nonsense inside
        (cache / f"first-stage-{hashlib.sha256(data).hexdigest()}.safetensors").write_bytes(data)
        assert opened().search(made_queries()[0], 400) == index.search(
            made_queries()[0], 400, exhaustive=True
        )
    for path in cache.iterdir():
        path.unlink()
    cache.rmdir()
    assert opened().stage_bytes == 0
    assert opened().optimize().stage_bytes > 0
    assert "not used" in caplog.text


def test_cache_of_other_vectors_covers_nothing(
    built: tuple[VectorIndex, list[PageRef]], tmp_path: Path
) -> None:
    other = put_pages(tmp_path, made_pages(PAGES, seed=8))  # the same keys, another model's vectors
    index = VectorIndex.build(tmp_path, other, DIM, tmp_path / "cache")
    assert index.stage_bytes == 0
    for query in made_queries():
        assert index.search(query, 10) == index.search(query, 10, exhaustive=True)


def test_cache_that_can_not_be_written_is_no_error(
    tmp_path: Path, small: None, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    refs = put_pages(tmp_path, made_pages(PAGES))
    index = VectorIndex.build(tmp_path, refs, DIM, tmp_path / "file" / "cache").optimize()
    assert index.stage_bytes > 0
    assert "can't be written" in caplog.text


def test_vectors_without_structure_are_scanned(tmp_path: Path, small: None) -> None:
    rng = np.random.default_rng(0)
    refs = put_pages(tmp_path, [rng.normal(size=(3, DIM)).astype(np.float16) for _ in range(300)])
    index = VectorIndex.build(tmp_path, refs, DIM, None).optimize(
        queries=[rng.normal(size=(4, DIM)).astype(np.float32) for _ in range(8)]
    )
    for _ in range(5):
        query = rng.normal(size=(4, DIM)).astype(np.float32)
        assert index.search(query, 10) == index.search(query, 10, exhaustive=True)


def test_many_threads_search_one_snapshot(built: tuple[VectorIndex, list[PageRef]]) -> None:
    index, _ = built
    expected = [index.search(q, 10) for q in made_queries()]
    wrong: list[int] = []

    def work() -> None:
        for _ in range(5):
            for i, query in enumerate(made_queries()):
                if index.search(query, 10) != expected[i]:
                    wrong.append(i)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_training_is_repeatable(tmp_path: Path, small: None) -> None:
    table = VectorIndex.build(tmp_path, put_pages(tmp_path, made_pages(100)), DIM)._table
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
        scores = probe.scores(query)
        for wanted in (1, 7, 60):
            found, ids = probe.top(query, wanted)
            assert np.array_equal(found, -np.sort(-scores, axis=1)[:, :wanted])
            assert np.array_equal(np.take_along_axis(scores, ids, 1), found)
