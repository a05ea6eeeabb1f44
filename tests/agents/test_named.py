"""A page that knows none of a question's names hardly answers it."""

from __future__ import annotations

import pytest

from hydra_rag.lines import group_lines
from hydra_rag_agents.answer_form import fits_form
from hydra_rag_agents.named import names_support
from hydra_rag_agents.priors import line_priors
from tests.agents.test_places import words_of

TABLE = """
Club             Members     Hall
SC Lindau        44297       Gate 39
Blue Herons      32823       Level 43A
"""


@pytest.mark.parametrize(
    "question",
    [
        "How many members does Blue Herons have?",
        "What is the hall of SC Lindau?",
        "What is the hall of SC Lindav?",  # as it may have been read, or typed
        "how many members are there?",
        "Which club plays in Gate 39?",
        "HOW MANY MEMBERS DOES IT HAVE?",
        "What Are The Members Of The Club?",
        "",
    ],
)
def test_known_names_and_none_change_nothing(question: str) -> None:
    assert names_support(group_lines(words_of(TABLE)), question) == 1.0


@pytest.mark.parametrize(
    "question",
    [
        "How many members does SC Nordhafen have?",
        "What is the hall of Athletic Holm?",
        "Which club plays in Q77-1?",
    ],
)
def test_unknown_names_leave_little(question: str) -> None:
    lines = group_lines(words_of(TABLE))
    assert names_support(lines, question) < 0.5
    most = max(prior.supports for line in line_priors(lines, lines, question) for prior in line)
    known = line_priors(lines, lines, "How many members does Blue Herons have?")
    assert most < 0.5 * max(prior.supports for line in known for prior in line)


def test_no_place_is_a_sum_of_money() -> None:
    assert not fits_form("Where does the course take place?", "22.14 SEK")
    assert not fits_form("To which city does it move?", "€ 5")
    assert fits_form("Where does the course take place?", "Room 12")
    assert fits_form("What does the place cost?", "22.14 SEK")
