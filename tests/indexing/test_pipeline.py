"""Ingest: new, unchanged, changed, renamed and broken files; interrupt and resume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hydra_rag.errors import FingerprintError, NotFoundError, OutOfMemoryError
from hydra_rag.store import Store
from hydra_rag.testing_fakes import FakeEmbedder
from hydra_rag.values import MultiVector
from hydra_rag_indexing.collection import Collection
from hydra_rag_indexing.events import IngestEvent
from tests.indexing.conftest import QUICK
from tests.indexing.library import page_image

Source = Callable[..., Path]


def names(collection: Collection) -> list[str]:
    return [document.document for document in collection.documents()]


def test_pages_images_words_and_vectors_are_those_of_the_file(
    collection: Collection, embedder: FakeEmbedder, source: Source
) -> None:
    [result] = collection.ingest([source("a.txt", pages=11, seed=3, words="alpha beta")])
    assert (result.status, result.pages, result.error) == ("indexed", 11, None)
    document = collection.document(str(result.document_id))
    assert [page.page for page in document.page_list] == list(range(1, 12))
    assert (document.status, document.media_type) == ("ready", "text/plain")
    for number in (1, 5, 11):
        image = collection.page_image(document.document_id, number)
        assert image.tobytes() == page_image(3, number).tobytes()
        stored, [made] = collection.page_vectors(document.document_id, number), embedder.embed_pages([image])
        np.testing.assert_array_equal(stored.vectors, made.vectors.astype(np.float16).astype(np.float32))
        np.testing.assert_array_equal(stored.boxes, made.boxes)
        words = [word.text for word in collection.page_words(document.document_id, number)]
        assert words == ["alpha", "beta", f"p{number}"]
    [hit] = collection.search(page_image(3, 7), k=1)
    assert (hit.document, hit.page) == ("a.txt", 7)
    assert collection.search("p5", k=1, mode="text")[0].page == 5


def test_unchanged_files_need_no_model(store: Store, collection: Collection, source: Source) -> None:
    path = source("a.txt", pages=2)
    [first] = collection.ingest([path])

    def no_model() -> Any:
        raise AssertionError("the model was loaded for nothing")

    later = Collection(store, no_model)
    [again] = later.ingest([path])
    assert (again.status, again.document_id, again.pages) == ("unchanged", first.document_id, 2)


def test_changed_content_replaces_and_failed_change_keeps_the_old(
    collection: Collection, source: Source
) -> None:
    path = source("a.txt", pages=3, seed=1, words="old")
    [first] = collection.ingest([path])
    source("a.txt", pages=2, seed=2, words="new")
    [second] = collection.ingest([path])
    assert (second.status, second.pages) == ("replaced", 2)
    assert second.document_id != first.document_id
    assert names(collection) == ["a.txt"]
    assert not collection.search("old", mode="text")
    assert collection.search("new", mode="text")
    path.write_text("not one of ours")
    [third] = collection.ingest([path])
    assert third.status == "failed"
    assert third.error is not None
    assert third.error.code == "broken"
    assert "a.txt" in third.error.message
    assert collection.search("new", mode="text"), "the version that could be read stays"
    assert collection.doctor().problems == []


def test_the_old_version_is_found_until_the_new_one_is_ready(
    store: Store, source: Source, tmp_path: Path
) -> None:
    seen: list[tuple[str, ...]] = []

    class Watching(FakeEmbedder):
        def embed_pages(self, images: Sequence[Image.Image]) -> list[MultiVector]:
            other = Collection(Store.open(store.directory), lambda: self)
            seen.append(tuple(sorted({hit.document_id for hit in other.search("word", mode="text")})))
            other.store.close()
            return super().embed_pages(images)

    embedder = Watching()
    collection = Collection(store, lambda: embedder, settings=QUICK)
    [first] = collection.ingest([source("a.txt", pages=2, seed=1, words="word")])
    seen.clear()
    [second] = collection.ingest([source("a.txt", pages=9, seed=2, words="word")])
    assert set(seen) == {(first.document_id,)}
    assert {hit.document_id for hit in collection.search("word", mode="text")} == {second.document_id}


def test_renamed_and_copied_files_are_recognised(collection: Collection, source: Source) -> None:
    path = source("a.txt", pages=2, seed=5)
    [first] = collection.ingest([path])
    moved = path.rename(path.with_name("b.txt"))
    [second] = collection.ingest([moved])
    assert (second.status, second.document_id) == ("unchanged", first.document_id)
    assert names(collection) == ["b.txt"]
    copy = source("copy.txt", pages=2, seed=5)
    [third] = collection.ingest([copy])
    assert (third.status, third.document_id) == ("unchanged", first.document_id)
    assert names(collection) == ["b.txt"]


def test_content_that_moved_over_another_document_replaces_it(collection: Collection, source: Source) -> None:
    a, b = source("a.txt", seed=1, words="first"), source("b.txt", seed=2, words="second")
    kept = collection.ingest([a, b])[0]
    a.replace(b)
    [result] = collection.ingest([b])
    assert (result.status, result.document_id) == ("replaced", kept.document_id)
    assert names(collection) == ["b.txt"]
    assert collection.search("first", mode="text")
    assert not collection.search("second", mode="text")


def test_bad_files_fail_alone(collection: Collection, source: Source, tmp_path: Path) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_text("something else")
    empty = tmp_path / "empty.txt"
    empty.touch()
    results = collection.ingest(
        [source("a.txt"), bad, tmp_path / "missing.txt", empty, source("b.txt", seed=9)]
    )
    assert [result.status for result in results] == ["indexed", "failed", "failed", "failed", "indexed"]
    assert [r.error.code for r in results if r.error] == ["broken", "not_found", "empty"]
    for result in results:
        assert set(result.to_json()) == {"path", "document_id", "pages", "status", "error"}
    assert names(collection) == ["a.txt", "b.txt"]
    assert collection.doctor().problems == []


def test_an_error_in_the_middle_of_a_long_file_leaves_nothing(
    collection: Collection, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hydra_rag.errors import FileError
    from tests.indexing import library

    def breaks(path: Path, **_: Any) -> Any:
        for page in library.load_pages(path):
            if page.number == 10:
                raise FileError("page 10 is damaged", code="broken")
            yield page

    monkeypatch.setattr("hydra_rag_indexing.files.load.load_pages", breaks)
    [result] = collection.ingest([source("a.txt", pages=12)])
    assert result.status == "failed"
    assert collection.documents() == []
    assert collection.doctor().problems == []


def _with_bad_pages(*numbers: int) -> Callable[..., Any]:
    """A reader of sources that reports these pages as damaged."""
    from hydra_rag_indexing.files import BadPage
    from tests.indexing import library

    def load(path: Path, *, on_bad_page: Callable[[BadPage], None], **_: Any) -> Any:
        for page in library.load_pages(path):
            if page.number in numbers:
                on_bad_page(BadPage(page.number, "broken", f"page {page.number} of the PDF is damaged"))
            else:
                yield page

    return load


def test_damaged_pages_are_left_out_and_remembered(
    collection: Collection, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hydra_rag_indexing.files.load.load_pages", _with_bad_pages(1, 10, 12))
    path = source("a.txt", pages=12, words="word")
    for status in ("indexed", "unchanged"):
        [result] = collection.ingest([path])
        assert (result.status, result.pages) == (status, 9)
        assert result.error is not None
        assert result.error.code == "pages_failed"
        assert "3 of 12 pages can't be read (1, 10, 12)" in result.error.message
        assert [page["page"] for page in result.to_json()["failed_pages"]] == [1, 10, 12]
    document = collection.document(str(result.document_id))
    assert [page.page for page in document.page_list] == [2, 3, 4, 5, 6, 7, 8, 9, 11]
    assert [(page.page, page.code) for page in document.failed_pages] == [
        (1, "broken"),
        (10, "broken"),
        (12, "broken"),
    ]
    assert {hit.page for hit in collection.search("word", 20, mode="text")} == set(range(2, 10)) | {11}
    assert collection.doctor().problems == []

    monkeypatch.setattr("hydra_rag_indexing.files.load.load_pages", _with_bad_pages())
    again = Collection(collection.store, collection.embedder, model="fake", settings=QUICK)
    [result] = again.ingest([path], force=True)
    assert (result.pages, result.error, result.failed_pages) == (12, None, ())
    assert again.document(str(result.document_id)).failed_pages == ()
    assert again.doctor().problems == []


def test_resuming_a_file_with_damaged_pages_remembers_all_of_them(
    store: Store, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(FakeEmbedder):
        def embed_pages(self, images: Sequence[Image.Image]) -> list[MultiVector]:
            if self.pages >= 6:
                raise KeyboardInterrupt
            return super().embed_pages(images)

    monkeypatch.setattr("hydra_rag_indexing.files.load.load_pages", _with_bad_pages(2, 11))
    path = source("a.txt", pages=12)
    with pytest.raises(KeyboardInterrupt):
        Collection(store, Interrupted, settings=QUICK).ingest([path])
    embedder = FakeEmbedder()
    collection = Collection(store, lambda: embedder, settings=QUICK)
    [result] = collection.ingest([path])
    assert (result.status, result.pages, embedder.pages) == ("indexed", 10, 6)
    assert [page.page for page in result.failed_pages] == [2, 11]
    assert collection.doctor().problems == []


def test_a_page_missing_without_a_word_is_a_problem(
    collection: Collection, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy import text

    monkeypatch.setattr("hydra_rag_indexing.files.load.load_pages", _with_bad_pages(2))
    collection.ingest([source("a.txt", pages=4)])
    with collection.store.write() as db:
        db.execute(text("UPDATE documents SET failed_pages = '[]'"))
    assert [problem.code for problem in collection.doctor().problems] == ["pages"]


def test_interrupt_keeps_committed_pages_and_the_next_run_goes_on(store: Store, source: Source) -> None:
    class Interrupted(FakeEmbedder):
        def embed_pages(self, images: Sequence[Image.Image]) -> list[MultiVector]:
            if self.pages >= 6:
                raise KeyboardInterrupt
            return super().embed_pages(images)

    path = source("a.txt", pages=12, words="word")
    with pytest.raises(KeyboardInterrupt):
        Collection(store, Interrupted, settings=QUICK).ingest([path])
    embedder = FakeEmbedder()
    collection = Collection(store, lambda: embedder, settings=QUICK)
    [half] = collection.documents()
    assert (half.status, half.pages) == ("working", 4)
    assert not collection.search("word", mode="text"), "half a document is never found"
    assert collection.doctor().problems == []
    [result] = collection.ingest([path])
    assert (result.status, result.pages) == ("indexed", 12)
    assert embedder.pages == 8, "committed pages are not embedded again"
    assert [page.page for page in collection.document(str(result.document_id)).page_list] == list(
        range(1, 13)
    )
    assert collection.doctor().problems == []


def test_out_of_memory_costs_one_file(store: Store, source: Source) -> None:
    class Small(FakeEmbedder):
        def embed_pages(self, images: Sequence[Image.Image]) -> list[MultiVector]:
            if len(images) == 2:
                raise OutOfMemoryError("the device is full")
            return super().embed_pages(images)

    collection = Collection(store, Small, settings=QUICK)
    big, small = collection.ingest([source("big.txt", pages=2), source("small.txt", seed=4)])
    assert (big.status, small.status) == ("failed", "indexed")
    assert big.error is not None
    assert big.error.code == "out_of_memory"
    assert collection.doctor().problems == []


def test_force_reads_again(collection: Collection, embedder: FakeEmbedder, source: Source) -> None:
    path = source("a.txt", pages=2)
    [first] = collection.ingest([path])
    [second] = collection.ingest([path], force=True)
    assert (second.status, embedder.pages) == ("replaced", 4)
    assert [document.document_id for document in collection.documents()] == [second.document_id]
    assert first.document_id != second.document_id
    assert collection.doctor().problems == []


def test_another_model_is_refused(store: Store, collection: Collection, source: Source) -> None:
    collection.ingest([source("a.txt")])
    other = FakeEmbedder(name="other")
    for known in (None, other.fingerprint):
        foreign = Collection(store, lambda: other, fingerprint=known, settings=QUICK)
        with pytest.raises(FingerprintError):
            foreign.ingest([source("b.txt", seed=8)])
        with pytest.raises(FingerprintError):
            foreign.search("x")
    assert names(collection) == ["a.txt"]


def test_removal_is_seen_by_another_process_at_once(
    store: Store, collection: Collection, embedder: FakeEmbedder, source: Source
) -> None:
    results = collection.ingest([source("a.txt", pages=3, seed=1), source("b.txt", pages=3, seed=2)])
    with Store.open(store.directory) as second:
        other = Collection(second, lambda: embedder)
        assert other.search(page_image(1, 2), k=1)[0].document == "a.txt"
        stale = other.snapshot()
        collection.remove([str(results[0].document_id)])
        assert {hit.document for hit in other.search(page_image(1, 2), k=10)} == {"b.txt"}
        # Even a searcher that still holds the old vectors returns nothing that is gone.
        from hydra_rag_indexing.search import Searcher

        searcher = Searcher(second, "default", "default", lambda: stale)
        hits = searcher.search(vectors=embedder.embed_queries([page_image(1, 2)])[0], k=10, mode="visual")
        assert {hit.document for hit in hits} == {"b.txt"}
        assert len(hits) == 3
    with pytest.raises(NotFoundError):
        collection.remove([str(results[0].document_id)])


def test_a_document_removed_while_it_is_ingested_stays_removed(store: Store, source: Source) -> None:
    class Remover(FakeEmbedder):
        def embed_pages(self, images: Sequence[Image.Image]) -> list[MultiVector]:
            if self.pages == 6:
                other = Collection(Store.open(store.directory), lambda: self)
                other.remove([other.documents()[0].document_id])
                other.store.close()
            return super().embed_pages(images)

    embedder = Remover()
    collection = Collection(store, lambda: embedder, settings=QUICK)
    [result] = collection.ingest([source("a.txt", pages=12)])
    assert result.error is not None
    assert result.error.code == "removed"
    assert collection.documents() == []
    assert collection.doctor().problems == []


def test_tenants_and_collections_are_apart(store: Store, embedder: FakeEmbedder, source: Source) -> None:
    path = source("a.txt", seed=1, words="secret")
    one = Collection(store, lambda: embedder, tenant="one")
    two = Collection(store, lambda: embedder, tenant="two")
    side = Collection(store, lambda: embedder, tenant="one", collection="side")
    [mine] = one.ingest([path])
    for other in (two, side):
        assert other.documents() == []
        assert other.search("secret") == []
        assert other.search(page_image(1, 1)) == []
        for call in (other.document, lambda i, c=other: c.page_image(i, 1), lambda i, c=other: c.remove([i])):
            with pytest.raises(NotFoundError):
                call(str(mine.document_id))
    [theirs] = two.ingest([path])
    assert theirs.status == "indexed", "what another tenant stored is not known here"
    one.remove([str(mine.document_id)])
    one.compact(purge=True)
    assert two.search("secret")[0].document_id == theirs.document_id
    assert two.page_image(str(theirs.document_id), 1).tobytes() == page_image(1, 1).tobytes()
    assert two.doctor().problems == []


def test_events_tell_the_whole_story(collection: Collection, source: Source, tmp_path: Path) -> None:
    events: list[IngestEvent] = []
    collection.ingest([source("a.txt", pages=5), tmp_path / "no.txt"], progress=events.append)
    kinds = [event.kind for event in events]
    assert kinds[0] == "files"
    assert kinds.count("result") == 2
    assert events[-1].files_done == events[-1].files_total == 2
    pages = [event.pages_done for event in events if event.kind == "page"]
    assert pages == sorted(pages)
    assert pages[-1] == 5
    results = {event.path: event.result.status for event in events if event.result}
    assert sorted(results.values()) == ["failed", "indexed"]


def test_crops_come_from_the_stored_image_when_the_original_cannot_be_drawn(
    collection: Collection, source: Source
) -> None:
    [result] = collection.ingest([source("a.txt", seed=2)])
    crop = collection.render_crop(str(result.document_id), 1, (60, 60, 70, 80), 1.0)  # type: ignore[arg-type]
    assert crop.tobytes() == page_image(2, 1).crop((60, 60, 70, 80)).tobytes()
    far = collection.render_crop(str(result.document_id), 1, (-5, 100, 500, 500), 1.0)  # type: ignore[arg-type]
    assert far.size == (128, 92)
