"""Letters that are read for each other."""

from __future__ import annotations

import pytest

from hydra_rag_agents.misread import looks_like


@pytest.mark.parametrize(
    ("read", "word"),
    [
        ("stze", "size"),
        ("poge", "page"),
        ("ttel", "tel"),
        ("ban", "iban"),
        ("dtk", "dik"),
        ("tota1", "total"),
    ],
)
def test_small_print_is_read_with_a_letter_wrong(read: str, word: str) -> None:
    assert looks_like(read, word)
    assert looks_like(word, read)


@pytest.mark.parametrize(
    ("read", "word"),
    [
        ("size", "size"),
        ("new", "net"),
        ("late", "date"),
        ("crew", "screw"),
        ("no", "na"),
        ("stzo", "size"),
        ("tel", "hotel"),
        ("", ""),
    ],
)
def test_other_words_are_other_words(read: str, word: str) -> None:
    assert not looks_like(read, word)
