"""Where tools get their pages and answers from: an engine in this process, or a running server.

Both speak in the same values, so that a tool (for LangChain, for MCP) is written once. Calls block; nothing
is loaded before the first of them. Boxes are in pixels of the stored page image, pages count from 1.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from hydra_rag.errors import CancelledError, NotFoundError, UsageError
from hydra_rag.geometry import Box
from hydra_rag.lines import group_lines
from hydra_rag.values import Word
from hydra_rag_agents.library import hit_json

if TYPE_CHECKING:
    from hydra_rag.store.records import DocumentInfo
    from hydra_rag_agents.events import Event
    from hydra_rag_agents.facade import HydraRAG
    from hydra_rag_agents.state import AskSettings

__all__ = ["FoundPage", "LocalSource", "PageView", "Source", "Tell", "crop_of", "text_of_words", "wire_event"]

#: Hears of progress: the event's name and its data (both as on the wire).
Tell = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class PageView:
    """What is known of a page without its pixels. ``text``: its text layer, line by line (may be empty)."""

    document_id: str
    document: str
    page: int
    width: int
    height: int
    label: str | None
    total_pages: int
    media_type: str | None
    source: str
    sha256: str | None = None
    words: tuple[Word, ...] = ()
    url: str | None = None

    @property
    def text(self) -> str:
        return text_of_words(self.words)

    def text_in(self, box: Box) -> str:
        """The words whose middle lies in ``box``."""
        inside = [
            w
            for w in self.words
            if box.contains((w.box.left + w.box.right) / 2, (w.box.top + w.box.bottom) / 2)
        ]
        return text_of_words(inside)


@dataclass(frozen=True, slots=True)
class FoundPage:
    """A page with the places on it that matter: (box, score from 0 to 1), best first."""

    view: PageView
    rank: int
    score: float | None
    regions: tuple[tuple[Box, float], ...] = ()
    sources: Mapping[str, Any] = field(default_factory=dict)
    quotes: tuple[str, ...] = ()


class Source(Protocol):
    """An engine or a server. Raises the project's errors."""

    def search(
        self,
        query: str,
        k: int,
        *,
        mode: str | None,
        documents: Sequence[str] | None,
        stop: threading.Event | None,
    ) -> list[FoundPage]: ...

    def documents(self) -> list[dict[str, Any]]:
        """As ``hydra-rag documents list`` prints them, with ``media_type``."""
        ...

    def page(self, document_id: str, page: int) -> PageView: ...

    def picture(self, view: PageView, box: Box, scale: float) -> bytes:
        """A PNG of ``box`` at ``scale`` times its stored size."""
        ...

    def ask(
        self,
        question: str,
        *,
        session: str | None,
        documents: Sequence[str] | None,
        settings: Mapping[str, Any],
        tell: Tell | None,
        stop: threading.Event | None,
    ) -> dict[str, Any]:
        """The whole answer, in the form of ``hydra-rag ask --json``."""
        ...


def text_of_words(words: Sequence[Word]) -> str:
    return "\n".join(line.text for line in group_lines(words))


def crop_of(view: PageView, box: Sequence[int] | None, edge: int) -> tuple[Box, float]:
    """The part of the page to show and its scale, so that no side is longer than ``edge`` pixels.

    Raises :class:`UsageError` for a box that is empty or lies outside the page.
    """
    whole = Box(0, 0, view.width, view.height)
    asked = whole if box is None else Box(*box)
    if asked.intersect(whole).area == 0:
        raise UsageError(
            f"The box {list(asked)} holds nothing of the page: give [left, top, right, bottom] in pixels, "
            f"with 0 <= left < right <= {view.width} and 0 <= top < bottom <= {view.height}."
        )
    shown = asked.clip(view.width, view.height)
    most = 1.0 if box is None else 2.0
    return shown, max(0.1, min(most, edge / max(shown.width, shown.height)))


def found_pages(
    hits: Sequence[Mapping[str, Any]],
    view: Callable[[str, int], PageView],
    stop: threading.Event | None,
) -> list[FoundPage]:
    """Hits in their wire form with what ``view`` knows of their pages; pages that are gone are left out.

    Raises :class:`CancelledError` once ``stop`` is set."""
    found: list[FoundPage] = []
    for hit in hits:
        if stop is not None and stop.is_set():
            raise CancelledError("The search was stopped.")
        try:
            page = view(hit["document_id"], hit["page"])
        except NotFoundError:
            continue  # removed a moment ago
        regions = tuple((Box(*r["box"]), float(r["score"])) for r in hit["regions"])
        found.append(FoundPage(page, len(found) + 1, float(hit["score"]), regions, hit["sources"]))
    return found


def wire_event(event: Event) -> tuple[str, dict[str, Any]] | None:
    """An event of a run in its wire form, under the names that the server's stream uses."""
    from hydra_rag_agents.events import Delta, Started, step_of

    if isinstance(event, Started):
        return "started", {"session_id": event.session_id, "turn_id": event.turn_id}
    if isinstance(event, Delta):
        pages = [{"document_id": p.document_id, "page": p.page} for p in event.pages]
        return "delta", {"text": event.text, "pages": pages}
    step = step_of(event)
    return None if step is None else ("step", step.to_json())


class LocalSource:
    """An engine in this process. ``defaults``: settings of questions where the caller names none."""

    def __init__(self, engine: Callable[[], HydraRAG], defaults: AskSettings | None = None) -> None:
        self._engine, self._defaults = engine, defaults

    def search(
        self,
        query: str,
        k: int,
        *,
        mode: str | None,
        documents: Sequence[str] | None,
        stop: threading.Event | None,
    ) -> list[FoundPage]:
        rag = self._engine()
        with _stopped_by(stop):
            hits = rag.search(query, k=k, mode=mode or "hybrid", documents=documents)
        known: dict[str, DocumentInfo] = {}
        return found_pages([hit_json(hit) for hit in hits], lambda d, p: self._view(d, p, known), stop)

    def documents(self) -> list[dict[str, Any]]:
        return [
            {
                "document_id": info.document_id,
                "document": info.document,
                "status": info.status,
                "pages": info.pages,
                "bytes": info.bytes,
                "media_type": info.media_type,
                "added": info.added.isoformat(),
            }
            for info in self._engine().documents
        ]

    def page(self, document_id: str, page: int) -> PageView:
        return self._view(document_id, page, {})

    def picture(self, view: PageView, box: Box, scale: float) -> bytes:
        image = self._engine().collection.render_crop(view.document_id, view.page, box, scale)
        out = io.BytesIO()
        image.save(out, "PNG")
        return out.getvalue()

    def ask(
        self,
        question: str,
        *,
        session: str | None,
        documents: Sequence[str] | None,
        settings: Mapping[str, Any],
        tell: Tell | None,
        stop: threading.Event | None,
    ) -> dict[str, Any]:
        from hydra_rag_agents.result import collect

        changes = {key: value for key, value in settings.items() if value is not None}
        if documents is not None:
            changes["documents"] = tuple(documents)

        def on_event(event: Event) -> None:
            told = wire_event(event)
            if told is not None and tell is not None:
                tell(*told)

        rag = self._engine()
        with _stopped_by(stop):
            events = rag.ask_events(question, session=session, settings=self._defaults, **changes)
            with closing(events):
                return collect(events, on_event).to_json()

    def _view(self, document_id: str, page: int, known: dict[str, DocumentInfo]) -> PageView:
        collection = self._engine().collection
        info = known.get(document_id) or collection.document(document_id)
        known[document_id] = info
        stored = next((p for p in info.page_list if p.page == page), None)
        if stored is None:
            raise NotFoundError(f"{info.document} has {info.pages} pages; there is no page {page}.")
        return PageView(
            info.document_id,
            info.document,
            page,
            stored.width,
            stored.height,
            stored.label,
            info.pages,
            info.media_type,
            info.path,
            info.sha256,
            tuple(collection.page_words(document_id, page)),
        )


@contextmanager
def _stopped_by(stop: threading.Event | None) -> Iterator[None]:
    """The model lets go of what is asked in here as soon as ``stop`` is set."""
    if stop is None:
        yield
        return
    from hydra_rag.scheduler import STOP

    token = STOP.set(stop)
    try:
        yield
    finally:
        STOP.reset(token)
