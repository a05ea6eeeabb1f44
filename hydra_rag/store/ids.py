"""Sortable identifiers: 48 bits of milliseconds and 80 random bits in Crockford's base 32 (as ULID)."""

from __future__ import annotations

import hashlib
import os
import threading
import time

__all__ = ["new_id", "tenant_folder"]

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """26 characters; ids of one process grow strictly, ids of several sort by millisecond."""
    global _last
    with _lock:
        value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
        # Within one millisecond (or after the clock stepped back) count up instead of drawing anew.
        _last = value if value > _last else _last + 1
        value = _last
    return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))


def tenant_folder(tenant: str) -> str:
    """Folder name of a tenant: a hash, because a tenant's name is a label and never a path."""
    return hashlib.sha256(tenant.encode("utf-8", "surrogatepass")).hexdigest()[:16]
