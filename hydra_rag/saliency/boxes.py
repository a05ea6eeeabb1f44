"""From a saliency map to boxes worth cropping: components, windows, suppression, merging, cap, words.

Components after CARVE (arXiv 2509.06461), windows after ViCrop (arXiv 2502.17422) with sizes as parts of
the page. All boxes are integers, half-open, in page pixels, inside the page. numpy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hydra_rag.geometry import Box, union
from hydra_rag.lines import group_lines
from hydra_rag.saliency.maps import SaliencyMap
from hydra_rag.values import Word

__all__ = ["Region", "cap_area", "components", "covered_area", "merge", "nms", "propose", "snap", "windows"]

_WIDTHS = (0.15, 0.25, 0.35, 0.5, 0.7)  # of the page's width
_ASPECTS = (1.0, 2.0, 4.0, 0.5)  # width over height


@dataclass(frozen=True, slots=True)
class Region:
    """``mass``: saliency inside the box, 0 to 1. ``score``: mass times the root of its enrichment (mass
    over the box's share of the page): a large box is not better only for being large."""

    box: Box
    mass: float
    score: float


def propose(
    found: SaliencyMap,
    width: int,
    height: int,
    *,
    words: Sequence[Word] = (),
    keep: float = 0.2,
    floor: float = 0.25,
    top: int = 3,
    cap: float = 0.5,
) -> tuple[Region, ...]:
    """At most ``top`` boxes of a ``width`` × ``height`` page, best first; none where a crop says nothing.

    ``keep``, ``floor``: see :func:`components`. ``words``: the text layer, to which boxes snap; without one
    they are padded by one cell. ``cap``: all boxes together cover at most this part of the page.
    """
    across, down = -(-width // found.grid.cols), -(-height // found.grid.rows)
    boxes = components(found, width, height, keep=keep, floor=floor)
    best = windows(found, width, height)
    candidates = merge(boxes[: 4 * top]) + ([] if best is None else [best])
    if words:
        grown = [box.pad(across // 2, down // 2).clip(width, height) for box in candidates]
        fitted = [snap(box, words).clip(width, height) for box in grown]
    else:
        fitted = [box.pad(across, down).clip(width, height) for box in candidates]
    regions = nms([_region(found, box, width, height) for box in fitted])
    return cap_area(regions[:top], width, height, cap)


def components(
    found: SaliencyMap, width: int, height: int, *, keep: float = 0.2, floor: float = 0.25
) -> list[Box]:
    """Connected groups (edges, not corners) of strong cells, by falling mass.

    Strong cells are among the ``keep`` share of cells with the most saliency, have more than the even
    share, and at least ``floor`` times the peak.
    """
    values = found.values
    count = max(1, int(np.ceil(keep * len(values))))
    strong = np.zeros(len(values), bool)
    strong[np.argsort(-values, kind="stable")[:count]] = True
    strong &= (values > (1 + 1e-6) / len(values)) & (values >= floor * values.max())
    plane = strong.reshape(found.grid.rows, found.grid.cols)
    groups: list[tuple[float, Box]] = []
    while plane.any():
        rows, cols = _take(plane)
        mass = float(found.plane[rows, cols].sum())
        corner = found.grid.cell_box(int(rows.min() * found.grid.cols + cols.min()), width, height)
        opposite = found.grid.cell_box(int(rows.max() * found.grid.cols + cols.max()), width, height)
        box = Box(corner.left, corner.top, opposite.right, opposite.bottom)
        groups.append((mass, box.clip(width, height)))
    return [box for _, box in sorted(groups, key=lambda g: (-g[0], g[1]))]


def _take(plane: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Cut the first component out of ``plane`` (changed in place): its rows and columns."""
    first = divmod(int(plane.argmax()), plane.shape[1])
    stack, cells = [first], []
    plane[first] = False
    while stack:
        row, col = stack.pop()
        cells.append((row, col))
        for r, c in ((row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)):
            if 0 <= r < plane.shape[0] and 0 <= c < plane.shape[1] and plane[r, c]:
                plane[r, c] = False
                stack.append((r, c))
    out = np.array(cells, np.int64)
    return out[:, 0], out[:, 1]


def windows(found: SaliencyMap, width: int, height: int) -> Box | None:
    """The window that stands out most: at each size the best position, then the size whose sum exceeds the
    mean of its four neighbours most, for its area. ``None`` for an even map."""
    rows, cols = found.grid
    table = np.zeros((rows + 1, cols + 1))
    table[1:, 1:] = found.plane.astype(np.float64).cumsum(0).cumsum(1)
    best: tuple[float, Box] | None = None
    for tall, wide in sorted(_window_sizes(rows, cols, width, height)):
        sums = table[tall:, wide:] - table[:-tall, wide:] - table[tall:, :-wide] + table[:-tall, :-wide]
        row, col = divmod(int(sums.argmax()), sums.shape[1])
        near = [
            float(sums[r, c])
            for r, c in ((row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1))
            if 0 <= r < sums.shape[0] and 0 <= c < sums.shape[1]
        ]
        if not near:
            continue
        rise = (float(sums[row, col]) - sum(near) / len(near)) / (tall * wide)
        if rise > 1e-9 and (best is None or rise > best[0]):
            corner = found.grid.cell_box(row * cols + col, width, height)
            opposite = found.grid.cell_box((row + tall - 1) * cols + col + wide - 1, width, height)
            box = Box(corner.left, corner.top, opposite.right, opposite.bottom).clip(width, height)
            best = (rise, box)
    return None if best is None else best[1]


def _window_sizes(rows: int, cols: int, width: int, height: int) -> set[tuple[int, int]]:
    """(rows, cols) of every window in cells; none as large as the page."""
    sizes = set()
    for part in _WIDTHS:
        for aspect in _ASPECTS:
            wide = max(1, round(part * cols))
            tall = max(1, round(part * width / aspect * rows / height))
            if wide <= cols and tall <= rows and (tall, wide) != (rows, cols):
                sizes.add((tall, wide))
    return sizes


def nms(regions: Sequence[Region], iou: float = 0.5) -> list[Region]:
    """Best first; no two of what stays overlap by ``iou`` (intersection over union) or more."""
    kept: list[Region] = []
    for region in sorted(regions, key=lambda r: (-r.score, r.box)):
        if all(region.box.iou(other.box) < iou for other in kept):
            kept.append(region)
    return kept


def merge(boxes: Sequence[Box], slack: float = 1.25) -> list[Box]:
    """Join boxes whose common frame is at most ``slack`` times what they cover together."""
    left = list(boxes)
    joined = True
    while joined:
        joined = False
        for i in range(len(left)):
            for j in range(i + 1, len(left)):
                a, b = left[i], left[j]
                frame = union((a, b))
                if frame.area <= slack * (a.area + b.area - a.intersect(b).area):
                    left[i] = frame
                    del left[j]
                    joined = True
                    break
            if joined:
                break
    return left


def cap_area(regions: Sequence[Region], width: int, height: int, cap: float = 0.5) -> tuple[Region, ...]:
    """The regions, in order, that together cover at most ``cap`` of the page; the others are left out."""
    kept: list[Region] = []
    for region in regions:
        if covered_area([r.box for r in kept] + [region.box]) <= cap * width * height:
            kept.append(region)
    return tuple(kept)


def snap(box: Box, words: Sequence[Word]) -> Box:
    """The frame of the words that ``box`` holds (their larger part lies in it), a little padded.

    A line that the box holds for more than half of its width counts whole. Without such words: ``box``.
    """
    chosen = [
        w.box for w in words if w.box.area and 2 * w.box.intersect(box).area >= w.box.area and w.text.strip()
    ]
    if not chosen:
        return box
    held = set(chosen)
    for line in group_lines(words, max_gap=1.5):
        inside = [w.box for w in line.words if w.box in held]
        if inside and 2 * union(inside).width >= line.box.width:
            chosen.append(line.box)
    tallest = sorted(b.height for b in chosen)[len(chosen) // 2]
    return union(chosen).pad(max(2, tallest // 4))


def covered_area(boxes: Sequence[Box], within: Sequence[Box] | None = None) -> int:
    """Pixels that ``boxes`` cover together; with ``within``, only those that lie in one of them too."""
    every = [*boxes, *(within or ())]
    xs = sorted({v for b in every for v in (b.left, b.right)})
    ys = sorted({v for b in every for v in (b.top, b.bottom)})

    def mask(some: Sequence[Box]) -> npt.NDArray[np.bool_]:
        out = np.zeros((max(0, len(ys) - 1), max(0, len(xs) - 1)), bool)
        for b in some:
            out[ys.index(b.top) : ys.index(b.bottom), xs.index(b.left) : xs.index(b.right)] = True
        return out

    if not boxes:
        return 0
    area = np.outer(np.diff(ys), np.diff(xs))
    both = mask(boxes) if within is None else mask(boxes) & mask(within)
    return int(area[both].sum())


def _region(found: SaliencyMap, box: Box, width: int, height: int) -> Region:
    mass = found.mass(box, width, height)
    share = box.area / (width * height)
    return Region(box, mass, mass * float(np.sqrt(mass / share)) if share else 0.0)
