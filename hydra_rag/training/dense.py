"""Dense labels: which characters stand in every pixel patch and every merged cell.

They teach a small tower to read where the answers alone do not: the vision stage learns from them only, the
joint stage keeps them beside the answers.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from hydra_rag.training.blocks import CELL_SLOTS, CLASSES, PATCH_SLOTS


class DenseHeads(nn.Module):
    """Auxiliary readers of the vision tower; used in training only and never shipped."""

    def __init__(self, hidden: int, out: int) -> None:
        super().__init__()
        self.patch_head = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, PATCH_SLOTS * CLASSES))
        self.cell_head = nn.Linear(out, CELL_SLOTS * CLASSES)

    def forward(self, patches: torch.Tensor, cells: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        p = self.patch_head(patches).view(-1, PATCH_SLOTS, CLASSES)
        return p, self.cell_head(cells).view(-1, CELL_SLOTS, CLASSES)


def dense_loss(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Cross entropy over slots (empty slots weigh a fifth) and the share of right characters."""
    flat, want = logits.float().reshape(-1, logits.shape[-1]), labels.reshape(-1)
    loss = F.cross_entropy(flat, want, reduction="none")
    weight = torch.where(want > 0, 1.0, 0.2)
    with torch.no_grad():
        there = want > 0
        right = float((flat.argmax(-1)[there] == want[there]).float().mean()) if there.any() else 0.0
    return (loss * weight).sum() / weight.sum(), right
