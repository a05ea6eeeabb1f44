"""Fewer vectors a page: pooling before storage, with boxes that still say where.

* ``hierarchical``: bottom-up clustering by Ward's criterion (token pooling, arXiv 2409.14683), with one
  difference: cells join only when they touch, so that a pooled vector stands for one area of the page and its
  box can be cited.
* ``apet``: after ApET (arXiv 2602.19870): a few basis vectors by farthest-point sampling, every vector
  rebuilt from them by ridge regression; what is rebuilt worst carries information and is kept, and each
  dropped vector is merged into the most similar kept one. The first basis vector is the one nearest to the
  mean, not a random one, so that equal pages give equal vectors.

Pooling changes vectors, so the fingerprint of pooled ones names it: ``<the model's>+hierarchical:3``. Queries
are never pooled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import numpy.typing as npt

from hydra_rag.errors import UsageError
from hydra_rag.values import FloatArray, MultiVector, PageReader

if TYPE_CHECKING:
    from PIL import Image

    from hydra_rag.values import Embedder, QueryItem, Word

__all__ = ["Method", "Pooling"]

Method = Literal["none", "hierarchical", "apet"]
IntArray = npt.NDArray[np.int64]

_BASIS = 10
_RIDGE = 1e-5


@dataclass(frozen=True, slots=True)
class Pooling:
    """A setting: which method, and how many vectors become one (``factor``, at least 1)."""

    method: Method = "none"
    factor: float = 1.0

    def __post_init__(self) -> None:
        if self.method not in get_args(Method) or not self.factor >= 1.0:
            raise UsageError(
                f"Pooling is one of {', '.join(get_args(Method))} with a factor of at least 1,"
                f" not {self.method!r} with {self.factor!r}."
            )

    @classmethod
    def parse(cls, name: str) -> Pooling:
        """From :attr:`name`, such as ``"hierarchical:3"``. Raises ``UsageError``."""
        method, _, factor = name.partition(":")
        try:
            return cls(method, float(factor or 1.0))  # type: ignore[arg-type]
        except ValueError:
            raise UsageError(f"Unknown pooling {name!r}: write it as hierarchical:3 or apet:2.") from None

    @property
    def name(self) -> str:
        """For settings and fingerprints."""
        return "none" if self.method == "none" or self.factor == 1.0 else f"{self.method}:{self.factor:g}"

    @classmethod
    def of(cls, fingerprint: str | None) -> Pooling:
        """What the vectors with this fingerprint were made with."""
        return cls.parse((fingerprint or "").partition("+")[2] or "none")

    def applied(self, embedder: Embedder) -> Embedder:
        """``embedder`` with its pages pooled."""
        return embedder if self.name == "none" else _PooledEmbedder(embedder, self)

    def __call__(self, page: MultiVector) -> MultiVector:
        """``page`` with ``ceil(n / factor)`` vectors: L2-normalised, boxes merged, no grid."""
        target = int(np.ceil(len(page) / self.factor))
        if self.name == "none" or target >= len(page):
            return page
        if self.method == "hierarchical":
            groups = _ward(page.vectors, _adjacency(page.boxes), target)
            owner = groups
            placed = np.ones(len(page), bool)
        else:
            kept = _informative(page.vectors, target)
            similarity = page.vectors @ page.vectors[kept].T
            similarity[kept, np.arange(len(kept))] = np.inf
            owner = similarity.argmax(1)
            # A kept vector may collect cells from anywhere; only those beside it belong to its place.
            touching = _adjacency(page.boxes)
            placed = (
                np.zeros(len(page), bool) if touching is None else touching[np.arange(len(page)), kept[owner]]
            )
            placed[kept] = True
        return _merged(page, owner.astype(np.int64), placed)


class _PooledEmbedder:
    def __init__(self, embedder: Embedder, pooling: Pooling) -> None:
        self._embedder, self._pooling = embedder, pooling

    @property
    def dim(self) -> int:
        return self._embedder.dim

    @property
    def fingerprint(self) -> str:
        return f"{self._embedder.fingerprint}+{self._pooling.name}"

    def embed_pages(self, images: Sequence[Image.Image]) -> list[MultiVector]:
        return [self._pooling(page) for page in self._embedder.embed_pages(images)]

    def embed_queries(self, items: Sequence[QueryItem]) -> list[MultiVector]:
        return self._embedder.embed_queries(items)

    @property
    def can_read(self) -> bool:
        return isinstance(self._embedder, PageReader) and self._embedder.can_read

    def read_pages(self, images: Sequence[Image.Image]) -> list[list[Word]]:
        assert isinstance(self._embedder, PageReader)
        return self._embedder.read_pages(images)


def _merged(page: MultiVector, owner: IntArray, placed: npt.NDArray[np.bool_]) -> MultiVector:
    """One vector per owner: the normalised mean of its members. Boxes: the union of its placed members."""
    order = np.argsort(owner, kind="stable")
    starts = np.flatnonzero(np.diff(owner[order], prepend=-1))
    sums = np.add.reduceat(page.vectors[order].astype(np.float64), starts, axis=0)
    norms = np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    vectors: FloatArray = (sums / norms).astype(np.float32)
    if page.boxes is None:
        return MultiVector(vectors)
    high = np.iinfo(np.int64).max
    low = np.where(placed[:, None], page.boxes[:, :2], high)[order]
    top = np.where(placed[:, None], page.boxes[:, 2:], -1)[order]
    boxes = np.hstack([np.minimum.reduceat(low, starts, axis=0), np.maximum.reduceat(top, starts, axis=0)])
    return MultiVector(vectors, boxes)


def _adjacency(boxes: IntArray | None) -> npt.NDArray[np.bool_] | None:
    """[n, n]: which boxes share an edge or area."""
    if boxes is None:
        return None
    left, top, right, bottom = boxes.T
    across = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
    down = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top)
    touching: npt.NDArray[np.bool_] = (across >= 0) & (down >= 0) & (across + down > 0)
    return touching


def _ward(vectors: FloatArray, adjacency: npt.NDArray[np.bool_] | None, target: int) -> IntArray:
    """Group number of every row. Cost of a merge: |a| |b| / (|a| + |b|) x squared distance of the means."""
    n = len(vectors)
    means = vectors.astype(np.float64)
    sizes = np.ones(n)
    squares = (means**2).sum(1)
    cost = 0.5 * np.maximum(squares[:, None] + squares - 2.0 * means @ means.T, 0.0)
    far = np.inf
    if adjacency is not None:
        cost = np.where(adjacency, cost, far)
    np.fill_diagonal(cost, far)
    nearest = cost.argmin(1)
    least = cost[np.arange(n), nearest]
    member = np.arange(n)
    alive = np.ones(n, bool)
    for _ in range(n - target):
        a = int(least.argmin())
        b = int(nearest[a])
        if not np.isfinite(least[a]):
            # No two groups touch: go on with any two.
            return _ward_rest(means, sizes, member, alive, target)
        linked = np.isfinite(cost[a]) | np.isfinite(cost[b])
        means[a] = (sizes[a] * means[a] + sizes[b] * means[b]) / (sizes[a] + sizes[b])
        sizes[a] += sizes[b]
        alive[b] = False
        member[member == b] = a
        distance = ((means - means[a]) ** 2).sum(1)
        fresh = np.where(linked & alive, sizes[a] * sizes / (sizes[a] + sizes) * distance, far)
        fresh[a] = far
        cost[a], cost[:, a] = fresh, fresh
        cost[b], cost[:, b] = far, far
        least[b] = far
        nearest[a], least[a] = fresh.argmin(), fresh.min()
        # Rows that pointed at either group look again; others only compare with the new one.
        stale = alive & ((nearest == a) | (nearest == b))
        stale[a] = False
        for row in np.flatnonzero(stale):
            nearest[row] = cost[row].argmin()
            least[row] = cost[row, nearest[row]]
        closer = alive & (fresh < least)
        nearest[closer], least[closer] = a, fresh[closer]
    return member


def _ward_rest(
    means: npt.NDArray[np.float64],
    sizes: npt.NDArray[np.float64],
    member: IntArray,
    alive: npt.NDArray[np.bool_],
    target: int,
) -> IntArray:
    """Merge the remaining groups by their means alone (pages in separate pieces)."""
    left = np.flatnonzero(alive)
    groups = _ward(means[left].astype(np.float32), None, target)
    return left[groups][np.searchsorted(left, member)]


def _informative(vectors: FloatArray, target: int) -> IntArray:
    """Rows to keep, in their order: the basis and what it rebuilds worst."""
    rows = vectors.astype(np.float64)
    basis = [int(((rows - rows.mean(0)) ** 2).sum(1).argmin())]
    distance = ((rows - rows[basis[0]]) ** 2).sum(1)
    while len(basis) < min(_BASIS, target):
        basis.append(int(distance.argmax()))
        distance = np.minimum(distance, ((rows - rows[basis[-1]]) ** 2).sum(1))
    chosen = rows[basis]
    gram = chosen @ chosen.T + _RIDGE * np.eye(len(basis))
    rebuilt = np.linalg.solve(gram, chosen @ rows.T).T @ chosen
    error = ((rows - rebuilt) ** 2).sum(1)
    error[basis] = np.inf
    kept: IntArray = np.sort(np.argsort(-error, kind="stable")[:target])
    return kept
