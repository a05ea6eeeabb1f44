"""Fusion of rankings."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from hydra_rag_indexing.fusion import fuse_evidence

#: As wrong pages score: falling off exponentially.
LOOKS_ALIKE = [(key, 40.0 + math.log(200 / (key - 99))) for key in range(100, 150)]


def _first(fused: list[tuple[int, float]], count: int) -> list[int]:
    return [key for key, _ in fused[:count]]


def test_words_lead_where_the_model_sees_no_difference() -> None:
    words = [(7, 20.0), (8, 9.0), (149, 8.0)]
    assert _first(fuse_evidence(LOOKS_ALIKE, words, ideal=18.0), 1) == [7]


def test_looks_lead_where_no_page_has_the_words() -> None:
    words = [(7, 5.0), (8, 4.9), (149, 4.0)]
    assert _first(fuse_evidence(LOOKS_ALIKE, words, ideal=18.0), 2) == [100, 101]


def test_a_page_that_stands_out_to_the_eye_is_never_far() -> None:
    looks = [(1, 60.0), *LOOKS_ALIKE]
    words = [(70, 20.0), (80, 18.0), (90, 17.0)]
    assert 1 in _first(fuse_evidence(looks, words, ideal=18.0), 4)
    assert _first(fuse_evidence(looks, words, ideal=40.0), 1) == [1], "half of the words are missing"
    assert _first(fuse_evidence(looks, [(1, 9.0), *words], ideal=18.0), 1) == [1]


def test_agreement_counts() -> None:
    looks = [(key, 20.0 - key / 10) for key in range(50)]
    words = [(key, 20.0 - key / 10) for key in (3, 9, 30)]
    assert fuse_evidence(looks, words, ideal=18.0)[0][0] == 3


@given(
    st.lists(st.integers(-20, 1000), min_size=1, max_size=60, unique=True),
    st.lists(st.integers(1, 300), min_size=1, max_size=60, unique=True),
    st.sampled_from([0.001, 0.25, 8.0]),
    st.sampled_from([-500.0, 0.0, 3.0]),
)
def test_the_scale_of_a_model_s_scores_does_not_matter(
    looks: list[int], words: list[int], factor: float, shift: float
) -> None:
    """A better adapter with margins many times as large is trusted by how its pages lie, not by its units."""
    visual = [(key, float(score)) for key, score in enumerate(sorted(looks, reverse=True))]
    text = [(key, float(score)) for key, score in enumerate(sorted(words, reverse=True), start=30)]
    scaled = [(key, score * factor + shift) for key, score in visual]
    before, after = dict(fuse_evidence(visual, text, 100.0)), dict(fuse_evidence(scaled, text, 100.0))
    assert before.keys() == after.keys()
    assert all(abs(before[key] - after[key]) < 1e-6 for key in before)


@given(
    st.lists(st.floats(-1, 100), max_size=60),
    st.lists(st.floats(1e-6, 100), max_size=60),
    st.none() | st.floats(0, 100),
)
def test_every_page_once_with_a_score_from_0_to_1(
    looks: list[float], words: list[float], ideal: float | None
) -> None:
    visual = list(enumerate(sorted(looks, reverse=True)))
    text = list(enumerate(sorted(words, reverse=True), start=30))
    fused = fuse_evidence(visual, text, ideal)
    assert sorted(key for key, _ in fused) == sorted({key for key, _ in visual + text})
    assert all(0 <= score <= 1 for _, score in fused)
    assert fused == sorted(fused, key=lambda item: (-item[1], item[0]))
    if not text:
        assert [key for key, _ in fused] == [key for key, _ in sorted(visual, key=lambda x: (-x[1], x[0]))]


def test_nothing_fuses_to_nothing() -> None:
    assert fuse_evidence([], [], None) == []
    assert [key for key, _ in fuse_evidence([], [(3, 1.0)], 4.0)] == [3]
