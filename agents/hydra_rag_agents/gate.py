"""Glance or gaze: when a closer look is worth its cost. Pure numbers, chosen per checkpoint.

A crop pays where the evidence is small, where the map knows more than chance, and where the crop can show
more pixels than the page did. Signals and first values: ViCrop (arXiv 2502.17422), CARVE (arXiv 2509.06461,
entropy), ARA (arXiv 2408.00555, confidence).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from hydra_rag.geometry import Box
from hydra_rag_agents.state import PageId

__all__ = ["Gate", "Look", "Spot"]


@dataclass(frozen=True, slots=True)
class Spot:
    """A place that the model looks at. ``box``: page pixels. ``area``: its share of the page.
    ``enrichment``: saliency inside over area share (1 means chance). ``zoom``: how many times more pixels
    a side of it gets as a crop than on the whole page."""

    box: Box
    mass: float
    area: float
    enrichment: float
    zoom: float

    def to_json(self) -> dict[str, Any]:
        return {
            "box": list(self.box),
            "mass": round(self.mass, 4),
            "area": round(self.area, 4),
            "enrichment": round(self.enrichment, 3),
            "zoom": round(self.zoom, 3),
        }


@dataclass(frozen=True, slots=True)
class Look:
    """Where the model looked on ``page`` (``None``: the question's own image); spots best first.

    ``entropy``: of the map, 0 (one cell) to 1 (even)."""

    page: PageId | None
    spots: tuple[Spot, ...]
    entropy: float
    detail: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Gate:
    """Thresholds; the ``gate`` part of a calibration file sets them for a checkpoint.

    ``max_area``, ``min_enrichment``, ``min_zoom``, ``max_entropy``: what a spot must keep to be worth a
    crop. ``sure``: an answer of this confidence needs no closer look. ``min_gain``: where the model chooses
    among words that it has read itself, these decide instead: how many times larger a crop must show them,
    unless the answer has the confidence ``sure_read``, with which a crop's answer needs no check; with less
    than ``unsure``, or no answer, print of any size is looked at.
    ``gazes``: at most so many a turn.
    ``unsupported``: factor on the confidence of an answer that its crop alone does not give; ``unneeded``:
    of one that the page still gives with the crop's region blanked.
    """

    max_area: float = 0.35
    min_enrichment: float = 2.0
    min_zoom: float = 1.25
    max_entropy: float = 0.97
    sure: float = 0.9
    min_gain: float = 2.0
    sure_read: float = 1.01
    unsure: float = 0.0
    gazes: int = 2
    unsupported: float = 0.5
    unneeded: float = 0.85

    @classmethod
    def of(cls, data: Mapping[str, Any] | None) -> Gate:
        """Defaults with what ``data`` names; unknown names are left out."""
        known = {f.name for f in fields(cls)}
        given: dict[str, Any] = {k: float(v) for k, v in (data or {}).items() if k in known}
        if "gazes" in given:
            given["gazes"] = round(given["gazes"])
        return replace(cls(), **given)

    def worth(self, look: Look, *, always: bool = False) -> tuple[Spot, ...]:
        """The spots of ``look`` that deserve a crop; with ``always`` the best one at least."""
        if look.entropy <= self.max_entropy:
            good = tuple(s for s in look.spots if self._passes(s, own=look.page is None))
            if good:
                return good
        return look.spots[:1] if always else ()

    def _passes(self, spot: Spot, *, own: bool) -> bool:
        """``own``: of the question's own image, where a crop pays by what it leaves out."""
        larger = own or spot.zoom >= self.min_zoom
        return larger and spot.area <= self.max_area and spot.enrichment >= self.min_enrichment
