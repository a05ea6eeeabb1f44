"""Which documents a question names, by the words of their names alone."""

from __future__ import annotations

import pytest

from hydra_rag_indexing.naming import Naming, Titled

EXAMPLES = (
    "annual-report.pdf", "invoice.pdf", "letter.pdf", "manual.pdf", "membership-form.jpg",
    "product-sheet.pdf", "project-slide.png",
)  # fmt: skip
SERIES = tuple(f"{kind}{number:03}.pdf" for kind in ("letter", "invoice") for number in range(1, 11))


def named(question: str, *names: str, titles: dict[str, str] | None = None) -> list[str]:
    """Names that the question means, surest first."""
    plain = {name: Titled.of(*reversed(name.rpartition("/")[::2])) for name in names}
    found = Naming(plain).named(
        question,
        {name: Titled(t.name, t.ending, t.folders, Titled.of(titles[name]).name) for name, t in plain.items()
         if titles and name in titles},
    )  # fmt: skip
    assert all(0 < weight <= 1 for weight in found.values())
    return sorted(found, key=lambda name: (-found[name], name))


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("Who signed the letter?", "letter.pdf"),
        ("Who signed letter.pdf?", "letter.pdf"),
        ("What was the profit in the annual report?", "annual-report.pdf"),
        ("What was the profit in annual-report?", "annual-report.pdf"),
        ("What was the profit in annual report 2023", "annual-report.pdf"),
        ("In the bill, who is the buyer?", "invoice.pdf"),
        ("What does the presentation say about risks?", "project-slide.png"),
        ("When was the letter dated?", "letter.pdf"),
        ("What does the manual recommend?", "manual.pdf"),
        ("which name is on the membership form", "membership-form.jpg"),
    ],
)
def test_a_document_is_named_by_its_file_or_its_kind(question: str, name: str) -> None:
    assert named(question, *EXAMPLES)[:1] == [name]


@pytest.mark.parametrize(
    "question",
    [
        "How long is it?",
        "When does the pilot take place?",
        "Which total is not in the letter?",
        "What is in other.pdf?",
        "What is in invoices2023.pdf?",
        "What is on page 7?",
        "",
        "?!",
    ],
)
def test_other_questions_name_none(question: str) -> None:
    assert named(question, *EXAMPLES) == []


def test_what_names_every_document_names_none() -> None:
    assert named("Who signed the letter?", "letter-1.pdf", "letter-2.pdf") == []
    assert named("Who signed the letter?", "letter.pdf") == []
    assert named("Do the letter and the invoice agree?", "letter.pdf", "invoice.pdf") == []
    assert named("What do the letters, reports say?", "letters/a.pdf", "letters/b.pdf") == []


def test_a_number_tells_one_of_a_series() -> None:
    assert named("What is the total of invoice 7?", *SERIES)[0] == "invoice007.pdf"
    assert named("What is the total in invoice007.pdf?", *SERIES) == ["invoice007.pdf"]
    assert named("What is the total on INVOICE007?", *SERIES) == ["invoice007.pdf"]
    assert len(named("What is the total on the invoice?", *SERIES)) == 10


def test_fewer_documents_are_named_more_surely() -> None:
    few = Naming({name: Titled.of(name) for name in ("letter.pdf", *SERIES[10:])})
    many = Naming({name: Titled.of(name) for name in SERIES})
    question = "Who signed the letter?"
    assert few.named(question)["letter.pdf"] > 2 * many.named(question)["letter001.pdf"] > 0


def test_a_word_that_only_describes_another_names_less() -> None:
    naming = Naming({name: Titled.of(name) for name in EXAMPLES})
    aside = naming.named("What is the invoice number?")["invoice.pdf"]
    assert 0 < aside < naming.named("What is the number on the invoice?")["invoice.pdf"] / 2


def test_folders_and_names_that_are_run_together() -> None:
    files = ("acme/AnnualReport2022.pdf", "acme/AnnualReport2023.pdf", "zenith/AnnualReport2023.pdf")
    assert named("What is the profit in the annual report 2023 of Zenith?", *files)[0] == files[2]
    assert named("What is the profit in acme/AnnualReport2023.pdf?", *files) == [files[1]]
    assert named("What was sold in 2022?", *files)[0] == files[0]


def test_titles_name_by_kind_or_nearly_whole() -> None:
    files = ("scan1.pdf", "scan2.pdf", "scan3.pdf")
    titles = {files[0]: "INVOICE", files[1]: "Dehumidifier DX 20", files[2]: "Employees at work"}
    assert named("What is the total of the invoice?", *files, titles=titles) == [files[0]]
    assert named("How loud is the dehumidifier DX 20?", *files, titles=titles) == [files[1]]
    assert named("Where do the employees live?", *files, titles=titles) == []
    assert named("How do employees come to work?", *files, titles=titles) == [], "words that stand apart"


def test_scripts_without_spaces() -> None:
    assert named("請求書の合計はいくらですか", "請求書.pdf", "手紙.pdf", "契約書.pdf")[0] == "請求書.pdf"
    assert named("Was steht im Übergabeprotokoll?", "Übergabeprotokoll.pdf", "Brief.pdf") == [
        "Übergabeprotokoll.pdf"
    ]
