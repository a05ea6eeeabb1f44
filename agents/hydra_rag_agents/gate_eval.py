"""Does looking closer pay? The whole agent on one page at a time: never, always, gated, and by an oracle.

The three runs share what they have in common (every prompt is read once); tokens and seconds are those that
each run alone would have used. The oracle gazes exactly where the gaze alone is right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hydra_rag.geometry import Box
from hydra_rag.metrics import exact_match, mean
from hydra_rag.values import MultiVector
from hydra_rag_agents.memo import MemoReader
from hydra_rag_agents.one_page import OnePage, ask_page
from hydra_rag_agents.state import AskSettings

if TYPE_CHECKING:
    from PIL import Image

    from hydra_rag_agents.eval_data import EvalPage, EvalQuestion

__all__ = ["MODES", "GateFigures"]

MODES = ("never", "always", "auto")
#: Words lower than this in a glance are small evidence (pixels that the model sees).
SMALL_TEXT = 12.0
_AREAS = ((0.0, 0.005), (0.005, 0.05), (0.05, 1.01))  # of the page


class GateFigures:
    """Asks every question in every mode and keeps the records."""

    def __init__(self, reader: MemoReader) -> None:
        self._reader = reader
        self.records: list[dict[str, Any]] = []

    def ask(
        self,
        page: EvalPage,
        image: Image.Image,
        asked: EvalQuestion,
        vectors: MultiVector | None = None,
        *,
        text_layer: bool = False,
        read: bool = False,
    ) -> dict[str, Any]:
        """The record for ``predictions.jsonl``. ``read``: the page's words are what the model read of it."""
        library = OnePage(image, page.words if text_layer else (), vectors, read=read)
        record: dict[str, Any] = {
            "kind": "gate",
            "image": page.image,
            "question": asked.question,
            "truth": asked.answer,
            **_sizes(self._reader, image, asked.boxes),
        }
        for mode in MODES:
            record[mode] = self._run(library, asked, mode, text_layer)
        self.records.append(record)
        return record

    def _run(self, library: OnePage, asked: EvalQuestion, mode: str, text_layer: bool) -> dict[str, Any]:
        settings = AskSettings(k=1, pages=1, gaze=mode, text_layer=text_layer)  # type: ignore[arg-type]
        began = self._reader.seconds
        seen = ask_page(library, self._reader, asked.question, settings)
        answer, found = seen.answer, seen.answer.status == "answered"
        right = exact_match(answer.text, asked.answer) if found and asked.answer is not None else False
        made: dict[str, Any] = {
            "text": answer.text if found else None,
            "right": right or (asked.answer is None and not found),
            "confidence": answer.confidence,
            "tokens": seen.tokens,
            "seconds": round(self._reader.seconds - began, 4),
            "gazes": seen.gazes,
            "glance_confidence": seen.glance_confidence,
            "gain": seen.gain,
        }
        if seen.look is not None:
            made["look"] = {"entropy": seen.look.entropy, "spots": [s.to_json() for s in seen.look.spots]}
        return made

    def report(self) -> dict[str, Any]:
        """``exact_match_*``, ``tokens_*``, ``seconds_*`` of every mode and of the oracle, over questions that
        have an answer; ``unanswerable_recognised_*`` and ``false_refusals_*``; ``by_size``."""
        real = [r for r in self.records if r["truth"] is not None]
        absent = [r for r in self.records if r["truth"] is None]
        part: dict[str, Any] = {}
        for mode in MODES:
            part[f"exact_match_{mode}"] = _mean(real, mode, "right")
            part[f"tokens_{mode}"] = _mean(self.records, mode, "tokens")
            part[f"seconds_{mode}"] = _mean(self.records, mode, "seconds")
            part[f"unanswerable_recognised_{mode}"] = _mean(absent, mode, "right")
            part[f"false_refusals_{mode}"] = mean([float(r[mode]["text"] is None) for r in real])
        best = [r["never" if r["never"]["right"] or not r["always"]["right"] else "always"] for r in real]
        part["exact_match_oracle"] = mean([float(r["right"]) for r in best]) if best else None
        part["tokens_oracle"] = mean([float(r["tokens"]) for r in best]) if best else None
        part["gazed_auto"] = mean([float(r["auto"]["gazes"] > 0) for r in self.records])
        part["by_size"] = self._by_size(real)
        return part

    def _by_size(self, real: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        boxed = [r for r in real if r["area"] is not None]
        groups = {
            f"words under {SMALL_TEXT:.0f} px": [r for r in boxed if r["text_px"] < SMALL_TEXT],
            f"words of {SMALL_TEXT:.0f} px and more": [r for r in boxed if r["text_px"] >= SMALL_TEXT],
        }
        for low, high in _AREAS:
            name = f"area {low:.1%} to {min(high, 1.0):.1%}"
            groups[name] = [r for r in boxed if low <= r["area"] < high]
        return [
            {
                "size": name,
                "n": len(some),
                **{f"exact_match_{mode}": _mean(some, mode, "right") for mode in MODES},
            }
            for name, some in groups.items()
            if some
        ]


def _sizes(reader: MemoReader, image: Image.Image, boxes: Sequence[Box]) -> dict[str, float | None]:
    """Share of the page that the evidence covers, and the height of its lines as a glance shows them."""
    real = [box.clip(*image.size) for box in boxes if box.area]
    if not real:
        return {"area": None, "text_px": None}
    lowest = min(box.height for box in real) * reader.sharpness(*image.size)
    return {
        "area": sum(box.area for box in real) / (image.width * image.height),
        "text_px": round(lowest, 2),
    }


def _mean(records: Sequence[Mapping[str, Any]], mode: str, name: str) -> float | None:
    return mean([float(r[mode][name]) for r in records]) if records else None
