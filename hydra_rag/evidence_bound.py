"""Evidence-bound decoding: the answer is a run of whole words that a page prints, or the refusal.

The model still decides: at every step only tokens that keep the answer a literal run of the given text stay
possible, so a small reader can choose the wrong value but never misspell or invent one. Needs a tokenizer
with
one token a character (``nano``); for others the constraint would cut through tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from transformers import LogitsProcessor

__all__ = ["SpanBound"]

#: Characters that may be left off at the end of an answer, though they stand before the next space.
_LOOSE = ".,;:!?)]”\"'"


class SpanBound(LogitsProcessor):
    """Keeps greedy or sampled decoding of one sequence inside ``lines``.

    ``lines``: the page's text, line by line (an answer may run on into the next line). ``encode``: text to
    token
    ids, one a character. ``end``: id of the end token. ``prompt_length``: tokens before the answer.
    ``refusal``: what may be answered although no line says it. With no usable line nothing is constrained.
    """

    def __init__(
        self,
        lines: Sequence[str],
        encode: Callable[[str], Sequence[int]],
        end: int,
        prompt_length: int,
        refusal: str,
    ) -> None:
        text = " ".join(" ".join(line.split()) for line in lines if line.strip())
        self._ids = [list(encode(ch)) for ch in text]
        self._usable = bool(text) and all(len(ids) == 1 for ids in self._ids)
        self._text, self._end, self._prompt = text, end, prompt_length
        self._refusal = list(encode(refusal))
        self._starts = [
            i for i in range(len(text)) if text[i] != " " and (i == 0 or text[i - 1] in " (“\"'#")
        ]

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """``input_ids`` int64 [1, tokens], ``scores`` float [1, vocabulary]; returns masked scores."""
        if not self._usable:
            return scores
        written = input_ids[0, self._prompt :].tolist()
        allowed = self.allowed(written)
        masked = torch.full_like(scores, -torch.inf)
        keep = torch.tensor(sorted(allowed), device=scores.device)
        masked[:, keep] = scores[:, keep]
        return masked  # type: ignore[return-value]

    def allowed(self, written: Sequence[int]) -> set[int]:
        """Token ids that may follow ``written``."""
        n = len(written)
        out: set[int] = set()
        for start in self._starts:
            if start + n > len(self._text) or any(self._ids[start + k][0] != written[k] for k in range(n)):
                continue
            if start + n < len(self._text):
                out.add(self._ids[start + n][0])
            if n and self._ends_word(start + n):
                out.add(self._end)
        if list(written) == self._refusal[:n]:
            out.add(self._refusal[n] if n < len(self._refusal) else self._end)
        return out or {self._end}

    def _ends_word(self, at: int) -> bool:
        if self._text[at - 1] == " ":
            return False
        while at < len(self._text) and self._text[at] in _LOOSE:
            at += 1
        return at == len(self._text) or self._text[at] == " "
