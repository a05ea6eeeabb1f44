"""Stored page images: lossless PNG files named by their hash.

PNG at its fastest level: on a rendered A4 page at 144 dpi it took half the time of lossless WebP, and the
time here is time that the model waits.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from hydra_rag.errors import CorruptionError, HydraError
from hydra_rag.geometry import Box
from hydra_rag.store.durable import write_hashed
from hydra_rag.store.records import PageInfo
from hydra_rag.store.store import Store

if TYPE_CHECKING:
    from hydra_rag_indexing.files.conversions import Conversion

__all__ = ["SUFFIX", "conversion", "crop_page", "load_page_image", "store_page_image"]

SUFFIX = ".png"


def store_page_image(store: Store, tenant: str, tmp: Path, image: Image.Image) -> tuple[str, int]:
    """Write a page image (RGB); durable on return. Returns (SHA-256 of the file, bytes)."""
    buffer = io.BytesIO()
    _without_idle_channels(image).save(buffer, "PNG", compress_level=1)
    data = buffer.getvalue()
    digest, _ = write_hashed(data, tmp, lambda sha: store.page_image_path(tenant, sha, SUFFIX))
    return digest, len(data)


def _without_idle_channels(image: Image.Image) -> Image.Image:
    """The same picture in one channel when all three are equal, as on most pages: a third of the work."""
    pixels = np.asarray(image)
    if (
        image.mode == "RGB"
        and (pixels[..., 0] == pixels[..., 1]).all()
        and (pixels[..., 1] == pixels[..., 2]).all()
    ):
        return image.getchannel(0)
    return image


def load_page_image(store: Store, tenant: str, page: PageInfo) -> Image.Image:
    """The stored image, RGB. Raises :class:`CorruptionError` when it is missing or damaged."""
    path = store.page_image_path(tenant, page.image_sha256, page.image_suffix)
    try:
        with Image.open(path, formats=["PNG"]) as image:
            loaded = image.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise CorruptionError(
            f"The image of page {page.page} can't be read ({type(error).__name__}): "
            "run `hydra-rag doctor --repair`."
        ) from error
    if loaded.size != (page.width, page.height):
        raise CorruptionError(
            f"The image of page {page.page} has the wrong size: run `hydra-rag doctor --repair`."
        )
    return loaded


def conversion(store: Store, original: Path) -> Conversion:
    """Where the PDF of a stored Office document is kept."""
    from hydra_rag_indexing.files.conversions import Conversion

    tenant = original.relative_to(store.blobs_dir).parts[0]  # equal content connects nobody
    return Conversion(store.cache_dir / "office", f"{tenant}/{original.name.partition('.')[0]}")


def crop_page(
    store: Store, tenant: str, page: PageInfo, box: Box, scale: float, original: Callable[[], Path]
) -> Image.Image:
    """``box`` of a page, ``scale`` times larger, drawn from the original where that gives more pixels.

    ``box`` lies inside the page. Raises :class:`CorruptionError` when neither source can be read.
    """
    size = (max(1, round(box.width * scale)), max(1, round(box.height * scale)))
    if scale > 1.0:
        from hydra_rag_indexing.files import render_region

        try:
            source = original()
            return render_region(source, page.page, box, scale, kept=conversion(store, source))
        except (HydraError, OSError):
            pass  # the stored image serves as well, with fewer pixels
    crop = load_page_image(store, tenant, page).crop(box)
    return crop if crop.size == size else crop.resize(size)
