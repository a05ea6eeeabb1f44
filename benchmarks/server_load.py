"""Many chat clients and a large ingest at once: is every answer the one that its client gets alone?

    python -m benchmarks.server_load --clients 50 --pages 500 --out load.json

Asks a set of questions one after the other (sampled ones with a seed), then starts the ingest of a PDF and
lets the clients ask the same questions in a loop until it has ended. Reports answers that differ, how long
the line was, how soon refusals came, and the server's own memory over the run. Without ``--model`` a tiny
random model is made, and pictures are not read: what counts here is the server. Leaves with 1 when an answer
differs, the line or the memory grows beyond bounds, or refusals are late.

``refusals_ms`` is wall clock at the client, so whatever else the machine does is in it. In
``refusals_alone_ms`` the time is taken off in which a refusal had nothing but a processor to wait for: the
longer one of the waits of the server's event loop and of this process. ``refusals_work_ms`` is the processor
time of the whole server while a refusal was under way, the model's included: how much of its own work stood
before it, whatever else the machine does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import ssl
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.server_common import ServerProcess, data_uri, percentile, picture, pictures_pdf
from hydra_rag_indexing.files.process import queued_seconds

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

RUNNING, WAITING = 4, 16
#: What a refusal may take (99th percentile), and by how much memory may grow over the run.
REFUSAL_MS, GROWTH = 50.0, 1.1


@dataclass
class Report:
    clients: int
    pages: int
    seconds: float = 0.0
    answers: int = 0
    different: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    waited_in_vain: int = 0
    refusals_ms: list[float] = field(default_factory=list)
    refusals_alone_ms: list[float] = field(default_factory=list)
    refusals_work_ms: list[float] = field(default_factory=list)
    most_running: int = 0
    most_waiting: int = 0
    memory: list[int] = field(default_factory=list)
    ingest: str = ""
    pages_done: int = 0
    waited_for_processor: float = 0.0

    def growth(self) -> float:
        """Peak of memory in the last third of the run over that in the second; the first fills caches."""
        third = max(1, len(self.memory) // 3)
        return max(self.memory[-third:]) / max(self.memory[third : 2 * third] or self.memory[:1])

    def right(self) -> bool:
        bounded = self.most_running <= RUNNING and self.most_waiting <= WAITING
        return bounded and not self.different and not self.errors and self.ingest == "succeeded"

    def met(self) -> bool:
        late = percentile(self.refusals_alone_ms, 0.99)
        return self.right() and late <= REFUSAL_MS and self.growth() <= GROWTH

    def to_json(self) -> dict[str, Any]:
        out = asdict(self)
        memory = out.pop("memory")
        shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
        out["refusals"] = len(self.refusals_ms)
        for key in ("refusals_ms", "refusals_alone_ms", "refusals_work_ms"):
            out[key] = {name: round(percentile(out[key], share), 1) for name, share in shares.items()}
        step = max(1, len(memory) // 20)
        out["memory_mib"] = [round(value / 2**20, 1) for value in memory[::step]]
        out["memory_growth"] = round(self.growth(), 3)
        return {**out, "right": self.right(), "met": self.met()}


def questions(document: str) -> list[tuple[str, dict[str, Any]]]:
    """Paths and bodies of requests whose answers do not depend on what else is stored or asked."""
    made: list[tuple[str, dict[str, Any]]] = []
    for number in range(6):
        words = {"type": "text", "text": f"Say something about number {number}."}
        image = {"type": "image_url", "image_url": {"url": data_uri(picture(f"Number {number}"))}}
        chat: dict[str, Any] = {
            "model": "hydra-rag-raw",
            "messages": [{"role": "user", "content": [words, image] if number % 2 else [words]}],
            "max_tokens": 6 + 2 * number,
            "stream": number % 3 == 0,
        }
        if number % 4:
            chat |= {"temperature": 1.0, "seed": number}
        made.append(("/v1/chat/completions", chat))
        asked = {"question": f"What is number {number}?", "documents": [document], "mode": "visual"}
        made.append(("/api/ask", {**asked, "max_new_tokens": 6, "pages": 1, "stream": number % 2 == 0}))
    return made


def told(text: str) -> str:
    """What an answer says, without ids and times."""
    if text.startswith(("data:", "event:", ":")):
        said = ""
        for line in text.split("\n"):
            if line.startswith("data: {"):
                event = json.loads(line[6:])
                if "choices" in event:
                    said += "".join(choice["delta"].get("content") or "" for choice in event["choices"])
                elif "answer" in event:
                    return _plain(event)
                elif "error" in event:
                    return json.dumps(event)
        return said
    body = json.loads(text)
    return str(body["choices"][0]["message"]["content"]) if "choices" in body else _plain(body)


def _apart(said: str, truth: str) -> str:
    """Both texts from a little before the place where they part."""
    pairs = zip(said, truth, strict=False)
    at = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(said), len(truth)))
    start = max(0, at - 60)
    return f"{said[start : at + 140]!r} for {truth[start : at + 140]!r}, from character {start}"


def _plain(answer: dict[str, Any]) -> str:
    kept = {key: value for key, value in answer.items() if key not in ("session_id", "turn_id")}
    return json.dumps(kept, sort_keys=True)


async def one_client(
    number: int, server: ServerProcess, asks: list[Any], truth: list[str], report: Report, over: asyncio.Event
) -> None:
    order = random.Random(number)

    def waits() -> tuple[float, float]:
        return server.queued_seconds(), queued_seconds(os.getpid())

    # No certificates: loading them fifty times would be the longest work of the start.
    async with httpx2.AsyncClient(base_url=server.url, timeout=600, verify=NO_TLS) as client:
        while not over.is_set():
            which = order.randrange(len(asks))
            path, body = asks[which]
            began, before, spent = time.perf_counter(), waits(), server.spent_seconds()
            got = await client.post(path, json=body)
            took = time.perf_counter() - began
            if got.status_code in (429, 503) and got.headers.get("retry-after"):
                waited = max(b - a for a, b in zip(before, waits(), strict=True))
                report.refusals_ms.append(1000 * took)
                report.refusals_alone_ms.append(1000 * max(0.0, took - waited))
                report.refusals_work_ms.append(1000 * (server.spent_seconds() - spent))
                await asyncio.sleep(order.uniform(0.5, 2.0))
            elif got.status_code != 200:
                report.errors.append(f"{path} {got.status_code} {got.text[:300]}")
            else:
                said = told(got.text)
                if '"code": "queue_timeout"' in said:  # it was in line for longer than anybody may be
                    report.waited_in_vain += 1
                    continue
                report.answers += 1
                if said != truth[which]:
                    report.different.append(f"{path} {which}: {_apart(said, truth[which])}")


async def load(server: ServerProcess, asks: list[Any], truth: list[str], report: Report, side: int) -> None:
    over = asyncio.Event()
    pdf = pictures_pdf(report.pages, side, round(1.3 * side))
    job = await asyncio.to_thread(server.upload, "many.pdf", pdf, "many")
    began, queued = time.perf_counter(), server.queued_seconds()
    clients = [
        asyncio.create_task(one_client(number, server, asks, truth, report, over))
        for number in range(report.clients)
    ]
    while True:
        state = await asyncio.to_thread(server.job, job)
        figures = await asyncio.to_thread(server.figures)
        report.most_running = max(report.most_running, int(figures["questions_running"]))
        report.most_waiting = max(report.most_waiting, int(figures["questions_waiting"]))
        report.memory.append(server.memory())
        if state["state"] not in ("queued", "running"):
            break
        await asyncio.sleep(0.5)
    over.set()
    await asyncio.gather(*clients)
    report.seconds = round(time.perf_counter() - began, 1)
    report.waited_for_processor = round((server.queued_seconds() - queued) / report.seconds, 3)
    report.ingest, report.pages_done = state["state"], state["pages_done"]


def run(folder: Path, clients: int, pages: int, model: str | None = None, side: int = 200) -> Report:
    """The whole thing on a fresh store in ``folder``; ``side``: width of an ingested page in points."""
    if model is None:
        from hydra_rag.testing import tiny_model

        model = str(tiny_model(folder / "model"))
    most = RUNNING + WAITING + 4
    limits: dict[str, Any] = {"chat_running": RUNNING, "chat_waiting": WAITING, "chat_per_tenant": most}
    report = Report(clients, pages)
    with ServerProcess(folder, model, ocr="never", **limits) as server:
        done = server.wait_for(server.upload("numbers.txt", b"Number 3 is three.\n\nNumber 7 is seven."))
        asks = questions(done["files"][0]["document_id"])
        truth = [told(server.client.post(path, json=body).text) for path, body in asks]
        assert len(set(truth)) > len(truth) // 2, "the questions must have different answers"
        asyncio.run(load(server, asks, truth, report, side))
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--pages", type=int, default=500)
    parser.add_argument("--model", help="name or folder (default: a tiny random one)")
    parser.add_argument("--side", type=int, default=200, help="width of an ingested page in points")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = run(Path(folder), given.clients, given.pages, given.model, given.side)
    text = json.dumps(report.to_json(), indent=1)
    print(text)
    if given.out is not None:
        given.out.write_text(text + "\n", encoding="utf-8")
    return 0 if report.met() else 1


if __name__ == "__main__":
    sys.exit(main())
