"""What ``hydra-rag train`` does: run stages of ``nano``, or train an adapter on a user's own pages."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra_rag.errors import UsageError
from hydra_rag.training.nano_stages import STAGES, export, read_config, run_stage

if TYPE_CHECKING:
    import torch

    from hydra_rag.embedding import RetrievalView
    from hydra_rag.model import HydraModel
    from hydra_rag.training.own_data import OwnPages

#: Pages whose hidden states tell how a new projection begins.
_SPREAD_PAGES = 16
#: Visual tokens of a page where a new adapter is trained on a CPU.
_CPU_PAGE_TOKENS = 256


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
    dim: int | None = None, rank: int | None = None, lr: float | None = None, page_tokens: int | None = None,
    seed: int = 0, resume: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """Train a retrieval adapter for ``model`` on the pages and queries of ``data``; saved to ``out``.

    Goes on from ``out`` when it holds an adapter and ``resume`` is set, else from the one beside the model,
    unless that has another ``dim`` or ``rank``; a new one has 128 and 32. ``page_tokens``: visual tokens of a
    page, kept in the adapter for the pages to be indexed with it. Returns steps, first and last mean losses,
    the last share of queries whose page came first in its batch, and whether the user interrupted it.
    """
    from hydra_rag.adapter import AdapterSpec
    from hydra_rag.model import HydraModel
    from hydra_rag.training.adapter_trainer import AdapterTraining, train_adapter
    from hydra_rag.training.own_data import OwnPages

    if not minutes and not steps:
        raise UsageError("the training would never end; give a number of minutes or of steps")
    pages = OwnPages(data)
    path = out.with_name(f"{out.name}.log")
    log = _logger(path)
    engine = HydraModel.load(model, device=device)
    try:
        going_on = resume and (out / "hydra.json").is_file()
        if going_on:
            engine.load_adapter(out)
            _check_shape(engine.retrieval, out, dim, rank)
        else:
            path.unlink(missing_ok=True)  # of another adapter that was here: its curve is not this one's
            if not _fits(engine.retrieval, dim, rank):
                spec = AdapterSpec(dim=dim or 128, page_tokens=page_tokens or _page_tokens(engine.device))
                engine.new_adapter(spec.dim, rank=rank or 32, alpha=rank or 32, seed=seed, spec=spec)
                begin_spread(engine, pages, seed)
        assert engine.retrieval is not None
        if page_tokens is not None:
            engine.retrieval.spec = replace(engine.retrieval.spec, page_tokens=page_tokens)
        before = last_step(path)
        options = AdapterTraining(minutes=minutes, steps=steps, lr=lr, seed=seed)
        batches = pages.batches(seed + before[0], batch)  # another order than in the run before
        done = train_adapter(engine, batches, out, options, log, before)
    finally:
        engine.close()
    tenth = max(1, len(done.losses) // 10)
    curve = draw_curve(path.parent, out.name, title="retrieval adapter")
    return {
        "adapter": str(out),
        "curve": None if curve is None else str(curve),
        "steps": len(done.losses),
        "first_loss": sum(done.losses[:tenth]) / tenth if done.losses else None,
        "last_loss": sum(done.losses[-tenth:]) / tenth if done.losses else None,
        "first_in_batch": sum(done.first[-tenth:]) / tenth if done.first else None,
        "interrupted": done.interrupted,
    }


def _page_tokens(device: torch.device) -> int:
    """Visual tokens of a page for a new adapter: fewer on a CPU, where a training would else end before it
    has seen the pages a few times."""
    from hydra_rag.adapter import AdapterSpec

    return _CPU_PAGE_TOKENS if device.type == "cpu" else AdapterSpec(dim=1).page_tokens


def _rank(view: RetrievalView) -> int:
    return int(next(iter(view.peft_model.peft_config.values())).r)


def _fits(view: RetrievalView | None, dim: int | None, rank: int | None) -> bool:
    return view is not None and dim in (None, view.spec.dim) and rank in (None, _rank(view))


def _check_shape(view: RetrievalView | None, out: Path, dim: int | None, rank: int | None) -> None:
    """Raise :class:`UsageError` where the adapter to go on with is not the one asked for."""
    assert view is not None
    for option, wanted, found in (("--dim", dim, view.spec.dim), ("--rank", rank, _rank(view))):
        if wanted not in (None, found):
            raise UsageError(
                f"{out} holds an adapter with {option} {found}, not {wanted}; give another --out, or "
                f"{option} {found} to go on with it"
            )


def begin_spread(engine: HydraModel, pages: OwnPages, seed: int) -> None:
    """Start the projection of a new adapter from hidden states of some pages and queries, see
    :mod:`hydra_rag.training.first_projection`."""
    from hydra_rag.training.adapter_trainer import hidden_states
    from hydra_rag.training.first_projection import spread_projection

    assert engine.retrieval is not None
    batch = next(pages.batches(seed, _SPREAD_PAGES))
    spread_projection(engine.retrieval.projection, hidden_states(engine, batch))


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


def last_step(path: Path) -> tuple[int, float]:
    """Steps and minutes that the log of an adapter ends with; zeros without one."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for line in reversed(lines):
        parts = line.split()[1:]
        values = dict(zip(parts[::2], parts[1::2], strict=False))
        if "step" in values and "min" in values:
            return int(values["step"]), float(values["min"])
    return 0, 0.0


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
