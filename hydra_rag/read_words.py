"""Words with boxes from the characters that a reading head named along the rows of patches.

A row of patches reads the line whose middle lies in it. Its neighbours see the same ink and may read parts
of that line once more; of words over the same ink the one that is surer stays.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hydra_rag.figures import joined_figures
from hydra_rag.geometry import Box
from hydra_rag.leaders import between, dots, is_leader, strays
from hydra_rag.lines import group_lines
from hydra_rag.money import mended_sums
from hydra_rag.reading import STEPS
from hydra_rag.values import Word

if TYPE_CHECKING:
    from PIL import Image

    from hydra_rag.reading import RowText

__all__ = [
    "ABOVE",
    "BELOW",
    "FAINT",
    "Grey",
    "Read",
    "grey_of",
    "in_order",
    "reads_of",
    "row_reads",
    "settled",
    "surest",
    "words_of",
]

Grey = npt.NDArray[np.int16]

#: A gap of so many patches, or so many letters, parts words where no space was named.
_GAP_PATCHES, _GAP_LETTERS = 2.0, 3.0
#: Letters are at most so many patches above and below the middle of their row.
_REACH = 1.75
#: Steps from where a letter is named to its middle: it is named as soon as it can be told.
_LATE = 1.3
#: Room above and below the ink in a box as text layers have it, in heights of the ink.
ABOVE, BELOW = 0.2, 0.3
#: Share of the strongest contrast in a word that counts as ink.
_INK = 0.4
#: Ink higher than so many patches is large print; its spaces are at least so many heights of it wide.
_LARGE, _SPACE = 1.15, 0.3
#: Differences of grey below this are paper. A column that differs in so much of its height is a rule.
FAINT, _RULED = 16, 0.7
#: Of reads over the same ink: what another read of the same text is worth, what larger print is, and the
#: power of the length, by which a whole word stands before its parts.
_VOTE, _CLOSER, _LONGER = 0.8, 1.6, 0.25
#: A word narrower than so many heights of it is short; how far from its ink it may stand, in heights.
_SHORT, _SHIFT = 0.8, 0.3
#: Letters and figures less high than this share of the page's usual height are no ink of their own.
_SPECK, _MARKS = 0.4, frozenset("-–—_.,·•:~='\"`^°*")
#: Intersection over union of two reads of one word; words are looked for in bands of so many pixels.
_SAME_PLACE, _BAND = 0.5, 32
#: Words that are less probable than this, by the geometric mean of their characters, are left out.
MIN_SCORE = 0.3


@dataclass(frozen=True, slots=True)
class Read:
    """A word as one row of patches names it. ``box``: in pixels of the page; ``score``: the geometric mean
    of its letters' probabilities, 0.0 to 1.0; ``closer``: read where the page was drawn larger."""

    text: str
    box: Box
    score: float
    closer: bool = False


def words_of(rows: Sequence[RowText], steps: int, image: Image.Image) -> list[Word]:
    """Words in reading order, boxes in pixels of ``image``. ``rows``: of the whole image, equally high;
    ``steps``: how many there are along a row."""
    return in_order(reads_of(rows, steps, grey_of(image)))


def reads_of(rows: Sequence[RowText], steps: int, grey: Grey) -> list[Read]:
    """What every row names, sure or not, for :func:`in_order`. ``rows``: of the whole page ``grey`` (int16
    [height, width]), equally high; ``steps``: how many there are along a row."""
    height, width = grey.shape
    patch = height / len(rows)
    found: list[Read] = []
    for index, row in enumerate(rows):
        found += row_reads(row, width / steps, grey, (index + 0.5) * patch, patch)
    return found


def row_reads(
    row: RowText, unit: float, grey: Grey, middle: float, patch: float, *, closer: bool = False
) -> Iterator[Read]:
    """What one row of patches names, in pixels of ``grey``. ``unit``: pixels a step; ``middle``: of the row;
    ``patch``: its height."""
    height, width = grey.shape
    for part in _split(row):
        for letters in _apart(grey, row, part, unit, middle, patch):
            left, right = _ends(row, letters, unit)
            box = _em_box(_over_ink(grey, left, right, middle, patch)).clip(width, height)
            text = "".join(row.text[i] for i in letters)
            score = float(np.exp(np.mean([row.logprobs[i] for i in letters])))
            yield Read(text, box, score, closer)


def grey_of(image: Image.Image) -> Grey:
    """A page as the functions here take it: int16 [height, width]."""
    return np.asarray(image.convert("L"), np.int16)


def in_order(reads: Sequence[Read]) -> list[Word]:
    """The words of :func:`surest` in reading order, numbers in one piece and with their
    marks."""
    words = [Word(word.text, word.box) for word in surest(reads)]
    lines = mended_sums([joined_figures(line.words) for line in group_lines(words)])
    return [word for line in lines for word in line]


def _split(row: RowText) -> list[list[int]]:
    """The letters of every word of a row, by their index."""
    parts: list[list[int]] = [[]]
    for i, ch in enumerate(row.text):
        if ch.isspace():
            parts.append([])
            continue
        if parts[-1] and row.steps[i] - row.steps[parts[-1][-1]] > _most(row, parts[-1], STEPS):
            parts.append([])
        parts[-1].append(i)
    return [part for part in parts if part]


def _ends(row: RowText, letters: Sequence[int], scale: float) -> tuple[float, float]:
    """Left and right edge in pixels; ``scale``: pixels a step."""
    half = _pitch(row, letters, STEPS) / 2
    return (row.steps[letters[0]] + _LATE - half) * scale, (row.steps[letters[-1]] + _LATE + half) * scale


def _apart(
    grey: Grey, row: RowText, part: list[int], scale: float, middle: float, patch: float
) -> list[list[int]]:
    """Large print parted where the paper shows between letters: its spaces are wider than a patch sees."""
    box = _over_ink(grey, *_ends(row, part, scale), middle, patch)
    if len(part) < 2 or box.height < _LARGE * patch:
        return [part]
    band = grey[max(0, box.top) : box.bottom, box.left : box.right]
    margin = grey[max(0, box.top - 3) : box.bottom + 3, box.left : box.right]
    paper = np.median(np.concatenate([margin[:2], margin[-2:]]))
    difference = np.abs(band - paper).max(0, initial=0)
    bare = difference < _INK * max(FAINT, int(difference.max(initial=0)))
    edges = np.flatnonzero(np.diff(np.concatenate(([False], bare, [False])).astype(np.int8)))
    gaps = [(a + b) / 2 for a, b in edges.reshape(-1, 2) if b - a >= _SPACE * box.height]
    words: list[list[int]] = [[]]
    for i in part:
        at = (row.steps[i] + _LATE) * scale - box.left
        if words[-1] and gaps and at > gaps[0]:
            words.append([])
        while gaps and at > gaps[0]:
            gaps.pop(0)
        words[-1].append(i)
    return words


def _pitch(row: RowText, part: Sequence[int], steps: int) -> float:
    """Steps from a letter to the next."""
    gaps = [row.steps[b] - row.steps[a] for a, b in itertools.pairwise(part)]
    return max(1.0, median(gaps)) if gaps else steps / 2


def _most(row: RowText, part: Sequence[int], steps: int) -> float:
    """The widest gap within a word that begins like this."""
    return max(_GAP_PATCHES * steps, _GAP_LETTERS * _pitch(row, part, steps))


def _over_ink(grey: Grey, left: float, right: float, middle: float, patch: float) -> Box:
    """The box round the ink at ``middle``: rows of pixels that vary, up to a gap between lines."""
    x0, x1 = max(0, round(left)), max(round(left) + 1, round(right))
    reach = _REACH * patch
    y0, y1 = max(0, round(middle - reach)), min(len(grey), round(middle + reach))
    plain = Box(x0, round(middle - patch / 2), x1, round(middle + patch / 2))
    band = _unruled(grey[y0:y1, x0:x1])
    if not band.size:
        return plain
    contrast = band.max(1) - band.min(1)
    core = slice(max(0, plain.top - y0), max(1, plain.bottom - y0))
    if contrast[core].max(initial=0) < FAINT:  # the ink of a neighbour, read once more
        core = slice(0, len(band))
    strongest = int(contrast[core].max(initial=0))
    if strongest < FAINT:
        return plain
    ink = contrast >= _INK * strongest
    inked = np.flatnonzero(ink[core]) + core.start
    start = int(inked[np.abs(inked - (middle - y0)).argmin()])
    top = bottom = start
    while top > 0 and ink[max(0, top - 2) : top].any():  # the dot of an i stands a little apart
        top -= 1
    while bottom < len(ink) - 1 and ink[bottom + 1 : bottom + 3].any():
        bottom += 1
    return Box(x0, y0 + top, x1, y0 + bottom + 1)


def _unruled(band: Grey) -> Grey:
    """Without the columns that a vertical rule fills: letters are never that high."""
    if not band.size:
        return band
    ruled = (np.abs(band - np.median(band)) >= FAINT).mean(0) >= _RULED
    return band if ruled.all() else band[:, ~ruled]


def _em_box(ink: Box) -> Box:
    """With the room above and below that boxes of text layers have."""
    return Box(
        ink.left, ink.top - round(ABOVE * ink.height), ink.right, ink.bottom + round(BELOW * ink.height)
    )


def surest(reads: Sequence[Read], least_score: float = MIN_SCORE) -> list[Read]:
    """Without those that are hardly sure, and of reads over the same ink the surest: others of the same text
    speak for it, and so do larger print and its length, a little. Of dotted lines what no word stands on."""
    likely = [word for word in reads if word.score >= least_score]
    least = _SPECK * median([word.box.height for word in likely] or [0])
    likely = [word for word in likely if word.box.height >= least or _MARKS.issuperset(word.text)]
    alike = _by_text(likely)

    def weight(word: Read) -> float:
        agreed = sum(other.score for other in _agreeing(word, alike))
        longer = math.pow(len(word.text), _LONGER)
        return (word.score + _VOTE * agreed) * (_CLOSER if word.closer else 1.0) * longer

    kept: dict[int, list[Read]] = {}
    lines = [word for word in likely if is_leader(word.text)]
    words = [word for word in likely if not is_leader(word.text)]
    for word in sorted(words, key=weight, reverse=True):
        bands = range(word.box.top // _BAND, word.box.bottom // _BAND + 1)
        if not any(_same_ink(word.box, other.box) for band in bands for other in kept.get(band, ())):
            for band in bands:
                kept.setdefault(band, []).append(word)
    found = list({id(word): word for band in kept.values() for word in band}.values())
    for line in lines:
        gone = set(strays(line.box, [(word.text, word.box) for word in found]))
        found = [word for number, word in enumerate(found) if number not in gone]
    for line in sorted(lines, key=weight, reverse=True):
        box = between(line.box, (word.box for word in found))
        if text := dots(line.text, box.width / max(1, line.box.width)):
            found.append(replace(line, text=text, box=box))
    return found


def settled(words: Sequence[Read], reads: Sequence[Read]) -> list[Read]:
    """Those of ``words`` that another of ``reads`` agrees with, text and place."""
    alike = _by_text([read for read in reads if read.score >= MIN_SCORE])
    return [word for word in words if any(True for _ in _agreeing(word, alike))]


def _by_text(reads: Sequence[Read]) -> dict[str, list[Read]]:
    alike: dict[str, list[Read]] = {}
    for read in reads:
        alike.setdefault(read.text, []).append(read)
    return alike


def _agreeing(word: Read, alike: Mapping[str, Sequence[Read]]) -> Iterator[Read]:
    """Other reads of the same text over the same ink."""
    top, bottom = word.box.top, word.box.bottom
    for other in alike.get(word.text, ()):
        near = other.box.top < bottom and other.box.bottom > top and other is not word
        if near and word.box.iou(other.box) > _SAME_PLACE:
            yield other


def _same_ink(one: Box, other: Box) -> bool:
    """Whether two reads stand over the same ink. Where a short word stands is known to about a third of its
    height."""
    left, top, right, bottom = one
    other_left, other_top, other_right, other_bottom = other
    height = min(bottom - top, other_bottom - other_top)
    if min(bottom, other_bottom) - max(top, other_top) <= 0.5 * height:
        return False
    narrow, wide = (one, other) if right - left <= other_right - other_left else (other, one)
    if min(right, other_right) - max(left, other_left) > 0.5 * narrow.width:
        return True
    middle = (narrow.left + narrow.right) / 2
    room = _SHIFT * height
    return narrow.width < _SHORT * height and wide.left - room < middle < wide.right + room
