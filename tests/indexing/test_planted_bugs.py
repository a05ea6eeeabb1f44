"""Safeguards taken out on purpose: a test of theirs must turn red (more in tests/faults).

Each of those tests is also run as it is, so that red comes from the planted bug and nothing else.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hydra_rag.store import meta
from hydra_rag.store import store as store_module
from hydra_rag.store.store import Store
from hydra_rag_indexing import admission, lease, search, segments, snapshot, snapshots
from hydra_rag_indexing import backup as module
from hydra_rag_indexing.backup import backup, restore
from hydra_rag_indexing.checks import check_store
from hydra_rag_indexing.collection import Collection
from tests.indexing import test_backup, test_care, test_lease_and_jobs, test_maintain, test_pipeline
from tests.indexing.test_backup import contents, opened
from tests.search import test_segments
from tests.store import test_store

Patch = pytest.MonkeyPatch
Source = Callable[..., Path]


def _red(request: pytest.FixtureRequest, test: Callable[..., None], **given: Any) -> bool:
    """Whether ``test`` fails with the fixtures of this one."""
    names = set(inspect.signature(test).parameters) - set(given)
    try:
        test(**{name: request.getfixturevalue(name) for name in names}, **given)
    except (Exception, pytest.fail.Exception):
        return True
    return False


def _copy_anything(patch: Patch) -> None:
    def copy(source: Path, target: Path, sha256: str) -> dict[str, Any]:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        return {"sha256": sha256, "bytes": source.stat().st_size}

    patch.setattr(module, "_copy", copy)


def _list_first(patch: Patch) -> None:
    """The list of files is there before they are."""
    real = module._copy_database

    def early(store: Store, target: Path) -> None:
        real(store, target)
        files = {"hydra.db": module._entry(target)}
        manifest = {"format": module._FORMAT, "made": "", "files": files}
        target.with_name("backup.json").write_text(json.dumps(manifest))

    patch.setattr(module, "_copy_database", early)


def _in_place(patch: Patch) -> None:
    """Restoring writes where the store shall be."""
    patch.setattr(module.tempfile, "mkdtemp", lambda prefix, suffix, dir: str(Path(dir, prefix[1:-1])))
    patch.setattr(module.shutil, "rmtree", lambda *_, **__: None)
    patch.setattr(os, "rename", lambda *_: None)


def _no_trash(patch: Patch) -> None:
    patch.setattr(module, "_source", lambda store, name: store.directory / name)


def _one_attempt(patch: Patch) -> None:
    patch.setattr(module, "_ATTEMPTS", 1)


def _over_anything(patch: Patch) -> None:
    patch.setattr(module, "_must_be_empty", lambda folder: None)


def _any_name(patch: Patch) -> None:
    patch.setattr(module, "_SAFE", re.compile(".*"))


def _errors_leave(patch: Patch) -> None:
    patch.setattr(snapshots, "HydraError", KeyError)
    patch.setattr(snapshots, "OSError", KeyError, raising=False)


def _no_lock(patch: Patch) -> None:
    patch.setattr(lease.fcntl, "flock", lambda *_: None)


def _no_epoch(patch: Patch) -> None:
    patch.setattr(meta, "fence", lambda db, epoch, *, visible=True: meta.bump(db))


def _no_page_checksum(patch: Patch) -> None:
    patch.setattr(segments.Segment, "_verify_page", lambda self, number: None)


def _no_header_checksum(patch: Patch) -> None:
    """What the header says is believed, and so is its checksum."""
    patch.setattr(segments, "header_crc", lambda metadata, offsets: int(metadata["crc32"], 16))
    patch.setattr(segments.Segment, "verify", lambda self, sha256=None: None)


def _hits_remembered(patch: Patch) -> None:
    """SQL is asked once about a page and never again."""
    real = search.visible_pages
    known: dict[int, Any] = {}

    def remembering(db: Any, tenant: str, collection: str, keys: Any, documents: Any) -> dict[int, Any]:
        known.update(real(db, tenant, collection, keys, documents))
        return {key: known[key] for key in keys if key in known}

    patch.setattr(search, "visible_pages", remembering)


def _nothing_resumed(patch: Patch) -> None:
    patch.setattr(admission.Admission, "committed", lambda *_: set())


def _disk_errors_as_they_are(patch: Patch) -> None:
    patch.setattr(store_module, "translate_errors", contextlib.nullcontext)


BUGS: list[tuple[Callable[[Patch], None], Callable[..., None], dict[str, Any]]] = [
    (_copy_anything, test_backup.test_every_damaged_file_of_a_backup_is_noticed, {}),
    (_copy_anything, test_backup.test_a_damaged_store_gives_no_backup, {"folder": "segments"}),
    (_list_first, test_backup.test_a_damaged_store_gives_no_backup, {"folder": "pages"}),
    (_in_place, test_backup.test_every_damaged_file_of_a_backup_is_noticed, {}),
    (_no_trash, test_backup.test_files_that_a_compaction_takes_away_meanwhile, {"thrown": True}),
    (_one_attempt, test_backup.test_files_that_a_compaction_takes_away_meanwhile, {"thrown": False}),
    (_over_anything, test_backup.test_nothing_is_overwritten, {}),
    (_any_name, test_backup.test_a_list_that_names_other_places_is_refused, {}),
    (_no_lock, test_lease_and_jobs.test_only_one_holds_the_lease_and_the_other_learns_who, {}),
    (_no_epoch, test_lease_and_jobs.test_a_paused_writer_cannot_commit_after_a_newer_one, {}),
    (_no_page_checksum, test_care.test_a_damaged_segment_never_gives_wrong_scores, {}),
    (_no_page_checksum, test_segments.test_damaged_page_is_noticed_on_use, {}),
    (_no_header_checksum, test_segments.test_every_flipped_bit_and_every_truncation_is_noticed, {}),
    (_hits_remembered, test_pipeline.test_removal_is_seen_by_another_process_at_once, {}),
    (_nothing_resumed, test_pipeline.test_interrupt_keeps_committed_pages_and_the_next_run_goes_on, {}),
    (_disk_errors_as_they_are, test_store.test_a_full_database_is_a_storage_error, {}),
    (_errors_leave, test_maintain.test_what_goes_wrong_harms_nothing, {"error": OSError("disk")}),
]


@pytest.mark.parametrize("planted", [False, True], ids=["as it is", "planted"])
@pytest.mark.parametrize(
    ("bug", "test", "given"), BUGS, ids=[f"{bug.__name__}-{test.__name__}" for bug, test, _ in BUGS]
)
def test_turns_red(
    request: pytest.FixtureRequest,
    collection: Collection,
    bug: Callable[[Patch], None],
    test: Callable[..., None],
    given: dict[str, Any],
    planted: bool,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if test.__module__ == test_maintain.__name__:
            patch.setattr(snapshot, "SCAN_ROWS", 300)  # as that module's own fixture has it
            given = given | {"collection": Collection(collection.store, test_maintain.Embedder)}
        if planted:
            bug(patch)
        assert _red(request, test, **given) == planted


@pytest.mark.parametrize("planted", [False, True])
def test_the_database_is_copied_before_the_files(
    collection: Collection, source: Source, tmp_path: Path, monkeypatch: Patch, planted: bool
) -> None:
    """A document arrives while files are copied: with the database copied last, its files are missing."""
    collection.ingest([source("a.txt", 2, 1)])
    before, real, later = contents(collection), module._copy, source("b.txt", 2, 2)

    def copy(origin: Path, target: Path, sha256: str) -> dict[str, Any]:
        collection.ingest([later])
        return real(origin, target, sha256)

    def entry(path: Path) -> dict[str, Any]:
        if planted and path.name == "hydra.db":
            module._copy_database(collection.store, path)
        return real_entry(path)

    real_entry = module._entry
    monkeypatch.setattr(module, "_copy", copy)
    monkeypatch.setattr(module, "_entry", entry)
    backup(collection.store, tmp_path / "saved")
    monkeypatch.setattr(module, "_copy", real)
    restore(tmp_path / "saved", tmp_path / "new")
    other = opened(tmp_path / "new")
    assert bool(check_store(other.store).problems) == planted
    if not planted:
        assert contents(other) == before
