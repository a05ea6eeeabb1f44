"""Joined Arabic letters: the right forms, undone by normalisation, read back from a page."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_rag_indexing.files import load_pages
from hydra_rag_indexing.files.arabic import is_form, join_letters
from hydra_rag_indexing.files.truetype import fallback_fonts


@pytest.mark.parametrize(
    ("word", "forms"),
    [
        ("\u0628\u0628\u0628", ["BEH INITIAL", "BEH MEDIAL", "BEH FINAL"]),
        ("\u0628", ["BEH ISOLATED"]),
        # Dal joins only the letter before it.
        ("\u0628\u062f\u0628", ["BEH INITIAL", "DAL FINAL", "BEH ISOLATED"]),
        ("\u0633\u0644\u0627\u0645", ["SEEN INITIAL", "LIGATURE LAM WITH ALEF FINAL", "MEEM ISOLATED"]),
        ("\u0644\u0627", ["LIGATURE LAM WITH ALEF ISOLATED"]),
        # A vowel sign between two letters does not part them; a space does.
        ("\u0628\u064e\u0628", ["BEH INITIAL", None, "BEH FINAL"]),
        ("\u0628 \u0628", ["BEH ISOLATED", None, "BEH ISOLATED"]),
        ("\u0628\u0640\u0628", ["BEH INITIAL", None, "BEH FINAL"]),
        # Hamza joins nothing.
        ("\u0628\u0621\u0628", ["BEH ISOLATED", "HAMZA ISOLATED", "BEH ISOLATED"]),
        # Persian letters.
        ("\u067e\u06cc", ["PEH INITIAL", "FARSI YEH FINAL"]),
    ],
)
def test_letters_take_the_form_of_their_place(word: str, forms: list[str | None]) -> None:
    made = join_letters(word)
    assert len(made) == len(forms)
    for char, form in zip(made, forms, strict=True):
        if form is not None:
            name = unicodedata.name(char).removeprefix("ARABIC ").replace("LETTER ", "")
            assert name == f"{form} FORM"


@given(st.text(alphabet="\u0628\u062f\u0644\u0627\u0622\u0623\u0645\u064e\u0640\u0621 a1"))
def test_normalisation_gives_the_text_back(text: str) -> None:
    made = join_letters(text)
    back = "".join(unicodedata.normalize("NFKC", c) if is_form(c) else c for c in made)
    assert back == text


def test_text_without_arabic_is_left_alone() -> None:
    assert (
        join_letters("caf\u00e9 \u05e9\u05dc\u05d5\u05dd \u6587")
        == "caf\u00e9 \u05e9\u05dc\u05d5\u05dd \u6587"
    )


def test_words_read_back_from_the_page_are_the_words_of_the_file(tmp_path: Path) -> None:
    words = ["\u0633\u0644\u0627\u0645", "\u0639\u0644\u064a\u0643\u0645", "2026", "total"]
    path = tmp_path / "greeting.txt"
    path.write_text(" ".join(words), encoding="utf-8")
    (page,) = load_pages(path, ocr="never")
    assert sorted(word.text for word in page.words) == sorted(words)
    drawable = fallback_fonts({ord(char) for char in join_letters("".join(words[:2]))})
    assert np.asarray(page.image.convert("L")).min() < 100, drawable
