"""Dotted lines: from a label to its value, or to write on. A reader takes the letters over them for dots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hydra_rag.geometry import Box

__all__ = ["between", "dots", "is_leader", "strays"]

_DOTS = frozenset(".·…_")
#: Characters of the shortest one, and the share of them that are dots.
_LEAST, _MOSTLY = 5, 0.7
#: In heights of a word: letters that stand further from the next word are none.
_AWAY = 1.0


def is_leader(text: str) -> bool:
    """Whether it is a dotted line, though letters that stand over it may have been read as a part of it."""
    return len(text) >= _LEAST and sum(character in _DOTS for character in text) >= _MOSTLY * len(text)


def between(line: Box, words: Iterable[Box]) -> Box:
    """The longest part of a dotted ``line`` that none of the ``words`` stands on; pixels of one page."""
    on = sorted((box.left, box.right) for box in words if _beside(line, box))
    at, best = line.left, (0, line.left)
    for left, right in [*on, (line.right, line.right)]:
        best = max(best, (min(left, line.right) - at, at))
        at = max(at, right)
    return Box(best[1], line.top, best[1] + max(0, best[0]), line.bottom)


def strays(line: Box, words: Sequence[tuple[str, Box]]) -> list[int]:
    """Which of ``words`` are dots of the ``line`` that were read as letters: single ones, away from words."""
    on = [(box, number) for number, (_, box) in enumerate(words) if _beside(line, box)]
    whole = [box for box, number in on if len(words[number][0]) > 1]
    return [
        number
        for box, number in on
        if len(words[number][0]) == 1
        and all(max(box.left - w.right, w.left - box.right) > _AWAY * box.height for w in whole)
        and line.left < box.left
        and box.right < line.right - box.height
    ]


def dots(text: str, share: float) -> str:
    """So much of a dotted line, 0 to 1; nothing where it is too short for one."""
    count = round(len(text) * share)
    return "." * count if count >= _LEAST else ""


def _beside(one: Box, other: Box) -> bool:
    across = min(one.right, other.right) - max(one.left, other.left)
    down = min(one.bottom, other.bottom) - max(one.top, other.top)
    return across > 0 and down > 0.5 * min(one.height, other.height)
