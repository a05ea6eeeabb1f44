"""PDF pages: nothing lost, the picture as a viewer shows it, boxes on the ink."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pikepdf
import pytest

from hydra_rag.errors import FileError, UsageError
from hydra_rag.geometry import Box
from hydra_rag_indexing.files import BadPage, Limits, PageImage, load_pages, probe, render_region
from tests.files.makers import Leaf, block_font, make_pdf, show, simple_pdf


def write(folder: Path, data: bytes, name: str = "file.pdf") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def pages_of(folder: Path, data: bytes, **options: object) -> list[PageImage]:
    return list(load_pages(write(folder, data), ocr="never", **options))  # type: ignore[arg-type]


def code_of(path: Path, **options: object) -> str:
    with pytest.raises(FileError) as caught:
        list(load_pages(path, ocr="never", **options))  # type: ignore[arg-type]
    assert caught.value.message
    return caught.value.code


def ink_box(page: PageImage, box: Box) -> Box:
    """The smallest box round the dark pixels inside ``box``."""
    grey = np.asarray(page.image.convert("L"))[box.top : box.bottom, box.left : box.right]
    rows, cols = np.nonzero(grey < 128)
    assert len(rows), f"no ink in {box}"
    return Box(
        box.left + int(cols.min()),
        box.top + int(rows.min()),
        box.left + int(cols.max()) + 1,
        box.top + int(rows.max()) + 1,
    )


def assert_boxes_hold_the_ink(page: PageImage) -> None:
    """Every box is tight round ink, and outside all boxes there is none."""
    rest = np.asarray(page.image.convert("L")).copy()
    for word in page.words:
        ink = ink_box(page, word.box.pad(4).clip(page.image.width, page.image.height))
        off = [abs(a - b) for a, b in zip(word.box, ink, strict=True)]
        assert max(off) <= 2, (word, ink)
        grown = word.box.pad(2).clip(page.image.width, page.image.height)
        rest[grown.top : grown.bottom, grown.left : grown.right] = 255
    assert rest.min() > 128


CORNERS = show("alpha", 20, 20) + show("beta", 220, 20) + show("gamma", 20, 170) + show("delta", 215, 170)


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("origin", [(0, 0), (-137.5, 61.25), (5000, -3000)])
def test_words_lie_on_their_ink_for_any_rotation_and_origin(
    tmp_path: Path, rotate: int, origin: tuple[float, float]
) -> None:
    x, y = origin
    content = b"1 0 0 1 %g %g cm\n" % origin + CORNERS
    (page,) = pages_of(tmp_path, make_pdf([Leaf(content, (x, y, x + 300, y + 200), rotate=rotate)]))
    assert page.image.size == ((600, 400) if rotate % 180 == 0 else (400, 600))
    assert page.dpi == pytest.approx(144)
    assert sorted(word.text for word in page.words) == ["alpha", "beta", "delta", "gamma"]
    assert_boxes_hold_the_ink(page)
    # The first word stands bottom left before turning, so it tells where the page went.
    alpha = next(word.box for word in page.words if word.text == "alpha")
    middle = (
        (alpha.left + alpha.right) / 2 / page.image.width,
        (alpha.top + alpha.bottom) / 2 / page.image.height,
    )
    left, top = {0: (True, False), 90: (True, True), 180: (False, True), 270: (False, False)}[rotate]
    assert (middle[0] < 0.5, middle[1] < 0.5) == (left, top)


@pytest.mark.parametrize("rotate", [0, 90])
def test_crop_box_cuts_picture_and_words(tmp_path: Path, rotate: int) -> None:
    leaf = Leaf(CORNERS, crop=(10, 10, 150, 110), rotate=rotate)
    (page,) = pages_of(tmp_path, make_pdf([leaf]))
    assert page.image.size == ((280, 200) if rotate == 0 else (200, 280))
    assert [word.text for word in page.words] == ["alpha"]
    assert_boxes_hold_the_ink(page)


@pytest.mark.parametrize("size", [(842, 595), (101.3, 977.7), (14400, 14400), (7, 9), (3, 500)])
def test_odd_page_sizes_keep_their_shape(tmp_path: Path, size: tuple[float, float]) -> None:
    limits = Limits(page_pixels=2_000_000)
    (page,) = pages_of(tmp_path, make_pdf([Leaf(b"", (0, 0, *size))]), limits=limits)
    width, height = page.image.size
    assert width * height <= 2_000_000 * 1.001
    assert min(width, height) >= 27
    assert width / height == pytest.approx(size[0] / size[1], rel=0.02)
    assert page.words == []
    assert page.text_source is None


def test_capped_page_has_boxes_in_its_own_pixels(tmp_path: Path) -> None:
    (large,) = pages_of(
        tmp_path, make_pdf([Leaf(show("large", 400, 400, 300), (0, 0, 1000, 500))]), dpi=200.0
    )
    assert large.dpi == pytest.approx(200)
    assert large.image.width == 2778
    (small,) = pages_of(
        tmp_path,
        make_pdf([Leaf(show("large", 400, 400, 300), (0, 0, 2000, 1000))]),
        limits=Limits(page_pixels=500_000),
    )
    assert small.image.size == (1000, 500)
    assert_boxes_hold_the_ink(small)


def test_every_page_in_order_with_labels(tmp_path: Path) -> None:
    labels = b"/PageLabels << /Nums [0 << /S /r >> 3 << /S /D /P (A-) /St 5 >>] >>"
    leaves = [Leaf(show(f"number {n}", 40, 100)) for n in range(1, 41)]
    pages = pages_of(tmp_path, make_pdf(leaves, catalog=labels))
    assert [page.number for page in pages] == list(range(1, 41))
    assert [page.words[1].text for page in pages] == [str(n) for n in range(1, 41)]
    assert [page.label for page in pages[:5]] == ["i", "ii", "iii", "A-5", "A-6"]
    assert pages[0].text == "number 1"
    assert pages[0].text_source == "layer"


def test_unicode_text_layer(tmp_path: Path) -> None:
    units = ["o", "\ufb03", "c", "e", "\U0001f600", "e\u0301", "\u6f22", "\u5b57"]
    lines = ((150, b"01020304"), (100, b"0506"), (50, b"0708"))
    content = b"".join(b"BT /F1 20 Tf 20 %d Td <%s> Tj ET " % line for line in lines)
    (page,) = pages_of(tmp_path, make_pdf([Leaf(content)], font=block_font(units)))
    assert [word.text for word in page.words] == ["office", "\U0001f600\u00e9", "\u6f22\u5b57"]
    assert_boxes_hold_the_ink(page)


def test_accents_drawn_over_their_letters_belong_to_them(tmp_path: Path) -> None:
    """As TeX's older fonts do: the sign first, then the letter under it."""

    def over(accent: str, letter: str, x: float, y: float) -> bytes:
        return show(accent, x + 2, y) + show(letter, x, y)

    content = (
        over("\u00a8", "u", 40, 150)
        + show("ber", 51.2, 150)
        + show("h", 40, 100)
        + over("\u00b4", "e", 51.2, 100)
        + show("ros", 62.3, 100)
        + show("`abc\u00b4", 40, 50)
    )
    (page,) = pages_of(tmp_path, make_pdf([Leaf(content)]))
    assert [word.text for word in page.words] == ["\u00fcber", "h\u00e9ros", "`abc\u00b4"]
    assert_boxes_hold_the_ink(page)


def test_right_to_left_words_read_in_logical_order(tmp_path: Path) -> None:
    # Drawn as typesetters do, from left to right in the order of the eye: mem, vav, lamed, shin.
    content = b"BT /F1 20 Tf 20 150 Td <01020304> Tj ET"
    (page,) = pages_of(
        tmp_path, make_pdf([Leaf(content)], font=block_font(["\u05dd", "\u05d5", "\u05dc", "\u05e9"]))
    )
    assert [word.text for word in page.words] == ["\u05e9\u05dc\u05d5\u05dd"]


def test_word_broken_at_the_line_end_is_whole_in_the_text(tmp_path: Path) -> None:
    content = show("a fine exam-", 40, 150) + show("ple of it", 20, 120) + show("well-known", 20, 90)
    (page,) = pages_of(tmp_path, make_pdf([Leaf(content)]))
    assert [word.text for word in page.words] == ["a", "fine", "exam-", "ple", "of", "it", "well-known"]
    assert "example of it" in page.text
    assert "well-known" in page.text
    assert_boxes_hold_the_ink(page)


def test_filled_form_fields_are_seen_and_read(tmp_path: Path) -> None:
    pdf = pikepdf.open(io.BytesIO(make_pdf([Leaf(show("Name:", 20, 150))])))
    look = pdf.make_stream(b"/Tx BMC BT /Helv 16 Tf 2 5 Td (Ada) Tj ET EMC")
    look.update(
        pikepdf.Dictionary(Type=pikepdf.Name.XObject, Subtype=pikepdf.Name.Form, BBox=[0, 0, 100, 20])
    )
    font = pdf.make_indirect(
        pikepdf.Dictionary(
            Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica
        )
    )
    look.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(Helv=font))
    field = pdf.make_indirect(
        pikepdf.Dictionary(
            Type=pikepdf.Name.Annot,
            Subtype=pikepdf.Name.Widget,
            FT=pikepdf.Name.Tx,
            T="name",
            V="Ada",
            F=4,
            Rect=[100, 145, 200, 165],
            AP=pikepdf.Dictionary(N=look),
            DA="/Helv 16 Tf 0 g",
        )
    )
    pdf.pages[0].Annots = pikepdf.Array([field])
    pdf.Root.AcroForm = pikepdf.Dictionary(
        Fields=[field], DA="/Helv 16 Tf 0 g", DR=pikepdf.Dictionary(Font=pikepdf.Dictionary(Helv=font))
    )
    buffer = io.BytesIO()
    pdf.save(buffer)
    (page,) = pages_of(tmp_path, buffer.getvalue())
    assert [word.text for word in page.words] == ["Name:", "Ada"]
    ada = page.words[1].box
    assert 200 <= ada.left < 260
    ink_box(page, ada)


def test_word_limit_holds(tmp_path: Path) -> None:
    content = b"".join(show("one two three", 10, 190 - 9 * line, 8) for line in range(20))
    (page,) = pages_of(tmp_path, make_pdf([Leaf(content)]), limits=Limits(page_words=7))
    assert len(page.words) == 7


def test_encrypted(tmp_path: Path) -> None:
    def locked(user: str) -> Path:
        buffer = io.BytesIO()
        with pikepdf.open(io.BytesIO(simple_pdf(2))) as pdf:
            pdf.save(buffer, encryption=pikepdf.Encryption(owner="owner", user=user))
        return write(tmp_path, buffer.getvalue(), f"locked-{user}.pdf")

    assert code_of(locked("secret")) == "encrypted"
    # A password that only forbids changes does not forbid reading.
    assert len(list(load_pages(locked(""), ocr="never"))) == 2


def test_no_pages_too_many_pages_and_no_bytes(tmp_path: Path) -> None:
    assert code_of(write(tmp_path, make_pdf([]))) in ("empty", "broken")
    assert code_of(write(tmp_path, simple_pdf(4)), limits=Limits(pages=3)) == "too_many_pages"
    assert code_of(write(tmp_path, b"")) == "empty"
    assert code_of(write(tmp_path, simple_pdf(4)), limits=Limits(file_bytes=100)) == "too_large"
    assert code_of(tmp_path / "none.pdf") == "not_found"
    assert code_of(tmp_path) == "unsupported"


def test_incomplete_files_are_refused_rather_than_shortened(tmp_path: Path) -> None:
    whole = simple_pdf(10)
    for keep in (0.2, 0.5, 0.9, 0.97):
        assert code_of(write(tmp_path, whole[: int(len(whole) * keep)])) == "broken", keep
    # Rubbish behind a complete file is no loss.
    assert len(pages_of(tmp_path, whole + b"\0" * 5000)) == 10


def damaged(pages: int, *numbers: int) -> bytes:
    """A PDF of which these pages can't be drawn (one point high); not a byte longer than the whole one."""
    data = simple_pdf(pages)
    for number in numbers:
        start = data.index(b"\n%d 0 obj\n" % (2 + 2 * number))
        found = data.index(b"/MediaBox [0 0 300 200]", start)
        data = data[:found] + b"/MediaBox [0 0 9000 1 ]" + data[found + 23 :]
    return data


def test_damaged_page_names_itself(tmp_path: Path) -> None:
    path = write(tmp_path, damaged(3, 2))
    with pytest.raises(FileError, match="page 2 of the PDF") as caught:
        list(load_pages(path))
    assert caught.value.code in ("broken", "too_large")


def test_other_pages_than_the_damaged_ones_are_read(tmp_path: Path) -> None:
    whole = list(load_pages(write(tmp_path, simple_pdf(7))))
    bad: list[BadPage] = []
    pages = list(load_pages(write(tmp_path, damaged(7, 1, 4, 7)), on_bad_page=bad.append))
    assert [page.number for page in pages] == [2, 3, 5, 6]
    for page in pages:
        assert page.image.tobytes() == whole[page.number - 1].image.tobytes()
        assert page.words == whole[page.number - 1].words
    assert [page.number for page in bad] == [1, 4, 7]
    assert all(f"page {page.number} of the PDF" in page.message for page in bad)


def test_a_file_with_mostly_damaged_pages_is_damaged(tmp_path: Path) -> None:
    bad: list[BadPage] = []
    with pytest.raises(FileError, match=r"more than half of its 3 pages.*page 1 of the PDF"):
        list(load_pages(write(tmp_path, damaged(3, 1, 3)), on_bad_page=bad.append))
    with pytest.raises(FileError, match=r"^page 1 of the PDF"):
        list(load_pages(write(tmp_path, damaged(1, 1)), on_bad_page=bad.append))


def test_probe_and_region(tmp_path: Path) -> None:
    path = write(tmp_path, make_pdf([Leaf(b""), Leaf(CORNERS, (50, -20, 350, 180), rotate=90)]))
    info = probe(path)
    assert (info.media_type, info.pages) == ("application/pdf", 2)
    page = list(load_pages(path))[1]
    box = Box(30, 50, 230, 170)
    region = render_region(path, 2, box, 3.0)
    assert region.size == (600, 360)
    small = np.asarray(region.resize((200, 120)).convert("L"), dtype=float)
    stored = np.asarray(page.image.crop(box).convert("L"), dtype=float)
    assert np.abs(small - stored).mean() < 6
    assert render_region(path, 2, box, 50.0, limits=Limits(page_pixels=100_000)).size[0] < 500
    with pytest.raises(UsageError):
        render_region(path, 3, box)
    with pytest.raises(UsageError):
        render_region(path, 1, Box(5, 5, 5, 9))


def test_region_shows_more_detail_than_the_stored_page(tmp_path: Path) -> None:
    path = write(tmp_path, make_pdf([Leaf(show("tiny letters", 20, 20, 3))]))
    (page,) = load_pages(path)
    box = page.words[0].box.pad(2).clip(*page.image.size)
    fine = np.asarray(render_region(path, 1, box, 8.0).convert("L"))
    coarse = np.asarray(page.image.crop(box).resize((fine.shape[1], fine.shape[0])).convert("L"))
    assert (fine < 60).mean() > (coarse < 60).mean() + 0.02
