"""Reflecting: every draft is held against the words of its page, and an answer against its own evidence.

The support check follows the usual tests of evidence: sufficiency (the crop alone gives the answer) and
necessity, or comprehensiveness (the page does not give it with that region painted over).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hydra_rag.geometry import Box
from hydra_rag.metrics import similarity
from hydra_rag_agents.actions import Prepared, prepare
from hydra_rag_agents.citations import Evidence, cite, weigh
from hydra_rag_agents.gate import Gate
from hydra_rag_agents.locating import SURE
from hydra_rag_agents.looking import gain, words_in
from hydra_rag_agents.matching import squeeze
from hydra_rag_agents.moves import Check, Draft, Gaze, Glance, Judgement, View
from hydra_rag_agents.ports import Library, Reader
from hydra_rag_agents.relevance import Relevance
from hydra_rag_agents.state import Candidate, Citation, PageId, Turn
from hydra_rag_agents.text_context import content_tokens, said

__all__ = ["Place", "Support", "checked", "citations_for", "judge", "prepare_check", "same_answer"]

#: A page's own words that differ by less than this from what was read are what was meant.
_SAME_VALUE = 0.8
#: Confidence of a short answer that the page's text layer does not show is multiplied by this.
_UNSUPPORTED = 0.5
#: What a rank further down costs. A small model is nearly as sure of values on pages that have nothing to do
#: with the question as on the right one; the search knows better.
_LOWER = {"nano": 0.25, "instruct": 0.1}
#: And what it costs to stand in another document than those that a follow-up leans on, or the question names.
_ELSEWHERE = {"nano": 0.5, "instruct": 0.9}
#: What is left of the confidence of an answer after its page was read again.
_EARLIER = 0.7
_COUNT = re.compile(r"\bhow many\b", re.IGNORECASE)
#: Longer quotes are sentences, which keep their full stop.
_VALUE_WORDS = 6
#: Least similarity (1 - edit distance / length) of two readings that say the same.
_SAME_ANSWER = 0.75


@dataclass(frozen=True, slots=True)
class Place:
    """Where a judged draft stands. ``boxes``: what it was read from, when that was a part of the page."""

    candidate: Candidate
    evidence: Evidence
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Support:
    """What the crop ``alone`` said, and the page ``without`` it; ``None``: not asked."""

    alone: Draft | None
    without: Draft | None


def judge(
    library: Library, reader: Reader, turn: Turn, view: View, known: Mapping[int, Place]
) -> tuple[tuple[Judgement, ...], dict[int, Place], list[dict[str, Any]]]:
    """Hold every draft that claims an answer against the words of its page.

    A value that the page prints almost as it was read takes the page's spelling. One that a page with
    a text layer does not show at all loses confidence, and so does one whose surroundings have nothing to do
    with the question (small models only). Lower-ranked pages weigh a little less. What was chosen before a
    page was read again stays, with less confidence (its place is ``known``), if its print was large enough to
    be read; among small print, the answer from the better words takes its place.
    Returns the judgements, the place of each (by its index), and their JSON for the trace.
    """
    by_page = {candidate.id: candidate for candidate in view.candidates or ()}
    before = {j.draft: (number, j) for number, j in enumerate(view.judgements)}
    about = {page.document_id for page in turn.earlier_pages}
    meant = _meant(view.candidates or ())
    fit = Relevance(turn.asked, {page: library.words(page) for page in by_page})
    judgements: list[Judgement] = []
    places: dict[int, Place] = {}
    notes: list[dict[str, Any]] = []
    renewed = {draft.pages: index for index, draft in enumerate(view.drafts) if draft.reread and draft.found}
    for index, draft in enumerate(view.drafts):
        number, old = before.get(index, (-1, None))
        if index < renewed.get(draft.pages, 0):
            if old is not None and number in known and 0.0 < old.gain < view.gate.min_gain:
                if renewed[draft.pages] >= view.reflected:
                    old = replace(old, confidence=_EARLIER * old.confidence)
                places[len(judgements)] = known[number]
                judgements.append(old)
                notes.append(_note(old, draft))
            continue
        pages = [by_page[page] for page in draft.pages if page in by_page]
        if not draft.found or not pages:  # what stands on no known page is not an answer
            continue
        candidate, evidence = _place(library, reader, turn, pages, draft)
        text, supported = _support(turn, draft, evidence)
        confidence = draft.confidence
        if len(draft.pages) == 1:
            confidence /= 1 + _LOWER[view.profile.style] * max(0, candidate.rank - 1)
            if (about and candidate.id.document_id not in about) or (meant and candidate.id not in meant):
                confidence *= _ELSEWHERE[view.profile.style]
        if view.profile.style == "nano" and supported is not None:
            confidence *= fit.factor(candidate.id, evidence.match, text)
            confidence *= _UNSUPPORTED if supported is False else 1.0
        region = _region(library, view, draft, candidate, evidence)
        larger = _gain(library, reader, turn, draft, evidence)
        judged = Judgement(index, text, confidence, supported, candidate.id, region, gain=larger)
        if old is not None and old.checked:  # a check's verdict stays
            judged = replace(judged, confidence=min(confidence, old.confidence), checked=True)
        places[len(judgements)] = Place(candidate, evidence, draft.boxes)
        judgements.append(judged)
        notes.append(_note(judged, draft))
    return tuple(judgements), places, notes


def _note(judged: Judgement, draft: Draft) -> dict[str, Any]:
    return {
        "document_id": judged.page.document_id,
        "page": judged.page.page,
        "read": draft.text,
        "answer": judged.text,
        "supported": judged.supported,
        "confidence": round(judged.confidence, 4),
        **({"gain": round(judged.gain, 2)} if math.isfinite(judged.gain) else {}),
    }


def _meant(candidates: Sequence[Candidate]) -> set[PageId]:
    """Pages of the documents that the question surely names; none where it names none."""
    named = {c.id: c.sources["name"]["score"] for c in candidates if "name" in c.sources}
    most = max(named.values(), default=0.0)
    return {page for page, sure in named.items() if sure >= max(SURE, most / 2)}


def _place(
    library: Library, reader: Reader, turn: Turn, pages: Sequence[Candidate], draft: Draft
) -> tuple[Candidate, Evidence]:
    """The page that an answer stands on: the one whose words show it best, else the one most like it."""
    seen = [(page, weigh(library, turn, page, draft.text, draft.boxes)) for page in pages]
    shown = [(e.match, p, e) for p, e in seen if e.match is not None]
    if shown:
        _, page, evidence = max(shown, key=lambda s: (s[0].similarity + 0.1 * s[0].nearness, -s[1].rank))
        return page, evidence
    if len(seen) == 1:
        return seen[0]
    query = reader.embed(f"{turn.asked} {draft.text}")
    return max(seen, key=lambda s: (library.likeness(query, s[0].id), -s[0].rank))


def _support(turn: Turn, draft: Draft, evidence: Evidence) -> tuple[str, bool | None]:
    if not turn.settings.text_layer or not evidence.has_text:
        return draft.text, None
    match = evidence.match
    if match is None:
        return draft.text, False
    short = len(draft.text) <= 2 * len(match.quote)
    if short and match.similarity >= _SAME_VALUE and match.quote.strip():
        return _trimmed(match.quote, turn.asked), True
    return draft.text, match.similarity >= 0.5


def _trimmed(quote: str, question: str) -> str:
    """The page's words as a value: a full stop that ends the sentence is no part of it, nor is the word that
    "how many" was asked of."""
    text = quote.strip(" ,;:")
    first, _, rest = text.partition(" ")
    if rest and _COUNT.search(question) and any(c.isdigit() for c in first):
        asked = content_tokens(question)
        if len(said(asked, content_tokens(rest))) == len(rest.split()):
            return first.rstrip(".,")
    last = text.rpartition(" ")[2]
    figure = last[-2:-1].isdigit()  # 42.46. ends a sentence, U.S.A. does not
    if text.endswith(".") and (figure or "." not in last[:-1]) and len(text.split()) <= _VALUE_WORDS:
        return text[:-1].rstrip()
    return text


def _region(
    library: Library, view: View, draft: Draft, candidate: Candidate, evidence: Evidence
) -> Box | None:
    """Where the evidence should be: what was gazed at, the words that say it, or where the model looks."""
    if draft.boxes:
        return draft.boxes[0]
    if evidence.match is not None:
        width, height = library.image(candidate.id).size
        around = evidence.match.box
        return around.pad(width // 5, 2 * around.height).clip(width, height)
    look = view.look_at(candidate.id)
    return look.spots[0].box if look is not None and look.spots else None


def _gain(library: Library, reader: Reader, turn: Turn, draft: Draft, evidence: Evidence) -> float:
    """How many times larger a closer look would show the words of an answer, or those around the question's
    words that it was chosen from at a glance."""
    match = evidence.match
    if match is None or not turn.settings.text_layer:
        return draft.gain
    words = words_in(library.words(evidence.page), (match.box,))
    own = gain(library, reader, evidence.page, words, match.box)
    return own if draft.boxes else max(own, draft.gain)


def prepare_check(
    library: Library, reader: Reader, turn: Turn, view: View, action: Check
) -> tuple[Prepared | None, Prepared] | None:
    """What a check asks: (the crop alone, the page without it). The first is left out where the draft was
    read from the crop alone anyway. ``None`` for judgements that can't be checked."""
    if not 0 <= action.judgement < len(view.judgements):
        return None
    judged = view.judgements[action.judgement]
    if judged.region is None:
        return None
    draft = view.drafts[judged.draft]
    known = draft.boxes and not view.profile.beside and not draft.reread
    crop = None
    if not known:
        crop = prepare(library, reader, turn, view, Gaze(judged.page, (judged.region,)), alone=True)
    rest = prepare(library, reader, turn, view, Glance((judged.page,)), blanked=(judged.region,))
    return crop, rest


def checked(judged: Judgement, support: Support, gate: Gate) -> tuple[Judgement, dict[str, Any]]:
    """The judgement after its check, and the record of the check for the trace."""
    factor, enough, needed = 1.0, None, None
    if support.alone is not None:
        enough = support.alone.found and same_answer(support.alone.text, judged.text)
        factor *= 1.0 if enough else gate.unsupported
    if support.without is not None:
        needed = not (support.without.found and same_answer(support.without.text, judged.text))
        factor *= 1.0 if needed else gate.unneeded
    made = replace(judged, confidence=judged.confidence * factor, checked=True)
    note = {
        "answer": judged.text,
        "document_id": judged.page.document_id,
        "page": judged.page.page,
        "box": None if judged.region is None else list(judged.region),
        "sufficient": enough,
        "necessary": needed,
        "crop_alone": None if support.alone is None else support.alone.text,
        "page_without": None if support.without is None else support.without.text,
        "confidence": round(made.confidence, 4),
    }
    return made, note


def same_answer(one: str, other: str) -> bool:
    """Whether two readings say the same, but for a few characters; a figure must be the same figure."""
    a, b = squeeze(one), squeeze(other)
    if not a or not b:
        return a == b
    if any(c.isdigit() for c in a + b) and min(len(a), len(b)) <= 6:
        return a == b
    return similarity(a, b) >= _SAME_ANSWER or (min(len(a), len(b)) > 3 and (a in b or b in a))


def citations_for(
    library: Library,
    reader: Reader,
    turn: Turn,
    view: View,
    place: Place,
    answer: str,
    *,
    hurry: bool = False,
) -> tuple[Citation, ...]:
    """The citations of an answer; with ``hurry`` the model is not asked any more."""
    look = view.look_at(place.candidate.id)
    boxes = place.boxes or tuple(s.box for s in (look.spots[:1] if look is not None else ()))
    return (cite(library, reader, turn, place.candidate, answer, place.evidence, boxes, hurry=hurry),)
