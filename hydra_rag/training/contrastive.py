"""The late-interaction contrastive loss (ColBERT, Khattab and Zaharia 2020; in-batch form as in ColPali)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from hydra_rag.training.retrieval_data import Alignment


def score_matrix(queries: Sequence[torch.Tensor], pages: Sequence[torch.Tensor]) -> torch.Tensor:
    """Mean over query tokens of the best similarity: float32 [queries, pages].

    ``queries``, ``pages``: float32 [tokens, dim], L2-normalised, any lengths. Differentiable; nothing is
    padded.
    """
    lengths = torch.tensor([len(q) for q in queries])
    stacked = torch.cat(list(queries))
    owner = torch.repeat_interleave(torch.arange(len(queries)), lengths).to(stacked.device)
    columns = []
    for page in pages:
        best = (stacked @ page.T).amax(1).float()
        sums = torch.zeros(len(queries), device=best.device).index_add(0, owner, best)
        columns.append(sums / lengths.to(best.device))
    return torch.stack(columns, 1)


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
) -> torch.Tensor:
    """Cross entropy between the similarities of a query's characters to a page's cells and the cells that
    show them: what makes the similarity map point at the words asked for. Zero without alignments."""
    losses = []
    for one in aligned:
        kept = [(one.start + k, cells) for k, cells in enumerate(one.cells) if cells]
        page = pages[one.page]
        if not kept or kept[-1][0] >= len(queries[one.query]):
            continue
        there = torch.zeros(len(kept), len(page), dtype=torch.bool, device=page.device)
        for row, (_, cells) in enumerate(kept):
            there[row, list(cells)] = True
        rows = queries[one.query][[at for at, _ in kept]]
        logs = torch.log_softmax((rows @ page.T).float() / temperature, dim=1)
        losses.append(-logs.masked_fill(~there, -torch.inf).logsumexp(1).mean())
    return torch.stack(losses).mean() if losses else torch.zeros(())
