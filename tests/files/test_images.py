"""Image files: upright, on white, nothing clipped, nothing decoded that passes the limits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hydra_rag.errors import FileError
from hydra_rag_indexing.files import Limits, load_pages, probe, render_region
from tests.files.makers import encode, png_header_bomb


def write(folder: Path, data: bytes, name: str = "image.bin") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def only(path: Path) -> Image.Image:
    (page,) = load_pages(path, ocr="never")
    assert page.words == []
    assert page.text_source is None
    assert page.image.mode == "RGB"
    return page.image


def colours(width: int = 48, height: int = 32) -> Image.Image:
    """Red left half, blue right half, a white pixel row on top."""
    image = Image.new("RGB", (width, height), (255, 0, 0))
    image.paste((0, 0, 255), (width // 2, 0, width, height))
    image.paste((255, 255, 255), (0, 0, width, 2))
    return image


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "JPEG", "AVIF"])
def test_formats(tmp_path: Path, kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind in ("JPEG", "AVIF") else {}
    # The name says nothing: the content does.
    path = write(tmp_path, encode(colours(), kind, **options))
    image = only(path)
    assert image.size == (48, 32)
    difference = np.abs(np.asarray(image, dtype=int) - np.asarray(colours(), dtype=int))
    assert difference.mean() < (12 if kind in ("JPEG", "AVIF") else 0.01)
    assert probe(path).pages == 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(tmp_path: Path, orientation: int) -> None:
    upright = colours(64, 32)
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    for kind in ("PNG", "TIFF"):
        path = write(tmp_path, encode(stored, kind, exif=exif), f"{kind}.img")
        assert np.array_equal(np.asarray(only(path)), np.asarray(upright)), kind


def test_colour_modes(tmp_path: Path) -> None:
    grey = np.linspace(0, 65535, 40 * 40).reshape(40, 40).astype(np.uint16)
    image = only(write(tmp_path, encode(Image.fromarray(grey), "PNG")))
    assert np.abs(np.asarray(image)[:, :, 0].astype(float) - grey / 257).max() <= 1.5

    cyan = only(write(tmp_path, encode(Image.new("CMYK", (40, 40), (255, 0, 0, 0)), "JPEG", quality=95)))
    red, green, blue = cyan.getpixel((20, 20))  # type: ignore[misc]
    assert red < 60 < 150 < min(green, blue)

    clear = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    clear.paste((10, 20, 30, 255), (0, 0, 20, 40))
    shown = only(write(tmp_path, encode(clear, "PNG")))
    assert shown.getpixel((30, 5)) == (255, 255, 255)
    assert shown.getpixel((5, 5)) == (10, 20, 30)

    palette = Image.new("P", (40, 40), 1)
    palette.putpalette([0, 0, 0, 200, 100, 50] + [0] * 762)
    palette.paste(0, (0, 0, 20, 40))
    shown = only(write(tmp_path, encode(palette, "PNG", transparency=0)))
    assert shown.getpixel((5, 5)) == (255, 255, 255)
    assert shown.getpixel((30, 5)) == (200, 100, 50)

    for mode in ("1", "L", "LA", "I", "F"):
        kind = "TIFF" if mode in ("F", "I") else "PNG"
        value = 200.0 if mode == "F" else 1 if mode == "1" else (200, 255) if mode == "LA" else 200
        shown = only(write(tmp_path, encode(Image.new(mode, (40, 40), value), kind)))
        assert shown.getpixel((9, 9))[0] in ((255,) if mode == "1" else (199, 200, 0, 1)), mode  # type: ignore[index]


def test_tiff_frames_are_pages(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (40 + n, 50), (n * 20, 0, 0)) for n in range(5)]
    data = encode(frames[0], "TIFF", save_all=True, append_images=frames[1:], dpi=(200, 200))
    path = write(tmp_path, data)
    pages = list(load_pages(path, ocr="never"))
    assert [page.number for page in pages] == [1, 2, 3, 4, 5]
    assert [page.image.size[0] for page in pages] == [40, 41, 42, 43, 44]
    assert [page.image.getpixel((3, 3)) for page in pages] == [(n * 20, 0, 0) for n in range(5)]
    assert pages[0].dpi == pytest.approx(200)
    assert probe(path).pages == 5
    assert render_region(path, 3, (1, 2, 21, 12), 4.0).size == (20, 10)
    with pytest.raises(FileError) as caught:
        list(load_pages(path, limits=Limits(pages=4)))
    assert caught.value.code == "too_many_pages"


def test_animations_give_their_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    for kind in ("GIF", "WEBP", "PNG"):
        data = encode(frames[0], kind, save_all=True, append_images=frames[1:])
        red, _, blue = only(write(tmp_path, data)).getpixel((9, 9))  # type: ignore[misc]
        assert (red > 200, blue < 50) == (True, True), kind


def test_bombs_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    for width, height in ((30_000, 30_000), (2_147_483_647, 1), (100_000, 40)):
        with pytest.raises(FileError) as caught:
            list(load_pages(write(tmp_path, png_header_bomb(width, height))))
        assert caught.value.code in ("too_large", "broken")
    with pytest.raises(FileError) as caught:
        list(
            load_pages(
                write(tmp_path, encode(Image.new("1", (4000, 4000)), "PNG")),
                limits=Limits(image_pixels=10_000),
            )
        )
    assert caught.value.code == "too_large"


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "JPEG", "AVIF"])
def test_cut_off_images_are_errors(tmp_path: Path, kind: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encode(Image.fromarray(noise), kind)
    for keep in (0.3, 0.6, 0.85):
        with pytest.raises(FileError) as caught:
            list(load_pages(write(tmp_path, data[: int(len(data) * keep)])))
        assert caught.value.code == "broken", keep


def test_heic(tmp_path: Path) -> None:
    header = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    with pytest.raises(FileError) as caught:
        list(load_pages(write(tmp_path, header + b"\0" * 100)))
    assert caught.value.code in ("unsupported", "broken")


def test_image_named_pdf_is_an_image(tmp_path: Path) -> None:
    path = write(tmp_path, encode(colours(), "PNG"), "scan.pdf")
    assert probe(path).media_type == "image/png"
    assert only(path).size == (48, 32)


def test_picture_survives_exactly(tmp_path: Path) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (37, 53, 3), dtype=np.uint8)
    path = write(tmp_path, encode(Image.fromarray(noise), "PNG"))
    assert np.array_equal(np.asarray(only(path)), noise)
    crop = render_region(path, 1, (3, 5, 30, 20), 2.0)
    assert np.array_equal(np.asarray(crop), noise[5:20, 3:30])
