"""Questions that say where to look: their pages are asked without it, and other documents count less."""

from __future__ import annotations

import pytest

from hydra_rag_agents.locating import located
from hydra_rag_agents.loop import run
from hydra_rag_agents.state import AskSettings, PageId, Turn
from hydra_rag_agents.testing import FakePage, MemoryLibrary, ScriptedReader
from hydra_rag_indexing.naming import Naming, Titled

NAMES = ("annual-report.pdf", "invoice.pdf", "letter.pdf", "report2023.pdf")
NAMING = Naming({name: Titled.of(name) for name in NAMES})


def _asked(question: str) -> str:
    turn = located(
        Turn(question, AskSettings()), lambda words: max(NAMING.named(words).values(), default=0.0)
    )
    assert turn.question == turn.search_text == question, "the search is asked everything"
    return turn.asked


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("In the annual report, how many units were sold?", "How many units were sold?"),
        ("According to report2023.pdf, how many units were sold?", "How many units were sold?"),
        ("How many units were sold in annual-report.pdf?", "How many units were sold?"),
        ("When does the tariff start in the file letter.pdf", "When does the tariff start?"),
        ("In the letter, when does the tariff start in letter.pdf?", "When does the tariff start?"),
    ],
)
def test_the_place_is_left_out(question: str, asked: str) -> None:
    assert _asked(question) == asked


@pytest.mark.parametrize(
    "question",
    [
        "In the west region, how many units were sold?",
        "How many units were sold in other.pdf?",
        "In the invoice, what is the number?",  # "the number" alone may be any
        "Who signed the letter?",
        "How many units were sold in the annual report?",
        "What is in letter.pdf",
        "Is it 3.5 or 4.5 in all?",
        "",
    ],
)
def test_other_questions_stay(question: str) -> None:
    assert _asked(question) == question


def test_a_question_in_full_is_what_is_asked() -> None:
    turn = Turn("And in letter.pdf?", AskSettings(), prompt_question="When is the start in letter.pdf?")
    assert located(turn, lambda words: float(words == "letter.pdf")).asked == "When is the start?"


@pytest.mark.parametrize(("sure", "answer"), [(1.0, "20 EUR"), (0.1, "10 EUR"), (None, "10 EUR")])
def test_an_answer_from_the_named_document_weighs_more(sure: float | None, answer: str) -> None:
    """``sure``: how surely the question names the second document."""
    sources = {} if sure is None else {"name": {"rank": 1, "score": sure}}
    pages = {
        PageId("d1", 1): FakePage("Total 10 EUR", 2.0),
        PageId("d2", 1): FakePage("Total 20 EUR", 1.0, sources=sources),
    }
    told = iter([("10 EUR", 0.8), ("20 EUR", 0.8)])
    turn = Turn("What is the total?", AskSettings(gaze="never"))
    *_, last = run(MemoryLibrary(pages), ScriptedReader(lambda images, text: next(told)), turn)
    assert last.answer.text == answer  # type: ignore[union-attr]
