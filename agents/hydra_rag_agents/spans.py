"""Answers that a page prints: its spans of whole words, weighed by the model and by the layout.

A small reader often begins a value wrongly or stops too soon, and spells it wrong. So it is not asked to
write: every span of the evidence that may be the answer gets the model's own log-likelihood, which is
weighed together with what the layout says and with the form of the words
(:mod:`hydra_rag_agents.span_signs`), and the best one wins. The refusal is one of them. Needs a tokenizer
with one token a character (``nano``): others would cut through tokens. No torch.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from itertools import accumulate, islice
from math import exp, log
from typing import NamedTuple, Protocol

from hydra_rag.lines import CELL_BREAK
from hydra_rag_agents.ports import EvidenceLine, WordPrior
from hydra_rag_agents.span_signs import DEFAULT, Asked, Signs, Span, score

__all__ = ["Chosen", "Option", "Scored", "Spans"]

#: Characters that may be left off at the end of an answer, though they stand before the next space; and after
#: which one may begin.
_LOOSE, _OPENING = ".,;:!?)]”\"'", "(“\"'#"
#: Places to begin that are scored, and words that an answer has at most.
_STARTS, _WORDS = 24, 12
#: How much the layout weighs beside the model's first character where these are chosen.
_BEGIN = 18.0
_LEAST = 1e-3
_EVERY = re.compile(r"(?<!\w)every $", re.IGNORECASE)
#: Scores are far apart; where a place is asked for they are brought together by this factor.
_EVEN = 2.0
#: And of the next word of a span, beside the one before.
_FURTHER = 0.8


class Scored(Protocol):
    """How likely a run of tokens is (:class:`hydra_rag.scoring.Continuation`)."""

    @property
    def logprobs(self) -> tuple[float, ...]: ...

    @property
    def ends(self) -> tuple[float, ...]: ...


class Chosen(NamedTuple):
    """``logprobs``: of the characters and of the end; ``chance``: that an answer begins with this word,
    or that there is none, by the weights of the signs, 0 to 1."""

    text: str
    logprobs: tuple[float, ...]
    chance: float


class _Run(NamedTuple):
    """What may follow one place to begin, in word number ``word`` of all. ``stops``: (length in characters,
    the layout's log-odds). ``before``: what belongs to it, though the model need not say it: a time that
    comes "every 45 days" is not one that lasts 45 days."""

    word: int
    text: str
    prior: WordPrior
    stops: tuple[tuple[int, float], ...]
    before: str = ""


class Option(NamedTuple):
    """What may be answered: a span that begins with word number ``word`` of all, or the refusal (-1)."""

    text: str
    signs: Signs
    logprobs: tuple[float, ...]
    word: int


class Spans:
    """The spans of ``lines``. An answer may run on into the next line, unless the line ends there; never over
    a tab into the next cell.

    ``encode``: text to token ids. ``longest``: tokens of an answer at most. ``refusal``: what may be answered
    although no line says it. ``weights``: of the signs.
    """

    def __init__(
        self,
        lines: Sequence[EvidenceLine],
        encode: Callable[[str], Sequence[int]],
        *,
        question: str,
        refusal: str,
        longest: int,
        weights: Mapping[str, float] = DEFAULT,
    ) -> None:
        kept = [line for line in lines if line.text.strip()]
        texts = [_tidy(_plain(line.text)) for line in kept]
        text, ends = " ".join(texts), accumulate(len(line) + 1 for line in texts)
        walls = {end - 1 for end, line in zip(ends, kept, strict=True) if line.ends}
        priors = [WordPrior(*prior) for line in kept for prior in line.priors]
        if len(priors) != len(text.split()):
            raise ValueError("priors must name likelihoods for every word of every line")
        self._encode, self._refusal, self._question, self._weights = encode, refusal, question, weights
        odd = {character for character in set(text) if len(encode(character)) != 1}
        self._runs = list(_runs(text, priors, longest, odd, walls))
        self._asked: list[_Run] = []
        self._words = len(priors)

    def __bool__(self) -> bool:
        """Whether there is any span at all."""
        return bool(self._runs)

    def choose(self, first: Sequence[float]) -> list[list[int]]:
        """Token ids of what is to be scored: the refusal, and the likeliest beginnings. ``first``: the
        model's log-probability of every token to come first."""

        def likely(run: _Run) -> float:
            return _BEGIN * log(max(_LEAST, run.prior.begins)) + first[self._encode(run.text[0])[0]]

        unique = {run.text: run for run in sorted(self._runs, key=lambda run: run.prior.begins)}
        self._asked = sorted(unique.values(), key=likely, reverse=True)[:_STARTS]
        return [list(self._encode(text)) for text in (self._refusal, *(run.text for run in self._asked))]

    def options(self, scored: Sequence[Scored]) -> list[Option]:
        """The refusal, and every span that begins where :meth:`choose` named a beginning, with its signs.
        ``scored``: what that named, in its order."""
        found: list[tuple[Span, _Run]] = []
        for run, known in zip(self._asked, scored[1:], strict=True):
            for length, stops in run.stops:
                told, end = known.logprobs[:length], known.ends[length]
                span = Span(run.text[:length], told, end, run.prior, stops, run.text[length:])
                found.append((span, run))
        asked = Asked(self._question, [span for span, _ in found])
        refused, end = scored[0].logprobs, scored[0].ends[-1]
        return [
            Option(self._refusal, asked.refusal(refused, end), (*refused, end), -1),
            *(
                Option(run.before + s.text, asked.of(s), (*s.logprobs, s.end), run.word - bool(run.before))
                for s, run in found
            ),
        ]

    def best(self, options: Sequence[Option]) -> Chosen:
        """The likeliest of ``options``; the first of equals."""
        scores = [score(option.signs, self._weights) for option in options]
        top = max(scores)
        chosen = options[scores.index(top)]
        chances = [exp(value - top) for value in scores]
        same = [c for option, c in zip(options, chances, strict=True) if option.word == chosen.word]
        return Chosen(chosen.text, chosen.logprobs, math.fsum(same) / math.fsum(chances))

    def weights(self, options: Sequence[Option]) -> tuple[float, ...]:
        """How likely each word of the lines, as white space parts them, is a part of the answer if there is
        one: that of the likeliest span over it, as a share of the best span's. Where a span ends is less
        sure than where it begins."""
        likely = [0.0] * self._words
        every = [(score(option.signs, self._weights), option) for option in options if option.word >= 0]
        top = max((value for value, _ in every), default=0.0)
        for value, option in every:
            weight = exp((value - top) / _EVEN)
            for word in range(option.word, option.word + len(option.text.split())):
                likely[word] = max(likely[word], weight)
                weight *= _FURTHER
        return tuple(likely)


def _runs(
    text: str, priors: Sequence[WordPrior], longest: int, odd: Container[str], walls: Container[int]
) -> Iterator[_Run]:
    """``odd``: characters that are no token; no run goes over one. ``walls``: spaces between lines over which
    none goes."""
    word = -1
    for at, character in enumerate(text):
        if character.isspace():
            continue
        word += at == 0 or text[at - 1].isspace()
        if at and text[at - 1] not in f" {CELL_BREAK}{_OPENING}":
            continue
        stops, odds = [], 0.0
        for end, prior in zip(_word_ends(text, at, longest, odd), priors[word:], strict=False):
            ends = min(1 - _LEAST, max(_LEAST, prior.ends))
            last = end
            while last > at and text[last - 1] in _LOOSE:
                last -= 1
            stops += [(n - at, odds + log(2 * ends)) for n in range(max(last, at + 1), end + 1)]
            odds += log(2 * (1 - ends))
            if end in walls:
                break
        if stops:
            until = at + max(n for n, _ in stops)
            run = text[at : until + (until in walls)]  # what follows an answer is one of its signs
            every = _EVERY.search(text, max(0, at - 7), at) if run[0].isdigit() else None
            yield _Run(word, run, priors[word], tuple(stops), every.group() if every else "")


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
