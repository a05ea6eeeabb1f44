"""Documents, answers and conversations of the fake server, with the shapes of the real one."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 1190, 1684
ANSWER_BOX = [850, 1000, 1046, 1036]
SECOND_BOX = [120, 300, 420, 336]
MARKUP = "<img src=x onerror=\"document.title='owned'\"><b>bold</b>"


def page_lines(document: str, page: int) -> list[tuple[int, int, str, int]]:
    rows = [
        ("Website redesign", "1", "1 450.00"),
        ("Hosting, 12 months", "12", "288.00"),
        ("Monitor arm", "4", "258.00"),
    ]
    lines = [
        (120, 130, document.rpartition(".")[0].replace("-", " ").title(), 46),
        (120, 300, "Maple Works Ltd, Oxford", 28),
    ]
    lines += [(120, 352, f"Page {page} of this document was rendered for a test.", 24)]
    for row, cells in enumerate(rows):
        lines += [(x, 600 + 60 * row, cell, 26) for x, cell in zip((120, 640, 900), cells, strict=True)]
    return [*lines, (620, 1000, "Total due", 28), (850, 1000, "$2,580.24", 30), (120, 1500, "Thank you.", 22)]


def draw_page(document: str, page: int) -> Image.Image:
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    pen = ImageDraw.Draw(image)
    for x, y, text, size in page_lines(document, page):
        pen.text((x, y), text, fill="#20242a", font=ImageFont.load_default(size))
    for y in (580, 790, 960):
        pen.line((120, y, WIDTH - 120, y), fill="#c9ccd1", width=2)
    return image


class World:
    """What the fake server knows; tests reach into it."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {}
        self.sessions: dict[str, dict[str, Any]] = {}
        self.jobs: dict[str, list[dict[str, Any]]] = {}
        self.feedback: list[tuple[str, int]] = []
        self.asked: list[dict[str, Any]] = []
        self.closed_early = 0
        self.key: str | None = None
        self.number = 0
        #: Entries of one part of a list.
        self.part = 100

    def id(self) -> str:
        self.number += 1
        return f"01J{self.number:023d}"

    def add(self, name: str, pages: int = 1) -> str:
        key = self.id()
        stamp = datetime.now(UTC).isoformat()
        self.documents[key] = {
            "document_id": key,
            "document": name,
            "status": "ready",
            "pages": pages,
            "bytes": 48_211 * pages,
            "media_type": "application/pdf",
            "added": stamp,
        }
        return key

    def image(self, document_id: str, page: int) -> Image.Image:
        return draw_page(self.documents[document_id]["document"], page)


def hits(world: World, k: int) -> list[dict[str, Any]]:
    spots = [(d, p) for d in world.documents.values() for p in range(1, d["pages"] + 1)][:k]
    return [
        {
            "rank": rank,
            "document_id": d["document_id"],
            "document": d["document"],
            "page": p,
            "score": round(14.2 / rank**0.5, 4),
            "sources": {"visual": {"rank": rank, "score": 14.2 / rank**0.5}},
            "regions": [{"box": [110, 590, 1060, 640], "score": 0.9}, {"box": ANSWER_BOX, "score": 0.7}],
        }
        for rank, (d, p) in enumerate(spots, start=1)
    ]


def answer_for(world: World, question: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The end of the turn, and the steps before it."""
    found = hits(world, 5)
    steps: list[dict[str, Any]] = [
        {"action": "search", "query": question, "image": False, "mode": "hybrid", "k": 5, "hits": found}
    ]
    if not found or "plates" in question:
        looks = [
            {
                "action": "glance",
                "pages": [{"document_id": h["document_id"], "page": h["page"]}],
                "text": "not found",
                "confidence": 0.81,
                "prompt_tokens": 548,
                "new_tokens": 3,
                "finish_reason": "stop",
            }
            for h in found[:2]
        ]
        end = {
            "status": "not_found",
            "answer": "Not found in the documents.",
            "confidence": 0.9,
            "citations": [],
        }
        return end, [*steps, *looks, {"action": "reflect", "drafts": []}]
    spot = {"document_id": found[0]["document_id"], "page": found[0]["page"]}
    text = MARKUP if "markup" in question else "$2,580.24"
    sure = 0.31 if "weak" in question else 0.94
    levels = bytes(max(0, 255 - 60 * abs(cell // 8 - 7) - 50 * abs(cell % 8 - 6)) for cell in range(96))
    look = {
        "method": "contrast",
        "entropy": 0.42,
        "peak": [950, 1020],
        "map": {"rows": 12, "cols": 8, "method": "contrast", "values": b64encode(levels).decode()},
        "spots": [
            {"box": [600, 960, 1100, 1080], "mass": 0.64, "area": 0.03, "enrichment": 21.3, "zoom": 2.1}
        ],
    }
    check = {
        **spot,
        "answer": text,
        "box": [600, 960, 1100, 1080],
        "sufficient": True,
        "necessary": True,
        "crop_alone": text,
        "page_without": "not found",
        "confidence": sure,
    }
    steps += [
        {
            "action": "glance",
            "pages": [spot],
            "text": "$2,580.24",
            "confidence": 0.71,
            "prompt_tokens": 548,
            "new_tokens": 7,
            "finish_reason": "stop",
        },
        {"action": "glance", "pages": [spot], "look": look, "reason": "looks at 1 place"},
        {
            "action": "gaze",
            "pages": [spot],
            "boxes": [[600, 960, 1100, 1080]],
            "read": ["Total due $2,580.24"],
            "text": "$2,580.24",
            "confidence": 0.94,
            "prompt_tokens": 1102,
            "new_tokens": 7,
            "finish_reason": "stop",
        },
        {
            "action": "reflect",
            "drafts": [{**spot, "read": "$2,580.24", "answer": text, "supported": True, "confidence": 0.94}],
        },
        {"action": "reflect", "check": check, "prompt_tokens": 800, "new_tokens": 9},
    ]
    citation = {**spot, "document": found[0]["document"]}
    citations = [
        {**citation, "box": ANSWER_BOX, "quote": "Total due $2,580.24"},
        {**citation, "box": SECOND_BOX, "quote": "Maple Works Ltd, Oxford"},
    ]
    if "everything" in question:
        text = "Ordered in March [1], delivered in May [2]." + " It was said more than once." * 6
        citations = [{**citation, "box": ANSWER_BOX, "quote": f"Line {n}"} for n in range(1, 10)]
    return {"status": "answered", "answer": text, "confidence": sure, "citations": citations}, steps


def old_sessions(world: World, count: int = 3) -> None:
    """Conversations of earlier days."""
    titles = [
        "How often is the filter cleaned?",
        "Who leads Project Evergreen?",
        "What does error code E3 mean?",
    ]
    for index in range(count):
        stamp = (datetime.now(UTC) - timedelta(days=index * 2 + 1)).isoformat()
        key = world.id()
        world.sessions[key] = {
            "session_id": key,
            "title": titles[index % 3],
            "collection": "default",
            "created": stamp,
            "updated": stamp,
            "turns": [],
        }
