"""The command tree."""

from __future__ import annotations

from typing import Annotated

import typer

from hydra_rag import __version__
from hydra_rag_api.cli import admin, ask, backup, documents, learn, mcp, serve, sessions

__all__ = ["app"]

app = typer.Typer(
    name="hydra-rag",
    help=(
        "Ask questions of documents by looking at them, with one model.\n\n"
        'Start with [bold]hydra-rag ingest FOLDER[/bold], then [bold]hydra-rag ask "..."[/bold]. '
        "Every command takes --help and --json."
    ),
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 all done, 1 some inputs failed, 2 wrong usage, 3 store or model can't be used, "
    "75 busy: try again.",
)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"hydra-rag {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


documents.register(app)
ask.register(app)
sessions.register(app)
learn.register(app)
serve.register(app)
mcp.register(app)
backup.register(app)
admin.register(app)
