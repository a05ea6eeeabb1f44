"""Questions that say with a verb what a form prints as a noun: whose bill it is, when it was issued."""

from __future__ import annotations

import re
from collections.abc import Callable

from hydra_rag_agents.text_context import content_tokens

__all__ = ["in_nouns"]

_BILL = r"(?:the |this )?(?:invoice|bill|receipt|order|offer|quotation)"
_MADE = r"(?:addressed|written|made out|issued|sent|for)(?: to)?"
_IT, _EVENT = r"(?:it|(?:the|this) \w+)", r"(?:it|(?:the|this) (?:meeting|event|conference|course))"
_PAY = r"(?:is due|(?:is to|must|has to) be paid|(?:do|must|should) (?:i|we|you) (?:have to )?pay)"
#: What is asked, and the label that is meant.
_VERBAL = (
    (rf"(?:(?:to|for) whom|who|whom) (?:is|was) {_BILL} {_MADE}", "Who is the", "customer"),
    (rf"when (?:is|was) {_IT} issued", "When is the", "issue date"),
    (rf"how much {_PAY}", "How much is the", "total due"),
    (rf"where (?:is|was|does|did|will) {_EVENT}(?: take place| be held| held)?", "What is the", "location"),
    (rf"what (?:is|was) {_IT} about", "What is the", "subject"),
    (rf"who filled (?:in|out) {_IT}|who filled {_IT} (?:in|out)", "Who is the", "applicant"),
    (rf"how much does {_IT} hold", "What is the", "volume"),
    (rf"when (?:is|are) {_IT} open", "What are the", "opening hours"),
)
_PATTERNS = [
    (
        re.compile(rf"^\W*(?:{asked})(?=\W*$)", re.IGNORECASE),
        f"{opening} {label}",
        tuple(content_tokens(label)),
    )
    for asked, opening, label in _VERBAL
]
#: "The name of the person who signed" is who signed.
_NAME_OF = re.compile(r"^.*\bname of the person (?:who|that) (\w+)(?=\W*$)", re.IGNORECASE)


def in_nouns(question: str, labelled: Callable[[tuple[str, ...]], bool]) -> str:
    """``question`` put with the noun that is meant, where it is ``labelled`` on the page; else unchanged."""
    question = _NAME_OF.sub(r"Who \1 it", question)
    for pattern, put, label in _PATTERNS:
        if pattern.search(question) and labelled(label):
            return pattern.sub(put, question)
    return question
