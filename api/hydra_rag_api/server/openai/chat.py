"""`/v1/chat/completions`. Stateless, unless ``metadata.session_id`` names a session to go on with."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from hydra_rag.store.ids import new_id
from hydra_rag_agents.events import step_of
from hydra_rag_agents.facade import HydraRAG
from hydra_rag_api.server.admission import Place
from hydra_rag_api.server.deps import Booked, Bool, Engine, Int, Number, Served, Text
from hydra_rag_api.server.errors import ApiError, api_error, problem_body
from hydra_rag_api.server.openai.annotations import url_citations
from hydra_rag_api.server.openai.messages import ChatMessage, Said, asked, model_messages, said
from hydra_rag_api.server.openai.models import RAW, check_model
from hydra_rag_api.server.openai.raw import MOST_NEW_TOKENS, Written, raw_options, raw_stream
from hydra_rag_api.server.routes_ask import Asked, ask_events, ask_settings
from hydra_rag_api.server.services import Services
from hydra_rag_api.server.sse import SCHEMA, EventStream, event, until_disconnect

__all__ = ["router"]

router = APIRouter(prefix="/v1/chat", tags=["openai"])
Metadata = Annotated[
    dict[
        Annotated[str, StringConstraints(max_length=64)], Annotated[Text, StringConstraints(max_length=512)]
    ],
    Field(max_length=16),
]


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="ignore")

    include_usage: Bool = False


class ChatRequest(BaseModel):
    """Fields that are not listed are passed over."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "examples": [
                {"model": "hydra-rag", "messages": [{"role": "user", "content": "What is the total?"}]}
            ]
        },
    )

    model: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=200)]
    stream: Bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Int | None = Field(None, ge=1, le=100_000)
    max_completion_tokens: Int | None = Field(None, ge=1, le=100_000)
    temperature: Number | None = Field(None, ge=0, le=2)
    top_p: Number | None = Field(None, gt=0, le=1)
    seed: Int | None = Field(None, ge=-(2**63), le=2**63 - 1)
    n: Int | None = Field(None, ge=1, le=1, description="Only one answer at a time.")
    metadata: Metadata | None = None

    @property
    def new_tokens(self) -> int | None:
        wanted = self.max_completion_tokens or self.max_tokens
        return None if wanted is None else min(wanted, MOST_NEW_TOKENS)


@router.post(
    "/completions",
    summary="Chat completion",
    description="`hydra-rag` answers the last user message from the documents, with `url_citation` "
    "annotations and the evidence under `hydra`; `hydra-rag-raw` is the model alone.",
    responses={
        200: {
            "content": {
                "application/json": {"schema": {"type": "object"}},
                "text/event-stream": {"schema": SCHEMA},
            }
        }
    },
)
async def chat(
    services: Served, place: Booked, engine: Engine, request: Request, body: ChatRequest
) -> Response:
    check_model(body.model)
    messages = [said(message) for message in body.messages]
    run = _Run(services, place, engine, request, body)
    parts = await anyio.to_thread.run_sync(run.prepare, messages)
    if body.stream:
        return EventStream(run.stream(parts))
    whole = await until_disconnect(request, run.whole(parts))
    return JSONResponse(whole) if whole is not None else Response(status_code=503)


class _Run:
    """One completion, streamed or not."""

    def __init__(
        self, services: Services, place: Place, engine: HydraRAG, request: Request, body: ChatRequest
    ) -> None:
        self.services, self.place, self.engine = services, place, engine
        self.request, self.body = request, body
        self.id, self.created = f"chatcmpl-{new_id()}", int(time.time())

    def prepare(self, messages: list[Said]) -> AsyncGenerator[Any, None]:
        """The stream of what happens. Faults of the request raise here, before anything is sent."""
        body, services = self.body, self.services
        if body.model == RAW:
            options = raw_options(body.new_tokens, body.temperature, body.top_p)
            chat = model_messages(messages, services.settings)
            return raw_stream(services, self.place, self.engine, chat, body.seed, options)
        question, image, past = asked(messages, services.settings)
        session = (body.metadata or {}).get("session_id")
        if session is not None:
            self.engine.conversation.open(session, question)
        seed = None if body.seed is None else body.seed % 2**31
        settings = ask_settings(services, {"max_new_tokens": body.new_tokens, "seed": seed})
        return ask_events(
            services,
            self.place,
            self.engine,
            question,
            image=image,
            session=session,
            settings=settings,
            past=past if session is None else None,
            keep=session is not None,
        )

    async def whole(self, parts: AsyncGenerator[Any, None]) -> dict[str, Any]:
        seen, written = Asked(), Written()
        async with aclosing(parts):
            async for part in parts:
                written.take(part) if self.body.model == RAW else seen.take(part)
        if self.body.model == RAW:
            message: dict[str, Any] = {"role": "assistant", "content": written.text, "refusal": None}
            return self._completion(message, written.finish, written.prompt, written.new)
        text, notes, extra, usage = self._told(seen)
        message = {"role": "assistant", "content": text, "refusal": None, "annotations": notes}
        return {**self._completion(message, "stop", *usage), "hydra": extra}

    async def stream(self, parts: AsyncGenerator[Any, None]) -> AsyncGenerator[bytes, None]:
        seen, written = Asked(), Written()
        raw = self.body.model == RAW
        try:
            yield self._chunk({"role": "assistant", "content": ""})
            async with aclosing(parts):
                async for part in parts:
                    if raw:
                        if text := written.take(part):
                            yield self._chunk({"content": text})
                        continue
                    seen.take(part)
                    if (step := step_of(part)) is not None:
                        # Drafts can still be thrown away, so the text comes when it is final.
                        yield self._chunk({}, hydra={"step": step.to_json()})
            finish, usage = written.finish, (written.prompt, written.new)
            if not raw:
                text, notes, extra, usage = self._told(seen)
                finish = "stop"
                for piece in pieces(text):
                    yield self._chunk({"content": piece})
                yield self._chunk({"annotations": notes}, hydra=extra)
            yield self._chunk({}, finish=finish)
            if self.body.stream_options is not None and self.body.stream_options.include_usage:
                yield event({**self._head("chat.completion.chunk"), "choices": [], "usage": _usage(*usage)})
            yield event("[DONE]")
        except Exception as error:
            known: ApiError = api_error(error)
            yield event(problem_body(known.status, known.code, known.message))

    def _told(self, seen: Asked) -> tuple[str, list[dict[str, Any]], dict[str, Any], tuple[int, int]]:
        result = seen.result
        cited = url_citations(self.services, self.request, result.text, result.answer.citations)
        notes = [{"type": c.pop("type"), "url_citation": c} for c in cited]
        extra = result.to_json()
        del extra["answer"]
        return result.text, notes, extra, seen.usage()

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.body.model}

    def _completion(self, message: dict[str, Any], finish: str, prompt: int, new: int) -> dict[str, Any]:
        choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
        return {**self._head("chat.completion"), "choices": [choice], "usage": _usage(prompt, new)}

    def _chunk(
        self, delta: dict[str, Any], finish: str | None = None, hydra: dict[str, Any] | None = None
    ) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        data = {**self._head("chat.completion.chunk"), "choices": [choice]}
        if hydra is not None:
            data["hydra"] = hydra
        return event(json.dumps(data, ensure_ascii=False, allow_nan=False))


def pieces(text: str, size: int = 24) -> list[str]:
    """A finished text in parts of about ``size`` characters, cut behind spaces."""
    out, rest = [], text
    while len(rest) > size and (cut := rest.find(" ", size) + 1) > 0:
        out.append(rest[:cut])
        rest = rest[cut:]
    return [*out, rest] if rest else out


def _usage(prompt: int, new: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": new, "total_tokens": prompt + new}
