"""Scores against values worked out by hand, and against slow definitions."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_rag import metrics

short = st.text("abc", max_size=5)


def slow_distance(one: str, other: str) -> int:
    if not one or not other:
        return len(one) + len(other)
    return min(
        slow_distance(one[1:], other) + 1,
        slow_distance(one, other[1:]) + 1,
        slow_distance(one[1:], other[1:]) + (one[0] != other[0]),
    )


@settings(deadline=None)
@given(short, short, st.integers(0, 8))
def test_edit_distance_is_the_recursive_definition(one: str, other: str, limit: int) -> None:
    truth = slow_distance(one, other)
    assert metrics.edit_distance(one, other) == truth
    assert metrics.edit_distance(one, other, limit) == min(truth, limit + 1)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("41.00", " 41.00. ", True), ("Straße", "STRASSE", True), ("№ 5", "No 5", True), ("4.1", "41", False)],
)
def test_exact_match_forgives_form_only(one: str, other: str, same: bool) -> None:
    assert metrics.exact_match(one, other) is same


@given(st.text())
def test_the_normal_form_is_stable(text: str) -> None:
    assert metrics.normalise(metrics.normalise(text)) == metrics.normalise(text)


def test_anls_cuts_at_one_half_and_takes_the_best_answer() -> None:
    assert metrics.anls("abcd", "abce") == 0.75
    assert metrics.anls("ab", "cd") == 0.0
    assert metrics.anls("b", ["aaaa", "b"]) == 1.0


def test_reading_accuracy() -> None:
    assert metrics.char_accuracy("helo", "hello") == pytest.approx(0.8)
    assert metrics.char_accuracy("x" * 50, "hello") == 0.0
    assert metrics.char_accuracy("", "") == 1.0


def test_ranking_scores_by_hand() -> None:
    assert metrics.ndcg(["a", "b", "c"], {"b"}, 5) == pytest.approx(1 / math.log2(3))
    assert metrics.ndcg(["a", "b"], {"a", "b"}, 5) == pytest.approx(1.0)
    assert metrics.ndcg(["x"] * 5 + ["a"], {"a"}, 5) == 0.0
    assert metrics.recall(["a", "x", "b"], {"a", "b"}, 2) == 0.5
    assert metrics.mean([]) is None
