"""Chromium prints HTML to PDF and says where every word and every marked value stands."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hydra_rag.errors import UsageError

_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--font-render-hinting=none")
#: CSS pixels from the top of the first page; the page is the ``section`` that holds the text.
_MEASURE = """() => {
  const sections = [...document.querySelectorAll('section')];
  const place = (node, rect) => {
    const at = (node.nodeType === 3 ? node.parentElement : node).closest('section');
    const home = at.getBoundingClientRect();
    return [sections.indexOf(at), rect.left - home.left, rect.top - home.top, rect.right - home.left, rect.bottom - home.top];
  };
  const words = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode;
    for (const found of node.data.matchAll(/\\S+/g)) {
      let piece = null;  // a word that is broken between lines is two words
      for (let i = found.index; i < found.index + found[0].length; i++) {
        const range = document.createRange();
        range.setStart(node, i);
        range.setEnd(node, i + 1);
        const rect = range.getBoundingClientRect();
        if (!rect.width) continue;
        const [page, left, top, right, bottom] = place(node, rect);
        if (piece && piece[1] === page && Math.abs(piece[3] - top) < 2 && left - piece[4] < 20) {
          piece[0] += node.data[i];
          piece[4] = right;
        } else {
          piece = [node.data[i], page, left, top, right, bottom];
          words.push(piece);
        }
      }
    }
  }
  const facts = {};
  for (const mark of document.querySelectorAll('[data-fact]')) {
    const range = document.createRange();
    range.selectNodeContents(mark);
    facts[mark.dataset.fact] = [...range.getClientRects()].filter(r => r.width > 0).map(r => place(mark, r));
  }
  const over = sections.some(s => s.scrollHeight > s.clientHeight + 1 || s.scrollWidth > s.clientWidth + 1);
  const box = sections[0].getBoundingClientRect();
  return {words, facts, over, pages: sections.length, width: box.width, height: box.height};
}"""


Place = tuple[float, float, float, float, float]


@dataclass(frozen=True)
class Printed:
    """Places are ``(page from 0, left, top, right, bottom)`` in CSS pixels of a page of ``size``."""

    pdf: bytes
    size: tuple[float, float]
    pages: int
    words: list[tuple[str, Place]]
    facts: dict[str, list[Place]]
    overfull: bool


class Browser:
    def __init__(self, browser: Any) -> None:
        self._page = browser.new_page()
        self._page.emulate_media(media="print")

    def print(self, html: str, size: tuple[int, int]) -> Printed:
        """Raises nothing for a page that is too full: ``overfull`` says so."""
        self._page.set_viewport_size({"width": size[0], "height": size[1]})
        self._page.set_content(html, wait_until="load")
        seen = self._page.evaluate(_MEASURE)
        pdf = self._page.pdf(prefer_css_page_size=True, print_background=True)
        words: list[tuple[str, Place]] = []
        for text, *where in seen["words"]:
            place: Place = tuple(where)
            if words and _continues(words[-1][1], place):  # a full stop behind a marked value
                words[-1] = (words[-1][0] + text, _union(words[-1][1], place))
            else:
                words.append((text, place))
        facts: dict[str, list[Place]] = {
            key: [tuple(place) for place in places] for key, places in seen["facts"].items()
        }
        return Printed(pdf, (seen["width"], seen["height"]), seen["pages"], words, facts, seen["over"])


def _continues(before: Place, place: Place) -> bool:
    """On the same page and line, with no gap between."""
    overlap = min(before[4], place[4]) - max(before[2], place[2])
    same_line = overlap > 0.5 * min(before[4] - before[2], place[4] - place[2])
    return before[0] == place[0] and same_line and abs(place[1] - before[3]) < 0.5


def _union(a: Place, b: Place) -> Place:
    return (a[0], min(a[1], b[1]), min(a[2], b[2]), max(a[3], b[3]), max(a[4], b[4]))


@contextmanager
def open_browser(executable: str | None = None) -> Iterator[Browser]:
    """Raises :class:`UsageError` where playwright or Chromium is missing."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise UsageError("Printing pages needs playwright: pip install 'hydra-rag[browser]'.") from error
    path = executable or next((p for name in _NAMES if (p := shutil.which(name))), None)
    if path is None:
        raise UsageError("No Chromium was found: install it, or name it with --chromium.")
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=list(_FLAGS))
        try:
            yield Browser(chromium)
        finally:
            chromium.close()
