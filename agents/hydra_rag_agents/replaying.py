"""Ask stored turns again with their stored settings, and compare every step."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from hydra_rag.errors import NotFoundError
from hydra_rag_agents.history import Conversation, pasts, turn_json
from hydra_rag_agents.library import CollectionLibrary
from hydra_rag_agents.locating import located
from hydra_rag_agents.loop import run
from hydra_rag_agents.memory import follow_up
from hydra_rag_agents.result import collect
from hydra_rag_agents.state import AskSettings, Turn

if TYPE_CHECKING:
    from hydra_rag_agents.ports import Reader
    from hydra_rag_indexing.collection import Collection

__all__ = ["replay"]

_COMPARED = ("status", "answer", "citations", "steps")


def replay(
    talk: Conversation, collection: Collection, reader: Reader, session_id: str, turn_id: str | None
) -> list[dict[str, Any]]:
    """See :meth:`hydra_rag_agents.facade.HydraRAG.replay`."""
    turns = talk.turns(session_id)
    if turn_id is not None and turn_id not in [turn.turn_id for turn in turns]:
        raise NotFoundError(f"Session {session_id} has no turn {turn_id}.")
    out = []
    for index, stored in enumerate(turns):
        if turn_id is not None and stored.turn_id != turn_id:
            continue
        settings = AskSettings.from_json(stored.settings)
        told = Turn(stored.question, settings, talk.image(stored))
        turn = located(follow_up(told, pasts(turns[:index])), collection.named)
        with closing(run(CollectionLibrary(collection), reader, turn)) as events:
            result = collect(events, None, session_id, stored.turn_id)
        before, again = turn_json(stored), result.to_json()
        reason = None
        if stored.status not in ("answered", "not_found"):
            reason = f"The turn ended as {stored.status}."
        elif stored.fingerprint != reader.fingerprint:
            reason = "The turn was answered by another model."
        same = all(before[key] == again[key] for key in _COMPARED)
        out.append(
            {**before, "replay": {key: again[key] for key in _COMPARED}, "same": same, "reason": reason}
        )
    return out
