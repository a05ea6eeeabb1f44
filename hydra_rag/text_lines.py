"""Where lines of print stand on a page that was read once, for reading them again at other sizes.

What was read says where lines are and how large their print is, and the ink says how far they go: words that
the first reading missed stand beside words that it found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from hydra_rag.geometry import Box
from hydra_rag.lines import group_lines
from hydra_rag.read_words import ABOVE, BELOW, FAINT, Grey, Read, settled, surest
from hydra_rag.values import Word

__all__ = ["TextLine", "text_lines"]

#: Letters that reach above the small ones, and below the line.
_TALL = frozenset("bdfhijklt0123456789ß!?&%$€£¥|/\\()[]{}@#'\"`^°*")
_DEEP = frozenset("gjpqy,;()[]{}|@$/\\ç")
#: Height of small letters, and of tall ones above the line, as shares of that from the deepest to the
#: tallest.
_SMALL, _UP = 0.55, 0.77
#: Reads less probable than this say nothing about where print stands.
_LEAST = 0.1
#: In heights of print: the widest gap within a line; paper between two words; how far beyond what was read a
#: line is followed, over what gap; and how far from its middle its ink is looked for.
_APART, _SPACE, _REACH, _NEAR, _BAND = 3.0, 0.25, 5.0, 1.15, 0.45
#: Share of the strongest contrast in a line that is ink.
_INK = 0.3


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of print, in pixels of the page. ``spans``: where its words have ink, from left to right;
    ``middle``: between its deepest and its tallest letters; ``height``: from the one to the other."""

    spans: tuple[tuple[int, int], ...]
    middle: float
    height: float

    def parts(self, widest: float) -> list[tuple[int, int]]:
        """The line in parts that are at most ``widest`` pixels wide, if its words are not wider."""
        out: list[tuple[int, int]] = []
        for a, b in self.spans:
            if out and b - out[-1][0] <= widest:
                out[-1] = (out[-1][0], b)
            else:
                out.append((a, b))
        return out


def text_lines(reads: Sequence[Read], grey: Grey, *, doubtful: bool = False) -> list[TextLine]:
    """The lines of print round ``reads``, from top to bottom. ``grey``: the page, int16 [height, width];
    ``doubtful``: only lines with a word that no two reads agree on, or that none has."""
    likely = surest(reads, _LEAST)
    done = [read.box for read in settled(likely, reads)] if doubtful else []
    words = [Word(read.text, _print_box(read)) for read in likely]
    out: list[TextLine] = []
    for line in group_lines(words, max_gap=_APART):
        height = median(word.box.height for word in line.words)
        middle = median((word.box.top + word.box.bottom) / 2 for word in line.words)
        spans = _line_ink(grey, line.box, middle, height)
        spans = spans or [(word.box.left, word.box.right) for word in line.words]
        sure = [box for box in done if box.top < middle < box.bottom]
        if not all(any(_covers(box, span) for box in sure) for span in spans):
            out.append(TextLine(tuple(spans), middle, height))
    return out


def _print_box(read: Read) -> Box:
    """The box from the deepest to the tallest letters of a read's line: its own letters may be small ones."""
    ink = read.box.height / (1 + ABOVE + BELOW)
    top, bottom = read.box.top + ABOVE * ink, read.box.bottom - BELOW * ink
    tall = any(ch in _TALL or ch.isupper() for ch in read.text) or not any(ch.isalpha() for ch in read.text)
    deep = any(ch in _DEEP for ch in read.text)
    full = ink / ((_UP if tall else _SMALL) + (1 - _UP if deep else 0.0))
    top -= 0.0 if tall else (_UP - _SMALL) * full
    bottom += 0.0 if deep else (1 - _UP) * full
    return Box(read.box.left, math.floor(top), read.box.right, max(math.ceil(bottom), math.floor(top) + 1))


def _covers(box: Box, span: tuple[int, int]) -> bool:
    """Whether ``box`` stands over most of a word's ink."""
    return 2 * (min(box.right, span[1]) - max(box.left, span[0])) > span[1] - span[0]


def _line_ink(grey: Grey, line: Box, middle: float, height: float) -> list[tuple[int, int]]:
    """From where to where the words of a line have ink, beyond ``line`` too where they stand close."""
    reach = round(_REACH * height)
    x0, x1 = max(0, line.left - reach), min(grey.shape[1], line.right + reach)
    y0, y1 = max(0, round(middle - _BAND * height)), round(middle + _BAND * height) + 1
    found = _ink_spans(grey[y0:y1, x0:x1], max(1, round(_SPACE * height)))
    spans = [(a + x0, b + x0) for a, b in found]
    inside = [i for i, (a, b) in enumerate(spans) if b > line.left and a < line.right]
    if not inside:
        return []
    first, last = inside[0], inside[-1]
    while first > 0 and spans[first][0] - spans[first - 1][1] <= _NEAR * height:
        first -= 1
    while last < len(spans) - 1 and spans[last + 1][0] - spans[last][1] <= _NEAR * height:
        last += 1
    return spans[first : last + 1]


def _ink_spans(band: Grey, gap: int) -> list[tuple[int, int]]:
    """Columns with ink, from where to where; gaps of less than ``gap`` columns belong to it."""
    if not band.size:
        return []
    contrast = np.abs(band - np.median(band)).max(0)
    ink = contrast >= max(FAINT, _INK * float(np.percentile(contrast, 95)))
    edges = np.flatnonzero(np.diff(np.concatenate(([False], ink, [False])).astype(np.int8))).reshape(-1, 2)
    out: list[tuple[int, int]] = []
    for a, b in edges.tolist():
        if out and a - out[-1][1] < gap:
            out[-1] = (out[-1][0], b)
        else:
            out.append((a, b))
    return out
