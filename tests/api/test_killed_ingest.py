"""``kill -9`` in the middle of the real command: the next run goes on, and nothing acknowledged is lost."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hydra_rag.store import Store
from hydra_rag.store.documents import list_documents
from hydra_rag_indexing.collection import Collection
from tests.api.conftest import Command
from tests.files.makers import Leaf, make_pdf, show

_PROGRAM = "import sys; from hydra_rag_api.cli import main; main()"
#: More pages than one commit takes, so that a document is half done for a while.
_LONG = 70
_PATIENCE_S = 300.0


def write_sources(folder: Path, *, long: int, pages: int = _LONG) -> None:
    """``a.pdf`` and ``z.pdf`` with few pages and ``long`` files ``b*.pdf`` of ``pages`` each."""
    folder.mkdir()
    for number in range(long):
        leaves = [Leaf(show(f"b{number} {page}", 5, 20, 9), (0, 0, 60, 40)) for page in range(1, pages + 1)]
        (folder / f"b{number}.pdf").write_bytes(make_pdf(leaves))
    (folder / "a.pdf").write_bytes(make_pdf([Leaf(show("first", 5, 20, 9), (0, 0, 60, 40))]))
    (folder / "z.pdf").write_bytes(make_pdf([Leaf(show("last", 5, 20, 9), (0, 0, 60, 40))] * 3))


def ready(store: Path) -> dict[str, tuple[str, int]]:
    """What is acknowledged: name to (id, pages)."""
    with Store.open(store) as opened:
        listed = list_documents(opened, "default", "default")
    return {entry.document: (entry.document_id, entry.pages) for entry in listed if entry.status == "ready"}


def working(store: Path) -> dict[str, tuple[str, int]]:
    with Store.open(store) as opened:
        listed = list_documents(opened, "default", "default", status="working")
    return {entry.document: (entry.document_id, entry.pages) for entry in listed}


def files(store: Path, folder: str) -> int:
    return sum(1 for path in (store / folder).rglob("*") if path.is_file())


def killed_at(
    folder: Path, store: Path, moment: Callable[[], bool], pause: float = 0.0
) -> dict[str, tuple[str, int]]:
    """Run ``hydra-rag ingest`` and kill it ``pause`` seconds after ``moment``; returns what was acknowledged
    just before."""
    arguments = ["ingest", str(folder), "--store", str(store), "--ocr", "never", "--json"]
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        end = time.monotonic() + _PATIENCE_S
        while not moment():
            assert time.monotonic() < end, "the moment never came"
            assert process.poll() is None, "the run ended before the moment came"
            time.sleep(0.1)
        time.sleep(pause)
        acknowledged = ready(store) if (store / "hydra.db").exists() else {}
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
    return acknowledged


def check_after_kill(store: Path, acknowledged: dict[str, tuple[str, int]]) -> None:
    assert ready(store).items() >= acknowledged.items()
    with Store.open(store) as opened:
        report = Collection(opened, _no_model).doctor()
    assert report.problems == []


def _no_model() -> Any:
    raise AssertionError("checking a store needs no model")


def finish(
    command: Command, folder: Path, store: Path, before: dict[str, tuple[str, int]], *, pages: int = _LONG
) -> None:
    """The last run: everything is there, once, and found."""
    ran = command("ingest", folder, "--store", store, "--ocr", "never", "--json")
    assert ran.code == 0, ran.err
    results = {Path(entry["path"]).name: entry for entry in ran.json["documents"]}
    for name, (document_id, count) in before.items():
        assert (results[name]["status"], results[name]["document_id"]) == ("unchanged", document_id)
        assert results[name]["pages"] == count
    expected = {"a.pdf": 1, "z.pdf": 3} | {name: pages for name in results if name.startswith("b")}
    assert {name: count for name, (_, count) in ready(store).items()} == expected
    assert working(store) == {}
    ran = command("doctor", "--store", store, "--json")
    assert (ran.code, ran.json["problems"]) == (0, [])
    for word, name in (("first", "a.pdf"), ("last", "z.pdf"), ("70", "b0.pdf")):
        ran = command("search", word, "--store", store, "--mode", "text", "--json")
        assert ran.json["hits"][0]["document"] == name


def test_three_kills_and_a_last_run(command: Command, tmp_path: Path) -> None:
    folder, store = tmp_path / "in", tmp_path / "store"
    write_sources(folder, long=1)
    # Before anything is stored; with half a document committed; while the last one is being read.
    acknowledged = killed_at(folder, store, lambda: (store / "blobs").exists() and files(store, "blobs") > 0)
    check_after_kill(store, acknowledged)

    def half() -> bool:
        return working(store).get("b0.pdf", ("", 0))[1] > 0

    acknowledged = killed_at(folder, store, half)
    assert "a.pdf" in acknowledged
    check_after_kill(store, acknowledged)
    resumed = working(store)["b0.pdf"]
    assert 0 < resumed[1] < _LONG

    acknowledged = killed_at(folder, store, lambda: "b0.pdf" in ready(store))
    assert acknowledged["b0.pdf"] == (resumed[0], _LONG), "the run went on with the half document"
    check_after_kill(store, acknowledged)
    finish(command, folder, store, ready(store))


@pytest.mark.faults
@pytest.mark.slow
def test_kills_at_many_moments(command: Command, tmp_path: Path) -> None:
    folder, store = tmp_path / "in", tmp_path / "store"
    write_sources(folder, long=2, pages=200)  # three commits each before the last
    rng = random.Random(1)
    halves: set[int] = set()
    for kill in range(12):
        before = files(store, "pages") if store.exists() else 0
        more = rng.randrange(20, 42)

        def moment(before: int = before, more: int = more) -> bool:
            return store.exists() and files(store, "pages") >= before + more

        acknowledged = killed_at(folder, store, moment, rng.random() * 0.4)
        check_after_kill(store, acknowledged)
        halves |= {pages for _, pages in working(store).values() if 0 < pages < 200}
        assert len(ready(store)) < 4, f"kill {kill} came after the end"
    assert len(halves) >= 2, "some kills must leave half a document"
    finish(command, folder, store, ready(store), pages=200)
