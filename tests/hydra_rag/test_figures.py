"""Numbers that were read in pieces."""

from __future__ import annotations

import pytest

from hydra_rag.figures import joined_figures
from hydra_rag.geometry import Box
from hydra_rag.values import Word


def line(text: str, gap: int) -> list[Word]:
    """Words ten pixels a letter and twenty high, ``gap`` pixels apart."""
    words, left = [], 0
    for part in text.split():
        words.append(Word(part, Box(left, 0, left + 10 * len(part), 20)))
        left = words[-1].box.right + gap
    return words


@pytest.mark.parametrize(
    ("text", "gap", "joined"),
    [
        ("EUR 24, 212 .91", 1, "EUR 24,212.91"),
        ("£244 , 000 .", 2, "£244,000."),
        ("91 .7 h", 2, "91.7 h"),
        ("91 .7", 15, "91 .7"),  # too far
        ("24, 212", 5, "24, 212"),  # a space
        ("March 14, 2005", 1, "March 14, 2005"),  # a year is no group of figures
        ("see 4. 12 of them", 6, "see 4. 12 of them"),
        ("9 .", 5, "9."),
        ("3 .... 7", 5, "3 .... 7"),  # leaders
        ("a. 12", 1, "a. 12"),
        ("23/07//27 82,,247.22", 8, "23/07/27 82,247.22"),  # marks that were read twice
        ("https://a.b 4..20 mA", 8, "https://a.b 4..20 mA"),
    ],
)
def test_pieces_of_one_number(text: str, gap: int, joined: str) -> None:
    words = line(text, gap)
    found = joined_figures(words)
    assert " ".join(word.text for word in found) == joined
    assert (found[0].box.left, found[-1].box.right) == (0, words[-1].box.right)
    assert joined_figures([]) == []
