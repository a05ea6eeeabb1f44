"""The actions of a turn, what they leave behind, and the view of it all that a policy decides from."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TypeAlias

from hydra_rag.geometry import Box
from hydra_rag_agents.gate import Gate, Look
from hydra_rag_agents.state import AskSettings, Budget, Candidate, Cost, PageId, ReaderProfile

__all__ = [
    "Action", "Check", "Conclude", "Draft", "Gaze", "Glance", "Judgement", "LookAt", "Reflect", "Search",
    "View",
]  # fmt: skip


#: Boxes that overlap by more (intersection over union) are one place.
_SAME_PLACE = 0.3
#: What reflection must leave of a sure draft's confidence for it to stay sure.
_AGREED = 0.6


@dataclass(frozen=True, slots=True)
class Search:
    """Retrieve pages. ``boxes``: parts of the question's own image to search with, beside the whole."""

    k: int
    mode: str
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Glance:
    """Show whole pages to the answer view and let it write a draft."""

    pages: tuple[PageId, ...]


@dataclass(frozen=True, slots=True)
class LookAt:
    """Find where on a page (``None``: on the question's own image) the model looks for the answer."""

    page: PageId | None


@dataclass(frozen=True, slots=True)
class Gaze:
    """Show crops of a page, beside it where the model takes several images, and let it write a draft."""

    page: PageId
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Reflect:
    """Hold every draft that claims an answer against its page."""


@dataclass(frozen=True, slots=True)
class Check:
    """Ask judgement number ``judgement`` of its evidence alone, and of the page without it."""

    judgement: int


@dataclass(frozen=True, slots=True)
class Conclude:
    """End the turn with judgement number ``judgement``, or with "not found"."""

    judgement: int | None


Action: TypeAlias = Search | Glance | LookAt | Gaze | Reflect | Check | Conclude


@dataclass(frozen=True, slots=True)
class Draft:
    """What the model wrote about ``pages``, or about ``boxes`` of its one page. ``found`` is False where it
    said "not found". ``reread``: the parts of the page round the boxes that were read again before it chose
    among all words of the page. ``gain``: how many times larger a closer look would show those. ``places``:
    words of its one page that may be the answer, and how likely (the best 1), also where it said "not found";
    ``guesses``: where the layout expects the answer then, the likeliest first."""

    pages: tuple[PageId, ...]
    text: str
    confidence: float
    found: bool
    boxes: tuple[Box, ...] = ()
    reread: tuple[Box, ...] = ()
    gain: float = math.inf
    places: tuple[tuple[Box, float], ...] = ()
    guesses: tuple[Box, ...] = ()

    def visited(self, page: PageId, box: Box) -> bool:
        """Whether a place has been looked at already (inhibition of return)."""
        inside = any(10 * box.intersect(frame).area >= 9 * box.area for frame in self.reread)
        return page in self.pages and (inside or any(box.iou(known) > _SAME_PLACE for known in self.boxes))


@dataclass(frozen=True, slots=True)
class Judgement:
    """A draft after reflection: ``text`` may follow the page's own words, ``confidence`` is adjusted.

    ``region``: where on ``page`` the evidence should be, if known. ``checked``: the support check was made.
    ``gain``: how many times larger a closer look would show the words that it stands on.
    """

    draft: int
    text: str
    confidence: float
    supported: bool | None
    page: PageId
    region: Box | None = None
    checked: bool = False
    gain: float = math.inf


def _uncertain(gain: float) -> bool:
    """Whether words of this ``gain`` are what the model has read itself, and may be wrong."""
    return 0.0 < gain < math.inf


@dataclass(frozen=True, slots=True)
class View:
    """All that a policy may look at.

    ``image``: the question came with an image. ``searches``: made so far. ``judgements``: of the first
    ``reflected`` drafts. ``refused``: actions that the budget did not allow; asking again ends the turn.
    """

    settings: AskSettings
    profile: ReaderProfile
    budget: Budget
    gate: Gate = field(default_factory=Gate)
    image: bool = False
    spent: Cost = field(default_factory=Cost)
    candidates: tuple[Candidate, ...] | None = None
    searches: int = 0
    looks: tuple[Look, ...] = ()
    drafts: tuple[Draft, ...] = ()
    judgements: tuple[Judgement, ...] = ()
    reflected: int = 0
    refused: tuple[Action, ...] = ()

    def threshold(self, printed: bool) -> float:
        """Confidence that an answer needs; ``printed``: its page has a text layer to hold it against."""
        chosen = self.settings.threshold
        return self.profile.threshold_for(printed) if chosen is None else chosen

    @property
    def best(self) -> int | None:
        """The judgement that would be told now: of those above the threshold the most confident."""
        good = [
            (j.confidence, -i)
            for i, j in enumerate(self.judgements)
            if j.confidence >= self.threshold(j.supported is not None)
        ]
        return -max(good)[1] if good else None

    @property
    def settled(self) -> bool:
        """Whether the best answer needs no closer look: its words are known or were read large enough, or
        the model is sure of what it read; or, where it sees pixels, it was certain."""
        if self.best is None or math.isinf(larger := self.judgements[self.best].gain):
            return self.certain
        if larger < self.gate.min_gain:
            return not self.doubtful
        return self.judgements[self.best].confidence >= self.gate.sure_read

    @property
    def doubtful(self) -> bool:
        """Whether words that the model has read itself gave no answer, or one that it is far from sure of:
        print of any size is then looked at again."""
        if self.best is None:
            return self.gate.unsure > 0 and any(_uncertain(draft.gain) for draft in self.drafts)
        chosen = self.judgements[self.best]
        return _uncertain(chosen.gain) and chosen.confidence < self.gate.unsure

    def gains(self, page: PageId) -> bool:
        """Whether a closer look at the page may show more than was seen of it."""
        known = self._gains(page)
        return not known or known[-1] >= self.gate.min_gain

    def doubts(self, page: PageId) -> bool:
        """Whether what was read of the page gave no answer, or one that the model is far from sure of."""
        return self.doubtful and any(_uncertain(gain) for gain in self._gains(page)[-1:])

    def _gains(self, page: PageId) -> list[float]:
        known = [j.gain for j in self.judgements if j.page == page]
        return known or [d.gain for d in self.drafts if page in d.pages]

    @property
    def certain(self) -> bool:
        """Whether the model was sure of the best answer, and the page agrees."""
        if self.best is None:
            return False
        chosen = self.judgements[self.best]
        agreed = chosen.confidence >= _AGREED * self.gate.sure
        return agreed and self.drafts[chosen.draft].confidence >= self.gate.sure

    def look_at(self, page: PageId | None) -> Look | None:
        return next((look for look in self.looks if look.page == page), None)

    def fits(self, *, keep: int = 1, **more: int) -> bool:
        """Whether an action with this cost leaves ``keep`` further steps."""
        return self.budget.allows(self.spent, Cost(steps=1 + keep, **more))
