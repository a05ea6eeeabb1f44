"""The page, as people use it, against the fake server."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from tests.browser.conftest import Complaints
from tests.browser.fake_world import ANSWER_BOX, HEIGHT, MARKUP, SECOND_BOX, WIDTH, World


def ask(page: Any, question: str) -> None:
    page.fill("#question", question)
    page.press("#question", "Enter")


def answered(page: Any, question: str = "What is the total?") -> Any:
    turns = page.locator("chat-turn").count()
    ask(page, question)
    turn = page.locator("chat-turn").nth(turns)
    turn.locator(".answer .evidence-card, .answer .notice").first.wait_for()
    return turn


def shown_box(page: Any) -> list[float]:
    """The strong box, in pixels of the page image, from where it lies on the screen."""
    image = page.locator(".stage-page img").bounding_box()
    box = page.locator(".box-group .box:not(.faint)").bounding_box()
    scale = image["width"] / WIDTH
    left, top = (box["x"] - image["x"]) / scale, (box["y"] - image["y"]) / scale
    return [left, top, left + box["width"] / scale, top + box["height"] / scale]


def until(page: Any, expression: str, arg: Any = None) -> None:
    """As ``wait_for_function``, which the page's own policy forbids (it evaluates text later on)."""
    deadline = time.monotonic() + 45
    while not page.evaluate(expression, arg):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(25)


def settled(page: Any) -> None:
    """Until nothing moves any more."""
    until(page, "document.getAnimations().every((a) => a.playState !== 'running')")


def test_answer_is_streamed_and_cited(page: Any, world: World) -> None:
    turn = answered(page)
    assert turn.locator(".answer-text").inner_text().startswith("$2,580.24")
    assert turn.locator(".answer-text .cite").all_inner_texts() == ["1", "2"]
    assert world.asked[0]["question"] == "What is the total?"
    page.wait_for_selector("page-viewer .box-group")  # the first evidence comes up by itself
    assert page.locator("#announcer").inner_text().startswith("Answer: $2,580.24")


def test_streamed_text_is_seen_before_the_answer(page: Any) -> None:
    ask(page, "slowly please")
    draft = page.locator(".answer-text.draft", has_text="$2")
    draft.wait_for()
    assert "Reading invoice.pdf, page 1" in page.locator("chat-turn .answer").inner_text()
    page.locator(".evidence-card").first.wait_for()
    assert page.locator(".draft").count() == 0


def test_citation_lights_up_its_box(page: Any) -> None:
    turn = answered(page)
    for index, box in ((1, SECOND_BOX), (0, ANSWER_BOX)):
        turn.locator(".answer-text .cite").nth(index).click()
        until(
            page,
            "(wanted) => document.querySelector('.box:not(.faint)')?.parentNode.dataset.box === wanted",
            arg=",".join(map(str, box)),
        )
        settled(page)
        assert all(abs(a - b) < 2 for a, b in zip(shown_box(page), box, strict=True))
        stage, strong = page.locator(".stage").bounding_box(), page.locator(".box:not(.faint)").bounding_box()
        for start, length in (("x", "width"), ("y", "height")):
            assert stage[start] <= strong[start]
            assert strong[start] + strong[length] <= stage[start] + stage[length]
        assert turn.locator("[data-cite][aria-current]").first.get_attribute("data-cite") == str(index)
    assert page.evaluate("location.hash").endswith("box=" + ",".join(map(str, ANSWER_BOX)))


def test_reload_keeps_conversation_and_place(page: Any) -> None:
    answered(page)
    page.wait_for_selector(".box-group")
    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    assert page.locator("chat-turn .answer-text").inner_text().startswith("$2,580.24")
    page.wait_for_selector(".box-group")
    assert page.locator(".box-group").first.get_attribute("data-box") == ",".join(map(str, ANSWER_BOX))
    assert page.locator("session-list .row[data-current]").inner_text() == "What is the total?"
    page.locator("chat-turn .trace summary").click()
    page.locator(".step").nth(6).wait_for(state="attached")  # drawn when the trace opens
    assert page.locator(".step").count() == 7


def test_trace_shows_glances_and_gazes_with_crops(page: Any) -> None:
    turn = answered(page)
    turn.locator(".trace summary").click()
    steps = turn.locator(".step")
    steps.nth(6).wait_for(state="attached")  # drawn when the trace opens
    assert [steps.nth(i).get_attribute("data-action") for i in range(steps.count())] == [
        "search", "glance", "glance", "gaze", "reflect", "reflect", "answer",
    ]  # fmt: skip
    crop = turn.locator(".step[data-action=gaze] .crop img")
    crop.scroll_into_view_if_needed()
    until(page, "(image) => image.complete && image.naturalWidth > 0", arg=crop.element_handle())
    assert "Read larger: Total due $2,580.24" in turn.locator(".step[data-action=gaze]").inner_text()
    turn.locator(".step[data-action=gaze] .crop").click()
    page.wait_for_selector(".box-group[data-kind=gaze]")
    drafts, check = turn.locator(".step[data-action=reflect]").all_inner_texts()
    assert "stands on the page" in drafts
    assert "The place alone gives the same answer" in check
    looked = turn.locator(".map-pic canvas")
    dots = looked.evaluate("c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]")
    alpha = dots[3::4]
    assert alpha.index(max(alpha)) == 7 * 8 + 6  # the strongest cell of the model's map


def test_heat_map_of_the_question_and_of_a_word(page: Any, complaints: Complaints) -> None:
    complaints.expected = ["willReadFrequently"]  # it is this test that reads the canvas back
    answered(page)
    page.wait_for_selector(".box-group")
    page.locator("body").press("Escape")
    page.get_by_role("button", name=re.compile("^Heat map")).click()
    page.wait_for_selector(".token")
    assert page.locator(".token").all_inner_texts() == ["whole question", "What", "is", "the", "total?"]

    def hottest() -> list[int]:
        where: list[int] = page.evaluate(
            """([width, height]) => { const c = document.querySelector('.stage-page canvas');
            const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let best = 999, at = 0;
            for (let i = 0; i < d.length; i += 4) if (d[i + 3] && d[i + 2] < best) { best = d[i + 2]; at = i / 4; }
            return [at % c.width * width / c.width, Math.floor(at / c.width) * height / c.height]; }""",  # noqa: E501
            [WIDTH, HEIGHT],
        )
        return where

    x, y = hottest()
    assert abs(x - 950) < 60 and abs(y - 1015) < 60  # noqa: PT018
    page.locator(".token", has_text="is").last.click()
    until(page, "document.querySelectorAll('.token')[2].getAttribute('aria-pressed') === 'true'")
    page.wait_for_timeout(200)
    x, y = hottest()
    assert abs(x - 270) < 60 and abs(y - 318) < 60  # noqa: PT018
    page.locator("body").press("h")
    assert page.locator(".stage-page canvas").is_hidden()


def test_not_found_is_said(page: Any) -> None:
    turn = answered(page, "Which number plates?")
    assert turn.locator(".notice h3").inner_text() == "Not found in your documents"
    assert turn.locator(".near .thumb").count() == 3
    assert turn.locator(".cite").count() == 0


def test_weak_evidence_is_said(page: Any) -> None:
    turn = answered(page, "a weak one")
    assert "Weak evidence" in turn.inner_text()
    assert "31 % sure" in turn.inner_text()


def test_long_answer_is_read_from_its_beginning(page: Any) -> None:
    answered(page)
    turn = answered(page, "Tell me everything")
    page.locator(".turn-foot button").last.wait_for()
    until(page, "document.querySelectorAll('.evidence-crop img:not([data-loaded])').length === 0")
    edges = "n => [n.getBoundingClientRect().top, n.getBoundingClientRect().bottom]"
    (top, _), (low, high) = turn.evaluate(edges), page.locator("talk-log").evaluate(edges)
    assert low <= top < high / 2
    assert turn.locator(".evidence-card").count() == 9
    assert turn.locator(".evidence-card .evidence-crop").count() == 3  # the others are a line each
    assert "March1," in turn.locator(".answer-text").inner_text().replace("\n", "")
    turn.locator(".evidence-card").nth(8).click()
    until(page, "document.querySelectorAll('[data-cite=\"8\"][aria-current]').length === 2")


def test_failure_and_asking_again(page: Any, world: World) -> None:
    turn = answered(page, "this fails")
    assert "out of memory" in turn.locator(".notice.bad").inner_text()
    turn.get_by_role("button", name="Ask again").click()
    page.locator("chat-turn").nth(1).locator(".notice.bad").wait_for()
    assert [given["question"] for given in world.asked] == ["this fails", "this fails"]
    assert world.asked[1]["session_id"] == world.asked[0].get("session_id") or world.asked[1]["session_id"]


def test_stop_closes_the_connection(page: Any, world: World) -> None:
    ask(page, "slowly")
    page.locator(".answer-text.draft", has_text="$2").wait_for()
    page.locator("body").press("Escape")
    page.locator(".notice", has_text="Stopped before there was an answer").wait_for()
    page.wait_for_timeout(500)
    assert world.closed_early == 1
    assert answered(page).locator(".cite").count() == 2  # and one can go on


def test_upload_progress_success_and_failure(page: Any, world: World) -> None:
    files = [
        {"name": name, "mimeType": "application/pdf", "buffer": b"%PDF-"}
        for name in ("new.pdf", "broken.pdf")
    ]
    page.set_input_files("#files", files)
    page.locator(".upload.bad", has_text="The PDF is damaged: save it anew.").wait_for()
    page.locator(".doc-row", has_text="new.pdf").wait_for()
    assert page.locator(".doc-row").count() == 3
    page.get_by_role("button", name="Dismiss broken.pdf").click()
    assert page.locator(".upload.bad").count() == 0


def test_dropped_files_are_added(page: Any) -> None:
    page.evaluate(
        """() => { const data = new DataTransfer(); data.items.add(new File(['%PDF-'], 'dropped.pdf'));
        for (const name of ['dragenter', 'dragover', 'drop'])
          document.body.dispatchEvent(new DragEvent(name, { dataTransfer: data, bubbles: true, cancelable: true })); }"""  # noqa: E501
    )
    page.locator(".doc-row", has_text="dropped.pdf").wait_for()
    assert page.locator("#drop-veil").is_hidden()


def test_documents_can_be_removed(page: Any, world: World) -> None:
    page.get_by_role("button", name="More about: letter.pdf").click()
    page.get_by_role("menuitem", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert len(world.documents) == 2
    page.get_by_role("button", name="More about: letter.pdf").click()
    page.get_by_role("menuitem", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    until(page, "document.querySelectorAll('.doc-row').length === 1")
    assert len(world.documents) == 1


def test_sessions_rename_open_and_remove(page: Any, world: World) -> None:
    answered(page, "first question")
    page.get_by_role("button", name="New conversation").click()
    answered(page, "second question")
    page.get_by_role("button", name="More about: first question").click()
    page.get_by_role("menuitem", name="Rename").click()
    page.keyboard.type("Totals")
    page.keyboard.press("Enter")
    page.locator("session-list .row-name", has_text="Totals").click()
    page.locator("chat-turn .question", has_text="first question").wait_for()
    assert page.locator("#talk-title").inner_text() == "Totals"
    page.go_back()
    page.locator("chat-turn .question", has_text="second question").wait_for()
    page.get_by_role("button", name="More about: Totals").click()
    page.get_by_role("menuitem", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    until(page, "document.querySelectorAll('session-list .row').length === 1")
    assert [session["title"] for session in world.sessions.values()] == ["second question"]


def test_lists_that_come_in_parts_are_shown_whole(
    open_page: Callable[..., Any], site: str, world: World
) -> None:
    world.part = 3
    for number in range(7):
        world.add(f"paper-{number}.pdf", pages=1)
    page = open_page(site)
    until(page, "document.querySelectorAll('.doc-row').length === 9")
    for number in range(5):
        answered(page, f"question {number}")
    page.reload()
    until(page, "document.querySelectorAll('chat-turn').length === 3")
    page.get_by_role("button", name="Earlier questions").click()
    until(page, "document.querySelectorAll('chat-turn').length === 5")
    asked = page.locator("chat-turn .question").all_inner_texts()
    assert [text.strip()[-1] for text in asked] == list("01234")
    assert page.get_by_role("button", name="Earlier questions").count() == 0


def test_older_conversations_are_fetched(open_page: Callable[..., Any], site: str, world: World) -> None:
    world.part = 10
    for number in range(12):
        key, stamp = world.id(), f"2026-01-{number + 1:02d}T10:00:00+00:00"
        world.sessions[key] = {
            "session_id": key, "title": f"talk {number}", "collection": "default", "turns": [],
            "created": stamp, "updated": stamp,
        }  # fmt: skip
    page = open_page(site)
    rows = page.locator("session-list .row")
    page.get_by_role("button", name="Show more").click()
    assert rows.count() == 10
    page.get_by_role("button", name="Older ones").click()
    until(page, "document.querySelectorAll('session-list .row').length === 12")
    assert page.get_by_role("button", name="Older ones").count() == 0
    page.get_by_role("button", name="Show fewer").click()
    assert rows.count() == 8


def test_feedback(page: Any, world: World) -> None:
    turn = answered(page)
    turn.get_by_role("button", name="Bad answer").click()
    turn.locator("[data-rating='-1'][aria-pressed=true]").wait_for()
    turn.get_by_role("button", name="Good answer").click()
    turn.locator("[data-rating='1'][aria-pressed=true]").wait_for()
    assert [rating for _, rating in world.feedback] == [-1, 1]


def test_page_browser_and_search(page: Any) -> None:
    assert page.locator(".sheet").count() == 3
    page.locator("body").press("Escape")
    page.locator("body").press("s")
    page.keyboard.type("total")
    page.keyboard.press("Enter")
    page.locator(".shelf-head", has_text="Pages like “total”").wait_for()
    page.locator(".sheet").nth(1).click()
    page.wait_for_selector(".box-group[data-kind=region]")
    assert page.locator(".page-number").inner_text() == "2 / 2"
    page.locator(".stage").press("[")
    page.locator(".page-number", has_text="1 / 2").wait_for()
    page.get_by_role("button", name="All pages").click()
    page.fill("#page-search", "nothing")
    page.press("#page-search", "Enter")
    page.locator(".desk-empty", has_text="No page fits").wait_for()


def test_zoom_pan_and_fit(page: Any) -> None:
    page.locator(".sheet").first.click()
    page.wait_for_selector(".stage-page img")
    until(page, "!document.querySelector('.stage-page').hidden")
    stage, image = page.locator(".stage"), page.locator(".stage-page img")
    whole = image.bounding_box()
    room = stage.bounding_box()
    assert whole["width"] <= room["width"] and whole["height"] <= room["height"]  # noqa: PT018
    page.get_by_role("button", name="Closer (+)").click()
    settled(page)
    assert abs(image.bounding_box()["width"] / whole["width"] - 1.3) < 0.02
    page.mouse.move(room["x"] + 300, room["y"] + 300)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    until(
        page,
        "(w) => document.querySelector('.stage-page img').getBoundingClientRect().width > w * 1.6",
        arg=whole["width"],
    )
    before = image.bounding_box()
    page.mouse.down()
    page.mouse.move(room["x"] + 260, room["y"] + 240, steps=3)
    page.mouse.up()
    after = image.bounding_box()
    assert abs(after["x"] - before["x"] + 40) < 1 and abs(after["y"] - before["y"] + 60) < 1  # noqa: PT018
    stage.press("0")
    settled(page)
    assert abs(image.bounding_box()["width"] - whole["width"]) < 1


def test_markup_from_outside_stays_text(page: Any, world: World) -> None:
    world.add(MARKUP + ".pdf")
    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    assert page.locator(".doc-row .row-name").nth(2).inner_text() == MARKUP + ".pdf"
    turn = answered(page, "answer with markup " + MARKUP)
    assert MARKUP in turn.locator(".answer-text").inner_text()
    assert page.locator("chat-turn img[src=x], chat-turn b, .doc-row b").count() == 0
    assert page.title() != "owned"


def test_policy_allows_nothing_inline(page: Any, complaints: Complaints) -> None:
    complaints.expected = ["Content Security Policy", "TrustedHTML", "Trusted Type", "inline"]
    assert (
        page.evaluate(
            "(() => { try { document.body.innerHTML = '<i>x</i>'; return 'set'; } catch (e) { return e.name; } })()"  # noqa: E501
        )
        == "TypeError"
    )
    page.evaluate(
        "(() => { const s = document.createElement('style'); s.textContent = 'body{display:none}'; document.head.append(s); })()"  # noqa: E501
    )
    assert page.locator("body").is_visible()


def test_server_with_keys(
    open_page: Callable[..., Any], site: str, world: World, complaints: Complaints
) -> None:
    complaints.expected = ["401"]
    world.key = "hyd_right"
    page = open_page(site, ready=False)
    dialog = page.get_by_role("dialog", name="API key")
    for key in ("hyd_wrong", "hyd_right"):
        dialog.get_by_label("Key").fill(key)
        dialog.get_by_role("button", name="Use this key").click()
        if key == "hyd_wrong":
            page.get_by_text("That key was not accepted.").wait_for()
    page.wait_for_selector("html[data-ready]", state="attached")
    assert page.locator(".doc-row").count() == 2
    until(page, "[...document.querySelectorAll('.doc-thumb')].every((i) => i.naturalWidth > 0)")
    assert (
        page.evaluate(
            "document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)"
        ).count("hyd_")
        == 0
    )
    assert page.get_by_role("button", name="Sign out").is_visible()
