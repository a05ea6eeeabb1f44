"""A calibrated brake on refusals: how sure a small reader has to be that a page does not hold the answer.

A model that spreads its doubt over many possible first characters of an answer, but puts all of its refusal
on one, refuses too often under greedy decoding. The brake lowers the score of the refusal's first token at
the first step; its size is found on held-out pages, where false refusals and false answers are in balance.
"""

from __future__ import annotations

import torch
from transformers import LogitsProcessor

__all__ = ["RefusalBias"]


class RefusalBias(LogitsProcessor):
    """Subtracts ``bias`` (natural log-odds) from token ``first`` at the first generated position only.

    The prompt's length is that of the first call, so an instance serves one generation.
    """

    def __init__(self, first: int, bias: float) -> None:
        self._first, self._bias = first, bias
        self._prompt: int | None = None

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """``input_ids`` int64 [batch, tokens], ``scores`` float [batch, vocabulary]; returns new scores."""
        if self._prompt is None:
            self._prompt = input_ids.shape[1]
        if input_ids.shape[1] != self._prompt:
            return scores
        lowered = scores.clone()
        lowered[:, self._first] -= self._bias
        return lowered  # type: ignore[return-value]
