"""The command that learns how a bound model chooses its answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hydra_rag_api.cli.command import Cli, command
from hydra_rag_api.cli.progress import page_progress

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["register"]


def register(group: typer.Typer) -> None:
    @command(group, "answers", uses=("model",))
    def answers(
        cli: Cli,
        folders: Annotated[
            list[Path],
            typer.Argument(exists=True, file_okay=False, help="Folders with pages.jsonl and its questions."),
        ],
        limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only so many pages.")] = None,
        read: Annotated[
            bool, typer.Option("--read", help="From the words that the model reads, not the folder's.")
        ] = False,
        others: Annotated[
            int, typer.Option("--others", min=0, help="Ask every question of so many other pages, too.")
        ] = 0,
        out: Annotated[
            Path | None,
            typer.Option("--out", dir_okay=False, help="File to write (answers.json beside the adapter)."),
        ] = None,
    ) -> None:
        """Learn how the small model chooses its answers among a page's words.

        Writes answers.json beside the model's adapter, where every later answer finds it.
        A few hundred questions are enough; use other pages to measure.
        """
        from hydra_rag.saliency.calibration import calibration_path
        from hydra_rag_agents.span_fit import cross_checked, fit_weights, gather
        from hydra_rag_agents.span_signs import FILE, save_weights

        with cli.model() as model:
            cases = []
            for folder in folders:
                with page_progress(cli.out, "Questions") as tell:
                    cases += gather(folder, model, limit=limit, read=read, others=others, progress=tell)
            weights = fit_weights(cases)
            measured = cross_checked(cases)
            path = out or calibration_path(model).with_name(FILE)
            save_weights(path, weights, model.weights_fingerprint, measured)
        report: dict[str, Any] = {"path": str(path), "signs": len(weights), **measured}

        def human(console: Console) -> None:
            console.print(f"{report['path']}: {report['signs']} signs", markup=False)
            console.print(
                f"{measured['questions']} questions; right on pages not learned from: "
                f"{measured['before']:.0%} before, {measured['after']:.0%} now",
                markup=False,
            )

        cli.out.result(report, human)
