"""Conversations in the store: record a run as it goes, read it back, and replay it."""

from __future__ import annotations

import io
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra_rag.errors import CancelledError, NotFoundError
from hydra_rag.geometry import Box
from hydra_rag_agents.events import Done, Event, Started, step_of
from hydra_rag_agents.memory import Past
from hydra_rag_agents.state import Answer, AskSettings, PageId, Step

if TYPE_CHECKING:
    from PIL import Image

    from hydra_rag.store.records import ChatSession
    from hydra_rag.store.records import Turn as StoredTurn
    from hydra_rag.store.store import Store

__all__ = ["Conversation", "pasts", "session_json", "turn_json"]


class Conversation:
    """The sessions of one tenant and collection."""

    def __init__(self, store: Store, tenant: str, collection: str) -> None:
        self._store, self._tenant, self._collection = store, tenant, collection

    def open(self, session_id: str | None, question: str) -> str:
        """The id of the session, which is made where ``session_id`` is ``None``."""
        from hydra_rag.store import chats

        if session_id is not None:
            found = chats.get_session(self._store, self._tenant, session_id)
            if found.collection != self._collection:
                raise NotFoundError(
                    f"Session {session_id} belongs to the collection {found.collection!r}: "
                    f"name it with --collection."
                )
            return found.session_id
        title = question if len(question) <= 80 else question[:79] + "…"
        made = chats.create_session(self._store, self._tenant, title, collection=self._collection)
        return made.session_id

    def turns(self, session_id: str) -> list[StoredTurn]:
        from hydra_rag.store import chats

        return chats.list_turns(self._store, self._tenant, session_id)

    def sessions(self) -> list[ChatSession]:
        from hydra_rag.store import chats

        return chats.list_sessions(self._store, self._tenant)

    def remove(self, session_id: str) -> None:
        from hydra_rag.store import chats

        chats.remove_session(self._store, self._tenant, session_id)

    def begin(
        self,
        session_id: str,
        question: str,
        settings: AskSettings,
        fingerprint: str,
        image: Image.Image | None,
    ) -> str:
        """Store the turn as running; returns its id."""
        from hydra_rag.store import chats

        sha = self._keep(image) if image is not None else None
        turn = chats.add_turn(
            self._store,
            self._tenant,
            session_id,
            question,
            settings=settings.to_json(),
            fingerprint=fingerprint,
            image_sha256=sha,
        )
        return turn.turn_id

    def record(self, session_id: str, turn_id: str, events: Generator[Event]) -> Generator[Event]:
        """Say that the turn has started, pass events on, and store the turn when they end: whole,
        interrupted (the reader of the events went away, be it at once) or failed (an error)."""
        steps: list[Step] = []
        text = ""
        try:
            yield Started(session_id, turn_id)
            for event in events:
                step = step_of(event)
                if step is not None:
                    steps.append(step)
                if isinstance(event, Done):
                    # Stored before it is told: who hears of an answer can look it up.
                    self._finish(turn_id, event.answer, steps)
                yield event
        except GeneratorExit:
            if not (steps and steps[-1].action == "answer"):
                self._finish(turn_id, Answer("interrupted", text, 0.0), steps)
            raise
        except (KeyboardInterrupt, CancelledError):
            self._finish(turn_id, Answer("interrupted", text, 0.0), steps)
            raise
        except BaseException:
            self._finish(turn_id, Answer("failed", text, 0.0), steps)
            raise
        finally:
            events.close()

    def _finish(self, turn_id: str, answer: Answer, steps: Sequence[Step]) -> None:
        from hydra_rag.store import chats, records

        done = answer.status in ("answered", "not_found")
        chats.finish_turn(
            self._store,
            self._tenant,
            turn_id,
            status=answer.status,
            answer=answer.text if done else None,
            confidence=answer.confidence if done else None,
            steps=[records.Step(step.action, dict(step.detail)) for step in steps],
            citations=[
                records.Citation(c.document_id, c.document, c.page, Box(*c.box) if c.box else None, c.quote)
                for c in answer.citations
            ],
        )

    def _keep(self, image: Image.Image) -> str:
        """Store a question's own image, so that the turn can be asked again."""
        from hydra_rag.store.durable import make_folder, write_hashed

        def place(sha256: str) -> Path:
            return self._store.question_image_path(self._tenant, sha256)

        make_folder(place("0").parent)
        data = io.BytesIO()
        image.convert("RGB").save(data, "PNG")
        sha, _ = write_hashed(data.getvalue(), self._store.tmp_dir, place)
        return sha

    def image(self, turn: StoredTurn) -> Image.Image | None:
        """The image that came with a stored question."""
        from PIL import Image

        if turn.image_sha256 is None:
            return None
        path = self._store.question_image_path(self._tenant, turn.image_sha256)
        if not path.is_file():
            raise NotFoundError(f"The image of turn {turn.turn_id} is gone: it can't be replayed.")
        with Image.open(path) as picture:
            return picture.convert("RGB")


def pasts(turns: Sequence[StoredTurn]) -> list[Past]:
    """What a follow-up question may lean on: turns that came to an end."""
    return [
        Past(
            turn.question,
            turn.answer if turn.status == "answered" else None,
            tuple(PageId(c.document_id, c.page) for c in turn.citations),
        )
        for turn in turns
        if turn.status in ("answered", "not_found")
    ]


def turn_json(turn: StoredTurn) -> dict[str, Any]:
    """The wire form of a stored turn."""
    return {
        "turn_id": turn.turn_id,
        "question": turn.question,
        "answer": turn.answer,
        "status": turn.status,
        "confidence": turn.confidence,
        "citations": [
            {
                "document_id": c.document_id,
                "document": c.document,
                "page": c.page,
                "box": list(c.box) if c.box else None,
                "quote": c.quote,
            }
            for c in turn.citations
        ],
        "steps": [{"action": step.action, **step.detail} for step in turn.steps],
        "asked": turn.created.isoformat(),
    }


def session_json(session: ChatSession) -> dict[str, Any]:
    return {
        "session_id": session.session_id,
        "title": session.title,
        "turns": session.turns,
        "collection": session.collection,
        "created": session.created.isoformat(),
        "updated": session.updated.isoformat(),
    }
