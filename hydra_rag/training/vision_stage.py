"""Stage 1: teach the vision tower to read, from dense labels on every pixel patch and every merged cell."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import Qwen3_5ForConditionalGeneration

from hydra_rag.nano.build import build_model
from hydra_rag.training import checkpoints
from hydra_rag.training.blocks import Recipe, labelled, make_block, patchify
from hydra_rag.training.dense import DenseHeads, DenseLabels
from hydra_rag.training.documents import make_page
from hydra_rag.training.feed import feed
from hydra_rag.training.optim import lr_scale, make_optimisers, set_lr

Batch = tuple[torch.Tensor, DenseLabels]
LOG_EVERY = 20


@dataclass(frozen=True)
class VisionConfig:
    minutes: float = 45
    lr: float = 2e-3
    batch: int = 32
    seed: int = 1
    workers: int = 1
    advance_at: float = 0.70
    bf16: bool = True
    device: str = "cpu"


def make_batch(index: int, width: float, config: VisionConfig) -> Batch:
    rng = random.Random(config.seed * 1_000_003 + index)
    if width > 0.4 and rng.random() < 0.45:  # whole pages: more context, blank areas, layout
        shape = rng.choice(((320, 448), (448, 640), (640, 448), (896, 640)))
        pages = [
            make_page(rng, shape[1], shape[0], size=(12, 23), wear=rng.choice((0.0, 0.0, 0.5, width)))
            for _ in range(_pages(shape, config.batch))
        ]
        blocks = [labelled(np.asarray(page.image, np.uint8), page.runs) for page in pages]
    else:
        shape = (128, 256) if rng.random() < 0.7 else (256, 128) if rng.random() < 0.5 else (64, 512)
        blocks = [
            make_block(rng, Recipe(width * rng.uniform(0.3, 1.0) if rng.random() < 0.6 else width, shape))
            for _ in range(config.batch)
        ]
    pixels = torch.from_numpy(np.concatenate([patchify(b.pixels) for b in blocks]))
    grid = torch.tensor([[1, shape[0] // 16, shape[1] // 16]] * len(blocks))
    return pixels, DenseLabels.of(blocks, grid)


def _pages(shape: tuple[int, int], batch: int) -> int:
    """Pages of ``shape`` that hold about as many patches as ``batch`` blocks."""
    return max(1, batch * 128 * 256 // (shape[0] * shape[1]))


def train_vision(
    folder: Path,
    config: VisionConfig,
    log: Callable[[str], None],
    *,
    model: Qwen3_5ForConditionalGeneration | None = None,
    heads: DenseHeads | None = None,
) -> None:
    """Train until ``config.minutes`` of training time are used; resumes from ``folder`` when it holds a
    state. ``model``, ``heads``: the weights to begin with; random ones by default."""
    model = model or build_model(config.seed)
    tower = model.model.visual.to(config.device)
    heads = heads or DenseHeads(tower.config.hidden_size, tower.config.out_hidden_size)
    heads = heads.to(config.device)
    modules: dict[str, nn.Module] = {"visual": tower, "heads": heads}
    optimisers = make_optimisers(modules.values(), config.lr)
    progress = checkpoints.load(folder, modules, optimisers) or {"step": 0, "seconds": 0.0, "width": 0.0}
    step, seconds, width = int(progress["step"]), float(progress["seconds"]), float(progress["width"])

    def batches(first: int, at: float) -> Generator[Batch]:
        return feed(lambda i: make_batch(i, at, config), first=first, workers=config.workers, ahead=3)

    stream = batches(step, width)
    seen: dict[str, float] = {}
    budget = config.minutes * 60
    started = time.monotonic() - seconds
    while seconds < budget:
        drawn, labels = next(stream)
        pixels, labels = drawn.to(config.device), labels.to(config.device)
        set_lr(optimisers, config.lr * lr_scale(seconds / budget))
        with torch.autocast(torch.device(config.device).type, torch.bfloat16, enabled=config.bf16):
            loss, stats = heads(tower(pixels, labels.grid.to(config.device)), labels)
        for optimiser in optimisers:
            optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_([p for m in modules.values() for p in m.parameters()], 1.0)
        for optimiser in optimisers:
            optimiser.step()
        step += 1
        seconds = time.monotonic() - started
        for key, value in (("loss", float(loss.detach())), *stats.items()):
            seen[key] = seen.get(key, 0.0) + value / LOG_EVERY
        if step % LOG_EVERY == 0:
            figures = " ".join(f"{key} {value:.3f}" for key, value in seen.items())
            log(f"vision step {step} min {seconds / 60:.1f} width {width:.2f} {figures}")
            if seen["cell"] >= config.advance_at and width < 1.0:
                width = min(1.0, width + 0.1)
                stream.close()
                stream = batches(step, width)
            seen = {}
        if step % 200 == 0:
            checkpoints.save(folder, modules, optimisers, {"step": step, "seconds": seconds, "width": width})
    checkpoints.save(folder, modules, optimisers, {"step": step, "seconds": seconds, "width": width})
