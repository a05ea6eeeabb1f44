"""How well a map or a box finds known evidence. Pure numbers, numpy only.

Energy is compared with the area that the evidence has (enrichment: 1 means that the map knows nothing).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hydra_rag.geometry import Box
from hydra_rag.saliency.boxes import covered_area
from hydra_rag.saliency.maps import SaliencyMap, cell_shares
from hydra_rag.values import FloatArray

__all__ = ["auroc", "box_scores", "evidence_cells", "map_scores"]


def evidence_cells(found: SaliencyMap, boxes: Sequence[Box], width: int, height: int) -> FloatArray:
    """Part of every cell that the evidence covers, 0 to 1: float32 [cells]."""
    total = np.zeros(found.grid.cells, np.float32)
    for box in boxes:
        total = np.maximum(total, cell_shares(found.grid, box, width, height))
    return total


def map_scores(found: SaliencyMap, boxes: Sequence[Box], width: int, height: int) -> dict[str, float]:
    """``pointing``: the peak's cell touches the evidence. ``pointing_near``: it or a neighbour does.
    ``pointing_exact``: the peak point lies in a box. ``energy_in_box``, ``enrichment``, ``auroc`` (of cells).
    """
    cells = evidence_cells(found, boxes, width, height)
    row, col = divmod(found.peak, found.grid.cols)
    plane = cells.reshape(found.grid.rows, found.grid.cols)
    near = plane[max(0, row - 1) : row + 2, max(0, col - 1) : col + 2]
    x, y = found.peak_point(width, height)
    energy = float((found.values * cells).sum(dtype=np.float64))
    share = covered_area([b.clip(width, height) for b in boxes]) / (width * height)
    return {
        "pointing": float(plane[row, col] > 0),
        "pointing_near": float(near.max() > 0),
        "pointing_exact": float(any(b.contains(x, y) for b in boxes)),
        "energy_in_box": energy,
        "enrichment": energy / share if share else 0.0,
        "auroc": auroc(found.values, cells),
    }


def auroc(values: FloatArray, cells: FloatArray) -> float:
    """Chance that a cell of the evidence (covered by a fifth, or as much as any) outranks another one."""
    inside = cells >= min(0.2, float(cells.max(initial=0.0))) if cells.any() else np.zeros(len(cells), bool)
    count, others = int(inside.sum()), int((~inside).sum())
    if not count or not others:
        return 0.5
    _, inverse, sizes = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(sizes) - (sizes - 1) / 2)[inverse]  # ties share their mean rank
    return float((ranks[inside].sum() - count * (count + 1) / 2) / (count * others))


def box_scores(chosen: Sequence[Box], evidence: Sequence[Box], width: int, height: int) -> dict[str, float]:
    """``iou`` of the first box with the evidence it fits best (single boxes or all of it together);
    ``coverage`` of the evidence by all boxes; ``area`` of the page that they take. No box: the whole page."""
    page = Box(0, 0, width, height)
    boxes = [b.clip(width, height) for b in chosen] or [page]
    real = [b.clip(width, height) for b in evidence]
    common = covered_area([boxes[0]], real)
    together = common / (boxes[0].area + covered_area(real) - common)
    iou = max([together, *(boxes[0].iou(b) for b in real)])
    return {
        "iou": iou,
        "iou@0.25": float(iou >= 0.25),
        "iou@0.5": float(iou >= 0.5),
        "coverage": covered_area(boxes, real) / covered_area(real),
        "area": covered_area(boxes) / page.area,
    }
