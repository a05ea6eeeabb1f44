"""Evidence-bound decoding writes what the page prints, or refuses."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hydra_rag.evidence_bound import SpanBound

END = 1


def encode(text: str) -> list[int]:
    return [ord(c) for c in text]


def decode_with(bound: SpanBound, scores: torch.Tensor, limit: int = 60) -> str:
    written: list[int] = []
    for step in range(limit):
        ids = torch.tensor([[7, 7, *written]])
        token = int(bound(ids, scores[step : step + 1].clone()).argmax())  # type: ignore[arg-type]
        if token == END:
            break
        written.append(token)
    return "".join(map(chr, written))


@given(st.integers(0, 10_000))
def test_whatever_the_scores_the_answer_is_printed_on_the_page(seed: int) -> None:
    lines = ["Invoice No. INV-70328", "Total due: $2,580.24 (net)", "Clara Parker"]
    bound = SpanBound(lines, encode, END, 2, "not found")
    generator = torch.Generator().manual_seed(seed)
    answer = decode_with(bound, torch.rand(200, 200, generator=generator))
    assert answer == "not found" or answer in " ".join(lines)
    assert answer == answer.strip()


def test_the_end_comes_only_after_whole_words() -> None:
    bound = SpanBound(["due: $2,580.24."], encode, END, 0, "no")
    assert END not in bound.allowed(encode("$2,58"))
    assert END in bound.allowed(encode("$2,580.24"))
    assert END in bound.allowed(encode("due"))
    assert END not in bound.allowed(encode("due: "))
    assert END not in bound.allowed([])


def test_the_refusal_is_always_open() -> None:
    bound = SpanBound(["abc"], encode, END, 0, "no")
    assert bound.allowed(encode("n")) == {ord("o")}
    assert bound.allowed(encode("no")) == {END}
    assert bound.allowed([]) == {ord("a"), ord("n")}


def test_an_answer_never_runs_from_one_cell_into_the_next() -> None:
    bound = SpanBound(
        ["Desk lamp \t 11", "Fuse\t4"], encode, END, 0, "no", priors=[[0.1, 0.2, 0.9], [0.5, 0.5]]
    )
    assert bound.allowed(encode("Desk lamp")) == {END}
    assert bound.allowed(encode("11")) == {END, ord(" ")}
    assert bound.allowed([]) == {ord(c) for c in "Dl1F4n"}


@pytest.mark.parametrize("lines", [[], ["  "]])
def test_without_text_nothing_is_constrained(lines: list[str]) -> None:
    scores = torch.rand(1, 20)
    bound = SpanBound(lines, encode, END, 0, "no")
    assert torch.equal(bound(torch.tensor([[1]]), scores), scores)  # type: ignore[arg-type]


def test_priors_decide_where_the_model_wavers_and_not_where_it_is_sure() -> None:
    lines = ["born 15/09/1995 A-35212"]
    priors = [[0.1, 0.3, 1.0]]
    for lead, told in ((1.0, "A-35212"), (9.0, "15/09/1995")):
        scores = torch.zeros(60, 200)
        scores[:, encode("1")[0]] = lead
        scores[:, END] = 20.0  # ends as soon as it may
        bound = SpanBound(lines, encode, END, 2, "not found", priors=priors)
        assert decode_with(bound, scores) == told


def test_priors_belong_to_words() -> None:
    with pytest.raises(ValueError, match="every word"):
        SpanBound(["two words"], encode, END, 0, "no", priors=[[1.0]])
