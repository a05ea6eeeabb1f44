"""Answers that a page prints: its spans of whole words, weighed by the model and by the layout.

A small reader often begins a value wrongly or stops too soon, and spells it wrong. So it is not asked to
write: every span of the evidence that may be the answer gets the model's own log-likelihood, the layout's
for its first word and for the word it ends with (:mod:`hydra_rag_agents.priors`), and the best one wins. The
refusal is one of them. Needs a tokenizer with one token a character (``nano``): others would cut through
tokens. No torch.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Container, Iterator, Sequence
from itertools import islice
from math import exp, log
from typing import NamedTuple, Protocol

from hydra_rag.lines import CELL_BREAK
from hydra_rag_agents.ports import EvidenceLine

__all__ = ["Chosen", "Scored", "Spans"]

#: Characters that may be left off at the end of an answer, though they stand before the next space; and after
#: which one may begin.
_LOOSE, _OPENING = ".,;:!?)]”\"'", "(“\"'#"
#: How much the layout weighs beside the model, for the first word and for where the answer ends.
_BEGIN, _END = 18.0, 3.0
#: Places to begin that are scored, and words that an answer has at most.
_STARTS, _WORDS = 24, 12
_LEAST, _REFUSED = 1e-3, 7.0
#: Scores are far apart; where a place is asked for they are brought together by this factor.
_EVEN = 4.0
#: And of the next word of a span, beside the one before.
_FURTHER = 0.8


class Scored(Protocol):
    """How likely a run of tokens is (:class:`hydra_rag.scoring.Continuation`)."""

    @property
    def logprobs(self) -> tuple[float, ...]: ...

    @property
    def ends(self) -> tuple[float, ...]: ...


class Chosen(NamedTuple):
    """``logprobs``: of the characters and of the end; ``support``: the layout's, 0 to 1 (1 for a refusal)."""

    text: str
    logprobs: tuple[float, ...]
    support: float


class _Run(NamedTuple):
    """What may follow one place to begin, in word number ``word`` of all. ``stops``: (length in characters,
    the layout's log-odds)."""

    word: int
    text: str
    prior: float
    support: float
    stops: tuple[tuple[int, float], ...]


class Spans:
    """The spans of ``lines``. An answer may run on into the next line, never over a tab into the next cell.

    ``encode``: text to token ids. ``longest``: tokens of an answer at most. ``refusal``: what may be answered
    although no line says it, and ``brake``, what that costs in log-likelihood.
    """

    def __init__(
        self,
        lines: Sequence[EvidenceLine],
        encode: Callable[[str], Sequence[int]],
        *,
        refusal: str,
        brake: float,
        longest: int,
    ) -> None:
        kept = [line for line in lines if line.text.strip()]
        text = " ".join(_tidy(_plain(line.text)) for line in kept)
        weights = [prior for line in kept for prior in line.priors]
        if len(weights) != len(text.split()):
            raise ValueError("priors must name likelihoods for every word of every line")
        self._encode, self._refusal, self._brake = encode, refusal, brake
        odd = {character for character in set(text) if len(encode(character)) != 1}
        self._runs = list(_runs(text, weights, longest, odd))
        self._asked: list[_Run] = []
        self._words = len(weights)

    def __bool__(self) -> bool:
        """Whether there is any span at all."""
        return bool(self._runs)

    def choose(self, first: Sequence[float]) -> list[list[int]]:
        """Token ids of what is to be scored: the refusal, and the likeliest beginnings. ``first``: the
        model's log-probability of every token to come first."""

        def likely(run: _Run) -> float:
            return _BEGIN * log(run.prior) + first[self._encode(run.text[0])[0]]

        unique = {run.text: run for run in sorted(self._runs, key=lambda run: run.prior)}
        self._asked = sorted(unique.values(), key=likely, reverse=True)[:_STARTS]
        return [list(self._encode(text)) for text in (self._refusal, *(run.text for run in self._asked))]

    def best(self, scored: Sequence[Scored]) -> Chosen:
        """The likeliest answer, by the scores of what :meth:`choose` named."""
        refused = scored[0]
        told = (*refused.logprobs, refused.ends[-1])
        top = sum(told) - _REFUSED - self._brake
        chosen = Chosen(self._refusal, told, 1.0)
        for score, run, length, told in self._told(scored):
            if score > top:
                top, chosen = score, Chosen(run.text[:length], told, run.support)
        return chosen

    def weights(self, scored: Sequence[Scored]) -> tuple[float, ...]:
        """How likely each word of the lines, as white space parts them, is a part of the answer if there is
        one: that of the likeliest span over it, as a share of the best span's. Where a span ends is less
        sure than where it begins."""
        likely = [0.0] * self._words
        every = [(score, run.word, run.text[:length]) for score, run, length, _ in self._told(scored)]
        top = max((score for score, _, _ in every), default=0.0)
        for score, first, text in every:
            weight = exp((score - top) / _EVEN)
            for word in range(first, first + len(text.split())):
                likely[word] = max(likely[word], weight)
                weight *= _FURTHER
        return tuple(likely)

    def _told(self, scored: Sequence[Scored]) -> Iterator[tuple[float, _Run, int, tuple[float, ...]]]:
        """(score, run, length in characters, log-probabilities) of every span that was scored."""
        for run, known in zip(self._asked, scored[1:], strict=True):
            for length, layout in run.stops:
                told = (*known.logprobs[:length], known.ends[length])
                yield sum(told) + _BEGIN * log(run.prior) + _END * layout, run, length, told


def _runs(
    text: str, weights: Sequence[tuple[float, float, float]], longest: int, odd: Container[str]
) -> Iterator[_Run]:
    """``odd``: characters that are no token; no run goes over one."""
    word = -1
    for at, character in enumerate(text):
        if character.isspace():
            continue
        word += at == 0 or text[at - 1].isspace()
        if at and text[at - 1] not in f" {CELL_BREAK}{_OPENING}":
            continue
        stops, odds = [], 0.0
        for end, (_, likely, _) in zip(_word_ends(text, at, longest, odd), weights[word:], strict=False):
            ends = min(1 - _LEAST, max(_LEAST, likely))
            last = end
            while last > at and text[last - 1] in _LOOSE:
                last -= 1
            stops += [(n - at, odds + log(2 * ends)) for n in range(max(last, at + 1), end + 1)]
            odds += log(2 * (1 - ends))
        if stops:
            run = text[at : at + max(n for n, _ in stops)]
            begins, _, support = weights[word]
            yield _Run(word, run, max(_LEAST, begins), support, tuple(stops))


def _word_ends(text: str, start: int, longest: int, odd: Container[str]) -> Iterator[int]:
    """Where the words of the cell end that begins, or goes on, at ``start``."""
    stops = (i for i in range(start, len(text)) if text[i] == CELL_BREAK or text[i] in odd)
    limit = next(stops, len(text))
    open_end = limit < len(text) and text[limit] != CELL_BREAK  # in the middle of a word
    ends = (
        i for i in range(start + 1, limit + 1) if (i == limit and not open_end) or text[i : i + 1].isspace()
    )
    return islice((i for i in ends if i - start <= longest), _WORDS)


def _plain(text: str) -> str:
    """Compatibility forms (a full-width comma) by their usual ones, where these are as long."""
    usual = ((character, unicodedata.normalize("NFKC", character)) for character in text)
    return "".join(form if len(form) == 1 and not form.isspace() else own for own, form in usual)


def _tidy(line: str) -> str:
    """One space between words, one tab between cells."""
    return CELL_BREAK.join(" ".join(cell.split()) for cell in line.split(CELL_BREAK) if cell.strip())
