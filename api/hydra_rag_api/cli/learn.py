"""Commands that measure and train models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hydra_rag.errors import UsageError
from hydra_rag_api.cli.command import INTERRUPTED, Cli, command
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
Minutes = Annotated[float | None, typer.Option("--minutes", min=0, help="Stop after so many minutes.")]


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
        gate: Annotated[
            bool,
            typer.Option("--gate/--no-gate", help="Also answer with closer looks: never, always, gated."),
        ] = True,
        part: Annotated[
            list[str] | None,
            typer.Option(
                "--part", help="Only this part; may be repeated: reading, answers, gaze, retrieval."
            ),
        ] = None,
    ) -> None:
        """Measure reading, answers, gaze and retrieval of a model on a folder of pages.

        Answers come from pixels alone. Every prediction is written to predictions.jsonl.
        """
        if builtin == (folder is not None):
            raise UsageError("Give a folder, or --builtin.")
        from hydra_rag_agents.evaluation import PARTS, builtin_folder, evaluate_folder

        with (
            cli.model() as model,
            builtin_folder(folder, limit) as pages,
            page_progress(cli.out, "Pages") as tell,
        ):
            target = out or (Path.cwd() if folder is None else None)
            report = evaluate_folder(
                pages,
                model,
                out=target,
                limit=limit,
                text_layer=text,
                gate=gate,
                parts=part or PARTS,
                progress=tell,
            )
        cli.out.result(report, lambda console: _print_report(console, report))

    group = typer.Typer(help="Train the built-in model or a retrieval adapter.", no_args_is_help=True)
    app.add_typer(group, name="train")
    resume = "Run the same command again to go on from the last checkpoint."

    @command(group, "nano", uses=("model",), hint=resume)
    def nano(
        cli: Cli,
        run: Run = Path("runs/nano"),
        stage: Annotated[str, typer.Option("--stage", help="One stage, all, or export.")] = "all",
        config: Config = None,
        minutes: Minutes = None,
        workers: Annotated[
            int | None, typer.Option("--workers", min=0, help="Page-making processes.")
        ] = None,
    ) -> None:
        """Train the built-in model from pages that are made on the spot (hours). Resumable."""
        from hydra_rag.training.commands import train_nano

        report = train_nano(run, stage, config=config, device=_device(cli), minutes=minutes, workers=workers)
        cli.out.result(report, lambda console: console.print(report, markup=False))

    @command(group, "adapter", uses=("model",), hint=resume)
    def adapter(
        cli: Cli,
        data: Annotated[
            Path, typer.Argument(exists=True, file_okay=False, help="Folder with pages and queries.")
        ],
        out: Annotated[Path, typer.Option("--out", file_okay=False, help="Where the adapter goes.")] = Path(
            "runs/adapter"
        ),
        minutes: Annotated[float, typer.Option("--minutes", min=0, help="Stop after so many minutes.")] = 20,
        steps: Annotated[int, typer.Option("--steps", min=0, help="Stop after so many steps.")] = 0,
        batch: Annotated[int, typer.Option("--batch", min=2, help="Pages a step.")] = 8,
        dim: Annotated[
            int | None, typer.Option("--dim", min=1, help="Length of one vector (new adapters: 128).")
        ] = None,
        rank: Annotated[
            int | None, typer.Option("--rank", min=1, help="Rank of the LoRA (new adapters: 32).")
        ] = None,
        lr: Annotated[
            float | None,
            typer.Option(
                "--lr", min=1e-9, help="Learning rate at its highest (default: by the model's width)."
            ),
        ] = None,
        page_tokens: Annotated[
            int | None,
            typer.Option("--page-tokens", min=1, help="Visual tokens of a page, here and when indexed."),
        ] = None,
        seed: Annotated[int, typer.Option("--seed", help="Order of the pages, first weights.")] = 0,
    ) -> int:
        """Train a retrieval adapter for --model on your own pages and queries. Resumable.

        The folder is that of `hydra-rag eval`: pages.jsonl, and queries.jsonl where there is one.
        """
        from hydra_rag.training.commands import train_adapter_on

        report = train_adapter_on(
            data,
            out,
            model=cli.settings.model,
            device=cli.settings.device,
            steps=steps,
            batch=batch,
            dim=dim,
            rank=rank,
            lr=lr,
            page_tokens=page_tokens,
            seed=seed,
            minutes=minutes,
        )
        if report["interrupted"]:
            kept = f", saved in {out}" if report["steps"] else ""
            cli.out.error("interrupted", f"Interrupted after {report['steps']} steps{kept}. {resume}")
            return INTERRUPTED
        cli.out.result(report, lambda console: console.print(report, markup=False))
        return 0


def _device(cli: Cli) -> str:
    from hydra_rag.device import pick_device

    return str(pick_device(cli.settings.device))


def _print_report(console: Console, report: dict[str, Any]) -> None:
    for part, figures in report.items():
        if not isinstance(figures, dict | None):
            console.print(f"{part}: {figures}", style="dim", markup=False)
            continue
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
