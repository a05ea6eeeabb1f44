"""Dense labels: which characters stand in every pixel patch, every merged cell and every row of patches.

They teach a small tower to read where the answers alone do not: the vision stage learns from them only, the
joint stage keeps them beside the answers. The head of the rows is shipped: it reads pages
(:mod:`hydra_rag.reading`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from hydra_rag.nano.alphabet import ALPHABET
from hydra_rag.reading import ReadingHead, collapse
from hydra_rag.training.blocks import CELL_SLOTS, CLASSES, PATCH_SLOTS, Block


@dataclass(frozen=True)
class DenseLabels:
    """Of a batch of pictures, one after the other. ``grid`` int64 [pictures, 3] in patches; ``patches`` int64
    [P, slots] and ``cells`` int64 [P / 4, slots]: their characters; ``rows``: the text of every row of
    patches as classes, ``None`` where it is not to be learned."""

    grid: torch.Tensor
    patches: torch.Tensor
    cells: torch.Tensor
    rows: list[list[int] | None]

    @classmethod
    def of(cls, blocks: Sequence[Block], grid: torch.Tensor) -> DenseLabels:
        patches = np.concatenate([b.patch_labels for b in blocks]).astype(np.int64)
        cells = np.concatenate([b.cell_labels for b in blocks]).astype(np.int64)
        rows = [row for b in blocks for row in b.rows]
        return cls(grid, torch.from_numpy(patches), torch.from_numpy(cells), rows)

    def to(self, device: str) -> DenseLabels:
        return replace(self, patches=self.patches.to(device), cells=self.cells.to(device))


class DenseHeads(nn.Module):
    """Readers of the vision tower. Those of patches and cells are used in training only."""

    def __init__(self, hidden: int, out: int) -> None:
        super().__init__()
        self.patch_head = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, PATCH_SLOTS * CLASSES))
        self.cell_head = nn.Linear(out, CELL_SLOTS * CLASSES)
        self.reader = ReadingHead(hidden, ALPHABET)

    def forward(self, seen: Any, labels: DenseLabels) -> tuple[torch.Tensor, dict[str, float]]:
        """The sum of the three losses, and the shares of right characters (``patch``, ``cell``) and of rows
        read whole. ``seen``: the tower's output."""
        states = seen.last_hidden_state
        by_patch = self.patch_head(states).view(-1, PATCH_SLOTS, CLASSES)
        by_cell = self.cell_head(seen.pooler_output).view(-1, CELL_SLOTS, CLASSES)
        patch, patch_right = slots_loss(by_patch, labels.patches)
        cell, cell_right = slots_loss(by_cell, labels.cells)
        rows, rows_right = rows_loss(self.reader(states, labels.grid), labels.rows)
        stats = {"patch": patch_right, "cell": cell_right, "rows": rows_right, "ctc": float(rows.detach())}
        return patch + cell + rows, stats


def slots_loss(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Cross entropy over slots (empty slots weigh a fifth) and the share of right characters."""
    flat, want = logits.float().reshape(-1, logits.shape[-1]), labels.reshape(-1)
    loss = F.cross_entropy(flat, want, reduction="none")
    weight = torch.where(want > 0, 1.0, 0.2)
    with torch.no_grad():
        there = want > 0
        right = float((flat.argmax(-1)[there] == want[there]).float().mean()) if there.any() else 0.0
    return (loss * weight).sum() / weight.sum(), right


def rows_loss(logits: list[torch.Tensor], rows: list[list[int] | None]) -> tuple[torch.Tensor, float]:
    """Connectionist temporal classification over rows of patches, a character; and the share of rows with
    text that greedy reading gets whole. ``logits``: by picture [rows, steps, classes]."""
    flat = [row for picture in logits for row in picture]
    # Half of all rows are empty; a third of them is enough to learn to be silent.
    taken = [
        (row, target)
        for i, (row, target) in enumerate(zip(flat, rows, strict=True))
        if target or (target is not None and i % 3 == 0)
    ]
    lengths = [len(row) for row, _ in taken]
    sizes = [len(target) for _, target in taken]
    scores = nn.utils.rnn.pad_sequence([row for row, _ in taken]).float().log_softmax(-1)
    targets = torch.tensor([c for _, target in taken for c in target], device=scores.device)
    loss = F.ctc_loss(
        scores, targets, torch.tensor(lengths), torch.tensor(sizes), reduction="sum", zero_infinity=True
    )
    best = scores.detach().argmax(-1).T.tolist()
    read = [[c for c, _ in collapse(row[:n])] for row, n in zip(best, lengths, strict=True)]
    right = [got == target for got, (_, target) in zip(read, taken, strict=True) if target]
    return loss / max(1, len(targets)), sum(right) / max(1, len(right))
