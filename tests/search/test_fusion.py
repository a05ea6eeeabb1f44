"""Reciprocal rank fusion."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hydra_rag_indexing.fusion import reciprocal_rank_fusion


def test_known_values() -> None:
    fused = reciprocal_rank_fusion({"a": [1, 2, 3], "b": [3, 1, 9]})
    assert [key for key, _ in fused] == [1, 3, 2, 9]
    assert fused[0][1] == 1 / 61 + 1 / 62
    assert reciprocal_rank_fusion({}) == []
    assert reciprocal_rank_fusion({"a": [5, 5]}) == [(5, 1 / 61)]
    assert reciprocal_rank_fusion({"a": [1], "b": [2]}, weights={"b": 2.0})[0] == (2, 2 / 61)


@given(st.dictionaries(st.text(max_size=2), st.lists(st.integers(0, 9), max_size=8, unique=True), max_size=4))
def test_order_of_rankings_does_not_matter(rankings: dict[str, list[int]]) -> None:
    turned = dict(reversed(list(rankings.items())))
    assert reciprocal_rank_fusion(rankings) == reciprocal_rank_fusion(turned)
