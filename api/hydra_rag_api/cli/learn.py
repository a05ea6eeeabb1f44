"""Commands that measure and train models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hydra_rag.errors import UsageError
from hydra_rag_api.cli.command import Cli, command
from hydra_rag_api.cli.progress import page_progress

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["register"]

Config = Annotated[
    Path | None, typer.Option("--config", exists=True, dir_okay=False, help="TOML file (default: built in).")
]
Run = Annotated[
    Path, typer.Option("--run", file_okay=False, help="Folder for checkpoints and log; given again, resumes.")
]
Words = Annotated[list[str] | None, typer.Argument(help="Settings as name=value.")]


def register(app: typer.Typer) -> None:
    @command(
        app,
        "eval",
        uses=("model",),
        epilog="Examples:  hydra-rag eval pages/ --json   ·   hydra-rag eval --builtin --limit 20",
    )
    def evaluate(
        cli: Cli,
        folder: Annotated[
            Path | None, typer.Argument(help="Folder with pages.jsonl and optional queries.jsonl.")
        ] = None,
        builtin: Annotated[
            bool, typer.Option("--builtin", help="Evaluate on pages made on the spot.")
        ] = False,
        limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only so many pages.")] = None,
        out: Annotated[
            Path | None,
            typer.Option(
                "--out", file_okay=False, help="Where predictions.jsonl goes (default: the folder)."
            ),
        ] = None,
        text: Annotated[
            bool,
            typer.Option(
                "--text", help="Also give the words of the page to the model (default: pixels alone)."
            ),
        ] = False,
    ) -> None:
        """Measure reading, answers and retrieval of a model on a folder of pages.

        Answers come from pixels alone. Every prediction is written to predictions.jsonl.
        """
        if builtin == (folder is not None):
            raise UsageError("Give a folder, or --builtin.")
        from hydra_rag_agents.evaluation import builtin_folder, evaluate_folder

        with (
            cli.model() as model,
            builtin_folder(folder, limit) as pages,
            page_progress(cli.out, "Pages") as tell,
        ):
            target = out or (Path.cwd() if folder is None else None)
            report = evaluate_folder(pages, model, out=target, limit=limit, text_layer=text, progress=tell)
        cli.out.result(report, lambda console: _print_report(console, report))

    group = typer.Typer(help="Train the built-in model or a retrieval adapter.", no_args_is_help=True)
    app.add_typer(group, name="train")
    resume = "Run the same command again to go on from the last checkpoint."

    @command(group, "nano", uses=("model",), hint=resume)
    def nano(cli: Cli, run: Run = Path("runs/nano"), config: Config = None, settings: Words = None) -> None:
        """Train the built-in model from pages that are made on the spot (hours). Resumable."""
        _train(cli, "nano", run, config, settings)

    @command(group, "adapter", uses=("model",), hint=resume)
    def adapter(
        cli: Cli, run: Run = Path("runs/adapter"), config: Config = None, settings: Words = None
    ) -> None:
        """Train a retrieval adapter for --model on your own pages and queries. Resumable."""
        _train(cli, "adapter", run, config, settings)


def _train(cli: Cli, stage: str, run: Path, config: Path | None, settings: list[str] | None) -> None:
    from hydra_rag import training

    chosen: dict[str, str] = {}
    for item in settings or ():
        name, sep, value = item.partition("=")
        if not sep or not name:
            raise UsageError(f"{item!r} is not name=value.")
        chosen[name] = value
    report: Any = training.cli_main(
        stage, config, run=run, model=cli.settings.model, device=cli.settings.device, settings=chosen
    )
    cli.out.result(report, lambda console: console.print(report, markup=False))


def _print_report(console: Console, report: dict[str, Any]) -> None:
    for part, figures in report.items():
        if figures is None:
            console.print(f"{part}: no data", style="dim", markup=False)
            continue
        console.print(part, style="bold", markup=False)
        for name, value in figures.items():
            shown = value if isinstance(value, dict) else {"": value}
            text = "  ".join(f"{key} {_number(v)}".strip() for key, v in shown.items())
            console.print(f"  {name:<26} {text}", markup=False)


def _number(value: Any) -> str:
    return "–" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
