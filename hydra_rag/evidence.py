"""Where on a page a query found its support: boxes from the similarity map. numpy only.

Words such as "what is the" match everywhere a little and nowhere much, so every query row is weighed by
how much its best cell stands out from the rest of the page. Rows that do not stand out are dropped, the
others are laid over each other, and each peak grows to the cells that touch it and are nearly as strong.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hydra_rag.geometry import Box
from hydra_rag.values import FloatArray, MultiVector

__all__ = ["evidence_map", "evidence_regions", "row_weights"]

_GROW = 0.6  # cells at least this strong, relative to the peak, belong to its region
_MIN_PEAK = 0.35  # peaks weaker than this share of the best one are not reported


def row_weights(similarities: FloatArray) -> FloatArray:
    """How informative each query row is on this page: [q, n] -> float32 [q], sums to 1.

    The measure is the height of the row's best cell above the page's mean, in units of the cells'
    spread. Rows below half of the best row's measure get nothing.
    """
    if similarities.shape[1] < 2:
        return np.full(len(similarities), 1.0 / len(similarities), np.float32)
    rise = similarities.max(1) - similarities.mean(1)
    spread = similarities.std(1) + 1e-6
    # Height alone favours rows that match anything; standing out alone favours noise. Use both.
    measure = rise * np.minimum(rise / spread, 8.0)
    weights = np.maximum(measure - 0.5 * measure.max(), 0.0)
    total = float(weights.sum())
    if total <= 0.0:
        return np.full(len(similarities), 1.0 / len(similarities), np.float32)
    shares: FloatArray = (weights / total).astype(np.float32)
    return shares


def evidence_map(similarities: FloatArray, weights: npt.ArrayLike | None = None) -> FloatArray:
    """One strength per cell: [q, n] -> float32 [n], 0.0 to 1.0.

    Every row is scaled from its own mean (0) to its own best cell (1), so that a cell scores 1 only when
    it is the best cell of every row that counts.
    """
    w = row_weights(similarities) if weights is None else np.asarray(weights, np.float32)
    if w.shape != (len(similarities),):
        raise ValueError(f"weights must be [{len(similarities)}], got {w.shape}")
    w = np.maximum(w, 0.0)
    w = w / w.sum() if w.sum() > 0 else np.full(len(w), 1.0 / len(w), np.float32)
    low = similarities.mean(1, keepdims=True)
    high = similarities.max(1, keepdims=True)
    scaled = np.maximum(similarities - low, 0.0) / np.maximum(high - low, 1e-6)
    strength: FloatArray = (w[:, None] * scaled**2).sum(0).astype(np.float32)
    return strength


def evidence_regions(
    query: MultiVector, page: MultiVector, *, weights: npt.ArrayLike | None = None, top: int = 3
) -> list[tuple[Box, float]]:
    """The places on ``page`` that support ``query``: at most ``top`` (box in page pixels, score 0 to 1).

    Best first; regions do not share cells. ``weights``: one per query row (default :func:`row_weights`).
    ``page`` needs boxes; pooled and tiled pages work, since cells join by touching boxes.
    """
    if page.boxes is None:
        raise ValueError("the page has no boxes: pass vectors made by embed_pages or read from the store")
    if not len(query) or not len(page) or top < 1:
        return []
    similarities = (query.vectors.astype(np.float32) @ page.vectors.astype(np.float32).T).astype(np.float32)
    strength = evidence_map(similarities, weights)
    boxes = page.boxes.astype(np.int64)
    free = np.ones(len(strength), bool)
    best = float(strength.max())
    regions: list[tuple[Box, float]] = []
    while len(regions) < top and free.any():
        peak = int(np.where(free, strength, -1.0).argmax())
        value = float(strength[peak])
        if regions and (value < _MIN_PEAK * best or value <= 0.0):
            break
        cells = _grow(peak, free & (strength >= _GROW * value), boxes)
        free &= ~cells
        # Neighbours of a region are its slopes, not places of their own.
        free &= ~_touching(boxes, cells)
        chosen = boxes[cells]
        left, top_edge = chosen[:, :2].min(0)
        right, bottom = chosen[:, 2:].max(0)
        regions.append((Box(int(left), int(top_edge), int(right), int(bottom)), min(1.0, max(0.0, value))))
    return regions


def _grow(start: int, allowed: npt.NDArray[np.bool_], boxes: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """The cells of ``allowed`` connected with ``start`` through touching boxes."""
    member = np.zeros(len(boxes), bool)
    member[start] = True
    while True:
        new = allowed & ~member & _touching(boxes, member)
        if not new.any():
            return member
        member |= new


def _touching(boxes: npt.NDArray[np.int64], member: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which boxes share an edge or area with any box of ``member`` (corners alone do not count)."""
    left, top, right, bottom = (boxes[:, None, i] for i in range(4))
    ml, mt, mr, mb = (boxes[member][None, :, i] for i in range(4))
    across = np.minimum(right, mr) - np.maximum(left, ml)
    down = np.minimum(bottom, mb) - np.maximum(top, mt)
    touching: npt.NDArray[np.bool_] = ((across >= 0) & (down >= 0) & (across + down > 0)).any(1)
    return touching
