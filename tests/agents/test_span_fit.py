"""What the signs of a span weigh is learned from answered questions, and found again beside the adapter."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from hydra_rag.errors import ModelError, UsageError
from hydra_rag_agents.kinds import asked_kind, shape, told_kind
from hydra_rag_agents.span_fit import Case, _alike, case_of, cross_checked, fit_weights, share_right
from hydra_rag_agents.span_signs import DEFAULT, load_weights, save_weights, score
from hydra_rag_agents.spans import Option


def case(rng: random.Random, *, absent: bool) -> Case:
    """Five spans of which the one of the asked kind is right, whatever the model says; none where absent."""
    signs = [{"refused": 1.0, "refused model": -rng.random()}]
    signs += [{"model": -3 * rng.random(), f"kind: {'date' if i == 2 and not absent else 'name'}": 1.0}
              for i in range(5)]  # fmt: skip
    return Case(tuple(signs), tuple(i == (0 if absent else 3) for i in range(6)))


def cases(count: int, seed: int) -> list[Case]:
    rng = random.Random(seed)
    return [case(rng, absent=i % 4 == 0) for i in range(count)]


def test_what_decides_is_learned() -> None:
    weights = fit_weights(cases(80, seed=1))
    assert weights["kind: date"] > weights["kind: name"]
    assert share_right(cases(80, seed=2), weights) == 1.0
    assert share_right(cases(80, seed=2), DEFAULT) < 0.5


def test_a_check_learns_from_other_questions_only() -> None:
    rng = random.Random(3)
    noise = [
        Case(
            tuple({"refused": 0.0, f"kind: {i}-{k}": 1.0} for k in range(4)),
            tuple(k == i % 4 for k in range(4)),
        )
        for i in (rng.randrange(1000) for _ in range(60))
    ]
    assert share_right(noise, fit_weights(noise)) > 0.9  # learned by heart
    assert cross_checked(noise)["after"] < 0.6
    made = cross_checked(cases(80, seed=1))
    assert (made["questions"], made["after"]) == (80, 1.0)
    assert made["before"] < 0.5


def test_right_is_the_refusal_where_a_page_has_no_answer_and_any_spelling_where_it_has() -> None:
    options = [
        Option("not found", {"refused": 1.0}, (-1.0,), -1),
        Option("12.50", {"model": -1.0}, (-1.0,), 0),
        Option("Ada Berg,", {"model": -9.0}, (-1.0,), 1),
        Option("not found", {"model": -9.0}, (-1.0,), 2),  # printed on the page
    ]
    assert case_of(options, None).right == (True, False, False, False)
    assert case_of(options, "Ada Berg").right.count(True) == 1
    assert case_of(options, "not found").right[0] is False


def test_a_question_asked_elsewhere_teaches_less_and_is_not_counted() -> None:
    rng = random.Random(5)
    own = [case(rng, absent=False) for _ in range(40)]
    away = [replace(case(rng, absent=True), elsewhere=True) for _ in range(40)]
    near = [replace(one, elsewhere=False) for one in away]
    assert fit_weights(own + away)["refused"] < fit_weights(own + near)["refused"]
    assert cross_checked(own + away)["questions"] == 40


def test_the_other_pages_that_are_asked_share_words_and_not_the_answer() -> None:
    texts = ["Total 41.00", "Total 12.50 due", "Total 41.00 due", "A letter"]
    assert _alike(texts, 0, "What is the total due?", "41.00") == [1, 3]


def test_nothing_to_learn_from_is_told() -> None:
    with pytest.raises(UsageError, match="nothing to learn"):
        fit_weights([Case(({"refused": 1.0},), (False,))])
    assert cross_checked([])["questions"] == 0


def test_weights_are_kept_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "answers.json"
    save_weights(path, {"model": 0.25, "kind: date": 0.00001}, "abc", {"after": 0.5})
    assert load_weights(path) == ("abc", {"model": 0.25})
    assert json.loads(path.read_text(encoding="utf-8"))["measured"] == {"after": 0.5}
    for text in ("", "[]", '{"format": 9, "weights": "a", "signs": {}}', '{"format": 1, "weights": "a"}'):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ModelError, match="model answers"):
            load_weights(path)


def test_signs_without_a_weight_count_nothing() -> None:
    assert score({"model": -2.0, "kind: new": 1.0}, {"model": 0.5, "begins": 3.0}) == -1.0


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("Who signed the letter?", "who"),
        ("When does it start?", "when"),
        ("How many pallets are there?", "how many"),
        ("What is the IBAN?", "number"),
        ("Which vendor delivers?", "company"),
        ("Colour?", "other"),
    ],
)
def test_kinds_of_questions(question: str, kind: str) -> None:
    assert asked_kind(question) == kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ada@example.org", "email"),
        ("EUR 1.204,50", "money"),
        ("38 %", "percent"),
        ("14:30", "time"),
        ("3 May 2021", "date"),
        ("2021-05-03", "date"),
        ("1998", "year"),
        ("(476) 643-1549", "phone"),
        ("2.804", "number"),
        ("12 kg", "measure"),
        ("AK-2210", "code"),
        ("Harrow Optics GmbH", "company"),
        ("Ada Berg", "names"),
        ("Vienna", "capital word"),
        ("heat pump", "phrase"),
        ("", "word"),
    ],
)
def test_kinds_of_text(text: str, kind: str) -> None:
    assert told_kind(text) in (kind, "phrase" if not text else kind)


def test_shapes_of_words() -> None:
    words = ("", "12", "GmbH", "EUR", "heat", "(old)", "x")
    assert [shape(w) for w in words] == ["none", "digit", "capital", "capitals", "small", "sign", "small"]
