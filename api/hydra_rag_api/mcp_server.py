"""The tool table as an MCP server, for whatever transport. Needs mcp 2.x.

Built on the SDK's low-level server: arguments are checked here by the table's own models, every failure that
a caller can do something about comes back as a tool error, and the host program's logging is left alone.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
from pydantic import ValidationError

from hydra_rag import __version__
from hydra_rag.errors import HydraError, MissingExtraError
from hydra_rag_agents.sources import Source
from hydra_rag_agents.tool_values import Call, Options, Picture, ToolOutput, ToolSpec
from hydra_rag_agents.tools import TOOLS

try:
    import mcp_types as types
    from mcp.server.context import ServerRequestContext
    from mcp.server.lowlevel import Server
except ImportError as error:
    raise MissingExtraError("The MCP server needs the mcp package: pip install 'hydra-rag[mcp]'.") from error

__all__ = ["Runner", "Work", "in_threads", "make_server", "run_stdio"]

log = logging.getLogger(__name__)

#: ``work(source, options, stop)``; setting ``stop`` ends it.
Work = Callable[[Source, Options, threading.Event | None], ToolOutput]
#: Runs ``work`` with the source, the options and the place in the queue of whoever asks.
Runner = Callable[[ServerRequestContext[Any], ToolSpec, Work], Awaitable[ToolOutput]]

INSTRUCTIONS = (
    "Visual search in the user's documents. Find pages with search_pages, look closer with look_at, or let "
    "ask_documents answer with sources. Pages count from 1; boxes are [left, top, right, bottom] in pixels."
)


def make_server(
    runner: Runner, *, visible: Callable[[HydraError], str] = lambda error: error.message
) -> Server[Any]:
    """``runner`` decides for each request whose documents are meant and where the work is done;
    ``visible``: what a caller may read of an error."""
    table = {tool.name: tool for tool in TOOLS}

    async def on_list(
        context: ServerRequestContext[Any], params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_described(tool) for tool in TOOLS])

    async def on_call(
        context: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        tool = table.get(params.name)
        if tool is None:
            return _failed(f"There is no tool {params.name!r}; there are {', '.join(table)}.")
        try:
            given = tool.arguments.model_validate(params.arguments or {})
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, fault['loc'])) or 'arguments'}: {fault['msg']}"
                for fault in error.errors()
            )
            return _failed(f"Wrong arguments for {tool.name}: {faults}.")
        tell = _progress(context)

        def work(source: Source, options: Options, stop: threading.Event | None) -> ToolOutput:
            return tool.run(Call(source, options, tell, stop), given)

        try:
            return _result(await runner(context, tool, work))
        except HydraError as error:
            return _failed(visible(error))
        except Exception:
            log.exception("tool %s failed", tool.name)
            return _failed("Something unexpected went wrong; the server's log says what.")

    return Server(
        "hydra-rag",
        version=__version__,
        title="hydra_rag",
        instructions=INSTRUCTIONS,
        on_list_tools=on_list,
        on_call_tool=on_call,
    )


async def run_stdio(source: Source, options: Options | None = None) -> None:
    """Serve one client on standard input and output until it goes away."""
    from mcp.server.stdio import stdio_server

    server = make_server(in_threads(source, options or Options()))
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


def in_threads(source: Source, options: Options) -> Runner:
    """One source for everybody; each call in a thread. A cancelled call stops the model."""

    async def runner(context: ServerRequestContext[Any], tool: ToolSpec, work: Work) -> ToolOutput:
        stop = threading.Event()
        try:
            return await anyio.to_thread.run_sync(work, source, options, stop, abandon_on_cancel=True)
        finally:
            stop.set()

    return runner


def _described(tool: ToolSpec) -> types.Tool:
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.arguments.model_json_schema(),
        annotations=types.ToolAnnotations(
            title=tool.title,
            read_only_hint=tool.reads,
            destructive_hint=False,
            idempotent_hint=tool.reads,
            open_world_hint=False,
        ),
    )


def _progress(context: ServerRequestContext[Any]) -> Callable[[str, dict[str, Any]], None]:
    """Steps of the agent as progress of the request (nothing is sent where the client did not ask)."""
    loop = asyncio.get_running_loop()
    count = 0

    async def send(number: int, message: str) -> None:
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):  # the client went away
            await context.session.report_progress(number, None, message)

    def tell(name: str, data: dict[str, Any]) -> None:
        nonlocal count
        if name == "step":
            count += 1
            asyncio.run_coroutine_threadsafe(send(count, str(data.get("action", name))), loop)

    return tell


def _result(output: ToolOutput) -> types.CallToolResult:
    content: list[types.ContentBlock] = []
    for part in output.parts:
        if isinstance(part, Picture):
            data = base64.b64encode(part.png).decode()
            content.append(types.ImageContent(data=data, mime_type="image/png"))
        else:
            content.append(types.TextContent(text=part))
    # What is not JSON (there is nothing today) would fail here and not in the client.
    structured = json.loads(json.dumps(output.data, allow_nan=False))
    return types.CallToolResult(content=content, structured_content=structured)


def _failed(message: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=message)], is_error=True)
