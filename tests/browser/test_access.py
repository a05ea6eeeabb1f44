"""Everyone can use it: axe, keyboard alone, phone width, both themes, no motion."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.fake_world import World, old_sessions
from tests.browser.test_page import answered, ask, until

SIZES = {"desktop": (1400, 900), "tablet": (1000, 760), "phone": (390, 844)}


def axe(page: Any) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{v['impact']} {v['id']}: {n['html'][:160]} {n['failureSummary'][:200]}"
        for v in found
        for n in v["nodes"]
    ]


def picture(page: Any, name: str) -> None:
    """Kept where ``BROWSER_SCREENSHOTS`` says, for people to look at."""
    if folder := os.environ.get("BROWSER_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing(
    open_page: Callable[..., Any], site: str, world: World, scheme: str, size: str
) -> None:
    old_sessions(world)
    width, height = SIZES[size]
    options = {"color_scheme": scheme, "reduced_motion": "reduce", "bypass_csp": True}
    page = open_page(site, width=width, height=height, **options)

    def check(name: str) -> None:
        page.wait_for_timeout(250)
        picture(page, f"{size}-{scheme}-{name}")
        assert axe(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is too wide"

    check("hello")
    turn = answered(page)
    turn.locator(".trace summary").click()
    check("answer")
    turn.locator(".answer .cite").first.click()
    page.wait_for_selector(".box-group")
    page.get_by_role("button", name="Heat map (h)").click()
    page.wait_for_selector(".token")
    check("heat")
    if size == "phone":
        page.get_by_role("button", name="Library").click()
        check("library")
        page.get_by_role("button", name="Ask", exact=True).first.click()
    elif size == "tablet":
        page.get_by_role("button", name="Conversations and documents").click()
        page.locator("#rail").get_by_text("Today").wait_for()
        check("drawer")
        page.get_by_role("button", name="Conversations and documents").click()
    answered(page, "Which plates?")
    page.get_by_role("button", name="Options").click()
    check("not-found")
    page.get_by_role("button", name="Keyboard and help").click()
    check("help")


def test_keyboard_alone(open_page: Callable[..., Any], site: str) -> None:
    """Ask, open the second citation, zoom, come back, rate: no pointer."""
    page = open_page(site)
    assert page.evaluate("document.activeElement.id") == "question"
    page.keyboard.type("What is the total?")
    page.keyboard.press("Enter")
    page.locator(".evidence-card").first.wait_for()
    page.wait_for_selector(".box-group")
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    until(page, "document.querySelector('.box:not(.faint)').parentNode.dataset.box.startsWith('120,300')")
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keyboard").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog", name="Keyboard").wait_for(state="hidden")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "question"
    seen = set()
    for _ in range(60):
        page.keyboard.press("Shift+Tab")
        label = page.evaluate(
            "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
        )
        seen.add(label.strip()[:40])
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none" or page.evaluate(
            "document.activeElement.matches('body, textarea, summary')"
        ), label
    for name in ("Good answer", "New conversation", "Show evidence 1: invoice.pdf, page 1", "Add files"):
        assert name in seen or any(one.startswith(name) for one in seen), f"{name} can't be reached: {seen}"


def test_shortcuts_can_be_switched_off(open_page: Callable[..., Any], site: str) -> None:
    page = open_page(site)
    page.get_by_role("button", name="Keyboard and help").click()
    page.get_by_label("Single-key shortcuts").uncheck()
    page.keyboard.press("Escape")
    page.locator("body").press("s")
    assert page.evaluate("document.activeElement.id") != "page-search"
    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    page.keyboard.press("Escape")
    page.locator("body").press("s")
    assert page.evaluate("document.activeElement.id") != "page-search"


def test_phone_shows_one_view_at_a_time(open_page: Callable[..., Any], site: str) -> None:
    page = open_page(site, width=390, height=844, has_touch=True)
    assert page.locator(".talk").is_visible()
    assert page.locator(".desk").is_hidden()
    assert page.locator(".rail").is_hidden()
    turn = answered(page)
    assert page.locator(".desk").is_hidden()  # the answer is what was asked for
    turn.locator(".cite").first.tap()
    page.wait_for_selector(".box-group")
    assert page.locator(".desk").is_visible()
    assert page.locator(".talk").is_hidden()
    page.get_by_role("button", name="Library").tap()
    assert page.locator(".rail").is_visible()


def test_long_titles_fit_a_phone(open_page: Callable[..., Any], site: str, world: World) -> None:
    world.add("A contract with a name that is much longer than any telephone is wide (final, signed).pdf")
    page = open_page(site, width=390, height=844)
    answered(page, "Tell me everything about the order, who made it, when, and what it came to")
    for view in ("Pages", "Library", "Ask"):
        page.locator(".tabs").get_by_role("button", name=view).click()
        picture(page, f"phone-long-{view}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
        assert page.evaluate("document.querySelector('#theme').getBoundingClientRect().right <= innerWidth")


def test_theme_is_the_systems_until_chosen(open_page: Callable[..., Any], site: str) -> None:
    page = open_page(site, color_scheme="dark")

    def dark() -> bool:
        value: bool = page.evaluate("getComputedStyle(document.body).backgroundColor === 'rgb(21, 23, 27)'")
        return value

    assert dark()
    page.locator("#theme").click()
    assert not dark()
    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    assert not dark()
    page.locator("#theme").click()
    assert dark()


def test_live_region_follows_the_turn(open_page: Callable[..., Any], site: str) -> None:
    page = open_page(site)
    page.evaluate(
        """() => { window.said = []; new MutationObserver(() => said.push(document.querySelector('#announcer').textContent))
        .observe(document.querySelector('#announcer'), { childList: true }); }"""  # noqa: E501
    )
    ask(page, "slowly")
    page.locator(".evidence-card").first.wait_for()
    said = page.evaluate("said")
    assert said[0] == "Asked. Searching the pages."
    assert "Gazed into invoice.pdf, page 1" in said
    assert any(text.startswith("Answer: $2,580.24. 2 citations.") for text in said)
