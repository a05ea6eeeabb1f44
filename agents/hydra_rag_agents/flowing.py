"""Sentences that go on in the next line of their column."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from hydra_rag.lines import Line
from hydra_rag.values import Word
from hydra_rag_agents.cells import BULLET, Cell, page_rows

__all__ = ["column_lines", "continued"]

#: Words of a line of text beside other text.
_TEXT = 6
#: In line heights: what parts columns of text at least, in a line where both have words.
_APART = 0.8
#: In line heights: how far the text of an item stands from its bullet at least.
_INDENT = 0.3


def column_lines(lines: Sequence[Line]) -> list[Line]:
    """The ``lines`` of a page, in the order of its columns: what a line goes on with below comes right behind
    it and is marked so, and lines of text side by side are parted."""
    words = [word for line in lines for word in line.words]
    rows = list(page_rows(words, set()))
    goes_on = {
        before.words[-1]: after.words[0] for at in range(len(rows)) for before, after in continued(rows, at)
    }
    begins = set(goes_on.values())
    parts = {part.words[0]: part for line in lines for part in _parts(line, goes_on, begins)}
    ordered: dict[Word, Line] = {}
    for word in parts:
        following: Word | None = None if word in ordered else word
        while following is not None:
            ordered[following] = replace(parts[following], goes_on=following != word)
            following = goes_on.get(parts[following].words[-1])
            following = None if following in ordered else following
    return list(ordered.values())


def _parts(line: Line, goes_on: Mapping[Word, Word], begins: Container[Word]) -> Iterator[Line]:
    """``line``, cut behind what goes on below and before what another line goes on with."""
    words = line.words
    cuts = [at for at in range(1, len(words)) if words[at - 1] in goes_on or words[at] in begins]
    for start, end in pairwise([0, *cuts, len(words)]):
        yield Line(words[start:end], frozenset(at - start for at in line.breaks if start < at < end))


def continued(rows: Sequence[Sequence[Cell]], number: int) -> Iterator[tuple[Cell, Cell]]:
    """(the last sentence of a column of text in row ``number``, what it goes on with in the next row of that
    column). The lines of two columns seldom stand side by side exactly."""
    row = rows[number]
    following = next((line for line in rows[number + 1 : number + 3] if _shares(row, line)), None)
    if not row or not following:
        return
    starts = [
        (at, after)
        for at, cell in enumerate(row)
        for below, after in enumerate(following)
        if _parted(row, at) and _parted(following, below)
        if abs(cell.box.left - after.box.left) <= after.height
    ]
    parts = [(0, following[0]), *starts]
    for number, (at, after) in enumerate(parts):
        end = parts[number + 1][0] if number + 1 < len(parts) else len(row)
        if number:  # a column of text has no columns of its own
            end = next((n for n in range(at + 1, end) if _parted(row, n)), end)
        part = row[at:end]
        if not part or part[-1].text[-1:] in ".!?:":
            continue
        if _flows(part, after) if number else _continues(part, after):
            yield part[-1], after


def _parted(row: Sequence[Cell], at: int) -> bool:
    """Whether a column may begin with cell ``at``: not with a sentence that follows another one."""
    return at > 0 and row[at].box.left - row[at - 1].box.right >= _APART * row[at].height


def _shares(row: Sequence[Cell], other: Sequence[Cell]) -> bool:
    """Whether two rows have a column in common."""
    return any(a.box.left < b.box.right and a.box.right > b.box.left for a in row for b in other)


def _continues(row: Sequence[Cell], after: Cell) -> bool:
    """Whether the last sentence of ``row`` goes on with ``after`` in the next one."""
    before = row[-1]
    if BULLET.match(after.text):
        return False
    if BULLET.match(row[0].text) and after.box.left - row[0].box.left < _INDENT * after.height:
        return False  # an item's further lines stand under its text
    lines_up = any(abs(cell.box.left - after.box.left) <= 2 * after.height for cell in row)
    sentences = (cell.text[-1:] in ".!?" and not _parted(row, n) for n, cell in enumerate(row[:-1], 1))
    short = any(sentences)  # of a text
    flows = row[0].prose or before.prose or short or (after.prose and after.text[0].islower())
    return lines_up and flows and after.box.top - before.box.bottom < after.height


def _flows(part: Sequence[Cell], after: Cell) -> bool:
    """Whether cells beside other ones are text rather than those of a table."""
    words = sum(len(cell.words) for cell in part)
    text = any(cell.prose for cell in part) or (words >= _TEXT and len(part) > 1)
    return text and after.box.top - part[-1].box.bottom < after.height
