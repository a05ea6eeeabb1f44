"""Answers chosen among the spans that a page prints."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_rag.scoring import Continuation
from hydra_rag_agents.ports import EvidenceLine, WordPrior
from hydra_rag_agents.span_signs import DEFAULT
from hydra_rag_agents.spans import Chosen, Spans

FLAT = -4.0


def encode(text: str) -> list[int]:
    return [ord(c) for c in text]


def even(*lines: str) -> list[EvidenceLine]:
    return [EvidenceLine(line, (WordPrior(1.0, 0.5, 1.0),) * len(line.split())) for line in lines]


def spans_of(
    lines: Sequence[EvidenceLine], *, longest: int = 40, question: str = "What?", **weights: float
) -> Spans:
    used = {**DEFAULT, **{name.replace("_", " "): value for name, value in weights.items()}}
    return Spans(lines, encode, question=question, refusal="not found", longest=longest, weights=used)


def choice(spans: Spans, likely: dict[str, float], *, ends: float = FLAT) -> Chosen:
    """The best span for a model that gives every character :data:`FLAT`, the answers in ``likely`` this much
    altogether, and every other end ``ends``."""
    scored = []
    for ids in spans.choose([FLAT] * 10_000):
        text = "".join(map(chr, ids))
        logs, stops = [FLAT] * len(text), [ends] * (len(text) + 1)
        for answer, value in likely.items():
            if text.startswith(answer):
                logs[: len(answer)] = [value / (len(answer) + 1)] * len(answer)
                stops[len(answer)] = value / (len(answer) + 1)
        scored.append(Continuation(tuple(logs), tuple(stops)))
    return spans.best(spans.options(scored))


@given(st.integers(0, 10_000))
def test_whatever_the_model_says_the_answer_is_printed_on_the_page(seed: int) -> None:
    lines = even("Invoice No. INV-70328", "Total due: $2,580.24 (net)", "Clara Parker\tVienna 80617")
    rng = random.Random(seed)
    spans = spans_of(lines)
    scored = [
        Continuation(tuple(-rng.random() * 9 for _ in ids), tuple(-rng.random() * 9 for _ in [0, *ids]))
        for ids in spans.choose([-rng.random() for _ in range(10_000)])
    ]
    answer = spans.best(spans.options(scored)).text
    page = " ".join(line.text for line in lines)
    assert answer == "not found" or answer in page
    assert "\t" not in answer
    assert answer == answer.strip()


@pytest.mark.parametrize("answer", ["$2,580.24", "Total due", "INV-70328", "$2,580.24 (net)", "net"])
def test_what_the_model_is_sure_of_is_chosen(answer: str) -> None:
    spans = spans_of(even("Invoice No. INV-70328", "Total due: $2,580.24 (net)."))
    found = choice(spans, {answer: -0.1})
    assert found.text == answer
    assert sum(found.logprobs) == pytest.approx(-0.1)


def test_an_answer_is_whole_words_of_one_cell() -> None:
    spans = spans_of(even("Desk lamp \t 11", "Fuse\t4"))
    runs = ["".join(map(chr, ids)) for ids in spans.choose([FLAT] * 10_000)[1:]]
    assert sorted(runs) == ["11 Fuse", "4", "Desk lamp", "Fuse", "lamp"]
    assert choice(spans, {"Desk la": -0.1, "lamp": -2.0}).text == "lamp"
    assert choice(spans, {"11 Fuse": -0.1}).text == "11 Fuse"  # a sentence may go on in the next line


def test_the_refusal_competes_at_its_own_price() -> None:
    lines = even("Clara Parker")
    likely = {"not found": -1.0, "Clara Parker": -3.0}
    assert choice(spans_of(lines, refused=0.0), likely).text == "not found"
    found = choice(spans_of(lines, refused=-8.0), likely)
    assert found.text == "Clara Parker"
    assert 0.9 < found.chance < 1.0  # what the refusal leaves


def test_a_choice_is_as_likely_as_its_beginning() -> None:
    spans = spans_of(even("Clara Parker", "12 kg"), refused=-50.0, stops=0.0)
    found = choice(spans, {"Clara": -1.0, "12": -1.0}, ends=-30.0)
    assert (found.text, found.chance) == ("Clara", pytest.approx(1 / 2))


def test_the_layout_decides_where_the_model_wavers_and_not_where_it_is_sure() -> None:
    lines = [EvidenceLine("15/09/1995 A-35212", (WordPrior(0.3, 0.5, 0.2), WordPrior(1.0, 0.5, 0.7)))]
    wavers = {"15/09/1995": -2.0, "A-35212": -4.0}
    assert choice(spans_of(lines), wavers).text == "A-35212"
    assert choice(spans_of(lines), {"15/09/1995": -2.0, "A-35212": -24.0}).text == "15/09/1995"


def test_the_form_of_the_words_counts_where_it_has_weight() -> None:
    lines = even("12.50 EUR", "Ada Berg")
    likely = {"12.50 EUR": -3.0, "Ada Berg": -4.0}
    spans = spans_of(lines, question="Which one is signed?")
    assert choice(spans, likely).text == "12.50 EUR"
    spans = Spans(lines, encode, question="Which one is signed?", refusal="not found", longest=40,
                  weights={**DEFAULT, "kind: other > names": 4.0})  # fmt: skip
    assert choice(spans, likely).text == "Ada Berg"


@pytest.mark.parametrize(("number", "unit", "told"), [(0.3, 0.8, "1900 W"), (0.5, 0.5, "1900")])
def test_where_the_layout_ends_a_value_the_answer_ends(number: float, unit: float, told: str) -> None:
    lines = [
        EvidenceLine(
            "1900 W of power",
            tuple(WordPrior(*prior, 1.0) for prior in ((1.0, number), (0.1, unit), (0.1, 0.5), (0.1, 0.5))),
        )
    ]
    likely = {"1900": -1.0, "1900 W": -3.0}
    spans = spans_of(lines)
    scored = []
    for ids in spans.choose([FLAT] * 10_000):
        text = "".join(map(chr, ids))
        stops = [-50.0] * (len(text) + 1)
        for answer, value in likely.items():
            if text.startswith(answer):
                stops[len(answer)] = value
        scored.append(Continuation((0.0,) * len(text), tuple(stops)))
    assert spans.best(spans.options(scored)).text == told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("Clean\tevery 45 days", "every 45 days"),
        ("Clean it Every 45 days", "Every 45 days"),
        ("Clean it in 45 days", "45 days"),
        ("Clean\tevery\t45 days", "45 days"),
        ("bevery 45 days", "45 days"),
    ],
)
def test_a_time_that_comes_again_keeps_its_every(line: str, told: str) -> None:
    spans = spans_of(even(line))
    assert choice(spans, {"45 days": -0.1}).text == told
    words = line.split()
    scored = [
        Continuation((-0.1,) * len(ids), (FLAT,) * len(ids) + (-0.1,))
        for ids in spans.choose([FLAT] * 10_000)
    ]
    assert len(spans.weights(spans.options(scored))) == len(words)


def test_the_likeliest_beginnings_are_scored() -> None:
    words = [f"{chr(0x100 + i)}x" for i in range(300)]
    spans = spans_of([EvidenceLine(" ".join(words), (WordPrior(0.5, 0.5, 0.5),) * 300)])
    first = [-9.0] * 10_000
    first[0x100 + 250] = -1.0
    asked = spans.choose(first)
    assert len(asked) < 60
    assert "".join(map(chr, asked[0])) == "not found"
    assert chr(asked[1][0]) == words[250][0]


@pytest.mark.parametrize("lines", [[], ["  "]])
def test_without_text_there_is_nothing_to_choose(lines: list[str]) -> None:
    assert not spans_of(even(*lines))


def test_long_answers_are_cut_at_a_word() -> None:
    spans = spans_of(even("one two three four five"), longest=12)
    runs = ["".join(map(chr, ids)) for ids in spans.choose([FLAT] * 10_000)[1:]]
    assert max(map(len, runs)) <= 12
    assert "one two" in runs


def test_priors_belong_to_words() -> None:
    with pytest.raises(ValueError, match="every word"):
        spans_of([EvidenceLine("two words", (WordPrior(1.0, 0.5, 1.0),))])


def test_a_character_without_a_token_costs_only_its_own_words() -> None:
    def narrow(text: str) -> list[int]:
        return [i for c in text for i in ([ord(c)] if c.isascii() else [1, 2])]

    spans = Spans(
        even("Perth， 13/08", "LOPEZ 雅 VERA"), narrow, question="?", refusal="not found", longest=40
    )
    runs = ["".join(map(chr, ids)) for ids in spans.choose([FLAT] * 10_000)[1:]]
    assert sorted(runs) == ["13/08 LOPEZ", "LOPEZ", "Perth, 13/08 LOPEZ", "VERA"]


def test_the_weights_of_words_say_where_the_best_spans_stand() -> None:
    lines = even("Total 48.20 EUR", "Ada Berg\tVienna")
    spans = spans_of(lines)
    told = {"48.20 EUR": -0.1, "Vienna": -6.0}
    scored = []
    for ids in spans.choose([FLAT] * 10_000):
        text = "".join(map(chr, ids))
        logs, stops = [FLAT] * len(text), [FLAT] * (len(text) + 1)
        for answer, value in told.items():
            if text.startswith(answer):
                logs[: len(answer)] = [value / (len(answer) + 1)] * len(answer)
                stops[len(answer)] = value / (len(answer) + 1)
        scored.append(Continuation(tuple(logs), tuple(stops)))
    assert spans.best(spans.options(scored)).text == "48.20 EUR"
    total, figure, unit, ada, berg, vienna = spans.weights(spans.options(scored))
    assert figure == 1.0
    assert unit < 1.0  # an answer's end is less sure than its beginning
    assert max(total, ada, berg) < vienna < unit
    assert all(0.0 <= w <= 1.0 for w in (total, unit, ada, berg, vienna))


@pytest.mark.parametrize("ends", [False, True])
def test_no_answer_runs_on_where_its_line_ends(ends: bool) -> None:
    prior = (WordPrior(1.0, 0.5, 1.0),) * 2
    spans = spans_of([EvidenceLine("the battery", prior, ends=ends), EvidenceLine("lid open", prior)])
    assert (choice(spans, {"battery lid": -0.1}).text == "battery lid") is not ends
    assert choice(spans, {"the battery": -0.1}).text == "the battery"
    assert choice(spans, {"lid open": -0.1}).text == "lid open"
