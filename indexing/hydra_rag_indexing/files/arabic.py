"""Arabic letters in the form that their neighbours ask for, for fonts that are used without a shaping engine.

Unicode's presentation forms hold one character for each form of a letter, and their decompositions say which;
so the table comes with Python. Whoever reads the text back undoes it by compatibility normalisation (NFKC).
Marks above and below letters change nothing. Other joining scripts (Syriac, N'Ko, ...) have no such forms and
stay as they are.
"""

from __future__ import annotations

import unicodedata
from functools import cache

__all__ = ["is_form", "join_letters"]

_LAM, _TATWEEL = "\u0644", "\u0640"
_RANGES = (range(0xFB50, 0xFC00), range(0xFE70, 0xFEFD))


def is_form(char: str) -> bool:
    """Whether ``char`` is one of the forms that :func:`join_letters` may put in."""
    return any(ord(char) in block for block in _RANGES)


def join_letters(text: str) -> str:
    """``text`` with every Arabic letter in its isolated, initial, medial or final form, lam and alef as one.

    Text without Arabic letters is returned as it is. NFKC gives the letters back.
    """
    forms = _forms()
    if not any(char in forms for char in text):
        return text
    out: list[str] = []
    before = False  # the letter before reaches out to this one
    index = 0
    while index < len(text):
        char = text[index]
        if unicodedata.category(char) == "Mn":
            out.append(char)
            index += 1
            continue
        size = 2 if text[index : index + 2] in forms else 1
        known = forms.get(text[index : index + size], {})
        onward = "initial" in known and _takes(_next_letter(text, index + size), forms)
        backward = before and "final" in known
        kind = ("medial" if onward else "final") if backward else ("initial" if onward else "isolated")
        out.append(known.get(kind, char))
        before = onward or char == _TATWEEL
        index += size
    return "".join(out)


def _next_letter(text: str, index: int) -> str:
    while index < len(text) and unicodedata.category(text[index]) == "Mn":
        index += 1
    return text[index : index + 1]


def _takes(letter: str, forms: dict[str, dict[str, str]]) -> bool:
    """Whether a letter joins the one before it."""
    return letter == _TATWEEL or "final" in forms.get(letter, {})


@cache
def _forms() -> dict[str, dict[str, str]]:
    """Letter, or lam and alef, to its forms by name."""
    table: dict[str, dict[str, str]] = {}
    for block in _RANGES:
        for code in block:
            kind, *letters = unicodedata.decomposition(chr(code)).split() or [""]
            base = "".join(chr(int(letter, 16)) for letter in letters)
            if len(base) == 1 or (len(base) == 2 and base[0] == _LAM and code >= 0xFEF5):
                table.setdefault(base, {})[kind.strip("<>")] = chr(code)
    return table
