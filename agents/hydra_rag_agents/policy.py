"""What to do next: a pure function of what has been seen and what is left of the budget.

Small models write one short value and have room for one page: they are asked page by page and the
best draft wins. Instruction-following models get all pages in one prompt. Both follow
search → glance → reflect → answer. A gaze (a crop shown at higher resolution) is an action of its
own with its own limit, so that a policy that uses it needs no other loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from hydra_rag.geometry import Box
from hydra_rag_agents.state import AskSettings, Budget, Candidate, Cost, PageId, ReaderProfile

__all__ = [
    "Action",
    "Conclude",
    "Draft",
    "Gaze",
    "Glance",
    "Judgement",
    "Policy",
    "Reflect",
    "Search",
    "View",
    "decide",
]


@dataclass(frozen=True, slots=True)
class Search:
    """Retrieve pages."""

    k: int
    mode: str


@dataclass(frozen=True, slots=True)
class Glance:
    """Show whole pages to the answer view and let it write a draft."""

    pages: tuple[PageId, ...]


@dataclass(frozen=True, slots=True)
class Gaze:
    """Show a page together with crops of it and let the answer view write a draft."""

    page: PageId
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Reflect:
    """Hold every draft that claims an answer against its page."""


@dataclass(frozen=True, slots=True)
class Conclude:
    """End the turn with judgement number ``judgement``, or with "not found"."""

    judgement: int | None


Action: TypeAlias = Search | Glance | Gaze | Reflect | Conclude


@dataclass(frozen=True, slots=True)
class Draft:
    """What the model wrote about ``pages``. ``found`` is False where it said "not found"."""

    pages: tuple[PageId, ...]
    text: str
    confidence: float
    found: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    """A draft after reflection: ``text`` may follow the page's own words, ``confidence`` is adjusted."""

    draft: int
    text: str
    confidence: float
    supported: bool | None


@dataclass(frozen=True, slots=True)
class View:
    """All that a policy may look at."""

    settings: AskSettings
    profile: ReaderProfile
    budget: Budget
    spent: Cost = field(default_factory=Cost)
    candidates: tuple[Candidate, ...] | None = None
    drafts: tuple[Draft, ...] = ()
    judgements: tuple[Judgement, ...] | None = None

    @property
    def threshold(self) -> float:
        chosen = self.settings.threshold
        return self.profile.threshold if chosen is None else chosen


Policy: TypeAlias = Callable[[View], Action]


def decide(view: View) -> Action:
    """The default policy."""
    left = _Left(view)
    if view.candidates is None:
        return Search(view.settings.k, view.settings.mode) if left.fits(searches=1) else Conclude(None)
    if view.judgements is not None:
        return Conclude(_best(view))
    if not view.drafts or _look_on(view):
        pages = _next_pages(view)
        # One step each is kept for reflecting and for the answer.
        if pages and left.fits(pages=len(pages), keep=2):
            return Glance(pages)
    if any(draft.found for draft in view.drafts) and left.fits(keep=1):
        return Reflect()
    return Conclude(None)


def _look_on(view: View) -> bool:
    """Page by page: go on unless the best-ranked page gave an answer that the model is sure of."""
    if view.profile.style != "nano":
        return False
    first = view.drafts[0]
    return not (len(view.drafts) == 1 and first.found and first.confidence >= view.profile.sure)


def _next_pages(view: View) -> tuple[PageId, ...]:
    seen = {page for draft in view.drafts for page in draft.pages}
    waiting = [c.id for c in view.candidates or () if c.id not in seen]
    room = min(view.settings.pages, view.budget.pages) - view.spent.pages
    return tuple(waiting[: max(0, min(room, 1 if view.profile.style == "nano" else room))])


def _best(view: View) -> int | None:
    good = [
        (judgement.confidence, -index)
        for index, judgement in enumerate(view.judgements or ())
        if judgement.confidence >= view.threshold
    ]
    return -max(good)[1] if good else None


class _Left:
    def __init__(self, view: View) -> None:
        self._view = view

    def fits(self, *, keep: int = 1, **more: int) -> bool:
        """Whether an action with this cost leaves ``keep`` further steps."""
        cost = Cost(steps=1 + keep, **more)
        return self._view.budget.allows(self._view.spent, cost)
