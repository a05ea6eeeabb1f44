"""One writer at a time: the lease, its fencing token, the queue behind it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import select

from hydra_rag.errors import StoreBusyError
from hydra_rag.store import Store, meta
from hydra_rag.store.models import JobRow, SegmentRow
from hydra_rag.testing_fakes import FakeEmbedder
from hydra_rag.values import MultiVector
from hydra_rag_indexing import jobs
from hydra_rag_indexing.collection import Collection
from hydra_rag_indexing.events import IngestEvent, IngestResult
from hydra_rag_indexing.lease import WriteLease
from tests.indexing.conftest import QUICK

Source = Callable[..., Path]

HOLDER = """
import sys, time
from hydra_rag.store import Store
from hydra_rag_indexing.lease import WriteLease
store = Store.open(sys.argv[1])
lease = WriteLease.acquire(store)
print("held", flush=True)
time.sleep(60)
"""


def test_only_one_holds_the_lease_and_the_other_learns_who(store: Store) -> None:
    with WriteLease.acquire(store) as lease, Store.open(store.directory) as second:
        assert WriteLease.try_acquire(second) is None
        with pytest.raises(StoreBusyError, match=f"Process {os.getpid()} on") as caught:
            WriteLease.acquire(second)
        assert caught.value.exit_code == 75
        first = lease.epoch
    with WriteLease.acquire(store) as again:
        assert again.epoch == first + 1


def test_a_killed_holder_leaves_no_lock(store: Store) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(store.directory)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    assert WriteLease.try_acquire(store) is None
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    with WriteLease.acquire(store, wait_s=5):
        pass


def test_taking_the_lease_empties_the_writers_folder_only(store: Store) -> None:
    (store.tmp_dir / "writer").mkdir()
    (store.tmp_dir / "writer" / "half.part").touch()
    (store.tmp_dir / "somebody-elses").touch()
    with WriteLease.acquire(store) as lease:
        assert list(lease.tmp.iterdir()) == []
    assert (store.tmp_dir / "somebody-elses").exists()


def _overtaken(store: Store, source: Source) -> tuple[IngestResult | None, Exception | None]:
    """An ingest whose lock lies: while it embeds, another writer begins as well."""

    class Overtaken(FakeEmbedder):
        def embed_pages(self, images: Sequence[Image.Image]) -> list[MultiVector]:
            with store.write() as db:
                meta.take_epoch(db, 4711, "elsewhere")
            return super().embed_pages(images)

    try:
        collection = Collection(store, Overtaken, settings=QUICK)
        return collection.ingest([source("a.txt", pages=2)])[0], None
    except StoreBusyError as error:
        return None, error


def test_a_paused_writer_cannot_commit_after_a_newer_one(store: Store, source: Source) -> None:
    result, error = _overtaken(store, source)
    assert result is None
    assert isinstance(error, StoreBusyError)
    with store.session() as db:
        assert db.scalars(select(SegmentRow)).all() == []
    assert Collection(store, FakeEmbedder).search("p1", mode="text") == []


def test_without_the_epoch_check_it_would(
    store: Store, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The safeguard taken out: the test above would see the stale commit."""

    def no_check(db: object, epoch: int, *, visible: bool = True) -> None:
        meta.bump(db)  # type: ignore[arg-type]

    monkeypatch.setattr(meta, "fence", no_check)
    result, error = _overtaken(store, source)
    assert error is None
    assert result is not None
    assert result.status == "indexed"


def test_a_second_process_queues_and_the_holder_does_its_work(store: Store, source: Source) -> None:
    """The holder's model works; the follower's is never loaded."""
    follower_waits = threading.Event()
    outcome: list[list[IngestResult]] = []
    events: list[IngestEvent] = []
    files = [source("b.txt", pages=3, seed=2, words="mine"), source("bad.txt", seed=3)]
    files[1].write_text("broken")

    def never() -> FakeEmbedder:
        raise AssertionError("two models were loaded")

    def follow() -> None:
        with Store.open(store.directory) as second:
            follower = Collection(second, never, tenant="two", settings=QUICK)

            def seen(event: IngestEvent) -> None:
                events.append(event)
                if event.kind == "waiting":
                    follower_waits.set()

            outcome.append(follower.ingest(files, progress=seen))

    thread = threading.Thread(target=follow)

    class Slow(FakeEmbedder):
        def embed_pages(self, images: Sequence[Image.Image]) -> list[MultiVector]:
            if not thread.ident:
                thread.start()
                assert follower_waits.wait(30)
            return super().embed_pages(images)

    embedder = Slow()
    holder = Collection(store, lambda: embedder, tenant="one", settings=QUICK)
    [mine] = holder.ingest([source("a.txt", seed=1)])
    thread.join(30)
    assert mine.status == "indexed"
    [[good, bad]] = outcome
    assert (good.path, good.status, good.pages) == (str(files[0]), "indexed", 3)
    assert bad.status == "failed"
    assert bad.error is not None
    assert bad.error.code == "broken"
    two = Collection(store, lambda: embedder, tenant="two")
    assert two.search("mine", mode="text")[0].document == "b.txt"
    assert not holder.search("mine", mode="text")
    assert [event.kind for event in events].count("result") == 2


def test_a_follower_takes_over_when_the_holder_dies(store: Store, source: Source) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(store.directory)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    child.stdout.readline()
    collection = Collection(store, FakeEmbedder, settings=QUICK)

    def on(event: IngestEvent) -> None:
        if event.kind == "waiting":
            assert event.message is not None
            assert str(child.pid) in event.message
            child.kill()

    [result] = collection.ingest([source("a.txt", pages=2)], progress=on)
    child.wait()
    child.stdout.close()
    assert (result.status, result.pages) == ("indexed", 2)


def test_a_queued_job_without_owner_waits_for_anybody(store: Store, source: Source) -> None:
    collection = Collection(store, FakeEmbedder, settings=QUICK)
    ids = collection.enqueue([source("a.txt", pages=2), source("b.txt", seed=7)])
    assert [job.state for job in collection.jobs(ids)] == ["queued", "queued"]
    assert collection.drain() == 2
    assert [(job.state, job.outcome, job.pages_done) for job in collection.jobs(ids)] == [
        ("done", "indexed", 2),
        ("done", "indexed", 1),
    ]
    assert collection.drain() == 0
    assert Collection(store, FakeEmbedder, tenant="other").jobs(ids) == []


def test_what_a_dead_holder_was_doing_is_done_by_the_next(store: Store, source: Source) -> None:
    collection = Collection(store, FakeEmbedder, settings=QUICK)
    detached = collection.enqueue([source("a.txt")])
    owned = jobs.enqueue(
        store, "default", "default", [str(source("b.txt", seed=4))],
        options={}, fingerprint=None, owner=f"{jobs.me().rsplit(':', 2)[0]}:999999999:1",
    )  # fmt: skip
    with WriteLease.acquire(store) as lease:
        assert jobs.claim(store, lease, None) is not None
        assert jobs.claim(store, lease, None) is not None
    assert collection.drain() == 1
    [first, second] = collection.jobs([*detached, *owned])
    assert (first.state, first.attempts) == ("done", 2)
    assert second.state == "cancelled", "nobody waits for it any more"


def test_a_file_that_kills_its_reader_again_and_again_is_given_up(store: Store, source: Source) -> None:
    collection = Collection(store, FakeEmbedder, settings=QUICK)
    ids = collection.enqueue([source("a.txt")])
    for _ in range(3):
        with WriteLease.acquire(store) as lease:
            jobs.recover(store, lease)
            assert jobs.claim(store, lease, None) is not None
    collection.drain()
    [job] = collection.jobs(ids)
    assert (job.state, job.error_code) == ("failed", "internal")


def test_jobs_for_another_model_are_left_alone(store: Store, source: Source) -> None:
    other = Collection(store, FakeEmbedder, collection="x", fingerprint="another model")
    ids = other.enqueue([source("a.txt")])
    collection = Collection(store, FakeEmbedder, fingerprint=FakeEmbedder().fingerprint)
    assert collection.drain() == 0
    assert [job.state for job in other.jobs(ids)] == ["queued"]


def test_an_interrupted_follower_withdraws_its_jobs(store: Store, source: Source) -> None:
    def interrupt(event: IngestEvent) -> None:
        if event.kind == "waiting":
            raise KeyboardInterrupt

    with WriteLease.acquire(store):
        follower = Collection(store, FakeEmbedder, settings=QUICK)
        with pytest.raises(KeyboardInterrupt):
            follower.ingest([source("a.txt")], progress=interrupt)
    with store.session() as db:
        assert [row.state for row in db.scalars(select(JobRow))] == ["cancelled"]
    assert follower.drain() == 0
    assert follower.documents() == []


def test_this_process_is_alive_and_a_reused_id_is_not() -> None:
    host, pid, started = jobs.me().rsplit(":", 2)
    assert jobs.alive(jobs.me())
    assert not jobs.alive(f"{host}:{pid}:{int(started) + 1}")
    assert not jobs.alive(f"{host}:999999999:5")
    assert jobs.alive(f"some-other-host:{pid}:5")


def test_many_writers_all_finish(store: Store, source: Source) -> None:
    """Five at once in five stores of their own: every file is there once, nothing is wrong."""
    paths = [source(f"{i}.txt", pages=1 + i % 3, seed=i) for i in range(15)]
    failures: list[BaseException] = []

    def work(mine: list[Path]) -> None:
        try:
            with Store.open(store.directory) as own:
                results = Collection(own, FakeEmbedder, settings=QUICK).ingest(mine)
            assert [result.status for result in results] == ["indexed"] * len(mine)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(paths[i::5],)) for i in range(5)]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    for thread in threads:
        thread.join(max(0.0, 120 - (time.monotonic() - began)))
    assert failures == []
    collection = Collection(store, FakeEmbedder)
    assert sorted(d.document for d in collection.documents()) == sorted(path.name for path in paths)
    assert {d.status for d in collection.documents()} == {"ready"}
    assert collection.doctor().problems == []
