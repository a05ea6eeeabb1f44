"""The whole way through the command line with a tiny random model: plumbing, shapes, replay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hydra_rag.errors import UsageError
from hydra_rag_agents import HydraRAG
from tests.api.conftest import Command, draw

Flow = tuple[Command, list[object]]


@pytest.fixture
def flow(command: Command, store: Path, tiny: Path) -> Flow:
    return command, ["--store", store, "--model", tiny, "--json"]


def check_answer(result: dict[str, Any], documents: dict[str, Any]) -> None:
    assert set(result) == {"status", "answer", "confidence", "citations", "steps", "session_id", "turn_id"}
    assert result["status"] in ("answered", "not_found")
    assert isinstance(result["answer"], str)
    assert 0 <= result["confidence"] <= 1
    assert result["steps"][0]["action"] == "search"
    assert result["steps"][-1]["action"] == "answer"
    assert (result["status"] == "answered") == bool(result["citations"])
    for citation in result["citations"]:
        assert set(citation) == {"document_id", "document", "page", "box", "quote"}
        page = documents[citation["document_id"]]["pages"][citation["page"] - 1]
        if citation["box"] is not None:
            left, top, right, bottom = citation["box"]
            assert 0 <= left < right <= page["width"]
            assert 0 <= top < bottom <= page["height"]


def shown_documents(flow: Flow) -> dict[str, Any]:
    call, common = flow
    listed = call("documents", "list", *common[:2], "--json").json["documents"]
    fields = {"document_id", "document", "status", "pages", "bytes", "added"}
    assert all(set(entry) == fields for entry in listed)
    out = {}
    for entry in listed:
        shown = call("documents", "show", entry["document_id"], *common[:2], "--json").json
        assert {key: shown[key] for key in fields - {"pages"}} == {k: entry[k] for k in fields - {"pages"}}
        assert len(shown["pages"]) == entry["pages"]
        assert set(shown["pages"][0]) == {"page", "width", "height", "label", "has_text", "text_source"}
        out[entry["document_id"]] = shown
    return out


def test_from_files_to_a_replayed_answer(flow: Flow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call, common = flow
    monkeypatch.setenv("HYDRA_RAG_THRESHOLD", "0")  # a random model is never sure of anything
    documents = shown_documents(flow)
    assert {d["document"] for d in documents.values()} == {"one.png", "two.txt"}

    found = call("search", "goods delivery", "-k", 2, *common)
    assert found.code == 0
    hit = found.json["hits"][0]
    assert set(hit) == {"rank", "document_id", "document", "page", "score", "sources", "regions"}
    assert found.json["steps"][0]["action"] == "search"
    words = call("search", "goods delivery", "--mode", "text", *common).json["hits"]
    assert [h["document"] for h in words] == ["two.txt"]

    first = call("ask", "Within how many days?", "--explain", tmp_path / "why", *common)
    assert first.code == 0, first.err
    check_answer(first.json, documents)
    report = json.loads((tmp_path / "why" / "report.json").read_text(encoding="utf-8"))
    assert report["answer"] == first.json["answer"]
    for name in [report["card"], *(page["picture"] for page in report["pages"])]:
        assert (tmp_path / "why" / name).stat().st_size > 1000
    assert "<html" in (tmp_path / "why" / "index.html").read_text(encoding="utf-8")

    session = first.json["session_id"]
    second = call("ask", "And the total?", "--session", session, *common)
    assert second.json["session_id"] == session
    assert "Within how many days?" in second.json["steps"][0]["query"]

    turns = call("sessions", "show", session, *common[:2], "--json").json["turns"]
    assert [t["turn_id"] for t in turns] == [first.json["turn_id"], second.json["turn_id"]]
    for turn, told in zip(turns, (first.json, second.json), strict=True):
        for key in ("answer", "status", "citations", "steps"):
            assert turn[key] == told[key]

    replayed = call("sessions", "replay", session, *common)
    assert replayed.code == 0, replayed.out
    assert replayed.json["same"]
    assert [turn["same"] for turn in replayed.json["turns"]] == [True, True]

    assert call("sessions", "list", *common[:2], "--json").json["sessions"][0]["turns"] == 2
    assert call("sessions", "remove", session, *common[:2]).code == 0
    assert call("sessions", "list", *common[:2], "--json").json == {"sessions": []}


def test_a_question_with_an_image_can_be_replayed(flow: Flow, tmp_path: Path) -> None:
    call, common = flow
    picture = draw(tmp_path / "part.png", ["Total 41.00"])
    asked = call("ask", "What is this?", "--image", picture, *common)
    assert asked.code == 0, asked.err
    look, search = asked.json["steps"][:2]
    assert look["own_image"] is True
    assert search["image"] is True
    picture.unlink()
    assert call("sessions", "replay", asked.json["session_id"], *common).json["same"]
    other = draw(tmp_path / "q.png", ["Invoice 204"])
    assert call("search", "--image", other, *common).json["hits"]
    found = call("search", "the number", "--image", other, "--gaze", "always", *common).json
    assert found["hits"]
    assert [step["action"] for step in found["steps"]] == ["glance", "search"]


@pytest.mark.parametrize("gaze", ["never", "auto", "always"])
def test_every_way_of_gazing_answers(flow: Flow, gaze: str) -> None:
    call, common = flow
    asked = call("ask", "What is the total?", "--gaze", gaze, "--pages", "1", *common)
    assert asked.code == 0, asked.err
    actions = {step["action"] for step in asked.json["steps"]}
    assert actions <= {"search", "glance", "gaze", "reflect", "answer"}
    assert ("gaze" in actions) or gaze != "always"
    assert ("gaze" not in actions) or gaze != "never"


def test_unchanged_files_are_skipped_and_removed_ones_leave(flow: Flow, made: tuple[Path, Path]) -> None:
    call, common = flow
    again = call("ingest", made[0], "--ocr", "never", *common)
    assert {d["status"] for d in again.json["documents"]} == {"unchanged"}
    gone = again.json["documents"][0]["document_id"]
    assert call("documents", "remove", gone, *common[:2]).code == 0
    assert gone not in shown_documents(flow)
    assert gone not in {h["document_id"] for h in call("search", "invoice total", *common).json["hits"]}
    report = call("doctor", *common)
    assert report.code == 0, report.out
    assert report.json["ok"]
    assert {"ok", "problems", "pages", "segments", "recall_estimate"} <= set(report.json)


def test_another_model_is_refused_until_reindexed(flow: Flow, tmp_path: Path) -> None:
    from hydra_rag.testing import tiny_model

    call, common = flow
    other = tiny_model(tmp_path / "other", "qwen2_vl", seed=9)
    with_other = [*common[:2], "--model", other, "--json"]
    refused = call("search", "invoice", *with_other)
    assert refused.code == 3
    assert refused.json["error"]["code"] == "fingerprint"
    assert call("reindex", *with_other).json["pages"] == 2
    assert call("search", "invoice", *with_other).json["hits"]


def test_an_empty_store_answers_that_it_holds_nothing(command: Command, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = command("ask", "Total?", "--store", tmp_path / "empty", "--model", tiny, "--json")
    assert ran.code == 0
    assert (ran.json["status"], ran.json["citations"]) == ("not_found", [])


def test_model_check(command: Command, tiny: Path) -> None:
    ran = command("model", "check", "--model", tiny, "--json")
    assert ran.code == 0, ran.out
    assert set(ran.json) == {"ok", "checks", "memory"}
    assert all(set(check) == {"name", "ok", "detail"} for check in ran.json["checks"])
    assert {"unique_bytes", "two_models_bytes"} <= set(ran.json["memory"])


def test_chat_leans_on_what_was_said(
    command: Command, store: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("Within how many days?\nAnd the total?\nexit\nMore?\n"))
    assert command("chat", "--store", store, "--model", tiny).code == 0
    (session,) = command("sessions", "list", "--store", store, "--json").json["sessions"]
    assert session["turns"] == 2


def test_an_interrupted_turn_is_stored_as_such(store: Path, tiny: Path) -> None:
    from hydra_rag_agents.events import Delta

    with HydraRAG(store, str(tiny)) as rag:
        events = rag.ask_events("What is the total?", max_new_tokens=200)
        for event in events:
            if isinstance(event, Delta):
                break
        events.close()
        (session,) = rag.sessions
        (turn,) = rag.conversation.turns(session.session_id)
        assert turn.status == "interrupted"
        assert [step.action for step in turn.steps] == ["search"]
        assert rag.ask("What is the total?").turn_id  # the model is free again
        (entry,) = rag.replay(session.session_id)
        assert entry["reason"] == "The turn ended as interrupted."


def test_a_turn_that_is_left_before_its_first_step_is_interrupted_too(store: Path) -> None:
    """A client that goes away while the question is being stored: the model is never asked."""
    from hydra_rag_agents.events import Started
    from hydra_rag_agents.testing import ScriptedReader

    with HydraRAG(store, reader=ScriptedReader(lambda images, prompt: ("no", 0.9))) as rag:
        events = rag.ask_events("What is the total?")
        started = next(events)
        assert isinstance(started, Started)
        events.close()
        (turn,) = rag.conversation.turns(started.session_id)
        assert (turn.status, turn.answer, turn.steps) == ("interrupted", None, ())


def test_the_facade_refuses_what_it_cannot_do(store: Path, tiny: Path) -> None:
    rag = HydraRAG(store, str(tiny))
    with pytest.raises(UsageError, match="Unknown setting"):
        rag.ask("x", no_such_setting=1)
    with pytest.raises(UsageError, match="query"):
        rag.search("  ")
    rag.close()
    rag.close()
    with pytest.raises(UsageError, match="closed"):
        rag.ask("Total?")


def test_tenants_see_nothing_of_each_other(flow: Flow) -> None:
    call, common = flow
    asked = call("ask", "Total?", *common).json
    other = [*common, "--tenant", "other"]
    assert call("documents", "list", *common[:2], "--tenant", "other", "--json").json == {"documents": []}
    assert call("search", "invoice total", *other).json["hits"] == []
    assert call("ask", "Total?", *other).json["status"] == "not_found"
    assert call("sessions", "show", asked["session_id"], *common[:2], "--tenant", "other", "--json").code == 2
    assert call("ask", "Total?", "--session", asked["session_id"], *other).code == 2


def test_evaluation_of_a_folder(command: Command, tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "eval"
    folder.mkdir()
    records = []
    for number in (1, 2):
        draw(folder / f"p{number}.png", [f"Invoice {number}", "Total 41.00"])
        records.append(
            {
                "image": f"p{number}.png",
                "words": [
                    {"text": "Invoice", "box": [20, 20, 60, 32]},
                    {"text": str(number), "box": [64, 20, 72, 32]},
                    {"text": "Total", "box": [20, 50, 50, 62]},
                ],
                "questions": [
                    {"question": "Total?", "answer": "41.00", "boxes": [[60, 50, 90, 62]]},
                    {"question": "Weight?", "answer": None, "boxes": []},
                ],
            }
        )
    (folder / "pages.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    queries = [
        {"query": "Invoice 2", "image": None, "relevant": ["p2.png"]},
        {"query": "", "image": "p1.png", "relevant": ["p1.png"]},
    ]
    (folder / "queries.jsonl").write_text("".join(json.dumps(q) + "\n" for q in queries), encoding="utf-8")
    ran = command("eval", folder, "--model", tiny, "--json")
    assert ran.code == 0, ran.err
    report = ran.json
    assert {"reading", "answers", "retrieval", "gaze"} <= set(report)
    gaze = report["gaze"]
    assert gaze["n"] == 2
    for figure in ("pointing", "energy_in_box", "auroc", "iou@0.5", "coverage", "area"):
        assert 0 <= gaze[figure] <= 1
    assert gaze["exact_match_auto"] is not None
    assert gaze["tokens_never"] < gaze["tokens_always"]
    assert 0 <= report["reading"]["char_accuracy"] <= 1
    assert {"exact_match", "anls", "unanswerable_recognised", "false_refusals", "n"} <= set(report["answers"])
    assert report["answers"]["n"] == 4
    assert report["retrieval"]["text"]["ndcg@5"] == 1.0
    assert report["retrieval"]["visual"]["recall@5"] == 1.0
    lines = (folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    kinds = [json.loads(line)["kind"] for line in lines]
    counts = {"reading": 4, "answer": 4, "gaze": 2, "gate": 4, "retrieval": 4}
    assert {kind: kinds.count(kind) for kind in set(kinds)} == counts
    people = command("eval", folder, "--model", tiny, "--part", "reading")
    assert people.code == 0, people.err
    assert "char_accuracy" in people.out
    assert all(f"{part}: no data" in people.out for part in ("answers", "gaze", "retrieval"))
    (folder / "queries.jsonl").unlink()
    assert command("eval", folder, "--model", tiny, "--json").json["retrieval"] is None
    (folder / "pages.jsonl").write_text('{"image": "missing.png"}\n', encoding="utf-8")
    broken = command("eval", folder, "--model", tiny, "--json")
    assert broken.code == 2
    assert "line 1" in broken.json["error"]["message"]
