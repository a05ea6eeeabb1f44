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
from hydra_rag_agents.headline import ABOUT_PAGE
from hydra_rag_agents.letters import in_letter_words
from hydra_rag_agents.meanings import VAGUE, expressions, is_label, meanings, usual, within
from hydra_rag_agents.misread import looks_like
from hydra_rag_agents.nouns import in_nouns
from hydra_rag_agents.state import Turn
from hydra_rag_agents.text_context import content_tokens, is_function_word, said

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
#: Words that ask for nothing: "which firm is given as supplier".
_ASKING = ABOUT_PAGE | {"given", "firm", "person"}
#: Where a table has a head for what is asked for, these words are not it: "done" is a state there.
_ASKED_ONLY = frozenset((("done",), ("help",), ("mean",)))
#: In line heights: what parts the cells of a line; words of a label at most.
_CELL, _LABEL = 1.5, 4
_WORD = re.compile(r"\w+")
_COUNTED = re.compile(r"\bhow many $", re.IGNORECASE)
_NUMBER = re.compile(r"\b(\w+) number\b", re.IGNORECASE)
_KIND_OF = re.compile(r"\b(?:kind|type|sort) of (\w+)\b", re.IGNORECASE)
_NUMBER_OF = re.compile(r"\bnumber of (?:the |this )?(\w+)\b", re.IGNORECASE)


def in_page_words(question: str, words: Sequence[Word]) -> str:
    """``question`` with every expression that the page (``words``) does not use replaced by one of the same
    meaning that it does use, rather as a label than within a text; unchanged where there is none."""
    page = _Page.of(words)
    if not page.lines or in_letter_words(question, words) != question:  # who wrote a letter, its closing says
        return question
    question = _STANDS.sub(r"\1mean", question)
    question = in_nouns(_OWN_NUMBER.sub(r"\1 number", question), page.labelled)
    asks, degree = set(content_tokens(question)), _DEGREE.search(question)
    out, at = [], degree.end() if degree else 0
    if degree:
        out.append(question[:at])
    for start, end, phrase in expressions(question):
        alone = asks - _ASKING <= set(phrase) <= asks
        if phrase in VAGUE and not (alone or _COUNTED.search(question[:start])):
            continue
        if start >= at and (other := page.other(phrase, alone=alone)):
            out += [question[at:start], other]
            at = end
    question = _WORD.sub(page.as_read, "".join([*out, question[at:]]))
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
        label = label or next(filter(None, map(self.misread, (phrase, *(name for name, _ in others)))), None)
        plain = [(other, text) for other, text in others if other not in VAGUE]
        return label or next((t for o, t in plain if any(within(line, o) for line in self.lines)), None)

    def labelled(self, phrase: tuple[str, ...]) -> bool:
        """Whether ``phrase`` or another expression for it is a label."""
        names = (phrase, *(other for other, _ in meanings()[phrase]))
        return any(usual(name) in self.labels for name in names)

    def as_read(self, match: re.Match[str]) -> str:
        """A word of the question, or the word of a label that was read for it."""
        word = match.group()
        tokens = () if is_function_word(word) else tuple(content_tokens(word))
        if len(tokens) != 1 or any(said(tokens, line) for line in self.lines):
            return word
        return self.misread(tokens) or word

    def misread(self, phrase: tuple[str, ...]) -> str | None:
        """A label that looks like ``phrase``, as it was read."""
        return min(
            (" ".join(label) for label in self.labels if _looks_like(label, usual(phrase))), default=None
        )

    def _in_label(self, line: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
        """Whether a line says it in a label that says more: the customer's number, for the customer."""
        return any(set(phrase) < set(label) and set(label) <= set(usual(line)) for label in self.labels)


def _looks_like(label: Sequence[str], phrase: Sequence[str]) -> bool:
    """Whether ``label`` may be a misread ``phrase``; known words are read as they stand."""
    if len(label) != len(phrase):
        return False
    pairs = zip(label, phrase, strict=True)
    return all(read == word or (looks_like(read, word) and not is_label(read)) for read, word in pairs)


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
