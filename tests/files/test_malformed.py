"""Malformed and hostile files: one error each with a message, or the whole file; nothing else ever."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from hydra_rag.errors import FileError
from hydra_rag_indexing.files import Limits, load_pages, probe
from tests.files.malformed import Bad, good_files, malformed

#: The codes that ``FileError`` documents.
CODES = set(
    "not_found unreadable empty unsupported encrypted broken too_large too_many_pages timeout parser_crash "
    "storage".split()
)
LIMITS = Limits(page_seconds=30, office_seconds=60)

#: Work without end in few bytes; the clock is the only defence.
ENDLESS = {"form-loop.pdf", "brackets.md"}


def check(bad: Bad, folder: Path) -> str:
    """The outcome: an error code or ``read``."""
    path = folder / bad.name
    path.write_bytes(bad.data)
    try:
        pages = list(load_pages(path, limits=LIMITS, ocr="never"))
    except FileError as error:
        refused = error
    else:
        refused = None
    if refused is not None:
        assert refused.code in CODES, bad.name
        assert 20 < len(refused.message) < 1000, (bad.name, refused.message)
        assert "Traceback" not in refused.message
        return refused.code
    assert not bad.must_fail, f"{bad.name} was read as {len(pages)} pages"
    assert pages, bad.name
    assert len(pages) == probe(path).pages
    return "read"


def test_there_are_enough_of_them() -> None:
    files = malformed()
    assert len(files) >= 300
    assert len({bad.name for bad in files}) == len(files)


def sample() -> list[Bad]:
    files = [bad for bad in malformed() if bad.name not in ENDLESS]
    special = [
        bad for bad in files if not bad.name.startswith(("cut-", "noise-", "flips-", "smear-", "headless-"))
    ]
    rest = [bad for bad in files if bad not in special]
    return random.Random(7).sample(rest, 20) + random.Random(8).sample(special, 20)


@pytest.mark.parametrize("bad", sample(), ids=lambda bad: bad.name)
def test_sample(bad: Bad, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    check(bad, tmp_path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.faults
@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_all(seed: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    outcomes: dict[str, int] = {}
    for bad in malformed(seed):
        code = check(bad, tmp_path)
        outcomes[code] = outcomes.get(code, 0) + 1
        assert code != "timeout" or bad.name in ENDLESS, bad.name
    assert capfd.readouterr() == ("", "")
    assert sum(outcomes.values()) >= 300


def test_the_good_ones_are_good(tmp_path: Path) -> None:
    for name, data in good_files().items():
        if not name.endswith(".docx"):
            (tmp_path / name).write_bytes(data)
            assert len(list(load_pages(tmp_path / name, ocr="never"))) in (1, 3, 6), name
