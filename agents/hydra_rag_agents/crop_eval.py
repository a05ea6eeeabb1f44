"""Searching with a part of the question's own image, measured: one item among many in the image.

The same queries four times: with the whole image, with the crop that the model chooses (always, and where
the gate says so), and with the item's true place, which a perfect gaze would choose. By looks alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra_rag.geometry import Box
from hydra_rag.metrics import mean, ndcg, recall
from hydra_rag_agents.actions import queries
from hydra_rag_agents.eval_data import EvalQuery
from hydra_rag_agents.fuse import fuse
from hydra_rag_agents.gate import Look
from hydra_rag_agents.looking import look
from hydra_rag_agents.moves import Search
from hydra_rag_agents.one_page import OnePage
from hydra_rag_agents.state import AskSettings, Turn

if TYPE_CHECKING:
    from PIL import Image

    from hydra_rag.values import QueryItem
    from hydra_rag_agents.ports import Reader

__all__ = ["CropFigures"]

_MODES = ("whole", "always", "auto", "given")
_DEPTH = 10  # pages that are asked of each ranking, as a search does


@dataclass(frozen=True, slots=True)
class _Page:
    document_id: str
    page: int = 1
    rank: int = 0
    score: float = 0.0


class CropFigures:
    """``rank``: page names for a query item with their scores, best first."""

    def __init__(self, reader: Reader, rank: Callable[[QueryItem], Sequence[tuple[str, float]]]) -> None:
        self._reader, self._rank = reader, rank
        self._scores: dict[str, list[tuple[float, float]]] = {mode: [] for mode in _MODES}
        self._peaks: list[float] = []

    def ask(self, query: EvalQuery, image: Image.Image) -> dict[str, Any]:
        """Search in every mode; the record for ``predictions.jsonl``."""
        turn = Turn(query.query, AskSettings(mode="visual"), image)
        found = look(OnePage(image, (), None), self._reader, turn, None)
        boxes = {
            "whole": (),
            "always": _first(self._reader, found, always=True),
            "auto": _first(self._reader, found, always=False),
            "given": query.boxes[:1],
        }
        ranked: dict[tuple[Box, ...], list[str]] = {}
        record: dict[str, Any] = {"kind": "own_image", "query": query.query, "image": query.image}
        for mode in _MODES if query.boxes else _MODES[:-1]:
            crops = tuple(boxes[mode])
            if crops not in ranked:
                ranked[crops] = self._search(turn, crops)
            names = ranked[crops]
            self._scores[mode].append((ndcg(names, query.relevant, 5), recall(names, query.relevant, 5)))
            record[mode] = {"crop": [list(box) for box in crops], "ranked": names[:5]}
        if query.boxes:
            x, y = found.detail["peak"]
            self._peaks.append(float(any(box.contains(x, y) for box in query.boxes)))
        return record

    def _search(self, turn: Turn, crops: tuple[Box, ...]) -> list[str]:
        items = queries(turn, Search(_DEPTH, "visual", crops))
        rankings = [
            [
                _Page(name, rank=rank, score=score)
                for rank, (name, score) in enumerate(self._rank(item)[:_DEPTH], start=1)
            ]
            for item in items
        ]
        return [page.document_id for page in fuse(rankings)]

    def report(self) -> dict[str, Any] | None:
        """``ndcg@5`` and ``recall@5`` of every mode; ``pointing``: how often the peak lies on the item.
        ``None`` where no query has both words and an image."""
        if not self._scores["whole"]:
            return None
        figures: dict[str, Any] = {
            mode: {"ndcg@5": mean([s[0] for s in scores]), "recall@5": mean([s[1] for s in scores])}
            for mode, scores in self._scores.items()
            if scores
        }
        pointing = mean(self._peaks) if self._peaks else None
        return {**figures, "pointing": pointing, "n": len(self._scores["whole"])}


def _first(reader: Reader, found: Look, *, always: bool) -> tuple[Box, ...]:
    return tuple(spot.box for spot in reader.gate.worth(found, always=always)[:1])
