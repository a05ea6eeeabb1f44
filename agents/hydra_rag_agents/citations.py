"""Citations: page, box and quote of an answer. A box always lies inside its page; nothing is made up.

With a text layer the box is that of the words which say the answer, the one in the most similar region
where several do. Without one, or where the words do not say it, the box is the region of the page whose
stored vectors are most similar to question and answer together, or the crop that the answer was read from,
and there is no quote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hydra_rag.geometry import Box
from hydra_rag_agents.matching import Match, find_answer
from hydra_rag_agents.ports import Library, Reader
from hydra_rag_agents.state import Candidate, Citation, PageId, Turn
from hydra_rag_agents.wording import in_page_words

__all__ = ["Evidence", "cite", "weigh"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a page's words say about an answer. ``has_text``: the page has a text layer at all."""

    page: PageId
    has_text: bool
    match: Match | None


def weigh(
    library: Library, turn: Turn, candidate: Candidate, answer: str, within: Sequence[Box] = ()
) -> Evidence:
    """Hold ``answer`` against the page's words. Ties go to the most similar region of the page.

    ``within``: parts of the page that it was read from; what they show counts before the rest.
    """
    words = library.words(candidate.id)
    matches = find_answer(words, in_page_words(turn.asked, words), answer)
    if not matches:
        return Evidence(candidate.id, bool(words), None)
    seen = [m for m in matches if any(m.box.intersect(box).area for box in within)]
    matches = seen or matches
    best = matches[0].similarity
    equal = [match for match in matches if match.similarity >= best - 0.02]
    return Evidence(
        candidate.id,
        True,
        max(equal, key=lambda m: (m.nearness + _in_regions(m.box, candidate.regions), -m.box.top)),
    )


def _in_regions(box: Box, regions: Sequence[tuple[Box, float]]) -> float:
    return max((box.intersect(r).area / max(1, box.area) * max(0.0, s) for r, s in regions), default=0.0)


def cite(
    library: Library,
    reader: Reader,
    turn: Turn,
    candidate: Candidate,
    answer: str,
    evidence: Evidence,
    boxes: Sequence[Box] = (),
    *,
    hurry: bool = False,
) -> Citation:
    """The citation of an answer that stands on this page. ``boxes``: what the model read or looked at there,
    best first; without words that say the answer, the first of them is the place. ``hurry``: no model."""
    width, height = library.image(candidate.id).size
    if evidence.match is not None:
        box = evidence.match.box.pad(2).clip(width, height)
        return _citation(candidate, box, evidence.match.quote)
    if boxes:
        return _citation(candidate, boxes[0].clip(width, height), None)
    if hurry:
        region = candidate.regions[0][0] if candidate.regions else None
    else:
        region = _region(library, reader, turn, candidate, answer)
    return _citation(candidate, region.clip(width, height) if region else None, None)


def _region(library: Library, reader: Reader, turn: Turn, candidate: Candidate, answer: str) -> Box | None:
    """Where the stored vectors of the page are most like question and answer together."""
    query = reader.embed(f"{turn.asked} {answer}")
    found = library.regions(query, candidate.id, 1) or list(candidate.regions[:1])
    return found[0][0] if found else None


def _citation(candidate: Candidate, box: Box | None, quote: str | None) -> Citation:
    return Citation(candidate.id.document_id, candidate.document, candidate.id.page, box, quote)
