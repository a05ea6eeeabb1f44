"""Close columns of figures are told apart; aligned gaps of sentences are not."""

from __future__ import annotations

import pytest

from hydra_rag.geometry import Box
from hydra_rag.lines import group_lines
from hydra_rag.values import Word


def row(y: int, *cells: tuple[int, str]) -> list[Word]:
    """Words of 10 px a character and 20 px height, 5 px apart; every cell from its own x on."""
    words = []
    for x, text in cells:
        for part in text.split():
            words.append(Word(part, Box(x, y, x + 10 * len(part), y + 20)))
            x += 10 * len(part) + 5
    return words


TABLE = [("Cable", "338", "7,528"), ("Desk lamp", "21", "64"), ("Fuse", "5", "9,310"), ("Ink", "77", "128")]


def cells(gap: int) -> list[str]:
    """The lines of a table whose figures end ``gap`` pixels before the next column begins."""
    words = [
        word
        for i, (name, count, price) in enumerate(TABLE)
        for word in row(30 * i, (0, name), (160 - 10 * len(count), count), (160 + gap, price))
    ]
    words += row(200, (0, "All of it is kept in the back room of the shop"))
    return [line.cells for line in group_lines(words)][:-1]


@pytest.mark.parametrize("gap", [13, 15, 18])
def test_figures_in_close_columns_are_cells_of_their_own(gap: int) -> None:
    assert cells(gap) == ["\t".join(line) for line in TABLE]


def test_a_gap_like_any_other_parts_nothing() -> None:
    assert cells(5)[0] == "Cable\t338 7,528"


def test_one_line_alone_has_no_columns() -> None:
    (line,) = group_lines(row(0, (0, "Cable"), (60, "338"), (104, "7,528")))
    assert line.cells == "Cable 338 7,528"


def test_a_gap_that_only_the_next_line_has_is_chance() -> None:
    words = row(0, (0, "12"), (36, "seals")) + row(30, (0, "7"), (34, "cords")) + row(60, (0, "rings held"))
    words += row(90, (0, "All of it is kept in the back room of the shop"))
    assert all(not line.breaks for line in group_lines(words))


def test_words_without_figures_are_a_sentence_however_they_stand() -> None:
    words = [w for y in (0, 30, 60, 90) for w in row(y, (0, "the seal"), (90, "was closed"))]
    assert all(not line.breaks for line in group_lines(words))
    assert all(line.cells == "the seal was closed" for line in group_lines(words))


def test_words_are_columns_where_a_gap_goes_on_through_five_lines() -> None:
    words = [w for y in (0, 30, 60, 90, 120) for w in row(y, (0, "worn seal"), (99, "replace it"))]
    assert all(line.cells == "worn seal\treplace it" for line in group_lines(words))


def test_a_wide_space_of_all_words_is_a_space() -> None:
    words = [w for y in (0, 30, 60, 90) for w in row(y, (0, "set"), (42, "x1"), (74, "to"), (106, "40"))]
    assert all(not line.breaks for line in group_lines(words))


def test_wide_paper_in_other_lines_parts_no_phrase() -> None:
    """The lines of the table below leave white what stands above between two words."""
    words = row(0, (0, "P29"), (60, "fan"), (109, "stuck"))
    for y in (30, 60, 90, 120, 150):
        words += row(y, (0, "Part"), (700, "Size"))
    assert group_lines(words)[0].cells.endswith("fan stuck")


def test_a_gap_narrower_than_its_neighbours_parts_what_stands_like_theirs() -> None:
    words = []
    for y, fault, remedy in (
        (0, "fault", "remedy"),
        (30, "no ink", "replace ink"),
        (60, "jam", "open it"),
        (90, "leak", "mend it"),
        (120, "heat", "stop it"),
    ):
        # both columns end evenly
        start, end = 145 - 10 * len(fault) + 5 * fault.count(" "), 255 - 10 * len(remedy)
        words += row(y, (0, "E1"), (start - 5, fault), (end + 5 * remedy.count(" "), remedy))
    assert group_lines(words)[1].cells == "E1\tno ink\treplace ink"


def test_a_long_value_is_not_parted_though_other_values_stand_far_from_their_labels() -> None:
    words = [w for y in (0, 30, 60, 120, 150) for w in row(y, (0, "Clerk"), (195, "Ina Falk"))]
    words += row(90, (0, "IBAN"), (50, "DE48 9639 8178 6818 3617"))
    lines = {line.box.top: line.cells for line in group_lines(words)}
    assert lines[90] == "IBAN DE48 9639 8178 6818 3617"


def test_a_unit_is_no_column() -> None:
    words = [w for y in (0, 30, 60) for w in row(y, (0, "Pump"), (140, "12"), (180, "7"))]
    words += row(90, (0, "Hose"), (140, "12"), (166, "kg"))
    assert group_lines(words)[0].cells == "Pump\t12\t7"
    assert group_lines(words)[3].cells == "Hose\t12 kg"
