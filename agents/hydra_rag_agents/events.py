"""What a run emits, as a closed union. The store, the command line and every wire format read these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from hydra_rag_agents.gate import Look
from hydra_rag_agents.state import Answer, Candidate, PageId, Step

__all__ = ["Delta", "Done", "Event", "Glanced", "Looked", "Reflected", "Searched", "Started"]


@dataclass(frozen=True, slots=True)
class Started:
    """The turn is stored as running."""

    session_id: str
    turn_id: str


@dataclass(frozen=True, slots=True)
class Searched:
    step: Step
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the text that the model is writing about ``pages`` (a draft until :class:`Done`)."""

    text: str
    pages: tuple[PageId, ...]


@dataclass(frozen=True, slots=True)
class Glanced:
    """The model has looked at ``pages`` and written a draft."""

    step: Step
    pages: tuple[PageId, ...]
    text: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Looked:
    """The model has shown where it looks on a page (``look.page``), or there was nothing to look at."""

    step: Step
    look: Look | None


@dataclass(frozen=True, slots=True)
class Reflected:
    """The drafts have been held against the pages."""

    step: Step


@dataclass(frozen=True, slots=True)
class Done:
    """The last event of a run that was not interrupted."""

    step: Step
    answer: Answer


Event: TypeAlias = Started | Searched | Delta | Glanced | Looked | Reflected | Done


def step_of(event: Event) -> Step | None:
    """The step that an event records, or ``None``."""
    found: Any = getattr(event, "step", None)
    return found if isinstance(found, Step) else None
