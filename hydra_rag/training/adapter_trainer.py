"""Train a retrieval adapter: LoRA and projection of any backbone, from batches of pages and queries.

The base weights and the vision tower stay as they are, so the answer view is the base model before and after.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from hydra_rag.embedding import RetrievalView, batches, query_prompt
from hydra_rag.errors import ModelError
from hydra_rag.training.contrastive import (
    alignment_loss,
    contrastive_loss,
    draw_groups,
    merged_relevant,
    nearby_scores,
    token_scores,
)
from hydra_rag.training.optim import lr_scale, set_lr
from hydra_rag.training.retrieval_data import RetrievalBatch
from hydra_rag.training.seen_pages import Look, SeenPages, tower_features

if TYPE_CHECKING:
    from hydra_rag.geometry import Grid
    from hydra_rag.model import HydraModel
    from hydra_rag.processor import Prompt
    from hydra_rag.values import QueryItem

#: The learning rate for a model of width ``_WIDE``, and the highest for any.
_WIDE, _WIDE_LR, _HIGHEST_LR = 2048, 5e-4, 2e-3
_LOG_STEPS = 10


@dataclass(frozen=True)
class AdapterTraining:
    """``minutes`` or ``steps``, whichever ends first (0: no limit). ``lr``: of LoRA and projection at its
    highest (``None``: :func:`fitting_lr`). ``save_every`` in seconds. ``align``: weight of the loss on
    batches that tell which cells a query means. ``merge``: up to so many pages of a batch are scored as one
    page in two further losses, of queries and of what they quote (1: none); ``seed`` draws them.
    ``nearby``: of one more loss, with the share of what matches in one place in the score
    (:mod:`hydra_rag.nearby`; 0: none). ``decay_from``: share of the training after which the learning rate
    falls to zero."""

    minutes: float = 20
    steps: int = 0
    lr: float | None = None
    temperature: float = 0.05
    align: float = 0.5
    bf16: bool = False
    page_tokens: int | None = None
    save_every: float = 60.0
    merge: int = 1
    nearby: float = 0.0
    decay_from: float = 0.4
    seed: int = 0


@dataclass(frozen=True)
class Progress:
    """What a training did: the ``losses`` of its steps, the share of each step's queries whose page came
    ``first`` among the pages of the step, and whether the user ``interrupted`` it."""

    losses: list[float]
    first: list[float]
    interrupted: bool = False


def fitting_lr(hidden: int) -> float:
    """Learning rate for a model that is ``hidden`` wide: narrow models bear, and need, larger steps."""
    return min(_HIGHEST_LR, _WIDE_LR * math.sqrt(_WIDE / hidden))


def train_adapter(
    model: HydraModel,
    data: Iterator[RetrievalBatch],
    out: Path,
    config: AdapterTraining,
    log: Callable[[str], None],
    before: tuple[int, float] = (0, 0.0),
) -> Progress:
    """Train the model's present adapter (see ``HydraModel.new_adapter``) and save it to ``out`` as it goes
    and when it is interrupted, which ends it. ``before``: steps and minutes of earlier runs, for the log.

    Raises :class:`ModelError` where the loss is no number any more; what was saved before stays.
    """
    view = model.retrieval
    if view is None:
        raise ValueError("attach an adapter first: HydraModel.new_adapter")
    parameters = view.trainable()
    for parameter in parameters:  # a loaded one has the base model's dtype, too coarse for small steps
        parameter.data = parameter.data.float()
    highest = fitting_lr(view.projection.in_features) if config.lr is None else config.lr
    optimiser = torch.optim.AdamW(parameters, lr=highest, betas=(0.9, 0.98), weight_decay=0.01)
    seen = SeenPages(model, view, config.page_tokens or view.spec.page_tokens)
    rng, progress, logged = random.Random(config.seed), Progress([], []), 0
    started = saved = time.monotonic()

    def tell() -> None:
        nonlocal logged
        count = len(progress.losses)
        recent = slice(logged, count)
        minutes = before[1] + (time.monotonic() - started) / 60
        line = (
            f"retrieval step {before[0] + count} min {minutes:.2f} loss {_mean(progress.losses[recent]):.3f}"
        )
        line += f" first {_mean(progress.first[recent]):.3f}"
        log(line + (f" align {float(looked.detach()):.2f}" if batch.aligned else ""))
        logged = count

    try:
        with torch.enable_grad():
            while True:
                seconds = time.monotonic() - started
                done = max(
                    seconds / (config.minutes * 60) if config.minutes else 0.0,
                    len(progress.losses) / config.steps if config.steps else 0.0,
                )
                if done >= 1.0:
                    break
                set_lr([optimiser], highest * lr_scale(done, warmup=0.03, decay_from=config.decay_from))
                batch = next(data)
                with _autocast(model, config.bf16):
                    queries, pages, grids = _vectors(model, view, batch, seen)
                loss, right, looked = _loss(queries, pages, grids, batch, config, rng)
                value = float(loss.detach())
                if not math.isfinite(value):
                    raise ModelError(
                        f"the training fell apart at step {len(progress.losses) + 1} (loss {value}): run it "
                        f"again with a smaller --lr than {highest:g}; {out} keeps what was saved before"
                    )
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(parameters, 1.0)
                optimiser.step()
                progress.losses.append(value)
                progress.first.append(right)
                if len(progress.losses) == 1 or len(progress.losses) - logged >= _LOG_STEPS:
                    tell()
                if time.monotonic() - saved > config.save_every:
                    model.save_adapter(out)
                    saved = time.monotonic()
    except KeyboardInterrupt:
        progress = replace(progress, interrupted=True)
    if len(progress.losses) > logged:
        tell()
    view.trainable(False)
    if progress.losses:
        model.save_adapter(out)
    return progress


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _loss(
    queries: Sequence[torch.Tensor],
    pages: Sequence[torch.Tensor],
    grids: Sequence[Grid],
    batch: RetrievalBatch,
    config: AdapterTraining,
    rng: random.Random,
) -> tuple[torch.Tensor, float, torch.Tensor]:
    """The sum of all losses, the share of queries with the right page first, the loss of alignment."""
    scores = token_scores(queries, pages)
    loss, right = contrastive_loss(scores.mean(), batch.relevant, config.temperature)
    looked = alignment_loss(queries, pages, batch.aligned, relevant=batch.relevant)
    if config.nearby:
        near = scores.mean() + config.nearby * nearby_scores(queries, pages, grids)
        loss = loss + contrastive_loss(near, batch.relevant, config.temperature)[0]
    if config.merge > 1:
        groups = draw_groups(rng, len(pages), rng.randint(2, config.merge))
        index = torch.tensor(groups, device=scores.best.device)
        relevant = merged_relevant(batch.relevant, groups)
        loss = loss + contrastive_loss(scores.mean(index), relevant, config.temperature)[0]
        spans = [(a.query, a.start, a.start + len(a.cells)) for a in batch.aligned if a.cells]
        if spans:  # what a query quotes must find its page without the rest of the query
            values = scores.parts(spans).mean(index)
            loss = loss + contrastive_loss(values, [relevant[s[0]] for s in spans], config.temperature)[0]
    return loss + config.align * looked, right, looked


def _autocast(model: HydraModel, on: bool) -> AbstractContextManager[object]:
    return torch.autocast(model.device.type, torch.bfloat16, enabled=on)


def _vectors(
    model: HydraModel, view: RetrievalView, batch: RetrievalBatch, seen: SeenPages
) -> tuple[list[torch.Tensor], list[torch.Tensor], list[Grid]]:
    """Multi-vectors of the queries and of the pages, with gradients, and the pages' grids of cells."""
    pages = [seen.look(page) for page in batch.pages]
    queries = look_at_queries(model, view, batch.queries, seen.page_tokens)
    grids = [prompt.images[0].grid for prompt, _ in pages]
    return _embed(view, queries), _embed(view, pages), grids


def look_at_queries(
    model: HydraModel, view: RetrievalView, queries: Sequence[QueryItem], page_tokens: int
) -> list[Look]:
    """Prompts of queries, with the features of their images."""
    prompts = [query_prompt(model.processor, view.spec, item, max_tokens=page_tokens) for item in queries]
    return [(prompt, tower_features(model, view, prompt)) for prompt in prompts]


@torch.no_grad()
def hidden_states(model: HydraModel, batch: RetrievalBatch) -> list[torch.Tensor]:
    """Hidden states that become vectors: float32 [tokens, hidden] of the pages, the same of the queries."""
    view = model.retrieval
    assert view is not None, "attach an adapter first"
    seen = SeenPages(model, view, view.spec.page_tokens)
    pages = [seen.look(page) for page in batch.pages]
    queries = look_at_queries(model, view, batch.queries, seen.page_tokens)
    out = []
    for looks in (pages, queries):
        rows = []
        for prompt, features in looks:
            states = view.hidden([prompt], [features])[0].float()
            kept = slice(None) if prompt.kept is None else list(prompt.kept)
            rows.append(states[kept])
        out.append(torch.cat(rows))
    return out


def _embed(view: RetrievalView, looks: Sequence[Look]) -> list[torch.Tensor]:
    out: list[torch.Tensor | None] = [None] * len(looks)
    prompts = [prompt for prompt, _ in looks]
    words = [i for i, p in enumerate(prompts) if not p.images]
    if words and view.spec.attention == "causal":
        words.sort(key=lambda i: len(prompts[i]))  # equal lengths together: little padding
        for start in range(0, len(words), 32):
            block = words[start : start + 32]
            for i, vectors in zip(block, _padded(view, [prompts[i] for i in block]), strict=True):
                out[i] = vectors
    rest = [i for i in range(len(prompts)) if out[i] is None]
    for members in batches([prompts[i] for i in rest], 16):
        chosen = [rest[k] for k in members]
        hidden = view.forward_hidden([prompts[i] for i in chosen], [looks[i][1] for i in chosen])
        for i, vectors in zip(chosen, hidden, strict=True):
            out[i] = vectors.float()
    return [v for v in out if v is not None]


def _padded(view: RetrievalView, prompts: Sequence[Prompt]) -> list[torch.Tensor]:
    """Text prompts of any lengths in one pass: in a causal model what stands to the right changes nothing."""
    longest = max(len(p) for p in prompts)
    ids = torch.tensor(
        [[*p.token_ids, *[p.token_ids[-1]] * (longest - len(p))] for p in prompts], device=view.device
    )
    positions = torch.arange(longest, device=view.device).expand(3, len(prompts), -1)
    hidden = view.tree(input_ids=ids, position_ids=positions, use_cache=False).last_hidden_state
    vectors = torch.nn.functional.normalize(view.projection(hidden.float()).float(), dim=-1)
    return [vectors[i, : len(p)] for i, p in enumerate(prompts)]
