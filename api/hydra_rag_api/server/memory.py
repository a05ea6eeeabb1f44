"""What the server process does about its memory: for processes of their own, not for apps inside others.

The interpreter looks for cyclic garbage by walking over all objects and lets no other thread run meanwhile.
With a model's libraries loaded these are hundreds of thousands, which stay for ever: a third of a second and
more in which no client gets as much as a refusal. So what was there when the model had loaded is taken out of
the search, and while it loads (nearly nothing of that is garbage) there is none.
"""

from __future__ import annotations

import ctypes
import gc

__all__ = ["forget_lasting", "hold_collections", "share_heaps"]

_ARENA_MAX = -8  # of malloc.h


def hold_collections() -> None:
    """No search for garbage until :func:`forget_lasting`."""
    gc.disable()


def forget_lasting() -> None:
    """Search for garbage once, then leave what is left alone and search among new objects only."""
    gc.collect()
    gc.freeze()
    gc.enable()


def share_heaps() -> None:
    """The C library gives threads heaps of their own and keeps what is freed in the middle of them; with the
    large pictures and tensors of a dozen threads that is memory of the whole server several times over."""
    try:
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 2)
    except (OSError, AttributeError):  # another C library, which has no such heaps
        return
