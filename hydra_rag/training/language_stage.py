"""Stage 2: the decoder learns to read what the vision tower sees, then to answer questions about pages."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from transformers import Qwen3_5ForConditionalGeneration

from hydra_rag.attention import NAME, Collector, collecting, register
from hydra_rag.nano.build import build_model
from hydra_rag.training import checkpoints
from hydra_rag.training.chosen_lines import chosen_samples
from hydra_rag.training.dense import DenseHeads
from hydra_rag.training.feed import feed
from hydra_rag.training.optim import lr_scale, make_optimisers, set_lr
from hydra_rag.training.packing import ASKED, COPY, FIRST, Packed, pack
from hydra_rag.training.samples import Sample, page_sample, read_sample

#: The kinds of batches: short lines, blocks of lines, text without pictures (neighbouring lines; lines of
#: whole pages chosen for a question), small and whole pages.
KINDS = ("lines", "blocks", "text", "chosen", "cards", "pages")
#: What is guided: its layers (first, end) and how many of their heads, the best ones of each batch.
_GUIDED = {ASKED: ("ask", 1, 4, 2), FIRST: ("first", 2, 6, 4), COPY: ("copy", 2, 6, 3)}
_LAYERS = frozenset(range(1, 6))


@dataclass(frozen=True)
class LanguageConfig:
    """``mix``: share of each kind of batch (:data:`KINDS`) at the start and at the end of the stage;
    between them it moves linearly. ``train_vision``: let the tower move. ``guide``: weight of the loss that
    teaches attention where the answer stands."""

    mix: Mapping[str, Sequence[float]]
    minutes: float = 45
    lr: float = 1e-3
    seed: int = 2
    workers: int = 1
    train_vision: bool = False
    decay_from: float = 0.5
    guide: float = 0.3
    bf16: bool = True
    device: str = "cpu"

    def shares(self, done: float) -> list[float]:
        """The share of each kind when ``done`` (0 to 1) of the stage is over."""
        return [(1 - done) * a + done * b for a, b in (self.mix.get(kind, (0.0, 0.0)) for kind in KINDS)]


def draw_samples(index: int, done: float, config: LanguageConfig) -> Packed:
    """Batch ``index`` of the mixture at the share ``done`` of the stage."""
    rng = random.Random(config.seed * 1_000_003 + index)
    kind = rng.choices(KINDS, config.shares(done))[0]
    return pack(_DRAW[kind](rng, done))


def _lines(rng: random.Random, done: float) -> list[Sample]:
    shape = rng.choice(
        ((32, 128), (32, 256), (32, 384), (32, 512), (32, 640), (32, 832), (64, 256), (64, 384))
    )
    return _read(rng, shape, rng.uniform(0.0, 0.5 + 0.3 * done), whole=True)


def _blocks(rng: random.Random, done: float) -> list[Sample]:
    """Lines may be cut by the edges, as in a crop."""
    shape = rng.choice(((64, 256), (64, 512), (96, 320), (128, 256), (160, 160)))
    return _read(rng, shape, rng.uniform(0.1, 0.6 + 0.4 * done))


def _read(rng: random.Random, shape: tuple[int, int], width: float, *, whole: bool = False) -> list[Sample]:
    drawn = [
        read_sample(rng, width, shape, whole=whole)
        for _ in range(max(4, 72_000 // (shape[0] * shape[1] // 8)))
    ]
    return [s for s in drawn if len(s.branches[0].answer) > 1] or drawn[:1]


#: Layouts in which a value has to be told from its neighbours.
_LOOK_UP = ("table", "table", "invoice", "report", "slide", "form")


def _text(rng: random.Random, done: float) -> list[Sample]:
    """Pages of one size as text alone, so that little of the batch is padding."""
    cells = (rng.randint(3, 8 + round(8 * done)), rng.randint(9, 18))
    budget = rng.choice((120, 200, 300, 400))
    count = max(3, 1800 // budget)
    layouts = [rng.choice(_LOOK_UP) if rng.random() < 0.5 else None for _ in range(count)]
    return [
        page_sample(
            rng, cells, size=(16, 22), questions=12, mode="text", wear=0.0, budget=budget, layout=layout
        )
        for layout in layouts
    ]


def _chosen(rng: random.Random, done: float) -> list[Sample]:
    """Whole pages as text alone, some lines of them at a time."""
    samples: list[Sample] = []
    while len(samples) < 10:
        cells = rng.choice(((40, 28), (40, 28), (34, 24), (28, 40), (20, 28)))
        layout = rng.choice(_LOOK_UP) if rng.random() < 0.3 else None
        samples += chosen_samples(rng, cells, prefixes=4, layout=layout)
    return samples[:10]


def _cards(rng: random.Random, done: float) -> list[Sample]:
    """Small pages, from about the size of a crop that a gaze shows."""
    rows = rng.randint(2, 8) if rng.random() < 0.75 else rng.randint(4, 6 + round(8 * done))
    cells = (rows, rng.randint(8, 12 + round(8 * done)))
    mode = "both" if rng.random() < 0.3 else "image"
    wear = rng.choice((0.0, 0.0, 0.5) if done < 0.5 else (0.0, 0.0, 0.5, 1.0))
    count = max(1, min(10, 480 // (cells[0] * cells[1])))
    return [page_sample(rng, cells, size=(15, 22), questions=10, mode=mode, wear=wear) for _ in range(count)]


def _pages(rng: random.Random, done: float) -> list[Sample]:
    cells = rng.choice(((28, 20), (20, 16), (20, 28), (34, 24), (40, 28), (40, 28)))
    mode = "both" if rng.random() < 0.45 else "image"
    wear = rng.choice((0.0, 0.5, 1.0))
    return [page_sample(rng, cells, size=(13, 20), questions=24, mode=mode, wear=wear)]


_DRAW = {
    "lines": _lines,
    "blocks": _blocks,
    "text": _text,
    "chosen": _chosen,
    "cards": _cards,
    "pages": _pages,
}


def forward(
    model: Qwen3_5ForConditionalGeneration,
    batch: Packed,
    *,
    train_vision: bool,
    guide: float = 0.0,
    heads: DenseHeads | None = None,
) -> tuple[torch.Tensor, dict[str, float]]:
    """Loss over the answers (and lightly over the questions), with shares of right answer tokens. ``heads``:
    the tower goes on learning from dense labels."""
    dense: tuple[torch.Tensor, dict[str, float]] | None = None
    inner = model.model
    embeds = inner.language_model.embed_tokens(batch.ids)
    if batch.patches is not None:
        with torch.set_grad_enabled(train_vision and torch.is_grad_enabled()):
            seen = inner.visual(batch.patches, batch.grid)
            cells = seen.pooler_output
        if heads is not None:
            assert batch.labels is not None
            dense = heads(seen, batch.labels)
        where = (batch.ids == model.config.image_token_id)[..., None].expand_as(embeds)
        embeds = embeds.masked_scatter(where, cells.to(embeds.dtype))
    masks = {"full_attention": batch.mask(), "linear_attention": None}
    collector = Collector(_LAYERS, batch.guide_rows)
    with collecting(collector) if guide and batch.guide_rows.numel() else nullcontext():
        hidden = inner.language_model(
            inputs_embeds=embeds, attention_mask=masks, position_ids=batch.positions, use_cache=False
        ).last_hidden_state
    take = batch.weights > 0
    logits = model.lm_head(hidden[take]).float()
    targets, weights = batch.targets[take], batch.weights[take]
    loss = F.cross_entropy(logits, targets, reduction="none")
    full = weights >= 0.2
    right = (logits.argmax(-1) == targets).float()
    stats = {"tok": float(right[full].mean()) if full.any() else 0.0, "exact": _exact(batch, take, right)}
    total = (loss * weights).sum() / weights.sum().clamp_min(1.0)
    if collector.rows:
        looked, shares = guided_loss(collector.rows, batch)
        total, stats = total + guide * looked, {**stats, **shares}
    if dense:
        total, stats = total + dense[0], {**stats, **dense[1]}
    return total, stats


def guided_loss(rows: dict[int, torch.Tensor], batch: Packed) -> tuple[torch.Tensor, dict[str, float]]:
    """Cross entropy between the attention of the best heads and where each kind of row should look, summed
    over the kinds (:data:`_GUIDED`); also the mean attention there. ``rows``: by layer float32
    [B, heads, R, keys]."""
    device = next(iter(rows.values())).device
    places, kinds = batch.guide_places.to(device), batch.guide_kinds.to(device)
    on = {
        layer: torch.einsum("bhrk,brk->hbr", r[..., : places.shape[-1]], places.to(r.dtype))
        for layer, r in rows.items()
    }
    total, shares = torch.zeros((), device=device), {}
    for kind, (name, first, end, heads) in _GUIDED.items():
        mine = kinds == kind
        if not mine.any():
            continue
        mass = torch.cat([on[layer] for layer in range(first, end)])[:, mine]
        mean = mass[mass.detach().mean(1).topk(heads).indices].mean(0)
        total = total - (mean + 1e-6).log().mean()
        shares[name] = float(mean.detach().mean())
    return total, shares


def _exact(batch: Packed, take: torch.Tensor, right: torch.Tensor) -> float:
    """Share of branches whose whole answer is right under teacher forcing."""
    full = torch.zeros_like(batch.weights)
    full[take] = 1.0 - right
    wrong = full * (batch.weights >= 0.2)
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
    heads: DenseHeads | None = None,
) -> Qwen3_5ForConditionalGeneration:
    """Train until ``config.minutes`` are used; resumes from ``folder``. ``model``: the weights to begin
    with; ``heads``: those of the vision stage, where the tower is trained too.
    """
    model = model or build_model(config.seed)
    nn.Module.to(model, config.device)
    if config.guide:
        register()
        model.set_attn_implementation({"text_config": NAME})
    for p in model.model.visual.parameters():
        p.requires_grad_(config.train_vision)
    modules: dict[str, nn.Module] = {"model": model}
    if config.train_vision:
        vision = model.model.visual.config
        heads = heads or DenseHeads(vision.hidden_size, vision.out_hidden_size)
        modules["heads"] = heads.to(config.device)
    optimisers = make_optimisers(modules.values(), config.lr)
    progress = checkpoints.load(folder, modules, optimisers) or {"step": 0, "seconds": 0.0}
    step, seconds = int(progress["step"]), float(progress["seconds"])
    parameters = [p for m in modules.values() for p in m.parameters() if p.requires_grad]
    budget = config.minutes * 60
    refresh = step

    def stream_from(first: int) -> Generator[Packed]:
        done = min(1.0, seconds / budget)
        return feed(lambda i: draw_samples(i, done, config), first=first, workers=config.workers, ahead=4)

    stream = stream_from(step)
    seen: dict[str, list[float]] = {}
    started = time.monotonic() - seconds
    while seconds < budget:
        batch = next(stream).to(config.device)
        set_lr(optimisers, config.lr * lr_scale(seconds / budget, decay_from=config.decay_from))
        with torch.autocast(torch.device(config.device).type, torch.bfloat16, enabled=config.bf16):
            loss, stats = forward(
                model, batch, train_vision=config.train_vision, guide=config.guide, heads=heads
            )
        for optimiser in optimisers:
            optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
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
            checkpoints.save(folder, modules, optimisers, {"step": step, "seconds": seconds})
    checkpoints.save(folder, modules, optimisers, {"step": step, "seconds": seconds})
    return model
