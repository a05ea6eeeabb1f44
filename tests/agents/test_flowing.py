"""Sentences go on in the next line of their column, and only there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hydra_rag.lines import group_lines
from hydra_rag.values import Word
from hydra_rag_agents.cells import page_rows
from hydra_rag_agents.flowing import column_lines, continued
from hydra_rag_agents.page_lines import choose_lines
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


def beside(page: str) -> list[Word]:
    """A column far to the right of where words usually stand."""
    return [replace(word, box=word.box.shift(700, 18)) for word in words_of(page, 36)]


def test_columns_whose_lines_alternate() -> None:
    """The lines of the right column stand between those of the left one."""
    right = beside("Nothing else has changed since then, and the weather was\nmild all the time.")
    found = {after.split()[0] for _, after in pairs([*words_of(ONE, 36), *right])}
    assert found == {"31.01.2023", "mild"}


def test_lines_of_text_side_by_side_are_read_column_by_column() -> None:
    left = words_of("The general assembly of all the members lasted for 80\ndays without any delay.", 36)
    words = [*left, *beside("The old price of all the tickets is now\n12 EUR.")]
    lines = column_lines(group_lines(words))
    assert [(line.words[0].text, line.goes_on) for line in lines] == [
        ("The", False), ("days", True), ("The", False), ("12", True),
    ]  # fmt: skip
    told = choose_lines(words, "How long did the assembly last?", 80)
    assert told.endswith("lasted for 80 days without any delay.")
    assert {word for line in lines for word in line.words} == set(words)


def test_cells_of_a_table_and_dotted_lines_do_not_go_on() -> None:
    table = """
    Error     Cause                What to do
    F5        pressure too low     charge the battery
    F7        lid is open               close the lid
    """
    assert pairs(words_of(table, 22)) == []
    assert pairs(words_of("State.                paid\nHeight                45 kPa", 22)) == []


def test_lines_of_a_table_stay_as_they_are() -> None:
    lines = group_lines(words_of("Item    Price    Stock\nScrew   12.00    340\nPlate   9.50    20"))
    assert column_lines(lines) == lines
