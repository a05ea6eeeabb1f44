"""Evaluation folders printed by Chromium and LibreOffice: every evidence box holds its answer."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.other_programs.__main__ import answers, lookalikes
from benchmarks.other_programs.browser import Browser
from benchmarks.other_programs.office_files import WRITERS
from benchmarks.other_programs.pages_html import LAYOUTS
from hydra_rag_agents.eval_data import EvalPage, open_image, read_pages, read_queries


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Path:
    made = tmp_path_factory.mktemp("made")
    office = len(WRITERS) if shutil.which("soffice") else 0
    printer = Browser(browser)
    answers(printer, made / "answers", "test", len(LAYOUTS) + office, office, 72)
    lookalikes(printer, made / "lookalikes", "test", 6, 72, ("boxed_form", "table_page", "ticket"))
    return made


def said(page: EvalPage, boxes: object) -> str:
    """The words whose middles lie in the boxes, without spaces."""
    inside = [
        word.text
        for word in page.words
        if any(
            box.contains((word.box.left + word.box.right) / 2, (word.box.top + word.box.bottom) / 2)
            for box in boxes  # type: ignore[attr-defined]
        )
    ]
    return "".join(inside)


def test_boxes_hold_the_answers(folder: Path) -> None:
    pages = read_pages(folder / "answers")
    asked = [(page, question) for page in pages for question in page.questions]
    assert len(pages) >= len(LAYOUTS)
    assert len({page.image for page, question in asked if question.answer}) == len(pages)
    assert any(question.answer is None for _, question in asked)
    for page, question in asked:
        if question.answer is not None:
            assert question.answer.replace(" ", "") in said(page, question.boxes), (page.image, question)
            size = open_image(folder / "answers", page.image).size
            assert all(box == box.clip(*size) and box.area for box in question.boxes)


def test_look_alikes_are_told_apart_by_their_queries(folder: Path) -> None:
    pages = {page.image: page for page in read_pages(folder / "lookalikes")}
    queries = read_queries(folder / "lookalikes", set(pages))
    assert queries
    for query in queries:
        (right,) = query.relevant
        value = query.query.split()[-1]
        assert any(value in word.text for word in pages[right].words)
