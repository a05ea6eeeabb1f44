"""What each action does: it looks, and returns what was seen. No action decides anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hydra_rag.geometry import Box
from hydra_rag.lines import group_lines
from hydra_rag.values import QueryItem
from hydra_rag_agents.citations import Evidence, cite, weigh
from hydra_rag_agents.policy import Draft, Gaze, Glance, Judgement, Search, View
from hydra_rag_agents.prompts import glance_prompt, says_not_found
from hydra_rag_agents.state import Candidate, Citation, Cost, Library, PageId, Reader, Reading, Turn
from hydra_rag_agents.text_context import choose_lines

__all__ = ["Prepared", "begin_look", "citations_for", "end_look", "judge", "prepare_look", "search"]

#: A page's own words that differ by less than this from what was read are what was meant.
_SAME_VALUE = 0.8
#: Confidence of a short answer that the page's text layer does not show is multiplied by this.
_UNSUPPORTED = 0.5


@dataclass(frozen=True, slots=True)
class Prepared:
    """A glance or gaze that is ready to run, with the most it can cost."""

    pages: tuple[PageId, ...]
    boxes: tuple[Box, ...]
    text: str
    evidence: tuple[str, ...]
    max_new_tokens: int
    cost: Cost


def search(library: Library, turn: Turn, action: Search) -> tuple[Candidate, ...]:
    """Retrieve pages. Pages cited earlier in the conversation come first where the question leans on it."""
    query: QueryItem = turn.search_text
    if turn.image is not None:
        query = {"text": turn.search_text, "image": turn.image}
    documents = turn.settings.documents
    found = {
        candidate.id: candidate
        for candidate in library.find(query, action.k, mode=action.mode, documents=documents)
    }
    earlier = [
        found.pop(page, None) or library.candidate(page)
        for page in turn.earlier_pages
        if documents is None or page.document_id in documents
    ]
    ordered = [c for c in earlier if c is not None] + list(found.values())
    return tuple(replace(candidate, rank=rank) for rank, candidate in enumerate(ordered, start=1))


def prepare_look(library: Library, reader: Reader, turn: Turn, view: View, action: Glance | Gaze) -> Prepared:
    """Choose the text that goes with the pages, and add up what the look may cost."""
    profile = view.profile
    pages, boxes = (action.pages, ()) if isinstance(action, Glance) else ((action.page,), action.boxes)
    names = {c.id: f"{c.document}, page {c.id.page}" for c in view.candidates or ()}
    share = profile.text_chars // max(1, len(pages)) if turn.settings.text_layer else 0
    texts: list[tuple[str, str]] = []
    for page in pages:
        chosen = choose_lines(library.words(page), turn.search_text, share) if share else ""
        texts.append((names.get(page, f"page {page.page}"), chosen))
    text = glance_prompt(profile, turn, texts)
    new = min(turn.settings.max_new_tokens or profile.max_new_tokens, profile.max_new_tokens)
    images = len(pages) + len(boxes) + (turn.image is not None and profile.style != "nano")
    cost = Cost(steps=1, pages=len(pages), crops=len(boxes), tokens=reader.tokens(images, text, new))
    lines: tuple[str, ...] = ()
    if profile.bound and turn.settings.text_layer:
        lines = tuple(line.text for page in pages for line in group_lines(library.words(page)))
    return Prepared(pages, boxes, text, lines, new, cost)


def begin_look(library: Library, reader: Reader, turn: Turn, prepared: Prepared) -> Reading:
    """Start reading: the user's own image (unless the model takes one image only), pages, crops."""
    images = [library.image(page) for page in prepared.pages]
    images += [library.crop(prepared.pages[0], box) for box in prepared.boxes]
    if turn.image is not None and reader.profile.style != "nano":
        images.insert(0, turn.image)
    return reader.read(
        images,
        prepared.text,
        max_new_tokens=prepared.max_new_tokens,
        seed=turn.settings.seed,
        evidence=prepared.evidence,
    )


def end_look(reading: Reading, prepared: Prepared) -> tuple[Draft, Cost]:
    """The draft, and what it really cost (never more than was allowed for)."""
    result = reading.result
    text = result.text.strip()
    used = result.prompt_tokens + len(result.token_ids)
    cost = replace(prepared.cost, steps=0, tokens=min(used, prepared.cost.tokens))
    return Draft(prepared.pages, text, result.confidence, not says_not_found(text)), cost


def judge(
    library: Library, reader: Reader, turn: Turn, view: View
) -> tuple[tuple[Judgement, ...], dict[int, tuple[Candidate, Evidence]], list[dict[str, Any]]]:
    """Hold every draft that claims an answer against the words of its page.

    A value that the page prints almost as it was read takes the page's spelling. One that a page with
    a text layer does not show at all loses confidence. Lower-ranked pages weigh a little less.
    Returns the judgements, the page and evidence of each (by its index), and their JSON for the trace.
    """
    by_page = {candidate.id: candidate for candidate in view.candidates or ()}
    judgements: list[Judgement] = []
    places: dict[int, tuple[Candidate, Evidence]] = {}
    notes: list[dict[str, Any]] = []
    for index, draft in enumerate(view.drafts):
        if not draft.found:
            continue
        pages = [by_page[page] for page in draft.pages if page in by_page]
        if not pages:  # what stands on no known page is not an answer
            continue
        candidate, evidence = _place(library, reader, turn, pages, draft.text)
        text, supported = _support(turn, draft, evidence)
        confidence = draft.confidence
        if len(draft.pages) == 1:
            confidence /= 1 + 0.1 * max(0, candidate.rank - 1)
        if supported is False and view.profile.style == "nano":
            confidence *= _UNSUPPORTED
        places[len(judgements)] = (candidate, evidence)
        judgements.append(Judgement(index, text, confidence, supported))
        notes.append(
            {
                "document_id": candidate.id.document_id,
                "page": candidate.id.page,
                "read": draft.text,
                "answer": text,
                "supported": supported,
                "confidence": round(confidence, 4),
            }
        )
    return tuple(judgements), places, notes


def _place(
    library: Library, reader: Reader, turn: Turn, pages: Sequence[Candidate], answer: str
) -> tuple[Candidate, Evidence]:
    """The page that an answer stands on: the one whose words show it best, else the one most like it."""
    seen = [(page, weigh(library, turn, page, answer)) for page in pages]
    shown = [(e.match, p, e) for p, e in seen if e.match is not None]
    if shown:
        _, page, evidence = max(shown, key=lambda s: (s[0].similarity + 0.1 * s[0].nearness, -s[1].rank))
        return page, evidence
    if len(seen) == 1:
        return seen[0]
    query = reader.embed(f"{turn.asked} {answer}")
    return max(seen, key=lambda s: (library.likeness(query, s[0].id), -s[0].rank))


def _support(turn: Turn, draft: Draft, evidence: Evidence) -> tuple[str, bool | None]:
    if not turn.settings.text_layer or not evidence.has_text:
        return draft.text, None
    match = evidence.match
    if match is None:
        return draft.text, False
    short = len(draft.text) <= 2 * len(match.quote)
    if short and match.similarity >= _SAME_VALUE and match.quote.strip():
        return match.quote.strip(" ,;:"), True
    return draft.text, match.similarity >= 0.5


def citations_for(
    library: Library, reader: Reader, turn: Turn, place: tuple[Candidate, Evidence], answer: str
) -> tuple[Citation, ...]:
    candidate, evidence = place
    return (cite(library, reader, turn, candidate, answer, evidence),)
