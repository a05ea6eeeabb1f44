"""Numbers that were read in pieces: "24, 212 .91" is one word on the page.

A narrow letter beside a comma or a point leaves white paper that a reading head may take for a space. A
point or comma after a figure belongs to it; and what follows one is the same number where it is one to three
figures (a year after a day has four) and stands close. A mark on the border of two patches may be read twice:
"23/07//27".
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from hydra_rag.geometry import union
from hydra_rag.values import Word

__all__ = ["joined_figures"]

_MARKED = re.compile(r"[^\W_]*[$€£¥+-]?\d[\d.,]*[.,]")
_GOES_ON = re.compile(r"[.,](?:\d|$)")
_GROUP = re.compile(r"\d{1,3}(?!\d)")
_TWICE = re.compile(r"(?<=\d)([/,])\1(?=\d)")
#: The widest paper between two pieces, in heights of the line: before a mark, and after one.
_BEFORE, _AFTER = 0.6, 0.15


def joined_figures(line: Iterable[Word]) -> list[Word]:
    """The words of one line, from left to right, with the pieces of a number made one word, and no stroke or
    comma twice in it."""
    out: list[Word] = []
    for word in line:
        if out and _one_number(out[-1], word):
            before = out.pop()
            word = Word(before.text + word.text, union([before.box, word.box]))
        out.append(word)
    return [Word(_TWICE.sub(r"\1", word.text), word.box) for word in out]


def _one_number(left: Word, right: Word) -> bool:
    gap = (right.box.left - left.box.right) / max(1, max(left.box.height, right.box.height))
    if left.text[-1].isdigit() and _GOES_ON.match(right.text):
        return gap < _BEFORE
    return bool(_MARKED.fullmatch(left.text) and _GROUP.match(right.text)) and gap < _AFTER
