"""What each action does: it looks, and returns what was seen. No action decides anything."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hydra_rag.geometry import Box
from hydra_rag.lines import group_lines
from hydra_rag.values import GenerationResult, QueryItem, Word
from hydra_rag_agents.flowing import column_lines
from hydra_rag_agents.fuse import fuse
from hydra_rag_agents.letters import in_letter_words
from hydra_rag_agents.looking import crop_page, frame, gain, rereads, words_in
from hydra_rag_agents.moves import Draft, Gaze, Glance, Search, View
from hydra_rag_agents.page_lines import lines_text, relevant_lines
from hydra_rag_agents.ports import EvidenceLine, Library, Reader, Reading
from hydra_rag_agents.priors import line_priors
from hydra_rag_agents.prompts import glance_prompt, says_not_found
from hydra_rag_agents.state import Candidate, Cost, PageId, ReaderProfile, Turn
from hydra_rag_agents.text_context import tidied
from hydra_rag_agents.wording import reworded

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Prepared", "answer_places", "begin", "drafted", "evidence_lines", "prepare", "queries", "search"]


#: Evidence-bound answers may come from so many times the text that the prompt shows.
_BOUND = 3
#: So many characters more may come from lines that hold a place as likely as this, beside the likeliest.
_FAR, _SURE = 300, 0.9
#: Words that are less likely a part of the answer, beside the likeliest, are left out.
_LIKELY = 0.02
#: A character has at most so many bytes.
_BYTES = 4


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prompt that is ready to be shown, with the most it can cost.

    ``boxes``: what is looked at; ``frames``: what the crops show of it; ``beside``: the page is shown too;
    ``blanked``: parts of the page that are painted over. ``again``: the crops are read first, which changes
    the words of the page and with them the prompt. ``gain``: how many times larger a closer look would show
    the words that the answer is chosen from (:func:`hydra_rag_agents.looking.gain`).
    """

    pages: tuple[PageId, ...]
    text: str
    evidence: tuple[EvidenceLine, ...]
    max_new_tokens: int
    cost: Cost
    boxes: tuple[Box, ...] = ()
    frames: tuple[Box, ...] = ()
    beside: bool = True
    blanked: tuple[Box, ...] = ()
    own_image: bool = False
    again: bool = False
    gain: float = 1.0


def search(library: Library, turn: Turn, view: View, action: Search) -> tuple[Candidate, ...]:
    """Retrieve pages. Pages cited earlier in the conversation come first where the question leans on it, or
    the pages of their documents as they were found, where it says by itself what it is about.

    Pages of an earlier search of the same turn keep their places; new ones follow.
    """
    documents = turn.settings.documents
    rankings = [
        library.find(query, action.k, mode=action.mode, documents=documents)
        for query in queries(turn, action)
    ]
    found = {candidate.id: candidate for candidate in fuse(rankings)[: action.k]}
    if view.candidates is not None:
        first = list(view.candidates)
        for candidate in first:
            found.pop(candidate.id, None)
    else:
        earlier = [page for page in turn.earlier_pages if documents is None or page.document_id in documents]
        leading = list(earlier)
        if not turn.earlier_first:
            about = {page.document_id for page in earlier}
            leading = list(dict.fromkeys([*(page for page in found if page.document_id in about), *earlier]))
        known = (found.pop(page, None) or library.candidate(page) for page in leading)
        first = [candidate for candidate in known if candidate is not None]
    ordered = first + list(found.values())
    return tuple(replace(candidate, rank=rank) for rank, candidate in enumerate(ordered, start=1))


def queries(turn: Turn, action: Search) -> list[QueryItem]:
    """The question, with its own image whole and with each crop of it."""
    if turn.image is None:
        return [turn.search_text]
    images = [turn.image, *(turn.image.crop(box.clip(*turn.image.size)) for box in action.boxes)]
    return [{"text": turn.search_text, "image": image} for image in images]


def prepare(
    library: Library,
    reader: Reader,
    turn: Turn,
    view: View,
    action: Glance | Gaze,
    *,
    blanked: tuple[Box, ...] = (),
    alone: bool = False,
) -> Prepared:
    """Choose the text that goes with the pages or crops, and add up what showing them may cost.

    ``blanked``: parts of a glanced page that are painted over, with their words. ``alone``: crops without
    their page, also for models that could take both.
    """
    profile = view.profile
    size = (0, 0)
    pages: tuple[PageId, ...]
    boxes: tuple[Box, ...] = ()
    if isinstance(action, Gaze):
        pages, boxes = (action.page,), action.boxes
        size = library.image(action.page).size
    else:
        pages = action.pages
    frames = tuple(frame(profile, box, size) for box in boxes)
    again = bool(boxes) and not alone and turn.settings.text_layer and rereads(library, reader, pages[0])
    beside = not boxes or (profile.beside and not alone)
    shown = {page: _words(library, page, () if beside or again else frames, blanked) for page in pages}
    names = {c.id: f"{c.document}, page {c.id.page}" for c in view.candidates or ()}
    share = profile.text_chars // max(1, len(pages)) if turn.settings.text_layer else 0
    if profile.style == "nano" and len(pages) == 1 and share:
        turn = reworded(turn, library.words(pages[0]))
        asked = in_letter_words(turn.asked, library.words(pages[0]))
    else:
        asked = turn.asked
    chosen = {page: relevant_lines(shown[page], asked, share) for page in pages}
    texts = [(names.get(page, f"page {page.page}"), lines_text(chosen[page])) for page in pages]
    own = turn.image is not None and profile.style != "nano"  # which takes one image
    text = glance_prompt(profile, turn, texts, crops=len(boxes) if beside else 0)
    new = min(turn.settings.max_new_tokens or profile.max_new_tokens, profile.max_new_tokens)
    whole = len(pages) if beside else 0
    tokens = reader.tokens(whole + len(boxes) + own, text, new)
    if again:  # reading the crops, and what the prompt may say then
        tokens += reader.tokens(len(boxes), "", 0) + _BYTES * share
    lines: tuple[EvidenceLine, ...] = ()
    larger = math.inf
    if turn.settings.text_layer:
        lines = evidence_lines(profile, [shown[page] for page in pages], asked)
        if len(pages) == 1:
            near = [word for line in chosen[pages[0]] for word in line.words]
            larger = gain(library, reader, pages[0], near)
    return Prepared(
        pages,
        text,
        lines,
        new,
        Cost(steps=1, pages=whole, crops=len(boxes), tokens=tokens),
        boxes,
        frames,
        beside,
        blanked,
        own,
        again,
        larger,
    )


def evidence_lines(
    profile: ReaderProfile, pages: Sequence[Sequence[Word]], question: str
) -> tuple[EvidenceLine, ...]:
    """The lines that a bound model's answer must be a part of: more of the pages than their prompt shows."""
    if not profile.bound:
        return ()
    most = _BOUND * profile.text_chars // max(1, len(pages))
    found: list[EvidenceLine] = []
    for page in pages:
        words = tidied(page)
        lines = column_lines(group_lines(words))
        relevant = {word for line in relevant_lines(words, question, most) for word in line.words}
        left = _FAR
        priors = line_priors(lines, lines, question)
        for line, after, likely in zip(lines, [*lines[1:], None], priors, strict=False):
            sure = max(prior.place for prior in likely) >= _SURE  # far from its label, as over a bar's name
            chosen = line.words[0] in relevant
            if chosen or (sure and len(line.text) <= left):
                left -= 0 if chosen else len(line.text)
                boxes = tuple(word.box for word in line.words for _ in word.text.split())
                found.append(EvidenceLine(line.cells, likely, boxes, ends=after is None or not after.goes_on))
    return tuple(found)


def answer_places(
    evidence: Sequence[EvidenceLine], result: GenerationResult
) -> tuple[tuple[Box, float], ...]:
    """(box, likelihood) of the words of ``evidence``, all of one page, that may be the answer; none where the
    model did not choose among them."""
    boxes = [box for line in evidence for box in line.boxes]
    likely = zip(boxes, result.weights, strict=True) if result.weights else ()
    return tuple((box, weight) for box, weight in likely if weight >= _LIKELY)


def _words(library: Library, page: PageId, frames: Sequence[Box], blanked: Sequence[Box]) -> Sequence[Word]:
    words = library.words(page)
    if frames:
        words = words_in(words, frames)
    if blanked:
        gone = set(words_in(words, blanked))
        words = [word for word in words if word not in gone]
    return words


def begin(library: Library, reader: Reader, turn: Turn, prepared: Prepared) -> Reading:
    """Start reading: the user's own image (unless the model takes one image only), pages, crops."""
    images: list[Image.Image] = []
    if prepared.own_image and turn.image is not None:
        images.append(turn.image)
    if prepared.beside:
        images += [_blank(library.image(page), prepared.blanked) for page in prepared.pages]
    for box in prepared.frames:
        page = prepared.pages[0]
        words = library.words(page) if turn.settings.text_layer else ()
        images.append(crop_page(library, reader.profile, page, box, words))
    return reader.read(
        images,
        prepared.text,
        max_new_tokens=prepared.max_new_tokens,
        seed=turn.settings.seed,
        evidence=prepared.evidence,
    )


def _blank(image: Image.Image, boxes: Sequence[Box]) -> Image.Image:
    """The image with ``boxes`` painted in the colour of its paper (the most frequent one)."""
    if not boxes:
        return image
    small = image.convert("RGB").resize((64, 64)).quantize(8).convert("RGB")
    counts = small.getcolors(64 * 64) or [(1, (255, 255, 255))]
    paper = max(counts, key=lambda c: c[0])[1]
    blanked = image.convert("RGB").copy()
    for box in boxes:
        blanked.paste(paper, tuple(box))  # type: ignore[arg-type]
    return blanked


def drafted(reading: Reading, prepared: Prepared, seen: int = 0) -> tuple[Draft, Cost]:
    """The draft, and what it really cost (never more than was allowed for). ``seen``: visual tokens of crops
    that were read before."""
    result = reading.result
    text = result.text.strip()
    used = seen + result.prompt_tokens + len(result.token_ids)
    cost = replace(prepared.cost, steps=0, tokens=min(used, prepared.cost.tokens))
    found = not says_not_found(text)
    reread = prepared.frames if prepared.again else ()
    places = answer_places(prepared.evidence, result) if len(prepared.pages) == 1 else ()
    draft = Draft(
        prepared.pages, text, result.confidence, found, prepared.boxes, reread, prepared.gain, places
    )
    return draft, cost
