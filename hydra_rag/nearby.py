"""What matches in one place: late interaction that knows where cells stand.

MaxSim (:mod:`hydra_rag.maxsim`) lets every token of a query find its best cell anywhere on a page, so a page
with much print on it has something for everybody. Here every token must find its match within one strip of
neighbouring cells, the best strip of the page. Added to MaxSim it brings the page that says what is asked in
one line before those that say parts of it here and there: with 71 pages of ``nano``'s page maker (half-size,
held-out fonts) and 77 queries nDCG@5 0.845 -> 0.879, with 142 phrases 0.860 -> 0.881.

Only the pages that MaxSim found are looked at again. A query says what it counts
(:attr:`hydra_rag.values.MultiVector.nearby`); that is the adapter's setting, nothing by default.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hydra_rag.values import MultiVector

if TYPE_CHECKING:
    import torch

__all__ = ["DEPTH", "WIDTH", "nearby_score", "reranked", "widened"]

#: Cells of a strip: a label and its value, or the words of a short phrase.
WIDTH = 7
#: Pages of a ranking that are looked at again.
DEPTH = 50


def widened(similarities: torch.Tensor, width: int = WIDTH) -> torch.Tensor:
    """The best of ``width`` (odd) cells round every cell of a row. ``similarities``: float [n, rows, cols];
    returned in the same shape."""
    from torch.nn import functional

    best: torch.Tensor = functional.max_pool2d(similarities[:, None], (1, width), 1, (0, width // 2))
    return best[:, 0]


def nearby_score(query: MultiVector, page: MultiVector) -> float | None:
    """The highest sum over query tokens of the best similarity within one strip of the page. Never above
    MaxSim. ``None`` where the page's rows are not the cells of one regular grid (pooled, tiled)."""
    import torch

    shape = _grid_of(page)
    if shape is None or not len(query):
        return None
    cells = page.vectors.astype(np.float32, copy=False)
    similar = torch.from_numpy(query.vectors.astype(np.float32, copy=False) @ cells.T)
    return float(widened(similar.view(len(query), *shape)).sum(0).max())


def reranked(
    query: MultiVector, ranking: Sequence[tuple[int, float]], page_of: Callable[[int], MultiVector]
) -> list[tuple[int, float]]:
    """A (key, MaxSim) ranking, best first, with the first :data:`DEPTH` scored anew: MaxSim and ``nearby``
    times :func:`nearby_score`, best first, ties by key. As it was where the query asks for nothing, or a page
    is no regular grid."""
    if not query.nearby:
        return list(ranking)
    found: list[tuple[int, float]] = []
    for key, score in ranking[:DEPTH]:
        near = nearby_score(query, page_of(key))
        if near is None:
            return list(ranking)
        found.append((key, score + query.nearby * near))
    found.sort(key=lambda item: (-item[1], item[0]))
    return found + list(ranking[DEPTH:])


def _grid_of(page: MultiVector) -> tuple[int, int] | None:
    """(rows, cols) of the cells, as the boxes of stored vectors tell."""
    if page.grid is not None:
        return page.grid.rows, page.grid.cols
    if page.boxes is None or not len(page):
        return None
    tops, lefts = page.boxes[:, 1], page.boxes[:, 0]
    cols = int(np.flatnonzero(np.append(tops[1:] != tops[0], True))[0]) + 1
    if len(page) % cols or not (_same(tops.reshape(-1, cols).T) and _same(lefts.reshape(-1, cols))):
        return None
    return len(page) // cols, cols


def _same(rows: npt.NDArray[np.int64]) -> bool:
    return bool((rows == rows[:1]).all() and (np.diff(rows[0]) > 0).all())
