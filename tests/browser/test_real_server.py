"""The page on the real server, with the example invoice; only the model is a stand-in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from hydra_rag.store import keys
from hydra_rag.testing_fakes import FakeEmbedder
from hydra_rag_agents.facade import HydraRAG
from hydra_rag_agents.testing import ScriptedReader
from tests.browser.conftest import Complaints
from tests.browser.test_access import picture
from tests.browser.test_page import answered, ask, until

INVOICE = Path(__file__).parents[2] / "examples" / "documents" / "invoice.pdf"
TOTAL = "$2,580.24"


class Model(FakeEmbedder):
    def close(self) -> None:
        pass


def read(images: Sequence[Any], prompt: str) -> tuple[str, float]:
    return ("not found", 0.9) if "airline" in prompt.casefold() else (TOTAL, 0.95)


@pytest.fixture
def rag(tmp_path: Path) -> Iterator[HydraRAG]:
    with HydraRAG(
        tmp_path / "store",
        load=lambda: Model(),  # type: ignore[arg-type,return-value]
        reader=ScriptedReader(read),
    ) as made:
        yield made


@pytest.fixture
def real(rag: HydraRAG, serve: Callable[[Any], str]) -> Callable[..., str]:
    from hydra_rag_api.server.app import create_app
    from hydra_rag_api.server.services import Services

    def start(**options: Any) -> str:
        return serve(create_app(Services(rag, **options)))

    return start


def add_invoice(page: Any) -> None:
    page.set_input_files("#files", str(INVOICE))
    page.locator(".doc-row", has_text="invoice.pdf").wait_for(timeout=60_000)


def test_from_upload_to_evidence(open_page: Callable[..., Any], real: Callable[..., str]) -> None:
    page = open_page(real())
    page.locator(".hello-drop").wait_for()
    add_invoice(page)
    turn = answered(page, "What is the total amount due?")
    assert turn.locator(".answer-text").inner_text().startswith(TOTAL)
    turn.locator(".answer .cite").first.click()
    page.wait_for_selector(".box-group.arrive")

    # The box lies over the words that the page prints.
    document = page.evaluate("fetch('api/documents').then((r) => r.json())")["documents"][0]["document_id"]
    words = page.evaluate(f"fetch('api/documents/{document}/pages/1/words').then((r) => r.json())")["words"]
    printed = [word["box"] for word in words if TOTAL in word["text"]]
    left, top, right, bottom = map(int, page.locator(".box-group").first.get_attribute("data-box").split(","))
    assert any(
        left <= (box[0] + box[2]) / 2 <= right and top <= (box[1] + box[3]) / 2 <= bottom for box in printed
    )
    picture(page, "real-answer")

    page.get_by_role("button", name="Heat map (h)").click()
    page.wait_for_selector(".token")
    page.locator(".token").nth(3).click()
    until(page, "!document.querySelector('.stage-page canvas').hidden")
    picture(page, "real-heat")

    turn.locator(".trace summary").click()
    until(page, "document.querySelectorAll('.step[data-action=search] .thumb').length === 1")
    turn.get_by_role("button", name="Good answer").click()
    turn.locator("[data-rating='1'][aria-pressed=true]").wait_for()

    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    turn = page.locator("chat-turn")
    assert turn.locator(".answer-text").inner_text().startswith(TOTAL)
    assert turn.locator("[data-rating='1']").get_attribute("aria-pressed") == "true"
    page.wait_for_selector(".box-group")


def test_not_found_rename_and_remove(open_page: Callable[..., Any], real: Callable[..., str]) -> None:
    page = open_page(real())
    add_invoice(page)
    turn = answered(page, "Which airline?")
    assert turn.locator(".notice h3").inner_text() == "Not found in your documents"
    page.get_by_role("button", name="More about: Which airline?").click()
    page.get_by_role("menuitem", name="Rename").click()
    page.keyboard.type("Flights")
    page.keyboard.press("Enter")
    page.locator("#talk-title", has_text="Flights").wait_for()
    page.get_by_role("button", name="More about: invoice.pdf").click()
    page.get_by_role("menuitem", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    until(page, "document.querySelectorAll('.doc-row').length === 0")
    page.get_by_role("button", name="More about: Flights").click()
    page.get_by_role("menuitem", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    page.locator(".rail-empty", has_text="What you ask is kept here.").wait_for()


def test_unreadable_file_is_told(open_page: Callable[..., Any], real: Callable[..., str]) -> None:
    page = open_page(real())
    page.set_input_files(
        "#files", {"name": "broken.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7 no"}
    )
    page.locator(".upload.bad").wait_for(timeout=60_000)
    assert len(page.locator(".upload.bad .row-note").inner_text()) > 10
    ask(page, "What is the total?")
    page.locator(".notice", has_text="There are no documents yet").wait_for()


def test_signing_in_with_a_key(
    open_page: Callable[..., Any], real: Callable[..., str], rag: HydraRAG, complaints: Complaints
) -> None:
    complaints.expected = ["401"]
    secret = keys.create_key(rag.store, "default", "browser").secret
    assert secret is not None
    page = open_page(real(require_keys=True), ready=False)
    dialog = page.get_by_role("dialog", name="API key")
    dialog.get_by_label("Key").fill(secret)
    dialog.get_by_role("button", name="Use this key").click()
    page.wait_for_selector("html[data-ready]", state="attached")
    add_invoice(page)
    until(page, "[...document.querySelectorAll('.doc-thumb')].every((image) => image.naturalWidth > 0)")
    assert secret not in page.evaluate("document.cookie")
    assert answered(page).locator(".cite").count() == 1
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("dialog", name="API key").wait_for()


def test_a_link_that_an_openai_client_got_opens_the_place(
    open_page: Callable[..., Any], real: Callable[..., str]
) -> None:
    page = open_page(real())
    add_invoice(page)
    note = page.evaluate(
        """async (body) => {
          const sent = { method: "POST", headers: { "content-type": "application/json" } };
          const got = await fetch("v1/chat/completions", { ...sent, body: JSON.stringify(body) });
          return (await got.json()).choices[0].message.annotations[0].url_citation;
        }""",
        {"model": "hydra-rag", "messages": [{"role": "user", "content": "What is the total amount due?"}]},
    )
    phone = open_page(note["url"], width=390, height=844)
    phone.wait_for_selector(".box-group", state="visible")
    assert note["url"].endswith("&box=" + phone.locator(".box-group").first.get_attribute("data-box"))
    page.evaluate("(to) => { location.href = to; }", note["url"])  # in a tab that is open already
    page.wait_for_selector(".box-group", state="visible")
    assert page.evaluate("location.href") == note["url"]
