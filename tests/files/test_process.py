"""The parser process: hangs, crashes and hunger cost one file; it never outlives its owner."""

from __future__ import annotations

import io
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hydra_rag.errors import FileError
from hydra_rag_indexing.files import BadPage, Limits, load_pages, process
from hydra_rag_indexing.files.process import Parser
from hydra_rag_indexing.files.wire import HEADER_LIMIT, LENGTH
from tests.files.makers import Leaf, make_pdf, show, simple_pdf

ROOT = Path(__file__).parents[2]


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().split()[2] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pid: int, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while alive(pid):
        assert time.monotonic() < end, f"process {pid} still runs"
        time.sleep(0.02)


def endless_strokes() -> bytes:
    """Drawing these takes minutes: 300,000 wide dashed curves."""
    return b"[3 1] 0 d 5 w\n" + b"".join(
        b"%d 0 m 0 %d 300 %d 200 200 c S\n" % (n % 300, n % 200, n % 190) for n in range(300_000)
    )


def endless_pdf() -> bytes:
    return make_pdf([Leaf(b""), Leaf(endless_strokes())])


def test_hanging_page_is_killed_in_time(tmp_path: Path) -> None:
    path = tmp_path / "slow.pdf"
    path.write_bytes(endless_pdf())
    limits = Limits(page_seconds=6)
    with Parser(path, "pdf", limits, 144) as parser:
        pid = parser.process.pid
        parser.request({"op": "page", "number": 2})
        with pytest.raises(FileError) as caught:
            parser.receive("drawing page 2")
        assert caught.value.code == "timeout"
        assert "raise the limit" in caught.value.message
        assert not alive(pid)


def test_waiting_for_a_processor_is_not_the_files_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine the same file gives the same page, later."""
    path = tmp_path / "file.pdf"
    path.write_bytes(simple_pdf(1))
    began = time.monotonic()
    monkeypatch.setattr(process, "queued_seconds", lambda pid: 0.99 * (time.monotonic() - began))
    with Parser(path, "pdf", Limits(page_seconds=0.2, file_seconds=0.5), 144) as parser:
        os.kill(parser.process.pid, signal.SIGSTOP)
        threading.Timer(1.0, os.kill, (parser.process.pid, signal.SIGCONT)).start()
        parser.request({"op": "page", "number": 1})
        assert parser.receive("drawing page 1")[0]["ok"] is True
        assert parser.waited < 0.5


def test_an_answer_that_is_there_counts_however_late_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file.pdf"
    path.write_bytes(make_pdf([Leaf(b"", (0, 0, 60, 60))]))  # fits into a pipe
    with Parser(path, "pdf", Limits(), 144) as parser:
        parser.request({"op": "page", "number": 1})
        select.select([parser.process.stdout], [], [], 60)
        parser.limits = Limits(page_seconds=0.0)
        assert parser.receive("drawing page 1")[0]["ok"] is True


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="this system does not tell")
def test_the_system_tells_how_long_a_process_was_queued() -> None:
    assert process.queued_seconds(os.getpid()) > 0.0
    assert process.queued_seconds(2**30) == 0.0


def test_crash_is_one_error(tmp_path: Path) -> None:
    path = tmp_path / "file.pdf"
    path.write_bytes(simple_pdf(3))
    with Parser(path, "pdf", Limits(), 144) as parser:
        os.kill(parser.process.pid, signal.SIGSEGV)
        parser.request({"op": "page", "number": 1})
        with pytest.raises(FileError) as caught:
            parser.receive("drawing page 1")
        assert caught.value.code == "parser_crash"
        assert "page 1" in caught.value.message


def test_memory_limit(tmp_path: Path) -> None:
    path = tmp_path / "file.pdf"
    path.write_bytes(make_pdf([Leaf(b"", (0, 0, 10_000, 10_000))]))
    limits = Limits(memory_bytes=300 * 1024 * 1024, page_pixels=400_000_000)
    with pytest.raises(FileError) as caught:
        list(load_pages(path, limits=limits, dpi=144))
    assert caught.value.code in ("too_large", "parser_crash")


def test_file_limit_counts_waiting_only(tmp_path: Path) -> None:
    path = tmp_path / "file.pdf"
    path.write_bytes(simple_pdf(3))
    limits = Limits(file_seconds=10)
    pages = load_pages(path, limits=limits, ocr="never")
    next(pages)
    # What the caller does between two pages is not the file's fault.
    time.sleep(0.2)
    assert len(list(pages)) == 2
    with pytest.raises(FileError) as caught:
        list(load_pages(path, limits=Limits(file_seconds=0.0)))
    assert caught.value.code == "timeout"


def test_closing_early_ends_the_process(tmp_path: Path) -> None:
    path = tmp_path / "file.pdf"
    path.write_bytes(simple_pdf(50))
    before = children()
    pages = load_pages(path, ocr="never")
    next(pages)
    mine = children() - before
    assert len(mine) == 1
    pages.close()  # type: ignore[attr-defined]
    assert not alive(mine.pop())


def children() -> set[int]:
    """Direct child processes of this one."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == os.getpid() and fields[0] != "Z":
                found.add(int(entry.name))
    return found


OWNER = """
import sys, time
from pathlib import Path
from hydra_rag_indexing.files.limits import Limits
from hydra_rag_indexing.files.process import Parser
parser = Parser(Path(sys.argv[1]), "pdf", Limits(page_seconds=600), 144)
parser.request({"op": "page", "number": 2})
print(parser.process.pid, flush=True)
time.sleep(600)
"""


def test_pages_after_one_that_hangs_are_drawn_by_a_new_process(tmp_path: Path) -> None:
    path = tmp_path / "slow.pdf"
    hanging, plain = endless_strokes(), Leaf(show("fine", 20, 20))
    path.write_bytes(make_pdf([plain, Leaf(hanging), plain, plain]))
    bad: list[BadPage] = []
    pages = list(load_pages(path, limits=Limits(page_seconds=6), dpi=72, on_bad_page=bad.append))
    assert [page.number for page in pages] == [1, 3, 4]
    assert [page.text for page in pages] == ["fine"] * 3
    assert [(page.number, page.code) for page in bad] == [(2, "timeout")]


def test_process_ends_with_its_owner_even_in_the_middle_of_a_page(tmp_path: Path) -> None:
    path = tmp_path / "slow.pdf"
    path.write_bytes(endless_pdf())
    with subprocess.Popen([sys.executable, "-c", OWNER, str(path)], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert alive(pid)
        owner.kill()
    wait_until_gone(pid)


def test_parser_process_is_small() -> None:
    """It must start quickly: neither torch nor numpy's relatives nor the rest of the project."""
    code = (
        "import sys, hydra_rag_indexing.files.worker, hydra_rag_indexing.files.pdf_source, "
        "hydra_rag_indexing.files.image_source\n"
        "import json; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "transformers", "sqlalchemy", "faiss", "numpy", "hydra_rag"} & set(json.loads(out))


class Liar:
    """Stands in for a parser process that was taken over."""

    def __init__(self, reply: bytes) -> None:
        read, write = os.pipe()
        os.write(write, reply)
        os.close(write)
        self.stdin, self.stdout = io.BytesIO(), os.fdopen(read, "rb")
        self.pid = 0

    def poll(self) -> int:
        return 0

    def kill(self) -> None: ...

    def wait(self) -> int:
        return 1


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"\x01",
        LENGTH.pack(HEADER_LIMIT + 1),
        LENGTH.pack(4) + b"null",
        LENGTH.pack(9) + b"{" * 9,
        LENGTH.pack(24) + b'{"ok":true,"bytes":1e99}',
        LENGTH.pack(35) + b'{"ok":true,"bytes":99999999999999 }'.ljust(35),
        LENGTH.pack(23) + b'{"ok":true,"bytes":-10}',
        LENGTH.pack(30) + b'{"ok":false,"code":"exec me" }'.ljust(30),
    ],
)
def test_nonsense_from_the_process_is_one_error(reply: bytes) -> None:
    parser = Parser.__new__(Parser)
    parser.limits, parser.waited, parser._queued = Limits(), 0.0, 0.0
    parser.process = Liar(reply)  # type: ignore[assignment]
    with pytest.raises(FileError) as caught:
        parser.receive("testing")
    assert caught.value.code == "parser_crash"
