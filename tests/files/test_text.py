"""Text, Markdown, CSV and HTML files as pages: every word is there, on its ink."""

from __future__ import annotations

from pathlib import Path

import pytest

from hydra_rag.errors import FileError
from hydra_rag.lines import group_lines
from hydra_rag_indexing.files import Limits, PageImage, load_pages, probe, render_region
from tests.files.test_pdf import assert_boxes_hold_the_ink

MARKDOWN = """# Quarterly report

Some **bold**, some *italic*, some `code`, a [link](http://example.org/secret).
Same paragraph \u2014 na\u00efve \u201cquotes\u201d, \u20ac5.

- first item
- second item
  1. nested one
  2. nested two

| product | price |
|---------|-------|
| lamp    | 12.50 |
| chair   | 80.00 |

```
def f(x):
    return x
```

> quoted words

![a chart](http://example.org/chart.png)
"""

HTML = """<!doctype html><html><head><title>Hidden</title><style>p {color: red}</style></head>
<body><h1>Visible heading</h1><p>One <b>bold</b> word &amp; more.<script>alert(1)</script>
<ul><li>apple</li><li>pear</li></ul>
<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>
<pre>keep   spaces</pre><p>unclosed <i>tags<p>last"""


def write(folder: Path, text: str | bytes, name: str) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def pages_of(path: Path, **options: object) -> list[PageImage]:
    return list(load_pages(path, ocr="never", **options))  # type: ignore[arg-type]


def words_of(pages: list[PageImage]) -> list[str]:
    return [word.text for page in pages for word in page.words]


def test_plain_text_keeps_every_word_in_order(tmp_path: Path) -> None:
    lines = [f"line {n} " + " ".join(f"word{n}x{m}" for m in range(n % 25)) for n in range(300)]
    path = write(tmp_path, "\n".join(lines), "notes.txt")
    pages = pages_of(path)
    assert words_of(pages) == " ".join(lines).split()
    assert [page.number for page in pages] == list(range(1, len(pages) + 1))
    assert len(pages) > 3
    assert probe(path).pages == len(pages)
    assert_boxes_hold_the_ink(pages[1])


def test_very_long_words_break_and_stay_on_the_page(tmp_path: Path) -> None:
    (page,) = pages_of(write(tmp_path, "x" * 500 + " end", "long.txt"))
    assert "".join(words_of([page])) == "x" * 500 + "end"
    assert max(word.box.right for word in page.words) < page.image.width


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    text = "Gr\u00f6\u00dfe \u20ac 5 \u2014 d\u00e9j\u00e0 vu\r\nzweite Zeile\ttab"
    (page,) = pages_of(write(tmp_path, text.encode(encoding), "a.txt"))
    assert words_of([page]) == text.split()
    assert_boxes_hold_the_ink(page)


@pytest.mark.parametrize("encoding", ["utf-32", "utf-16-be", "shift_jis"])
def test_encodings_that_are_not_told_apart_are_named(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path, "\u6587\u66f8 search\n".encode(encoding), "a.txt")
    with pytest.raises(FileError, match="save it as UTF-8"):
        pages_of(path)


def test_scripts_without_a_font_still_have_their_text(tmp_path: Path) -> None:
    text = "\u041f\u0440\u0438\u0432\u0435\u0442 \u03ba\u03cc\u03c3\u03bc\u03b5 \u6f22\u5b57 \U0001f600"
    (page,) = pages_of(write(tmp_path, text, "a.txt"))
    assert words_of([page]) == text.split()


def test_markdown(tmp_path: Path) -> None:
    (page,) = pages_of(write(tmp_path, MARKDOWN, "report.md"))
    text = " ".join(words_of([page]))
    for part in (
        "Quarterly report",
        "Some bold, some italic, some code, a link. Same paragraph",
        "na\u00efve \u201cquotes\u201d, \u20ac5.",
        "first item",
        "1. nested one",
        "2. nested two",
        "product price",
        "lamp 12.50",
        "def f(x): return x",
        "quoted words",
        "[a chart]",
    ):
        assert part in text, part
    assert "http" not in text
    assert "**" not in text
    heading = next(word for word in page.words if word.text == "Quarterly")
    body = next(word for word in page.words if word.text == "paragraph")
    assert heading.box.height > 1.5 * body.box.height
    assert_boxes_hold_the_ink_outside_rules(page)


def assert_boxes_hold_the_ink_outside_rules(page: PageImage) -> None:
    # Table rules are grey and lie between the words; only the words' own ink is looked at.
    from tests.files.test_pdf import ink_box

    for word in page.words:
        ink_box(page, word.box)


def test_html_shows_text_and_runs_nothing(tmp_path: Path) -> None:
    (page,) = pages_of(write(tmp_path, HTML, "page.html"))
    words = words_of([page])
    assert words[:2] == ["Visible", "heading"]
    text = " ".join(words)
    assert "One bold word & more." in text
    assert "apple" in words
    assert "keep spaces" in text
    assert words[-1] == "last"
    assert not {"Hidden", "alert(1)", "color:"} & set(words)


def test_csv_is_a_table(tmp_path: Path) -> None:
    (page,) = pages_of(write(tmp_path, 'name;amount\n"long; name";12\nbeta;13\n', "table.csv"))
    assert words_of([page]) == ["name", "amount", "long;", "name", "12", "beta", "13"]
    left = {word.text: word.box.left for word in page.words}
    assert abs(left["12"] - left["13"]) <= 2


def rows_of(page: PageImage) -> list[list[str]]:
    """The cells of every line, as the model's prompt has them."""
    return [line.cells.split("\t") for line in group_lines(page.words)]


@pytest.mark.parametrize(
    ("name", "delimiter"), [("a.csv", ","), ("a.csv", ";"), ("a.tsv", "\t"), ("a.csv", "|")]
)
def test_cells_of_a_table_stay_apart(tmp_path: Path, name: str, delimiter: str) -> None:
    rows = [["Line", "From", "Departs", "Arrives", "Price"]]
    rows += [
        ["IC 218", "Lindau", "08:05", "10:11", '"1,50"'],
        ["RB 93", "Kempten (Allg)", "08:20", "08:31", "2"],
    ]
    text = "Timetable" + delimiter * 5 + "\n" + "\n".join(delimiter.join([*row, ""]) for row in rows)
    (page,) = pages_of(write(tmp_path, text, name))
    assert rows_of(page) == [["Timetable"], *[[cell.strip('"') for cell in row] for row in rows]]


def test_a_long_table_has_its_heading_on_every_page(tmp_path: Path) -> None:
    text = "number,name\n" + "".join(f"{n},thing {n}\n" for n in range(200))
    pages = pages_of(write(tmp_path, text, "long.csv"))
    assert len(pages) > 2
    lines = [rows_of(page) for page in pages]
    assert all(page[0] == ["number", "name"] for page in lines)
    assert [row for page in lines for row in page[1:]] == [[str(n), f"thing {n}"] for n in range(200)]


def test_a_table_too_wide_for_the_page_is_read_record_by_record(tmp_path: Path) -> None:
    names = [f"measurement_{n}" for n in range(30)]
    text = ",".join(names) + "\n" + "".join(",".join(f"{n}.{m}" for m in range(30)) + "\n" for n in (1, 2))
    (page, *more) = pages_of(write(tmp_path, text, "wide.csv"))
    rows = [row for each in (page, *more) for row in rows_of(each)]
    assert rows == [[name, f"{n}.{m}"] for n in (1, 2) for m, name in enumerate(names)]


def test_lines_that_are_no_table_stay_lines(tmp_path: Path) -> None:
    text = "one, two\nno values here\na, b, c, d\nmore\n"
    (page,) = pages_of(write(tmp_path, text, "notes.csv"))
    assert [" ".join(row) for row in rows_of(page)] == text.splitlines()


def test_labels_in_markdown_keep_their_lines(tmp_path: Path) -> None:
    text = "Present: Maren, Piotr\n**Apologies:** Tamsin\n\nSome words of a\nsentence. It is\nlate: 23:10."
    (page,) = pages_of(write(tmp_path, text, "minutes.md"))
    lines = [line.text for line in group_lines(page.words)]
    assert lines == [
        "Present: Maren, Piotr",
        "Apologies: Tamsin",
        "Some words of a sentence. It is late: 23:10.",
    ]


def test_region_of_rendered_text(tmp_path: Path) -> None:
    path = write(tmp_path, MARKDOWN, "report.md")
    (page,) = pages_of(path)
    box = page.words[0].box
    assert render_region(path, 1, box, 4.0).size == (box.width * 4, box.height * 4)


def test_limits_and_empty_files(tmp_path: Path) -> None:
    def code(path: Path, limits: Limits | None = None) -> str:
        with pytest.raises(FileError) as caught:
            list(load_pages(path, limits=limits))
        return caught.value.code

    assert code(write(tmp_path, " \n\n\t", "blank.txt")) == "empty"
    assert code(write(tmp_path, "<html><script>x</script></html>", "blank.html")) == "empty"
    assert code(write(tmp_path, "\n" * 5000 + "x", "tall.txt"), Limits(pages=3)) == "too_many_pages"
    assert code(write(tmp_path, "x" * 2000, "big.txt"), Limits(text_bytes=1000)) == "too_large"
    assert code(write(tmp_path, b"\x00\x01\x02binary" * 50, "x.txt")) == "unsupported"
    assert code(write(tmp_path, "not a picture", "x.png")) == "broken"
    assert code(write(tmp_path, "this is no PDF", "x.pdf")) == "broken"
