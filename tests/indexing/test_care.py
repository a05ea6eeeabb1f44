"""Doctor, repair, compaction, sweep, reindex: equal to a store that never needed them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import text

from hydra_rag.errors import CorruptionError, FingerprintError, StoreBusyError, StoreError, UsageError
from hydra_rag.store import Store, changes, chats
from hydra_rag.testing_fakes import FakeEmbedder
from hydra_rag.values import MultiVector
from hydra_rag_indexing import checks
from hydra_rag_indexing.collection import Collection
from hydra_rag_indexing.lease import WriteLease
from hydra_rag_indexing.sweep import find_garbage, sweep
from tests.indexing.conftest import QUICK
from tests.indexing.library import page_image

Source = Callable[..., Path]
Hits = list[list[tuple[str, int, float]]]


def hits(collection: Collection) -> Hits:
    """What a row of searches finds: documents by name, so that stores can be compared."""
    found = []
    for seed in range(6):
        result = collection.search(page_image(seed, 1), k=100, mode="visual")
        found.append(sorted((hit.document, hit.page, round(hit.score, 4)) for hit in result))
    return found


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def fill(collection: Collection, source: Source, numbers: Sequence[int] = range(5)) -> dict[str, str]:
    results = collection.ingest([source(f"{i}.txt", pages=2 + i, seed=i, words=f"w{i}") for i in numbers])
    return {Path(result.path).name: str(result.document_id) for result in results}


def problems(collection: Collection, repair: bool = False) -> list[str]:
    return sorted({problem.code for problem in collection.doctor(repair).problems})


def test_a_healthy_store_has_no_problems(collection: Collection, source: Source) -> None:
    assert collection.doctor().to_json() == {
        "ok": True, "problems": [], "repaired": [], "pages": 0, "segments": 0, "recall_estimate": None,
    }  # fmt: skip
    fill(collection, source)
    report = collection.doctor()
    assert (report.ok, report.pages, report.recall_estimate) == (True, 20, 1.0)


def flip(path: Path, at: float = 0.5) -> None:
    data = bytearray(path.read_bytes())
    data[int(at * len(data))] ^= 0x10
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


@pytest.mark.parametrize(
    ("folder", "damage", "code"),
    [
        ("segments", Path.unlink, "segment_missing"),
        ("segments", cut, "segment_truncated"),
        ("segments", flip, "segment_corrupt"),
        ("segments", lambda path: flip(path, 0.02), "segment_corrupt"),
        ("pages", Path.unlink, "image_missing"),
        ("pages", flip, "image_corrupt"),
        ("blobs", Path.unlink, "original_missing"),
        ("blobs", flip, "original_corrupt"),
    ],
)
def test_damaged_files_are_found_and_mended(
    store: Store,
    embedder: FakeEmbedder,
    source: Source,
    folder: str,
    damage: Callable[[Path], None],
    code: str,
) -> None:
    collection = Collection(store, lambda: embedder, settings=QUICK)
    fill(collection, source)
    before = hits(collection)
    damage(sorted(files(store.directory / folder))[1])
    fresh = Collection(store, lambda: embedder, settings=QUICK)
    assert problems(fresh) == [code]
    report = fresh.doctor(repair=True)
    assert report.problems == []
    assert {problem.code for problem in report.repaired} == {code}
    assert hits(Collection(store, lambda: embedder)) == before
    assert problems(fresh) == []


def test_a_damaged_segment_never_gives_wrong_scores(
    store: Store, embedder: FakeEmbedder, source: Source
) -> None:
    fill(Collection(store, lambda: embedder, settings=QUICK), source)
    [segment, *_] = sorted(files(store.segments_dir))
    flip(segment, 0.7)
    with pytest.raises(CorruptionError, match="doctor --repair"):
        hits(Collection(store, lambda: embedder))


def test_what_cannot_be_mended_is_said(store: Store, embedder: FakeEmbedder, source: Source) -> None:
    collection = Collection(store, lambda: embedder, settings=QUICK)
    path = source("a.txt", pages=2)
    collection.ingest([path])
    path.unlink()
    [original] = files(store.blobs_dir)
    original.unlink()
    assert problems(collection, repair=True) == ["original_missing"]
    assert len(collection.search(page_image(0, 1))) == 2, "pages and vectors stay usable"


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("DELETE FROM page_vectors WHERE page_key = 3", "vectors_missing"),
        ("UPDATE page_vectors SET row_start = row_start + 1 WHERE page_key = 3", "rows"),
        ("UPDATE page_vectors SET row_count = 1 WHERE page_key = 3", "rows"),
        ("UPDATE page_vectors SET crc32 = 1 WHERE page_key = 3", "rows"),
        ("DELETE FROM page_text WHERE rowid = 3", "text"),
        ("INSERT INTO page_text(rowid, tenant, text) VALUES (999, 'default', 'x')", "text"),
        ("UPDATE page_text SET text = 'another' WHERE rowid = 3", "text"),
        ("UPDATE page_words SET words = replace(words, 'w1', 'w8') WHERE page_key = 3", "text"),
    ],
)
def test_rows_out_of_step_are_found_and_mended(
    store: Store, collection: Collection, source: Source, statement: str, code: str
) -> None:
    fill(collection, source)
    before = hits(collection)
    with store.write() as db:
        db.execute(text(statement))
    assert problems(collection) == [code]
    assert problems(collection, repair=True) == []
    assert hits(collection) == before


def test_files_that_go_with_their_rows_are_no_problem(
    store: Store, collection: Collection, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process gives up a half-done document, which no search sees, while the files are compared."""
    fill(collection, source)
    real = checks._segment

    def meanwhile(*arguments: object) -> object:
        monkeypatch.setattr(checks, "_segment", real)
        with store.write() as db:
            changes.remove_documents(
                db, store, "default", [d.document_id for d in collection.documents()][:1]
            )
        with WriteLease.acquire(store) as lease:
            assert sweep(store, lease) > 2
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(checks, "_segment", meanwhile)
    assert checks.check_store(store).problems == []
    assert len(collection.documents()) == 4


def test_a_value_that_is_no_json_is_damage(store: Store, collection: Collection, source: Source) -> None:
    fill(collection, source)
    with store.write() as db:
        db.execute(text("UPDATE page_words SET words = replace(words, '[', '{')"))
    document = collection.documents()[0].document_id
    for use in (lambda: collection.page_words(document, 1), collection.doctor):
        with pytest.raises(StoreError, match="damaged") as caught:
            use()
        assert caught.value.code == "corruption"


def test_a_missing_page_row_is_found(store: Store, collection: Collection, source: Source) -> None:
    fill(collection, source)
    with store.write() as db:
        db.execute(text("DELETE FROM pages WHERE page_key = 3"))
    assert problems(collection) == ["pages"]


def test_after_remove_and_compact_all_is_as_if_it_had_never_been(
    store: Store, collection: Collection, embedder: FakeEmbedder, source: Source, tmp_path: Path
) -> None:
    ids = fill(collection, source)
    collection.remove([ids["1.txt"], ids["3.txt"]])
    with Store.open(tmp_path / "other") as second:
        never = Collection(second, lambda: embedder, settings=QUICK)
        fill(never, source, (0, 2, 4))
        assert hits(collection) == hits(never)
        assert collection.compact() > 0
        assert hits(collection) == hits(never)
        assert len(files(store.segments_dir)) == 1
    assert collection.compact() == 0
    assert problems(collection) == []
    with store.session() as db:
        live = db.execute(text("SELECT sum(row_count) FROM page_vectors")).scalar()
        assert db.execute(text("SELECT sum(rows) FROM segments")).scalar() == live


def test_purge_leaves_nothing_of_a_removed_document(
    store: Store, collection: Collection, source: Source
) -> None:
    ids = fill(collection, source)
    image = store.page_image_path("default", collection.page(ids["2.txt"], 1).image_sha256, ".png")
    original = collection.original_path(ids["2.txt"])
    assert image.exists()
    assert original.exists()
    collection.remove([ids["2.txt"]])
    collection.compact(purge=True)
    assert not image.exists()
    assert not original.exists()
    assert files(store.trash_dir) == set()
    assert problems(collection) == []


def test_a_reader_keeps_its_snapshot_through_a_compaction(collection: Collection, source: Source) -> None:
    ids = fill(collection, source)
    query = FakeEmbedder().embed_queries([page_image(2, 1)])[0].vectors
    old = collection.snapshot()
    assert old is not None
    before = old.search(query, 5)
    collection.remove([ids["0.txt"]])
    collection.compact(purge=True)
    assert old.search(query, 5) == before
    renewed = collection.snapshot()
    assert renewed is not None
    assert renewed is not old
    keys = {key for key, _ in renewed.search(query, 100)}
    assert keys == {
        collection.page(document.document_id, number).page_key
        for document in collection.documents()
        for number in range(1, document.pages + 1)
    }


def test_a_reader_that_opens_too_late_looks_again(
    store: Store, collection: Collection, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading the rows and opening the files, a compaction moves the files away."""
    fill(collection, source)
    expected = hits(collection)
    reader = Collection(store, FakeEmbedder)
    read = reader._snapshots._read
    calls = 0

    def slow_read() -> object:
        nonlocal calls
        calls += 1
        rows = read()
        if calls == 1:
            collection.compact(purge=True)
        return rows

    monkeypatch.setattr(reader._snapshots, "_read", slow_read)
    assert hits(reader) == expected
    assert calls > 6


def test_the_rest_of_a_crash_is_swept_after_an_hour(
    store: Store, collection: Collection, source: Source
) -> None:
    fill(collection, source)
    [known, *_] = sorted(files(store.segments_dir))
    orphan = store.segments_dir / f"{'0' * 32}.safetensors"
    orphan.write_bytes(known.read_bytes())
    foreign = store.segments_dir / "notes.txt"
    foreign.write_text("somebody put this here")
    assert problems(collection) == [], "garbage is no problem"
    collection.compact()
    assert orphan.exists()
    old = time.time() - 2 * 3600
    os.utime(orphan, (old, old))
    collection.compact()
    assert not orphan.exists()
    assert foreign.exists()
    assert any(orphan.name in path.name for path in files(store.trash_dir)), "a day of grace in the trash"


def test_the_image_of_a_question_stays_as_long_as_its_turn(store: Store) -> None:
    path = store.question_image_path("t", "ab" * 32)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"picture")
    old = time.time() - 2 * 3600
    os.utime(path, (old, old))
    session = chats.create_session(store, "t")
    chats.add_turn(store, "t", session.session_id, "?", image_sha256="ab" * 32)
    collection = Collection(store, FakeEmbedder)
    collection.compact()
    assert path.exists()
    chats.remove_session(store, "t", session.session_id)
    collection.compact()
    assert not path.exists()


def test_much_unknown_garbage_stops_the_sweep(store: Store, collection: Collection, source: Source) -> None:
    """As after restoring an older database: the files are newer data."""
    fill(collection, source)
    folder = store.page_image_path("default", "ab" * 32, ".png").parent
    folder.mkdir(parents=True, exist_ok=True)
    old = time.time() - 2 * 3600
    for number in range(100):
        path = folder / f"ab{number:062x}.png"
        path.write_bytes(b"x" * 10_000)
        os.utime(path, (old, old))
    assert find_garbage(store).suspicious
    assert problems(collection) == ["unknown_files"]
    with WriteLease.acquire(store) as lease:
        assert sweep(store, lease) == 0
    assert len(list(folder.glob("ab0*.png"))) == 100


def test_care_waits_for_the_lease(store: Store, collection: Collection, source: Source) -> None:
    fill(collection, source)
    with WriteLease.acquire(store):
        assert problems(collection) == [], "looking needs no lease"
        for call in (collection.compact, lambda: Collection(store, lambda: FakeEmbedder(8)).reindex()):
            with pytest.raises(StoreBusyError):
                call()


def test_reindex_gives_what_the_new_model_gives(store: Store, collection: Collection, source: Source) -> None:
    fill(collection, source)
    new = FakeEmbedder(24, name="new")
    target = Collection(store, lambda: new, settings=QUICK, model="new")
    with pytest.raises(FingerprintError):
        hits(target)
    seen: list[tuple[int, int]] = []
    assert target.reindex(lambda done, total: seen.append((done, total))) == 20
    assert seen[-1] == (20, 20)
    assert (target.info().fingerprint, target.info().dim, target.info().model) == (new.fingerprint, 24, "new")
    for document in target.documents():
        for page in target.document(document.document_id).page_list:
            image = target.page_image(document.document_id, page.page)
            [made] = new.embed_pages([image])
            np.testing.assert_array_equal(
                target.page_vectors(document.document_id, page.page).vectors,
                made.vectors.astype(np.float16).astype(np.float32),
            )
    with pytest.raises(FingerprintError):
        hits(collection)
    assert problems(target) == []
    target.compact(purge=True)
    assert len(files(store.segments_dir)) == 1
    assert target.reindex() == 0


def test_an_interrupted_reindex_goes_on_and_the_old_model_works_meanwhile(
    store: Store, collection: Collection, source: Source
) -> None:
    fill(collection, source)
    before = hits(collection)

    class Interrupted(FakeEmbedder):
        def embed_pages(self, images: Sequence[Image.Image]) -> list[MultiVector]:
            if self.pages >= 10:
                raise KeyboardInterrupt
            return super().embed_pages(images)

    with pytest.raises(KeyboardInterrupt):
        Collection(store, lambda: Interrupted(24, name="new"), settings=QUICK).reindex()
    assert hits(collection) == before
    assert problems(collection) == []
    new = FakeEmbedder(24, name="new")
    assert Collection(store, lambda: new, settings=QUICK).reindex() == 12
    assert problems(Collection(store, lambda: new)) == []


def test_reindex_of_nothing_is_a_usage_error(store: Store) -> None:
    with pytest.raises(UsageError):
        Collection(store, FakeEmbedder).reindex()


def test_reindex_stops_at_unreadable_images(store: Store, collection: Collection, source: Source) -> None:
    fill(collection, source)
    flip(sorted(files(store.pages_dir))[0], 0.5)
    with pytest.raises(CorruptionError, match="nothing was switched"):
        Collection(store, lambda: FakeEmbedder(24, name="new"), settings=QUICK).reindex()
    assert collection.info().fingerprint == FakeEmbedder().fingerprint
