"""Gate quality: never, always, gated and oracle over the same questions; thresholds chosen from records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from hydra_rag.geometry import Box
from hydra_rag_agents.eval_data import EvalPage, EvalQuestion
from hydra_rag_agents.gate import Gate
from hydra_rag_agents.gate_choice import choose_gate
from hydra_rag_agents.gate_eval import GateFigures
from hydra_rag_agents.memo import MemoReader
from hydra_rag_agents.state import ReaderProfile
from hydra_rag_agents.testing import LOOK, ScriptedReader

SIZE = (1200, 1600)
PAGE = EvalPage("p.png", (), ())
SMALL, LARGE = Box(400, 300, 480, 310), Box(300, 200, 900, 600)


def figures() -> tuple[GateFigures, ScriptedReader]:
    """Small print is read wrongly on the page and rightly in a crop; large print is read either way."""

    def script(images: Sequence[Image.Image], text: str) -> tuple[str, float]:
        crop = images[0].size != SIZE
        if "small" in text:
            return ("41.00", 0.95) if crop else ("4l.OO", 0.4)
        return ("not found", 0.9) if "absent" in text else ("Report", 0.97)

    profile = ReaderProfile(style="nano", image_tokens=600, beside=False, context=(0.5, 0.1))
    reader = ScriptedReader(script, profile)
    reader.gaze_at = lambda image, question: [float(i == 3 * LOOK.cols + 4) for i in range(LOOK.cells)]
    made = GateFigures(MemoReader(reader))
    for question, answer, boxes in (
        ("What is small?", "41.00", (SMALL,)),
        ("What is large?", "Report", (LARGE,)),
        ("What is absent?", None, ()),
    ):
        made.ask(PAGE, Image.new("RGB", SIZE, "white"), EvalQuestion(question, answer, boxes))
    return made, reader


def test_the_report_of_a_gate_that_knows_when_to_look() -> None:
    report = figures()[0].report()
    assert report["exact_match_never"] == 0.5
    assert report["exact_match_always"] == report["exact_match_auto"] == report["exact_match_oracle"] == 1.0
    assert report["tokens_never"] < report["tokens_auto"] < report["tokens_always"]
    assert report["unanswerable_recognised_auto"] == 1.0
    assert report["false_refusals_auto"] == 0.0
    small = next(row for row in report["by_size"] if row["size"] == "words under 12 px")
    assert (small["n"], small["exact_match_never"], small["exact_match_auto"]) == (1, 0.0, 1.0)


def test_what_the_modes_share_is_read_once() -> None:
    made, reader = figures()
    asked = len(reader.readings)
    assert asked < sum(1 for r in made.records for mode in ("never", "always", "auto") for _ in (0, 1))
    seconds = [r[mode]["seconds"] for r in made.records for mode in ("never", "always")]
    assert all(s >= 0 for s in seconds)


def test_the_chosen_gate_looks_only_where_it_helps() -> None:
    records = figures()[0].records
    chosen = choose_gate(records)
    assert 0.4 < chosen["sure"] <= 0.97
    assert Gate.of(chosen).sure == chosen["sure"]
    harmful = [{**r, "never": {**r["never"], "right": True}} for r in records]
    assert choose_gate(harmful)["sure"] == 0.0
    assert choose_gate([]) == {}


@pytest.mark.parametrize("word", ["pixels", "words"])
def test_words_are_shown_only_when_asked_for(word: str, tmp_path: Path) -> None:
    from hydra_rag_agents.testing import words_of

    page = EvalPage("p.png", tuple(words_of("Total 41.00")), ())
    reader = ScriptedReader(lambda images, text: ("41.00", 0.99))
    made = GateFigures(MemoReader(reader))
    question = EvalQuestion("What is the total?", "41.00", ())
    made.ask(page, Image.new("RGB", (300, 200)), question, text_layer=word == "words")
    assert ("Total 41.00" in reader.prompts[0]) is (word == "words")


def test_what_the_model_read_small_decides_where_it_read_the_words_itself() -> None:
    def record(gain: float, never: bool, always: bool) -> dict[str, object]:
        first = {"right": never, "tokens": 300, "gain": gain, "text": "a", "confidence": 0.9}
        return {"never": first, "always": {"right": always, "tokens": 3000}}

    small, large = record(2.6, False, True), record(1.4, True, False)
    chosen = choose_gate([small, small, large, large])
    assert 1.4 < chosen["min_gain"] <= 2.6
    assert chosen["sure"] == 0.0
    never = choose_gate([record(2.6, True, False), large])
    assert never["min_gain"] > 2.6 or never["sure_read"] <= 0.9  # where it never helps


def test_small_print_that_was_read_surely_need_not_be_read_again() -> None:
    def record(
        text: str | None, confidence: float, never: bool, gain: float = 2.6, gazes: int = 1
    ) -> dict[str, object]:
        first = {"right": never, "tokens": 300, "gain": gain, "text": text, "confidence": confidence}
        return {"never": first, "always": {"right": True, "tokens": 3000, "gazes": gazes}}

    large = record("c", 0.6, True, gain=1.4)
    sure, unsure, refused = record("a", 0.98, True), record("b", 0.6, False), record(None, 1.0, False)
    chosen = choose_gate([sure, sure, unsure, refused])
    assert 0.6 < chosen["sure_read"] <= 0.98
    assert chosen["gazes"] == 1
    harmful = choose_gate([record("a", 0.999, False, gazes=2), unsure, large, large])
    assert harmful["sure_read"] > 1  # sure and wrong
    assert harmful["gazes"] == 2


def test_large_print_is_looked_at_where_unsure_answers_gain_by_it() -> None:
    def record(confidence: float, never: bool, gain: float = 1.4) -> dict[str, object]:
        first = {"right": never, "tokens": 300, "gain": gain, "text": "a", "confidence": confidence}
        spelled = {"right": never, "tokens": 500, "gazes": 0}
        return {"never": first, "auto": spelled, "always": {"right": True, "tokens": 3000}}

    unsure, sure = record(0.4, False), record(0.95, True)
    assert 0.4 < choose_gate([unsure, sure, sure, sure])["unsure"] <= 0.95
    assert choose_gate([record(0.4, True), sure, sure, sure])["unsure"] == 0.0  # nothing to gain
    certain = record(0.4, False, gain=0.0)  # words of a text layer
    assert choose_gate([certain, sure])["unsure"] == 0.0


def test_the_gate_spends_less_than_always_looking_would() -> None:
    def record(gain: float) -> dict[str, object]:
        first = {"right": False, "tokens": 300, "gain": gain, "text": "a", "confidence": 0.5}
        return {"never": first, "always": {"right": True, "tokens": 3000}}

    chosen = choose_gate([record(1.3)] * 5 + [record(2.6)] * 5)
    assert 1.3 < chosen["min_gain"] <= 2.6
