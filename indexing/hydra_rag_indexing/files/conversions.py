"""PDFs that LibreOffice made, kept for the next look at the same document.

A conversion takes seconds and a crop needs the whole of it. Files are named by content, so one never has to
be checked against its source; the folder is a cache, bounded, that may be deleted at any time.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Conversion"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Conversion:
    """The place in a cache for the PDF of one document.

    ``folder``: the cache. ``name``: of the document's content, below it (``tenant/digest``). ``limit``: bytes
    of all PDFs in the folder; the ones that were not used for longest go first. Several threads and processes
    may use one cache.
    """

    folder: Path
    name: str
    limit: int = 512 << 20

    @property
    def path(self) -> Path:
        return self.folder / f"{self.name}.pdf"

    def take(self, target: Path) -> bool:
        """Put the kept PDF at ``target``, which stays whatever becomes of the cache. False: there is none."""
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.utime(self.path)  # used just now
            _give(self.path, target)
        except OSError:
            return False
        return True

    def keep(self, pdf: Path) -> None:
        """Keep a finished PDF. A full or read-only disk costs the cache, nothing else."""
        part = self.path.with_name(f"{secrets.token_hex(8)}.part")
        try:
            if pdf.stat().st_size > self.limit:
                return
            part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _give(pdf, part)
            with part.open("rb") as written:  # a power cut must not leave half of it under its name
                os.fsync(written.fileno())
            part.replace(self.path)
            self._trim()
        except OSError as error:
            log.debug("the PDF of %s is not kept: %s", self.name, error)
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def forget(self) -> None:
        """Remove it: its document is gone."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _trim(self) -> None:
        found = []
        for path in self.folder.rglob("*.pdf"):
            with suppress(OSError):
                state = path.stat()
                found.append((state.st_mtime_ns, state.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self.limit:
                return
            path.unlink(missing_ok=True)
            total -= size


def _give(source: Path, target: Path) -> None:
    """The same file under a second name, or a copy on another disk."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)
