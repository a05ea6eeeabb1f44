"""What to do next: a pure function of what has been seen and what is left of the budget.

Small models write one short value and have room for one page: they are asked page by page and the
best draft wins. Instruction-following models get all pages in one prompt. Both follow
search → glance → reflect → gaze → reflect → check → answer, and go on looking only while they are unsure:

- an own image of the question is looked at first, and its crop is searched with the whole (gaze before
  retrieval);
- a page whose answer is not sure is gazed into where the gate says that a crop pays; a place that was gazed
  into is not visited again (inhibition of return);
- a second search, in the other mode, is made only for answers that are there but weak (retrieval timed by
  uncertainty);
- an answer that stands on a crop is checked: the crop alone must give it, the page without it must not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from hydra_rag_agents.moves import (
    Action,
    Check,
    Conclude,
    Draft,
    Gaze,
    Glance,
    Judgement,
    LookAt,
    Reflect,
    Search,
    View,
)
from hydra_rag_agents.state import PageId

__all__ = [
    "Action", "Check", "Conclude", "Draft", "Gaze", "Glance", "Judgement", "LookAt", "Policy", "Reflect",
    "Search", "View", "decide",
]  # fmt: skip

Policy: TypeAlias = Callable[[View], Action]
#: Answers that are checked in one turn, at most.
_CHECKS = 2


def decide(view: View) -> Action:
    """The default policy."""
    for stage in (_search, _glance, _reflect, _gaze, _search_again, _check):
        action = stage(view)
        if action is not None and action not in view.refused:
            return action
    return Conclude(view.best)


def _search(view: View) -> Action | None:
    if view.candidates is not None:
        return None
    look = view.look_at(None)
    if view.image and view.settings.gaze != "never" and look is None:
        first = LookAt(None)
        if view.fits(keep=2) and first not in view.refused:
            return first
    spots = () if look is None else view.gate.worth(look, always=view.settings.gaze == "always")
    for count in (1, 0):  # the best crop beside the whole image, if the budget has room for it
        if count <= len(spots) and view.fits(searches=1 + count):
            return Search(view.settings.k, view.settings.mode, tuple(s.box for s in spots[:count]))
    return Conclude(None)


def _glance(view: View) -> Action | None:
    glances = [draft for draft in view.drafts if not draft.boxes]
    if glances and not _look_on(view, glances):
        return None
    pages = _next_pages(view)
    # One step each is kept for reflecting and for the answer.
    return Glance(pages) if pages and view.fits(pages=len(pages), keep=2) else None


def _look_on(view: View, glances: list[Draft]) -> bool:
    """Page by page: go on unless the best-ranked page gave an answer that the model is sure of."""
    if view.searches > 1:
        return True
    if view.profile.style != "nano":
        return False
    first = glances[0]
    return not (len(glances) == 1 and first.found and first.confidence >= view.profile.sure)


def _next_pages(view: View) -> tuple[PageId, ...]:
    seen = {page for draft in view.drafts for page in draft.pages}
    waiting = [c.id for c in view.candidates or () if c.id not in seen]
    room = view.settings.pages + (view.searches > 1) - len(seen)
    room = min(room, view.budget.pages - view.spent.pages)
    return tuple(waiting[: max(0, min(room, 1 if view.profile.style == "nano" else room))])


def _reflect(view: View) -> Action | None:
    new = view.drafts[view.reflected :]
    return Reflect() if any(draft.found for draft in new) and view.fits() else None


def _gaze(view: View) -> Action | None:
    """Look closer at the page of the best answer, then at others, while the answer is not sure."""
    always = view.settings.gaze == "always"
    gazes = [draft for draft in view.drafts if draft.boxes]
    if view.settings.gaze == "never" or not view.drafts or len(gazes) >= view.gate.gazes:
        return None
    first = always and not gazes
    if view.settled and not first:
        return None
    for page in _targets(view)[: view.gate.gazes]:
        if not first and not (view.gains(page) or view.doubts(page)):
            continue
        if (larger := _read_larger(view, page, gazes)) is not None:
            return larger
        if not first and not view.gains(page):
            continue
        look = view.look_at(page)
        if look is None:
            looking = LookAt(page)
            if looking in view.refused or not view.fits(keep=3):
                continue
            return looking
        worth = view.gate.worth(look, always=always)
        spots = [s for s in worth if not any(d.visited(page, s.box) for d in gazes)]
        crops = min(2 if view.profile.beside else 1, view.budget.crops - view.spent.crops)
        boxes = tuple(s.box for s in spots[: max(0, crops)])
        action = Gaze(page, boxes)
        shown = int(view.profile.beside)
        if boxes and action not in view.refused and view.fits(pages=shown, crops=len(boxes), keep=2):
            return action
    return None


def _read_larger(view: View, page: PageId, gazes: list[Draft]) -> Gaze | None:
    """Where the model chose among words that were read small, or is far from sure, the place that it chose is
    read larger first. Of a page that seemed to have no answer, those are where the layout expects one."""
    doubts = view.doubts(page)
    chosen = [j.region for j in view.judgements if j.page == page and (doubts or _small(view, j.gain))]
    last = [draft for draft in view.drafts if draft.pages == (page,)][-1:]
    guessed = [box for draft in last if doubts or _small(view, draft.gain) for box in draft.guesses]
    for box in (*chosen, *guessed):
        if box is not None and not any(d.visited(page, box) for d in gazes):
            action = Gaze(page, (box,))
            if action not in view.refused:
                return action if view.fits(crops=1, keep=2) else None
    return None


def _small(view: View, gain: float) -> bool:
    return view.gate.min_gain <= gain < math.inf


def _targets(view: View) -> list[PageId]:
    """Pages worth a closer look: of the answers by confidence, then as they were ranked."""
    ranked = sorted(view.judgements, key=lambda j: -j.confidence)
    seen = {page for draft in view.drafts for page in draft.pages}
    order = [j.page for j in ranked] + [c.id for c in view.candidates or () if c.id in seen]
    return list(dict.fromkeys(order))


def _search_again(view: View) -> Action | None:
    """Something was found, but too weak to be told: other pages, found in another way."""
    if view.settings.gaze == "never" or view.searches != 1 or view.best is not None or not view.judgements:
        return None
    other = "text" if view.settings.mode == "visual" else "visual" if view.settings.mode == "text" else None
    mode = other or ("visual" if view.settings.text_layer else "text")
    seen = {page for draft in view.drafts for page in draft.pages}
    if view.settings.pages < len(seen) or not view.fits(searches=1, pages=1, keep=3):
        return None
    return Search(view.settings.k, mode)


def _check(view: View) -> Action | None:
    """Hold the answer against its own evidence: where it stands on a crop, or is not sure."""
    best = view.best
    if view.settings.gaze == "never" or best is None or sum(j.checked for j in view.judgements) >= _CHECKS:
        return None
    chosen = view.judgements[best]
    gazed = bool(view.drafts[chosen.draft].boxes)
    doubted = gazed and chosen.confidence < view.gate.sure_read
    wanted = doubted or view.settings.gaze == "always" or not view.certain
    if chosen.checked or chosen.region is None or not wanted:
        return None
    return Check(best) if view.fits(pages=1, crops=1) else None
