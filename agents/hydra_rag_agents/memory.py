"""Follow-up questions: fold what was said before into the question and into what is searched for.

Deterministic, because small models rewrite badly: an elliptic question takes the shape of a whole one,
the search gets the words it leans on, and the pages cited last stay in view.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hydra_rag_agents.state import PageId, Turn
from hydra_rag_agents.text_context import content_tokens

__all__ = ["Past", "follow_up"]

_LEAD = re.compile(r"^\s*(?:and|or|but|then|also|so)\b[\s,]*", re.IGNORECASE)
_WHAT_ABOUT = re.compile(r"^\s*(?:(?:and|or|but)\s+)?(?:what|how)\s+about\s+", re.IGNORECASE)
_POINTS_BACK = re.compile(
    r"\b(it|its|they|them|their|this|that|these|those|he|she|his|her|there|same|previous|above|"
    r"former|latter|one|ones|other)\b",
    re.IGNORECASE,
)
_VERB = re.compile(
    r"\b(is|are|was|were|do|does|did|has|have|had|can|could|will|would|what|who|when|where|which|why|"
    r"how|list|name|give|show|tell|find)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Past:
    """An earlier turn of the conversation. ``answer`` is ``None`` where nothing was found."""

    question: str
    answer: str | None
    pages: tuple[PageId, ...] = ()


def follow_up(turn: Turn, past: Sequence[Past], *, keep: int = 4) -> Turn:
    """The turn with its conversation: ``past`` oldest first; the last ``keep`` turns matter.

    A question that stands on its own is searched as it is; one that leans on what was said also looks at
    the pages cited last.
    """
    if not past:
        return turn
    recent = list(past)[-keep:]
    pages: list[PageId] = []
    for earlier in reversed(recent[-2:]):
        pages += [page for page in earlier.pages if page not in pages]
    whole, elliptic = _whole(turn.question)
    leans = elliptic or bool(_POINTS_BACK.search(whole)) or len(content_tokens(whole)) < 2
    query = turn.question
    if leans:
        # The last question that stood for itself names what is being talked about.
        query = f"{recent[-1].question} {whole}"
    history = tuple((p.question, p.answer) for p in recent if p.answer)
    return replace(
        turn,
        query=query,
        prompt_question=whole,
        history=history,
        earlier_pages=tuple(pages[:2]) if leans else (),
    )


def _whole(question: str) -> tuple[str, bool]:
    """("And the date?" → "What is the date?", True); other questions as they are."""
    rest = _WHAT_ABOUT.sub("", question)
    elliptic = rest != question
    if not elliptic:
        shorter = _LEAD.sub("", question)
        elliptic = shorter != question and not _VERB.search(shorter)
        rest = shorter if elliptic else question
    if not elliptic:
        return question, False
    rest = rest.strip().rstrip("?").strip()
    return (f"What is {rest}?", True) if rest else (question, False)
