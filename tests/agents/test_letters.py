"""Who a letter is to and from."""

from __future__ import annotations

import pytest

from hydra_rag.geometry import Box
from hydra_rag.values import Word
from hydra_rag_agents.letters import in_letter_words
from hydra_rag_agents.places import text_places

LINES = (
    "Hollow & Sons",
    "Dear Mira Ostrom,",
    "The pump was repaired by Jon Falk on 3 May.",
    "Kind regards,",
    "Tove Brandt",
    "Head of Service",
)


def page(lines: tuple[str, ...] = LINES) -> list[Word]:
    words = []
    for number, line in enumerate(lines):
        x = 40
        for text in line.split():
            words.append(Word(text, Box(x, 40 * number, x + 10 * len(text), 40 * number + 20)))
            x += 10 * len(text) + 6
    return words


@pytest.mark.parametrize(
    ("question", "line"),
    [
        ("Who is the letter addressed to?", 1),
        ("To whom is the letter?", 1),
        ("Who is addressed?", 1),
        ("Who signed the letter?", 4),
        ("Who wrote this message?", 4),
        ("Who signed the letter from the harbour office?", 4),
    ],
)
def test_the_greeting_names_whom_a_letter_is_to_and_the_closing_whom_it_is_from(
    question: str, line: int
) -> None:
    words = page()
    (box, _), *_ = text_places(words, in_letter_words(question, words), top=1)
    middle = 40 * line + 10
    assert box.top <= middle < box.bottom


def test_a_signature_may_stand_between_the_closing_and_the_name() -> None:
    words = [
        word if word.box.top < 150 else Word(word.text, word.box.shift(0, 90))
        for word in page((*LINES[:3], "Yours sincerely", *LINES[4:]))
    ]
    (box, _), *_ = text_places(words, in_letter_words("Who signed the letter?", words), top=1)
    assert box.top <= 40 * 4 + 100 < box.bottom


@pytest.mark.parametrize(
    "question", ["Who repaired the pump?", "Who wrote the report?", "What is the address?", "Who is it for?"]
)
def test_other_questions_stay_as_they_are(question: str) -> None:
    assert in_letter_words(question, page()) == question


def test_a_page_that_is_no_letter_changes_nothing() -> None:
    question = "Who signed the letter?"
    assert in_letter_words(question, page(("Signed by", "Tove Brandt"))) == question
