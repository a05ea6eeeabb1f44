"""A `hydra-rag serve` process to be measured, and what its clients send."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2
from PIL import Image, ImageDraw

__all__ = ["ServerProcess", "data_uri", "percentile", "picture", "pictures_pdf"]


class ServerProcess:
    """The server as a process of its own, on a free port, with the store in ``folder``.

    ``ocr``: where text of pictures comes from. ``settings``: fields of the server's settings
    (``chat_running=2``). ``program``: another command line that prints the same line with the URL.
    """

    def __init__(
        self,
        folder: Path,
        model: str,
        *,
        program: list[str] | None = None,
        ocr: str = "auto",
        **settings: object,
    ) -> None:
        command = program or [
            sys.executable, "-c", "from hydra_rag_api.cli import main; main()", "serve", "--json",
            "--port", "0", "--store", str(folder / "store"), "--model", model, "--device", "cpu",
        ]  # fmt: skip
        # Settings and caches of its own: features of pages that an earlier run has seen would be reused.
        home = {"HYDRA_RAG_HOME": str(folder / "home"), "HYDRA_RAG_OCR": ocr}
        changes = home | {f"HYDRA_RAG_SERVER__{name.upper()}": str(value) for name, value in settings.items()}
        self.began = time.perf_counter()
        with (folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, **changes}
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError((folder / "server.log").read_text(encoding="utf-8", errors="replace"))
        self.listening_seconds = time.perf_counter() - self.began
        self.url: str = json.loads(line)["url"]
        self.client = httpx2.Client(base_url=self.url, timeout=600)
        try:
            while not self._ready():
                time.sleep(0.02)
        except BaseException:
            self.stop()
            raise
        self.ready_seconds = time.perf_counter() - self.began

    def _ready(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError("the server has ended")
        try:
            answer = self.client.get("/readyz")
        except httpx2.TransportError:  # on a starved machine a kept connection outlives its time unnoticed
            return False
        if "failed" in answer.text:
            raise RuntimeError("the server can't load the model; see its log")
        return answer.status_code == 200

    def figures(self) -> dict[str, float]:
        """The server's gauges and counters that have no labels."""
        lines = self.client.get("/metrics").text.splitlines()
        pairs = [line.split() for line in lines if not line.startswith("#") and "{" not in line]
        return {name.removeprefix("hydra_rag_"): float(value) for name, value in pairs}

    def memory(self) -> int:
        """Bytes of memory of its own (not of files that are mapped)."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("this system does not tell a process's memory in /proc")

    def queued_seconds(self) -> float:
        """How long the thread that answers clients has waited for a processor so far."""
        from hydra_rag_indexing.files.process import queued_seconds

        return queued_seconds(self.process.pid)

    def cpu_seconds(self) -> float:
        """Processor time so far, of its finished children too."""
        text = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii", errors="replace")
        fields = text.rpartition(")")[2].split()
        return sum(int(value) for value in fields[11:15]) / os.sysconf("SC_CLK_TCK")

    def spent_seconds(self) -> float:
        """Processor time of the process itself so far, to the nanosecond."""
        return time.clock_gettime((~self.process.pid << 3) | 2)  # CPUCLOCK_SCHED of the process, as in Linux

    def upload(self, name: str, data: bytes, collection: str = "default") -> str:
        """The job's id."""
        sent = self.client.post(
            "/api/documents", files={"files": (name, data)}, params={"collection": collection}
        )
        sent.raise_for_status()
        return str(sent.json()["job_id"])

    def job(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(f"/api/jobs/{job_id}").json()
        return found

    def wait_for(self, job_id: str, every: float = 0.05) -> dict[str, Any]:
        """``every``: seconds between two looks at the job, which cost the server (and this process) some."""
        while (job := self.job(job_id))["state"] in ("queued", "running"):
            time.sleep(every)
        return job

    def stop(self) -> float:
        """Tell it to stop; seconds until it has."""
        began = time.perf_counter()
        self.client.close()
        self.process.terminate()
        try:
            self.process.wait(timeout=120)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()
        return time.perf_counter() - began

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.stop()


def picture(text: str, width: int = 320, height: int = 200) -> Image.Image:
    """Black words on white."""
    image = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(image).text((20, height // 3), text, fill="black")
    return image


def data_uri(image: Image.Image) -> str:
    out = io.BytesIO()
    image.save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode("ascii")


def pictures_pdf(pages: int, width: int = 200, height: int = 260) -> bytes:
    """A PDF of ``pages`` small pages (in points) with one line each and no text layer."""
    made = [picture(f"Page {number} of many", width, height) for number in range(1, pages + 1)]
    out = io.BytesIO()
    made[0].save(out, "PDF", save_all=True, append_images=made[1:], resolution=72)
    return out.getvalue()


def percentile(values: list[float], share: float) -> float:
    """The smallest value that ``share`` (0 to 1) of the values do not pass; 0.0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
