"""`/v1/responses/ID`: turns that were kept, as responses."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy import delete

from hydra_rag.errors import NotFoundError
from hydra_rag.store import chats
from hydra_rag.store.chat_models import TurnRow
from hydra_rag.store.records import Turn
from hydra_rag_agents.facade import HydraRAG
from hydra_rag_agents.state import Step
from hydra_rag_api.server.deps import Engine, Served
from hydra_rag_api.server.errors import ApiError
from hydra_rag_api.server.openai.annotations import answer_items, citations_of, ulid_of
from hydra_rag_api.server.openai.files import OBJECT
from hydra_rag_api.server.openai.response_request import ULID
from hydra_rag_api.server.openai.response_shape import response_object
from hydra_rag_api.server.routes_ask import Asked

__all__ = ["find_response", "router"]

router = APIRouter(prefix="/v1/responses", tags=["openai"])
ResponseId = Annotated[str, Path(pattern=f"^resp_{ULID}$")]
_STATUSES = {"running": "in_progress", "interrupted": "cancelled", "failed": "failed"}


def find_response(engine: HydraRAG, response_id: str) -> Turn:
    """The turn behind a response. Raises :class:`ApiError` 404."""
    try:
        return chats.get_turn(engine.store, engine.tenant, ulid_of(response_id))
    except NotFoundError:
        raise ApiError(404, "not_found", f"There is no response {response_id}.") from None


@router.get("/{response_id}", summary="A stored response", responses=OBJECT)
def show(services: Served, engine: Engine, request: Request, response_id: ResponseId) -> Response:
    turn = find_response(engine, response_id)
    status = _STATUSES.get(turn.status, "completed")
    seen = Asked()
    seen.steps = [Step(step.action, step.detail) for step in turn.steps]
    output: list[dict[str, Any]] = []
    if status == "completed":
        ids = f"fs_{turn.turn_id}", f"msg_{turn.turn_id}"
        cited = citations_of(turn)
        output = answer_items(services, request, *ids, turn.answer or "", cited, seen.steps)
    error = {"code": "server_error", "message": "The answer failed."} if status == "failed" else None
    data = response_object(
        response_id, int(turn.created.timestamp()), "hydra-rag", status=status, output=output,
        usage=seen.usage(), error=error, conversation=f"conv_{turn.session_id}",
    )  # fmt: skip
    return JSONResponse(data)


@router.delete("/{response_id}", summary="Delete a response", responses=OBJECT)
def remove(engine: Engine, response_id: ResponseId) -> Response:
    """The turn and its evidence; the rest of its session stays."""
    turn = find_response(engine, response_id)
    with engine.store.write() as db:
        db.execute(delete(TurnRow).where(TurnRow.tenant == engine.tenant, TurnRow.id == turn.turn_id))
    return JSONResponse({"id": response_id, "object": "response", "deleted": True})
