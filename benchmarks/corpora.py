"""Generated multi-vector corpora with the structure of real ones, and queries that lie near pages.

Documents of 8 pages; each document has one or two of 300 topics, a topic is a set of word-like centres.
A vector is a centre plus offsets of its document, its page and itself. A third of every page is background
(margins, white space): few centres, little noise, the same everywhere. A query is 13 noisy vectors of one
page and 3 background-like ones. The gap around rank 10 is small on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Corpus:
    """``vectors`` float16 [rows, dim], ``offsets`` int64 [pages + 1], ``queries``: float32 [16, dim] each;
    ``sources``: the page that each query was taken from."""

    name: str
    vectors: npt.NDArray[np.float16]
    offsets: npt.NDArray[np.int64]
    queries: list[FloatArray]
    sources: npt.NDArray[np.int64]

    @property
    def pages(self) -> list[npt.NDArray[np.float16]]:
        return [self.vectors[a:b] for a, b in zip(self.offsets[:-1], self.offsets[1:], strict=True)]


def _unit(x: FloatArray) -> FloatArray:
    result: FloatArray = x / np.linalg.norm(x, axis=-1, keepdims=True)
    return result


def generate(
    pages: int,
    *,
    tokens: int = 128,
    dim: int = 128,
    queries: int = 128,
    centres: int = 3000,
    noise: float = 1.0,
    seed: int = 0,
    name: str = "",
) -> Corpus:
    """``centres`` and ``noise`` (a factor on the token offsets) set how hard the corpus is."""
    rng = np.random.default_rng(seed)

    def directions(n: int) -> FloatArray:
        return _unit(rng.standard_normal((n, dim), np.float32))

    words, background = directions(centres), directions(10)
    topics = rng.integers(0, centres, (300, max(60, centres // 25)))
    lengths = rng.integers(int(tokens * 0.4), int(tokens * 1.6) + 1, pages)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    vectors = np.empty((int(offsets[-1]), dim), np.float16)
    document = np.zeros(dim, np.float32)
    chosen: npt.NDArray[np.int64] = topics[0]
    for page in range(pages):
        if page % 8 == 0:
            document = directions(1)[0]
            chosen = np.concatenate([topics[t] for t in rng.integers(0, 300, rng.integers(1, 3))])
            chosen = rng.choice(chosen, 50, replace=False)  # the words that this document uses
        n = int(lengths[page])
        plain = rng.random(n) < 0.3
        centre = np.where(
            plain[:, None],
            background[rng.integers(0, len(background), n)],
            words[rng.choice(chosen, n)],
        )
        own = np.where(plain, 0.25, 0.75 * noise).astype(np.float32)[:, None]
        shared = np.where(plain, 0.05, 0.35).astype(np.float32)[:, None]
        rows = centre + shared * document + shared * directions(1) + own * directions(n)
        vectors[offsets[page] : offsets[page + 1]] = _unit(rows)
    made = []
    sources = rng.integers(0, pages, queries)
    for page in sources:
        rows = vectors[offsets[page] : offsets[page + 1]].astype(np.float32)
        picked = rows[rng.integers(0, len(rows), 13)] + 1.0 * directions(13)
        generic = background[rng.integers(0, len(background), 3)] + 0.6 * directions(3)
        made.append(_unit(np.concatenate([picked, generic]).astype(np.float32)))
    return Corpus(name or f"{pages} pages", vectors, offsets, made, sources)
