"""The native endpoints, over a connection."""

from __future__ import annotations

import io
import json
from typing import Any

import httpx2
import pytest
from PIL import Image

from hydra_rag.geometry import Box
from hydra_rag_agents.testing import LOOK, ScriptedReader
from hydra_rag_indexing.collection import Collection
from tests.api.server.conftest import Running, data_uri, page_png, wait_for

UNKNOWN = "0" * 26


def sse(text: str) -> list[tuple[str, Any]]:
    """(name, data) of every event."""
    out = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        out.append((fields.get("event", "message"), json.loads(fields["data"])))
    return out


def first_document(client: httpx2.Client) -> str:
    found: str = client.get("/api/documents").json()["documents"][0]["document_id"]
    return found


def test_upload_progress_and_replay_of_the_same_key(client: httpx2.Client) -> None:
    files = [("files", ("../../etc/pass\u202ewd.png", page_png("A"))), ("files", ("b.txt", b"Hello there"))]
    sent = client.post("/api/documents", files=files, headers={"Idempotency-Key": "one"})
    assert sent.status_code == 202
    job = sent.json()
    assert [file["name"] for file in job["files"]] == ["passwd.png", "b.txt"]
    events = sse(client.get(f"{sent.headers['location']}/events").text)
    assert events[-1][0] == "done"
    assert events[-1][1]["state"] == "succeeded"
    again = client.post("/api/documents", files=files, headers={"Idempotency-Key": "one"})
    assert again.json()["job_id"] == job["job_id"]
    other = client.post(
        "/api/documents", files={"files": ("c.txt", b"Other")}, headers={"Idempotency-Key": "one"}
    )
    assert other.status_code == 422
    assert other.json()["error"]["code"] == "idempotency_mismatch"
    for file in events[-1][1]["files"]:
        assert client.delete(f"/api/documents/{file['document_id']}").status_code == 204


def test_a_bad_file_fails_alone_and_says_why_with_its_own_name(client: httpx2.Client) -> None:
    files = [("files", ("broken.pdf", b"%PDF-1.7 nothing")), ("files", ("good.txt", b"Fine text"))]
    job = wait_for(client, client.post("/api/documents", files=files).json()["job_id"])
    assert [file["state"] for file in job["files"]] == ["failed", "succeeded"]
    message = job["files"][0]["error"]["message"]
    assert "0000" not in message
    assert "/" not in message
    client.delete(f"/api/documents/{job['files'][1]['document_id']}")


def test_uploads_leave_nothing_behind(running: Running, client: httpx2.Client) -> None:
    document = running.upload(client, "gone.txt", b"Soon gone")
    assert not [p for p in (running.rag.directory / "uploads").rglob("*") if p.is_file()]
    assert client.get(f"/api/documents/{document}/original").content == b"Soon gone"
    assert client.delete(f"/api/documents/{document}").status_code == 204
    for path in ("", "/pages/1.png", "/pages/1/words", "/original"):
        assert client.get(f"/api/documents/{document}{path}").status_code == 404


def test_page_image_is_cached_by_its_hash(client: httpx2.Client) -> None:
    document = first_document(client)
    got = client.get(f"/api/documents/{document}/pages/1.png")
    page = client.get(f"/api/documents/{document}").json()["page_list"][0]
    assert Image.open(io.BytesIO(got.content)).size == (page["width"], page["height"])
    tag = {"If-None-Match": got.headers["etag"]}
    assert client.get(f"/api/documents/{document}/pages/1.png", headers=tag).status_code == 304
    small = client.get(f"/api/documents/{document}/pages/1.png", params={"width": 300})
    assert Image.open(io.BytesIO(small.content)).width == 320
    assert client.get(f"/api/documents/{document}/pages/2.png").status_code == 404


def test_crop_words_regions_and_maps(client: httpx2.Client) -> None:
    base = f"/api/documents/{first_document(client)}/pages/1"
    words = client.get(f"{base}/words").json()
    assert "Lovelace" in [word["text"] for word in words["words"]]
    left, top, right, bottom = words["words"][0]["box"]
    crop = client.get(
        f"{base}/crop.png", params={"left": left, "top": top, "right": right, "bottom": bottom, "scale": 2}
    )
    size = Image.open(io.BytesIO(crop.content)).size
    assert size == (2 * (right - left), 2 * (bottom - top))
    regions = client.get(f"{base}/regions", params={"query": "total"}).json()
    assert 1 <= len(regions["regions"]) <= 3
    heat = client.get(f"{base}/heatmap", params={"query": "total EUR"}).json()
    assert [token["text"] for token in heat["tokens"]] == ["total", "EUR"]
    assert len(heat["values"]) == len(heat["boxes"])
    assert max(heat["values"]) <= 1
    one = client.get(f"{base}/heatmap", params={"query": "total EUR", "token": 1}).json()
    assert one["values"] != heat["values"]
    picture = client.get(f"{base}/heatmap.png", params={"query": "total EUR"})
    assert Image.open(io.BytesIO(picture.content)).mode == "RGBA"
    tag = {"If-None-Match": picture.headers["etag"]}
    same = client.get(f"{base}/heatmap.png", params={"query": "total EUR"}, headers=tag)
    assert same.status_code == 304
    assert client.get(f"{base}/heatmap", params={"query": "total", "token": 9}).status_code == 404


def test_search(client: httpx2.Client) -> None:
    hits = client.post("/api/search", json={"query": "Lovelace", "k": 1, "mode": "text"}).json()["hits"]
    assert hits[0]["document"] == "invoice.txt"
    by_image = client.post("/api/search", json={"image": data_uri(page_png())})
    assert by_image.status_code == 200
    assert client.post("/api/search", json={}).status_code == 422


def test_search_with_an_own_image_uses_the_part_that_the_words_are_about(
    running: Running, client: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader looks at one cell: the search is made with the whole image and with the crop round it."""
    reader = running.rag._reader
    assert isinstance(reader, ScriptedReader)
    peak = 3 * LOOK.cols + 2
    monkeypatch.setattr(
        reader, "gaze_at", lambda image, question: [float(i == peak) for i in range(LOOK.cells)]
    )
    searched: list[tuple[str, tuple[int, int]]] = []
    search = Collection.search

    def noted(self: Collection, query: Any, *args: Any, **options: Any) -> Any:
        searched.append((query["text"], query["image"].size))
        return search(self, query, *args, **options)

    monkeypatch.setattr(Collection, "search", noted)
    size = (1600, 1200)
    body = {"query": "Lovelace", "image": data_uri(page_png(size=size)), "mode": "visual"}
    found = client.post("/api/search", json={**body, "gaze": "always"}).json()
    assert [step["action"] for step in found["steps"]] == ["glance", "search"]
    (crop,) = (Box(*box) for box in found["steps"][1]["crops"])
    assert crop.contains(2.5 * size[0] / LOOK.cols, 3.5 * size[1] / LOOK.rows)
    assert searched == [("Lovelace", size), ("Lovelace", (crop.width, crop.height))]
    assert found["hits"][0]["rank"] == 1
    searched.clear()
    gated = client.post("/api/search", json={**body, "gaze": "auto"}).json()  # small and far above chance
    assert gated["hits"] == found["hits"]
    assert len(searched) == 2
    searched.clear()
    monkeypatch.setattr(reader, "gaze_at", lambda image, question: [1.0] * LOOK.cells)  # it sees nothing
    assert "crops" not in client.post("/api/search", json={**body, "gaze": "auto"}).json()["steps"][1]
    never = client.post("/api/search", json={**body, "gaze": "never"}).json()
    assert [step["action"] for step in never["steps"]] == ["search"]
    assert searched == [("Lovelace", size)] * 2


def test_ask_streams_steps_deltas_and_one_end(client: httpx2.Client) -> None:
    got = client.post("/api/ask", json={"question": "What is the total?"})
    assert got.headers["content-type"].startswith("text/event-stream")
    events = sse(got.text)
    names = [name for name, _ in events]
    assert names[0] == "started"
    assert names[-2:] == ["answer", "done"]
    assert "".join(data["text"] for name, data in events if name == "delta") == "42 EUR"
    answer = events[-2][1]
    assert answer["steps"] == [data for name, data in events if name == "step"]
    assert answer["citations"][0]["box"]
    stored = client.get(f"/api/turns/{answer['turn_id']}").json()
    assert stored["citations"] == answer["citations"]
    assert stored["steps"] == answer["steps"]


def test_sessions(client: httpx2.Client) -> None:
    first = client.post(
        "/api/ask", json={"question": "What is the total?", "stream": False, "image": data_uri(page_png())}
    ).json()
    session, turn = first["session_id"], first["turn_id"]
    client.post("/api/ask", json={"question": "And who paid?", "stream": False, "session_id": session})
    assert client.patch(f"/api/sessions/{session}", json={"title": "Invoice"}).json()["title"] == "Invoice"
    listed = client.get("/api/sessions").json()["sessions"]
    assert next(s for s in listed if s["session_id"] == session)["turns"] == 2
    assert client.put(f"/api/turns/{turn}/feedback", json={"rating": -1}).status_code == 204
    shown = client.get(f"/api/sessions/{session}").json()["turns"]
    assert [t["feedback"] for t in shown] == [-1, None]
    assert client.get(f"/api/turns/{turn}/image.png").status_code == 200
    replayed = client.post(f"/api/sessions/{session}/replay").json()["turns"]
    assert [t["same"] for t in replayed] == [True, True]
    assert "What is the total?" in client.get(f"/api/sessions/{session}/export?format=markdown").text
    assert client.delete(f"/api/sessions/{session}").status_code == 204
    assert client.get(f"/api/sessions/{session}").status_code == 404
    gone = client.post("/api/ask", json={"question": "Still there?", "session_id": session})
    assert gone.status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/api/documents/{UNKNOWN}"),
        ("DELETE", f"/api/documents/{UNKNOWN}"),
        ("GET", f"/api/jobs/{UNKNOWN}"),
        ("DELETE", f"/api/jobs/{UNKNOWN}"),
        ("GET", f"/api/sessions/{UNKNOWN}"),
        ("GET", f"/api/turns/{UNKNOWN}"),
        ("GET", f"/v1/responses/resp_{UNKNOWN}"),
        ("GET", "/nowhere"),
    ],
)
def test_unknown_things_are_problems(client: httpx2.Client, method: str, path: str) -> None:
    got = client.request(method, path)
    assert got.status_code == 404
    assert got.headers["content-type"] == "application/problem+json"
    body = got.json()
    assert body["status"] == 404
    assert body["error"]["message"] == body["detail"]


def test_every_answer_carries_the_headers(client: httpx2.Client) -> None:
    for path in ("/healthz", "/nowhere", "/openapi.json", "/api/documents"):
        got = client.get(path)
        assert "default-src 'none'" in got.headers["content-security-policy"]
        assert got.headers["x-content-type-options"] == "nosniff"
        assert got.headers["x-request-id"]


def test_health_and_figures(client: httpx2.Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}
    assert client.get("/version").json()["name"] == "hydra-rag"
    assert client.get("/api/me").json()["tenant"] == "default"
    client.get(f"/api/documents/{first_document(client)}")
    client.post("/api/ask", json={"question": "What is the total?", "stream": False})
    text = client.get("/metrics").text
    assert "hydra_rag_answers_total" in text
    assert 'route="/api/documents/{document_id}"' in text
