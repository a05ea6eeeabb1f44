"""Lists come in parts, each with the place where the next one begins."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from hydra_rag.store import chats
from hydra_rag_agents import remote
from tests.api.server.conftest import Running, wait_for

COLLECTION = {"collection": "many"}


def walk(client: httpx2.Client, path: str, name: str, key: str, limit: int) -> list[list[str]]:
    """The ids of every part."""
    parts: list[list[str]] = []
    place: dict[str, Any] = {"limit": limit, **COLLECTION}
    while True:
        got = client.get(path, params=place)
        assert got.status_code == 200, got.text
        body = got.json()
        parts.append([entry[key] for entry in body[name]])
        if not body["has_more"]:
            return parts
        place["after"] = parts[-1][-1]


@pytest.fixture(scope="module")
def documents(running: Running) -> list[str]:
    """Five, in the order of their ids."""
    found = []
    with running.client(params=COLLECTION) as client:
        for number in range(5):
            sent = client.post(
                "/api/documents", files={"files": (f"{number}.txt", f"Paper {number}".encode())}
            )
            found.append(wait_for(client, sent.json()["job_id"])["files"][0]["document_id"])
    return found


def test_documents(client: httpx2.Client, documents: list[str]) -> None:
    parts = walk(client, "/api/documents", "documents", "document_id", 2)
    assert parts == [documents[:2], documents[2:4], documents[4:]]
    assert walk(client, "/api/documents", "documents", "document_id", 5) == [documents]
    # The entry that a part ended with may be gone when the next one is asked for.
    extra = client.post("/api/documents", files={"files": ("x.txt", b"Extra")}, params=COLLECTION)
    gone = wait_for(client, extra.json()["job_id"])["files"][0]["document_id"]
    assert client.delete(f"/api/documents/{gone}", params=COLLECTION).status_code == 204
    after = client.get("/api/documents", params={"after": gone, **COLLECTION}).json()
    assert after == {"documents": [], "has_more": False}


def test_jobs_newest_first(client: httpx2.Client, documents: list[str]) -> None:
    newest = [job["job_id"] for job in client.get("/api/jobs", params={"limit": 100}).json()["jobs"]]
    parts = walk(client, "/api/jobs", "jobs", "job_id", 2)
    assert [one for part in parts for one in part] == newest
    assert all(len(part) == 2 for part in parts[:-1])


def test_sessions_and_their_turns(client: httpx2.Client, running: Running) -> None:
    store = running.rag.store
    made = [chats.create_session(store, "default", f"s{n}", collection="many") for n in range(5)]
    newest = [session.session_id for session in made][::-1]
    assert walk(client, "/api/sessions", "sessions", "session_id", 2) == [newest[:2], newest[2:4], newest[4:]]
    session = newest[0]
    turns = [chats.add_turn(store, "default", session, f"q{n}").turn_id for n in range(5)]
    path = f"/api/sessions/{session}"
    last = client.get(path, params={"limit": 2, **COLLECTION}).json()
    assert [turn["turn_id"] for turn in last["turns"]] == turns[3:]
    assert last["has_more"]
    before = client.get(path, params={"limit": 3, "before": turns[3], **COLLECTION}).json()
    assert [turn["turn_id"] for turn in before["turns"]] == turns[:3]
    assert not before["has_more"]
    # A turn of another session is no place in this one.
    other = chats.add_turn(store, "default", newest[1], "else").turn_id
    assert client.get(path, params={"before": other, **COLLECTION}).json()["turns"] == []
    exported = client.get(f"{path}/export", params=COLLECTION).json()
    assert len(exported["turns"]) == 5


def test_vector_stores_in_parts(client: httpx2.Client, documents: list[str]) -> None:
    for name in ("store-a", "store-b"):
        client.post("/v1/vector_stores", json={"name": name})
    first = client.get("/v1/vector_stores", params={"limit": 1, "order": "asc"}).json()
    assert first["has_more"]
    seen = [first["last_id"]]
    while first["has_more"]:
        asked = {"limit": 1, "order": "asc", "after": first["last_id"]}
        first = client.get("/v1/vector_stores", params=asked).json()
        seen.append(first["last_id"])
    assert {"vs_many", "vs_store-a", "vs_store-b"} <= set(seen)


def test_a_remote_source_walks_the_whole_list(
    running: Running, documents: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "MOST_LISTED", 2)
    source = remote.RemoteSource(running.url, collection="many")
    assert [one["document_id"] for one in source.documents()] == documents
    source.close()


@pytest.mark.parametrize("asked", [{"limit": 0}, {"limit": 1001}, {"after": "x"}])
def test_bounds(client: httpx2.Client, asked: dict[str, Any]) -> None:
    assert client.get("/api/documents", params=asked).status_code == 422
