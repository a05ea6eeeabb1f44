"""Fault points: every call that writes, counted; at the chosen one the process dies or the call fails.

Patched are ``open`` for writing, ``os.fsync``, ``os.replace``, ``os.unlink``, ``os.mkdir``, every SQL
statement that changes something, and the commit (before and after). The module also keeps a model of a
power cut: what of the store's files was written but not synced, and which names were not made durable.
"""

from __future__ import annotations

import builtins
import errno
import json
import os
import signal
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.engine.default import DefaultDialect

REAL_OPEN, REAL_FSYNC, REAL_REPLACE = builtins.open, os.fsync, os.replace
REAL_UNLINK, REAL_MKDIR = os.unlink, os.mkdir


class Points:
    """Installed in a process that is thrown away afterwards."""

    def __init__(self, root: Path, at: int, action: str = "kill") -> None:
        self.root, self.at, self.action = str(root), at, action
        self.count, self._counting = 0, threading.Lock()
        self.log: list[str] = []
        self.dirty: set[str] = set()
        self.unnamed: set[str] = set()
        self._recall()
        self.no_fsync = self.no_folder_fsync = False

    def hit(self, name: str, *, can_fail: bool = True) -> None:
        with self._counting:
            self.count += 1
            self.log.append(name)
            count = self.count
        if self.action == "kill":
            if count == self.at:
                self.die()
        elif can_fail and self.at <= count < self.at + self._length():
            raise OSError(getattr(errno, self.action), os.strerror(getattr(errno, self.action)))

    def _length(self) -> int:
        return 1_000_000 if self.action == "ENOSPC" else 1

    def die(self) -> None:
        self.save()
        os.kill(os.getpid(), signal.SIGKILL)

    def save(self) -> None:
        """What a power cut would take now, for :func:`cut_power` and for runs that go on from here."""
        cut = [os.path.relpath(name, self.root) for name in sorted(self.dirty)]
        gone = [os.path.relpath(name, self.root) for name in sorted(self.unnamed)]
        with REAL_OPEN(self.root + ".cut", "w") as out:
            json.dump({"dirty": cut, "unnamed": gone}, out)

    def _recall(self) -> None:
        if os.path.exists(self.root + ".cut"):
            known = json.loads(Path(self.root + ".cut").read_text())
            self.dirty, self.unnamed = ({f"{self.root}/{n}" for n in known[k]} for k in ("dirty", "unnamed"))

    def inside(self, path: Any) -> bool:
        return isinstance(path, str | Path) and str(path).startswith(self.root + os.sep)

    def install(self) -> None:
        builtins.open = self._open
        os.fsync, os.replace = self._fsync, self._replace  # type: ignore[assignment]
        os.unlink = self._named("unlink", REAL_UNLINK)
        os.mkdir = self._named("mkdir", REAL_MKDIR)
        event.listen(Engine, "before_cursor_execute", self._statement)
        commit = DefaultDialect.do_commit

        def do_commit(dialect: DefaultDialect, connection: Any) -> None:
            self.hit("commit", can_fail=False)
            commit(dialect, connection)
            self.hit("committed", can_fail=False)

        DefaultDialect.do_commit = do_commit  # type: ignore[method-assign]

    def _open(self, file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if self.inside(file) and set(mode) & set("wxa+"):
            self.hit(f"open {Path(file).suffix}")
            self.dirty.add(str(file))
            self.unnamed.add(str(file))
        return REAL_OPEN(file, mode, *args, **kwargs)

    def _fsync(self, handle: int) -> None:
        path = os.readlink(f"/proc/self/fd/{handle}")
        if not self.inside(path) and path != self.root:
            REAL_FSYNC(handle)
            return
        folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        if self.no_folder_fsync if folder else self.no_fsync:
            return
        self.hit("fsync folder" if folder else "fsync")
        REAL_FSYNC(handle)
        if folder:
            # A copy: another thread may store a page meanwhile.
            self.unnamed -= {name for name in tuple(self.unnamed) if os.path.dirname(name) == path}
        else:
            self.dirty.discard(path)

    def _replace(self, source: Any, target: Any, **kwargs: Any) -> None:
        self.hit("replace")
        REAL_REPLACE(source, target, **kwargs)
        self.unnamed.discard(str(source))
        self.unnamed.add(str(target))
        if str(source) in self.dirty:
            self.dirty.remove(str(source))
            self.dirty.add(str(target))

    def _named(self, name: str, real: Callable[..., None]) -> Callable[..., None]:
        def call(path: Any, *args: Any, **kwargs: Any) -> None:
            if self.inside(path) and "dir_fd" not in kwargs:
                self.hit(name)
            real(path, *args, **kwargs)

        return call

    def _statement(self, _c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        word = statement.lstrip().split(" ", 1)[0].upper()
        if word in ("INSERT", "UPDATE", "DELETE"):
            self.hit(word, can_fail=False)


def cut_power(root: Path) -> None:
    """Do to the files what losing power would have done to what :class:`Points` knew as not durable.

    Unsynced files lose their content; files whose name was not made durable are gone. The database's own
    files are left to SQLite's own promises.
    """
    memory = Path(f"{root}.cut")
    lost = {
        kind: [str(root / name) for name in names] for kind, names in json.loads(memory.read_text()).items()
    }
    memory.unlink()
    for name in lost["dirty"]:
        if os.path.exists(name) and "hydra.db" not in name:
            os.truncate(name, 0)
    for name in lost["unnamed"]:
        if "hydra.db" not in name and os.path.isfile(name):
            os.unlink(name)
