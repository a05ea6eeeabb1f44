"""A folder full of malformed files with good ones among them: one error each, and the good ones are found."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import Command, draw
from tests.files.makers import simple_pdf
from tests.files.malformed import Bad, malformed
from tests.files.test_malformed import CODES, ENDLESS, sample

#: File names that sort before, among and after the malformed ones, and a word that stands in each.
GOOD = {
    "a-first.txt": "zebra",
    "good.pdf": "walrus",
    "note.md": "heron",
    "picture.png": None,
    "zz.pdf": "lynx",
}


def fill(folder: Path, files: list[Bad]) -> None:
    folder.mkdir()
    for bad in files:
        (folder / bad.name).write_bytes(bad.data)
    for name, word in GOOD.items():
        if name.endswith(".pdf"):
            (folder / name).write_bytes(simple_pdf(3, f"the {word}"))
        elif word is None:
            draw(folder / name, ["Invoice 204"])
        else:
            (folder / name).write_text(f"A {word} stands here.\n", encoding="utf-8")


def check(documents: list[dict[str, Any]], folder: Path, files: list[Bad]) -> None:
    by_name = {Path(document["path"]).name: document for document in documents}
    assert len(documents) == len(by_name) == len(files) + len(GOOD), "one result a file"
    for bad in files:
        document = by_name[bad.name]
        error = document["error"]
        if document["status"] == "failed":
            assert error["code"] in CODES | {"removed"}, bad.name
            assert 20 < len(error["message"]) < 1000, (bad.name, error)
            assert "Traceback" not in error["message"]
            assert document["document_id"] is None
        else:
            # Damage that leaves every page readable, or names the pages that are not.
            assert not bad.must_fail, (bad.name, document)
            assert document["status"] == "indexed" or document["document_id"] is not None
            assert error is None or error["code"] == "pages_failed"
    for name in GOOD:
        assert (by_name[name]["status"], by_name[name]["error"]) == ("indexed", None), name


def find(command: Command, store: Path, tiny: Path) -> None:
    for name, word in GOOD.items():
        if word is not None:
            ran = command("search", word, "--mode", "text", "--store", store, "--model", tiny, "--json")
            assert ran.code == 0
            assert {hit["document"] for hit in ran.json["hits"]} == {name}
    ran = command("doctor", "--store", store, "--model", tiny, "--json")
    assert ran.json["problems"] == []


def test_a_sample_among_good_files(command: Command, tiny: Path, tmp_path: Path) -> None:
    files = random.Random(5).sample(sample(), 15)
    fill(tmp_path / "in", files)
    arguments = ["--store", tmp_path / "store", "--model", tiny, "--ocr", "never"]
    ran = command("ingest", tmp_path / "in", *arguments, "--json")
    assert ran.code == 1
    assert "Traceback" not in ran.err
    check(ran.json["documents"], tmp_path / "in", files)
    find(command, tmp_path / "store", tiny)


@pytest.mark.faults
@pytest.mark.slow
def test_all_of_them_through_one_command(command: Command, tiny: Path, tmp_path: Path) -> None:
    files = malformed()
    assert len(files) >= 300
    assert {bad.name for bad in files} >= ENDLESS
    fill(tmp_path / "in", files)
    program = "import sys; from hydra_rag_api.cli import main; main()"
    store = tmp_path / "store"
    arguments = ["--store", str(store), "--model", str(tiny), "--ocr", "never", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", program, "ingest", str(tmp_path / "in"), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    check(json.loads(done.stdout)["documents"], tmp_path / "in", files)
    find(command, store, tiny)
