"""Questions that a page does not answer: for other fields, other rows of its tables, other sentences."""

from __future__ import annotations

import random

from hydra_rag.training import text_source as t
from hydra_rag.training.documents.concepts import draw_field
from hydra_rag.training.documents.page import MadePage
from hydra_rag.training.documents.sentences import draw_sentences

_QUESTION_WORDS = frozenset(
    (
        "what which when where whose does have give given tell please find there much many this that from with "
        "listed shown stand stands state states says said name"
    ).split()
)


def absent_question(rng: random.Random, page: MadePage) -> str | None:
    """A question whose answer is not on ``page``, or ``None`` where that can't be told."""
    r = rng.random()
    if r < 0.3 and (question := _other_row(rng, page)):
        return question
    asked = {q.lower().strip("?. ") for f in page.facts for q in f.questions}
    taken = {label.lower() for label in page.labels} | asked
    if r < 0.55:
        found = draw_sentences(rng, 1)
        question = rng.choice(found[0][1]) if found else ""
        taken |= {w.text.lower().strip(".,:;?!") for w in page.words}
    else:
        question = rng.choice(draw_field(rng, set(taken))[2])
    return None if not question or shares_words(question, taken) else question


def _other_row(rng: random.Random, page: MadePage) -> str | None:
    """A question about a row that the table does not have."""
    printed = " ".join(w.text for w in page.words).lower()
    for fact in rng.sample(page.facts, len(page.facts)):
        if fact.kind not in ("cell", "chart"):
            continue
        question = rng.choice(fact.questions)
        for name in sorted(page.labels, key=len, reverse=True):
            if len(name) > 2 and name in question:
                other = _like(rng, name)
                return question.replace(name, other) if other.lower() not in printed else None
    return None


def _like(rng: random.Random, name: str) -> str:
    """Another name of the same look."""
    if any(c.isdigit() for c in name):
        changed = [c if not c.isdigit() else rng.choice("0123456789") for c in name]
        return "".join(changed)
    if " " in name:
        return t.person(rng)
    return rng.choice((*t.CITIES, t.pseudo_word(rng).capitalize(), t.pseudo_word(rng).capitalize()))


def shares_words(question: str, taken: set[str]) -> bool:
    """Whether ``question`` names something of ``taken`` (lower-case labels, questions or words of a page), so
    that the page may answer it after all."""
    words = {w for w in question.lower().strip("?.").split() if len(w) > 3} - _QUESTION_WORDS
    return any(words & set(label.split()) for label in taken)
