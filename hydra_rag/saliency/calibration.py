"""Which layers and heads of a checkpoint to trust: ``gaze.json``, a small file beside its adapter.

Attention belongs to the base weights, so a calibration is good for one set of them; one that was made for
others is not used.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra_rag.errors import ModelError
from hydra_rag.prompts import READ_PROMPT

if TYPE_CHECKING:
    from hydra_rag.model import HydraModel

__all__ = ["FILE", "GENERIC", "Calibration", "band", "calibration_for", "calibration_path"]

FILE = "gaze.json"
FORMAT = 1
#: Instructions that ask for nothing in particular, in the order in which they are tried.
GENERIC = ("Write a general description of the image.", "What is on this page?", READ_PROMPT, "Page")
_BAND = (0.60, 0.86)  # where grounding layers lie in depth, before calibration

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Calibration:
    """``layers``: decoder layers whose maps are averaged, the best one first. ``generic``: the idle
    instruction. ``floor``: of the contrast. ``filters``: names; ``None`` for the usual ones. ``heads``:
    (layer, head, how often its strongest cell lay in the evidence). ``trend``: usual attention from top to
    bottom. ``sink_dims``: of hidden states. ``gate``: thresholds of the agent (glance or gaze), by name.
    ``weights``: digest of the base weights.
    ``measured``: figures."""

    layers: tuple[int, ...]
    generic: str = GENERIC[0]
    floor: float = 0.1
    filters: tuple[str, ...] | None = None
    heads: tuple[tuple[int, int, float], ...] = ()
    trend: tuple[float, ...] = ()
    sink_dims: tuple[int, ...] = ()
    gate: dict[str, float] = field(default_factory=dict)
    weights: str | None = None
    measured: dict[str, Any] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        text = json.dumps({"format": FORMAT, **asdict(self)}, indent=2, sort_keys=True) + "\n"
        part = path.with_name(path.name + ".part")
        part.write_text(text, encoding="utf-8")
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Raises :class:`ModelError` for files that are not calibrations."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if data.pop("format", None) != FORMAT:
                raise ValueError("unknown format")
            known = {f.name for f in fields(cls)}
            if unknown := sorted(set(data) - known):
                raise ValueError(f"unknown fields {unknown}")
            data["layers"] = tuple(int(i) for i in data["layers"])
            data["heads"] = tuple((int(i), int(h), float(s)) for i, h, s in data.get("heads", ()))
            data["trend"] = tuple(float(v) for v in data.get("trend", ()))
            data["sink_dims"] = tuple(int(i) for i in data.get("sink_dims", ()))
            data["gate"] = {str(name): float(value) for name, value in data.get("gate", {}).items()}
            if data.get("filters") is not None:
                data["filters"] = tuple(str(name) for name in data["filters"])
            made = cls(**data)
            if not made.layers:
                raise ValueError("no layers")
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModelError(
                f"{path} can't be read ({error}); delete it or run 'hydra-rag model calibrate'"
            ) from error
        return made


def band(available: tuple[int, ...], count: int) -> tuple[int, ...]:
    """Layers at the depth where grounding usually sits; ``count``: decoder layers in all.

    At least one, the middle of the band first.
    """
    depth = {i: (i + 1) / count for i in available}
    inside = [i for i in available if _BAND[0] <= depth[i] <= _BAND[1]] or [
        min(available, key=lambda i: abs(depth[i] - sum(_BAND) / 2))
    ]
    return tuple(sorted(inside, key=lambda i: (abs(depth[i] - sum(_BAND) / 2), i)))


def calibration_path(model: HydraModel) -> Path:
    """Where the model's calibration belongs: beside its adapter, or beside its weights."""
    beside = model.folder / "adapter"
    return (beside if beside.is_dir() else model.folder) / FILE


def calibration_for(model: HydraModel) -> Calibration:
    """The stored calibration where there is one for these very weights, else the usual band of layers."""
    config = model.base_model.config
    available = model.profile.attention_layers(config)
    path = calibration_path(model)
    if path.is_file():
        stored = Calibration.load(path)
        if stored.weights in (None, model.weights_fingerprint) and set(stored.layers) <= set(available):
            return stored
        log.warning("%s was made for other weights and is not used; run 'hydra-rag model calibrate'", path)
    return Calibration(band(available, len(model.profile.layer_kinds(config))))
