"""Sessions with their evidence, and API keys; each tenant sees its own alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hydra_rag.errors import NotFoundError
from hydra_rag.geometry import Box
from hydra_rag.store import Store, chats, keys
from hydra_rag.store.records import Citation, Step


@pytest.fixture
def store(store_dir: Path) -> Iterator[Store]:
    with Store.open(store_dir) as opened:
        yield opened


def test_a_turn_comes_back_with_all_its_evidence(store: Store) -> None:
    session = chats.create_session(store, "t", "About invoices")
    turn = chats.add_turn(
        store, "t", session.session_id, "How much?", settings={"k": 3, "mode": "hybrid"}, fingerprint="f"
    )
    assert turn.status == "running"
    chats.add_step(store, "t", turn.turn_id, Step("glance", {"tokens": 12}))
    chats.add_citation(store, "t", turn.turn_id, Citation("d", "a.pdf", 2))
    done = chats.finish_turn(
        store, "t", turn.turn_id,
        status="answered", answer="42 €", confidence=0.5,
        steps=[Step("search", {"hits": [1]}), Step("answer")],
        citations=[Citation("d", "a.pdf", 3, Box(1, 2, 3, 4), "42 €")],
    )  # fmt: skip
    assert [step.action for step in done.steps] == ["glance", "search", "answer"]
    assert done.steps[0].detail == {"tokens": 12}
    assert done.citations == (Citation("d", "a.pdf", 2), Citation("d", "a.pdf", 3, Box(1, 2, 3, 4), "42 €"))
    assert (done.settings, done.answer, done.status) == ({"k": 3, "mode": "hybrid"}, "42 €", "answered")
    assert chats.list_turns(store, "t", session.session_id) == [done]
    assert chats.get_turn(store, "t", turn.turn_id) == done
    chats.add_feedback(store, "t", turn.turn_id, 1, "good")
    assert [f.comment for f in chats.list_feedback(store, "t", turn.turn_id)] == ["good"]
    assert [s.turns for s in chats.list_sessions(store, "t")] == [1]


def test_whatever_was_typed_can_be_kept(store: Store) -> None:
    typed, kept = "caf\udce9 \x00?", "caf? ?"
    session = chats.create_session(store, "t", typed)
    turn = chats.add_turn(store, "t", session.session_id, typed)
    chats.add_citation(store, "t", turn.turn_id, Citation("d", "a.pdf", 1, None, typed))
    chats.finish_turn(store, "t", turn.turn_id, status="answered", answer=typed, confidence=1.0)
    chats.add_feedback(store, "t", turn.turn_id, 1, typed)
    found = chats.get_turn(store, "t", turn.turn_id)
    assert (found.question, found.answer, found.citations[0].quote) == (kept, kept, kept)
    assert chats.list_sessions(store, "t")[0].title == kept
    assert chats.list_feedback(store, "t", turn.turn_id)[0].comment == kept


def test_turns_keep_their_order_and_sessions_come_newest_first(store: Store) -> None:
    sessions = [chats.create_session(store, "t") for _ in range(3)]
    listed = [session.session_id for session in chats.list_sessions(store, "t")]
    assert listed == [session.session_id for session in reversed(sessions)]
    for question in ("one", "two", "three"):
        chats.add_turn(store, "t", sessions[0].session_id, question)
    turns = chats.list_turns(store, "t", sessions[0].session_id)
    assert [(turn.position, turn.question) for turn in turns] == [(0, "one"), (1, "two"), (2, "three")]


def test_what_a_dead_process_left_running_is_interrupted(store: Store) -> None:
    session = chats.create_session(store, "t")
    chats.add_turn(store, "t", session.session_id, "?")
    assert chats.interrupt_running(store, "other") == 0
    assert chats.interrupt_running(store, "t") == 1
    assert [turn.status for turn in chats.list_turns(store, "t", session.session_id)] == ["interrupted"]


def test_removing_a_session_takes_everything_with_it(store: Store) -> None:
    session = chats.create_session(store, "t")
    turn = chats.add_turn(store, "t", session.session_id, "?")
    chats.add_step(store, "t", turn.turn_id, Step("glance"))
    chats.add_feedback(store, "t", turn.turn_id, -1)
    chats.remove_session(store, "t", session.session_id)
    assert chats.list_sessions(store, "t") == []
    assert chats.list_feedback(store, "t", turn.turn_id) == []
    with pytest.raises(NotFoundError):
        chats.get_turn(store, "t", turn.turn_id)


def test_a_foreign_id_looks_like_an_unknown_one(store: Store) -> None:
    session = chats.create_session(store, "mine")
    turn = chats.add_turn(store, "mine", session.session_id, "?")
    calls: list[Callable[[str, str, str], object]] = [
        lambda tenant, s, t: chats.get_session(store, tenant, s),
        lambda tenant, s, t: chats.remove_session(store, tenant, s),
        lambda tenant, s, t: chats.list_turns(store, tenant, s),
        lambda tenant, s, t: chats.add_turn(store, tenant, s, "?"),
        lambda tenant, s, t: chats.get_turn(store, tenant, t),
        lambda tenant, s, t: chats.finish_turn(store, tenant, t, status="failed"),
        lambda tenant, s, t: chats.add_step(store, tenant, t, Step("glance")),
        lambda tenant, s, t: chats.add_citation(store, tenant, t, Citation("d", "d", 1)),
        lambda tenant, s, t: chats.add_feedback(store, tenant, t, 1),
    ]
    for call in calls:
        with pytest.raises(NotFoundError) as foreign:
            call("theirs", session.session_id, turn.turn_id)
        with pytest.raises(NotFoundError) as unknown:
            call("theirs", "0" * 26, "0" * 26)
        masked = str(foreign.value).replace(session.session_id, "#").replace(turn.turn_id, "#")
        assert masked == str(unknown.value).replace("0" * 26, "#")
    assert chats.list_sessions(store, "theirs") == []
    assert chats.get_turn(store, "mine", turn.turn_id).steps == ()


def test_keys_open_their_tenant_until_revoked(store: Store, store_dir: Path) -> None:
    assert not keys.any_keys(store)
    key = keys.create_key(store, "t", "laptop")
    assert key.secret is not None
    assert keys.tenant_of_key(store, key.secret) == "t"
    assert keys.any_keys(store)
    for wrong in ("", "x", key.secret[:-1], key.secret + "x", f"hyd_{key.key_id}_", "hyd_é_é", "hyd__"):
        assert keys.tenant_of_key(store, wrong) is None
    [listed] = keys.list_keys(store, "t")
    assert listed.secret is None
    assert listed.last_used is not None
    assert keys.list_keys(store, "u") == []
    with pytest.raises(NotFoundError):
        keys.revoke_key(store, "u", key.key_id)
    keys.revoke_key(store, "t", key.key_id)
    assert keys.tenant_of_key(store, key.secret) is None
    assert not keys.any_keys(store)
    store.close()
    secret = key.secret.rsplit("_", 1)[1].encode()
    for path in store_dir.glob("hydra.db*"):
        assert secret not in path.read_bytes(), "the secret itself is never stored"
