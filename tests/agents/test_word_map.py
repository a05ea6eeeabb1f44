"""Maps held against the words of a page."""

from __future__ import annotations

import numpy as np
import pytest

from hydra_rag.geometry import Box, Grid
from hydra_rag.saliency.maps import SaliencyMap
from hydra_rag.values import Word
from hydra_rag_agents.word_map import likened, with_answers, with_words, word_strengths

GRID = Grid(6, 8)
SIZE = (256, 192)
WORDS = [
    Word("Name:", Box(10, 10, 60, 24)),
    Word("Miriam", Box(130, 10, 180, 24)),
    Word("Total:", Box(10, 106, 60, 120)),
    Word("48.20", Box(130, 106, 170, 120)),
]


def _flat() -> SaliencyMap:
    return SaliencyMap.of(GRID, np.ones(GRID.cells), "plain")


@pytest.mark.parametrize(("question", "index"), [("What is the total?", 3), ("What is the name?", 1)])
def test_the_peak_lies_on_the_value_that_is_asked_for(question: str, index: int) -> None:
    found = with_words(_flat(), WORDS, question, *SIZE)
    x, y = found.peak_point(*SIZE)
    assert WORDS[index].box.pad(4).contains(x, y)
    assert found.method == "plain+words"


def test_attention_decides_between_equals() -> None:
    twice = [*WORDS, Word("Total:", Box(10, 138, 60, 152)), Word("91.70", Box(130, 138, 170, 152))]
    for row in (3, 4):
        strengths = np.full(GRID.cells, 0.01)
        strengths.reshape(GRID)[row] = 1.0
        attention = SaliencyMap.of(GRID, strengths, "plain")
        found = with_words(attention, twice, "What is the total?", *SIZE)
        assert found.peak // GRID.cols == row


def test_without_words_nothing_changes() -> None:
    assert with_words(_flat(), [], "What is the total?", *SIZE).values.tolist() == _flat().values.tolist()


def test_strengths_equal_a_loop_over_pixels() -> None:
    strengths = word_strengths(GRID, WORDS, "What is the total?", *SIZE)
    pixels = np.zeros((*SIZE[::-1], len(WORDS)), np.float32)
    single = [
        word_strengths(Grid(*SIZE[::-1]), WORDS, "What is the total?", *SIZE).reshape(SIZE[::-1])[
            w.box.top, w.box.left
        ]
        for w in WORDS
    ]  # a cell a pixel: the support itself
    for i, word in enumerate(WORDS):
        pixels[word.box.top : word.box.bottom, word.box.left : word.box.right, i] = single[i]
    shares = pixels.reshape(GRID.rows, 32, GRID.cols, 32, len(WORDS)).mean((1, 3))
    most = shares.max((0, 1))
    cells = (shares * np.where(most > 0, single / np.maximum(most, 1e-9), 0)).max(-1)
    np.testing.assert_allclose(strengths, cells.reshape(-1), rtol=1e-5)


def test_words_over_the_edge_are_cut_off() -> None:
    outside = [Word("Total:", Box(-20, 180, 30, 240)), Word("5", Box(240, 180, 300, 240))]
    assert np.isfinite(word_strengths(GRID, outside, "What is the total?", *SIZE)).all()


def test_where_the_answer_would_be_read_outweighs_everything_else() -> None:
    found = with_words(_flat(), WORDS, "What is the total?", *SIZE)
    made = with_answers(found, [(WORDS[1].box, 1.0), (WORDS[3].box, 0.05)], *SIZE)
    assert WORDS[1].box.pad(4).contains(*made.peak_point(*SIZE))
    assert made.method == "plain+words+answers"
    assert with_answers(found, [], *SIZE) is found


def test_places_outside_the_image_are_cut_off() -> None:
    made = with_answers(_flat(), [(Box(-50, -50, 5, 5), 1.0), (Box(250, 180, 400, 400), 1.0)], *SIZE)
    assert made.values.shape == (GRID.cells,)


def test_a_misread_word_is_taken_for_the_questions() -> None:
    misread = [Word("Tctel:", WORDS[2].box), Word("Name:", WORDS[0].box), Word("4B.20", WORDS[3].box)]
    assert [w.text for w in likened(misread, "What is the total?")] == ["total:", "Name:", "4B.20"]
    # What the page says already is not guessed at, and short words are left alone.
    assert likened([*misread, WORDS[2]], "What is the total?") == [*misread, WORDS[2]]
    assert [w.text for w in likened([Word("tix", WORDS[0].box)], "What is the tax?")] == ["tix"]
