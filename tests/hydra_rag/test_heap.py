"""Freed memory goes back to the system."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hydra_rag.heap import give_back

_BLOCK, _COUNT = 100_000, 2_000  # below the size from which the C library maps each block alone


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


@pytest.mark.skipif(sys.platform != "linux", reason="reads the process's size from /proc")
def test_what_lies_free_between_kept_blocks_goes_back() -> None:
    kept, large = [], []
    for number in range(_COUNT):
        large.append(bytearray(b"x") * _BLOCK)
        kept.append(bytes([number % 251]) * 700)
    before = _resident()
    large.clear()
    give_back()
    assert before - _resident() > _BLOCK * _COUNT * 0.8
    assert len(kept) == _COUNT
