"""Backup and restore: whole, checked, beside writers, and never over something that is there."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from hydra_rag.errors import CorruptionError, NotFoundError, StoreError, UsageError
from hydra_rag.store import Store
from hydra_rag.testing_fakes import FakeEmbedder
from hydra_rag_indexing import backup as module
from hydra_rag_indexing.backup import backup, restore
from hydra_rag_indexing.checks import check_store
from hydra_rag_indexing.collection import Collection
from tests.indexing.conftest import QUICK

Source = Callable[..., Path]


def opened(folder: Path) -> Collection:
    embedder = FakeEmbedder()
    return Collection(Store.open(folder, create=False), lambda: embedder, settings=QUICK)


def contents(collection: Collection) -> dict[str, list[bytes]]:
    """Every page's picture and vectors, by document."""
    found = {}
    for document in collection.documents():
        pages = collection.document(document.document_id).page_list
        found[document.document] = [
            collection.page_image(document.document_id, page.page).tobytes()
            + collection.page_vectors(document.document_id, page.page).vectors.tobytes()
            for page in pages
        ]
        collection.original_path(document.document_id).read_bytes()
    return found


def test_what_is_restored_is_what_was_saved(collection: Collection, source: Source, tmp_path: Path) -> None:
    collection.ingest([source("a.txt", 3, 1, "apples"), source("b.txt", 2, 2)])
    gone = collection.ingest([source("c.txt", 1, 3)])[0].document_id
    collection.remove([str(gone)])
    made = backup(collection.store, tmp_path / "saved")
    again = restore(tmp_path / "saved", tmp_path / "new" / "store")
    assert (made.files, made.bytes, made.made) == (again.files, again.bytes, again.made)
    other = opened(tmp_path / "new" / "store")
    assert check_store(other.store).problems == []
    assert contents(other) == contents(collection)
    assert [h.document for h in other.search("apples", mode="text")] == ["a.txt"] * 3
    other.ingest([source("d.txt", 1, 4)])
    assert len(other.documents()) == 3
    assert not list((tmp_path / "saved").glob("*-wal"))
    files = [path for path in (tmp_path / "saved").rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o077 for path in files} == {0}, "others can read what the store hides"


def test_nothing_is_overwritten(collection: Collection, source: Source, tmp_path: Path) -> None:
    collection.ingest([source("a.txt")])
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        backup(collection.store, full)
    backup(collection.store, tmp_path / "saved")
    for target in (full, collection.store.directory):
        with pytest.raises(UsageError, match="not empty"):
            restore(tmp_path / "saved", target)
    with pytest.raises(UsageError, match="inside"):
        backup(collection.store, collection.store.directory / "saved")
    assert os.listdir(full) == ["mine.txt"]
    (tmp_path / "empty").mkdir()
    assert restore(tmp_path / "saved", tmp_path / "empty").files > 0


def test_every_kind_of_empty_place(
    collection: Collection, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.ingest([source("a.txt")])
    backup(collection.store, tmp_path / "saved")
    mine = tmp_path / "new.restoring" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    assert restore(tmp_path / "saved", tmp_path / "new").files > 0
    assert mine.read_text() == "mine", "another folder was taken for a left-over"
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    restore(tmp_path / "saved", tmp_path / "link")
    (tmp_path / "mounted").mkdir()
    monkeypatch.setattr("os.path.ismount", lambda path: str(path).endswith("mounted"))
    before = (tmp_path / "mounted").stat().st_ino
    restore(tmp_path / "saved", tmp_path / "mounted")
    assert (tmp_path / "mounted").stat().st_ino == before, "a mounted folder can't be replaced"
    for name in ("new", "real", "mounted"):
        assert not list((tmp_path / name).glob(".*"))
        assert check_store(opened(tmp_path / name).store).problems == []
        assert contents(opened(tmp_path / name)) == contents(collection)


def test_flips_in_the_list_of_a_backup(collection: Collection, source: Source, tmp_path: Path) -> None:
    """Each is noticed, or changes nothing but what the report says."""
    collection.ingest([source("a.txt")])
    backup(collection.store, tmp_path / "saved")
    listed = tmp_path / "saved" / "backup.json"
    data = listed.read_bytes()
    for at in range(0, len(data), 7):
        listed.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        target = tmp_path / f"new{at}"
        try:
            restore(tmp_path / "saved", target)
        except CorruptionError:
            assert not target.exists()
        else:
            assert check_store(opened(target).store).problems == []


def test_every_damaged_file_of_a_backup_is_noticed(
    collection: Collection, source: Source, tmp_path: Path
) -> None:
    collection.ingest([source("a.txt", 2)])
    saved = tmp_path / "saved"
    backup(collection.store, saved)
    names = list(json.loads((saved / "backup.json").read_bytes())["files"])
    assert {name.split("/")[0] for name in names} == {"hydra.db", "blobs", "pages", "segments"}
    for name in names:
        data = (saved / name).read_bytes()
        for bad in (data[:-1], data[:9] + bytes([data[9] ^ 1]) + data[10:], None):
            (saved / name).write_bytes(bad) if bad is not None else (saved / name).unlink()
            with pytest.raises(CorruptionError, match=r"checksum|missing"):
                restore(saved, tmp_path / "new")
            assert not (tmp_path / "new").exists()
            assert not list(tmp_path.glob("*.restoring"))
            assert not list(tmp_path.glob(".*.restoring"))
        (saved / name).write_bytes(data)
    restore(saved, tmp_path / "new")


def test_a_list_that_names_other_places_is_refused(
    collection: Collection, source: Source, tmp_path: Path
) -> None:
    collection.ingest([source("a.txt")])
    saved = tmp_path / "saved"
    backup(collection.store, saved)
    manifest = json.loads((saved / "backup.json").read_bytes())
    entry = manifest["files"]["hydra.db"]
    for name in ("../evil", "/etc/passwd", "segments/../../evil", "hydra.db/x"):
        listed = manifest | {"files": manifest["files"] | {name: entry}}
        (saved / "backup.json").write_text(json.dumps(listed))
        with pytest.raises(CorruptionError):
            restore(saved, tmp_path / "new")
    (saved / "backup.json").write_text("{")
    with pytest.raises(CorruptionError):
        restore(saved, tmp_path / "new")
    (saved / "backup.json").unlink()
    with pytest.raises(NotFoundError):
        restore(saved, tmp_path / "new")


@pytest.mark.parametrize("folder", ["segments", "blobs", "pages"])
def test_a_damaged_store_gives_no_backup(
    collection: Collection, source: Source, tmp_path: Path, folder: str
) -> None:
    collection.ingest([source("a.txt", 2)])
    victim = next(p for p in (collection.store.directory / folder).rglob("*") if p.is_file())
    data = victim.read_bytes()
    victim.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(CorruptionError, match="checksum"):
        backup(collection.store, tmp_path / "one")
    victim.unlink()
    with pytest.raises(CorruptionError, match="missing"):
        backup(collection.store, tmp_path / "two")
    for name in ("one", "two"):
        with pytest.raises(NotFoundError):
            restore(tmp_path / name, tmp_path / "new")


@pytest.mark.parametrize("thrown", [True, False], ids=["in the trash", "gone"])
def test_files_that_a_compaction_takes_away_meanwhile(
    collection: Collection, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, thrown: bool
) -> None:
    for number in range(4):
        collection.ingest([source(f"{number}.txt", 1, number)])
    before = contents(collection)
    real, calls = module._named, []

    def compacting(folder: Path) -> dict[str, str]:
        named = real(folder)
        if not calls:  # between the copy of the database and the copies of the files
            assert collection.compact(purge=not thrown) > 0
        calls.append(len(named))
        return named

    monkeypatch.setattr(module, "_named", compacting)
    backup(collection.store, tmp_path / "saved")
    assert len(calls) == (1 if thrown else 2)
    monkeypatch.undo()
    restore(tmp_path / "saved", tmp_path / "new")
    monkeypatch.setattr("hydra_rag_indexing.files.load.load_pages", None)
    other = opened(tmp_path / "new")
    assert check_store(other.store).problems == []
    assert contents(other) == before


def test_beside_a_writer(collection: Collection, source: Source, tmp_path: Path) -> None:
    """Every backup holds whole documents and all that was acknowledged before it began."""
    files = [source(f"{number}.txt", 2, number) for number in range(12)]
    acknowledged: list[str] = []
    failures: list[BaseException] = []

    def write() -> None:
        try:
            for number, path in enumerate(files):
                collection.ingest([path])
                acknowledged.append(path.name)
                if number % 4 == 3:
                    collection.compact(purge=True)
        except BaseException as error:
            failures.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    count = 0
    while writer.is_alive() or not count:
        known = list(acknowledged)
        saved, new = tmp_path / f"saved{count}", tmp_path / f"new{count}"
        backup(opened(collection.store.directory).store, saved)
        restore(saved, new)
        other = opened(new)
        problems = [p for p in check_store(other.store).problems if p.code != "unknown_files"]
        assert problems == []
        ready = {d.document for d in other.documents() if d.status == "ready"}
        assert set(known) <= ready
        count += 1
    writer.join()
    assert failures == []


def test_a_full_disk_leaves_no_backup(
    collection: Collection, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.ingest([source("a.txt", 2)])
    saved = tmp_path / "saved"
    backup(collection.store, saved)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError) as caught:
        backup(collection.store, tmp_path / "other")
    assert caught.value.code == "storage"
    with pytest.raises(StoreError):
        restore(saved, tmp_path / "new")
    monkeypatch.undo()
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "other" / "backup.json").exists()
