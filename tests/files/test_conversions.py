"""What LibreOffice made of a document is made once, kept within bounds, and goes with its document."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hydra_rag.store.store import Store
from hydra_rag_indexing.files import office, render_region
from hydra_rag_indexing.files.conversions import Conversion
from hydra_rag_indexing.page_images import conversion
from hydra_rag_indexing.sweep import to_trash
from tests.files.makers import simple_pdf
from tests.files.test_office import docx


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """LibreOffice's place is taken by a PDF of three pages; the names of the files it was run for."""
    names: list[str] = []

    def run(program: str, source: Path, home: Path, limits: object, name: str) -> None:
        names.append(name)
        time.sleep(0.05)
        (home / "out").mkdir(exist_ok=True)
        (home / "out" / "document.pdf").write_bytes(simple_pdf(3))

    monkeypatch.setattr(office, "_run", run)
    monkeypatch.setattr(office, "soffice", lambda: "soffice")
    return names


def test_crops_of_a_document_share_one_conversion(tmp_path: Path, runs: list[str]) -> None:
    path = tmp_path / "letter.docx"
    path.write_bytes(docx("Hello"))
    kept = Conversion(tmp_path / "cache", "tenant/digest")

    def crop(page: int) -> tuple[int, int]:
        return render_region(path, page, (0, 0, 40, 30), 2.0, kept=kept).size

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(crop, [1, 2, 3, 1])) == {(80, 60)}
    assert runs == ["letter.docx"]
    kept.forget()
    assert crop(2) == (80, 60)
    assert len(runs) == 2
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_the_longest_unused_go_first(tmp_path: Path) -> None:
    pdf = tmp_path / "made.pdf"
    pdf.write_bytes(b"x" * 100)
    places = [Conversion(tmp_path / "cache", f"t/{n}", limit=250) for n in range(3)]
    for age, place in zip((30, 20), places[:2], strict=True):
        place.keep(pdf)
        os.utime(place.path, (time.time() - age,) * 2)
        pdf = tmp_path / f"made{age}.pdf"  # linked files share their times
        pdf.write_bytes(b"x" * 100)
    assert places[0].take(tmp_path / "first.pdf")  # so the second is the older one
    places[2].keep(pdf)
    assert [place.path.exists() for place in places] == [True, False, True]
    places[0].forget()
    assert (tmp_path / "first.pdf").read_bytes() == b"x" * 100  # taken is taken
    big = Conversion(tmp_path / "cache", "t/big", limit=99)
    big.keep(pdf)
    assert not big.path.exists()


def test_a_cache_that_can_not_be_written_costs_nothing(tmp_path: Path, runs: list[str]) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    path = tmp_path / "letter.docx"
    path.write_bytes(docx("Hello"))
    kept = Conversion(tmp_path / "cache", "tenant/digest")
    for _ in range(2):
        assert render_region(path, 1, (0, 0, 40, 30), 2.0, kept=kept).size == (80, 60)
    assert len(runs) == 2


def test_takers_and_keepers_at_once(tmp_path: Path) -> None:
    """With a limit that throws something out at every turn: what is taken is whole."""
    data = {n: bytes([n]) * 1000 for n in range(4)}
    wrong: list[Any] = []

    def work(number: int) -> None:
        for turn in range(40):
            n = (number + turn) % 4
            place = Conversion(tmp_path / "cache", f"t/{n}", limit=2500)
            target = tmp_path / f"taken-{number}-{turn}.pdf"
            if place.take(target):
                if target.read_bytes() != data[n]:
                    wrong.append((number, turn))
            else:
                target.write_bytes(data[n])
                place.keep(target)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_it_goes_with_its_document(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        original = store.blob_path("acme", "ab" * 32, ".docx")
        original.parent.mkdir(parents=True)
        original.write_bytes(b"document")
        pdf = tmp_path / "made.pdf"
        pdf.write_bytes(b"pdf")
        kept = conversion(store, original)
        assert kept.name != conversion(store, store.blob_path("other", "ab" * 32, ".docx")).name
        kept.keep(pdf)
        assert kept.path.is_file()
        to_trash(store, original.relative_to(store.directory).as_posix())
        assert not kept.path.exists()
