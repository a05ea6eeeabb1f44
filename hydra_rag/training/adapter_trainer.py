"""Train a retrieval adapter: LoRA and projection of any backbone, from batches of pages and queries.

The base weights and the vision tower stay as they are, so the answer view is the base model before and after.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from hydra_rag.embedding import RetrievalView, batches, page_prompt, query_prompt
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

if TYPE_CHECKING:
    from hydra_rag.geometry import Grid
    from hydra_rag.model import HydraModel
    from hydra_rag.processor import Prompt


@dataclass(frozen=True)
class AdapterTraining:
    """``minutes`` or ``steps``, whichever ends first (0: no limit). ``save_every`` in steps. ``align``:
    weight of the loss on batches that tell which cells a query means. ``merge``: up to so many pages of a
    batch are scored as one page in two further losses, of queries and of what they quote (1: none);
    ``seed`` draws them. ``nearby``: of one more loss, with the share of what matches in one place
    in the score (:mod:`hydra_rag.nearby`; 0: none). ``decay_from``: share of the training after which the
    learning rate falls to zero."""

    minutes: float = 20
    steps: int = 0
    lr: float = 5e-4
    temperature: float = 0.02
    align: float = 0.5
    bf16: bool = False
    page_tokens: int | None = None
    save_every: int = 50
    merge: int = 1
    nearby: float = 0.0
    decay_from: float = 0.4
    seed: int = 0


def train_adapter(
    model: HydraModel,
    data: Iterator[RetrievalBatch],
    out: Path,
    config: AdapterTraining,
    log: Callable[[str], None],
) -> list[float]:
    """Train the model's present adapter (see ``HydraModel.new_adapter``) and save it to ``out`` as it goes.

    Returns the loss of every step.
    """
    view = model.retrieval
    if view is None:
        raise ValueError("attach an adapter first: HydraModel.new_adapter")
    parameters = view.trainable()
    optimiser = torch.optim.AdamW(parameters, lr=config.lr, betas=(0.9, 0.98), weight_decay=0.01)
    started, rng = time.monotonic(), random.Random(config.seed)
    losses: list[float] = []
    hits: list[float] = []
    with torch.enable_grad():
        while True:
            seconds = time.monotonic() - started
            done = max(
                seconds / (config.minutes * 60) if config.minutes else 0.0,
                len(losses) / config.steps if config.steps else 0.0,
            )
            if done >= 1.0:
                break
            set_lr([optimiser], config.lr * lr_scale(done, warmup=0.03, decay_from=config.decay_from))
            batch = next(data)
            with _autocast(model, config.bf16):
                queries, pages, grids = _vectors(model, view, batch, config.page_tokens)
            loss, right, looked = _loss(queries, pages, grids, batch, config, rng)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            losses.append(float(loss.detach()))
            hits.append(right)
            if len(losses) % 10 == 0:
                recent = f"loss {sum(losses[-10:]) / 10:.3f} first {sum(hits[-10:]) / 10:.3f}"
                looking = f"align {float(looked.detach()):.2f}"
                log(f"retrieval step {len(losses)} min {seconds / 60:.1f} {recent} {looking}")
            if len(losses) % config.save_every == 0:
                model.save_adapter(out)
    view.trainable(False)
    model.save_adapter(out)
    return losses


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
    model: HydraModel, view: RetrievalView, batch: RetrievalBatch, page_tokens: int | None
) -> tuple[list[torch.Tensor], list[torch.Tensor], list[Grid]]:
    """Multi-vectors of the queries and of the pages, with gradients, and the pages' grids of cells."""
    budget = page_tokens or view.spec.page_tokens
    pages = [page_prompt(model.processor, view.spec, image, max_tokens=budget) for image in batch.pages]
    queries = [query_prompt(model.processor, view.spec, item, max_tokens=budget) for item in batch.queries]
    grids = [page.images[0].grid for page in pages]
    return _embed(model, view, queries), _embed(model, view, pages), grids


def _embed(model: HydraModel, view: RetrievalView, prompts: Sequence[Prompt]) -> list[torch.Tensor]:
    out: list[torch.Tensor | None] = [None] * len(prompts)
    words = [i for i, p in enumerate(prompts) if not p.images]
    if words and view.spec.attention == "causal":
        words.sort(key=lambda i: len(prompts[i]))  # equal lengths together: little padding
        for start in range(0, len(words), 32):
            block = words[start : start + 32]
            for i, vectors in zip(block, _padded(view, [prompts[i] for i in block]), strict=True):
                out[i] = vectors
        rest = [i for i in range(len(prompts)) if out[i] is None]
    else:
        rest = list(range(len(prompts)))
    some = [prompts[i] for i in rest]
    for members in batches(some, 16):
        features = []
        with torch.no_grad():
            for k in members:
                features.append(
                    [
                        model.vision.features(model.base_model, [image], view.device)[0]
                        for image in some[k].images
                    ]
                )
        for k, vectors in zip(
            members, view.forward_hidden([some[k] for k in members], features), strict=True
        ):
            out[rest[k]] = vectors.float()
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
