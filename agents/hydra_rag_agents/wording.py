"""The question in the page's own words: a small reader finds "Haulier" only where it is asked for.

Large models know that a carrier is a haulier; one of a few million parameters looks words up. So where a page
does not say a word of the question but says one that means the same on forms, letters and invoices, the
question is put with that one. English only, and only what nearly always means the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from hydra_rag.lines import group_lines
from hydra_rag.values import Word
from hydra_rag_agents.meanings import expressions, meanings, usual, within
from hydra_rag_agents.state import Turn
from hydra_rag_agents.text_context import content_tokens, said

__all__ = ["in_page_words", "reworded"]

#: The measure says already what "how large" is about.
_DEGREE = re.compile(
    r"\bhow \w+ (?:is|was|are|were) the (?=(?:diameter|width|height|depth|length|weight|temperature|pressure"
    r"|voltage|power|speed|rate|area|size|volume|capacity|price|cost|fee|total|tax|discount)\b)",
    re.IGNORECASE,
)
#: The number that a thing has; "the number of pages" is a count.
_OWN_NUMBER = re.compile(r"\bnumber of (?:the|this) (\w+[^\Ws])\b", re.IGNORECASE)
_STANDS = re.compile(r"\b(does .+ )stand for\b", re.IGNORECASE)
_BILL = r"(?:the |this )?(?:invoice|bill|receipt|order|offer|quotation)"
_MADE = r"(?:addressed|written|made out|issued|sent|for)(?: to)?"
#: Whose bill it is: forms print a name for that, not a verb.
_BILLED = re.compile(rf"^\s*(?:(?:to|for) whom|who|whom) (?:is|was) {_BILL} {_MADE}(?=\W*$)", re.IGNORECASE)
#: Where a table has a head for what is asked for, these words are not it: "done" is a state there.
_ASKED_ONLY = frozenset((("done",), ("help",), ("mean",)))
#: In line heights: what parts the cells of a line; words of a label at most.
_CELL, _LABEL = 1.5, 4
_NUMBER = re.compile(r"\b(\w+) number\b", re.IGNORECASE)
_KIND_OF = re.compile(r"\b(?:kind|type|sort) of (\w+)\b", re.IGNORECASE)
_NUMBER_OF = re.compile(r"\bnumber of (?:the |this )?(\w+)\b", re.IGNORECASE)


def in_page_words(question: str, words: Sequence[Word]) -> str:
    """``question`` with every expression that the page (``words``) does not use replaced by one of the same
    meaning that it does use, rather as a label than within a text; unchanged where there is none."""
    page = _Page.of(words)
    if not page.lines:
        return question
    question = _STANDS.sub(r"\1mean", question)
    question = _BILLED.sub("Who is the customer", _OWN_NUMBER.sub(r"\1 number", question))
    whole, degree = tuple(content_tokens(question)), _DEGREE.search(question)
    out, at = [], degree.end() if degree else 0
    if degree:
        out.append(question[:at])
    for start, end, phrase in expressions(question):
        if start >= at and (other := page.other(phrase, alone=phrase == whole)):
            out += [question[at:start], other]
            at = end
    question = "".join([*out, question[at:]])
    for pattern in (_NUMBER, _NUMBER_OF):
        question = pattern.sub(lambda match: _numbered(match, page.lines), question)
    return _KIND_OF.sub(lambda match: _typed(match, page.lines), question)


class _Page(NamedTuple):
    """``lines``: the tokens of each line; ``labels``: those of cells that may be labels."""

    lines: list[tuple[str, ...]]
    labels: frozenset[tuple[str, ...]]

    @classmethod
    def of(cls, words: Sequence[Word]) -> _Page:
        lines = [tuple(content_tokens(line.text)) for line in group_lines(words)]
        cells = (line.text for line in group_lines(words, max_gap=_CELL))
        labels = (cell.partition(":")[0] if ":" in cell else cell for cell in cells)
        return cls(lines, frozenset(usual(content_tokens(t)) for t in labels if len(t.split()) <= _LABEL))

    def other(self, phrase: tuple[str, ...], *, alone: bool) -> str | None:
        """What the page says instead, as it is spelt in the table of meanings; ``None`` where it says
        ``phrase`` itself. ``alone``: nothing else is asked for, so a label that says more is not meant."""
        others = meanings()[phrase]
        label = next((text for other, text in others if usual(other) in self.labels), None)
        if label and phrase in _ASKED_ONLY:
            return label
        if usual(phrase) in self.labels:
            return None
        saying = [line for line in self.lines if said(phrase, line) == set(phrase)]
        if saying and not (alone and label and all(self._in_label(line, phrase) for line in saying)):
            return None
        return label or next((t for o, t in others if any(within(line, o) for line in self.lines)), None)

    def _in_label(self, line: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
        """Whether a line says it in a label that says more: the customer's number, for the customer."""
        return any(set(phrase) < set(label) and set(label) <= set(usual(line)) for label in self.labels)


def _numbered(match: re.Match[str], lines: Sequence[Sequence[str]]) -> str:
    """A number of something as the page abbreviates it."""
    thing = tuple(content_tokens(match[1]))
    if not any(within(line, (*thing, "number")) for line in lines):
        for short in ("no", "nr"):
            if any(within(line, (*thing, short)) for line in lines):
                return f"{match[1]} {short}"
    return match[0]


def _typed(match: re.Match[str], lines: Sequence[Sequence[str]]) -> str:
    """A kind of something as a label says it: "kind of heating" for "Heating type"."""
    thing = content_tokens(match[1])
    for kind in ("type", "kind", "class"):
        if any(within(line, (*thing, kind)) for line in lines):
            return f"{match[1]} {kind}"
    return match[0]


def reworded(turn: Turn, words: Sequence[Word]) -> Turn:
    """``turn`` with its question put :func:`in_page_words`, for the model and for the layout."""
    asked, query = in_page_words(turn.asked, words), in_page_words(turn.search_text, words)
    return replace(turn, prompt_question=asked, query=query)
