"""`ask --explain`: pictures of the pages that were looked at, with heat map, boxes and crops.

Writes ``page-1.png`` ... (one per shown page, cited ones first), ``crop-1-1.png`` ... (one per citation),
``gaze-1-1.png`` ... (what each gaze showed the model), ``card.png`` (the whole story in one picture),
``report.json`` and ``index.html``. The heat map is the model's own attention where it was looked at (from
the stored steps), else the similarity of the stored vectors.
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hydra_rag.errors import UsageError
from hydra_rag.geometry import Box
from hydra_rag.saliency.maps import SaliencyMap
from hydra_rag_agents.pictures import (
    Caption,
    Cells,
    card,
    heat_overlay,
    map_cells,
    page_picture,
    zoom_crop,
)
from hydra_rag_agents.ports import Library, Reader
from hydra_rag_agents.state import Citation, PageId

if TYPE_CHECKING:
    from PIL import Image

    from hydra_rag_agents.result import AskResult

__all__ = ["gaze_strength", "similarity_strength", "write_explanation"]


def similarity_strength(library: Library, reader: Reader, text: str, page: PageId) -> Cells | None:
    """How much each stored cell of a page is like ``text``: (0 to 1 [n], boxes [n, 4]) or ``None``."""
    from hydra_rag.evidence import evidence_map

    stored = library.vectors(page)
    if stored is None or stored.boxes is None or not len(stored):
        return None
    query = reader.embed(text)
    return evidence_map((query.vectors @ stored.vectors.T).astype(np.float32)), stored.boxes


def write_explanation(
    library: Library, reader: Reader, question: str, result: AskResult, folder: Path
) -> dict[str, Any]:
    """Write the pictures of a finished turn into ``folder`` (made if missing); returns the report."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"The pictures can't be written to {folder}: {error}") from error
    answer = result.answer
    text = question if answer.status != "answered" else f"{question} {answer.text}"
    pages = _pages(result)
    report: dict[str, Any] = {"question": question, **result.to_json(), "pages": []}
    first: tuple[Image.Image, Citation | None, Image.Image] | None = None
    for number, page in enumerate(pages, start=1):
        plain = library.image(page)
        cited = [c for c in answer.citations if PageId(c.document_id, c.page) == page]
        gazed = _gazes(result, page)
        heat = gaze_strength(result, page, plain.size)
        kind = "gaze" if heat is not None else "similarity"
        heat = heat or similarity_strength(library, reader, text, page)
        shown = heat_overlay(plain, *heat) if heat is not None else plain
        shown = page_picture(shown, [c.box for c in cited if c.box is not None], [box for _, box in gazed])
        name = f"page-{number}.png"
        shown.save(folder / name, optimize=True)
        crops = [
            _save(zoom_crop(plain, citation.box), folder, f"crop-{number}-{index}.png")
            for index, citation in enumerate((c for c in cited if c.box is not None), start=1)
            if citation.box is not None
        ]
        gazes = [
            _save(library.crop(page, crop), folder, f"gaze-{number}-{index}.png")
            for index, (crop, _) in enumerate(gazed, start=1)
        ]
        if first is None:
            first = (shown, cited[0] if cited else None, plain)
        found = next((c.document for c in cited), None) or _name(result, page)
        report["pages"].append(
            {
                "document_id": page.document_id,
                "document": found,
                "page": page.page,
                "picture": name,
                "crops": crops,
                "gazes": gazes,
                "heat": None if heat is None else kind,
            }
        )
    if first is not None:
        _card(folder, question, result, *first)
        report["card"] = "card.png"
    (folder / "report.json").write_text(
        json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (folder / "index.html").write_text(_html(report), encoding="utf-8")
    return report


def gaze_strength(result: AskResult, page: PageId, size: tuple[int, int]) -> Cells | None:
    """The map of the turn's look at ``page``, as :func:`similarity_strength` gives it; ``None`` without."""
    for step in result.steps:
        spots = [PageId(p["document_id"], p["page"]) for p in step.detail.get("pages", ())]
        if "look" in step.detail and spots == [page]:
            return map_cells(SaliencyMap.from_json(step.detail["look"]["map"]), size)
    return None


def _gazes(result: AskResult, page: PageId) -> list[tuple[Box, Box]]:
    """(what the crop showed, the place in it) of every gaze into ``page``."""
    found = []
    for step in result.steps:
        if step.action == "gaze" and PageId(**step.detail["pages"][0]) == page:
            pairs = zip(step.detail["crops"], step.detail["boxes"], strict=True)
            found += [(Box(*crop), Box(*box)) for crop, box in pairs]
    return found


def _save(picture: Image.Image, folder: Path, name: str) -> str:
    picture.save(folder / name)
    return name


def _card(
    folder: Path,
    question: str,
    result: AskResult,
    shown: Image.Image,
    citation: Citation | None,
    plain: Image.Image,
) -> None:
    place, crop = "", None
    if citation is not None:
        place = f"{citation.document}, page {citation.page}"
        crop = zoom_crop(plain, citation.box, width=560) if citation.box is not None else None
    answered = result.answer.status == "answered"
    caption = Caption(question, result.answer.text, place, result.answer.confidence if answered else None)
    card(shown, crop, caption).save(folder / "card.png", optimize=True)


def _pages(result: AskResult) -> list[PageId]:
    """Cited pages, then the others that were looked at, in the order they were shown."""
    order = [PageId(c.document_id, c.page) for c in result.answer.citations]
    for step in result.steps:
        if step.action in ("glance", "gaze"):
            order += [PageId(p["document_id"], p["page"]) for p in step.detail["pages"]]
    return list(dict.fromkeys(order))


def _name(result: AskResult, page: PageId) -> str:
    for step in result.steps:
        for hit in step.detail.get("hits", ()):
            if (hit["document_id"], hit["page"]) == page:
                return str(hit["document"])
    return page.document_id


_STYLE = """
:root { color-scheme: light dark; --ink: #181c26; --paper: #f6f7fa; --card: #fff; --muted: #687080;
  --accent: #dc2649 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaf0; --paper: #14161c; --card: #1e2129; --muted: #98a0b0 } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  margin: 0 auto; max-width: 1100px; padding: 2rem 1.2rem }
h1 { font-size: 1.3rem; font-weight: 500; margin: 0 }
.answer { font-size: 2rem; color: var(--accent); font-weight: 600; margin: .3rem 0 1rem }
.muted, code { color: var(--muted) }
code { font-size: .85rem; overflow-wrap: anywhere }
section { background: var(--card); border-radius: 12px; padding: 1rem 1.2rem; margin: 1.2rem 0;
  box-shadow: 0 1px 4px #0002 }
img { max-width: 100%; border-radius: 6px; display: block; margin: .6rem 0 }
ol { padding-left: 1.3rem }
"""


def _html(report: dict[str, Any]) -> str:
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{html.escape(report['question'])}</title><style>{_STYLE}</style>",
        f"<h1>{html.escape(report['question'])}</h1>",
        f'<div class="answer">{html.escape(report["answer"])}</div>',
    ]
    if report["status"] == "answered":
        parts.append(f'<div class="muted">confidence {report["confidence"]:.2f}</div>')
    quotes = {(c["document_id"], c["page"]): c["quote"] for c in report["citations"]}
    for page in report["pages"]:
        title = f"{html.escape(page['document'])}, page {page['page']}"
        parts.append(f"<section><strong>{title}</strong>")
        quote = quotes.get((page["document_id"], page["page"]))
        if quote:
            parts.append(f"<div>“{html.escape(quote)}”</div>")
        parts += [f'<img src="{name}" alt="evidence">' for name in page["crops"]]
        parts += [f'<img src="{name}" alt="what the model looked at closely">' for name in page["gazes"]]
        parts.append(f'<img src="{page["picture"]}" alt="{title} with heat map"></section>')
    parts.append(f"<section><strong>Steps</strong><ol>{_steps(report['steps'])}</ol></section></html>\n")
    return "\n".join(parts)


def _steps(steps: Sequence[dict[str, Any]]) -> str:
    items = []
    for step in steps:
        rest = {key: value for key, value in step.items() if key not in ("action", "hits", "look")}
        if "look" in step:
            rest["look"] = {key: value for key, value in step["look"].items() if key != "map"}
        detail = html.escape(json.dumps(rest, ensure_ascii=False))
        items.append(f"<li><strong>{step['action']}</strong> <code>{detail}</code></li>")
    return "\n".join(items)
