"""Search and ask."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import anyio
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from hydra_rag_agents.events import Delta, Done, Event, Started, step_of
from hydra_rag_agents.facade import HydraRAG
from hydra_rag_agents.library import hit_json
from hydra_rag_agents.memory import Past
from hydra_rag_agents.result import AskResult, query_item
from hydra_rag_agents.state import Answer as AgentAnswer
from hydra_rag_agents.state import AskSettings, Step
from hydra_rag_api.server.admission import Place
from hydra_rag_api.server.asking import in_thread, stream_thread
from hydra_rag_api.server.deps import Booked, Engine, Served, decode_image
from hydra_rag_api.server.errors import ApiError, api_error, problem_body
from hydra_rag_api.server.schemas import Answer, AskRequest, SearchRequest, SearchResult
from hydra_rag_api.server.services import Services
from hydra_rag_api.server.sse import SCHEMA, EventStream, event, until_disconnect

__all__ = ["Asked", "ask_events", "ask_settings", "router"]

router = APIRouter(prefix="/api", tags=["questions"])

EVENTS = """Server-sent events: `started` {session_id, turn_id}; `delta` {text, pages} (pieces of a draft);
`step` (one action of the agent, as in the answer's `steps`); `answer` (the whole answer); at the end exactly
one of `done` {} and `error` (a problem document)."""


class Asked:
    """Collects a run: what was told so far, and the result once it is there."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.answer: AgentAnswer | None = None
        self.session_id = self.turn_id = ""

    def take(self, item: Event) -> None:
        step = step_of(item)
        if step is not None:
            self.steps.append(step)
        if isinstance(item, Started):
            self.session_id, self.turn_id = item.session_id, item.turn_id
        elif isinstance(item, Done):
            self.answer = item.answer

    @property
    def result(self) -> AskResult:
        assert self.answer is not None
        return AskResult(self.answer, tuple(self.steps), self.session_id, self.turn_id)

    def usage(self) -> tuple[int, int]:
        """Prompt and new tokens of all looks together."""
        looks = [step.detail for step in self.steps if step.action in ("glance", "gaze")]
        return (
            sum(int(look.get("prompt_tokens", 0)) for look in looks),
            sum(int(look.get("new_tokens", 0)) for look in looks),
        )


def ask_settings(services: Services, changes: dict[str, Any]) -> AskSettings:
    """The server's defaults with what the request names; no answer may outlast the stream's limit."""
    given = {key: value for key, value in changes.items() if value is not None}
    if "documents" in given:
        given["documents"] = tuple(given["documents"])
    chosen = replace(services.ask_defaults, **given)
    return replace(chosen, seconds=min(chosen.seconds, services.settings.stream_seconds))


async def ask_events(
    services: Services,
    place: Place,
    engine: HydraRAG,
    question: str,
    *,
    image: Any = None,
    session: str | None = None,
    settings: AskSettings,
    past: Sequence[Past] | None = None,
    keep: bool = True,
) -> AsyncGenerator[Event, None]:
    """The agent's events, counted for the metrics."""

    def make() -> Generator[Event]:
        return engine.ask_events(
            question, image=image, session=session, settings=settings, past=past, keep=keep
        )

    began, first = time.monotonic(), True
    seen = Asked()
    try:
        async with aclosing(stream_thread(services, place, make)) as events:
            async for item in events:
                if first and isinstance(item, Delta) and item.text:
                    first = False
                    services.metrics.first_token.observe(time.monotonic() - began)
                seen.take(item)
                yield item
    finally:
        status = seen.answer.status if seen.answer is not None else "interrupted"
        services.metrics.answers.labels(status).inc()
        prompt, new = seen.usage()
        services.metrics.tokens.labels("prompt").inc(prompt)
        services.metrics.tokens.labels("new").inc(new)


@router.post("/search", response_model=SearchResult, summary="Find pages")
async def search(services: Served, engine: Engine, request: Request, body: SearchRequest) -> Any:
    """By text, by an image, or by both; with the places on each page that match, and the steps that led there
    (with words and an image: where the model looked, and the crop that was searched with)."""
    image = (
        None
        if body.image is None
        else await anyio.to_thread.run_sync(decode_image, body.image, services.settings)
    )
    query_item(body.query, image)  # refuses empty queries before anything waits

    def work() -> dict[str, Any]:
        hits, steps = engine.search_steps(
            body.query, image=image, k=body.k, mode=body.mode, gaze=body.gaze, documents=body.documents
        )
        return {"hits": [hit_json(hit) for hit in hits], "steps": steps}

    found = await until_disconnect(request, in_thread(services, engine.tenant, work))
    return found or {"hits": [], "steps": []}


@router.post(
    "/ask",
    response_model=Answer,
    summary="Ask the documents",
    description="With `stream` (the default): " + EVENTS,
    responses={200: {"content": {"text/event-stream": {"schema": SCHEMA}}}},
)
async def ask(
    services: Served, place: Booked, engine: Engine, request: Request, body: AskRequest
) -> Response:
    image = (
        None
        if body.image is None
        else await anyio.to_thread.run_sync(decode_image, body.image, services.settings)
    )
    await anyio.to_thread.run_sync(_check, engine, body)
    names = ("k", "pages", "mode", "gaze", "text_layer", "threshold", "max_new_tokens", "seed", "documents")
    settings = ask_settings(services, {name: getattr(body, name) for name in names})
    events = ask_events(
        services, place, engine, body.question, image=image, session=body.session_id, settings=settings
    )
    if body.stream:
        return EventStream(_stream(events))
    result = await until_disconnect(request, _whole(events))
    return JSONResponse(result) if result is not None else Response(status_code=503)


def _check(engine: HydraRAG, body: AskRequest) -> None:
    """Errors that are known before anything begins have a status of their own."""
    if body.session_id is not None:
        engine.conversation.open(body.session_id, body.question)
    for document in body.documents or ():
        engine.collection.document(document)


async def _whole(events: AsyncGenerator[Event, None]) -> dict[str, Any]:
    seen = Asked()
    async with aclosing(events):
        async for item in events:
            seen.take(item)
    return seen.result.to_json()


async def _stream(events: AsyncGenerator[Event, None]) -> AsyncGenerator[bytes, None]:
    seen = Asked()
    try:
        async with aclosing(events):
            async for item in events:
                seen.take(item)
                if isinstance(item, Started):
                    yield event({"session_id": item.session_id, "turn_id": item.turn_id}, "started")
                elif isinstance(item, Delta):
                    pages = [{"document_id": p.document_id, "page": p.page} for p in item.pages]
                    yield event({"text": item.text, "pages": pages}, "delta")
                elif (step := step_of(item)) is not None:
                    yield event(step.to_json(), "step")
        yield event(seen.result.to_json(), "answer")
        yield event({}, "done")
    except Exception as error:
        known: ApiError = api_error(error)
        yield event(problem_body(known.status, known.code, known.message), "error")
