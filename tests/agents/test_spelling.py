"""The letters of an answer, read several times over."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from hydra_rag.geometry import Box
from hydra_rag.model import HydraModel
from hydra_rag.values import Word
from hydra_rag_agents.events import step_of
from hydra_rag_agents.loop import run
from hydra_rag_agents.reader import ModelReader
from hydra_rag_agents.spelling import _sheet, agreed, answer_boxes, most_tokens, respell
from hydra_rag_agents.state import Answer, AskSettings, Budget, PageId, ReaderProfile, Step, Turn
from hydra_rag_agents.testing import FakePage, MemoryLibrary, ScriptedReader

PAGE = PageId("d1", 1)
SIZE = (1200, 1600)


@pytest.mark.parametrize(
    ("first", "others", "best"),
    [
        ("12//4/01", ["12/24/01", "12/24/0l", "12/24/01", "12 /24/01", "x"], "12/24/01"),
        ("12//4/01", ["12/24/01", "12/24/01", "12//4/01"], "12//4/01"),  # two are too few
        ("41.00", ["4l.00", "4l.00", "41.00", "41.00", "4l.00"], "41.00"),  # the first has a say
        ("lzmir.", ["Izmir", "Izmir.", "Izmir", "lzmir"], "Izmir."),  # marks at the ends stay
        ("(84 5", ["(845", "(845", "845"], "(845"),  # white space as most have it
        ("41.00", ["", "", "", ""], "41.00"),  # nothing read is no spelling
        ("41.00", [], "41.00"),
        ("1.6", ["16", "16", "16", "16", "16", "1.6"], "1.6"),  # points get lost in small copies
        ("07:20", ["07.20"] * 9 + ["07:20"], "07:20"),
        ("$454,11", ["$454.11"] * 10, "$454.11"),  # nobody else sees the comma
        ("1.6", ["16"] * 10, "1.6"),
        ("8 April 1993", ["April 1993"] * 9, "8 April 1993"),  # a short word at the ends is lost, too
        ("2.9 L", ["29"] * 5 + ["2.9"] * 3, "2.9 L"),
        ("8 8 Feb", ["8 Feb"] * 9, "8 Feb"),
        ("3193 mne", ["3193"] * 9, "3193"),
        ("29.87 $", ["29.87 S"] * 8 + ["29.87 $"] * 2, "29.87 $"),
        ("$26,044.97", ["526,044.97"] * 6 + ["$26,04497"] * 2, "$26,044.97"),
        ("P-74S0", ["P-7450"] * 6, "P-7450"),
        ("9,77097", ["9,77097"] * 5 + ["9,770.97"] * 3, "9,770.97"),  # and are hardly made up
        ("9,77097", ["9,77097"] * 5 + ["9,770.97"] * 2, "9,77097"),
        ("6535 301 24", ["6535 30124"] * 8 + ["6535 301 24"], "6535 301 24"),
        ("07J08/2006", ["07/08/2006"] * 3 + ["0708/2006", "07308/2006"], "07/08/2006"),
    ],
)
def test_the_spelling_that_most_agree_on(first: str, others: list[str], best: str) -> None:
    assert agreed(first, others) == best


@given(st.text("Il1 ./", min_size=1, max_size=6), st.integers(3, 10))
def test_copies_that_say_the_same_change_nothing(text: str, copies: int) -> None:
    same = agreed(text, [text] * copies)
    assert "".join(same.split()) == "".join(text.split())


def test_copies_stand_in_the_middle_of_rows_of_patches() -> None:
    image = Image.new("RGB", (900, 600), "white")
    place = Box(300, 210, 420, 241)
    ImageDraw.Draw(image).rectangle(place, fill="black")
    sheet, copies = _sheet(image, place, 1024)
    assert len(copies) == 10
    assert sheet.width % 32 == sheet.height % 32 == 0
    for copy in copies:
        assert abs((copy.top + copy.bottom) / 2 % 16 - 8) <= 1
        assert 0 <= copy.left < copy.right <= sheet.width
        inside = sheet.crop(copy.pad(-2)).getcolors(1)
        assert inside is not None, "the copy lies elsewhere"
        assert inside[0][1] == (0, 0, 0)
    below = itertools.pairwise(copies)
    assert all(one.bottom < other.top for one, other in below)
    few, fewer = _sheet(image, place, 60)
    assert few.width * few.height <= 60 * 32 * 32
    assert 1 <= len(fewer) < 10


def test_where_the_answer_stands_among_the_evidence() -> None:
    boxes = [Box(10 * i, 0, 10 * i + 8, 10) for i in range(5)]
    assert answer_boxes(boxes, (0.1, 0.0, 1.0, 0.8, 0.2), "two words") == boxes[2:4]
    assert answer_boxes(boxes, (), "two words") == []


def spelt(texts: Iterable[str]) -> ScriptedReader:
    """Reads the copies of a sheet as ``texts``, one after the other, wherever they stand."""
    given_texts = list(texts)
    profile = ReaderProfile(style="nano", image_tokens=1024, bound=True, beside=False)
    made = ScriptedReader(lambda images, text: ("4l.OO", 0.9), profile)

    def reads(sheet: Image.Image) -> Iterator[Word]:
        _, copies = _sheet(Image.new("RGB", SIZE), places[0], 1024)
        for copy, text in zip(copies, given_texts, strict=False):
            width = copy.width // len(text.split())
            for number, word in enumerate(text.split()):
                left = copy.left + number * width
                yield Word(word, Box(left, copy.top, left + width - 2, copy.bottom))

    places = [Box(100, 40, 180, 60)]
    made.reads = lambda sheet: list(reads(sheet))
    return made


def test_an_answer_is_spelt_as_its_copies_are_read() -> None:
    image, place = Image.new("RGB", SIZE), Box(100, 40, 180, 60)
    found = respell(spelt(["41.00"] * 6 + ["4l.OO"] * 4), image, [place], "4l.OO")
    assert found.text == "41.00"
    assert 0 < found.tokens <= most_tokens(spelt([]))
    parted = [Box(100, 40, 138, 60), Box(142, 40, 180, 60)]
    assert respell(spelt(["EUR 41"] * 10), image, parted, "EVR 4l").text == "EUR 41"
    three = [Box(100, top, 180, top + 20) for top in (40, 80, 120)]
    assert respell(spelt(["x"] * 10), image, three, "on three lines") == ("on three lines", 0)
    assert respell(spelt(["x"] * 10), image, [place], "no box for this") == ("no box for this", 0)


def play(
    made: ScriptedReader, *, read: bool = True, gaze: str = "auto", budget: Budget | None = None
) -> tuple[Answer, list[Step]]:
    library = MemoryLibrary({PAGE: FakePage("Name Ada\nTotal 4l.OO", 1.0, SIZE, read=read)})
    made.gate = replace(made.gate, min_gain=100.0)
    turn = Turn("What is the total?", AskSettings(gaze=gaze))  # type: ignore[arg-type]
    events = list(run(library, made, turn, budget=budget))
    return events[-1].answer, [s for s in map(step_of, events) if s is not None]  # type: ignore[union-attr]


def copies_of(text: str) -> ScriptedReader:
    made = spelt([])
    made.reads = lambda sheet: [
        Word(text, Box(0, top, sheet.width, top + 1)) for top in range(0, sheet.height, 2)
    ]
    return made


def test_answer_and_quote_are_spelt_alike_and_the_cost_is_told() -> None:
    made = spelt([])
    library = MemoryLibrary({PAGE: FakePage("Name Ada\nTotal 4l.OO", 1.0, SIZE, read=True)})
    place = next(word.box for word in library.words(PAGE) if word.text == "4l.OO")

    def reads(sheet: Image.Image) -> list[Word]:
        _, copies = _sheet(library.image(PAGE), place, 1024)
        return [Word("41.00", copy) for copy in copies]

    made.reads = reads
    answer, steps = play(made)
    assert (answer.text, answer.citations[0].quote) == ("41.00", "41.00")
    assert steps[-1].detail["text"] == "41.00"
    assert steps[-1].detail["prompt_tokens"] == made.profile.image_tokens


@pytest.mark.parametrize(
    ("read", "gaze", "budget"),
    [(False, "auto", None), (True, "never", None), (True, "auto", Budget(tokens=2000))],
)
def test_nothing_is_read_again_of_a_text_layer_or_where_it_may_not(
    read: bool, gaze: str, budget: Budget | None
) -> None:
    made = copies_of("41.00")
    answer, steps = play(made, read=read, gaze=gaze, budget=budget)
    assert answer.text == "4l.OO"
    assert not made.transcribed
    assert "prompt_tokens" not in steps[-1].detail


def test_the_built_in_model_corrects_a_dropped_figure() -> None:
    image = Image.new("RGB", (640, 320), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(18)
    draw.text((60, 150), "Issued 12/24/2001 in Izmir", fill="black", font=font)
    left, right = (60 + draw.textlength(text, font) for text in ("Issued ", "Issued 12/24/2001"))
    place = Box(round(left), 147, round(right), 174)
    with HydraModel.load("nano", device="cpu") as model:
        reader = ModelReader(lambda: model)
        assert respell(reader, image, [place], "12//4/001").text == "12/24/2001"
        assert respell(reader, image, [place], "12/24/2001").text == "12/24/2001"
