"""Which value a label names, where the layout alone leaves a choice."""

from __future__ import annotations

import pytest

from hydra_rag_agents.cells import page_rows
from hydra_rag_agents.labels import holds_value, value_of
from hydra_rag_agents.places import word_support
from hydra_rag_agents.text_context import content_tokens
from tests.agents.test_places import words_of

TILES = """
$4,120       36 boxes
Refund       Parcels

Discount:    7 USD
"""
WORDS_OVER_LABELS = """
61 kg        aluminium     6 people
Mass         Made of       Crew
"""
SIDE_BY_SIDE = """
Team lead       Meeting room
Walter Pate     Hall C
"""
INSIDE = """
Project manager Leo Falk

Section 1
"""
TABLE = """
Code    Cause            What to do
A8      Sensor failure   Replace the fuse
A32     Coil frozen      Close the door
"""
FORM = """
Status       paid

City         Varna
Crew         46 people
Duration     9 days
"""
HEADED = """
To           Weight       Contact
Lena Falk    4.1 kg       Ivo Brandt
12 Mill Lane
"""
BARS = """
Visitors

738
              316

2018          2027        2031
"""
TWO_BARS = """
371%          248%

Q4            Q1
"""
NAMES_OVER_LABELS = """
Order note

Mia Weber     silver     63 dB
Author        Finish     Cable length

Town          Lagos
"""
BESIDE_ANOTHER_FORM = """
Cord length     Founded: 2014
19 m            Owner: Ruby Falk
"""
OVER_A_LIST = """
$170
Savings
- The bridge opens 10:15
- Lyon comes first
"""

VALUES_OF_ALL_KINDS = """
51 kg          mia@example.org
Mass           E-mail

23             $ V
Staff          Voltage
"""
TWO_COLUMNS = """
Postcode
                    Reference
22656               389556
"""
OTHER_LABEL_BESIDE = """
Sold to                       PAUL WALKER        27 JUN
Chen Patel
20 Lake Road                  Project lead       Due by
"""
OTHER_COLUMN = """
Cord length         Established: 2014
19 cm
"""
BESIDE_A_LABELLED_CELL = """
Serial: 4711     Amara Weber     silver     63 cm
                 Author          Finish     Cable length

Balance: 12 USD
"""
VALUES_LIKE_LABELS = """
Department                    Sales
Sender                        Harrow Works
Supply voltage                230 V
"""
UNREAD_VALUE = """
Pay by           Destination        Version
05/26/1999                          12.4
"""


@pytest.mark.parametrize(
    ("page", "question", "value"),
    [
        (VALUES_OF_ALL_KINDS, "What is the mass?", "51 kg"),
        (VALUES_OF_ALL_KINDS, "What is the staff?", "23"),
        (TWO_COLUMNS, "What is the postcode?", "22656"),
        (OTHER_LABEL_BESIDE, "Who is the sold to?", "Chen Patel"),
        (OTHER_COLUMN, "What is the cord length?", "19 cm"),
        (VALUES_LIKE_LABELS, "What is the department?", "Sales"),
        (BESIDE_A_LABELLED_CELL, "Who is the author?", "Amara Weber"),
        (BESIDE_A_LABELLED_CELL, "What is the finish?", "silver"),
        (TILES, "How much is the refund?", "$4,120"),
        (TILES, "What is the discount?", "7 USD"),
        (WORDS_OVER_LABELS, "What is it made of?", "aluminium"),
        (WORDS_OVER_LABELS, "What is the mass?", "61 kg"),
        (NAMES_OVER_LABELS, "Who is the author?", "Mia Weber"),
        (NAMES_OVER_LABELS, "What is the finish?", "silver"),
        (BESIDE_ANOTHER_FORM, "What is the cord length?", "19 m"),
        (OVER_A_LIST, "What are the savings?", "$170"),
        (SIDE_BY_SIDE, "Who is the team lead?", "Walter Pate"),
        (SIDE_BY_SIDE, "Which is the meeting room?", "Hall C"),
        (INSIDE, "Who is the project manager?", "Project manager Leo Falk"),
        (TABLE, "What helps with A32?", "Close the door"),
        (FORM, "Which city is it?", "Varna"),
        (FORM, "What is the duration?", "9 days"),
        (HEADED, "Who is it to?", "Lena Falk"),
        (BARS, "Which value does 2027 have?", "316"),
        (BARS, "Which value does 2018 have?", "738"),
        (TWO_BARS, "Which value does Q4 have?", "371%"),
    ],
)
def test_the_words_that_answer_best_are_the_value(page: str, question: str, value: str) -> None:
    support = word_support(words_of(page, 26), question)
    best = max(told.score for told in support.values())
    assert " ".join(word.text for word, told in support.items() if told.score == best) == value


def test_a_cell_that_goes_on_with_a_name_or_a_figure_has_its_value_itself() -> None:
    asked = "Who is the project manager?"

    def cell(text: str) -> bool:
        ((found,),) = page_rows(words_of(text), set(content_tokens(asked)))
        return holds_value(found, asked)

    assert cell("Project manager Leo Falk")
    assert cell("Manager 12")
    assert not cell("Project manager")
    assert not cell("Project Manager Name")
    assert not cell("Project manager of the site")


def test_the_next_label_is_no_value_where_the_own_one_is_missing() -> None:
    asked = "What is the destination?"
    rows = list(page_rows(words_of(UNREAD_VALUE, 26), set(content_tokens(asked))))
    assert value_of(rows, 0, 1, asked) == (None, None)


def test_a_label_of_something_else_is_no_value() -> None:
    asked = "Who is the team lead?"
    rows = list(page_rows(words_of("Team lead\nDiscount:  7 USD"), set(content_tokens(asked))))
    assert value_of(rows, 0, 0, asked) == (None, None)


def test_what_stands_over_a_label_with_a_colon_is_not_its_value() -> None:
    page = words_of("Section 9\nSerial:\nNet total: 771.50", 24)
    support = word_support(page, "What is the serial number?")
    assert {word.text: told.score for word, told in support.items()}["Section"] < 1.0
