"""The only MaxSim of the project (late interaction, ColBERT, arXiv 2004.12832).

``score(query, page) = sum over query rows of (max over page rows of their dot product)``

Three forms of one definition:

* :func:`maxsim_reference`: a plain loop in numpy, the truth that tests compare with;
* :func:`maxsim` and :func:`exact_scores`: products and sums in float64, rounded once to float32. A score
  is then a function of the two sets of rows alone: not of batch, order, neighbours or the tier of the
  index that found the page. What leaves the index is scored this way;
* :func:`packed_scores`, :func:`maxsim_many`: float32 products over many pages packed row after row, for
  choosing pages. Half-precision rows are widened by torch, block by block, into a buffer that is kept.

Pages of unequal length are never padded with zeros (a zero would beat a negative similarity): the maximum
runs over each page's own rows, starting at minus infinity. A page or a query without rows is an error.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np
import numpy.typing as npt

from hydra_rag.evidence import evidence_regions
from hydra_rag.values import FloatArray

if TYPE_CHECKING:
    import torch

__all__ = [
    "evidence_regions",
    "exact_scores",
    "maxsim",
    "maxsim_many",
    "maxsim_reference",
    "packed_scores",
    "score_slack",
    "similarity_map",
]

#: Rows of several pages, one page after the other, and where each starts: ([rows, d], int [pages + 1]).
Packed: TypeAlias = tuple[npt.NDArray[Any], npt.NDArray[np.int64]]
Rows: TypeAlias = Union["torch.Tensor", npt.NDArray[Any]]

_BLOCK_ELEMENTS = 1 << 19  # widened rows and scores of a block: what the processor's own cache holds
_DEVICE_ELEMENTS = 1 << 24  # the same on a GPU
_scratch = threading.local()


def maxsim_reference(query: npt.ArrayLike, page: npt.ArrayLike) -> float:
    """MaxSim by a plain loop in float64: [q, d] against [n, d]."""
    total = 0.0
    for q in np.asarray(query, np.float64):
        total += max(float(np.dot(q, p)) for p in np.asarray(page, np.float64))
    return total


def maxsim(query: Rows, page: Rows) -> float:
    """Exact MaxSim of one page: ``query`` [q, d], ``page`` [n, d], any float dtype."""
    return float(exact_scores(query, [page])[0])


def maxsim_many(query: Rows, pages: Sequence[Rows] | Packed) -> FloatArray:
    """MaxSim of every page, float32 products: a list of [n_i, d], or ``(matrix [rows, d], offsets)``.

    Returns float32 [pages]. Raises ``ValueError`` for empty pages or unequal dimensions.
    """
    import torch

    matrix: torch.Tensor
    if isinstance(pages, tuple) and len(pages) == 2 and np.ndim(pages[1]) == 1:
        matrix, offsets = _tensor(pages[0]), np.asarray(pages[1], np.int64)
    elif not pages:
        return np.empty(0, np.float32)
    else:
        parts = [_tensor(p) for p in pages]
        for part in parts:
            if part.ndim != 2:
                raise ValueError(f"a page must be [n, dim], got shape {tuple(part.shape)}")
        offsets = np.concatenate([[0], np.cumsum([len(p) for p in parts])]).astype(np.int64)
        matrix = torch.cat(parts)
    return packed_scores(query, matrix, offsets)


def packed_scores(query: Rows, matrix: torch.Tensor, offsets: npt.NDArray[np.int64]) -> FloatArray:
    """MaxSim of the pages ``matrix[offsets[i]:offsets[i + 1]]``, float32 products, float32 [pages].

    ``matrix``: [rows, d], float16, bfloat16 or float32, on any device; the work is done there. Memory
    beyond the result is bounded, whatever the number of rows.
    """
    import torch

    q = _tensor(query).to(matrix.device, torch.float32)
    if q.ndim != 2 or matrix.ndim != 2 or q.shape[1] != matrix.shape[1]:
        raise ValueError(f"query {tuple(q.shape)} and pages {tuple(matrix.shape)} do not fit together")
    if not len(q):
        raise ValueError("a query needs at least one vector")
    lengths = np.diff(offsets)
    if len(lengths) and lengths.min() < 1:
        raise ValueError("every page needs at least one vector")
    scores = np.empty(len(lengths), np.float32)
    elements = _BLOCK_ELEMENTS if matrix.device.type == "cpu" else _DEVICE_ELEMENTS
    for first, last in _blocks(offsets, max(1, elements // max(q.shape))):
        rows = _widened(matrix[int(offsets[first]) : int(offsets[last])])
        scores[first:last] = _best_sums(q @ rows.T, lengths[first:last])
    return scores


def exact_scores(query: Rows, pages: Sequence[Rows]) -> FloatArray:
    """MaxSim of each [n_i, d] in float64, rounded to float32 [pages]: equal rows give equal scores.

    Slower than :func:`packed_scores`; meant for the few pages that make up a result.
    """
    import torch

    if not pages:
        return np.empty(0, np.float32)
    q = _tensor(query)
    double = q.to("cpu", torch.float64)
    parts = [_tensor(p) for p in pages]
    shapes = [tuple(p.shape) for p in parts]
    if any(len(s) != 2 or not s[0] or s[1] != q.shape[1] for s in shapes) or not q.shape[0]:
        raise ValueError("query and pages must be [n, dim] of one dim, each with at least one vector")
    lengths = np.array([s[0] for s in shapes], np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    scores = np.empty(len(parts), np.float32)
    limit = max(1, _BLOCK_ELEMENTS // max(q.shape))
    for first, last in _blocks(offsets, limit):
        # Through float32 first: torch widens half precision to float32 several times faster than to float64.
        rows = torch.cat(parts[first:last]).cpu()
        rows = (rows if rows.dtype == torch.float64 else rows.float()).double()
        scores[first:last] = _best_sums(double @ rows.T, lengths[first:last])
    return scores


def score_slack(query: Rows, max_norm: float) -> float:
    """How far a float32 score may lie from the exact one, for rows of at most ``max_norm``.

    A dot product of d terms in float32 errs by about sqrt(d) units in the last place (the bound d is
    never met in practice; four times the root is used), and the sum over query rows adds one more.
    """
    q = np.asarray(query, np.float32)
    total = float(np.linalg.norm(q, axis=1).sum()) * max_norm
    return total * 2.0**-24 * (4.0 * float(np.sqrt(q.shape[1])) + len(q))


def similarity_map(query: Rows, page: Rows) -> FloatArray:
    """Dot product of every query row with every page row: float32 [q, n]."""
    import torch

    q, p = _tensor(query).float(), _tensor(page).float()
    result: FloatArray = torch.mm(q, p.T).cpu().numpy()
    return result


def _tensor(rows: Rows) -> torch.Tensor:
    import torch

    if isinstance(rows, torch.Tensor):
        return rows
    array = np.asarray(rows)
    # torch warns about arrays it may not write to (memory maps): nothing here ever writes.
    if not array.flags.writeable or any(s < 0 for s in array.strides) or not array.dtype.isnative:
        array = np.array(array, dtype=array.dtype.newbyteorder("="))
    return torch.from_numpy(array)


def _blocks(offsets: npt.NDArray[np.int64], limit: int) -> Iterator[tuple[int, int]]:
    """Page ranges of at most ``limit`` rows (a longer page stands alone)."""
    first, pages = 0, len(offsets) - 1
    while first < pages:
        last = int(np.searchsorted(offsets, offsets[first] + limit, side="right")) - 1
        last = min(pages, max(first + 1, last))
        yield first, last
        first = last


def _widened(rows: torch.Tensor) -> torch.Tensor:
    """``rows`` as float32; on the CPU in a buffer of this thread (fresh memory costs more than the copy)."""
    import torch

    if rows.dtype == torch.float32 or rows.device.type != "cpu":
        return rows.float()
    need = rows.numel()
    buffer: torch.Tensor | None = getattr(_scratch, "widened", None)
    if buffer is None or buffer.numel() < need:
        buffer = torch.empty(max(need, 1 << 18), dtype=torch.float32)
        if need <= _BLOCK_ELEMENTS:
            _scratch.widened = buffer
    return buffer[:need].view(rows.shape).copy_(rows)


def _best_sums(sims: torch.Tensor, lengths: npt.NDArray[np.int64]) -> FloatArray:
    """[q, rows] -> [pages]: maximum over each page's rows, summed over q."""
    import torch

    if sims.device.type == "cpu":
        starts = np.cumsum(lengths) - lengths
        best: FloatArray = np.maximum.reduceat(sims.numpy(), starts, axis=1).sum(0)
        return best
    owner = torch.repeat_interleave(torch.from_numpy(lengths).to(sims.device))
    grid = sims.new_full((len(sims), len(lengths)), -torch.inf)
    grid.scatter_reduce_(1, owner.expand(len(sims), -1), sims, "amax")
    summed: FloatArray = grid.sum(0).cpu().numpy()
    return summed
