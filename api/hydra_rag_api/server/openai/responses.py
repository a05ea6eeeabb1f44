"""`/v1/responses`: a response is a turn, a conversation is a session."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import anyio
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from hydra_rag.store.ids import new_id
from hydra_rag_agents.events import Started
from hydra_rag_agents.facade import HydraRAG
from hydra_rag_agents.history import pasts
from hydra_rag_agents.memory import Past
from hydra_rag_api.server.admission import Place
from hydra_rag_api.server.deps import Booked, Engine, Served
from hydra_rag_api.server.errors import ApiError, api_error, problem_body
from hydra_rag_api.server.openai.annotations import answer_items, message_item, ulid_of
from hydra_rag_api.server.openai.messages import Said, asked, messages_of, model_messages
from hydra_rag_api.server.openai.models import RAW, check_model
from hydra_rag_api.server.openai.raw import Written, raw_options, raw_stream
from hydra_rag_api.server.openai.response_request import ResponsesRequest
from hydra_rag_api.server.openai.response_shape import Events, response_object
from hydra_rag_api.server.openai.stored_responses import find_response
from hydra_rag_api.server.routes_ask import Asked, ask_events, ask_settings
from hydra_rag_api.server.services import Services
from hydra_rag_api.server.sse import SCHEMA, EventStream, until_disconnect

__all__ = ["router"]

router = APIRouter(prefix="/v1/responses", tags=["openai"])


@router.post(
    "",
    summary="Create a response",
    description="The answer comes with a `file_search_call` item (pages that were retrieved, boxes as "
    "attributes x0, y0, x1, y1) and `file_citation` and `url_citation` annotations.",
    responses={
        200: {
            "content": {
                "application/json": {"schema": {"type": "object"}},
                "text/event-stream": {"schema": SCHEMA},
            }
        }
    },
)
async def create(
    services: Served, place: Booked, engine: Engine, request: Request, body: ResponsesRequest
) -> Response:
    check_model(body.model)
    if body.search is not None:
        engine = services.engine(engine.tenant, body.search.vector_store_ids[0].removeprefix("vs_"))
    run = _Run(services, place, engine, request, body)
    parts = await anyio.to_thread.run_sync(run.prepare)
    if body.stream:
        return EventStream(run.stream(parts))
    whole = await until_disconnect(request, run.whole(parts))
    return JSONResponse(whole) if whole is not None else Response(status_code=503)


class _Run:
    def __init__(
        self, services: Services, place: Place, engine: HydraRAG, request: Request, body: ResponsesRequest
    ) -> None:
        self.services, self.place, self.engine = services, place, engine
        self.request, self.body = request, body
        self.created = int(time.time())
        self.ulid, self.session = new_id(), ""
        self.search_id, self.message_id = f"fs_{new_id()}", f"msg_{new_id()}"
        self.kept = False

    def prepare(self) -> AsyncGenerator[Any, None]:
        body, services = self.body, self.services
        given = [Said("user", body.input)] if isinstance(body.input, str) else messages_of(body.input)
        if body.model == RAW:
            options = raw_options(body.new_tokens, body.temperature, body.top_p)
            system = [Said("system", body.instructions)] if body.instructions else []
            chat = model_messages([*system, *given], services.settings)
            return raw_stream(services, self.place, self.engine, chat, None, options)
        question, image, said_now = asked(given, services.settings)
        session, before = self._before()
        changes = {
            "max_new_tokens": body.new_tokens,
            "k": body.search.max_num_results if body.search is not None else None,
        }
        self.kept = body.store is not False
        return ask_events(
            services,
            self.place,
            self.engine,
            question,
            image=image,
            session=session if self.kept else None,
            settings=ask_settings(services, changes),
            past=[*before, *said_now],
            keep=self.kept,
        )

    def _before(self) -> tuple[str | None, list[Past]]:
        """The session to go on with, and what was said in it."""
        body, talk = self.body, self.engine.conversation
        if body.previous_response_id is not None and body.conversation is not None:
            raise ApiError(422, "invalid_request", "Give previous_response_id or conversation, not both.")
        if body.previous_response_id is not None:
            turn = find_response(self.engine, body.previous_response_id)
            turns = talk.turns(turn.session_id)
            until = next(i for i, known in enumerate(turns) if known.turn_id == turn.turn_id) + 1
            # Going on from an earlier turn begins a session of its own: one session is one thread.
            return (turn.session_id if until == len(turns) else None), pasts(turns[:until])
        if body.conversation is not None:
            name = body.conversation if isinstance(body.conversation, str) else body.conversation.id
            session = talk.open(ulid_of(name), "")
            return session, pasts(talk.turns(session))
        return None, []

    async def whole(self, parts: AsyncGenerator[Any, None]) -> dict[str, Any]:
        seen, written = Asked(), Written()
        async with aclosing(parts):
            async for part in parts:
                written.take(part) if self.body.model == RAW else seen.take(part)
        return self._response("completed", self._output(seen, written), self._usage(seen, written), seen)

    async def stream(self, parts: AsyncGenerator[Any, None]) -> AsyncGenerator[bytes, None]:
        events, seen, written = Events(), Asked(), Written()
        raw, open_text = self.body.model == RAW, False
        index = 0 if raw else 1
        begun = False
        try:
            async with aclosing(parts):
                async for part in parts:
                    if isinstance(part, Started):
                        seen.take(part)
                        self.ulid, self.session = part.turn_id, part.session_id
                        continue
                    if not begun:
                        begun = True
                        for piece in self._begin(events, raw):
                            yield piece
                    if raw:
                        if text := written.take(part):
                            if not open_text:
                                open_text = True
                                for piece in events.message_begins(index, self.message_id):
                                    yield piece
                            yield events.delta(index, self.message_id, text)
                        continue
                    seen.take(part)
            output = self._output(seen, written)
            if not raw:
                for piece in events.search_ends(0, output[0]):
                    yield piece
            if not open_text:
                for piece in events.message_begins(index, self.message_id):
                    yield piece
                for piece in events.text(index, self.message_id, output[index]["content"][0]["text"]):
                    yield piece
            for piece in events.message_ends(index, output[index]):
                yield piece
            done = self._response("completed", output, self._usage(seen, written), seen)
            yield events.make("response.completed", response=done)
        except Exception as error:
            known: ApiError = api_error(error)
            fault = {"code": "server_error", "message": known.message}
            failed = self._response("failed", [], None, seen, error=fault)
            if begun:
                yield events.make("response.failed", response=failed)
            else:
                detail = problem_body(known.status, known.code, known.message)
                yield events.make(
                    "error", code=known.code, message=known.message, param=None, error=detail["error"]
                )

    def _begin(self, events: Events, raw: bool) -> list[bytes]:
        now = self._response("in_progress", [], None, None)
        out = [events.make(f"response.{name}", response=now) for name in ("created", "in_progress")]
        return out if raw else [*out, *events.search_begins(0, self.search_id)]

    def _output(self, seen: Asked, written: Written) -> list[dict[str, Any]]:
        if self.body.model == RAW:
            return [message_item(self.message_id, written.text, [])]
        answer = seen.result.answer
        return answer_items(
            self.services, self.request, self.search_id, self.message_id,
            answer.text, answer.citations, seen.steps,
        )  # fmt: skip

    @staticmethod
    def _usage(seen: Asked, written: Written) -> tuple[int, int]:
        return seen.usage() if seen.steps else (written.prompt, written.new)

    def _response(
        self,
        status: str,
        output: list[dict[str, Any]],
        usage: tuple[int, int] | None,
        seen: Asked | None,
        error: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        body = self.body
        if seen is not None and seen.turn_id:
            self.ulid, self.session = seen.turn_id, seen.session_id
        more: dict[str, Any] = {
            "instructions": body.instructions,
            "metadata": body.metadata or {},
            "max_output_tokens": body.max_output_tokens,
            "tools": [tool.model_dump(exclude_none=True) for tool in body.tools or ()],
            "store": self.kept,
        }
        if seen is not None and seen.answer is not None:
            result = seen.result.to_json()
            more["hydra"] = {key: result[key] for key in ("status", "confidence", "citations", "steps")}
        return response_object(
            f"resp_{self.ulid}",
            self.created,
            body.model,
            status=status,
            output=output,
            usage=usage,
            error=error,
            previous=body.previous_response_id,
            conversation=f"conv_{self.session}" if self.session else None,
            more=more,
        )
