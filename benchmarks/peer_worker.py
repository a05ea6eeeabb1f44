"""One engine of `peers.py`, in an environment of its own: reads JSON lines, answers JSON lines.

    python peer_worker.py ENGINE CORPUS.npz FOLDER

Commands: ``{"build": {...}}`` -> seconds and bytes on disk; ``{"search": {...}, "queries": [...]}`` -> ids of
the ten best and milliseconds (wall clock; CPU time of the process, all its threads) of every query. Needs
numpy and the engine; the environment variables that hold it to one thread are set by the caller.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import resource
import shutil
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

K = 10


class Engine:
    """Pages [n, dim] float16 in, the ids of the ten best pages out."""

    def __init__(self, vectors: Any, offsets: Any, folder: Path) -> None:
        self.vectors, self.offsets, self.folder = vectors, offsets, folder
        self.pages = [vectors[a:b] for a, b in pairwise(offsets)]
        self.set: dict[str, Any] = {}

    def build(self, **settings: Any) -> None:
        """Make the index anew with these settings, in ``self.folder``."""

    def use(self, **settings: Any) -> None:
        """Settings of the searches that follow."""
        self.set = settings

    def search(self, query: Any) -> list[int]:
        """``query``: float32 [rows, dim]."""
        raise NotImplementedError

    def version(self) -> str:
        return ""


class BruteForce(Engine):
    """All pages in memory as float32: one product of matrices, then the greatest of every page."""

    def build(self, **settings: Any) -> None:
        self.matrix = self.vectors.astype(np.float32)

    def search(self, query: Any) -> list[int]:
        scores = np.maximum.reduceat(query @ self.matrix.T, self.offsets[:-1], axis=1).sum(0)
        return list(np.argsort(-scores, kind="stable")[:K])

    def version(self) -> str:
        return f"numpy {np.__version__}"


class Ours(Engine):
    def build(self, **settings: Any) -> None:
        import torch

        from hydra_rag_indexing import MultiVectorIndex

        torch.set_num_threads(1)
        self.index = MultiVectorIndex(self.folder / "index", self.vectors.shape[1])
        for first in range(0, len(self.pages), 1000):
            some = self.pages[first : first + 1000]
            self.index.add(list(range(first, first + len(some))), some)
        self.index.optimize()

        self.snapshot: Any = None

    def use(self, **settings: Any) -> None:
        """Nothing: as the index tuned itself. Else a copy of its snapshot with these settings."""
        self.snapshot = None
        if settings:
            found, self.ids = self.index._current()
            self.snapshot = copy.copy(found)
            self.snapshot._stage = found._stage.tuned(**settings)

    def search(self, query: Any) -> list[int]:
        if self.snapshot is None:
            return [int(i) for i, _ in self.index.search(query, K)]
        return [int(self.ids[key]) for key, _ in self.snapshot.search(query, K)]

    def version(self) -> str:
        from importlib.metadata import version

        return f"hydra-rag, torch {version('torch')}, faiss {version('faiss-cpu')}"


class FastPlaid(Engine):
    def build(self, **settings: Any) -> None:
        import torch
        from fast_plaid.search import FastPlaid as Index

        torch.set_num_threads(1)
        self.torch = torch
        self.index = Index(index=str(self.folder / "index"), device="cpu")
        pages = [torch.from_numpy(p.astype(np.float32)) for p in self.pages]
        self.index.create(documents_embeddings=pages, **settings)

    def search(self, query: Any) -> list[int]:
        rows = self.torch.from_numpy(query)[None]
        found = self.index.search(rows, top_k=K, n_processes=1, show_progress=False, **self.set)
        return [int(i) for i, _ in found[0]]

    def version(self) -> str:
        from importlib.metadata import version

        return f"fast-plaid {version('fast-plaid')}, torch {version('torch')}"


class PyLate(Engine):
    def build(self, **settings: Any) -> None:
        import torch
        from pylate import indexes

        torch.set_num_threads(1)
        self.torch = torch
        self.index = indexes.PLAID(
            index_folder=str(self.folder), index_name="index", override=True, device="cpu",
            num_threads=1, show_progress=False, **settings,
        )  # fmt: skip
        pages = [torch.from_numpy(p.astype(np.float32)) for p in self.pages]
        self.index.add_documents([str(i) for i in range(len(pages))], pages)
        self.inner = next(v for v in vars(self.index).values() if hasattr(v, "n_ivf_probe"))

    def use(self, **settings: Any) -> None:
        for name, value in settings.items():
            setattr(self.inner, name, value)

    def search(self, query: Any) -> list[int]:
        found = self.index(queries_embeddings=[self.torch.from_numpy(query)], k=K)
        return [int(hit["id"]) for hit in found[0]]

    def version(self) -> str:
        from importlib.metadata import version

        return f"pylate {version('pylate')} on fast-plaid {version('fast-plaid')}, torch {version('torch')}"


class LanceDB(Engine):
    def build(self, *, index: str = "ivf_pq", **settings: Any) -> None:
        import lancedb
        import pyarrow as pa
        from lancedb.index import IvfPq

        dim = self.vectors.shape[1]
        flat = pa.array(self.vectors.astype(np.float32).ravel())
        rows = pa.FixedSizeListArray.from_arrays(flat, dim)
        column = pa.ListArray.from_arrays(pa.array(self.offsets.astype(np.int32)), rows)
        table = pa.table({"id": pa.array(np.arange(len(self.pages))), "vector": column})
        self.table = lancedb.connect(str(self.folder / "index")).create_table("pages", table)
        if index != "none":
            self.table.create_index("vector", config=IvfPq(distance_type="cosine", **settings))

    def search(self, query: Any) -> list[int]:
        asked = self.table.search(query).distance_type("cosine").select(["id", "_distance"]).limit(K)
        if "nprobes" in self.set:
            asked = asked.nprobes(self.set["nprobes"])
        if self.set.get("refine_factor"):
            asked = asked.refine_factor(self.set["refine_factor"])
        return [int(i) for i in asked.to_arrow()["id"].to_pylist()]

    def version(self) -> str:
        from importlib.metadata import version

        return f"lancedb {version('lancedb')}"


ENGINES: dict[str, type[Engine]] = {
    "ours": Ours,
    "brute-force": BruteForce,
    "fast-plaid": FastPlaid,
    "pylate": PyLate,
    "lancedb": LanceDB,
}


def _bytes(folder: Path) -> dict[str, int]:
    """Bytes below the folder: in all, and of our first stage apart."""
    files = [p for p in folder.rglob("*") if p.is_file()]
    stage = sum(p.stat().st_size for p in files if "cache" in p.parts)
    return {"bytes": sum(p.stat().st_size for p in files), "stage_bytes": stage}


def main() -> None:
    name, corpus, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    # Engines print progress; answers go to the real standard output alone.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    data = np.load(corpus)
    engine = ENGINES[name](data["vectors"], data["offsets"], folder)
    for line in sys.stdin:
        order = json.loads(line)
        answer: dict[str, Any] = {}
        try:
            if "build" in order:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                wall, cpu = time.perf_counter(), time.process_time()
                engine.build(**order["build"])
                answer = {
                    "wall_s": time.perf_counter() - wall,
                    "cpu_s": time.process_time() - cpu,
                    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                    "version": engine.version(),
                    **_bytes(folder),
                }
            else:
                engine.use(**order["search"])
                found, wall_ms, cpu_ms = [], [], []
                engine.search(data["queries"][order["queries"][0]])  # untimed
                for number in order["queries"]:
                    query = data["queries"][number]
                    wall, cpu = time.perf_counter(), time.process_time()
                    ids = engine.search(query)
                    wall_ms.append(1000 * (time.perf_counter() - wall))
                    cpu_ms.append(1000 * (time.process_time() - cpu))
                    found.append([int(i) for i in ids])
                answer = {"ids": found, "wall_ms": wall_ms, "cpu_ms": cpu_ms}
        except Exception as error:  # an engine that refuses a setting is a result, too
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        with contextlib.suppress(BrokenPipeError):
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
