"""Fusion of rankings."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hydra_rag_indexing.fusion import fuse_evidence

LOOKS_ALIKE = [(key, 50.0 - key / 100) for key in range(100, 150)]


def test_words_lead_where_the_model_sees_no_difference() -> None:
    words = [(7, 20.0), (8, 9.0), (149, 8.0)]
    assert [key for key, _ in fuse_evidence(LOOKS_ALIKE, words, ideal=18.0)[:2]] == [7, 100]


def test_looks_lead_where_no_page_has_the_words() -> None:
    words = [(7, 5.0), (8, 4.9), (149, 4.0)]
    assert [key for key, _ in fuse_evidence(LOOKS_ALIKE, words, ideal=18.0)[:3]] == [100, 101, 102]


def test_a_page_that_stands_out_to_the_eye_is_never_far() -> None:
    looks = [(1, 20.0), *((key, 12.0 - key / 100) for key in range(2, 50))]
    words = [(70, 20.0), (80, 18.0), (90, 17.0)]
    assert [key for key, _ in fuse_evidence(looks, words, ideal=18.0)[:2]] == [1, 70]


def test_agreement_counts() -> None:
    looks = [(key, 20.0 - key / 10) for key in range(50)]
    words = [(key, 20.0 - key / 10) for key in (9, 3, 30)]
    assert fuse_evidence(looks, words, ideal=18.0)[0][0] == 3


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
    assert fuse_evidence([], [(3, 1.0)], 4.0) == [(3, 1 / 16)]
