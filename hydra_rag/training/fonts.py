"""Font families for rendered training pages: found on the system by file name, split into train and held-out.

Families are the usual free ones (Debian packages ``fonts-liberation2 fonts-dejavu fonts-roboto ...``; the
list of packages stands in ``config/fonts.txt``). Held-out families are never drawn in training.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

from hydra_rag.errors import UsageError

FONT_ROOTS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.fonts", "~/.local/share/fonts")

#: Families by the start of their file names, with how often they are drawn.
TRAIN = {
    "LiberationSans-": 6, "LiberationSerif-": 4, "LiberationMono-": 3, "LiberationSansNarrow-": 1,
    "DejaVuSans": 6, "DejaVuSerif": 3, "Carlito-": 4, "NimbusSans-": 3, "NimbusRoman-": 2,
    "NimbusMonoPS-": 1, "P052-": 1, "C059-": 1, "URWBookman-": 1, "NotoSans-": 4, "NotoSerif-": 3,
    "NotoSansMono-": 1, "Roboto-": 4, "RobotoCondensed-": 1, "OpenSans-": 3, "FreeSans": 1, "FreeMono": 1,
    "LinLibertine_R": 1, "LinBiolinum_R": 1, "EBGaramond12-": 1, "FiraCode-": 1, "Inconsolata": 1,
    "NotoSansDisplay-": 1, "Quicksand": 1, "URWGothic-": 1,
}  # fmt: skip
HELD_OUT = {"Lato-": 1, "Caladea-": 1, "FreeSerif": 1, "Hack-": 1, "Cantarell-": 1}
#: The two families of the first, narrow part of the curriculum.
NARROW = {"LiberationSans-Regular": 1, "DejaVuSans.": 1}
SKIP = ("Thin", "Hairline", "ExtraLight", "Black", "Math", "Light-", "LightItalic", "Extrabold", "Heavy")


@dataclass(frozen=True)
class Face:
    """One font file."""

    path: str

    def at(self, size: int) -> ImageFont.FreeTypeFont:
        """The face at ``size`` pixels per em."""
        return _font(self.path, size)


@lru_cache(maxsize=512)
def _font(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=1)
def _files() -> tuple[Path, ...]:
    found: dict[str, Path] = {}
    for root in FONT_ROOTS:
        base = Path(root).expanduser()
        if base.is_dir():
            for path in sorted(base.rglob("*")):
                if path.suffix.lower() in {".ttf", ".otf"} and not any(s in path.name for s in SKIP):
                    found.setdefault(path.name, path)
    return tuple(found[name] for name in sorted(found))


@lru_cache(maxsize=8)
def _families(kind: str) -> tuple[tuple[tuple[Face, ...], ...], tuple[int, ...]]:
    table = {"train": TRAIN, "held_out": HELD_OUT, "narrow": NARROW}[kind]
    groups, weights = [], []
    for prefix, weight in table.items():
        faces = tuple(Face(str(p)) for p in _files() if p.name.startswith(prefix))
        if faces:
            groups.append(faces)
            weights.append(weight)
    if not groups:
        raise UsageError(
            "No training fonts were found. Install free font families, on Debian for example: "
            "apt-get install fonts-liberation2 fonts-dejavu fonts-roboto fonts-noto-core fonts-lato; "
            "hydra_rag/training/config/fonts.txt names all of them."
        )
    return tuple(groups), tuple(weights)


def draw_face(rng: random.Random, kind: str = "train", *, upright: bool = False) -> Face:
    """Draw a face: a family by weight, then one of its styles (regular three times as likely)."""
    groups, weights = _families(kind)
    faces = rng.choices(groups, weights)[0]
    plain = [
        f for f in faces if not any(s in Path(f.path).stem for s in ("Bold", "Italic", "Oblique", "BI", "RI"))
    ]
    if plain and (upright or rng.random() < 0.6):
        return rng.choice(plain)
    return rng.choice(faces)


def bold_of(face: Face) -> Face:
    """The bold style of the same family, or the face itself."""
    stem = Path(face.path).stem
    base = stem.split("-")[0]
    for path in _files():
        if path.stem in (f"{base}-Bold", f"{base}Bold", f"{base}-Demi"):
            return Face(str(path))
    return face
