"""Who may speak, from where, and how much."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from hydra_rag.errors import UsageError
from hydra_rag.store import keys
from hydra_rag_api.server.limits import ServerSettings
from hydra_rag_api.server.run import serve
from tests.api.server.conftest import Running, Server, data_uri, make_rag, page_png

PUBLIC = {"/healthz", "/readyz", "/health", "/version", "/api/login", "/api/logout"}


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, str]]:
    rag = make_rag(tmp_path_factory.mktemp("closed") / "store")
    key = keys.create_key(rag.store, "acme").secret
    assert key is not None
    settings = ServerSettings(max_file_bytes=20_000, max_upload_bytes=50_000, max_body_bytes=30_000)
    with Server(rag, settings) as server:
        yield server, key


def test_every_route_but_the_listed_ones_needs_a_key(closed: tuple[Running, str]) -> None:
    running, key = closed
    with running.client() as client:
        schema = client.get("/openapi.json", headers={"Authorization": f"Bearer {key}"}).json()
        bodies = set()
        for path, methods in schema["paths"].items():
            if path in PUBLIC:
                continue
            real = path.replace("{page}", "1").replace("{model}", "hydra-rag")
            for part in ("document_id", "session_id", "turn_id", "job_id"):
                real = real.replace("{" + part + "}", "0" * 26)
            for method in methods:
                for header in ({}, {"Authorization": "Bearer nope"}, {"Authorization": f"Bearer {key}x"}):
                    got = client.request(method.upper(), real, headers=header)
                    assert got.status_code == 401, (method, path)
                    bodies.add(got.json()["detail"])
        assert len(bodies) == 1


def test_a_key_opens_its_tenant_until_it_is_revoked(closed: tuple[Running, str]) -> None:
    running, key = closed
    with running.client(key) as client:
        assert client.get("/api/me").json()["tenant"] == "acme"
    other = keys.create_key(running.rag.store, "acme")
    assert other.secret is not None
    with running.client(other.secret) as client:
        assert client.get("/api/documents").status_code == 200
        keys.revoke_key(running.rag.store, "acme", other.key_id)
        assert client.get("/api/documents").status_code == 401


def test_a_browser_signs_in_with_a_cookie_it_can_not_read(closed: tuple[Running, str]) -> None:
    running, key = closed
    with running.client() as client:
        assert client.post("/api/login", json={"key": "hyd_x_y"}).status_code == 401
        got = client.post("/api/login", json={"key": key})
        assert got.status_code == 204
        cookie = got.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert client.get("/api/me").json()["auth"] == "cookie"
        client.post("/api/logout")
        assert client.get("/api/me").status_code == 401


def test_other_sites_can_not_use_the_browser(running: Running) -> None:
    with running.client() as client:
        for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            got = client.post("/api/search", json={"query": "x"}, headers=headers)
            assert got.status_code == 403
        # A name that was bent to this address reaches nothing either.
        assert client.get("/api/documents", headers={"Host": "evil.example"}).status_code == 421


def test_sizes_are_counted_while_they_come(closed: tuple[Running, str]) -> None:
    running, key = closed
    with running.client(key) as client:

        def endless() -> Iterator[bytes]:
            for _ in range(100):
                yield b'{"query": "' + b"x" * 1000

        got = client.post("/api/search", content=endless(), headers={"Content-Type": "application/json"})
        assert got.status_code == 413
        assert got.json()["error"]["code"] == "too_large"
    with running.client(key) as client:
        got = client.post("/api/documents", files={"files": ("a.txt", b"x" * 30_000)})
        assert got.status_code == 413
        assert got.json()["error"]["code"] == "file_too_large"
    with running.client(key) as client:
        assert client.post("/api/documents", files={"files": ("a.txt", b"x" * 60_000)}).status_code == 413
    assert not [p for p in (running.rag.directory / "uploads").rglob("*") if p.is_file()]


def test_images_are_bounded_before_they_are_decoded(running: Running) -> None:
    with running.client() as client:
        for uri in (
            "data:image/png;base64,AAAA",
            data_uri(page_png(size=(1000, 2))),
            data_uri(page_png())[:200],
        ):
            assert client.post("/api/search", json={"image": uri}).status_code == 422


def test_an_open_address_needs_a_key_first(tmp_path: Path) -> None:
    with make_rag(tmp_path / "store") as rag, pytest.raises(UsageError, match="keys create"):
        serve(rag, ServerSettings(host="0.0.0.0"))


def test_secrets_stay_out_of_logs_and_errors(
    closed: tuple[Running, str], caplog: pytest.LogCaptureFixture
) -> None:
    running, key = closed
    secret = key[-24:]  # its random part may hold an underscore
    with caplog.at_level(logging.DEBUG), running.client(key) as client:
        texts = [
            client.get("/api/documents/x?key=" + key).text,
            client.post("/api/login", json={"key": key + "x"}).text,
            client.post("/api/login", content=b"{" + key.encode()).text,
            client.post("/api/search", json={"query": 5, key: 1}).text,
        ]
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("hydra_rag")]
    assert ours
    assert secret not in "\n".join(ours)
    assert all(secret not in text for text in texts[:3])
