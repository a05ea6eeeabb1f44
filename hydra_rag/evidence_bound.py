"""Evidence-bound decoding: the answer is a run of whole words that a page prints, or the refusal.

The model still decides: at every step only tokens that keep the answer a literal run of the given text stay
possible, so a small reader can choose the wrong value but never misspell or invent one. Where the layout of
the page says which words are likelier to begin an answer, that is added to the model's own scores. Needs a
tokenizer with one token a character (``nano``); for others the constraint would cut through tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log

import torch
from transformers import LogitsProcessor

from hydra_rag.lines import CELL_BREAK

__all__ = ["SpanBound"]

#: Characters that may be left off at the end of an answer, though they stand before the next space.
_LOOSE = ".,;:!?)]”\"'"
#: How much the words' likelihoods weigh beside the model's own.
_TRUST = 6.0


class SpanBound(LogitsProcessor):
    """Keeps greedy or sampled decoding of one sequence inside ``lines``.

    ``lines``: the page's text, line by line; an answer may run on into the next line, never over a tab into
    the next cell. ``encode``: text to
    token ids, one a character. ``end``: id of the end token. ``prompt_length``: tokens before the answer.
    ``refusal``: what may be answered although no line says it. ``priors``: for every line the likelihood (0
    to 1) of each of its words to begin the answer, as white space parts them; ``refusal_prior``: of the
    refusal. With no usable line nothing is constrained.
    """

    def __init__(
        self,
        lines: Sequence[str],
        encode: Callable[[str], Sequence[int]],
        end: int,
        prompt_length: int,
        refusal: str,
        *,
        priors: Sequence[Sequence[float]] | None = None,
        refusal_prior: float = 0.5,
    ) -> None:
        kept = [i for i, line in enumerate(lines) if line.strip()]
        text = " ".join(_tidy(lines[i]) for i in kept)
        self._ids = [list(encode(ch)) for ch in text]
        self._usable = bool(text) and all(len(ids) == 1 for ids in self._ids)
        self._text, self._end, self._prompt = text, end, prompt_length
        self._refusal = list(encode(refusal))
        weights = [p for i in kept for p in priors[i]] if priors is not None else None
        if weights is not None and len(weights) != len(text.split()):
            raise ValueError("priors must name one likelihood for every word of every line")
        self._starts: list[tuple[int, float]] = []
        word = -1
        for i, ch in enumerate(text):
            word += not ch.isspace() and (i == 0 or text[i - 1].isspace())
            if not ch.isspace() and (i == 0 or text[i - 1] in f" {CELL_BREAK}(“\"'#"):
                self._starts.append((i, 1.0 if weights is None else max(1e-3, weights[word])))
        self._doubt = 1.0 if weights is None else refusal_prior

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """``input_ids`` int64 [1, tokens], ``scores`` float [1, vocabulary]; returns masked scores."""
        if not self._usable:
            return scores
        written = input_ids[0, self._prompt :].tolist()
        allowed = self._weighed(written)
        masked = torch.full_like(scores, -torch.inf)
        keep = torch.tensor(sorted(allowed), device=scores.device)
        extra = torch.tensor([_TRUST * log(allowed[i]) for i in sorted(allowed)], device=scores.device)
        masked[:, keep] = scores[:, keep] + extra.to(scores.dtype)
        return masked  # type: ignore[return-value]

    def allowed(self, written: Sequence[int]) -> set[int]:
        """Token ids that may follow ``written``."""
        return set(self._weighed(written))

    def _weighed(self, written: Sequence[int]) -> dict[int, float]:
        """Token ids that may follow, each with the best likelihood of the words that it leads to."""
        n = len(written)
        out: dict[int, float] = {}
        for start, likely in self._starts:
            if start + n > len(self._text) or any(self._ids[start + k][0] != written[k] for k in range(n)):
                continue
            if start + n < len(self._text) and self._text[start + n] != CELL_BREAK:
                token = self._ids[start + n][0]
                out[token] = max(out.get(token, 0.0), likely)
            if n and self._ends_word(start + n):
                out[self._end] = max(out.get(self._end, 0.0), likely)
        if list(written) == self._refusal[:n]:
            token = self._refusal[n] if n < len(self._refusal) else self._end
            out[token] = max(out.get(token, 0.0), self._doubt)
        return out or {self._end: 1.0}

    def _ends_word(self, at: int) -> bool:
        if self._text[at - 1].isspace():
            return False
        while at < len(self._text) and self._text[at] in _LOOSE:
            at += 1
        return at == len(self._text) or self._text[at].isspace()


def _tidy(line: str) -> str:
    """One space between words, one tab between cells."""
    return CELL_BREAK.join(" ".join(cell.split()) for cell in line.split(CELL_BREAK) if cell.strip())
