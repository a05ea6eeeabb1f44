"""Dotted lines leave the words that stand on them."""

from __future__ import annotations

import pytest

from hydra_rag.geometry import Box
from hydra_rag.leaders import between, dots, is_leader, strays
from hydra_rag.read_words import Read, surest


@pytest.mark.parametrize("text", [".....", "........pr.iem...k:..........", "_______", "·····"])
def test_a_line_of_dots_is_one_though_letters_are_among_them(text: str) -> None:
    assert is_leader(text)


@pytest.mark.parametrize("text", ["...", "v1.2.3", "Total.....5", "12.04.2024", "", "e.g."])
def test_words_with_dots_are_none(text: str) -> None:
    assert not is_leader(text)


def test_its_longest_free_part_is_left() -> None:
    line = Box(10, 100, 510, 120)
    assert between(line, []) == line
    assert between(line, [Box(10, 98, 90, 118), Box(440, 98, 500, 118)]) == Box(90, 100, 440, 120)
    assert between(line, [Box(0, 98, 600, 118)]).width == 0
    assert between(line, [Box(10, 150, 90, 170), Box(600, 98, 700, 118)]) == line
    assert dots("." * 100, 0.5) == "." * 50
    assert dots("." * 100, 0.02) == ""


def test_a_label_and_its_value_stay_where_a_dotted_line_was_read_over_them() -> None:
    """The line is longer and surer than either."""
    label, value = Read("Height", Box(10, 100, 80, 120), 0.6), Read("41", Box(480, 100, 500, 120), 0.5)
    line = Read("..e.." + "." * 95, Box(10, 100, 510, 120), 0.99)
    found = {read.text: read.box for read in surest([line, label, value])}
    assert found == {"Height": label.box, "41": value.box, "." * 80: Box(80, 100, 480, 120)}


def test_dots_that_were_read_as_letters_are_no_words() -> None:
    line = Box(10, 100, 510, 120)
    words = [("Bank", Box(10, 100, 60, 120)), ("4", Box(150, 100, 160, 120)), ("4", Box(240, 100, 250, 120))]
    value = [("5", Box(440, 100, 450, 120)), ("mm", Box(455, 100, 480, 120))]
    assert strays(line, [*words, *value]) == [1, 2]
    assert strays(line, [*words[:1], ("7", Box(495, 100, 505, 120))]) == []
    assert strays(line, [("4", Box(240, 200, 250, 220))]) == []
