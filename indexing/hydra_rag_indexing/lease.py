"""The write lease: one process writes vectors at a time, and a stale writer cannot commit.

``flock`` on ``<store>/lock`` keeps honest processes apart and is dropped by the kernel when its holder
dies. Safety does not rest on it: taking the lease raises ``writer_epoch`` in SQL, and every commit that
touches vectors checks that its own epoch is still the newest (a fencing token).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import time
from pathlib import Path

from sqlalchemy.orm import Session

from hydra_rag.errors import StoreBusyError, StoreError
from hydra_rag.store import meta
from hydra_rag.store.store import Store

__all__ = ["WriteLease"]

_POLL_S = 0.2


class WriteLease:
    """Held from :meth:`acquire` to :meth:`release`; a context manager."""

    def __init__(self, store: Store, handle: int, epoch: int) -> None:
        self.store = store
        self.epoch = epoch
        self._handle: int | None = handle

    @classmethod
    def acquire(cls, store: Store, *, wait_s: float = 0.0) -> WriteLease:
        """Take the lease, waiting up to ``wait_s`` seconds.

        Raises :class:`StoreBusyError`, which names the holder, when another process (or another thread
        with a lease of its own) has it.
        """
        deadline = time.monotonic() + wait_s
        while (lease := cls.try_acquire(store)) is None:
            if time.monotonic() >= deadline:
                raise StoreBusyError(busy_message(store))
            time.sleep(_POLL_S)
        return lease

    @classmethod
    def try_acquire(cls, store: Store) -> WriteLease | None:
        """The lease, or ``None`` when somebody else holds it."""
        try:
            handle = os.open(store.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(
                f"The store {store.directory} can't be written ({error.strerror}): check its permissions.",
                code="storage",
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        except OSError as error:
            os.close(handle)
            raise StoreError(
                f"The folder {store.directory} does not support file locks ({error.strerror}): "
                "keep the store on a local disk."
            ) from error
        try:
            with store.write() as db:
                epoch = meta.take_epoch(db, os.getpid(), socket.gethostname())
            lease = cls(store, handle, epoch)
            lease._empty_tmp()
        except BaseException:
            os.close(handle)
            raise
        return lease

    @property
    def tmp(self) -> Path:
        """Where the holder writes unfinished files; emptied whenever the lease is taken."""
        return self.store.tmp_dir / "writer"

    def fence(self, db: Session, *, visible: bool = True) -> None:
        """Put the epoch check into a write transaction; call it first. Raises when the lease is lost.

        ``visible``: the transaction changes what a search can find, so snapshots must be refreshed.
        """
        if self._handle is None:
            raise StoreBusyError("The write lease was given back: take it again before writing.")
        meta.fence(db, self.epoch, visible=visible)

    def release(self) -> None:
        """Give the lease back (closing the file drops the lock)."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _empty_tmp(self) -> None:
        shutil.rmtree(self.tmp, ignore_errors=True)
        self.tmp.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> WriteLease:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def busy_message(store: Store) -> str:
    """Who holds the lease, in words."""
    with store.session() as db:
        who = meta.holder(db)
    since = f" since {who.since:%Y-%m-%d %H:%M:%S} UTC" if who.since else ""
    return (
        f"Process {who.pid} on {who.host} is writing to this store{since}: "
        "wait until it is done and try again."
    )
