"""Text to token ids and back without building a tokenizer: equal to ``tokenizer.json`` (tested)."""

from __future__ import annotations

from collections.abc import Sequence

from hydra_rag.nano.alphabet import ALPHABET, SPECIAL_TOKENS

SPECIAL = {name: i for i, name in enumerate(SPECIAL_TOKENS)}
_FIRST = len(SPECIAL_TOKENS)
_BYTES = _FIRST + len(ALPHABET)
VOCAB_SIZE = _BYTES + 256
_ID = {ch: _FIRST + i for i, ch in enumerate(ALPHABET)}


def encode(text: str) -> list[int]:
    """One id a character; UTF-8 bytes for characters outside the alphabet. Special tokens are not parsed."""
    out: list[int] = []
    for ch in text:
        known = _ID.get(ch)
        if known is not None:
            out.append(known)
        else:
            out.extend(_BYTES + b for b in ch.encode("utf-8", "replace"))
    return out


def decode(ids: Sequence[int]) -> str:
    """Inverse of :func:`encode`; special tokens vanish."""
    parts: list[bytes] = []
    for i in ids:
        if _FIRST <= i < _BYTES:
            parts.append(ALPHABET[i - _FIRST].encode())
        elif i >= _BYTES:
            parts.append(bytes((i - _BYTES,)))
    return b"".join(parts).decode("utf-8", "replace")


def open_user() -> list[int]:
    return [SPECIAL["<|im_start|>"]]


def image_run(cells: int) -> list[int]:
    return [SPECIAL["<|vision_start|>"], *[SPECIAL["<|image_pad|>"]] * cells, SPECIAL["<|vision_end|>"]]


def close_user() -> list[int]:
    return [SPECIAL["<|im_end|>"], SPECIAL["<|assistant|>"]]


END = SPECIAL["<|im_end|>"]
