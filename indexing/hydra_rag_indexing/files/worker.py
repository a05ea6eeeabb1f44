"""The parser process: opens one file and draws its pages on request.

Started by :mod:`hydra_rag_indexing.files.process` with an empty standard error. It reads one JSON command a
line and answers each with one frame (:mod:`hydra_rag_indexing.files.wire`); its end of input ends it.
Imports neither torch nor the rest of the project.
"""

from __future__ import annotations

import gc
import json
import os
import queue
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO

from hydra_rag_indexing.files.limits import Limits
from hydra_rag_indexing.files.wire import Picture, Refused, Source, write_frame

__all__ = ["main"]


def main() -> None:
    """Answers commands until the parent closes the pipe."""
    replies = _claim_stdout()
    commands: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(commands,), daemon=True).start()
    source: Source | None = None
    while True:
        command = json.loads(commands.get())
        try:
            if command["op"] == "open":
                source = _open(command)
                write_frame(replies, {"ok": True, "pages": source.pages, "bytes": 0})
            else:
                assert source is not None
                _send(replies, _answer(source, command))
        except Refused as refused:
            _fail(replies, refused.code, refused.message)
        except MemoryError:
            gc.collect()
            _fail(
                replies, "too_large", "the file needs more memory than the limit allows; split or shrink it"
            )
        except RecursionError:
            _fail(
                replies, "broken", "the file is nested too deeply to read; save it again in another program"
            )
        except BrokenPipeError:
            os._exit(0)
        except Exception as error:
            _fail(
                replies,
                "broken",
                f"the file can't be read ({type(error).__name__}); save it again or convert it",
            )


def _answer(source: Source, command: dict[str, Any]) -> Picture:
    if command["op"] == "page":
        return source.page(command["number"])
    left, top, right, bottom = command["box"]
    return source.region(command["number"], (left, top, right, bottom), command["scale"])


def _send(replies: BinaryIO, picture: Picture) -> None:
    write_frame(replies, picture.header(), picture.pixels)


def _fail(replies: BinaryIO, code: str, message: str) -> None:
    write_frame(replies, {"ok": False, "code": code, "message": message, "bytes": 0})


def _open(command: dict[str, Any]) -> Source:
    limits = Limits.from_dict(command["limits"])
    _confine(limits)
    kind: str = command["kind"]
    path = Path(os.fsdecode(bytes.fromhex(command["path"])))
    try:
        data = _read(path, limits.file_bytes)
    except OSError as error:
        raise Refused(
            "unreadable", f"the file can't be opened ({error.strerror}); check its permissions"
        ) from None
    if kind == "pdf":
        from hydra_rag_indexing.files.pdf_source import PdfSource

        return PdfSource(data, limits, command["dpi"])
    if kind in ("text", "csv", "markdown", "html"):
        from hydra_rag_indexing.files.text_source import TextSource

        return TextSource(data, limits, command["dpi"], kind)
    from hydra_rag_indexing.files.image_source import ImageSource

    return ImageSource(data, limits, heif=kind == "heif")


def _read(path: Path, limit: int) -> bytes:
    with open(path, "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise Refused("too_large", f"the file is larger than {limit} bytes; split it or raise the limit")
    return data


def _confine(limits: Limits) -> None:
    """Bounds on memory, files and core dumps; best effort where the system has no such call."""
    try:
        import resource
    except ImportError:
        return
    for name, value in (("RLIMIT_AS", limits.memory_bytes), ("RLIMIT_CORE", 0), ("RLIMIT_FSIZE", 0)):
        if hasattr(resource, name):
            try:
                resource.setrlimit(getattr(resource, name), (value, value))
            except (OSError, ValueError):
                continue


def _claim_stdout() -> BinaryIO:
    """The reply pipe for us alone: anything a library prints goes nowhere."""
    replies = os.fdopen(os.dup(1), "wb", buffering=1 << 16)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return replies


def _listen(commands: queue.SimpleQueue[str]) -> None:
    """Own thread, so that a parent that died ends this process even in the middle of a page."""
    for line in sys.stdin:
        commands.put(line)
    os._exit(0)
