"""Pages of an image file through Pillow. Runs in the parser process only."""

from __future__ import annotations

import io
import warnings
from importlib import import_module
from typing import Any, cast

from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from hydra_rag_indexing.files.limits import Limits
from hydra_rag_indexing.files.wire import Picture, Refused

__all__ = ["FORMATS", "ImageSource"]

#: Decoders that may run. Everything else that Pillow knows stays shut.
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "AVIF")
_PLUGINS = ("Png", "Jpeg", "WebP", "Tiff", "Gif", "Bmp", "Avif")
_MULTI_PAGE = ("TIFF",)


class ImageSource:
    """An open image file: one page, or one page per frame of a TIFF. Turned by EXIF, on white, RGB."""

    def __init__(self, data: bytes, limits: Limits, *, heif: bool = False) -> None:
        self.limits = limits
        Image.MAX_IMAGE_PIXELS = None  # our own limit is checked before anything is decoded
        warnings.simplefilter("ignore")
        for plugin in _PLUGINS:
            import_module(f"PIL.{plugin}ImagePlugin")
        formats = [name for name in FORMATS if name in Image.OPEN]
        if heif:
            formats = _register_heif()
        try:
            self.image: Any = Image.open(io.BytesIO(data), formats=formats)
            self.pages = int(getattr(self.image, "n_frames", 1)) if self.image.format in _MULTI_PAGE else 1
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, TypeError, KeyError):
            raise _broken() from None
        if self.pages > limits.pages:
            raise Refused(
                "too_many_pages",
                f"the image has {self.pages} frames and the limit is {limits.pages}; "
                "split it or raise the limit",
            )

    def page(self, number: int) -> Picture:
        image = self._decode(number)
        dpi = image.info.get("dpi")
        picture = _picture(image)
        if isinstance(dpi, tuple) and dpi and 10 <= float(dpi[0]) <= 10_000:
            picture.dpi = float(dpi[0])
        return picture

    def region(self, number: int, box: tuple[int, int, int, int], scale: float) -> Picture:
        """The crop at the file's own resolution: an image has no more than its pixels."""
        return _picture(self._decode(number).crop(box))

    def _decode(self, number: int) -> Image.Image:
        try:
            if self.pages > 1:
                self.image.seek(number - 1)
            self._check_size(number)
            turned = ImageOps.exif_transpose(self.image)
            result = to_rgb(turned)
        except Refused:
            raise
        except Exception:  # decoders raise whatever they like on damaged data
            raise _broken() from None
        result.info["dpi"] = self.image.info.get("dpi")
        return result

    def _check_size(self, number: int) -> None:
        width, height = self.image.size
        if width < 1 or height < 1:
            raise _broken()
        if width * height > self.limits.image_pixels:
            raise Refused(
                "too_large",
                f"the image is {width} x {height} pixels and the limit is {self.limits.image_pixels} pixels "
                "in all; scale it down or raise the limit",
            )
        if max(width, height) / min(width, height) > self.limits.aspect_ratio:
            raise Refused("too_large", f"the image is {width} x {height} pixels, too narrow to read; crop it")


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode to RGB; transparency onto white; 16-bit, 32-bit and float samples scaled, not clipped."""
    mode = image.mode
    if mode == "RGB" and "transparency" not in image.info:
        return image
    if mode.startswith("I;16") or mode in ("I", "F"):
        return _scaled(image).convert("RGB")
    if mode == "LAB":
        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        done = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
        return done if done is not None else image.convert("RGB")
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def _scaled(image: Image.Image) -> Image.Image:
    """Grey with more than 8 bits a sample; range of the type, or of the picture."""
    wide = image.convert("F")
    low, high = _range(image.mode, cast("tuple[float, float]", wide.getextrema()))
    factor = 255.0 / ((high - low) or 1.0)
    return wide.point(lambda value: value * factor - low * factor).convert("L")


def _range(mode: str, extremes: tuple[float, float]) -> tuple[float, float]:
    low, high = extremes
    if mode.startswith("I;16"):
        return 0.0, 65535.0
    tops = (1.0, 255.0, 65535.0) if mode == "F" else (255.0, 65535.0)
    return next(((0.0, top) for top in tops if low >= 0 and high <= top), extremes)


def _picture(image: Image.Image) -> Picture:
    return Picture(image.width, image.height, image.width * 3, image.tobytes())


def _broken() -> Refused:
    return Refused("broken", "the image is damaged or incomplete; save it again from an image viewer")


def _register_heif() -> list[str]:
    try:
        import pi_heif
    except ImportError:
        raise Refused(
            "unsupported", "HEIC images need the package pi-heif (pip install pi-heif), or save it as JPEG"
        ) from None
    pi_heif.register_heif_opener()
    return ["HEIF"]
