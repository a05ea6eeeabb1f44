"""Sentences go on in the next line of their column, and only there."""

from __future__ import annotations

import pytest

from hydra_rag.geometry import Box
from hydra_rag.values import Word
from hydra_rag_agents.cells import page_rows
from hydra_rag_agents.flowing import continued
from tests.agents.test_places import words_of

ONE = """
The general assembly of all the members will be held on
31.01.2023 in our main building.
"""
ENDED = """
The general assembly of all the members is held today.
Visitors and guests
"""
BULLETS = """
- According to the minutes the museum was locked by Lena Falk
- Visitors came
Opening hours
"""
HANGING = """
- According to the minutes the museum was locked by
  Lena Falk
"""


def pairs(words: list[Word]) -> list[tuple[str, str]]:
    rows = list(page_rows(words, set()))
    return [(a.text, b.text) for number in range(len(rows)) for a, b in continued(rows, number)]


@pytest.mark.parametrize(
    ("page", "begins"),
    [(ONE, ["31.01.2023"]), (ENDED, []), (BULLETS, []), (HANGING, ["Lena"])],
)
def test_what_a_line_goes_on_with(page: str, begins: list[str]) -> None:
    assert [after.split()[0] for _, after in pairs(words_of(page, 22))] == begins


def test_columns_whose_lines_alternate() -> None:
    """The lines of the right column stand between those of the left one."""
    left = words_of(ONE, 36)
    right = [
        Word(
            word.text, Box(word.box.left + 700, word.box.top + 18, word.box.right + 700, word.box.bottom + 18)
        )
        for word in words_of(
            "Nothing else has changed since then, and the weather was\nmild all the time.", 36
        )
    ]
    found = {after.split()[0] for _, after in pairs([*left, *right])}
    assert found == {"31.01.2023", "mild"}
