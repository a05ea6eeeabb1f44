"""Where the model looks, measured on a folder of pages with boxes: every method with every filter.

Figures are means over questions that have evidence boxes; see :mod:`hydra_rag.saliency.scores`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra_rag.errors import UsageError
from hydra_rag.metrics import mean
from hydra_rag_agents.eval_data import EvalPage, EvalQuestion, open_image, read_pages
from hydra_rag_agents.glancing import glance
from hydra_rag_agents.reader import ModelReader, model_profile
from hydra_rag_agents.word_map import likened, with_answers, with_words

if TYPE_CHECKING:
    from PIL import Image

    from hydra_rag.model import HydraModel
    from hydra_rag.saliency.calibrate import Sample
    from hydra_rag.saliency.calibration import Calibration
    from hydra_rag.values import MultiVector, Word
    from hydra_rag_agents.gaze_pictures import GazePictures
    from hydra_rag_agents.ports import Reader

__all__ = ["GazeFigures", "boxed_samples", "gaze_table", "gaze_targets", "table_markdown"]

COLUMNS = (
    "pointing", "pointing_near", "pointing_exact", "energy_in_box", "enrichment", "auroc",
    "iou@0.25", "iou@0.5", "coverage", "area",
)  # fmt: skip
#: The calibrated filters, the map held against what the model read of the page, and with where the answer
#: would be read of that.
WORDS, ANSWERS = "calibrated+words", "calibrated+words+answers"
Progress = Callable[[int, int], None]


class GazeFigures:
    """The ``gaze`` part of an evaluation: the default method, question by question."""

    def __init__(self, model: HydraModel, reader: Reader, *, image_tokens: int | None = None) -> None:
        self._model, self._reader, self._tokens = model, reader, image_tokens
        self._calibration: Calibration | None = None
        self._scores: list[dict[str, float]] = []

    def look(
        self,
        page: EvalPage,
        image: Image.Image,
        asked: EvalQuestion,
        vectors: MultiVector | None = None,
        words: Sequence[Word] = (),
        *,
        read: bool = False,
    ) -> dict[str, Any] | None:
        """Look once; the record for ``predictions.jsonl``. ``None`` for a question without evidence boxes.
        ``words``: what the map is held against (:mod:`hydra_rag_agents.word_map`); ``read``: by the model."""
        from hydra_rag.saliency.boxes import propose
        from hydra_rag.saliency.calibration import calibration_for
        from hydra_rag.saliency.probes import look
        from hydra_rag.saliency.scores import box_scores, map_scores

        truth = _inside(asked, image.size)
        if not truth:
            return None
        if self._calibration is None:
            self._calibration = calibration_for(self._model)
        found = look(
            self._model,
            image,
            asked.question,
            calibration=self._calibration,
            image_tokens=self._tokens,
            vectors=vectors,
        )
        named = likened(words, asked.question) if read else words
        found = with_words(found, named, asked.question, *image.size)
        places = glance(self._reader, image, words, asked.question, name=page.image).places if words else ()
        found = with_answers(found, places, *image.size)
        chosen = [region.box for region in propose(found, *image.size)]
        self._scores.append(map_scores(found, truth, *image.size) | box_scores(chosen, truth, *image.size))
        return {
            "kind": "gaze",
            "image": page.image,
            "question": asked.question,
            "method": found.method,
            "boxes": [list(box) for box in truth],
            "peak": list(found.peak_point(*image.size)),
            "cell": list(found.grid.cell_box(found.peak, *image.size)),
            "regions": [list(box) for box in chosen],
        }

    def report(self, gates: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """``None`` where nothing was asked. ``gates``: figures of the agent with and without gazes."""
        if not self._scores and gates is None:
            return None
        part: dict[str, Any] = {key: mean([s[key] for s in self._scores]) for key in COLUMNS}
        for mode in ("never", "always", "auto"):
            part |= {f"exact_match_{mode}": None, f"tokens_{mode}": None}
        return {**part, **(gates or {}), "n": len(self._scores)}


def gaze_targets(folder: Path, limit: int | None = None) -> list[tuple[EvalPage, EvalQuestion]]:
    """Questions with evidence boxes, of the first ``limit`` pages. Raises :class:`UsageError` for none."""
    found = [(p, q) for p in read_pages(folder)[:limit] for q in p.questions if any(b.area for b in q.boxes)]
    if not found:
        raise UsageError(f"{folder} has no questions with evidence boxes, so there is nothing to look for.")
    return found


def boxed_samples(folder: Path, limit: int | None = None) -> list[Sample]:
    """The same as samples for a calibration."""
    from hydra_rag.saliency.calibrate import Sample

    return [
        Sample(
            partial(open_image, folder, page.image), asked.question, tuple(b for b in asked.boxes if b.area)
        )
        for page, asked in gaze_targets(folder, limit)
    ]


def gaze_table(
    folder: Path,
    model: HydraModel,
    *,
    limit: int | None = None,
    methods: Sequence[str] | None = None,
    calibration: Calibration | None = None,
    image_tokens: int | None = None,
    pictures: GazePictures | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Every method with no filter, each filter alone, the filters in use ("calibrated"), and for a small
    model that reads these held against what it read.

    ``{"rows": [{"method", "filter", **figures}], "samples", "model", "layers", "generic"}``; best first by
    pointing. Methods that need a retrieval adapter are left out where there is none. ``pictures`` gets the
    map of the default method with the filters in use.
    """
    from hydra_rag.saliency.boxes import propose
    from hydra_rag.saliency.calibration import calibration_for
    from hydra_rag.saliency.filters import DEFAULT_FILTERS, FILTERS, find_filters, saliency
    from hydra_rag.saliency.methods import DEFAULT, METHODS, find_method
    from hydra_rag.saliency.probes import record
    from hydra_rag.saliency.scores import box_scores, map_scores

    known = calibration or calibration_for(model)
    used = DEFAULT_FILTERS if known.filters is None else known.filters
    options = {"none": (), **{name: (name,) for name in FILTERS}, "calibrated": used}
    reads = model.can_read and model_profile(model).bound
    if reads:
        options |= {WORDS: used, ANSWERS: used}
    reader = ModelReader(lambda: model, known)
    chosen = [find_method(name) for name in (methods or METHODS)]
    if model.retrieval is None:
        chosen = [method for method in chosen if "similarity" not in method.needs]
    needs = {n for m in chosen for n in m.needs} | {n for f in FILTERS.values() for n in f.needs}
    scores: dict[tuple[str, str], list[dict[str, float]]] = {}
    targets = gaze_targets(folder, limit)
    for done, (page, asked) in enumerate(targets, start=1):
        image = open_image(folder, page.image)
        truth = _inside(asked, image.size)
        words = model.read_pages([image])[0] if reads else []
        places = glance(reader, image, words, asked.question).places if reads else ()
        signals = record(model, [image], asked.question, needs, calibration=known, image_tokens=image_tokens)[
            0
        ][0]
        for method in chosen:
            for name, filters in options.items():
                found = saliency(signals, method, find_filters(filters))
                if name in (WORDS, ANSWERS):
                    found = with_words(found, likened(words, asked.question), asked.question, *image.size)
                if name == ANSWERS:
                    found = with_answers(found, places, *image.size)
                boxes = [region.box for region in propose(found, *image.size)]
                both = map_scores(found, truth, *image.size) | box_scores(boxes, truth, *image.size)
                scores.setdefault((method.name, name), []).append(both)
                if pictures is not None and (method.name, name) == (
                    DEFAULT,
                    ANSWERS if reads else "calibrated",
                ):
                    pictures.take(image, asked.question, found, truth, boxes)
        if progress is not None:
            progress(done, len(targets))
    rows: list[dict[str, Any]] = [
        {"method": method, "filter": name, **{key: mean([s[key] for s in made]) for key in COLUMNS}}
        for (method, name), made in scores.items()
    ]
    rows.sort(key=lambda row: (-row["pointing"], -row["auroc"]))
    return {
        "rows": rows,
        "samples": len(targets),
        "model": model.name,
        "layers": list(known.layers),
        "generic": known.generic,
        "filters": list(used),
    }


def table_markdown(table: dict[str, Any]) -> str:
    """The table as Markdown, with what it was made from."""
    used = ", ".join(table["filters"]) or "none"
    lines = [
        f"Model {table['model']}, {table['samples']} questions, layers {table['layers']}, "
        f'idle instruction "{table["generic"]}", calibrated filters: {used}.',
        "",
        "| method | filter | " + " | ".join(COLUMNS) + " |",
        "| --- | --- |" + " ---: |" * len(COLUMNS),
    ]
    for row in table["rows"]:
        figures = " | ".join(f"{row[key]:.3f}" for key in COLUMNS)
        lines.append(f"| {row['method']} | {row['filter']} | {figures} |")
    return "\n".join(lines) + "\n"


def _inside(asked: EvalQuestion, size: tuple[int, int]) -> list[Any]:
    """The evidence boxes, cut to the page; empty ones are left out."""
    return [box.clip(*size) for box in asked.boxes if box.area]
