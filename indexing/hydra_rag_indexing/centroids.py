"""Centroids: two-level spherical k-means by FAISS, on a GPU where FAISS has one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from hydra_rag.values import FloatArray
from hydra_rag_indexing.faiss_support import gpu_count, load_faiss
from hydra_rag_indexing.page_table import IntArray, PageTable

__all__ = [
    "assigner",
    "centroid_count",
    "row_blocks",
    "sample_rows",
    "scales",
    "two_level_kmeans",
    "unit_rows",
]

_ROWS_PER_BLOCK = 1 << 16


def centroid_count(rows: int) -> int:
    """About 16 times the root of the number of vectors, a power of two (as in PLAID)."""
    return int(2 ** np.clip(np.round(np.log2(16.0 * np.sqrt(max(rows, 1)))), 8, 18))


def two_level_kmeans(sample: FloatArray, count: int, seed: int) -> FloatArray:
    faiss = load_faiss()
    cells = int(2 ** np.round(np.log2(np.sqrt(count))))
    coarse = _kmeans(sample, min(cells, len(sample)), seed)
    index = faiss.IndexFlatIP(sample.shape[1])
    index.add(coarse)
    nearest = index.search(sample, 1)[1][:, 0]
    order = np.argsort(nearest, kind="stable")
    bounds = np.searchsorted(nearest[order], np.arange(len(coarse) + 1))
    found = []
    for cell in range(len(coarse)):
        rows = sample[order[bounds[cell] : bounds[cell + 1]]]
        share = round(len(rows) / len(sample) * count)
        if len(rows):
            found.append(_kmeans(rows, max(1, min(share, len(rows))), seed))
    directions: FloatArray = np.ascontiguousarray(np.concatenate(found), np.float32)
    return directions


def _kmeans(rows: FloatArray, count: int, seed: int) -> FloatArray:
    faiss = load_faiss()
    if count >= len(rows):
        return rows
    means = faiss.Kmeans(
        rows.shape[1],
        count,
        niter=8,
        seed=seed + 1,
        spherical=True,
        min_points_per_centroid=1,
        max_points_per_centroid=64,
        gpu=gpu_count() > 0,
    )
    means.train(rows)
    centroids: FloatArray = means.centroids
    return centroids


def assigner(directions: FloatArray) -> Any:
    """A FAISS index over the centroids themselves: flat while they are few, else in cells."""
    faiss = load_faiss()
    dim = directions.shape[1]
    flat = faiss.IndexFlatIP(dim)
    if len(directions) <= 2048 or gpu_count():
        flat.add(directions)
        return faiss.index_cpu_to_all_gpus(flat) if gpu_count() else flat
    cells = int(np.sqrt(len(directions)))
    index = faiss.IndexIVFFlat(flat, dim, cells, faiss.METRIC_INNER_PRODUCT)
    index.cp.spherical, index.cp.min_points_per_centroid = True, 1
    index.train(directions)
    index.add(directions)
    index.nprobe = max(4, cells // 16)
    return index


def scales(table: PageTable, positions: IntArray, nearest: IntArray, directions: FloatArray) -> FloatArray:
    """Length of each centroid: root of (length of its vectors' mean x their mean length).

    A direction alone overrates wide groups (few vectors lie that well), the mean underrates them (the best
    of several vectors counts); the geometric mean of both was best on all corpora tried.
    """
    sums = np.zeros_like(directions)
    norms = np.zeros(len(directions))
    done = 0
    for _, rows in row_blocks(table, positions):
        ids = nearest[done : done + len(rows)]
        done += len(rows)
        order = np.argsort(ids, kind="stable")
        bounds = np.flatnonzero(np.diff(ids[order], prepend=-1))
        sums[ids[order][bounds]] += np.add.reduceat(rows[order], bounds, axis=0)
        norms += np.bincount(ids, np.linalg.norm(rows, axis=1), minlength=len(directions))
    count = np.maximum(np.bincount(nearest, minlength=len(directions)), 1)
    means = np.linalg.norm(sums, axis=1) / count
    scale: FloatArray = np.sqrt(means * norms / count).astype(np.float32)
    return scale


def row_blocks(table: PageTable, positions: IntArray) -> Iterator[tuple[IntArray, FloatArray]]:
    """(owner position of every row, rows float32) in blocks, pages in the order of ``positions``."""
    import torch

    ends = np.cumsum(table.count[positions])
    first = 0
    while first < len(positions):
        base = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, base + _ROWS_PER_BLOCK, side="right")))
        some = positions[first:last]
        table.verify(some)
        rows = torch.cat([table.rows(int(position)) for position in some]).float()
        yield np.repeat(some, table.count[some]), rows.numpy()
        first = last


def sample_rows(table: PageTable, positions: IntArray, rows: int, rng: np.random.Generator) -> FloatArray:
    """About ``rows`` rows: whole pages at random, all pages if they are not more."""
    if table.live_rows > rows:
        share = rows / table.live_rows
        positions = np.sort(rng.choice(positions, max(1, int(len(positions) * share)), replace=False))
    return np.concatenate([block for _, block in row_blocks(table, positions)])


def unit_rows(rows: FloatArray) -> FloatArray:
    """Rows of unit length (zero rows stay)."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    directions: FloatArray = np.ascontiguousarray(rows / np.maximum(norms, 1e-30), np.float32)
    return directions
