"""The closer reading pass: tiles that cover a page, and what is read of them in the page's pixels."""

from __future__ import annotations

import random
from functools import cache

import pytest
from PIL import Image, ImageDraw, ImageFont

from hydra_rag.errors import OutOfMemoryError
from hydra_rag.geometry import Box
from hydra_rag.model import HydraModel
from hydra_rag.read_words import Read, in_order, surest
from hydra_rag.tiles import cut
from hydra_rag.training.fonts import draw_face

CELL = 32


@pytest.mark.parametrize(
    "size", [(1254, 1792), (1680, 1200), (640, 448), (700, 460), (100, 5000), (31, 31), (5000, 40)]
)
def test_tiles_cover_a_page_and_overlap(size: tuple[int, int]) -> None:
    tiles = cut(size, CELL)
    assert len(set(tiles)) == len(tiles)
    for tile in tiles:
        assert tile.clip(*size) == tile
        assert tile.width % CELL == 0 or tile.width == size[0]
        assert tile.height % CELL == 0 or tile.height == size[1]
        assert tile.width <= 32 * CELL
        assert tile.height <= 24 * CELL
    # Every word that a seam may cut lies whole in some tile: any 60 × 40 pixels do.
    rng = random.Random(0)
    for _ in range(200):
        x, y = rng.randint(0, max(0, size[0] - 60)), rng.randint(0, max(0, size[1] - 40))
        word = Box(x, y, x + 60, y + 40).clip(*size)
        assert any(tile.intersect(word) == word for tile in tiles)


def test_what_several_passes_agree_on_is_kept() -> None:
    ink = Box(10, 10, 60, 26)
    alone = [Read("T0tal", ink, 0.99), Read("Total", ink.shift(1, 1), 0.5, closer=True)]
    assert [word.text for word in in_order(alone)] == ["T0tal"]
    agreed = [*alone, Read("Total", ink.shift(0, 1), 0.6, closer=True)]
    assert [word.text for word in in_order(agreed)] == ["Total"]
    elsewhere = [*alone, Read("Total", ink.shift(0, 200), 0.6, closer=True)]
    assert [word.text for word in in_order(elsewhere)] == ["T0tal", "Total"]
    hardly = [alone[0], *(Read("Tctal", ink, 0.1, closer=True) for _ in range(30))]
    assert [read.text for read in surest(hardly)] == ["T0tal"], "too unsure to count"


def test_a_whole_word_stands_before_its_parts() -> None:
    word = Read("Schlussrechnung", Box(10, 10, 130, 26), 0.9)
    part = Read("rechnung", Box(70, 10, 130, 26), 0.97)
    assert [read.text for read in surest([part, word])] == ["Schlussrechnung"]


@cache
def _nano() -> HydraModel:
    return HydraModel.load("nano")


def _small_print(lines: list[str], height: int) -> Image.Image:
    """A page on which the words stand small: 1254 pixels wide, shown to the tower at two thirds of that."""
    page = Image.new("RGB", (1254, 400), "white")
    draw = ImageDraw.Draw(page)
    face = draw_face(random.Random(4), "narrow").at(height)
    assert isinstance(face, ImageFont.FreeTypeFont)
    for i, line in enumerate(lines):
        draw.text((90, 60 + 45 * i), line, font=face, fill="black")
    return page


def test_small_print_is_read_closer() -> None:
    lines = ["Invoice number 4711-QX", "Total due 1,284.50 EUR", "Bregenz, 14 March 2031"]
    page = _small_print(lines, 13)
    model = _nano()
    wanted = " ".join(lines).split()
    first = [word.text for word in model.read_pages([page], max_tokens=230, close=False)[0]]
    close = model.read_pages([page], max_tokens=230)[0]
    found = [word.text for word in close]
    assert sum(text in found for text in wanted) > sum(text in first for text in wanted)
    assert sum(text in found for text in wanted) >= 0.8 * len(wanted)
    for word in close:
        assert 80 < word.box.left < word.box.right < 420
        assert word.box.clip(*page.size) == word.box
    assert [text for text in found if text in wanted] == [text for text in wanted if text in found]


def test_a_page_without_text_takes_no_closer_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hydra_rag.tiles.compute", lambda *_: pytest.fail("the tower ran again"))
    assert _nano().read_pages([Image.new("RGB", (640, 480), "white")]) == [[]]


def test_pages_read_together_are_read_as_if_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [["Invoice number 4711-QX", "Total due 1,284.50 EUR"], [], ["Bregenz, 14 March 2031"]]
    pages = [_small_print(lines, 13) for lines in texts]
    model = _nano()
    alone = [model.read_pages([page], max_tokens=230)[0] for page in pages]
    assert model.read_pages(pages, max_tokens=230) == alone
    assert [bool(words) for words in alone] == [True, False, True]

    def broken(*_: object) -> None:
        raise MemoryError("too large")

    monkeypatch.setattr("hydra_rag.tiles.compute", broken)
    with pytest.raises(OutOfMemoryError):
        model.read_pages(pages, max_tokens=230)
    monkeypatch.undo()
    assert model.read_pages(pages[:1], max_tokens=230) == alone[:1]
