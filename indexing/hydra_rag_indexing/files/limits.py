"""What one file may cost. Every limit is on by default; passing one is a :class:`FileError`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

__all__ = ["Limits"]

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds for reading one file. Times are seconds of waiting for the parser, not of the caller's own work.

    ``page_pixels`` caps the stored image of a rendered page (its resolution falls, its shape stays);
    ``image_pixels`` is what an image file may hold at most. ``parser_restarts``: how many pages of a file may
    crash the parser or take too long before the file is given up. ``memory_bytes`` is the address space of
    the parser process. ``office_*`` are for what LibreOffice converts; ``archive_*`` for what its container
    may unpack to.
    """

    file_bytes: int = 200 * MIB
    text_bytes: int = 10 * MIB
    pages: int = 10_000
    page_pixels: int = 16_800_000
    image_pixels: int = 40_000_000
    aspect_ratio: float = 200.0
    parser_restarts: int = 3
    page_words: int = 100_000
    page_seconds: float = 20.0
    file_seconds: float = 3600.0
    memory_bytes: int = 2048 * MIB
    office_seconds: float = 120.0
    office_memory_bytes: int = 8192 * MIB
    archive_bytes: int = 500 * MIB
    archive_members: int = 10_000
    archive_ratio: float = 200.0

    def to_dict(self) -> dict[str, int | float]:
        """Plain numbers, for the message that opens a file in the parser process."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, int | float]) -> Limits:
        """The inverse of :meth:`to_dict`; unknown names are ignored."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})  # type: ignore[arg-type]
