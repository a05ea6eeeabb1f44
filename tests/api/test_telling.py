"""Names of documents as people are shown them."""

from __future__ import annotations

from datetime import UTC, datetime

from hydra_rag.store.records import DocumentInfo
from hydra_rag_api.cli.telling import told_apart


def _info(key: str, path: str) -> DocumentInfo:
    return DocumentInfo(
        document_id=key, document=path.rpartition("/")[2], path=path, collection="default", status="ready",
        pages=1, bytes=1, media_type=None, sha256="0" * 64, added=datetime(2026, 1, 1, tzinfo=UTC),
        page_list=(), failed_pages=(),
    )  # fmt: skip


def test_only_namesakes_get_their_folders() -> None:
    infos = [
        _info("a", "/x/2022/report.pdf"),
        _info("b", "/x/2023/report.pdf"),
        _info("c", "/x/2023/letter.pdf"),
    ]
    assert told_apart(infos) == {"a": "2022/report.pdf", "b": "2023/report.pdf", "c": "letter.pdf"}
    assert told_apart([]) == {}


def test_as_many_folders_as_it_takes() -> None:
    infos = [_info("a", "/x/acme/q1/r.pdf"), _info("b", "/x/zenith/q1/r.pdf"), _info("c", "/r.pdf")]
    assert told_apart(infos) == {"a": "acme/q1/r.pdf", "b": "zenith/q1/r.pdf", "c": "/r.pdf"}


def test_the_same_place_twice_stays_as_it_is() -> None:
    assert told_apart([_info("a", "/x/r.pdf"), _info("b", "/x/r.pdf")]) == {"a": "r.pdf", "b": "r.pdf"}
    assert told_apart([_info("a", "r.pdf"), _info("b", "r.pdf")]) == {"a": "r.pdf", "b": "r.pdf"}
