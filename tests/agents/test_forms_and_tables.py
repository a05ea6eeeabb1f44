"""Lists of labels with values are told from tables of two columns, and tables from each other."""

from __future__ import annotations

import pytest

from hydra_rag_agents.cells import Cell, page_rows
from hydra_rag_agents.forms import is_form
from hydra_rag_agents.tables import in_table
from hydra_rag_agents.text_context import content_tokens
from tests.agents.test_places import words_of

FORM = """
Employee      Henrik Falk
Ward          Room 3
Born          12.03.1980
Insurer       Tallship AB
"""
TABLE = """
Month         Contact
January       Vera Hall
March         Ivo Brandt
May           Lena Falk
"""
FIGURES = """
City          Guests
Oslo          20
Varna         31
Lyon          7
"""
#: Two tables, the second one of other columns.
STACKED = """
City          Guests
Oslo          20
Varna         31

Ward                      Rooms      Beds
East                      4          16
"""


def rows_of(page: str, question: str) -> list[list[Cell]]:
    return list(page_rows(words_of(page, 26), set(content_tokens(question))))


@pytest.mark.parametrize(("page", "form"), [(FORM, True), (TABLE, False), (FIGURES, False)])
def test_values_of_several_kinds_or_known_labels_make_a_form(page: str, form: bool) -> None:
    rows = rows_of(page, "Which?")
    assert [is_form(rows, number) for number in range(len(rows))] == [form] * len(rows)


def test_a_list_ends_where_more_space_parts_it() -> None:
    apart = TABLE + "\n\n" + FORM
    rows = rows_of(apart, "Which?")
    assert [is_form(rows, number) for number in range(len(rows))] == [False] * 4 + [True] * 4


def test_the_first_row_of_a_form_is_no_head() -> None:
    question = "Who is the employee?"
    assert [cell.text for cell, _ in in_table(rows_of(FORM, question), 0, 0, question)] == []
    question = "Which contact is it?"
    assert [cell.text for cell, _ in in_table(rows_of(TABLE, question), 0, 1, question)] == [
        "Vera Hall",
        "Ivo Brandt",
        "Lena Falk",
    ]


def test_a_table_ends_where_the_columns_are_others() -> None:
    question = "How many guests?"
    found = [cell.text for cell, _ in in_table(rows_of(STACKED, question), 0, 1, question)]
    assert found == ["20", "31"]


def test_the_head_of_a_table_below_another_is_a_head_though_it_is_a_figure() -> None:
    page = "City      2019\nOslo      20\nVarna     31\n\nCity      2020\nOslo      44\nVarna     57"
    question = "What is the 2020 of Varna?"
    rows = rows_of(page, question)
    found = [cell.text for cell, _ in in_table(rows, 3, 1, question)]
    assert found == ["44", "57"]


def test_a_cell_that_was_not_read_ends_no_column() -> None:
    page = "City      Guests    Beds\nOslo      20        9\nVarna               8\nLyon      7         6"
    question = "How many guests?"
    rows = rows_of(page, question)
    assert [cell.text for cell, _ in in_table(rows, 0, 1, question)] == ["20", "7"]
    question = "What has Lyon?"
    assert [cell.text for cell, _ in in_table(rows, 3, 0, question)] == ["7", "6"]


def test_a_row_that_was_read_as_one_cell_ends_no_column() -> None:
    page = "City      Guests\nOslo      20\nVarnaholm-12-guest\nLyon      7"
    question = "How many guests?"
    rows = rows_of(page, question)
    assert [cell.text for cell, _ in in_table(rows, 0, 1, question)] == ["20", "7"]
