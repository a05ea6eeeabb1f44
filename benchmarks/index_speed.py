"""Search speed and recall of the vector index on generated pages, beside brute force.

    OMP_NUM_THREADS=1 taskset -c 0 python benchmarks/index_speed.py --pages 10000 --out speed.json

Prints one JSON line per size: recall@10 against the exact scan, milliseconds a query (wall clock and CPU
time; on a busy machine neither is what an idle one gives), bytes of the first stage, build time. Queries are
not those the index tuned itself on.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from corpora import Corpus, generate

from hydra_rag.maxsim import packed_scores
from hydra_rag.metrics import ndcg
from hydra_rag_indexing import MultiVectorIndex


def timed(function: Callable[[Any], Any], items: list[Any]) -> tuple[list[Any], dict[str, float]]:
    """Results, and the milliseconds that each call took (one untimed call first)."""
    function(items[0])
    results, wall, cpu = [], [], []
    for item in items:
        a, b = time.perf_counter(), time.process_time()
        results.append(function(item))
        wall.append(time.perf_counter() - a)
        cpu.append(time.process_time() - b)
    names = {
        "wall_p50_ms": (wall, 50),
        "wall_p95_ms": (wall, 95),
        "cpu_p50_ms": (cpu, 50),
        "cpu_p95_ms": (cpu, 95),
    }
    figures = {n: round(1000 * float(np.percentile(v, p)), 3) for n, (v, p) in names.items()}
    return results, figures


def brute_force(corpus: Corpus) -> tuple[list[list[int]], dict[str, float]]:
    """The exact ten best of every query, best first, float32 over all pages in memory."""
    matrix = torch.from_numpy(corpus.vectors)
    scores, figures = timed(lambda q: packed_scores(q, matrix, corpus.offsets), corpus.queries)
    return [np.lexsort((np.arange(len(s)), -s))[:10].tolist() for s in scores], figures


def gain(found: Sequence[Sequence[int]], corpus: Corpus) -> float:
    """nDCG@10 where the page that a query was taken from is the only right one."""
    pairs = zip(found, corpus.sources.tolist(), strict=True)
    return round(float(np.mean([ndcg(ids, {page}, 10) for ids, page in pairs])), 4)


def measure(corpus: Corpus, folder: Path, first_stage: str, batch: int = 1000) -> dict[str, Any]:
    truth, exact = brute_force(corpus)
    pages = corpus.pages
    cpu, wall = time.process_time(), time.perf_counter()
    with MultiVectorIndex(folder, corpus.vectors.shape[1], first_stage=first_stage) as index:
        for start in range(0, len(pages), batch):
            some = pages[start : start + batch]
            index.add(list(range(start, start + len(some))), some)
        added = time.process_time() - cpu
        index.optimize()
        built = {
            "add_cpu_s": round(added, 1),
            "optimize_cpu_s": round(time.process_time() - cpu - added, 1),
            "total_wall_s": round(time.perf_counter() - wall, 1),
        }
        hits, figures = timed(lambda q: index.search(q, 10), corpus.queries)
        ids = [[int(i) for i, _ in h] for h in hits]
        shares = [len(set(h) & set(t)) / 10 for h, t in zip(ids, truth, strict=True)]
        stage = sum(p.stat().st_size for p in (folder / "cache").glob("*"))
        stored = sum(p.stat().st_size for p in (folder / "segments").glob("*"))
        start, cpu = time.perf_counter(), time.process_time()
        index.add([len(pages) + 1], [pages[0]])
        index.search(corpus.queries[0], 10)
        change = {"add_one_and_search_ms": round(1000 * (time.process_time() - cpu), 2)}
        cpu = time.process_time()
        index.remove([len(pages) + 1])
        index.search(corpus.queries[0], 10)
        change["remove_one_and_search_ms"] = round(1000 * (time.process_time() - cpu), 2)
    return {
        "corpus": corpus.name,
        "first_stage": first_stage,
        "pages": len(pages),
        "vectors": len(corpus.vectors),
        "dim": corpus.vectors.shape[1],
        "recall@10": round(float(np.mean(shares)), 4),
        "ndcg@10": gain(ids, corpus),
        "exact_ndcg@10": gain(truth, corpus),
        **figures,
        "first_stage_bytes_per_page": round(stage / len(pages), 1),
        "stored_bytes_per_page": round(stored / len(pages), 1),
        **built,
        **change,
        "brute_force": exact,
        "times_faster_cpu": round(exact["cpu_p50_ms"] / figures["cpu_p50_ms"], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pages", type=int, nargs="+", default=[2000, 10000, 30000])
    parser.add_argument("--tokens", type=int, default=128, help="vectors a page, on average")
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--queries", type=int, default=128)
    parser.add_argument("--noise", type=float, default=1.0, help="spread of tokens round their words")
    parser.add_argument("--centres", type=int, default=3000, help="word-like centres")
    parser.add_argument("--first-stage", default="lists", choices=["lists", "product", "none"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="also write the lines to this file")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    lines = []
    for pages in arguments.pages:
        corpus = generate(
            pages,
            tokens=arguments.tokens,
            dim=arguments.dim,
            queries=arguments.queries,
            centres=arguments.centres,
            noise=arguments.noise,
            seed=arguments.seed,
        )
        with tempfile.TemporaryDirectory() as folder:
            line = measure(corpus, Path(folder), arguments.first_stage)
            line |= {"machine": platform.machine(), "torch": torch.__version__}
        lines.append(json.dumps(line))
        print(lines[-1], flush=True)
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
