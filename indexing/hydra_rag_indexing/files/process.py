"""One parser process for one file: started, asked, timed, killed.

Parsers of foreign formats crash, hang and eat memory. Here that costs a process: it runs under an address
space limit, every answer has a deadline, and what it sends is checked before it is believed.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from hydra_rag.errors import FileError
from hydra_rag_indexing.files.limits import Limits
from hydra_rag_indexing.files.wire import HEADER_LIMIT, LENGTH

__all__ = ["CODES", "Parser", "queued_seconds"]

#: Error codes that a parser process may report.
CODES = frozenset(
    {"broken", "empty", "encrypted", "too_large", "too_many_pages", "unreadable", "unsupported"}
)

_BOOT = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
    "from hydra_rag_indexing.files.worker import main; main()"
)
_CHUNK = 1 << 20


class Parser:
    """A context manager: :meth:`request` sends a command, :meth:`receive` waits for its answer.

    A refusal (a code of :data:`CODES`) leaves the process ready for the next command; a crash, a time-out or
    nonsense ends it. ``waited``: seconds that another process was waited for before, for the same file.
    Time in which the process waits for a processor does not count: what a file gives must not depend on what
    else the machine does. Not safe for use from several threads at once; several parsers are independent.
    """

    def __init__(self, path: Path, family: str, limits: Limits, dpi: float, *, waited: float = 0.0) -> None:
        self.limits = limits
        self.waited = waited
        self._queued = 0.0
        self.process = subprocess.Popen(
            # -I and -S: no user site, no environment, no .pth files; the search path is ours exactly.
            [
                sys.executable,
                "-I",
                "-S",
                "-X",
                "utf8",
                "-W",
                "ignore",
                "-c",
                _BOOT,
                json.dumps(_search_path()),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={
                name: os.environ[name]
                for name in ("PATH", "LANG", "TZ", "LD_LIBRARY_PATH")
                if name in os.environ
            },
            start_new_session=True,
        )
        try:
            self._send(
                {
                    "op": "open",
                    "kind": family,
                    "path": os.fsencode(path.absolute()).hex(),
                    "dpi": dpi,
                    "limits": limits.to_dict(),
                }
            )
            header, _ = self._receive("opening the file")
            self.pages = _whole(header.get("pages"), 0, limits.pages)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Parser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def request(self, command: Mapping[str, object]) -> None:
        """Sends a command; the process works on it while the caller does something else."""
        self._send(command)

    def receive(self, what: str) -> tuple[dict[str, Any], bytearray]:
        """Waits for the answer to the oldest command: header and payload. ``what`` names it in errors."""
        return self._receive(what)

    @property
    def alive(self) -> bool:
        """Whether it can take another command."""
        return self.process.poll() is None

    def close(self) -> None:
        """Kills the process if it still runs and frees its pipes. May be called again."""
        if self.process.poll() is None:
            self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue
        self.process.wait()

    def _send(self, command: Mapping[str, object]) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(command).encode("ascii") + b"\n")
            self.process.stdin.flush()
        except OSError:
            # It died; the reader finds out why.
            return

    def _receive(self, what: str) -> tuple[dict[str, Any], bytearray]:
        left = self.limits.file_seconds - self.waited
        start = self._clock()
        deadline = start + min(self.limits.page_seconds, max(left, 0.0))
        try:
            (length,) = LENGTH.unpack(self._exactly(LENGTH.size, deadline, what))
            if length > HEADER_LIMIT:
                raise _untrusted()
            header = _header(self._exactly(length, deadline, what))
            if header.get("ok") is not True:
                raise _reported(header)
            largest = 3 * (max(self.limits.page_pixels, self.limits.image_pixels) + 100_000) + (1 << 20)
            payload = self._exactly(_whole(header.get("bytes"), 0, largest), deadline, what)
        except FileError as error:
            if error.code not in CODES:
                self.close()
            raise
        finally:
            self.waited += self._clock() - start
        return header, payload

    def _clock(self) -> float:
        """Seconds in which the process worked, or waited for anything but a processor."""
        self._queued = max(self._queued, queued_seconds(self.process.pid))  # 0.0 once it is gone
        return time.monotonic() - self._queued

    def _exactly(self, count: int, deadline: float, what: str) -> bytearray:
        assert self.process.stdout is not None
        data = bytearray(count)
        view, done = memoryview(data), 0
        pipe = self.process.stdout.fileno()
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while done < count:
                # What is there is read, however late this thread comes to it.
                if not selector.select(max(0.0, deadline - self._clock())):
                    if self._clock() < deadline:
                        continue
                    self.process.kill()
                    raise FileError(
                        f"{what} took too long (limit {self.limits.page_seconds:g} s a page, "
                        f"{self.limits.file_seconds:g} s a file); simplify the file or raise the limit",
                        code="timeout",
                    )
                got = os.readv(pipe, [view[done : done + _CHUNK]])
                if not got:
                    raise self._crash(what)
                done += got
        return data

    def _crash(self, what: str) -> FileError:
        status = self.process.wait()
        reason = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        return FileError(
            f"the parser crashed or ran out of its memory limit while {what} ({reason}); "
            "save the file again in another program",
            code="parser_crash",
        )


def queued_seconds(pid: int) -> float:
    """How long a process has waited for a processor so far; 0.0 where the system does not tell."""
    try:
        with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def _search_path() -> list[str]:
    """Where the parser process finds this package and its libraries, without running site."""
    import hydra_rag_indexing

    root = str(Path(hydra_rag_indexing.__file__ or "").resolve().parent.parent)
    return [root, *(entry for entry in sys.path if entry and entry != root)]


def _header(data: bytearray) -> dict[str, Any]:
    try:
        header = json.loads(data)
    except (ValueError, RecursionError):
        raise _untrusted() from None
    if not isinstance(header, dict):
        raise _untrusted()
    return header


def _reported(header: dict[str, Any]) -> FileError:
    code, message = header.get("code"), header.get("message")
    if code not in CODES or not isinstance(message, str):
        return _untrusted()
    return FileError(message[:1000], code=code)


def _whole(value: object, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise _untrusted()
    return value


def _untrusted() -> FileError:
    return FileError("the parser sent nonsense; save the file again in another program", code="parser_crash")
