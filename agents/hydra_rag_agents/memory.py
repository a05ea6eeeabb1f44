"""Follow-up questions: fold what was said before into the question and into what is searched for.

Deterministic, because small models rewrite badly: an elliptic question takes the shape of a whole one,
the search gets the words it leans on, and the pages cited last stay in view.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hydra_rag_agents.kinds import asked_kind
from hydra_rag_agents.state import PageId, Turn
from hydra_rag_agents.text_context import content_tokens
from hydra_rag_agents.topics import instead, names_another, of_topic, only_papers, put_in_full, subject

__all__ = ["Past", "follow_up"]

_LEAD = re.compile(r"^\s*(?:and|or|but|then|also|so)\b[\s,]*", re.IGNORECASE)
_WHAT_ABOUT = re.compile(r"^\s*(?:(?:and|or|but)\s+)?(?:what|how)\s+about\s+", re.IGNORECASE)
_POINTS_BACK = re.compile(
    r"\b(it|its|they|them|their|this|that|these|those|he|she|his|her|there|same|previous|above|"
    r"former|latter|one|ones|other)\b",
    re.IGNORECASE,
)
#: A question of fewer words than these leans on what was said.
_ALONE = 2
_NAME_WORDS = 5
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

    A question that stands on its own is searched as it is; one that leans on what was said is put in full
    (:mod:`hydra_rag_agents.topics`), searched together with the question before, and also looks at the pages
    cited last, unless it asks the same of another thing by name.
    """
    if not past:
        return turn
    recent = list(past)[-keep:]
    earlier = _Talk()
    for said in recent:
        earlier.add(said)
    pages: list[PageId] = []
    for said in reversed(recent[-2:]):
        pages += [page for page in said.pages if page not in pages]
    history = tuple((said.question, said.answer) for said in recent if said.answer)
    full = earlier.full(turn.question)
    if not full.leans:
        return replace(turn, query=turn.question, prompt_question=full.asked, history=history)
    return replace(
        turn,
        query=full.query,
        prompt_question=full.asked,
        history=history,
        earlier_pages=() if full.elsewhere else tuple(pages[:2]),
        earlier_first=not full.named,
    )


@dataclass(frozen=True, slots=True)
class _Full:
    """``asked``: the question in full. ``query``: what is searched. ``topic``: what it is about.
    ``named``: ``asked`` says it. ``elsewhere``: it names another thing, which may stand on another page."""

    asked: str
    query: str
    topic: str | None
    leans: bool
    named: bool = False
    elsewhere: bool = False


class _Talk:
    """What is being talked about, question by question."""

    def __init__(self) -> None:
        self._before: _Full | None = None
        self._person: str | None = None

    def add(self, past: Past) -> None:
        self._before = self.full(past.question)
        told = past.answer or ""
        if asked_kind(past.question) == "who" and 0 < len(told.split()) <= _NAME_WORDS:
            self._person = told.strip(" .")

    def full(self, question: str) -> _Full:
        before = self._before
        topic = before.topic if before else None
        rest, elliptic = _elliptic(question)
        if before is None:
            return _Full(question, question, subject(question), False)
        if elliptic and names_another(rest, topic):
            asked = instead(before.asked, topic, rest)
            if asked is not None:
                other = any(c.isdigit() or c.isupper() for c in rest)
                # Where it has a name, that alone is searched for: the earlier thing is another.
                query = asked if other else f"{before.query} {asked}"
                return _Full(asked, query, subject(asked) or topic, True, elsewhere=other)
        if elliptic:
            asked = f"What is {of_topic(rest, topic)}?"
            return _leaning(asked, f"What is {rest}?", before, topic)
        if _POINTS_BACK.search(question) or len(content_tokens(question)) < _ALONE:
            asked = _LEAD.sub("", put_in_full(question, topic, self._person))
            return _leaning(_capital(asked), question, before, topic or subject(question))
        return _Full(question, question, subject(question), False)


def _leaning(asked: str, short: str, before: _Full, topic: str | None) -> _Full:
    """``short``: the question as it leans on the one before, which is searched with it unless ``asked`` names
    what both are about."""
    named = topic is not None and topic in asked and not only_papers(topic)
    return _Full(asked, asked if named else f"{before.query} {short}", topic, True, named)


def _elliptic(question: str) -> tuple[str, bool]:
    """("And the date?" → "the date", True); other questions as they are."""
    rest = _WHAT_ABOUT.sub("", question)
    if rest == question:
        rest = _LEAD.sub("", question)
        if rest == question or _VERB.search(rest):
            return question, False
    rest = rest.strip().rstrip("?").strip()
    return (rest, True) if rest else (question, False)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
