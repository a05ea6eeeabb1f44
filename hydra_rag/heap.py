"""Memory that the process has freed, given back to the system.

Patches and activations have as many sizes as pages have, and what is kept of each page lies between them, so
the C library's heap grows from page to page although little of it is in use.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

__all__ = ["give_back"]


def give_back() -> None:
    """Let the C library return its free pages (glibc; elsewhere nothing happens). Takes milliseconds."""
    if (trim := _trim()) is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # not glibc, or Windows, where None names no library
        return None
