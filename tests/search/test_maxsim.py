"""MaxSim: the fast forms against the plain loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_rag.maxsim import (
    exact_scores,
    maxsim,
    maxsim_many,
    maxsim_reference,
    packed_scores,
    score_slack,
    similarity_map,
)


@st.composite
def _collections(draw: st.DrawFn) -> tuple[np.ndarray, list[np.ndarray]]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dim = draw(st.sampled_from([1, 2, 64, 128, 320, 2560]))
    dtype = draw(st.sampled_from([np.float16, np.float32]))
    lengths = draw(st.lists(st.integers(1, 40), min_size=1, max_size=12))
    query = rng.normal(size=(draw(st.integers(1, 20)), dim)).astype(np.float32)
    pages = [rng.normal(size=(n, dim)).astype(dtype) for n in lengths]
    kind = draw(st.sampled_from(["any", "negative", "ties"]))
    if kind == "negative":  # every similarity below zero: padding with zeros would win
        query, pages = np.abs(query), [-np.abs(p) for p in pages]
    if kind == "ties":
        pages = pages + pages[::-1]
    return query, pages


@settings(max_examples=80, deadline=None)
@given(_collections())
def test_every_form_equals_the_plain_loop(case: tuple[np.ndarray, list[np.ndarray]]) -> None:
    query, pages = case
    truth = np.array([maxsim_reference(query, p) for p in pages])
    norm = max(float(np.linalg.norm(p.astype(np.float64), axis=1).max()) for p in pages)
    slack = score_slack(query, norm) + 1e-6
    assert np.abs(maxsim_many(query, pages) - truth).max() <= slack
    offsets = np.concatenate([[0], np.cumsum([len(p) for p in pages])])
    assert np.abs(maxsim_many(query, (np.concatenate(pages), offsets)) - truth).max() <= slack
    assert exact_scores(query, pages).tolist() == truth.astype(np.float32).tolist()
    assert maxsim(query, pages[0]) == exact_scores(query, pages)[0]


@settings(max_examples=30, deadline=None)
@given(_collections(), st.randoms())
def test_scores_do_not_depend_on_neighbours(
    case: tuple[np.ndarray, list[np.ndarray]], random: object
) -> None:
    query, pages = case
    order = list(range(len(pages)))
    random.shuffle(order)  # type: ignore[attr-defined]
    alone = [maxsim(query, p) for p in pages]
    assert exact_scores(query, [pages[i] for i in order]).tolist() == [alone[i] for i in order]
    rows = [np.random.default_rng(1).permutation(p) for p in pages]
    assert exact_scores(query, rows).tolist() == alone


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    query = rng.normal(size=(5, 16)).astype(np.float32)
    pages = [rng.normal(size=(n, 16)).astype(np.float16) for n in (3, 50, 1, 1, 200, 7)]
    whole = maxsim_many(query, pages)
    monkeypatch.setattr("hydra_rag.maxsim._BLOCK_ELEMENTS", 16 * 20)
    assert np.abs(maxsim_many(query, pages) - whole).max() < 1e-5


def test_bfloat16_and_read_only_and_reversed_rows() -> None:
    rng = np.random.default_rng(0)
    query, page = rng.normal(size=(3, 8)).astype(np.float32), rng.normal(size=(9, 8)).astype(np.float32)
    half = torch.from_numpy(page).bfloat16()
    assert maxsim(query, half) == pytest.approx(maxsim_reference(query, half.float().numpy()), abs=1e-6)
    page.flags.writeable = False
    assert maxsim(query, page[::-1]) == maxsim(query, page)


def test_pages_and_queries_without_rows_are_refused() -> None:
    page, none = np.ones((2, 4), np.float32), np.ones((0, 4), np.float32)
    for query, pages in ((page, [page, none]), (none, [page]), (np.ones((1, 3), np.float32), [page])):
        with pytest.raises(ValueError, match=r"vector|fit"):
            maxsim_many(query, pages)
        with pytest.raises(ValueError, match="at least one vector"):
            exact_scores(query, pages)
    with pytest.raises(ValueError, match="at least one vector"):
        packed_scores(page, torch.ones(2, 4), np.array([0, 0, 2]))
    assert maxsim_many(page, []).shape == (0,)


def test_similarity_map_is_the_product() -> None:
    rng = np.random.default_rng(0)
    query, page = rng.normal(size=(3, 8)).astype(np.float32), rng.normal(size=(9, 8)).astype(np.float16)
    assert similarity_map(query, page) == pytest.approx(query @ page.astype(np.float32).T, abs=1e-5)
