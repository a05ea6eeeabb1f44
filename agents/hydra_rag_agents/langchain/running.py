"""Run a tool of the table for LangChain: in this thread or beside an event loop, with its progress told."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    AsyncCallbackManagerForToolRun,
    CallbackManagerForRetrieverRun,
    CallbackManagerForToolRun,
    adispatch_custom_event,
    dispatch_custom_event,
)
from langchain_core.runnables.config import run_in_executor

from hydra_rag_agents.sources import Source
from hydra_rag_agents.tool_values import Call, Options, ToolOutput, ToolSpec

__all__ = ["arun", "run"]

SyncManager = CallbackManagerForToolRun | CallbackManagerForRetrieverRun | None
AsyncManager = AsyncCallbackManagerForToolRun | AsyncCallbackManagerForRetrieverRun | None
_END: tuple[str, dict[str, Any]] = ("", {})


def run(
    spec: ToolSpec, source: Callable[[], Source], options: Options, arguments: Any, manager: SyncManager
) -> ToolOutput:
    """Progress arrives as custom events (``hydra_started``, ``hydra_step``, ``hydra_delta``) of the run."""
    write = _graph_writer()

    def tell(name: str, data: dict[str, Any]) -> None:
        if write is not None:
            write({"hydra": name, **data})
        if manager is not None:
            dispatch_custom_event(f"hydra_{name}", data, config={"callbacks": manager.get_child()})

    return spec.run(Call(source(), options, tell), arguments)


async def arun(
    spec: ToolSpec, source: Callable[[], Source], options: Options, arguments: Any, manager: AsyncManager
) -> ToolOutput:
    """As :func:`run`, in a thread; cancelling it stops the model."""
    write = _graph_writer()
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
    stop = threading.Event()

    def tell(name: str, data: dict[str, Any]) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, (name, data))

    def work() -> ToolOutput:
        return spec.run(Call(source(), options, tell, stop), arguments)

    task = asyncio.ensure_future(run_in_executor(None, work))
    task.add_done_callback(lambda _: queue.put_nowait(_END))
    try:
        while (told := await queue.get()) is not _END:
            name, data = told
            if write is not None:
                write({"hydra": name, **data})
            if manager is not None:
                await adispatch_custom_event(f"hydra_{name}", data, config={"callbacks": manager.get_child()})
        return await task
    finally:
        stop.set()
        task.cancel()


def _graph_writer() -> Callable[[Any], None] | None:
    """LangGraph's stream writer, where we run inside a graph."""
    module = sys.modules.get("langgraph.config")
    if module is None:
        return None
    try:
        writer: Callable[[Any], None] = module.get_stream_writer()
    except (RuntimeError, KeyError, LookupError):
        return None
    return writer
