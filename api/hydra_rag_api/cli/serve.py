"""`hydra-rag serve`."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from hydra_rag.errors import MissingExtraError, UsageError
from hydra_rag_api.cli.command import Cli, command

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    command(app, "serve", uses=("store", "model"))(_serve)


def _serve(
    cli: Cli,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; any but loopback requires keys.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="Port (0: any free one).")] = None,
) -> int:
    """Serve the web page and the API (native and OpenAI-compatible).

    Without keys only this machine is served. To be reachable from elsewhere, first make a key with
    `hydra-rag keys create`.
    """
    try:
        from hydra_rag_api.server.run import serve
    except ImportError as error:
        raise MissingExtraError(
            f"The server needs further packages ({error.name}): pip install 'hydra-rag[server]'."
        ) from error

    settings = cli.settings
    changes = {key: value for key, value in (("host", host), ("port", port)) if value is not None}
    server = settings.server.model_copy(update=changes)

    def listening(url: str) -> None:
        if cli.out.as_json:
            sys.stdout.write(json.dumps({"url": url}) + "\n")
            sys.stdout.flush()
        else:
            cli.out.note(f"Serving on {url} (Ctrl+C stops it).")

    with cli.rag(create=True) as rag:
        if server.host in ("0.0.0.0", "::") and not server.port:
            raise UsageError("Name a port when listening on every address.")
        return serve(rag, server, ask_defaults=_defaults(settings), ocr=settings.ocr, listening=listening)


def _defaults(settings: Any) -> Any:
    from hydra_rag_agents.state import AskSettings

    return AskSettings(
        mode=settings.mode,
        pages=settings.pages,
        text_layer=settings.text_layer,
        threshold=settings.threshold,
        seconds=settings.max_seconds,
    )
