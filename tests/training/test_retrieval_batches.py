"""Batches of the retrieval stage: groups scored as one page, pages asked again, queries naming one page."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import pytest
import torch

from hydra_rag.maxsim import maxsim_reference
from hydra_rag.training import eval_pages, nano_retrieval
from hydra_rag.training.contrastive import draw_groups, merged_relevant, score_matrix, token_scores


def vectors(*lengths: int) -> list[torch.Tensor]:
    torch.manual_seed(3)
    return [torch.nn.functional.normalize(torch.randn(n, 8), dim=1) for n in lengths]


def test_scores_are_maxsim_and_a_group_is_one_page() -> None:
    queries, pages = vectors(3, 5), vectors(4, 7, 2, 6)
    want = [[maxsim_reference(q, p) / len(q) for p in pages] for q in queries]
    torch.testing.assert_close(score_matrix(queries, pages), torch.tensor(want))
    groups = [[0, 2], [3, 1], [2, 3]]
    joined = [torch.cat([pages[i] for i in group]) for group in groups]
    scores = token_scores(queries, pages).mean(torch.tensor(groups))
    torch.testing.assert_close(scores, score_matrix(queries, joined))
    parts = token_scores(queries, pages).parts([(1, 2, 5), (0, 0, 1), (1, 0, 1)])
    torch.testing.assert_close(
        parts.mean(), score_matrix([queries[1][2:5], queries[0][:1], queries[1][:1]], pages)
    )
    assert merged_relevant([[1], [0, 3]], groups) == [[1], [0, 1, 2]]


@pytest.mark.parametrize(("pages", "size"), [(2, 4), (3, 2), (7, 2), (12, 4), (24, 3)])
def test_groups_hold_every_page_and_leave_negatives(pages: int, size: int) -> None:
    groups = draw_groups(random.Random(1), pages, size)
    assert {i for group in groups for i in group} == set(range(pages))
    assert len({len(group) for group in groups}) == 1
    for page in range(pages):
        assert any(page not in group for group in groups)


def test_pages_come_back_with_other_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nano_retrieval, "_SHAPES", (((6, 9), 4, 1),))
    monkeypatch.setattr(nano_retrieval, "_QUERIES", 8)
    batches = list(itertools.islice(nano_retrieval.made_batches(7, 0, uses=4), 24))
    by_pages: dict[int, list[list[str]]] = {}
    for batch in batches:
        texts = [q for q in batch.queries if isinstance(q, str)]
        by_pages.setdefault(id(batch.pages[0]), []).append(texts)
    assert len(by_pages) < len(batches) / 2
    asked = max(by_pages.values(), key=len)
    assert len(asked) > 2
    assert asked[0] != asked[1]


def test_an_evaluation_query_names_one_page(tmp_path: Path) -> None:
    eval_pages.write_folder(tmp_path, pages=18, seed=5, cells=(12, 12))
    rows = [json.loads(line) for line in (tmp_path / "pages.jsonl").read_text().splitlines()]
    texts = {row["image"]: " ".join(w["text"] for w in row["words"]).casefold() for row in rows}
    queries = [json.loads(line) for line in (tmp_path / "queries.jsonl").read_text().splitlines()]
    assert len(queries) >= 12
    for query in queries:
        [name] = query["relevant"]
        words = query["query"].casefold().split(" ")
        ends = (" ".join(words[i:]) for i in range(len(words)))
        value = next(end for end in ends if end in texts[name])  # what the page says of it
        assert [n for n, text in texts.items() if value in text] == [name]
