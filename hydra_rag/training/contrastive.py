"""The late-interaction contrastive loss (ColBERT, Khattab and Zaharia 2020; in-batch form as in ColPali)."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from hydra_rag.nearby import widened
from hydra_rag.training.retrieval_data import Alignment

if TYPE_CHECKING:
    from hydra_rag.geometry import Grid


@dataclass(frozen=True)
class TokenScores:
    """``best``: float32 [query tokens, pages], every token's best similarity on every page; ``owner``: the
    query of each token; ``lengths``: tokens of each query."""

    best: torch.Tensor
    owner: torch.Tensor
    lengths: torch.Tensor

    def mean(self, groups: torch.Tensor | None = None) -> torch.Tensor:
        """Mean over query tokens: float32 [queries, pages]. With ``groups``, int64 [groups, size] of page
        numbers: [queries, groups], each group scored as the one page that shows all of its pages."""
        best = self.best if groups is None else self.best[:, groups].amax(2)
        sums = torch.zeros(len(self.lengths), best.shape[1], device=best.device)
        return sums.index_add(0, self.owner, best) / self.lengths[:, None]

    def parts(self, spans: Sequence[tuple[int, int, int]]) -> TokenScores:
        """Parts of queries as queries of their own: (query, first token, end) each, none of them empty."""
        starts = (self.lengths.cumsum(0) - self.lengths).tolist()
        rows = [starts[query] + i for query, first, end in spans for i in range(first, end)]
        lengths = torch.tensor([end - first for _, first, end in spans], device=self.lengths.device)
        owner = torch.repeat_interleave(torch.arange(len(spans), device=lengths.device), lengths)
        return TokenScores(self.best[rows], owner, lengths)


def token_scores(queries: Sequence[torch.Tensor], pages: Sequence[torch.Tensor]) -> TokenScores:
    """``queries``, ``pages``: float32 [tokens, dim], L2-normalised, any lengths. Differentiable; nothing is
    padded.
    """
    stacked = torch.cat(list(queries)).float()
    lengths = torch.tensor([len(q) for q in queries], device=stacked.device)
    owner = torch.repeat_interleave(torch.arange(len(queries), device=stacked.device), lengths)
    best = torch.stack([(stacked @ page.float().T).amax(1) for page in pages], 1)
    return TokenScores(best, owner, lengths)


def score_matrix(queries: Sequence[torch.Tensor], pages: Sequence[torch.Tensor]) -> torch.Tensor:
    """Mean over query tokens of the best similarity: float32 [queries, pages]."""
    return token_scores(queries, pages).mean()


def nearby_scores(
    queries: Sequence[torch.Tensor], pages: Sequence[torch.Tensor], grids: Sequence[Grid]
) -> torch.Tensor:
    """:func:`hydra_rag.nearby.nearby_score` of every query and page, differentiable, as a mean over tokens:
    float32 [queries, pages]. ``pages``: float32 [rows * cols, dim] each, of ``grids``."""
    stacked = torch.cat(list(queries)).float()
    lengths = torch.tensor([len(q) for q in queries], device=stacked.device)
    owner = torch.repeat_interleave(torch.arange(len(queries), device=stacked.device), lengths)
    out = []
    for page, grid in zip(pages, grids, strict=True):
        near = widened((stacked @ page.float().T).view(-1, grid.rows, grid.cols)).flatten(1)
        sums = torch.zeros(len(lengths), near.shape[1], device=near.device).index_add(0, owner, near)
        out.append((sums / lengths[:, None]).amax(1))
    return torch.stack(out, 1)


def merged_relevant(relevant: Sequence[Sequence[int]], groups: Sequence[Sequence[int]]) -> list[list[int]]:
    """For every query the groups that hold one of its relevant pages."""
    return [[g for g, pages in enumerate(groups) if set(pages) & set(found)] for found in relevant]


def draw_groups(rng: random.Random, pages: int, size: int) -> list[list[int]]:
    """About ``pages`` groups of ``size`` pages (smaller ones, where fewer than three would be left), every
    page in ``size`` of them: as hard to tell apart as large pages, for the price of small ones."""
    size = max(1, min(size, pages // 3))
    groups = []
    for _ in range(size):
        order = rng.sample(range(pages), pages)
        groups += [order[min(i, pages - size) :][:size] for i in range(0, pages, size)]
    return groups


def contrastive_loss(
    scores: torch.Tensor, relevant: Sequence[Sequence[int]], temperature: float = 0.02
) -> tuple[torch.Tensor, float]:
    """Cross entropy of every query's best relevant page against the pages that are not relevant to it.

    Returns the loss and the share of queries whose highest page is relevant.
    """
    mask = torch.zeros_like(scores, dtype=torch.bool)
    for i, pages in enumerate(relevant):
        mask[i, list(pages)] = True
    positive = scores.masked_fill(~mask, -torch.inf).amax(1, keepdim=True)
    logits = torch.cat([positive, scores.masked_fill(mask, -torch.inf)], 1) / temperature
    right = mask.gather(1, scores.argmax(1, keepdim=True)).float().mean()
    target = torch.zeros(len(scores), dtype=torch.long, device=scores.device)
    return F.cross_entropy(logits, target), float(right)


def alignment_loss(
    queries: Sequence[torch.Tensor],
    pages: Sequence[torch.Tensor],
    aligned: Sequence[Alignment],
    temperature: float = 0.05,
    relevant: Sequence[Sequence[int]] | None = None,
) -> torch.Tensor:
    """Cross entropy between the similarities of a query's characters to a page's cells and the cells that
    show them: what makes the similarity map point at the words asked for. With ``relevant`` pages of every
    query the cells of all pages compete, those of other relevant pages left out. Zero without alignments."""
    losses = []
    ends = list(itertools.accumulate(len(page) for page in pages))
    every = torch.cat(list(pages)) if relevant is not None and aligned else torch.empty(0)
    for one in aligned:
        kept = [(one.start + k, cells) for k, cells in enumerate(one.cells) if cells]
        if not kept or kept[-1][0] >= len(queries[one.query]):
            continue
        first = 0 if relevant is None else ends[one.page] - len(pages[one.page])
        where = pages[one.page] if relevant is None else every
        there = torch.zeros(len(kept), len(where), dtype=torch.bool, device=where.device)
        for row, (_, cells) in enumerate(kept):
            there[row, [first + cell for cell in cells]] = True
        rows = queries[one.query][[at for at, _ in kept]]
        logits = (rows @ where.T).float() / temperature
        for page in relevant[one.query] if relevant is not None else ():
            if page != one.page:
                logits[:, ends[page] - len(pages[page]) : ends[page]] = -torch.inf
        logs = torch.log_softmax(logits, dim=1)
        losses.append(-logs.masked_fill(~there, -torch.inf).logsumexp(1).mean())
    return torch.stack(losses).mean() if losses else torch.zeros(())
