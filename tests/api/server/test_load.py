"""Many clients ask while a large document is ingested: everyone gets what he would get alone.

The default run takes a sample; ``make test-load`` takes 50 clients and 500 pages, and then the server's
memory must stay flat as well.
"""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.server_load import GROWTH, RUNNING, WAITING, run

LONG = os.environ.get("HYDRA_RAG_TEST_LONG") == "1"


def test_many_at_once_say_what_each_would_say_alone(tmp_path: Path) -> None:
    clients, pages = (50, 500) if LONG else (RUNNING + WAITING + 4, 4)
    report = run(tmp_path, clients, pages)
    assert report.different == []
    assert report.errors == []
    assert (report.ingest, report.pages_done) == ("succeeded", pages)
    assert report.answers > 0
    assert report.refusals_ms  # more clients than places
    assert report.most_running <= RUNNING
    assert report.most_waiting <= WAITING
    if LONG:
        assert report.growth() <= GROWTH, report.to_json()["memory_mib"]
