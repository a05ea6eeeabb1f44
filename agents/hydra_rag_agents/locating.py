"""Questions that say where to look ("In the annual report, how many ...", "... in letter.pdf?").

The search needs these words; a page does not say its own file's name, and is asked without them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from hydra_rag_agents.state import Turn
from hydra_rag_agents.text_context import content_tokens, is_function_word

__all__ = ["SURE", "located"]

#: How surely a document must be named, 0 to 1, before the question is asked without its name.
SURE = 0.5
#: Words about a page that are left, so that they tell which value is meant.
_LEAST = 2
_WHERE = (
    r"(?:according\s+to|as\s+stated\s+in|in|on|from|per|within|of)\s+(?:(?:the|this|that|my|our|your)\s+)?"
)
_FIRST = re.compile(rf"^\s*{_WHERE}(?P<name>[^,?!]{{2,120}}),\s+(?P<rest>\S.*)$", re.IGNORECASE | re.DOTALL)
_LAST = re.compile(
    rf"^(?P<rest>.*\S)\s+{_WHERE}(?:file\s+|document\s+)?(?P<name>\S+\.[a-z]{{2,5}})(?P<end>[\s.?!]*)$",
    re.IGNORECASE | re.DOTALL,
)


def located(turn: Turn, named: Callable[[str], float]) -> Turn:
    """The turn, its pages asked without the place that the question names.

    ``named``: how surely words name a document that is there, 0 to 1.
    """
    asked = turn.asked
    if (last := _LAST.match(asked)) and _told(last["rest"]) and named(last["name"]) >= SURE:
        asked = last["rest"] + (last["end"].strip() or "?")
    first = _FIRST.match(asked)
    if first and _told(first["rest"]) >= _LEAST and named(first["name"]) >= SURE:
        asked = first["rest"][:1].upper() + first["rest"][1:]
    return turn if asked == turn.asked else replace(turn, prompt_question=asked)


def _told(words: str) -> int:
    return len({token for token in content_tokens(words) if not is_function_word(token)})
