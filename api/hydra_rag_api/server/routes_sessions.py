"""Sessions: list, history, rename, delete, replay, export; feedback on turns."""

from __future__ import annotations

import io
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from sqlalchemy import update

from hydra_rag.errors import NotFoundError
from hydra_rag.store import chats
from hydra_rag.store.base import now
from hydra_rag.store.chat_models import SessionRow
from hydra_rag.store.records import Turn as StoredTurn
from hydra_rag_agents.facade import HydraRAG
from hydra_rag_agents.history import session_json, turn_json
from hydra_rag_api.server.asking import in_thread
from hydra_rag_api.server.deps import ID, After, Engine, Served, SessionId, TurnId
from hydra_rag_api.server.schemas import (
    FeedbackRequest,
    Session,
    SessionDetail,
    SessionList,
    SessionPatch,
    Turn,
)
from hydra_rag_api.server.sse import until_disconnect

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["sessions"])
PNG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
}


def _turn(engine: HydraRAG, turn: StoredTurn) -> dict[str, Any]:
    given = chats.list_feedback(engine.store, engine.tenant, turn.turn_id)
    return {
        **turn_json(turn),
        "feedback": given[-1].rating if given else None,
        "has_image": turn.image_sha256 is not None,
    }


def _session(engine: HydraRAG, session_id: str) -> dict[str, Any]:
    found = chats.get_session(engine.store, engine.tenant, session_id)
    if found.collection != engine.collection_name:
        raise NotFoundError(f"There is no session {session_id}: `hydra-rag sessions list` shows them.")
    return session_json(found)


@router.get("/sessions", response_model=SessionList, summary="Sessions, newest first")
def list_sessions(
    engine: Engine, limit: Annotated[int, Query(ge=1, le=500)] = 100, after: After = None
) -> dict[str, Any]:
    """`has_more`: there are older ones; ask for them with `after`, the last id of this part."""
    found = chats.list_sessions(
        engine.store, engine.tenant, collection=engine.collection_name, limit=limit + 1, after=after
    )
    return {
        "sessions": [session_json(session) for session in found[:limit]],
        "has_more": len(found) > limit,
    }


@router.get("/sessions/{session_id}", response_model=SessionDetail, summary="A session with its turns")
def show_session(
    engine: Engine,
    session_id: SessionId,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    before: Annotated[str | None, Query(pattern=ID, description="Id of the first turn known.")] = None,
) -> dict[str, Any]:
    """The last turns, in the order they were asked. `has_more`: there are turns before these; ask for them
    with `before`, the first id of this part."""
    session = _session(engine, session_id)
    found = chats.list_turns(engine.store, engine.tenant, session_id, limit=limit + 1, before=before)
    return {
        "session": session,
        "turns": [_turn(engine, turn) for turn in found[-limit:]],
        "has_more": len(found) > limit,
    }


@router.patch("/sessions/{session_id}", response_model=Session, summary="Rename a session")
def rename_session(engine: Engine, session_id: SessionId, body: SessionPatch) -> dict[str, Any]:
    _session(engine, session_id)
    with engine.store.write() as db:
        db.execute(
            update(SessionRow)
            .where(SessionRow.tenant == engine.tenant, SessionRow.id == session_id)
            .values(title=body.title, updated=now())
        )
    return _session(engine, session_id)


@router.delete("/sessions/{session_id}", status_code=204, summary="Delete a session")
def delete_session(engine: Engine, session_id: SessionId) -> Response:
    _session(engine, session_id)
    engine.conversation.remove(session_id)
    return Response(status_code=204)


@router.post("/sessions/{session_id}/replay", summary="Run the session's turns again and compare")
async def replay(
    services: Served, engine: Engine, request: Request, session_id: SessionId, turn_id: str | None = None
) -> Response:
    """Nothing is stored. `same` tells whether steps, answer and citations agree."""
    _session(engine, session_id)
    work = in_thread(services, engine.tenant, lambda: engine.replay(session_id, turn_id))
    return JSONResponse({"turns": await until_disconnect(request, work)})


@router.get(
    "/sessions/{session_id}/export",
    summary="The session as a file",
    response_class=Response,
    responses={
        200: {
            "content": {
                "application/json": {"schema": {"type": "object"}},
                "text/markdown": {"schema": {"type": "string"}},
            }
        }
    },
)
def export(engine: Engine, session_id: SessionId, format: Literal["json", "markdown"] = "json") -> Response:
    session = _session(engine, session_id)
    data = {
        "session": session,
        "turns": [_turn(engine, turn) for turn in engine.conversation.turns(session_id)],
    }
    headers = {"Content-Disposition": f'attachment; filename="session-{session_id}.{_ENDINGS[format]}"'}
    if format == "json":
        return JSONResponse(data, headers=headers)
    return PlainTextResponse(_markdown(data), headers=headers, media_type="text/markdown")


_ENDINGS = {"json": "json", "markdown": "md"}


def _markdown(data: dict[str, Any]) -> str:
    out = io.StringIO()
    out.write(f"# {_line(data['session']['title'] or 'Session')}\n")
    for turn in data["turns"]:
        out.write(f"\n## {_line(turn['question'])}\n\n{turn['answer'] or '(' + turn['status'] + ')'}\n")
        for number, cited in enumerate(turn["citations"], start=1):
            place = f", box {tuple(cited['box'])}" if cited["box"] else ""
            quote = f": “{_line(cited['quote'])}”" if cited["quote"] else ""
            out.write(f"\n[{number}] {_line(cited['document'])}, page {cited['page']}{place}{quote}\n")
    return out.getvalue()


def _line(text: str) -> str:
    return " ".join(text.split())


@router.get("/turns/{turn_id}", response_model=Turn, tags=["sessions"], summary="One turn with its evidence")
def show_turn(engine: Engine, turn_id: TurnId) -> dict[str, Any]:
    return _turn(engine, chats.get_turn(engine.store, engine.tenant, turn_id))


@router.get(
    "/turns/{turn_id}/image.png", response_class=Response, responses=PNG, summary="The question's image"
)
def turn_image(engine: Engine, turn_id: TurnId) -> Response:
    turn = chats.get_turn(engine.store, engine.tenant, turn_id)
    image = engine.conversation.image(turn)
    if image is None:
        raise NotFoundError(f"Turn {turn_id} came without an image.")
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return Response(out.getvalue(), media_type="image/png", headers={"Cache-Control": "private, max-age=300"})


@router.put("/turns/{turn_id}/feedback", status_code=204, summary="Say whether an answer helped")
def feedback(engine: Engine, turn_id: TurnId, body: FeedbackRequest) -> Response:
    """`rating`: 1 (helped) or -1 (did not). The last one counts."""
    chats.add_feedback(engine.store, engine.tenant, turn_id, body.rating, body.comment)
    return Response(status_code=204)
