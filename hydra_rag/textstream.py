"""Token ids to text while they arrive: whole characters only, thinking blocks never shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

__all__ = ["TextStream", "strip_thinking"]

_OPEN, _CLOSE = "<think>", "</think>"


def strip_thinking(text: str, *, open_at_start: bool = False) -> str:
    """Text without its leading thinking block; empty when the block was never closed.

    ``open_at_start``: the prompt itself opened the block.
    """
    head = text.lstrip()
    if open_at_start or head.startswith(_OPEN):
        _, closed, rest = head.partition(_CLOSE)
        return strip_thinking(re.sub(r"^\s+", "", rest)) if closed else ""
    return text


class TextStream:
    """Feed token ids, get the new visible text; the pieces add up to :attr:`text`.

    ``decode``: ids to text. Text is held back while it may still change (half a character) and while it
    may turn out to be a thinking block.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], *, thinking: bool = False) -> None:
        self._decode = decode
        self._thinking = thinking
        self._ids: list[int] = []
        self._sent = ""

    def push(self, token: int) -> str:
        """The visible text that this token added; often empty."""
        self._ids.append(token)
        return self._emit(final=False)

    def finish(self) -> str:
        """What was held back."""
        return self._emit(final=True)

    @property
    def text(self) -> str:
        """The whole visible text so far, unfinished characters included."""
        return strip_thinking(self._decode(self._ids), open_at_start=self._thinking)

    def _emit(self, *, final: bool) -> str:
        whole = self._decode(self._ids)
        if not final:
            if whole.endswith("\ufffd"):
                return ""
            head = whole.lstrip()
            if not self._thinking and _OPEN.startswith(head):
                return ""
        shown = strip_thinking(whole, open_at_start=self._thinking)
        if not shown.startswith(self._sent):  # the decoder changed its mind about text already sent
            return ""
        new = shown[len(self._sent) :]
        self._sent = shown
        return new
