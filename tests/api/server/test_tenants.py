"""Two tenants, random operations, one rule: nobody sees anything of the other.

Every text and every name that a tenant sends holds its marker. No answer to the other may hold it, and an id
of the other must look like an id that never was.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hydra_rag.store import keys
from tests.api.server.conftest import Server, data_uri, make_rag, page_png, wait_for

MARKS = {"red": "Zinnober", "blue": "Kobalt"}
UNKNOWN = "0" * 26
OPERATIONS = (
    "upload", "list", "show", "image", "words", "heat", "delete", "search", "ask", "follow", "sessions",
    "session", "rename", "feedback", "turn", "jobs", "job", "cancel", "chat", "response", "file", "files",
    "store", "export", "original", "drop_session",
)  # fmt: skip
LONG = os.environ.get("HYDRA_RAG_TEST_LONG") == "1"


class Tenant:
    def __init__(self, name: str, client: httpx2.Client) -> None:
        self.name, self.mark, self.client = name, MARKS[name], client
        self.documents: list[str] = []
        self.sessions: list[str] = []
        self.turns: list[str] = []
        self.jobs: list[str] = []

    @staticmethod
    def pick(ids: list[str], number: int) -> str:
        return ids[number % len(ids)] if ids else UNKNOWN


@pytest.fixture(scope="module")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Tenant, Tenant]]:
    rag = make_rag(tmp_path_factory.mktemp("tenants") / "store")
    secrets = {name: keys.create_key(rag.store, name).secret for name in MARKS}
    with (
        Server(rag) as running,
        running.client(secrets["red"]) as red,
        running.client(secrets["blue"]) as blue,
    ):
        both = Tenant("red", red), Tenant("blue", blue)
        for tenant in both:
            _upload(tenant, 0)
        yield both


def _upload(me: Tenant, number: int) -> httpx2.Response:
    # Some contents are the same for both: equal bytes must not connect them either.
    text = f"{me.mark} paper {number % 3}" if number % 2 else f"Common text {number % 4}"
    sent = me.client.post("/api/documents", files={"files": (f"{me.mark}-{number}.txt", text.encode())})
    job = wait_for(me.client, sent.json()["job_id"])
    me.jobs.append(job["job_id"])
    me.documents.append(job["files"][0]["document_id"])
    return sent


def operate(me: Tenant, owner: Tenant, what: str, number: int) -> httpx2.Response:
    """One operation of ``me`` on ids of ``owner``."""
    http = me.client
    document, session = owner.pick(owner.documents, number), owner.pick(owner.sessions, number)
    turn, job = owner.pick(owner.turns, number), owner.pick(owner.jobs, number)
    base = f"/api/documents/{document}"
    chat = {"model": "hydra-rag", "messages": [{"role": "user", "content": f"{me.mark}?"}]}
    calls: dict[str, Any] = {
        "upload": lambda: _upload(me, number),
        "list": lambda: http.get("/api/documents"),
        "show": lambda: http.get(base),
        "image": lambda: http.get(f"{base}/pages/1.png"),
        "words": lambda: http.get(f"{base}/pages/1/words"),
        "heat": lambda: http.get(f"{base}/pages/1/heatmap", params={"query": "paper"}),
        "original": lambda: http.get(f"{base}/original"),
        "delete": lambda: http.delete(base),
        "search": lambda: http.post("/api/search", json={"query": "paper text", "k": 20}),
        "ask": lambda: _ask(me, {"question": f"What is {me.mark}?"}),
        "follow": lambda: _ask(me, {"question": f"And {me.mark}?", "session_id": session}),
        "sessions": lambda: http.get("/api/sessions"),
        "session": lambda: http.get(f"/api/sessions/{session}"),
        "export": lambda: http.get(f"/api/sessions/{session}/export"),
        "rename": lambda: http.patch(f"/api/sessions/{session}", json={"title": f"{me.mark} {number}"}),
        "drop_session": lambda: http.delete(f"/api/sessions/{session}"),
        "feedback": lambda: http.put(f"/api/turns/{turn}/feedback", json={"rating": 1}),
        "turn": lambda: http.get(f"/api/turns/{turn}"),
        "jobs": lambda: http.get("/api/jobs"),
        "job": lambda: http.get(f"/api/jobs/{job}"),
        "cancel": lambda: http.delete(f"/api/jobs/{job}"),
        "chat": lambda: http.post("/v1/chat/completions", json=chat),
        "response": lambda: http.get(f"/v1/responses/resp_{turn}"),
        "file": lambda: http.get(f"/v1/files/file-{document}"),
        "files": lambda: http.get("/v1/files"),
        "store": lambda: http.post("/v1/vector_stores/vs_default/search", json={"query": "paper"}),
    }
    answer: httpx2.Response = calls[what]()
    return answer


def _ask(me: Tenant, body: dict[str, Any]) -> httpx2.Response:
    if len(me.sessions) % 3 == 0:
        body["image"] = data_uri(page_png(me.mark))
    got = me.client.post("/api/ask", json={**body, "stream": False})
    if got.status_code == 200:
        me.sessions.append(got.json()["session_id"])
        me.turns.append(got.json()["turn_id"])
    return got


BY_ID = {
    "show", "image", "words", "heat", "original", "delete", "follow", "session", "export", "rename",
    "drop_session", "feedback", "turn", "job", "cancel", "response", "file",
}  # fmt: skip
step = st.tuples(st.booleans(), st.booleans(), st.sampled_from(OPERATIONS), st.integers(0, 40))


@settings(
    max_examples=400 if LONG else 4,
    deadline=None,
    derandomize=not LONG,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(step, min_size=25, max_size=25))
def test_no_tenant_sees_anything_of_the_other(
    tenants: tuple[Tenant, Tenant], steps: list[tuple[bool, bool, str, int]]
) -> None:
    for who, foreign, what, number in steps:
        me, other = tenants if who else tenants[::-1]
        owner = other if foreign and what in BY_ID else me
        got = operate(me, owner, what, number)
        assert got.status_code < 500, (what, got.text)
        assert other.mark not in got.text, (what, got.text)
        if owner is other:
            assert got.status_code == 404, (what, got.text)
            before = operate(me, Tenant(me.name, me.client), what, number)
            assert got.status_code == before.status_code
            assert _plain(got) == _plain(before)
        else:
            for mine in (*other.documents, *other.sessions, *other.turns, *other.jobs):
                assert mine not in got.text


def _plain(answer: httpx2.Response) -> str:
    """The answer with ids made equal."""
    path = answer.request.url.path
    text = answer.text.replace(path, "PATH")
    for part in path.replace("_", "/").replace("-", "/").replace(".", "/").split("/"):
        if len(part) == 26:
            text = text.replace(part, "ID")
    body = answer.request.content.decode("utf-8", "replace")
    if '"session_id":"' in body:
        text = text.replace(body.split('"session_id":"')[1][:26], "ID")
    return text


def test_nothing_of_the_other_was_changed(tenants: tuple[Tenant, Tenant]) -> None:
    """After all foreign deletes, renames and cancels."""
    for me, other in (tenants, tenants[::-1]):
        listed = me.client.get("/api/sessions").json()["sessions"]
        assert all(other.mark not in (one["title"] or "") for one in listed)
