"""`/v1/conversations`: sessions under OpenAI's name."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict

from hydra_rag.errors import NotFoundError
from hydra_rag.store import chats
from hydra_rag.store.records import ChatSession
from hydra_rag_agents.facade import HydraRAG
from hydra_rag_api.server.deps import ID, Engine
from hydra_rag_api.server.errors import ApiError
from hydra_rag_api.server.openai.annotations import citations_of, file_citations, ulid_of
from hydra_rag_api.server.openai.chat import Metadata
from hydra_rag_api.server.openai.files import OBJECT, After, Order, page_of_list

__all__ = ["router"]

router = APIRouter(prefix="/v1/conversations", tags=["openai"])
ConversationId = Annotated[str, Path(pattern=f"^conv_{ID.strip('^$')}$")]


class ConversationRequest(BaseModel):
    model_config = ConfigDict(extra="ignore")

    metadata: Metadata | None = None


def _object(session: ChatSession, metadata: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "id": f"conv_{session.session_id}",
        "object": "conversation",
        "created_at": int(session.created.timestamp()),
        "metadata": metadata or ({"title": session.title} if session.title else {}),
    }


def _find(engine: HydraRAG, conversation_id: str) -> ChatSession:
    try:
        found = chats.get_session(engine.store, engine.tenant, ulid_of(conversation_id))
        if found.collection == engine.collection_name:
            return found
    except NotFoundError:
        pass
    raise ApiError(404, "not_found", f"There is no conversation {conversation_id}.")


@router.post("", summary="Begin a conversation", responses=OBJECT)
def create(engine: Engine, body: ConversationRequest | None = None) -> Response:
    """`metadata.title` becomes the session's title."""
    metadata = body.metadata if body is not None else None
    title = (metadata or {}).get("title")
    made = chats.create_session(engine.store, engine.tenant, title, collection=engine.collection_name)
    return JSONResponse(_object(made, metadata))


@router.get("/{conversation_id}", summary="A conversation", responses=OBJECT)
def show(engine: Engine, conversation_id: ConversationId) -> Response:
    return JSONResponse(_object(_find(engine, conversation_id)))


@router.delete("/{conversation_id}", summary="Delete a conversation", responses=OBJECT)
def remove(engine: Engine, conversation_id: ConversationId) -> Response:
    found = _find(engine, conversation_id)
    engine.conversation.remove(found.session_id)
    return JSONResponse({"id": conversation_id, "object": "conversation.deleted", "deleted": True})


@router.get("/{conversation_id}/items", summary="What was said", responses=OBJECT)
def items(
    engine: Engine,
    conversation_id: ConversationId,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: After = None,
    order: Order = "desc",
) -> Response:
    found = _find(engine, conversation_id)
    out: list[dict[str, Any]] = []
    for turn in engine.conversation.turns(found.session_id):
        question = [{"type": "input_text", "text": turn.question}]
        out.append(_message(f"msg_{turn.turn_id}_q", "user", question))
        if turn.answer is not None:
            notes = file_citations(turn.answer, citations_of(turn))
            part = {"type": "output_text", "text": turn.answer, "annotations": notes, "logprobs": []}
            out.append(_message(f"msg_{turn.turn_id}", "assistant", [part]))
    return JSONResponse(page_of_list(out, limit, after, order))


def _message(item_id: str, role: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": item_id, "type": "message", "role": role, "status": "completed", "content": content}
