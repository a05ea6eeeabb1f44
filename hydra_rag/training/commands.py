"""What ``hydra-rag train`` does: run stages of ``nano``, or train an adapter on a user's own pages."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra_rag.errors import UsageError
from hydra_rag.training.nano_stages import STAGES, export, read_config, run_stage


def _logger(path: Path) -> Callable[[str], None]:
    path.parent.mkdir(parents=True, exist_ok=True)

    def log(line: str) -> None:
        with path.open("a", encoding="utf-8") as out:
            out.write(line + "\n")
        print(line, file=sys.stderr, flush=True)

    return log


def train_nano(
    run: Path,
    stage: str,
    *,
    config: Path | None = None,
    device: str = "cpu",
    minutes: float | None = None,
    workers: int | None = None,
) -> dict[str, Any]:
    """Run one stage, or ``"all"`` in order, then ``"export"``. Resumes from ``run``.

    Returns ``{"stages": [...], "run": path, "weights": path | None}``.
    """
    chosen = list(STAGES) if stage == "all" else [stage]
    if stage not in ("all", "export", *STAGES):
        raise UsageError(f"unknown stage {stage!r}; choose one of: all, {', '.join(STAGES)}, export")
    settings = read_config(config)
    for one in [] if stage == "export" else chosen:
        run_stage(
            one, run, settings, _logger(run / f"{one}.log"), device=device, minutes=minutes, workers=workers
        )
        draw_curve(run, one)
    weights = None
    if stage in ("all", "export"):
        weights = run / "weights"
        export(run, weights)
    return {"stages": chosen, "run": str(run), "weights": None if weights is None else str(weights)}


def train_adapter_on(
    data: Path, out: Path, *, model: str, device: str = "auto", minutes: float = 20, steps: int = 0, batch:
    int = 8,
    dim: int | None = None, rank: int = 32, lr: float = 5e-4, page_tokens: int | None = None, seed: int = 0,
    resume: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """Train a retrieval adapter for ``model`` on the pages and queries of ``data``; saved to ``out``.

    Goes on from ``out`` when it holds an adapter and ``resume`` is set, else from the one beside the model,
    unless that has another ``dim``; a new one has 128. ``page_tokens``: visual tokens of a page, kept in the
    adapter for the pages to be indexed with it. Returns first and last mean losses.
    """
    from hydra_rag.model import HydraModel
    from hydra_rag.training.adapter_trainer import AdapterTraining, train_adapter
    from hydra_rag.training.own_data import OwnPages

    if not minutes and not steps:
        raise UsageError("the training would never end; give a number of minutes or of steps")
    pages = OwnPages(data)
    engine = HydraModel.load(model, device=device)
    try:
        if resume and (out / "hydra.json").is_file():
            engine.load_adapter(out)
        elif engine.retrieval is None or dim not in (None, engine.retrieval.spec.dim):
            engine.new_adapter(dim or 128, rank=rank, alpha=rank, seed=seed)
        assert engine.retrieval is not None
        if dim not in (None, engine.retrieval.spec.dim):
            raise UsageError(
                f"{out} holds an adapter with vectors of {engine.retrieval.spec.dim} numbers, not {dim}; "
                f"give another --out, or --dim {engine.retrieval.spec.dim} to go on with it"
            )
        if page_tokens is not None:
            engine.retrieval.spec = replace(engine.retrieval.spec, page_tokens=page_tokens)
        options = AdapterTraining(minutes=minutes, steps=steps, lr=lr)
        log = out.with_name(f"{out.name}.log")
        losses = train_adapter(engine, pages.batches(seed, batch), out, options, _logger(log))
    finally:
        engine.close()
    tenth = max(1, len(losses) // 10)
    curve = draw_curve(log.parent, out.name, title="retrieval adapter")
    return {
        "adapter": str(out),
        "curve": None if curve is None else str(curve),
        "steps": len(losses),
        "first_loss": sum(losses[:tenth]) / tenth if losses else None,
        "last_loss": sum(losses[-tenth:]) / tenth if losses else None,
    }


def draw_curve(run: Path, stage: str, title: str | None = None) -> Path | None:
    """A picture of the stage's log, ``run/<stage>.png``; needs matplotlib (extra ``train``)."""
    try:
        import matplotlib
    except ImportError:
        return None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    series = read_log(run / f"{stage}.log")
    if not series:
        return None
    figure, axes = pyplot.subplots(figsize=(8, 4))
    for name, points in sorted(series.items()):
        if name != "width":
            axes.plot([m for m, _ in points], [v for _, v in points], label=name)
    axes.set_xlabel("minutes")
    axes.set_title(title or f"nano: {stage}")
    axes.legend(fontsize=7)
    figure.tight_layout()
    target = run / f"{stage}.png"
    figure.savefig(target, dpi=110)
    pyplot.close(figure)
    return target


def read_log(path: Path) -> dict[str, list[tuple[float, float]]]:
    """Values by name over minutes, from the log lines of a stage."""
    series: dict[str, list[tuple[float, float]]] = {}
    for line in path.read_text().splitlines() if path.is_file() else ():
        parts = line.split()[1:]
        values = dict(zip(parts[::2], parts[1::2], strict=False))
        minute = float(values.pop("min", 0))
        values.pop("step", None)
        for name, value in values.items():
            series.setdefault(name, []).append((minute, float(value)))
    return series
