"""The highest and the lowest bar of a chart."""

from __future__ import annotations

import pytest

from hydra_rag.lines import group_lines
from hydra_rag_agents.asked_for import asked_support
from hydra_rag_agents.cells import page_rows
from hydra_rag_agents.extremes import asks_extreme, extreme
from hydra_rag_agents.places import word_support
from tests.agents.test_places import words_of

TOWNS = """
Visitors in thousands

                538
159
                              1,240

Ghent           Malmö         Bruges
"""
YEARS = """
Orders

738
              316

2018          2027
"""
TABLE = """
Part       Hours      Units
Belt       41         12
Pump       37         80
"""


def of(page: str, question: str) -> str | None:
    found = extreme(list(page_rows(words_of(page, 26), set())), question)
    return found and found.text


@pytest.mark.parametrize(
    ("page", "question", "name"),
    [
        (TOWNS, "Which one is the highest?", "Bruges"),
        (TOWNS, "Which bar is the lowest?", "Ghent"),
        (TOWNS, "Which has the highest value?", "Bruges"),
        (YEARS, "Which one is the smallest?", "2027"),
        (TABLE, "Which one is the highest?", None),
        (TOWNS, "Which town has the highest rent?", None),
        ("", "Which one is the highest?", None),
    ],
)
def test_the_name_under_the_figure(page: str, question: str, name: str | None) -> None:
    assert of(page, question) == name


def test_no_word_of_the_page_need_say_so() -> None:
    words, question = words_of(TOWNS, 26), "Which one is the highest?"
    assert asks_extreme(question)
    assert asked_support(group_lines(words), question) == 1.0
    support = word_support(words, question)
    assert [word.text for word, told in support.items() if told.score == 1.0] == ["Bruges"]
