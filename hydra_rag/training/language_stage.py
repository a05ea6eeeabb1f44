"""Stage 2: the decoder learns to read what the vision tower sees, then to answer questions about pages."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from transformers import Qwen3_5ForConditionalGeneration

from hydra_rag.nano.build import build_model
from hydra_rag.training import checkpoints
from hydra_rag.training.feed import feed
from hydra_rag.training.optim import lr_scale, make_optimisers, set_lr
from hydra_rag.training.packing import Packed, pack
from hydra_rag.training.samples import Sample, page_sample, read_sample


@dataclass(frozen=True)
class LanguageConfig:
    """``phase``: "text" (no pictures: the decoder alone) or "pages". ``train_vision``: let the tower move."""

    minutes: float = 45
    lr: float = 1e-3
    seed: int = 2
    workers: int = 1
    phase: str = "pages"
    train_vision: bool = False
    start: float = 0.0
    decay_from: float = 0.5
    bf16: bool = True
    device: str = "cpu"


def draw_samples(index: int, done: float, config: LanguageConfig) -> Packed:
    """The mixture at the share ``done`` of the stage: single lines and short texts first, because copying
    has to
    be learned before anything can be looked up; then cards; whole pages last."""
    rng = random.Random(config.seed * 1_000_003 + index)
    if config.phase == "text":
        return pack(_text_samples(rng, 6, (14, 14)))
    r = rng.random()
    early = done < 0.55
    if r < (0.5 if early else 0.2):
        return pack(_read_samples(rng, early))
    if r < (0.7 if early else 0.32):
        return pack(_text_samples(rng, 8 if early else 4, (6, 12) if early else (14, 14)))
    mode = "both" if rng.random() < (0.35 if done > 0.75 else 0.2) else "image"
    if done > 0.75 and rng.random() < 0.35:
        cells = rng.choice(((28, 20), (28, 20), (28, 20), (20, 28), (34, 24), (40, 28)))
        return pack(
            [
                page_sample(
                    rng, cells, size=(11, 20), questions=20, mode=mode, wear=rng.choice((0.0, 0.5, 1.0))
                )
            ]
        )
    rows, cols = (
        (rng.randint(2, 6), rng.randint(8, 12)) if early else (rng.randint(4, 16), rng.randint(8, 16))
    )
    count = max(1, min(10, 420 // (rows * cols)))
    wear = rng.choice((0.0, 0.0, 0.5) if early else (0.0, 0.5, 1.0))
    return pack(
        [
            page_sample(rng, (rows, cols), size=(15, 22), questions=10, mode=mode, wear=wear)
            for _ in range(count)
        ]
    )


def _text_samples(rng: random.Random, count: int, largest: tuple[int, int]) -> list[Sample]:
    return [
        page_sample(
            rng,
            (rng.randint(3, largest[0]), rng.randint(8, largest[1])),
            size=(16, 22),
            questions=8,
            mode="text",
            wear=0.0,
        )
        for _ in range(count)
    ]


def _read_samples(rng: random.Random, early: bool) -> list[Sample]:
    shapes = (
        ((32, 256), (32, 384), (32, 512), (64, 256))
        if early
        else ((64, 256), (64, 512), (96, 320), (128, 256), (32, 512), (160, 160))
    )
    shape = rng.choice(shapes)
    width = rng.uniform(0.0, 0.5) if early else rng.uniform(0.2, 1.0)
    drawn = [read_sample(rng, width, shape) for _ in range(max(4, 72_000 // (shape[0] * shape[1] // 8)))]
    return [s for s in drawn if len(s.branches[0].answer) > 1] or drawn[:1]


def forward(
    model: Qwen3_5ForConditionalGeneration, batch: Packed, *, train_vision: bool
) -> tuple[torch.Tensor, dict[str, float]]:
    """Loss over the answers (and lightly over the questions), with shares of right answer tokens."""
    inner = model.model
    embeds = inner.language_model.embed_tokens(batch.ids)
    if batch.patches is not None:
        with torch.set_grad_enabled(train_vision and torch.is_grad_enabled()):
            cells = inner.visual(batch.patches, batch.grid).pooler_output
        where = (batch.ids == model.config.image_token_id)[..., None].expand_as(embeds)
        embeds = embeds.masked_scatter(where, cells.to(embeds.dtype))
    masks = {"full_attention": batch.mask(), "linear_attention": None}
    hidden = inner.language_model(
        inputs_embeds=embeds, attention_mask=masks, position_ids=batch.positions, use_cache=False
    ).last_hidden_state
    take = batch.weights > 0
    logits = model.lm_head(hidden[take]).float()
    targets, weights = batch.targets[take], batch.weights[take]
    loss = F.cross_entropy(logits, targets, reduction="none")
    full = weights >= 1.0
    right = (logits.argmax(-1) == targets).float()
    stats = {"tok": float(right[full].mean()) if full.any() else 0.0, "exact": _exact(batch, take, right)}
    return (loss * weights).sum() / weights.sum().clamp_min(1.0), stats


def _exact(batch: Packed, take: torch.Tensor, right: torch.Tensor) -> float:
    """Share of branches whose whole answer is right under teacher forcing."""
    full = torch.zeros_like(batch.weights)
    full[take] = 1.0 - right
    wrong = full * (batch.weights >= 1.0)
    hits = total = 0
    for b in range(len(batch.ids)):
        for k in range(1, int(batch.branch_of[b].max()) + 1):
            mine = batch.branch_of[b] == k
            total += 1
            hits += int(wrong[b][mine].sum() == 0)
    return hits / max(1, total)


def train_language(
    folder: Path,
    config: LanguageConfig,
    log: Callable[[str], None],
    *,
    model: Qwen3_5ForConditionalGeneration | None = None,
) -> Qwen3_5ForConditionalGeneration:
    """Train until ``config.minutes`` are used; resumes from ``folder``. ``model``: the weights to begin
    with.
    """
    model = model or build_model(config.seed)
    nn.Module.to(model, config.device)
    for p in model.model.visual.parameters():
        p.requires_grad_(config.train_vision)
    trained: list[nn.Module] = [model]
    optimisers = make_optimisers(trained, config.lr)
    progress = checkpoints.load(folder, {"model": model}, optimisers) or {"step": 0, "seconds": 0.0}
    step, seconds = int(progress["step"]), float(progress["seconds"])
    budget = config.minutes * 60
    refresh = step

    def stream_from(first: int) -> Generator[Packed]:
        done = config.start + (1 - config.start) * seconds / budget
        return feed(lambda i: draw_samples(i, done, config), first=first, workers=config.workers, ahead=4)

    stream = stream_from(step)
    seen: dict[str, list[float]] = {}
    started = time.monotonic() - seconds
    while seconds < budget:
        batch = next(stream).to(config.device)
        set_lr(optimisers, config.lr * lr_scale(seconds / budget, decay_from=config.decay_from))
        with torch.autocast(torch.device(config.device).type, torch.bfloat16, enabled=config.bf16):
            loss, stats = forward(model, batch, train_vision=config.train_vision)
        for optimiser in optimisers:
            optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
        for optimiser in optimisers:
            optimiser.step()
        step += 1
        seconds = time.monotonic() - started
        kind = "text" if batch.patches is None else "read" if int(batch.branch_of.max()) == 1 else "page"
        for name, value in (("loss", float(loss.detach())), *stats.items()):
            seen.setdefault(f"{kind}.{name}", []).append(value)
        if step % 50 == 0:
            log(
                f"language step {step} min {seconds / 60:.1f} "
                + " ".join(f"{k} {sum(v) / len(v):.3f}" for k, v in sorted(seen.items()))
            )
            seen = {}
        if step - refresh >= 150:  # the mixture moves with progress
            refresh = step
            stream.close()
            stream = stream_from(step)
        if step % 200 == 0:
            checkpoints.save(folder, {"model": model}, optimisers, {"step": step, "seconds": seconds})
    checkpoints.save(folder, {"model": model}, optimisers, {"step": step, "seconds": seconds})
    return model
