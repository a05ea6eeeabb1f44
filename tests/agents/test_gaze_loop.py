"""Gaze in the loop: when it happens, what is shown, inhibition of return, the support check, own images."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest
from PIL import Image

from hydra_rag.geometry import Box
from hydra_rag_agents.events import Event, Looked, Reflected, step_of
from hydra_rag_agents.gate import Gate, Look, Spot
from hydra_rag_agents.loop import run
from hydra_rag_agents.state import Answer, AskSettings, Budget, PageId, ReaderProfile, Turn
from hydra_rag_agents.testing import LOOK, FakePage, MemoryLibrary, ScriptedReader

PAGE = PageId("d1", 1)
ALONE = ReaderProfile(style="nano", image_tokens=600, beside=False, context=(0.5, 0.1))
BESIDE = ReaderProfile(style="instruct", image_tokens=600)
SIZE = (1200, 1600)


def library(pages: int = 1) -> MemoryLibrary:
    return MemoryLibrary({PageId("d1", n): FakePage("", 10.0 - n, SIZE) for n in range(1, pages + 1)})


def at(*cells: tuple[int, int]) -> Callable[[Image.Image, str], Sequence[float]]:
    """A map with peaks at (row, column), the first the strongest."""
    strengths = [0.0] * LOOK.cells
    for order, (row, col) in enumerate(cells):
        strengths[row * LOOK.cols + col] = 1.0 - 0.3 * order
    return lambda image, question: strengths


def reader(
    profile: ReaderProfile,
    page: tuple[str, float],
    crop: tuple[str, float],
    blank: tuple[str, float] | None = None,
) -> ScriptedReader:
    """Answers a whole page with ``page``, a crop (beside its page or alone) with ``crop``, a page that is
    painted over with ``blank``."""
    seen: list[int] = []

    def script(images: Sequence[Image.Image], text: str) -> tuple[str, float]:
        if len(images) > 1 or images[0].size != SIZE:
            return crop
        seen.append(1)
        return page if blank is None or len(seen) == 1 else blank

    made = ScriptedReader(script, profile)
    made.gaze_at = at((3, 4), (10, 8))
    return made


def play(made: ScriptedReader, **settings: object) -> tuple[list[Event], Answer]:
    events = list(run(library(), made, Turn("What is the total?", AskSettings(**settings))))  # type: ignore[arg-type]
    return events, events[-1].answer  # type: ignore[union-attr]


def actions(events: Sequence[Event]) -> list[str]:
    return [step.action for step in map(step_of, events) if step is not None]


def checks(events: Sequence[Event]) -> list[dict[str, object]]:
    return [e.step.detail["check"] for e in events if isinstance(e, Reflected) and "check" in e.step.detail]


def test_an_unsure_glance_is_followed_by_a_gaze_and_a_check() -> None:
    made = reader(ALONE, ("4l.OO", 0.4), ("41.00", 0.95), ("not found", 0.9))
    events, answer = play(made)
    assert actions(events) == [
        "search", "glance", "reflect", "glance", "gaze", "reflect", "reflect", "answer",
    ]  # fmt: skip
    assert (answer.status, answer.text) == ("answered", "41.00")
    assert checks(events)[0]["necessary"] is True
    assert checks(events)[0]["sufficient"] is None  # it was read from the crop alone anyway
    assert answer.confidence == pytest.approx(0.95)
    # The citation is the place that was gazed at: the strongest cell of the map lies in it.
    box = answer.citations[0].box
    assert box is not None
    assert box.contains(4.5 * SIZE[0] / LOOK.cols, 3.5 * SIZE[1] / LOOK.rows)


def test_a_sure_glance_is_enough_and_never_means_never() -> None:
    for settings, told in (({}, 0.95), ({"gaze": "never"}, 0.3)):
        made = reader(ALONE, ("41.00", told), ("77", 0.99))
        events, answer = play(made, **settings)
        assert actions(events) == ["search", "glance", "reflect", "answer"]
        assert answer.text == "41.00"
        assert made.looks == 0


@pytest.mark.parametrize("profile", [ALONE, BESIDE])
def test_always_gazes_also_when_the_glance_was_sure(profile: ReaderProfile) -> None:
    events, answer = play(reader(profile, ("41.00", 0.95), ("41.00", 0.97)), gaze="always")
    assert "gaze" in actions(events)
    assert answer.text == "41.00"


def test_a_page_and_its_crops_share_a_prompt_where_the_model_takes_several_images() -> None:
    made = reader(BESIDE, ("4l.OO", 0.4), ("41.00", 0.95))
    events, _ = play(made)
    gaze = next(s for s in map(step_of, events) if s is not None and s.action == "gaze")
    assert gaze.detail["beside_page"] is True
    assert made.shown[1] == 1 + len(gaze.detail["boxes"])
    assert "enlarged" in made.prompts[1]


def test_crops_alone_have_surroundings_and_lie_inside_the_page() -> None:
    made = reader(ALONE, ("?", 0.3), ("41.00", 0.95))
    events, _ = play(made)
    gaze = next(s for s in map(step_of, events) if s is not None and s.action == "gaze")
    (crop,) = (Box(*c) for c in gaze.detail["crops"])
    (box,) = (Box(*b) for b in gaze.detail["boxes"])
    assert crop.width >= 0.5 * SIZE[0] - 2
    assert crop.intersect(box) == box
    assert crop == crop.clip(*SIZE)


def test_a_place_is_not_gazed_at_twice() -> None:
    events, answer = play(reader(ALONE, ("41.00", 0.6), ("not found", 0.9)))
    gazes = [s.detail["boxes"] for s in map(step_of, events) if s is not None and s.action == "gaze"]
    assert len(gazes) == 2
    assert Box(*gazes[0][0]).iou(Box(*gazes[1][0])) <= 0.3
    assert answer.status == "answered"  # the glance's own answer is still there


def test_an_answer_that_its_crop_does_not_give_and_the_rest_does_becomes_not_found() -> None:
    made = reader(BESIDE, ("41.00", 0.35), ("not found", 0.9))
    events, answer = play(made)
    check = checks(events)[0]
    assert (check["sufficient"], check["necessary"]) == (False, False)
    assert (answer.status, answer.citations) == ("not_found", ())


def test_a_map_that_knows_nothing_leads_to_no_gaze() -> None:
    made = reader(ALONE, ("41.00", 0.5), ("77", 0.99))
    made.gaze_at = lambda image, question: [1.0] * LOOK.cells
    events, answer = play(made)
    assert "gaze" not in actions(events)
    assert answer.text == "41.00"


def test_budgets_for_tokens_leave_the_glance_its_answer() -> None:
    """What does not fit is left out; what was found is still told."""
    made = reader(ALONE, ("41.00", 0.5), ("77", 0.99))
    one = made.tokens(1, "What is the total?", ALONE.max_new_tokens)
    events = list(run(library(), made, Turn("What is the total?", AskSettings()), budget=Budget(tokens=one)))
    assert actions(events) == ["search", "glance", "reflect", "answer"]
    assert events[-1].answer.text == "41.00"  # type: ignore[union-attr]


def test_what_was_judged_is_told_when_the_time_is_up() -> None:
    now = [0.0]
    made = reader(ALONE, ("41.00", 0.5), ("77", 0.99))
    events = []
    turn = Turn("What is the total?", AskSettings())
    for event in run(library(), made, turn, budget=Budget(seconds=5), clock=lambda: now[0]):
        events.append(event)
        if isinstance(event, Reflected):
            now[0] = 6.0
    assert actions(events) == ["search", "glance", "reflect", "answer"]
    assert events[-1].answer.text == "41.00"  # type: ignore[union-attr]


def test_an_own_image_is_looked_at_and_its_crop_is_searched_with_it() -> None:
    picture = Image.new("RGB", (1600, 1200), "white")
    made = reader(ALONE, ("41.00", 0.95), ("41.00", 0.95))
    pages = library(3)
    turn = Turn("Which part is this?", AskSettings(), image=picture)
    events = list(run(pages, made, turn))
    assert isinstance(events[0], Looked)
    assert actions(events)[:2] == ["glance", "search"]
    sizes = [query["image"].size for query in pages.queries]  # type: ignore[index, union-attr]
    assert sizes[0] == (1600, 1200)
    assert len(sizes) == 2
    assert sizes[1][0] < 800
    search = step_of(events[1])
    assert search is not None
    assert len(search.detail["crops"]) == 1
    never = library(3)
    list(run(never, made, Turn("Which part is this?", AskSettings(gaze="never"), image=picture)))
    assert len(never.queries) == 1


def test_weak_answers_lead_to_a_second_search_in_the_other_mode() -> None:
    made = reader(ALONE, ("41.00", 0.1), ("not found", 0.9))
    pages = library(5)
    events = list(run(pages, made, Turn("What is the total?", AskSettings(k=3, pages=2))))
    searches = [s.detail["mode"] for s in map(step_of, events) if s is not None and s.action == "search"]
    assert searches == ["hybrid", "visual"]
    sure = reader(ALONE, ("not found", 0.99), ("not found", 0.9))
    events = list(run(library(5), sure, Turn("What is the total?", AskSettings(k=3, pages=2))))
    assert actions(events).count("search") == 1


def test_the_same_turn_again_makes_the_same_steps() -> None:
    def steps() -> str:
        events, _ = play(reader(ALONE, ("?", 0.3), ("41.00", 0.95)), gaze="always")
        return json.dumps([s.to_json() for s in map(step_of, events) if s is not None])

    assert steps() == steps()


def spot(area: float, enrichment: float, zoom: float) -> Spot:
    return Spot(Box(0, 0, 10, 10), 0.5, area, enrichment, zoom)


@pytest.mark.parametrize(
    ("values", "entropy", "passes"),
    [
        ((0.1, 4.0, 2.0), 0.5, True),
        ((0.6, 4.0, 2.0), 0.5, False),
        ((0.1, 1.2, 2.0), 0.5, False),
        ((0.1, 4.0, 1.0), 0.5, False),
        ((0.1, 4.0, 2.0), 0.99, False),
    ],
)
def test_the_gate(values: tuple[float, float, float], entropy: float, passes: bool) -> None:
    look = Look(PAGE, (spot(*values),), entropy)
    assert bool(Gate().worth(look)) == passes
    assert Gate().worth(look, always=True) == look.spots


def test_a_calibration_sets_the_gates_thresholds() -> None:
    gate = Gate.of({"max_area": 0.2, "gazes": 1.0, "of_a_newer_program": 3.0})
    assert (gate.max_area, gate.gazes, gate.sure) == (0.2, 1, Gate().sure)
