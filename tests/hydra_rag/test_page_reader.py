"""The closer reading passes: lines found by their ink, sheets of them, what is read in the page's pixels."""

from __future__ import annotations

import random
from functools import cache

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from hydra_rag.errors import OutOfMemoryError
from hydra_rag.geometry import Box
from hydra_rag.model import HydraModel
from hydra_rag.read_words import Read, grey_of, in_order, surest
from hydra_rag.reading import STEPS, RowText
from hydra_rag.sheets import Sheet, sheets
from hydra_rag.text_lines import TextLine, text_lines
from hydra_rag.training.fonts import draw_face

#: Words as bars: text and its ink. "on" has small letters, "To" tall ones, "go" deep ones, "Tag" both.
INK = {
    "on": (20, 104, 40, 114),
    "To": (52, 100, 72, 114),
    "go": (90, 104, 110, 118),
    "Tag": (150, 100, 190, 118),
}


def _bars(*boxes: tuple[int, int, int, int], size: tuple[int, int] = (400, 300)) -> Image.Image:
    page = Image.new("RGB", size, "white")
    for left, top, right, bottom in boxes:
        ImageDraw.Draw(page).rectangle((left, top, right - 1, bottom - 1), fill="black")
    return page


def _read(text: str, ink: tuple[int, int, int, int], score: float = 0.9, *, closer: bool = False) -> Read:
    """A read with the box that stands round such ink."""
    left, top, right, bottom = ink
    height = bottom - top
    return Read(
        text, Box(left, top - round(0.2 * height), right, bottom + round(0.3 * height)), score, closer
    )


def test_letters_say_how_high_a_line_is() -> None:
    grey = grey_of(_bars(*INK.values()))
    for texts in (["on"], ["To"], ["go"], ["Tag"], list(INK)):
        (line,) = text_lines([_read(text, INK[text]) for text in texts], grey)
        assert line.height == pytest.approx(18, abs=2.5), texts
        assert line.middle == pytest.approx(109, abs=1.5), texts


def test_a_line_goes_on_where_its_ink_does() -> None:
    far = (330, 100, 360, 118)
    other = (20, 140, 60, 158)
    grey = grey_of(_bars(*INK.values(), far, other))
    near = [text_lines([_read(text, INK[text])], grey)[0].spans for text in ("To", "go")]
    assert near == [((20, 40), (52, 72), (90, 110))] * 2, "up to a gap wider than the line is high"
    lines = text_lines([*(_read(text, INK[text]) for text in ("To", "go", "Tag")), _read("Tag", other)], grey)
    assert [line.spans for line in lines] == [((20, 40), (52, 72), (90, 110), (150, 190)), ((20, 60),)]


def test_lines_that_reads_agree_on_are_not_doubtful() -> None:
    grey = grey_of(_bars(*INK.values()))
    once = [_read(text, ink) for text, ink in INK.items()]
    twice = [*once, *(_read(text, ink, closer=True) for text, ink in INK.items())]
    assert len(text_lines(once, grey, doubtful=True)) == 1
    assert text_lines(twice, grey, doubtful=True) == []
    assert len(text_lines([*once, *twice[4:7], _read("Tog", INK["Tag"])], grey, doubtful=True)) == 1
    unread = [read for read in twice if read.text != "go"]
    assert len(text_lines(unread, grey, doubtful=True)) == 1, "a word that no pass has read"
    assert len(text_lines(twice, grey)) == 1


def test_long_lines_are_cut_between_words() -> None:
    spans = tuple((50 * i, 50 * i + 40) for i in range(20))
    parts = TextLine(spans, 10.0, 20.0).parts(200)
    assert parts[0] == (0, 190)
    assert all(right - left <= 200 for left, right in parts)
    assert {left for left, _ in parts} <= {left for left, _ in spans}
    assert parts[-1][1] == spans[-1][1]
    assert TextLine(((0, 500),), 10.0, 20.0).parts(200) == [(0, 500)]


def _lines(rng: random.Random) -> tuple[Image.Image, list[TextLine]]:
    """Lines of words of bars, of several heights, some at the page's edges."""
    bars, lines, top = [], [], 0
    while top < 560:
        height, left, spans = rng.choice((9, 14, 22)), rng.choice((0, 30, 200)), []
        while left < 700 - 2 * height and len(spans) < 20:
            right = min(700, left + rng.randint(2, 6) * height)
            bars += [
                (x, top, min(right, x + height // 2), top + height)
                for x in range(left, right, height // 2 + height // 8)
            ]
            spans.append((left, right))
            left = right + height // 2 + 1
        lines.append(TextLine(tuple(spans[: rng.randint(1, 20)]), top + height / 2, float(height)))
        top += 2 * height
    return _bars(*bars, size=(700, 600)), lines


def _marked(sheet: Sheet) -> list[RowText]:
    """What a reader of bars would say: an "l" at every third step that has ink in the middle of its row."""
    grey = np.asarray(sheet.image.convert("L"))
    rows = []
    for row in range(len(grey) // 16):
        ink = grey[row * 16 + 8 : row * 16 + 14].mean(0) < 100
        steps = [s for s in range(0, grey.shape[1] // 16 * STEPS, 3) if ink[int((s + 1.3) * 16 / STEPS)]]
        rows.append(RowText("l" * len(steps), tuple(steps), (-0.1,) * len(steps)))
    return rows


@pytest.mark.parametrize("size", [18.0, 24.0])
def test_what_sheets_say_stands_where_the_page_has_it(size: float) -> None:
    page, lines = _lines(random.Random(3))
    grey = grey_of(page)
    drawn = sheets(page, lines, size)
    reads = [read for sheet in drawn for read in sheet.reads(_marked(sheet), grey)]
    for line in lines:
        here = [read for read in reads if read.box.top < line.middle < read.box.bottom]
        for left, right in line.spans:
            over = [r for r in here if min(right, r.box.right) - max(left, r.box.left) > 0.5 * (right - left)]
            assert over, (line.middle, left, right)
            ink = over[0].box.height / 1.5
            assert ink == pytest.approx(line.height, abs=2)
    assert all(read.closer for read in reads)
    for sheet in drawn:
        assert sheet.image.width % 32 == sheet.image.height % 32 == 0
        assert sheet.image.width <= 640
        assert sheet.cells <= 80
    print_ = sum(right - left for line in lines for left, right in line.spans)
    assert sum(sheet.cells for sheet in drawn) * 32 < 3 * print_ * size / 9, "little paper"


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
    monkeypatch.setattr("hydra_rag.page_reader.compute", lambda *_: pytest.fail("the tower ran again"))
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

    monkeypatch.setattr("hydra_rag.page_reader.compute", broken)
    with pytest.raises(OutOfMemoryError):
        model.read_pages(pages, max_tokens=230)
    monkeypatch.undo()
    assert model.read_pages(pages[:1], max_tokens=230) == alone[:1]
