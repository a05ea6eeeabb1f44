"""The official client, unchanged, against a server that listens."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import openai
import pytest

from tests.api.server.conftest import Running, data_uri, page_png


@pytest.fixture
def official(running: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key="any", max_retries=0) as made:
        yield made


def test_models(official: openai.OpenAI) -> None:
    assert [model.id for model in official.models.list()] == ["hydra-rag", "hydra-rag-raw"]
    assert official.models.retrieve("hydra-rag").object == "model"
    with pytest.raises(openai.NotFoundError) as caught:
        official.models.retrieve("gpt-9")
    assert caught.value.code == "model_not_found"
    assert "hydra-rag" in caught.value.message


def test_chat(official: openai.OpenAI) -> None:
    made = official.chat.completions.create(
        model="hydra-rag", messages=[{"role": "user", "content": "What is the total?"}]
    )
    message = made.choices[0].message
    assert message.content == "42 EUR"
    assert message.annotations
    note = message.annotations[0].url_citation
    assert note.title == "invoice.txt, page 1"
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/#page=[0-9A-Z]{26}/1&box=\d+,\d+,\d+,\d+", note.url)
    assert made.usage is not None
    assert made.usage.total_tokens > 0
    assert made.model_extra is not None
    assert made.model_extra["hydra"]["citations"][0]["quote"] == "42 EUR"


def test_chat_streamed_with_an_image_and_a_past(official: openai.OpenAI) -> None:
    stream = official.chat.completions.create(
        model="hydra-rag",
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is the total?"},
            {"role": "assistant", "content": "42 EUR"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "And who paid it?"},
                    {"type": "image_url", "image_url": {"url": data_uri(page_png())}},
                ],
            },
        ],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "42 EUR"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    steps = [
        c.model_extra["hydra"]["step"]["action"]
        for c in chunks
        if (c.model_extra or {}).get("hydra", {}).get("step")
    ]
    assert "search" in steps
    assert steps[-1] == "answer"


def test_chat_keeps_nothing_unless_a_session_is_named(official: openai.OpenAI, running: Running) -> None:
    with running.client() as client:
        before = client.get("/api/sessions").json()["sessions"]
        official.chat.completions.create(model="hydra-rag", messages=[{"role": "user", "content": "Total?"}])
        assert client.get("/api/sessions").json()["sessions"] == before
        asked = client.post("/api/ask", json={"question": "Total?", "stream": False}).json()
        official.chat.completions.create(
            model="hydra-rag",
            messages=[{"role": "user", "content": "And again?"}],
            metadata={"session_id": asked["session_id"]},
        )
        turns = client.get(f"/api/sessions/{asked['session_id']}").json()["turns"]
        assert [turn["question"] for turn in turns] == ["Total?", "And again?"]


def test_remote_images_are_refused(official: openai.OpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match="data URIs"):
        official.chat.completions.create(
            model="hydra-rag",
            messages=[
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is this?"},
                        {"type": "image_url", "image_url": {"url": "http://127.0.0.1:1/a.png"}},
                    ],
                }
            ],
        )


def test_responses_and_conversation_state(official: openai.OpenAI) -> None:
    first = official.responses.create(
        model="hydra-rag",
        input="What is the total?",
        tools=[{"type": "file_search", "vector_store_ids": ["vs_default"], "max_num_results": 3}],
        include=["file_search_call.results"],
    )
    assert first.output_text == "42 EUR"
    search, message = first.output
    assert search.type == "file_search_call"
    assert search.results
    assert search.results[0].filename == "invoice.txt"
    assert search.results[0].attributes is not None
    assert search.results[0].attributes["page"] == 1
    assert message.type == "message"
    part = message.content[0]
    assert part.type == "output_text"
    kinds = [note.type for note in part.annotations]
    assert kinds == ["file_citation", "url_citation"]

    second = official.responses.create(
        model="hydra-rag", input="And who paid it?", previous_response_id=first.id
    )
    assert second.conversation is not None
    assert first.conversation is not None
    assert second.conversation.id == first.conversation.id
    stored = official.responses.retrieve(second.id)
    assert stored.output_text == second.output_text
    items = official.conversations.items.list(first.conversation.id, order="asc")
    assert [item.role for item in items.data] == ["user", "assistant"] * 2  # type: ignore[union-attr]
    parts = official.conversations.items.list(first.conversation.id, limit=3)
    assert parts.has_more
    assert [item.id for item in parts] == [item.id for item in items.data[::-1]]

    # Going on from the first answer leaves the thread that has moved on alone.
    third = official.responses.create(model="hydra-rag", input="And when?", previous_response_id=first.id)
    assert third.conversation is not None
    assert third.conversation.id != first.conversation.id

    official.responses.delete(second.id)
    with pytest.raises(openai.NotFoundError):
        official.responses.retrieve(second.id)


def test_responses_streamed_with_an_image(official: openai.OpenAI) -> None:
    with official.responses.stream(
        model="hydra-rag",
        input=[
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What is the total?"},
                    {"type": "input_image", "image_url": data_uri(page_png()), "detail": "auto"},
                ],
            }
        ],
    ) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert "response.output_text.annotation.added" in kinds
    assert final.output_text == "42 EUR"


def test_responses_that_are_not_stored(official: openai.OpenAI) -> None:
    made = official.responses.create(model="hydra-rag", input="What is the total?", store=False)
    assert made.conversation is None
    with pytest.raises(openai.NotFoundError):
        official.responses.retrieve(made.id)


def test_files_and_vector_stores(official: openai.OpenAI) -> None:
    file = official.files.create(
        file=("memo.txt", io.BytesIO(b"The meeting is on Friday.")), purpose="assistants"
    )
    official.files.wait_for_processing(file.id, poll_interval=0.05)
    assert official.files.retrieve(file.id).status == "processed"
    assert file.id in [known.id for known in official.files.list()]
    assert official.files.content(file.id).read() == b"The meeting is on Friday."
    in_store = official.vector_stores.files.create("vs_default", file_id=file.id)
    assert in_store.status == "completed"
    found = official.vector_stores.search("vs_default", query="meeting Friday", max_num_results=5)
    hit = next(result for result in found.data if result.file_id == file.id)
    assert "meeting is on Friday" in hit.content[0].text
    assert hit.attributes is not None
    assert hit.attributes["page"] == 1
    official.files.delete(file.id)
    with pytest.raises(openai.NotFoundError):
        official.files.retrieve(file.id)
    found = official.vector_stores.search("vs_default", query="meeting Friday")
    assert file.id not in [result.file_id for result in found.data]


def test_embeddings(official: openai.OpenAI) -> None:
    made = official.embeddings.create(model="hydra-rag", input=["invoice total", "Friday"])
    assert [len(row.embedding) for row in made.data] == [16, 16]
    assert sum(value * value for value in made.data[0].embedding) == pytest.approx(1, abs=1e-5)
    many = official.embeddings.create(
        model="hydra-rag",
        input="invoice total",
        encoding_format="float",
        extra_body={"return_multivector": True},
    )
    rows = (many.data[0].model_extra or {})["embeddings"]
    assert len(rows) == 2
    assert len(rows[0]) == 16


def test_unknown_things_carry_openai_errors(official: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        official.files.retrieve("file-" + "0" * 26)
    assert caught.value.code == "not_found"
    assert caught.value.type == "invalid_request_error"
    with pytest.raises(openai.UnprocessableEntityError) as wrong:
        official.chat.completions.create(model="hydra-rag", messages=[])
    assert wrong.value.param == "body.messages"
