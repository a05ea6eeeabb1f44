"""Samples to tensors: token ids, branch masks, three-dimensional positions, labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hydra_rag.nano import tokens
from hydra_rag.training.blocks import patchify
from hydra_rag.training.dense import DenseLabels
from hydra_rag.training.samples import Branch, Sample

#: Guided positions: the end of a word of the question, before the answer, within the answer.
ASKED, FIRST, COPY = 1, 2, 3


@dataclass(frozen=True)
class Packed:
    """A batch. ``ids``, ``branch_of`` int64 [B, T] (branch 0 is the prefix, -1 padding); ``positions`` int64
    [4, B, T] (text, time, row, column); ``targets`` int64 [B, T] (-100 where nothing is predicted);
    ``weights`` float32 [B, T]; ``patches`` float32 [P, 768] and ``grid`` int64 [images, 3] or ``None``.
    ``labels``: the characters of the pictures.

    ``guide_rows`` int64 [B, R]: positions whose attention is taught (0: padding); ``guide_kinds`` int64
    [B, R]: 0 padding, else one of :data:`ASKED`, :data:`FIRST`, :data:`COPY`; ``guide_places`` bool
    [B, R, prefix]: where they should look."""

    ids: torch.Tensor
    branch_of: torch.Tensor
    positions: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    patches: torch.Tensor | None
    grid: torch.Tensor | None
    labels: DenseLabels | None
    guide_rows: torch.Tensor
    guide_kinds: torch.Tensor
    guide_places: torch.Tensor

    def mask(self) -> torch.Tensor:
        """bool [B, 1, T, T]: causal, and only to the prefix or the own branch."""
        b = self.branch_of
        same = (b[:, :, None] == b[:, None, :]) | (b[:, None, :] == 0)
        causal = torch.ones(b.shape[1], b.shape[1], dtype=torch.bool, device=b.device).tril()
        own = torch.eye(b.shape[1], dtype=torch.bool, device=b.device)
        return ((same & causal) | own)[:, None]

    def to(self, device: str) -> Packed:
        moved: dict[str, Any] = {}
        for name in self.__dataclass_fields__:
            tensor = getattr(self, name)
            moved[name] = None if tensor is None else tensor.to(device)
        return Packed(**moved)


def prefix_positions(prefix: list[int], rows: int, cols: int) -> tuple[npt.NDArray[np.int64], int]:
    """Positions of a prefix with at most one image, as the model's own ``get_rope_index`` gives them
    (tested): int64 [3, len(prefix)] and the next free position."""
    out = np.zeros((3, len(prefix)), np.int64)
    pad = tokens.SPECIAL["<|image_pad|>"]
    at, i = 0, 0
    while i < len(prefix):
        if prefix[i] == pad:
            n = rows * cols
            cell = np.arange(n)
            out[:, i : i + n] = at + np.stack([np.zeros(n, np.int64), cell // cols, cell % cols])
            at += max(rows, cols)
            i += n
        else:
            out[:, i] = at
            at += 1
            i += 1
    return out, at


def pack(
    samples: list[Sample], *, prompt_weight: float = 0.05, refusal_weight: float = 0.3, longest: int = 4000
) -> Packed:
    built = []
    for s in samples:
        ids = list(s.prefix)
        branch_of = [0] * len(ids)
        targets = [-100] * len(ids)
        weights = [0.0] * len(ids)
        prefix_pos, after = prefix_positions(s.prefix, s.rows, s.cols)
        pos = [prefix_pos]
        guides: list[tuple[int, int, frozenset[int]]] = []
        for k, b in enumerate(s.branches, start=1):
            tokens_of = b.prompt + b.answer
            if len(ids) + len(tokens_of) > longest:
                break
            n, p = len(tokens_of), len(b.prompt)
            guides += _guides(b, len(ids))
            ids += tokens_of
            branch_of += [k] * n
            targets += [*tokens_of[1:], -100]
            asks = b.kind != "read"
            # Until a model can look up, "not found" is its safest guess: its refusals teach it less.
            answer_weight = refusal_weight if b.kind == "absent" else 1.0
            weights += [prompt_weight if asks else 0.0] * (p - 1) + [answer_weight] * (n - p) + [0.0]
            pos.append(np.repeat((after + np.arange(n))[None], 3, 0))
        built.append((ids, branch_of, targets, weights, np.concatenate(pos, 1), guides))
    length = max(len(b[0]) for b in built)
    count = len(built)
    ids_t = np.zeros((count, length), np.int64)
    branch_t = np.full((count, length), -1, np.int64)
    target_t = np.full((count, length), -100, np.int64)
    weight_t = np.zeros((count, length), np.float32)
    pos_t = np.zeros((4, count, length), np.int64)
    most = max(len(b[5]) for b in built)
    guide_rows = np.zeros((count, most), np.int64)
    guide_kinds = np.zeros((count, most), np.int64)
    guide_places = np.zeros((count, most, max(len(s.prefix) for s in samples)), np.bool_)
    for i, (ids, branch_of, targets, weights, pos3, guides) in enumerate(built):
        n = len(ids)
        for r, (row, kind, places) in enumerate(guides):
            guide_rows[i, r], guide_kinds[i, r] = row, kind
            guide_places[i, r, list(places)] = True
        ids_t[i, :n], branch_t[i, :n], target_t[i, :n], weight_t[i, :n] = ids, branch_of, targets, weights
        pos_t[1:, i, :n] = pos3
        pos_t[0, i, :n] = np.arange(n)
    shown = [s.block for s in samples if s.block is not None]
    grids = [[1, s.rows * 2, s.cols * 2] for s in samples if s.block is not None]
    grid = torch.tensor(grids) if shown else None
    return Packed(
        torch.from_numpy(ids_t),
        torch.from_numpy(branch_t),
        torch.from_numpy(pos_t),
        torch.from_numpy(target_t),
        torch.from_numpy(weight_t),
        torch.from_numpy(np.concatenate([patchify(b.pixels) for b in shown])) if shown else None,
        grid,
        None if grid is None else DenseLabels.of(shown, grid),
        torch.from_numpy(guide_rows),
        torch.from_numpy(guide_kinds),
        torch.from_numpy(guide_places),
    )


def _guides(branch: Branch, at: int) -> list[tuple[int, int, frozenset[int]]]:
    """Row, kind and places of a branch that begins at position ``at``. Before an answer all of it is to be
    looked at; reading begins with its first character."""
    before = at + len(branch.prompt) - 1
    found = [(at + i, ASKED, places) for i, places in branch.asked.items()]
    whole: frozenset[int] = frozenset().union(*branch.sources)
    reads = branch.kind == "read"
    if whole and not reads:
        found.append((before, FIRST, whole))
    copied = [(before + j, COPY, places) for j, places in enumerate(branch.sources) if places]
    return found + [entry for entry in copied if reads or entry[0] > before]
