"""Questions with a verb, put with the noun that a form prints."""

from __future__ import annotations

import pytest

from hydra_rag_agents.nouns import in_nouns


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("To whom is the invoice addressed?", "Who is the customer?"),
        ("When was the invoice issued?", "When is the issue date?"),
        ("How much must be paid?", "How much is the total due?"),
        ("Where is the meeting?", "What is the location?"),
        ("What is the letter about?", "What is the subject?"),
        ("Who filled in the form?", "Who is the applicant?"),
        ("How much does the tank hold?", "What is the volume?"),
        ("When is it open?", "What are the opening hours?"),
        ("What is the name of the person who signed?", "Who signed it?"),
        ("Where was the manual printed?", "Where was the manual printed?"),
        ("How much must be paid for the tent?", "How much must be paid for the tent?"),
        ("Who signed the name of the person?", "Who signed the name of the person?"),
    ],
)
def test_the_noun_is_asked_for(question: str, expected: str) -> None:
    assert in_nouns(question, lambda label: True) == expected


def test_nothing_changes_where_the_page_has_no_such_label() -> None:
    asked: list[tuple[str, ...]] = []

    def labelled(label: tuple[str, ...]) -> bool:
        asked.append(label)
        return False

    assert in_nouns("What is it about?", labelled) == "What is it about?"
    assert asked == [("subject",)]
