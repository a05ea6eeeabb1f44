"""Samples that show the lines chosen for a question, as an answer's prompt does."""

from __future__ import annotations

import random

import pytest

from hydra_rag.geometry import Box
from hydra_rag.lines import group_lines
from hydra_rag.nano import tokens
from hydra_rag.prompts import NOT_FOUND_TEXT
from hydra_rag.training.chosen_lines import best_lines, chosen_samples, misread
from hydra_rag.values import Word

LINES = group_lines(
    [
        Word(text, Box(10 + 80 * i, 30 * row, 70 + 80 * i, 30 * row + 20))
        for row, line in enumerate(("Harbour report", "Crane hire", "Total due", "48.20 EUR", "Page three"))
        for i, text in enumerate(line.split())
    ]
)


def shown(question: str, budget: int, keep: tuple[Box, ...] = ()) -> list[str]:
    return [line.text for line in best_lines(LINES, question, budget, random.Random(1), keep)]


def test_lines_that_share_words_come_first_and_bring_the_one_below() -> None:
    assert shown("What is the total?", 21) == ["Total due", "48.20 EUR"]
    assert shown("What is the total?", 1000) == [line.text for line in LINES]
    assert shown("What is the total?", 5) == []


def test_the_answer_is_shown_whatever_it_says() -> None:
    assert shown("What is the total?", 15, keep=(LINES[0].box,)) == ["Harbour report"]


@pytest.mark.parametrize("seed", range(6))
def test_every_answer_can_be_copied_from_the_lines(seed: int) -> None:
    samples = chosen_samples(random.Random(seed), (20, 16), prefixes=3)
    assert samples
    for sample in samples:
        assert sample.block is None
        text = tokens.decode(sample.prefix)
        assert len(text) < 500
        for branch in sample.branches:
            answer = tokens.decode(branch.answer[:-1])
            if branch.kind == "absent":
                assert answer == NOT_FOUND_TEXT
                continue
            assert answer in text
            for token, places in zip(branch.answer, branch.sources, strict=False):
                assert all(sample.prefix[place] == token for place in places)


def test_letters_are_taken_for_others_of_their_look() -> None:
    word = Word("l0S5" * 500, Box(0, 0, 10, 10))
    read = misread(word, random.Random(3)).text
    wrong = [(a, b) for a, b in zip(word.text, read, strict=True) if a != b]
    assert 5 < len(wrong) < 60
    assert set(wrong) <= {("l", "I"), ("0", "O"), ("S", "5"), ("5", "S")}
