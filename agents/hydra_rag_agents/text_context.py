"""Which lines of a page's text layer go into the prompt: the ones that matter for the question.

Small models have a short context and read character by character, so a page's text is cut to a budget.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from hydra_rag.lines import group_lines
from hydra_rag.values import Word

__all__ = ["choose_lines", "content_tokens"]

_TOKEN = re.compile(r"\w+", re.UNICODE)
_FUNCTION_WORDS = (
    "a an and are as at be by did do does for from give has have how in is it its many much of on or "
    "please say show tell than that the their there these this to was were what when where which who "
    "whom whose why will with you your"
)
_STOP = frozenset(_FUNCTION_WORDS.split())


def content_tokens(text: str) -> list[str]:
    """Case-folded words without function words and plural endings; all words when none is left."""
    found = _TOKEN.findall(unicodedata.normalize("NFKC", text).casefold())
    kept = [word for word in found if word not in _STOP] or found
    return [_stem(word) for word in kept]


def _stem(word: str) -> str:
    for ending in ("ies", "es", "s"):
        if len(word) > len(ending) + 2 and word.endswith(ending) and not word.endswith("ss"):
            return word[: -len(ending)] + ("y" if ending == "ies" else "")
    return word


def choose_lines(words: Sequence[Word], question: str, budget: int) -> str:
    """Lines most relevant to ``question``, in reading order, at most ``budget`` characters together.

    A line's weight is the summed inverse frequency of the question's words in it; its neighbours get a
    part of it, because a value often stands under or beside its label. Nothing relevant: the top of
    the page.
    """
    lines = group_lines(words)
    if budget <= 0 or not lines:
        return ""
    bags = [set(content_tokens(line.text)) for line in lines]
    asked = set(content_tokens(question))
    frequency = Counter(token for bag in bags for token in bag if token in asked)
    own = [sum(math.log(1 + len(lines) / frequency[token]) for token in bag & asked) for bag in bags]
    weights = [
        value + 0.45 * (own[i - 1] if i else 0.0) + 0.2 * (own[i + 1] if i + 1 < len(own) else 0.0)
        for i, value in enumerate(own)
    ]
    left, chosen = budget, []
    for index in sorted(range(len(lines)), key=lambda i: (-weights[i], i)):
        length = len(lines[index].text) + 1
        if length - 1 <= left:
            chosen.append(index)
            left -= length
    return "\n".join(lines[index].text for index in sorted(chosen))
