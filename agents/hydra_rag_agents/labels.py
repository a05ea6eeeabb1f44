"""The value that a label names: beside it, under it, or over it where figures stand over their names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hydra_rag_agents.answer_form import fits_form
from hydra_rag_agents.cells import BULLET, CAPTION, Cell
from hydra_rag_agents.forms import is_form
from hydra_rag_agents.letters import is_closing
from hydra_rag_agents.meanings import is_label
from hydra_rag_agents.text_context import content_tokens, is_function_word, said

__all__ = ["has_label", "holds_value", "value_of"]

#: In line heights: how far a value stands under its label, and a name under the close of a letter. Text so
#: much taller than its label is its value.
_UNDER, _SIGNED, _TALLER = 3.0, 8.0, 1.15
#: A value over its label is so near, or so exactly above its beginning.
_CLOSE, _LEFT = 0.5, 0.6
#: In line heights: how near a row of values stands to that of their labels below it.
_RIGHT_OVER = 0.8
#: A value is so much closer to the label over it than to the next one; one over its label, to that one.
_APART, _NEARER = 1.3, 0.6
#: A label and its value.
_PAIR = 2
#: Labels with figures of one form in one row that are a series.
_SERIES = 3
#: What no label has: a figure, a sign of money, an e-mail address.
_VALUE = re.compile(r"[\d$€£@]")
#: A quarter or a year, where only two of them stand in a row.
_NAMED = re.compile(r"[A-Z]\w?\d|(?:19|20)\d\d$")


def value_of(
    rows: Sequence[Sequence[Cell]], number: int, at: int, query: str
) -> tuple[Cell | None, Cell | None]:
    """(the cell that the label ``at`` of row ``number`` names, the other cell that it might name)."""
    label = rows[number][at]
    if label.prose or label.sentence or ": " in label.text or holds_value(label, query):
        return None, None
    if CAPTION.match(label.text):
        return None, None
    after = rows[number][at + 1 : at + 2]
    beside = [cell for cell in after if not has_label(cell)]
    if _in_series(rows[number], label):  # beside it stands the next label
        return _over(rows, label) or _under(rows, label), None
    if not at and beside and is_form(rows, number):
        return beside[0], None
    under = _under(rows, label)
    over = _over(rows, label) if len(rows[number]) > 1 else None
    if over is not None and _values_over(rows[over.row], rows[number]) and _nearer(over, label, under):
        return over, None
    listed = under is not None and is_label(under.text)
    alone = not beside and under is not None and _heads(rows, label, under)
    if under is not None and (_listed(under) or alone or _labelled(under) or _alike(label, under)):
        under = None  # the label is a heading, or one of a list (E8, E9), or that one has a label of its own
    if beside and not listed and is_label(beside[0].text) and is_label(label.text):
        beside = []  # the next label, though its own value or this one's was not read
    options = [cell for cell in (*beside, under) if cell and not cell.told & label.told]
    if label.only and beside and beside[0] not in options and not beside[0].only:  # "Bank: Denver Bank"
        options.insert(0, beside[0])
    bare = under is None and not any(cell.figures for cell in options)  # perhaps the name of a bar
    if bare or not any(fits_form(query, cell.text) for cell in options):
        options = [cell for cell in [_over(rows, label)] if cell] or options
    if len(options) < 2:
        return (options[0] if options else None), None
    right, under = options
    return (under, right) if _stacked(rows, label, right, under, query) else (right, under)


def holds_value(cell: Cell, query: str) -> bool:
    """Whether a cell that begins with words of the query goes on with a name or a figure: "Project manager
    Leo Müller". A label of which every word has a capital letter does not tell."""
    asked, words = set(content_tokens(query)), cell.text.split()
    label = 0
    for number, word in enumerate(words):
        if said(asked, content_tokens(word)):
            label = number + 1
        elif not is_function_word(word) or not label:
            break
    rest = words[label:]
    if not label or not rest:
        return False
    plain = any(word[0].islower() for word in words[:label])
    return rest[0][0].isdigit() or (plain and all(word[0].isupper() for word in rest))


def has_label(cell: Cell) -> bool:
    """Whether a cell is a label with its value, or one that forms print."""
    return ": " in cell.text or (cell.text.endswith(":") and is_label(cell.text))


def _listed(cell: Cell) -> bool:
    """Whether a cell is text or an item of a list, with a heading above it."""
    return cell.prose or BULLET.match(cell.text) is not None


def _labelled(cell: Cell) -> bool:
    return cell.text.endswith(":") or ": " in cell.text


def _heads(rows: Sequence[Sequence[Cell]], label: Cell, under: Cell) -> bool:
    """Whether a cell that stands alone heads the row that begins with ``under``: none of the row's other
    cells has a label of its own between, as those of another column have."""
    between = [cell for row in rows[label.row + 1 : under.row] for cell in row]
    first, *others = rows[under.row]
    return under is first and any(not any(cell.over(other) for cell in between) for other in others)


def _alike(one: Cell, other: Cell) -> bool:
    """Whether two cells with figures have the same form (E8 and E9, two dates)."""
    return one.figures and _form(one.text) == _form(other.text)


def _in_series(row: Sequence[Cell], label: Cell) -> bool:
    """Whether a label is one of a row of its like: the years or quarters under the bars of a chart."""
    form = re.sub(r"\d", "0", label.text)
    same = sum(re.sub(r"\d", "0", cell.text) == form for cell in row)
    return label.figures and (
        same >= _SERIES or (same == len(row) == 2 and _NAMED.match(label.text) is not None)
    )


def _form(text: str) -> str:
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", text))


def _under(rows: Sequence[Sequence[Cell]], label: Cell) -> Cell | None:
    """The next cell below, where it is near."""
    for row in rows[label.row + 1 :]:
        for cell in row:
            if label.over(cell):
                reach = _SIGNED if is_closing(label.text) else _UNDER
                near = cell.box.top - label.box.bottom <= reach * label.height
                return cell if near else None
    return None


def _over(rows: Sequence[Sequence[Cell]], label: Cell) -> Cell | None:
    """The figure over the name of a bar or a date over that of an event."""
    if label.text.endswith(":"):
        return None
    for row in reversed(rows[: label.row]):
        for cell in row:
            middles = abs(cell.box.left + cell.box.right - label.box.left - label.box.right) / 2
            if cell.over(label) and (cell.prose or len(cell.text) > 1):
                close = label.box.top - cell.box.bottom < _CLOSE * label.height
                left = close and abs(cell.box.left - label.box.left) <= _LEFT * label.height
                below = left or (
                    middles <= label.height
                    and (close or len(rows[label.row]) > 1 or len(label.words) == len(cell.words) == 1)
                )
                value = cell.figures or _values_over(row, rows[label.row])
                same = _alike(label, cell) and not _in_series(rows[label.row], label)
                return cell if value and below and not same and not _labelled(cell) else None
    return None


def _values_over(values: Sequence[Cell], labels: Sequence[Cell]) -> bool:
    """Whether one row holds the values of the labels right below it."""
    pairs = [
        (cell, label)
        for label in labels
        for cell in values
        if not label.figures and cell.over(label) and _lined_up(cell, label)
    ]
    figures = sum(_VALUE.search(cell.text) is not None for cell, _ in pairs)
    known = sum(is_label(label.text) for _, label in pairs)
    named = 2 * known >= len(pairs) and not any(is_label(cell.text) for cell, _ in pairs)
    if len(pairs) < _PAIR or 2 * sum(label.figures for label in labels) >= len(labels):
        return False
    return named or 2 * figures >= len(pairs)


def _lined_up(cell: Cell, label: Cell) -> bool:
    """Whether a cell stands right over a label, and begins with it or has its middle where that has."""
    left, right = cell.box.left - label.box.left, cell.box.right - label.box.right
    aligned = min(abs(left), abs(left + right) / 2) <= label.height
    return aligned and label.box.top - cell.box.bottom < _RIGHT_OVER * label.height


def _nearer(over: Cell, label: Cell, under: Cell | None) -> bool:
    if under is None:
        return True
    return label.box.top - over.box.bottom < _NEARER * (under.box.top - label.box.bottom)


def _stacked(rows: Sequence[Sequence[Cell]], label: Cell, right: Cell, under: Cell, query: str) -> bool:
    """Whether a label's value stands under it rather than to its right."""
    if label.text.endswith(":") or abs(label.box.left - under.box.left) > 2 * label.height:
        return False
    if fits_form(query, right.text) != fits_form(query, under.text):
        return fits_form(query, under.text)
    if is_label(right.text) != is_label(under.text):
        return is_label(right.text)
    beside = _under(rows, right)  # labels side by side have their values side by side
    if beside is not None and is_label(beside.text) and not is_label(under.text):
        return True  # what stands to its right is the value of that label
    if right.figures or beside is None or beside.row != under.row:
        return False
    if beside.figures and len(rows[label.row]) > _PAIR:
        return True
    if under.figures or min(under.height, beside.height) >= _TALLER * max(label.height, right.height):
        return True
    gap = _APART * max(1, under.box.top - label.box.bottom)
    below = [c.box.top - under.box.bottom for row in rows[under.row + 1 :] for c in row if under.over(c)]
    above = [label.box.top - c.box.bottom for row in rows[: label.row] for c in row if c.over(label)]
    return bool(below or above) and min(below + above) > gap
