"""Commands that look for something: search, ask, chat."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hydra_rag.errors import HydraError, UsageError
from hydra_rag_api.cli.command import Cli, command
from hydra_rag_api.cli.output import safe
from hydra_rag_api.cli.telling import told_apart

if TYPE_CHECKING:
    from rich.console import Console

    from hydra_rag_agents.events import Event
    from hydra_rag_agents.facade import HydraRAG
    from hydra_rag_agents.result import AskResult
    from hydra_rag_agents.state import AskSettings

__all__ = ["register"]

Image = Annotated[
    Path | None,
    typer.Option("--image", metavar="FILE", exists=True, dir_okay=False, help="An image to search with."),
]
Mode = Annotated[
    str | None,
    typer.Option(
        "--mode", metavar="visual|text|hybrid", help="By looks, by words, or both (default: hybrid)."
    ),
]
Gaze = Annotated[
    str,
    typer.Option("--gaze", metavar="auto|never|always", help="Look closer at parts of pages where it helps."),
]
Session = Annotated[
    str | None,
    typer.Option("--session", metavar="ID", help="Go on with a conversation (see `sessions list`)."),
]
Explain = Annotated[
    Path | None,
    typer.Option(
        "--explain",
        metavar="DIR",
        file_okay=False,
        help="Write pictures of the pages with heat map and boxes.",
    ),
]
Within = Annotated[
    list[str] | None,
    typer.Option("--document", metavar="ID", help="Only in this document (may be repeated)."),
]
Text = Annotated[
    bool | None, typer.Option("--text/--no-text", help="Use the text layer of pages, or pixels alone.")
]
Pages = Annotated[int | None, typer.Option("--pages", min=1, help="Pages to show to the model, at most.")]


def register(app: typer.Typer) -> None:
    @command(
        app,
        "search",
        uses=("store", "model"),
        epilog="Examples:  hydra-rag search 'total amount due' -k 3   ·   hydra-rag search --image part.jpg",
    )
    def search(
        cli: Cli,
        query: Annotated[str | None, typer.Argument(help="What to look for (or only --image).")] = None,
        image: Image = None,
        k: Annotated[int, typer.Option("-k", min=1, help="How many pages.")] = 10,
        mode: Mode = None,
        gaze: Gaze = "auto",
        document: Within = None,
    ) -> None:
        """Find pages by what they show and by what they say."""
        _check_gaze(gaze)
        cli.given["mode"] = mode
        chosen = cli.settings.mode
        with cli.rag() as rag:
            hits, steps = rag.search_steps(
                query, image=image, k=k, mode=chosen, gaze=gaze, documents=document
            )
            names = _names(cli, rag)
        from hydra_rag_agents.library import hit_json

        found = [hit_json(hit) for hit in hits]

        def human(console: Console) -> None:
            if not found:
                console.print("Nothing found.")
            for hit in found:
                name = safe(names.get(hit["document_id"], hit["document"]))
                console.print(f"{hit['rank']:>3}. {name}, page {hit['page']}", end="", markup=False)
                sources = ", ".join(f"{n} #{s['rank']}" for n, s in hit["sources"].items())
                console.print(f"   {hit['score']:.4g}  ({sources})", style="dim", markup=False)

        cli.out.result({"hits": found, "steps": steps}, human)

    @command(
        app,
        "ask",
        uses=("store", "model"),
        epilog="Examples:  hydra-rag ask 'What is the invoice total?'   ·   "
        "hydra-rag ask 'And the due date?' --session ID --explain out/",
    )
    def ask(
        cli: Cli,
        question: Annotated[str, typer.Argument(help="What you want to know.")],
        image: Image = None,
        session: Session = None,
        k: Annotated[int, typer.Option("-k", min=1, help="Pages to retrieve.")] = 5,
        pages: Pages = None,
        mode: Mode = None,
        gaze: Gaze = "auto",
        text: Text = None,
        document: Within = None,
        explain: Explain = None,
    ) -> None:
        """Answer a question from the documents, with page and box of the evidence.

        When the documents do not hold the answer, it says so (exit code 0).
        """
        settings = _ask_settings(cli, k, pages, mode, gaze, text, document)
        with cli.rag() as rag, _working(cli) as status:
            result = rag.ask(
                question,
                image=image,
                session=session,
                settings=settings,
                explain=explain,
                on_event=lambda event: _show(status, event),
            )
            names = _names(cli, rag)
        cli.out.result(result.to_json(), lambda console: _print_answer(console, result, names))
        if explain is not None:
            cli.out.note(f"Pictures: {explain / 'index.html'}")
        if not cli.out.as_json:
            cli.out.note(f'Go on with: hydra-rag ask --session {result.session_id} "..."')

    @command(app, "chat", uses=("store", "model"), hint="`hydra-rag sessions list` shows the conversation.")
    def chat(cli: Cli, session: Session = None, mode: Mode = None, text: Text = None) -> None:
        """Ask question after question, each leaning on the ones before. "exit" or an empty line ends it."""
        if cli.out.as_json:
            raise UsageError("chat is for people: use `ask --session ID --json` in scripts.")
        settings = _ask_settings(cli, 5, None, mode, "auto", text, None)
        console = cli.out.console()
        with cli.rag() as rag:
            while True:
                question = _read_line()
                if question.lower() in ("", "exit", "quit", "/exit", "/quit"):
                    return
                try:
                    with _working(cli) as status:
                        result = rag.ask(
                            question,
                            session=session,
                            settings=settings,
                            on_event=lambda event, status=status: _show(status, event),  # type: ignore[misc]
                        )
                except HydraError as error:
                    if not error.retryable:
                        raise
                    cli.out.note(error.message)
                    continue
                session = result.session_id
                _print_answer(console, result, _names(cli, rag))


def _ask_settings(
    cli: Cli,
    k: int,
    pages: int | None,
    mode: str | None,
    gaze: str,
    text: bool | None,
    documents: list[str] | None,
) -> AskSettings:
    from hydra_rag_agents.state import AskSettings

    _check_gaze(gaze)
    cli.given.update({"mode": mode, "pages": pages, "text_layer": text})
    chosen = cli.settings
    return AskSettings(
        k=max(k, chosen.pages) if pages else k,
        pages=chosen.pages,
        mode=chosen.mode,  # type: ignore[arg-type]
        gaze=gaze,  # type: ignore[arg-type]
        text_layer=chosen.text_layer,
        threshold=chosen.threshold,
        max_new_tokens=chosen.max_new_tokens,
        documents=tuple(documents) if documents else None,
        seconds=chosen.max_seconds,
    )


def _check_gaze(gaze: str) -> None:
    if gaze not in ("auto", "never", "always"):
        raise UsageError(f"--gaze {gaze!r} is not one of auto, never, always.")


def _read_line() -> str:
    # The prompt goes to stderr, so that stdout holds answers only.
    sys.stderr.write("\n› " if sys.stderr.isatty() else "")
    sys.stderr.flush()
    return sys.stdin.readline().strip()


def _working(cli: Cli) -> Any:
    if not cli.out.live:
        return nullcontext(None)
    return cli.out.console(stderr=True).status("Loading the model", spinner="dots")


def _show(status: Any, event: Event) -> None:
    """Keep a person informed of what the agent is doing."""
    if status is None:
        return
    from hydra_rag_agents.events import Glanced, Looked, Reflected, Searched, Started

    if isinstance(event, Started):
        status.update("Searching")
    elif isinstance(event, Searched):
        status.update(f"Looking at {len(event.candidates)} pages")
    elif isinstance(event, Glanced):
        status.update(f"Read page {event.pages[0].page}")
    elif isinstance(event, Looked):
        status.update("Looking closer")
    elif isinstance(event, Reflected):
        status.update("Checking")


def _names(cli: Cli, rag: HydraRAG) -> dict[str, str]:
    return {} if cli.out.as_json else told_apart(rag.documents)


def _print_answer(console: Console, result: AskResult, names: Mapping[str, str]) -> None:
    answer = result.answer
    style = "bold" if answer.status == "answered" else "yellow"
    console.print(safe(answer.text), style=style, markup=False)
    for number, citation in enumerate(answer.citations, start=1):
        box = f", box {tuple(citation.box)}" if citation.box else ""
        quote = f": “{citation.quote}”" if citation.quote else ""
        name = names.get(citation.document_id, citation.document)
        line = f"  [{number}] {name}, page {citation.page}{box}{quote}"
        console.print(safe(line), style="cyan", markup=False)
    if answer.status == "answered":
        console.print(f"  confidence {answer.confidence:.2f}", style="dim")
