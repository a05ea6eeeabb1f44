"""From what a user names (files, folders, globs) to the files to read."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from hydra_rag.errors import FileError

__all__ = ["Found", "discover"]

_WILD = frozenset("*?[")
#: A folder with these is a store, perhaps the very one that is being filled.
_STORE = frozenset({"hydra.db", "segments", "blobs"})


@dataclass(frozen=True, slots=True)
class Found:
    """A file to read, or, with ``error``, a path that can't be."""

    path: Path
    error: FileError | None = None


def discover(
    paths: Iterable[Path | str], include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> list[Found]:
    """Files in the order of ``paths``, those of a folder sorted by path, each file once.

    A folder is walked with all below it; names that begin with a dot, what is not a regular file, and whole
    stores are skipped there; links are followed but no folder is entered twice. A path that does not exist
    is tried as a glob (``**`` goes through folders). ``include`` and ``exclude`` are shell patterns against
    the file name and against the path below the named folder; ``include`` holds for files found in folders
    and by globs, ``exclude`` for all. Never raises for a bad path: it becomes a ``Found`` with ``error``.
    """
    found: list[Found] = []
    seen: set[str] = set()
    for given in paths:
        for item, relative in _expand(str(given), include):
            if item.error is None and not _is_unicode(item.path):
                # What no text can name can't be listed, stored or asked for.
                shown = str(item.path).encode("utf-8", "replace").decode()
                message = f"the name of {shown} is not valid Unicode; rename the file or its folder"
                item = _failed(Path(shown), "bad_name", message)
            if item.error is None:
                if _matches(relative, exclude):
                    continue
                real = os.path.realpath(item.path)
                if real in seen:
                    continue
                seen.add(real)
            found.append(item)
    return found


def _is_unicode(path: Path) -> bool:
    try:
        os.path.abspath(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _expand(given: str, include: Sequence[str]) -> Iterator[tuple[Found, str]]:
    path = Path(given).expanduser()
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        if _WILD.isdisjoint(given):
            yield _failed(path, "not_found", f"there is no file or folder {given}; check the path"), given
            return
        yield from _glob(str(path), include)
        return
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "bad name"
        yield _failed(path, "unreadable", f"{given} can't be read ({reason}); check the path"), given
        return
    if stat.S_ISDIR(mode):
        for item, relative in _walk(path):
            if item.error is not None or not include or _matches(relative, include):
                yield item, relative
    else:
        yield Found(path), path.name


def _glob(pattern: str, include: Sequence[str]) -> Iterator[tuple[Found, str]]:
    matches = sorted(glob.glob(pattern, recursive=True))
    if not matches:
        yield _failed(Path(pattern), "not_found", f"no file matches {pattern}; check the pattern"), pattern
    for match in matches:
        path = Path(match)
        if path.is_dir():
            if "**" not in pattern:
                yield from ((item, rel) for item, rel in _walk(path) if not include or _matches(rel, include))
        elif path.is_file() and (not include or _matches(path.name, include)):
            yield Found(path), path.name


def _walk(top: Path) -> Iterator[tuple[Found, str]]:
    entered: set[tuple[int, int]] = set()
    results: list[tuple[Found, str]] = []

    def unreadable(error: OSError) -> None:
        folder = Path(error.filename or top)
        message = f"the folder {folder} can't be read ({error.strerror}); check its permissions"
        results.append((_failed(folder, "unreadable", message), str(folder)))

    for folder, folders, files in os.walk(top, onerror=unreadable, followlinks=True):
        here = os.stat(folder)
        if (here.st_dev, here.st_ino) in entered:
            folders.clear()
            continue
        entered.add((here.st_dev, here.st_ino))
        if _STORE.issubset([*folders, *files]):
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            path = Path(folder, name)
            if not name.startswith(".") and path.is_file():
                results.append((Found(path), path.relative_to(top).as_posix()))
    yield from sorted(results, key=lambda result: result[1])


def _matches(relative: str, patterns: Sequence[str]) -> bool:
    name = relative.rsplit("/", 1)[-1]
    return any(fnmatch(name, pattern) or fnmatch(relative, pattern) for pattern in patterns)


def _failed(path: Path, code: str, message: str) -> Found:
    return Found(path, FileError(message, code=code))
