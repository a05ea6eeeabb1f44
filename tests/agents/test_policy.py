"""The policy and the loop: order of actions, budgets under any policy, cancellation."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hydra_rag.geometry import Box
from hydra_rag_agents.events import Delta, Done, Event, Glanced, Searched, step_of
from hydra_rag_agents.loop import NOT_FOUND_ANSWER, run
from hydra_rag_agents.policy import (
    Action,
    Check,
    Conclude,
    Gaze,
    Glance,
    LookAt,
    Reflect,
    Search,
    View,
    decide,
)
from hydra_rag_agents.state import AskSettings, Budget, PageId, ReaderProfile, Turn
from hydra_rag_agents.testing import LOOK, FakePage, MemoryLibrary, ScriptedReader, words_of

A, B, C = PageId("d1", 1), PageId("d1", 2), PageId("d2", 1)
GLANCES = AskSettings(gaze="never")
INSTRUCT = ReaderProfile(style="instruct", image_tokens=100)


def library(*, read: bool = False) -> MemoryLibrary:
    """``read``: the model read the words of the pages itself."""
    return MemoryLibrary(
        {
            A: FakePage("Invoice 204\nTotal 41.00", 3.0, document="a.pdf", read=read),
            B: FakePage("Terms\nPay in 30 days", 2.0, document="a.pdf", read=read),
            C: FakePage("Weight 1.06 kg", 1.0, document="b.pdf", read=read),
        }
    )


def answers(*told: tuple[str, float]) -> ScriptedReader:
    """Answers the n-th prompt with the n-th pair, then with the last one."""
    queue = itertools.chain(told, itertools.repeat(told[-1]))
    return ScriptedReader(lambda images, text: next(queue))


def play(
    reader: ScriptedReader, turn: Turn | None = None, *, read: bool = False, **more: object
) -> list[Event]:
    asked = turn or Turn("What is the total?", GLANCES)
    return list(run(library(read=read), reader, asked, **more))  # type: ignore[arg-type]


def actions(events: Sequence[Event]) -> list[str]:
    return [step.action for step in map(step_of, events) if step is not None]


def done(events: Sequence[Event]) -> Done:
    assert isinstance(events[-1], Done)
    return events[-1]


def test_small_models_look_page_by_page_and_the_best_answer_wins() -> None:
    reader = answers(("not found", 0.9), ("30 days", 0.5), ("1.06 kg", 0.8))
    events = play(reader, Turn("What is the weight?", GLANCES))
    assert actions(events) == ["search", "glance", "glance", "glance", "reflect", "answer"]
    answer = done(events).answer
    assert (answer.status, answer.text) == ("answered", "1.06 kg")
    assert [(c.document, c.page, c.quote) for c in answer.citations] == [("b.pdf", 1, "1.06 kg")]


def test_a_small_model_is_trusted_less_on_pages_that_the_search_ranks_lower() -> None:
    pages = {
        A: FakePage("Total 41.00", 3.0, document="a.pdf"),
        B: FakePage("Total 12.50", 2.0, document="a.pdf"),
    }
    events = list(
        run(
            MemoryLibrary(pages), answers(("41.00", 0.7), ("12.50", 0.8)), Turn("What is the total?", GLANCES)
        )
    )
    assert done(events).answer.text == "41.00"


def test_a_sure_answer_on_the_best_page_ends_the_looking() -> None:
    events = play(answers(("41.00", 0.99)))
    assert actions(events) == ["search", "glance", "reflect", "answer"]
    assert done(events).answer.citations[0].page == 1


def test_other_models_get_all_pages_in_one_prompt() -> None:
    reader = answers(("1.06 kg", 0.9))
    reader.profile = INSTRUCT
    events = play(reader)
    assert actions(events) == ["search", "glance", "reflect", "answer"]
    assert reader.shown == [3]
    assert done(events).answer.citations[0].document == "b.pdf"


def test_nothing_retrieved_means_not_found_without_asking_the_model() -> None:
    reader = answers(("x", 1.0))
    events = list(run(MemoryLibrary({}), reader, Turn("?", GLANCES)))
    assert actions(events) == ["search", "answer"]
    assert done(events).answer.status == "not_found"
    assert done(events).answer.text == NOT_FOUND_ANSWER
    assert reader.prompts == []


@pytest.mark.parametrize("told", [("not found", 0.99), ("Not found.", 0.9), ("", 0.9), ("41.00", 0.05)])
def test_refusals_and_weak_answers_become_not_found(told: tuple[str, float]) -> None:
    answer = done(play(answers(told))).answer
    assert (answer.status, answer.citations) == ("not_found", ())


def test_a_value_that_the_text_layer_does_not_show_loses_confidence() -> None:
    answer = done(play(answers(("777.77", 0.95)))).answer
    assert answer.confidence < 0.475
    assert done(play(answers(("41.00", 0.95)))).answer.confidence == pytest.approx(0.95)


def test_values_lose_the_full_stop_and_the_word_that_was_counted() -> None:
    pages = MemoryLibrary(
        {A: FakePage("It starts on 1 May 2027.\nIt is 42.46.\nThe firm has 212 employees now")}
    )
    for question, read, told in (
        ("When does it start?", "1 May 2027.", "1 May 2027"),
        ("How much is it?", "42.46.", "42.46"),
        ("How many employees are there?", "212 employees", "212"),
        ("What does the firm have?", "212 employees", "212 employees"),
    ):
        events = list(run(pages, answers((read, 0.95)), Turn(question, GLANCES)))
        assert done(events).answer.text == told


def test_a_misread_character_takes_the_pages_own_spelling() -> None:
    answer = done(play(answers(("Invoioe 204", 0.95)))).answer
    assert answer.text == "Invoice 204"
    pixels = Turn("Which?", AskSettings(text_layer=False, gaze="never"))
    assert done(play(answers(("Invoioe 204", 0.95)), pixels)).answer.text == "Invoioe 204"


def test_without_the_text_layer_prompts_carry_no_page_text() -> None:
    reader = answers(("41.00", 0.99))
    play(reader, Turn("What is the total?", AskSettings(text_layer=False, gaze="never")))
    assert reader.prompts == ["What is the total?"]
    play(reader, Turn("What is the total?", GLANCES))
    assert "Total 41.00" in reader.prompts[-1]


def test_only_the_chosen_documents_are_looked_at() -> None:
    events = play(answers(("1.06 kg", 0.99)), Turn("Weight?", AskSettings(documents=("d2",), gaze="never")))
    assert {page for e in events if isinstance(e, Glanced) for page in e.pages} == {C}


def test_closing_the_run_closes_the_model_stream() -> None:
    reader = answers(("a long answer", 0.9))
    events = run(library(), reader, Turn("?", GLANCES))
    assert isinstance(next(events), Searched)
    assert isinstance(next(events), Delta)
    events.close()
    assert [reading.closed for reading in reader.readings] == [True]
    assert reader.readings[0].told == 1


def test_the_deadline_ends_a_generation_that_goes_on() -> None:
    ticks = itertools.count()
    reader = answers(("x" * 40, 0.9))
    events = play(reader, clock=lambda: float(next(ticks)), budget=Budget(seconds=5))
    assert reader.readings[0].told < 10
    assert reader.readings[0].closed
    done(events)


def test_every_event_is_plain_json() -> None:
    import json

    for event in play(answers(("41.00", 0.5))):
        step = step_of(event)
        if step is not None:
            assert json.loads(json.dumps(step.to_json())) == step.to_json()


boxes = st.builds(Box, *(st.integers(0, 500) for _ in range(4)))
pages = st.lists(st.sampled_from([A, B, C]), max_size=5).map(tuple)
wild_actions = st.one_of(
    st.builds(Search, st.integers(1, 5), st.just("hybrid"), st.lists(boxes, max_size=2).map(tuple)),
    st.builds(LookAt, st.sampled_from([None, A, B, C])),
    st.builds(Check, st.integers(-1, 3)),
    st.builds(Glance, pages),
    st.builds(Gaze, st.sampled_from([A, B, C]), st.lists(boxes, max_size=4).map(tuple)),
    st.just(Reflect()),
    st.builds(Conclude, st.one_of(st.none(), st.integers(-2, 4))),
)
budgets = st.builds(
    Budget,
    steps=st.integers(1, 12),
    pages=st.integers(0, 6),
    crops=st.integers(0, 3),
    searches=st.integers(0, 3),
    tokens=st.integers(0, 2000),
    seconds=st.sampled_from([0.0, 5.0, 1e9]),
)


@settings(max_examples=150, deadline=None)
@given(
    plan=st.lists(st.one_of(wild_actions, st.none()), max_size=20),
    budget=budgets,
    style=st.sampled_from(["nano", "instruct"]),
    beside=st.booleans(),
    gaze=st.sampled_from(["never", "auto", "always"]),
    own=st.booleans(),
    told=st.sampled_from([("41.00", 0.9), ("not found", 0.9), ("y" * 300, 0.6)]),
    peak=st.integers(0, LOOK.cells - 1),
    reads=st.booleans(),
)
def test_no_policy_passes_its_budget(
    plan: list[Action | None],
    budget: Budget,
    style: str,
    beside: bool,
    gaze: str,
    own: bool,
    told: tuple[str, float],
    peak: int,
    reads: bool,
) -> None:
    views: list[View] = []
    moves = iter(plan)

    def wild(view: View) -> Action:
        views.append(view)
        # ``None`` in a plan stands for a sensible move, an exhausted plan for endless appetite.
        return next(moves, Glance((A,))) or decide(view)

    reader = answers(told)
    reader.profile = ReaderProfile(
        style=style,  # type: ignore[arg-type]
        image_tokens=100,
        text_chars=100,
        beside=beside,
        bound=reads,
        text_px=60 * reads,
    )
    if reads:
        reader.reads = lambda image: words_of("Total 41.00 in all" * 9)
    reader.gaze_at = lambda image, question: [float(i == peak) for i in range(LOOK.cells)]
    picture = Image.new("RGB", (300, 300)) if own else None
    turn = Turn("What is the total?", AskSettings(gaze=gaze), image=picture)  # type: ignore[arg-type]
    events = play(reader, turn, read=reads, policy=wild, budget=budget)
    steps = actions(events)
    assert steps.count("answer") == 1
    assert steps[-1] == "answer"
    assert len(steps) <= budget.steps
    searched = [e.step.detail for e in events if isinstance(e, Searched)]
    assert sum(1 + len(d.get("crops", ())) for d in searched) <= budget.searches
    extra = len(reader.shown) if own and style == "instruct" else 0  # the question's own image
    assert sum(reader.shown) - extra <= budget.pages + budget.crops
    results = [reading.result for reading in reader.readings]
    looks = reader.looks * reader.look_tokens("What is the total?")
    seen = len(reader.transcribed) * reader.profile.image_tokens
    assert seen + looks + sum(r.prompt_tokens + len(r.token_ids) for r in results) <= budget.tokens
    answer = done(events).answer
    assert (answer.status == "answered") == bool(answer.citations)


@settings(max_examples=60, deadline=None)
@given(budget=budgets, style=st.sampled_from(["nano", "instruct"]), k=st.integers(1, 9), n=st.integers(1, 9))
def test_the_default_policy_never_wants_more_than_it_has(budget: Budget, style: str, k: int, n: int) -> None:
    """It ends by its own decision, not because the loop stops it."""
    moves: list[Action] = []

    def watched(view: View) -> Action:
        moves.append(decide(view))
        return moves[-1]

    reader = answers(("41.00", 0.5))
    reader.profile = ReaderProfile(style=style, image_tokens=100)  # type: ignore[arg-type]
    roomy = Budget(budget.steps, budget.pages, budget.crops, budget.searches, 10**9, 1e9)
    play(reader, Turn("Total?", AskSettings(k=k, pages=n)), policy=watched, budget=roomy)
    assert isinstance(moves[-1], Conclude)


def test_a_question_image_goes_to_retrieval_and_to_models_that_take_several() -> None:
    picture = Image.new("RGB", (30, 30))
    for profile, shown in ((INSTRUCT, [4]), (ReaderProfile(style="nano", image_tokens=100), [1])):
        reader = answers(("41.00", 0.99))
        reader.profile = profile
        pages_ = library()
        list(run(pages_, reader, Turn("What is this?", GLANCES, image=picture)))
        assert pages_.queries == [{"text": "What is this?", "image": picture}]
        assert reader.shown == shown


def test_bound_models_get_the_pages_lines_as_evidence_when_text_is_on() -> None:
    for text_layer, lines in ((True, ("Invoice 204", "Total 41.00")), (False, ())):
        reader = answers(("41.00", 0.99))
        reader.profile = ReaderProfile(style="nano", image_tokens=100, bound=True)
        play(reader, Turn("What is the total?", AskSettings(text_layer=text_layer, gaze="never")))
        assert reader.evidence == [lines]
