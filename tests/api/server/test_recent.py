"""The server's cache: what was used last stays, within its bound."""

from __future__ import annotations

from hydra_rag_api.server.recent import Recent


def test_what_was_used_last_stays() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    recent.put("c", 3)
    assert [recent.get(key) for key in "abc"] == [1, None, 3]


def test_the_bound_is_a_sum_of_weights() -> None:
    recent: Recent[str, bytes] = Recent(10, len)
    recent.put("a", b"12345678")
    recent.put("a", b"1234")  # in its place
    recent.put("b", b"123456")
    assert (recent.get("a"), recent.get("b")) == (b"1234", b"123456")
    recent.put("large", b"12345678901")  # alone too large: not kept, and nothing else is lost to no purpose
    assert (recent.get("large"), recent.get("b")) == (None, b"123456")


def test_a_value_is_made_once() -> None:
    recent: Recent[str, str] = Recent(1)
    made: list[str] = []

    def make() -> str:
        made.append("x")
        return "value"

    assert [recent.get_or_make("key", make) for _ in range(3)] == ["value"] * 3
    assert made == ["x"]
