"""Which lines of a page go into the prompt: the ones that matter for the question.

Small models have a short context and read character by character, so a page's text is cut to a budget.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from hydra_rag.lines import Line, group_lines
from hydra_rag.values import Word
from hydra_rag_agents.flowing import column_lines
from hydra_rag_agents.text_context import content_tokens, said, tidied

__all__ = ["choose_lines", "lines_text", "relevant_lines"]

#: What a line is worth, as a share of one with the same sentence, and of one that it stands below or above.
_SENTENCE, _BELOW, _ABOVE = 0.9, 0.45, 0.2


def choose_lines(words: Sequence[Word], question: str, budget: int) -> str:
    """Lines most relevant to ``question``, in reading order, at most ``budget`` characters together; a tab
    parts the cells of a line.

    A line's weight is the summed inverse frequency of the question's words in it; its neighbours get a
    part of it, because a value often stands under or beside its label, and more where they stand in the
    column of such a word. Nothing relevant: the top of the page.
    """
    return lines_text(relevant_lines(words, question, budget))


def lines_text(lines: Sequence[Line]) -> str:
    """The text of ``lines`` as a prompt shows it: sentences in one line."""
    return "".join((" " if line.goes_on else "\n") + line.cells for line in lines)[1:]


def relevant_lines(words: Sequence[Word], question: str, budget: int) -> list[Line]:
    """The lines of :func:`choose_lines`."""
    lines = column_lines(group_lines(tidied(words)))
    if budget <= 0 or not lines:
        return []
    asked = set(content_tokens(question))
    hits = [said(asked, content_tokens(line.text)) for line in lines]
    frequency = Counter(token for found in hits for token in found)
    worth = {token: math.log(1 + len(lines) / count) for token, count in frequency.items()}
    own = [sum(worth[token] for token in found) for found in hits]
    weights = list(own)
    for i, value in enumerate(own):
        if value:
            if i + 1 < len(lines):
                weights[i + 1] += (_SENTENCE if lines[i + 1].goes_on else _BELOW) * value
            if i:
                weights[i - 1] += (_SENTENCE if lines[i].goes_on else _ABOVE) * value
            for j in (i - 2, i + 2):
                if 0 <= j < len(lines):
                    weights[j] += 0.25 * _in_column(lines[i], lines[j], hits[i], worth)
    left, chosen = budget, []
    for index in sorted(range(len(lines)), key=lambda i: (-weights[i], i)):
        length = len(lines[index].text) + 1
        if length - 1 <= left:
            chosen.append(index)
            left -= length
    return [
        lines[index] if index - 1 in chosen else replace(lines[index], goes_on=False)
        for index in sorted(chosen)
    ]


def _in_column(label: Line, other: Line, asked: set[str], worth: Mapping[str, float]) -> float:
    """What the words of ``label`` that the question asks for are worth, if ``other`` has words above or
    below them and stands near."""
    gap = max(other.box.top - label.box.bottom, label.box.top - other.box.bottom)
    if gap > 4 * max(1, label.box.height):
        return 0.0
    total = 0.0
    for word in label.words:
        told = said(asked, content_tokens(word.text))
        if told and any(w.box.left < word.box.right and w.box.right > word.box.left for w in other.words):
            total += sum(worth[token] for token in told)
    return total
