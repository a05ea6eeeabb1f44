"""How well a value fits its question, by the words around it on the page and by its own form.

A small reader is often sure of a value that belongs to another question. The page's text layer knows better:
the question's words stand near the value that answers it, and mostly on the same page.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from hydra_rag.lines import group_lines
from hydra_rag.values import Word
from hydra_rag_agents.answer_form import fits_form
from hydra_rag_agents.headline import ABOUT_PAGE
from hydra_rag_agents.matching import Match
from hydra_rag_agents.state import PageId
from hydra_rag_agents.text_context import content_tokens, said
from hydra_rag_agents.wording import in_page_words

__all__ = ["Relevance"]

#: Parts of the factor: what a value keeps without any support, its page's words, the words around it.
_FLOOR, _PAGE, _NEAR = 0.3, 0.25, 0.45
_MISFORMED = 0.6


class Relevance:
    """Made for one question and the pages that were found for it."""

    def __init__(self, question: str, pages: Mapping[PageId, Sequence[Word]]) -> None:
        self._question = question
        asked = set(content_tokens(question))
        self._found = {page: _told(question, asked, words) for page, words in pages.items()}
        seen = Counter(token for found in self._found.values() for token in found)
        # A word that every page has tells little; one that none has tells most, against all of them.
        self._worth = {token: math.log(1 + (len(pages) + 1) / (seen[token] + 1)) for token in asked}
        self._worth |= dict.fromkeys((ABOUT_PAGE & asked) - set(seen), 0.0)

    def factor(self, page: PageId, match: Match | None, answer: str) -> float:
        """0.0 to 1.0, for a value at ``match`` on ``page`` (``None``: the page does not print it)."""
        total = sum(self._worth.values())
        share = sum(self._worth[t] for t in self._found.get(page, ())) / total if total else 1.0
        near = 0.0 if match is None else min(1.0, 1.25 * match.nearness)
        form = 1.0 if fits_form(self._question, answer) else _MISFORMED
        return (_FLOOR + _PAGE * share + _NEAR * near) * form


def _told(question: str, asked: set[str], words: Sequence[Word]) -> set[str]:
    """Which words of the question the page says, in these or in its own words."""
    found = {t for line in group_lines(words) for t in said(asked, content_tokens(line.text))}
    return found | (asked - set(content_tokens(in_page_words(question, words))))
