"""Values are held against the question: the words around them, their page, their form."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hydra_rag.lines import Line, group_lines
from hydra_rag_agents.answer_form import fits_form
from hydra_rag_agents.matching import find_answer
from hydra_rag_agents.moves import Judgement, View
from hydra_rag_agents.page_lines import choose_lines
from hydra_rag_agents.priors import line_priors
from hydra_rag_agents.reader import NANO
from hydra_rag_agents.relevance import Relevance
from hydra_rag_agents.state import AskSettings, Budget, PageId
from hydra_rag_agents.testing import words_of
from hydra_rag_agents.text_context import content_tokens, said

A, B = PageId("d1", 1), PageId("d2", 1)
SHEET = "Hydro kettle\nWeight 1.06 kg\nPower 1700 W\nWarranty 6 years"
MANUAL = "Dehumidifier\nWipe the housing every 2 weeks\nKeep 25 cm away"


def factor(question: str, page: PageId, answer: str) -> float:
    pages = {A: words_of(SHEET), B: words_of(MANUAL)}
    matches = find_answer(pages[page], question, answer)
    return Relevance(question, pages).factor(page, matches[0] if matches else None, answer)


def test_the_value_beside_its_label_beats_others_on_the_page_and_elsewhere() -> None:
    question = "What is the warranty of the Hydro kettle?"
    right, same_page, elsewhere = (
        factor(question, p, a) for p, a in ((A, "6 years"), (A, "1700 W"), (B, "2 weeks"))
    )
    assert right > same_page > elsewhere
    assert 0 < elsewhere < 0.5 < right <= 1


def test_a_question_about_nothing_on_the_pages_leaves_little() -> None:
    assert factor("What is the registration plate of the van?", B, "25 cm") <= 0.31


@pytest.mark.parametrize(
    ("question", "answer", "fits"),
    [
        ("When does the tariff start?", "1 May 2027", True),
        ("When does the tariff start?", "Station Street", False),
        ("How many employees are there?", "212", True),
        ("What is the invoice number?", "Alder Foods", False),
        ("Who signed the letter?", "Ruth Turner", True),
        ("Who signed the letter?", "439375", False),
        ("Which company is billed?", "Maple Works Ltd", True),
        ("What is the applicant's date of birth?", "Membership number", False),
        ("At what time does it leave?", "platform", False),
        ("What does error code E3 mean?", "sensor failure", True),
        ("What does E3 mean?", "sensor failure", True),
    ],
)
def test_forms(question: str, answer: str, fits: bool) -> None:
    assert fits_form(question, answer) is fits


def _begins(lines: list[Line], question: str) -> list[list[float]]:
    return [[prior.begins for prior in line] for line in line_priors(lines, lines, question)]


def test_words_under_their_label_are_the_likeliest_to_begin_an_answer() -> None:
    form = "Date of birth          Membership number\n15/09/1995             A-35212\nCity"
    lines = group_lines(words_of(form))
    labels, priors, _ = _begins(lines, "What is the membership number?")
    assert priors[1] > 2 * priors[0]
    assert max(labels) < priors[1]


def test_a_value_with_another_label_of_its_own_is_less_likely() -> None:
    lines = group_lines(words_of("Bill to     Invoice number INV-703\nMaple Ltd   Invoice date 27 November"))
    first, second = _begins(lines, "What is the invoice number?")
    assert first[-1] > 1.2 * max(second)


def test_a_value_is_likelier_to_begin_with_its_first_word() -> None:
    lines = group_lines(words_of("Customer number 613 220"))
    (priors,) = _begins(lines, "What is the customer number?")
    assert priors[2] > priors[3]


def test_a_value_ends_with_its_cell_and_a_sentence_with_its_stop() -> None:
    text = "Power        1900 W\nPlease clean the small filter every 44 days. Then dry it well over night."
    lines = group_lines(words_of(text))
    (power, number, unit), prose = line_priors(lines, lines, "What is the power?")
    assert number.ends < 0.5 < min(power.ends, unit.ends)
    ends = dict(zip(lines[1].text.split(), (p.ends for p in prose), strict=True))
    assert ends["days."] > ends["44"]


def test_joining_words_and_small_letters_hardly_begin_an_answer() -> None:
    lines = group_lines(words_of("Please ask Katarina Thornbury at the front desk of our office in town."))
    (priors,) = _begins(lines, "Whom should one ask for at the front desk?")
    by_word = dict(zip(lines[0].text.split(), priors, strict=True))
    assert by_word["Katarina"] > 0.9
    assert by_word["at"] < 0.5 * by_word["Katarina"]


def test_what_stands_before_a_colon_is_hardly_an_answer() -> None:
    lines = group_lines(words_of("Supervisor: Greta Fontaine\nOffice phone: 066 927"))
    (label, name, _), (office, phone, number, _) = _begins(lines, "Who approved the form?")
    assert label < 0.5 * name
    assert max(office, phone) <= 0.5 * name
    assert number < name  # a person has no digits


def test_related_words_are_the_same_word() -> None:
    assert said(content_tokens("To where does it move?"), content_tokens("The show moves to Ghent")) == {
        "move"
    }
    assert said(content_tokens("How many boxes?"), content_tokens("a box")) == {"box"}
    assert not said(content_tokens("How long?"), content_tokens("a longer way"))
    assert said({"weigh", "pay"}, ["weight", "payment"]) == {"weigh"}
    assert "Weight 1.06 kg" in choose_lines(words_of(SHEET), "How much does it weigh?", 14)


def test_a_value_two_lines_above_its_label_is_chosen_with_it() -> None:
    slide = "Milestones\n7 Feb   8 Apr\nO       O\nPilot   Training\nNotes about everything else"
    assert "7 Feb" in choose_lines(words_of(slide), "When is the pilot?", 40)


def test_an_answer_from_a_text_layer_needs_its_own_confidence() -> None:
    profile = replace(NANO, threshold=0.4, threshold_text=0.1)
    assert (profile.threshold_for(printed=True), profile.threshold_for(printed=False)) == (0.1, 0.4)
    assert replace(profile, threshold_text=None).threshold_for(printed=True) == 0.4
    page = PageId("d", 1)
    view = View(AskSettings(), profile, Budget())
    read = replace(view, judgements=(Judgement(0, "a", 0.2, None, page, None),))
    printed = replace(view, judgements=(Judgement(0, "a", 0.2, True, page, None),))
    asked = replace(printed, settings=AskSettings(threshold=0.3))
    assert (read.best, printed.best, asked.best) == (None, 0, None)
