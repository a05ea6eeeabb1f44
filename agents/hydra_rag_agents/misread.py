"""Letters that are read for each other: small print makes "Stze" of "Size" and "Ttel" of "Tel"."""

from __future__ import annotations

__all__ = ["ALIKE", "looks_like"]

ALIKE = frozenset(
    frozenset(pair)
    for pair in "il ij it lt rt ce co eo ao oq uv nh hl mn hb gq 0o 1l 1i 5s $s 8b 6b 2z".split()
)
#: Thin letters, which are lost, or seen where there is only a line.
_THIN = frozenset("ilt1")
#: Two letters alone may be anything.
_LEAST = 3


def looks_like(read: str, word: str) -> bool:
    """Whether ``read`` (in small letters) may be ``word``: with one letter that is read for another, or one
    that is thin, or stands twice, too many or too few."""
    short, long = sorted((read, word), key=len)
    if len(short) < _LEAST or len(long) - len(short) > 1:
        return False
    at = next((i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    if len(short) == len(long):
        return short[at + 1 :] == long[at + 1 :] and frozenset((short[at:][:1], long[at:][:1])) in ALIKE
    extra = long[at]
    return short[at:] == long[at + 1 :] and (extra in _THIN or extra == long[at - 1 : at])
