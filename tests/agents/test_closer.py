"""Reading again: words of crops in the page's place, when that happens, and what follows from them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hydra_rag.geometry import Box
from hydra_rag.values import Word
from hydra_rag_agents.closer import CloserLibrary, on_page, replace_words
from hydra_rag_agents.events import Event, step_of
from hydra_rag_agents.looking import look, look_tokens
from hydra_rag_agents.loop import run
from hydra_rag_agents.state import Answer, AskSettings, Budget, PageId, ReaderProfile, Step, Turn
from hydra_rag_agents.testing import FakePage, MemoryLibrary, ScriptedReader, words_of

PAGE = PageId("d1", 1)
SIZE = (1200, 1600)
PRINTED, GLANCED = "Name Ada\nTotal 41.00", "Name Ada\nTctal 4l.OO"
QUESTION = "What is the total?"
#: Lines of the fake pages are 20 pixels high; the page is shown to the model at 0.72 of its size.
SMALL, LARGE = 40, 20


def reader(text_px: int = SMALL, known: Sequence[str] = ("Total", "Tctal")) -> ScriptedReader:
    """Answers with what stands beside "Total" in its prompt, and reads the top of the page in every crop."""

    def script(images: Sequence[Image.Image], text: str) -> tuple[str, float]:
        for line in text.split("\n"):
            name, _, value = line.replace("\t", " ").partition(" ")
            if name in known:
                return value, 0.9
        return "not found", 0.9

    profile = ReaderProfile(
        style="nano", image_tokens=600, bound=True, beside=False, text_px=text_px, context=(1.0, 0.3)
    )
    made = ScriptedReader(script, profile)
    made.reads = lambda image: [
        Word(w.text, w.box.scale(image.width / SIZE[0], image.width / SIZE[0])) for w in words_of(PRINTED)
    ]
    made.gate = replace(made.gate, min_gain=2.0)
    return made


def play(
    made: ScriptedReader, *, read: bool = True, gaze: str = "auto", budget: Budget | None = None
) -> tuple[list[Event], Answer, list[Step]]:
    pages = MemoryLibrary({PAGE: FakePage(GLANCED, 1.0, SIZE, read=read)})
    turn = Turn(QUESTION, AskSettings(gaze=gaze))  # type: ignore[arg-type]
    events = list(run(pages, made, turn, budget=budget))
    return events, events[-1].answer, [s for s in map(step_of, events) if s is not None]  # type: ignore[union-attr]


def test_small_print_that_was_misread_at_a_glance_is_read_by_a_gaze() -> None:
    _, never, _ = play(reader(), gaze="never")
    assert never.text == "4l.OO"
    made = reader()
    _, answer, steps = play(made)
    assert (answer.status, answer.text) == ("answered", "41.00")
    gaze = next(step for step in steps if step.action == "gaze")
    assert gaze.detail["read"] == [PRINTED]
    assert gaze.detail["text"] == "41.00"
    assert gaze.detail["prompt_tokens"] > made.profile.image_tokens  # the crop is counted
    cited = answer.citations[0]
    assert cited.quote == "41.00"
    (truth,) = (w.box for w in words_of(PRINTED) if w.text == "41.00")
    assert cited.box is not None
    assert cited.box.intersect(truth) == truth
    assert made.looks == 0  # the glance's own answer said where to read


def test_large_print_and_words_of_a_text_layer_are_not_read_again() -> None:
    for made, read in ((reader(LARGE), True), (reader(SMALL), False)):
        _, answer, steps = play(made, read=read)
        assert answer.text == "4l.OO"
        assert len(made.transcribed) == read  # the answer's letters, once more
        assert "gaze" not in [step.action for step in steps]


def test_small_print_that_was_read_surely_is_not_read_again() -> None:
    for sure, gazes in ((0.2, 0), (1.01, 1)):  # of words that the layout doubts
        made = reader()
        made.gate = replace(made.gate, sure_read=sure)
        _, _, steps = play(made)
        assert [step.action for step in steps].count("gaze") == gazes


@pytest.mark.parametrize("known", [("Total", "Tctal"), ("Total",)])  # an answer, and none
@pytest.mark.parametrize(("unsure", "gazes"), [(0.0, 0), (0.2, 0), (1.01, 1)])
def test_large_print_is_looked_at_where_the_answer_is_unsure(
    unsure: float, gazes: int, known: tuple[str, ...]
) -> None:
    made = reader(LARGE, known)
    made.gate = replace(made.gate, unsure=unsure)
    _, _, steps = play(made)
    nothing = unsure > 0 and known == ("Total",)  # no answer is less sure than any
    assert [step.action for step in steps].count("gaze") == (1 if nothing else gazes)
    assert made.looks == 0  # the glance said where to read
    made = reader(LARGE, known)
    made.gate = replace(made.gate, unsure=unsure)
    _, _, steps = play(made, read=False)
    assert "gaze" not in [step.action for step in steps], "the words of a text layer are certain"


def test_always_reads_once_also_where_print_is_large() -> None:
    made = reader(LARGE)
    _, answer, steps = play(made, gaze="always")
    assert [step.action for step in steps].count("gaze") == 1
    assert len(made.transcribed) == 2  # the crop, and the answer's letters once more
    assert answer.text == "41.00"


def test_a_label_that_was_misread_is_guessed_and_read_larger() -> None:
    made = reader(known=["Total"])
    _, answer, steps = play(made)
    assert [s.detail["text"] for s in steps if s.action == "glance"] == ["not found"]
    assert answer.text == "41.00"
    assert made.looks == 0


@pytest.mark.parametrize(
    ("sure", "gaze", "checks"), [(1.01, "auto", 1), (0.2, "auto", 0), (0.2, "always", 1)]
)
def test_what_a_crop_surely_says_needs_no_check(sure: float, gaze: str, checks: int) -> None:
    made = reader(known=["Total"])
    made.gate = replace(made.gate, sure_read=sure)
    _, answer, steps = play(made, gaze=gaze)
    assert answer.text == "41.00"
    assert sum("check" in step.detail for step in steps) == checks


@pytest.mark.parametrize(
    ("text_px", "sure", "told"), [(LARGE, 0.4, "4l.OO"), (LARGE, 0.9, "77"), (SMALL, 0.4, "77")]
)
def test_an_answer_stays_if_it_is_far_surer_and_its_print_was_large(
    text_px: int, sure: float, told: str
) -> None:
    made = reader(text_px)
    made.gate = replace(made.gate, unsure=1.01, sure=0.0)
    made.script = lambda images, text: ("4l.OO", 0.95) if "4l.OO" in text else ("77", sure)
    made.reads = lambda image: [
        Word(w.text, w.box.scale(image.width / SIZE[0], image.width / SIZE[0]))
        for w in words_of(PRINTED.replace("41.00", "77"))
    ]
    pages = MemoryLibrary({PAGE: FakePage(PRINTED.replace("41.00", "4l.OO"), 1.0, SIZE, read=True)})
    events = list(run(pages, made, Turn(QUESTION, AskSettings())))
    assert [step.action for step in map(step_of, events) if step is not None].count("gaze") == 1
    answer = events[-1].answer  # type: ignore[union-attr]
    assert (answer.text, answer.citations[0].quote) == (told, told)


def test_where_nothing_can_be_guessed_the_model_looks_before_it_gazes() -> None:
    made = reader()
    pages = MemoryLibrary({PAGE: FakePage("Nmae Ada\nIbto 4l.OO", 1.0, SIZE, read=True)})
    made.gaze_at = lambda image, question: [float(i == 0) for i in range(16 * 12)]
    events = list(run(pages, made, Turn(QUESTION, AskSettings())))
    assert made.looks == 1
    assert events[-1].answer.text == "41.00"  # type: ignore[union-attr]


def test_the_same_turn_again_makes_the_same_steps_and_the_stored_words_stay() -> None:
    pages = MemoryLibrary({PAGE: FakePage(GLANCED, 1.0, SIZE, read=True)})

    def steps() -> str:
        events = run(pages, reader(), Turn(QUESTION, AskSettings()))
        return json.dumps([s.to_json() for s in map(step_of, events) if s is not None])

    assert steps() == steps()
    assert "4l.OO" in [word.text for word in pages.words(PAGE)]


@pytest.mark.parametrize("tokens", [50, 700, 1500, 3000, 6000])
def test_reading_again_stays_within_the_budget(tokens: int) -> None:
    _, answer, steps = play(reader(), budget=Budget(tokens=tokens))
    used = sum(s.detail.get("prompt_tokens", 0) + s.detail.get("new_tokens", 0) for s in steps)
    assert used <= tokens
    assert answer.status in ("answered", "not_found")


def test_words_of_a_crop_stand_on_the_page_where_they_were_drawn() -> None:
    frame = Box(100, 200, 300, 260)
    (word,) = on_page([Word("a", Box(20, 10, 60, 50))], frame, (400, 120))
    assert word == Word("a", Box(110, 205, 130, 225))


def test_what_the_frame_cuts_stays_whole() -> None:
    words = [Word("Tot", Box(0, 0, 40, 10)), Word("4l", Box(50, 0, 70, 10)), Word("EUR", Box(90, 0, 130, 10))]
    found = [Word("41", Box(51, 1, 69, 9)), Word("E", Box(90, 0, 100, 10))]
    made = replace_words(words, Box(45, 0, 100, 20), found)
    assert [word.text for word in made] == ["Tot", "41", "EUR"]


boxes = st.builds(
    lambda x, y, w, h: Box(x, y, x + w, y + h),
    st.integers(0, 90),
    st.integers(0, 90),
    st.integers(1, 20),
    st.integers(1, 20),
)


@given(st.lists(boxes, max_size=8), boxes, st.lists(boxes, max_size=5))
def test_only_words_within_the_frame_change(old: list[Box], frame: Box, new: list[Box]) -> None:
    words = [Word(f"old{i}", box) for i, box in enumerate(old)]
    found = [Word(f"new{i}", box) for i, box in enumerate(new)]
    made = replace_words(words, frame, found)
    outside = {w for w in words if w.box.intersect(frame) != w.box}
    assert {w for w in made if w.text.startswith("old")} == outside
    assert len(made) == len(set(made))


def test_a_place_that_was_read_again_is_certain() -> None:
    library = CloserLibrary(MemoryLibrary({PAGE: FakePage(GLANCED, 1.0, SIZE, read=True)}))
    here, there = Box(10, 10, 50, 30), Box(10, 300, 50, 330)
    library.reread(PAGE, Box(0, 0, 600, 200), [Word("Total", here)])
    assert [library.read_by_model(PAGE, box) for box in (here, there, None)] == [False, True, True]
    assert [word.text for word in library.words(PAGE)] == ["Total"]


def test_the_look_at_an_own_image_is_held_against_the_words_in_it() -> None:
    made = reader()
    picture = Image.new("RGB", SIZE, "white")
    items = [("Name Ada", 100, 100), ("Total 41.00", 700, 1200)]
    words = [w for text, left, top in items for w in words_of(text, left=left, top=top)]
    made.reads = lambda image: words
    pages = MemoryLibrary({PAGE: FakePage(GLANCED, 1.0, SIZE, read=True)})
    turn = Turn(QUESTION, AskSettings(), image=picture)
    found = look(pages, made, turn, None)
    box = found.spots[0].box
    assert all(box.intersect(w.box) == w.box for w in words[2:])
    assert not any(box.intersect(w.box).area for w in words[:2])
    assert box.width >= 0.29 * SIZE[0]
    assert box.clip(*SIZE) == box
    assert look_tokens(made, turn, None) >= made.look_tokens(QUESTION) + made.profile.image_tokens
    events = list(run(pages, made, turn))
    search = next(s for s in map(step_of, events) if s is not None and s.action == "search")
    assert search.detail["crops"] == [list(box)]
