"""What goes into the facade and what comes out of it, checked and in one form."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra_rag.errors import UsageError
from hydra_rag_agents.events import Done, Event, Started, step_of
from hydra_rag_agents.state import Answer, AskSettings, Step

if TYPE_CHECKING:
    from PIL import Image

    from hydra_rag.values import QueryItem

__all__ = ["AskResult", "collect", "load_image", "make_settings", "query_item"]


@dataclass(frozen=True, slots=True)
class AskResult:
    """A finished turn."""

    answer: Answer
    steps: tuple[Step, ...]
    session_id: str
    turn_id: str

    @property
    def text(self) -> str:
        return self.answer.text

    def to_json(self) -> dict[str, Any]:
        return {
            "status": self.answer.status,
            "answer": self.answer.text,
            "confidence": self.answer.confidence,
            "citations": [citation.to_json() for citation in self.answer.citations],
            "steps": [step.to_json() for step in self.steps],
            "session_id": self.session_id,
            "turn_id": self.turn_id,
        }


def make_settings(settings: AskSettings | None, changes: dict[str, Any]) -> AskSettings:
    try:
        return replace(settings or AskSettings(), **changes)
    except TypeError as error:
        raise UsageError(f"Unknown setting for ask: {error}") from error


def query_item(text: str | None, image: Image.Image | None) -> QueryItem:
    if image is not None:
        return {"text": text, "image": image} if text else image
    if not text or not text.strip():
        raise UsageError("Give a query text, an image, or both.")
    return text


def load_image(image: Image.Image | str | Path | None) -> Image.Image | None:
    """A question's own image: RGB, turned as its EXIF says. Raises :class:`UsageError`."""
    if image is None or not isinstance(image, str | Path):
        return None if image is None else image.convert("RGB")
    from PIL import Image as Pillow
    from PIL import ImageOps

    try:
        with Pillow.open(image) as opened:
            return ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, ValueError, Pillow.DecompressionBombError) as error:
        raise UsageError(f"The image {image} can't be read: {error}") from error


def collect(
    events: Iterable[Event],
    on_event: Callable[[Event], None] | None,
    session_id: str = "",
    turn_id: str = "",
) -> AskResult:
    steps: list[Step] = []
    answer: Answer | None = None
    for event in events:
        if on_event is not None:
            on_event(event)
        step = step_of(event)
        if step is not None:
            steps.append(step)
        if isinstance(event, Started):
            session_id, turn_id = event.session_id, event.turn_id
        elif isinstance(event, Done):
            answer = event.answer
    assert answer is not None, "a run that is not closed ends with Done"
    return AskResult(answer, tuple(steps), session_id, turn_id)
