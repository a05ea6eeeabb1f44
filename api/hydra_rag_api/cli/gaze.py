"""Commands about where the model looks: choose layers and heads, compare methods."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hydra_rag_api.cli.command import Cli, command
from hydra_rag_api.cli.progress import page_progress

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["register"]

Folder = Annotated[
    Path,
    typer.Argument(
        exists=True, file_okay=False, help="Folder with pages.jsonl whose questions have evidence boxes."
    ),
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Only so many pages.")]


def register(group: typer.Typer) -> None:
    @command(group, "calibrate", uses=("model",))
    def calibrate(
        cli: Cli,
        folder: Folder,
        limit: Limit = None,
        out: Annotated[
            Path | None,
            typer.Option("--out", dir_okay=False, help="File to write (gaze.json beside the adapter)."),
        ] = None,
        gate: Annotated[
            bool, typer.Option("--gate", help="Also choose when a closer look pays (asks every question).")
        ] = False,
    ) -> None:
        """Choose the layers, heads and filters that find evidence best.

        Writes gaze.json beside the model's adapter, where every later look finds it.
        About a hundred pages are enough; use other pages to measure.
        """
        from hydra_rag.saliency.calibrate import calibrate as choose
        from hydra_rag.saliency.calibration import calibration_path
        from hydra_rag_agents.gate_choice import calibrated_gate
        from hydra_rag_agents.gaze_eval import boxed_samples

        samples = boxed_samples(folder, limit)
        with cli.model() as model, page_progress(cli.out, "Looks") as tell:
            made = choose(model, samples, progress=tell)
            path = out or calibration_path(model)
            made.save(path)
            if gate:
                with page_progress(cli.out, "Questions") as count:
                    made = replace(made, gate=calibrated_gate(folder, model, made, limit, progress=count))
                made.save(path)
        report: dict[str, Any] = {
            "path": str(path),
            "layers": list(made.layers),
            "generic": made.generic,
            "floor": made.floor,
            "filters": list(made.filters or ()),
            "gate": made.gate,
            "measured": made.measured,
        }

        def human(console: Console) -> None:
            for name, value in report.items():
                console.print(f"{name:<9} {value}", markup=False)

        cli.out.result(report, human)

    @command(group, "gaze", uses=("model",))
    def gaze(
        cli: Cli,
        folder: Folder,
        limit: Limit = None,
        out: Annotated[
            Path | None, typer.Option("--out", dir_okay=False, help="Also write the table as Markdown.")
        ] = None,
        pictures: Annotated[
            Path | None,
            typer.Option("--pictures", file_okay=False, help="Also draw some of the maps, small, into it."),
        ] = None,
        shown: Annotated[int, typer.Option("--shown", min=1, help="So many pictures.")] = 6,
    ) -> None:
        """Compare every way to find where the model looks, with every filter, on pages with boxes."""
        from hydra_rag_agents.gaze_eval import gaze_table, table_markdown
        from hydra_rag_agents.gaze_pictures import GazePictures

        drawn = GazePictures(pictures, shown) if pictures is not None else None
        with cli.model() as model, page_progress(cli.out, "Looks") as tell:
            table = gaze_table(folder, model, limit=limit, pictures=drawn, progress=tell)
        text = table_markdown(table)
        if out is not None:
            out.write_text(text + (drawn.markdown(out) if drawn is not None else ""), encoding="utf-8")
        cli.out.result(table, lambda console: console.print(text, markup=False))
