"""Our index beside fast-plaid, PyLate, LanceDB and brute force: same pages, same queries, one core.

    taskset -c 0 python benchmarks/peers.py --environments ~/peers --out peers.json

Each engine runs in a process and an environment of its own (`--environments`: a folder; what is missing there
is made with pip). Every engine's settings are swept on one half of the queries. From that half alone are
chosen: for every engine, the fastest setting at (within 0.002 of) its best recall, and the fastest that
reaches 0.90, 0.95 and 0.99; for our index also the fastest that reaches each peer's best recall, or our own
best where none does. The other half is what is reported: in rounds, a few queries of every chosen setting in
turn, so that whatever else the machine does falls on all alike. Ratios are medians over rounds.
`peers_report.py` makes tables and plots.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from corpora import generate

WORKER = Path(__file__).with_name("peer_worker.py")
TORCH = "torch==2.11.0"
NEEDS = {
    "fast-plaid": [TORCH, "fast-plaid==1.7.0.2110", "numpy"],
    "pylate": [TORCH, "pylate==1.6.0", "fast-plaid==1.4.6.2110"],
    "lancedb": ["lancedb==0.40.0", "numpy"],
}
#: One thread each, whatever library does the work.
ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "RAYON_NUM_THREADS",
        "TOKIO_WORKER_THREADS",
        "LANCE_CPU_THREADS",
    ),
    "1",
)
TARGETS = (0.90, 0.95, 0.99)


def grid(**values: Any) -> list[dict[str, Any]]:
    """Every combination."""
    return [dict(zip(values, v, strict=True)) for v in itertools.product(*values.values())]


PLAID = grid(n_ivf_probe=(4, 8, 16), n_full_scores=(128, 256, 512, 1024, 2048))
#: Engine -> how it is built, and how it is searched.
SWEEPS: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "ours": (
        [{}],
        [
            {},
            *(
                s | {"caution": 0.0, "stretch": 1.0}
                for s in grid(
                    budget=(0.05, 0.1, 0.2, 0.4),
                    share=(0.0, 0.35),
                    candidates=(15, 20, 30, 50, 75, 100, 150, 200, 300),
                )
            ),
        ],
    ),
    "brute-force": ([{}], [{}]),
    "fast-plaid": (grid(nbits=(4, 8)), PLAID),
    "pylate": (grid(nbits=(4, 8)), PLAID),
    "lancedb": (
        [{"num_sub_vectors": 32}, {"index": "none"}],
        grid(nprobes=(2, 5, 10, 20), refine_factor=(None, 3, 5, 10, 20, 40)),
    ),
}


@dataclass
class Worker:
    """One engine with one index."""

    engine: str
    settings: dict[str, Any]
    process: subprocess.Popen[str]
    built: dict[str, Any] = field(default_factory=dict)

    def ask(self, **order: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "the process ended"}
        return answer

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)


@dataclass
class Setting:
    """A point of a sweep, and what was measured of it on the choosing half."""

    worker: Worker
    search: dict[str, Any]
    recall: float
    cpu_ms: float
    wall_ms: float
    roles: list[str] = field(default_factory=list)
    rounds: list[dict[str, Any]] = field(default_factory=list)


def environment(engine: str, folder: Path) -> str:
    """Python of the engine's environment, made where it is missing."""
    if engine not in NEEDS:
        return sys.executable
    python = folder / engine / "bin" / "python"
    if not python.exists():
        print(f"making an environment for {engine}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(folder / engine)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *NEEDS[engine]], check=True)
    return str(python)


def recall(ids: list[list[int]], truth: list[set[int]]) -> float:
    return float(np.mean([len(set(i) & t) / len(t) for i, t in zip(ids, truth, strict=True)]))


def sweep(
    worker: Worker, searches: list[dict[str, Any]], half: list[int], truth: list[set[int]]
) -> Iterator[Setting]:
    for search in searches:
        answer = worker.ask(search=search, queries=half)
        if "error" in answer:
            print(f"  {search}: {answer['error']}", file=sys.stderr)
            continue
        found = recall(answer["ids"], [truth[i] for i in half])
        cpu, wall = (float(np.median(answer[n])) for n in ("cpu_ms", "wall_ms"))
        print(f"  {search}: recall {found:.3f}, {cpu:.1f} ms CPU", file=sys.stderr, flush=True)
        yield Setting(worker, search, found, cpu, wall)


def choose(settings: list[Setting]) -> None:
    """Give the settings that are reported their roles; see the module's text."""
    engines = {s.worker.engine for s in settings}
    best: dict[str, float] = {}
    for engine in engines:
        own = [s for s in settings if s.worker.engine == engine]
        best[engine] = max(s.recall for s in own)
        for target in (*TARGETS, None):
            bar = best[engine] - 0.002 if target is None else target
            fit = [s for s in own if s.recall >= bar]
            if fit:
                role = "best recall" if target is None else f"{target:.2f}"
                min(fit, key=lambda s: s.cpu_ms).roles.append(role)
    ours = [s for s in settings if s.worker.engine == "ours"]
    for setting in ours:
        if not setting.search:
            setting.roles.append("as it tunes itself")
    for engine in sorted(engines - {"ours", "brute-force"}):
        # Where none of ours gets there: our best, not our fastest.
        fit = [s for s in ours if s.recall >= best[engine]]
        fit = fit or [s for s in ours if "best recall" in s.roles]
        min(fit, key=lambda s: s.cpu_ms).roles.append(f"against {engine}")


def measure(chosen: list[Setting], half: list[int], truth: list[set[int]], size: int, passes: int) -> None:
    """Rounds over the reporting half; every setting gets the same few queries before the next few."""
    for number in range(passes * (len(half) // size)):
        first = number * size % len(half)
        some = half[first : first + size]
        # Each round begins with another engine, so that none always follows the same one.
        turn = number % len(chosen)
        for setting in chosen[turn:] + chosen[:turn]:
            answer = setting.worker.ask(search=setting.search, queries=some)
            found = [len(set(i) & truth[q]) / len(truth[q]) for i, q in zip(answer["ids"], some, strict=True)]
            setting.rounds.append({"recall": found, "wall_ms": answer["wall_ms"], "cpu_ms": answer["cpu_ms"]})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--environments", type=Path, required=True)
    parser.add_argument("--engines", nargs="+", default=list(SWEEPS), choices=list(SWEEPS))
    parser.add_argument("--pages", type=int, default=2000)
    parser.add_argument("--tokens", type=int, default=128, help="vectors a page, on average")
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--queries", type=int, default=96)
    parser.add_argument("--block", type=int, default=6, help="queries of one engine in a row")
    parser.add_argument("--passes", type=int, default=2, help="over the reporting half")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    corpus = generate(
        arguments.pages,
        tokens=arguments.tokens,
        dim=arguments.dim,
        queries=arguments.queries,
        seed=arguments.seed,
    )
    halves = list(range(0, arguments.queries, 2)), list(range(1, arguments.queries, 2))
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "corpus.npz"
        np.savez(path, vectors=corpus.vectors, offsets=corpus.offsets, queries=np.stack(corpus.queries))
        matrix = corpus.vectors.astype(np.float64)
        starts, truth = corpus.offsets[:-1], []
        for query in corpus.queries:
            exact = np.maximum.reduceat(query.astype(np.float64) @ matrix.T, starts, axis=1).sum(0)
            truth.append(set(np.argsort(-exact, kind="stable")[:10].tolist()))
        del matrix
        workers, settings = [], []
        try:
            for engine in arguments.engines:
                python = environment(engine, arguments.environments)
                builds, searches = SWEEPS[engine]
                for number, build in enumerate(builds):
                    folder = Path(scratch) / engine / str(number)
                    process = subprocess.Popen(
                        [python, str(WORKER), engine, str(path), str(folder)],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        text=True,
                        env=os.environ | ONE_THREAD,
                    )
                    worker = Worker(engine, build, process)
                    workers.append(worker)
                    worker.built = worker.ask(build=build)
                    print(engine, build, worker.built, file=sys.stderr, flush=True)
                    if "error" not in worker.built:
                        plain = [{}] if build.get("index") == "none" else searches
                        settings += list(sweep(worker, plain, halves[0], truth))
            choose(settings)
            chosen = [s for s in settings if s.roles]
            measure(chosen, halves[1], truth, arguments.block, arguments.passes)
        finally:
            for worker in workers:
                worker.close()
    rows = [
        {
            "engine": s.worker.engine,
            "build": s.worker.settings,
            "built": s.worker.built,
            "search": s.search,
            "recall": s.recall,
            "cpu_ms": s.cpu_ms,
            "wall_ms": s.wall_ms,
            "roles": s.roles,
            "rounds": s.rounds,
        }
        for s in settings
    ]
    facts = {n: v for n, v in vars(arguments).items() if n not in ("environments", "out")}
    arguments.out.write_text(json.dumps({"facts": facts, "settings": rows}) + "\n")


if __name__ == "__main__":
    main()
