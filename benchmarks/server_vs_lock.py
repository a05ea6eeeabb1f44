"""One server beside one model behind a global lock: the same work, the same weights, who is done first?

    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.server_vs_lock --pages 24 --chats 24 --out lock.json

Both are this project's server over the same store, web stack and model. In the second one every call of the
model holds a fair lock to its end: one page, one query, one answer (what people write first, and already kind
to the chats: a page at a time). Both do the same work: pages are embedded and read by the model; the ``ocr``
extra, which would read them outside of it, is left out where it is installed. Clients ask streamed questions
about a picture, with a pause between them, while a document is ingested. Reported: work per second (pages and
answers of the whole run; higher is better) and the 99th percentile of a chat's first piece of text (lower is
better), each as ours over theirs, over alternating rounds; and the same in seconds of the server's processor
time, which a busy machine does not blur as much (the ingest keeps the server busy, so next to nothing of a
chat's wait is idle). ``--together`` runs both at the same time, so that whatever else the machine does meets
both alike; then only the figures in processor time count.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.server_common import ServerProcess, data_uri, percentile, picture, pictures_pdf

TARGETS = {"throughput": 1.0, "first_token_p99": 0.5}
#: The same in processor time.
CPU_TARGETS = {"work_per_cpu_second": 1.0, "first_token_cpu_p99": 0.5}


class FairLock:
    """First come, first served; Python's own lock may starve whoever waits."""

    def __init__(self) -> None:
        self._guard, self._line = threading.Lock(), deque[threading.Lock]()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        mine = threading.Lock()
        mine.acquire()
        with self._guard:
            self._line.append(mine)
            if len(self._line) == 1:
                mine.release()
        mine.acquire()
        try:
            yield
        finally:
            with self._guard:
                self._line.popleft()
                if self._line:
                    self._line[0].release()


class LockedModel:
    """A model of which only one call runs at a time."""

    def __init__(self, model: Any) -> None:
        self._model, self._locked = model, FairLock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def embed_pages(self, images: Sequence[Any], **options: Any) -> list[Any]:
        out = []
        for image in images:
            with self._locked():
                out += self._model.embed_pages([image], **options)
        return out

    def read_pages(self, images: Sequence[Any], **options: Any) -> list[Any]:
        out = []
        for image in images:
            with self._locked():
                out += self._model.read_pages([image], **options)
        return out

    def embed_queries(self, items: Sequence[Any], **options: Any) -> Any:
        with self._locked():
            return self._model.embed_queries(items, **options)

    def stream(self, messages: Any, **options: Any) -> LockedStream:
        return LockedStream(self, messages, options)

    def hold(self) -> Any:
        return self._locked()


class LockedStream:
    """An answer that holds the lock from its first layer to its end."""

    def __init__(self, model: LockedModel, messages: Any, options: dict[str, Any]) -> None:
        self._made = (model, messages, options)
        self._stream: Any = None

    def __enter__(self) -> LockedStream:
        model, messages, options = self._made
        self._held = model.hold()
        self._held.__enter__()
        self._stream = model._model.stream(messages, **options)
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._held.__exit__(None, None, None)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._stream)

    @property
    def result(self) -> Any:
        return self._stream.result


def serve_locked(folder: Path, model: str) -> int:
    """The server of ``hydra-rag serve`` with the lock in place of the scheduler's turns."""
    from hydra_rag.model import HydraModel
    from hydra_rag_agents.facade import HydraRAG
    from hydra_rag_api.server.run import serve
    from hydra_rag_api.settings import load_settings

    settings = load_settings()

    def load() -> Any:
        return LockedModel(HydraModel.load(model, device="cpu", cache_dir=settings.cache_dir))

    def listening(url: str) -> None:
        sys.stdout.write(json.dumps({"url": url}) + "\n")
        sys.stdout.flush()

    with HydraRAG(folder / "store", model, load=load) as rag:
        changed = settings.server.model_copy(update={"port": 0})
        return serve(rag, changed, ocr=settings.ocr, listening=listening)


async def chat(
    client: httpx2.AsyncClient, number: int, tokens: int, spent: Callable[[], float]
) -> tuple[float, float]:
    """Seconds to the first piece of text, and the processor time that the server ``spent`` meanwhile."""
    shown = {"type": "image_url", "image_url": {"url": data_uri(picture(f"Number {number}"))}}
    words = {"type": "text", "text": "What does it say?"}
    body = {
        "model": "hydra-rag-raw",
        "messages": [{"role": "user", "content": [shown, words]}],
        "max_tokens": tokens,
        "temperature": 1.0,  # some answers would be over at once
        "seed": number,
        "stream": True,
    }
    began, first = (time.perf_counter(), spent()), None
    async with client.stream("POST", "/v1/chat/completions", json=body) as got:
        got.raise_for_status()
        async for line in got.aiter_lines():
            if first is None and '"content": "' in line and '"content": ""' not in line:
                first = (time.perf_counter(), spent())
    wall, cpu = first or (time.perf_counter(), spent())
    return wall - began[0], cpu - began[1]


async def clients(server: ServerProcess, given: argparse.Namespace) -> list[tuple[float, float]]:
    firsts: list[tuple[float, float]] = []
    left = iter(range(given.chats))

    async def one(number: int) -> None:
        pause = random.Random(number)
        async with httpx2.AsyncClient(base_url=server.url, timeout=600) as client:
            for which in left:
                await asyncio.sleep(pause.uniform(0, 2 * given.pause))
                firsts.append(await chat(client, which, given.tokens, server.cpu_seconds))

    await asyncio.gather(*(one(number) for number in range(given.clients)))
    return firsts


def measure(locked: bool, given: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = [sys.executable, "-m", "benchmarks.server_vs_lock", "--serve-locked", name]
        program += ["--model", given.model]
        with ServerProcess(folder, given.model, program=program if locked else None, ocr="model") as server:
            asyncio.run(clients(server, argparse.Namespace(**{**vars(given), "chats": 2})))  # warm
            began, cpu = time.time(), server.cpu_seconds()
            job = server.upload("many.pdf", pictures_pdf(given.pages, 298, 421))
            firsts = asyncio.run(clients(server, given))
            chats = time.time() - began
            # Whoever is done with the chats sooner is asked about its job more often, and every look costs
            # the server's thread. The job says itself when it ended.
            done = server.wait_for(job, every=3.0)
            if done["state"] != "succeeded":
                raise RuntimeError(f"the ingest ended as {done['state']}")
            seconds = max(chats, datetime.fromisoformat(done["updated"]).timestamp() - began)
            cpu = server.cpu_seconds() - cpu
    return {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "work_per_second": round((given.pages + given.chats) / seconds, 3),
        "chats_seconds": round(chats, 2),
        "first_token_p50": round(percentile([wall for wall, _ in firsts], 0.5), 3),
        "first_token_p99": round(percentile([wall for wall, _ in firsts], 0.99), 3),
        "first_token_cpu_p99": round(percentile([spent for _, spent in firsts], 0.99), 3),
        "firsts": firsts,
    }


def rounds(given: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """What :func:`measure` finds, round by round."""
    runs: dict[str, list[dict[str, Any]]] = {"ours": [], "lock": []}
    with ThreadPoolExecutor(2 if given.together else 1) as pool:
        for _ in range(given.rounds):
            started = {kind: pool.submit(measure, kind == "lock", given) for kind in runs}
            for kind, run in started.items():
                runs[kind].append(run.result())
                shown = {key: value for key, value in runs[kind][-1].items() if key != "firsts"}
                print(kind, shown, file=sys.stderr)
    return runs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--pages", type=int, default=24, help="pages of the document that is ingested")
    parser.add_argument("--chats", type=int, default=24, help="questions of all clients together")
    parser.add_argument("--clients", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=24, help="length of an answer")
    parser.add_argument(
        "--pause", type=float, default=1.0, help="mean seconds before a client's next question"
    )
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--together", action="store_true", help="both at once, for a busy machine")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--serve-locked", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve_locked is not None:
        return serve_locked(given.serve_locked, given.model)
    runs = rounds(given)
    work = {kind: sum(run["work_per_second"] for run in found) for kind, found in runs.items()}
    firsts = {kind: [first for run in found for first in run.pop("firsts")] for kind, found in runs.items()}
    late, spent_late = (
        {kind: percentile([first[clock] for first in found], 0.99) for kind, found in firsts.items()}
        for clock in (0, 1)
    )
    ratios = {
        "throughput": round(work["ours"] / work["lock"], 3),
        "first_token_p99": round(late["ours"] / late["lock"], 3),
        "first_token_cpu_p99": round(spent_late["ours"] / spent_late["lock"], 3),
    }
    spent = {kind: sum(run["cpu_seconds"] for run in found) for kind, found in runs.items()}
    ratios["work_per_cpu_second"] = round(spent["lock"] / spent["ours"], 3)
    targets = CPU_TARGETS if given.together else TARGETS
    (more, least), (less, most) = targets.items()
    met = ratios[more] >= least and ratios[less] <= most
    shown = {key: value for key, value in vars(given).items() if key not in ("out", "serve_locked")}
    report = {"settings": shown, "ratios": ratios, "targets": targets, "met": met, "runs": runs}
    text = json.dumps(report, indent=1)
    print(text)
    if given.out is not None:
        given.out.write_text(text + "\n", encoding="utf-8")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
