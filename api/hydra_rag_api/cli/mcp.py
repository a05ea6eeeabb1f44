"""`hydra-rag mcp`."""

from __future__ import annotations

import typer

from hydra_rag_api.cli.command import Cli, command

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    command(app, "mcp", uses=("store", "model"))(_mcp)


def _mcp(cli: Cli) -> int:
    """Offer the documents to an MCP client over standard input and output.

    Clients start this command themselves; its tools are search_pages, look_at, ask_documents and
    list_documents. The model is loaded by the first call that needs it.
    """
    import anyio

    from hydra_rag_agents.sources import LocalSource
    from hydra_rag_agents.state import AskSettings
    from hydra_rag_api.mcp_server import run_stdio

    settings = cli.settings
    defaults = AskSettings(
        mode=settings.mode,  # type: ignore[arg-type]
        pages=settings.pages,
        text_layer=settings.text_layer,
        threshold=settings.threshold,
        max_new_tokens=settings.max_new_tokens,
        seconds=settings.max_seconds,
    )
    with cli.rag(create=True) as rag:
        rag.store  # noqa: B018 - a store that can't be used is told now, not in the first call
        anyio.run(run_stdio, LocalSource(lambda: rag, defaults))
    return 0
