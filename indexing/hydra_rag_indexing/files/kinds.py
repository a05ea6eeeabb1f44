"""What a file is, told from its content; the suffix only decides between kinds of plain text."""

from __future__ import annotations

import os
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path

from hydra_rag.errors import FileError
from hydra_rag_indexing.files.limits import Limits

__all__ = ["Kind", "identify"]

_HEAD = 64 * 1024
_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image", "image/png"),
    (b"\xff\xd8\xff", "image", "image/jpeg"),
    (b"II*\x00", "image", "image/tiff"),
    (b"MM\x00*", "image", "image/tiff"),
    (b"II+\x00", "image", "image/tiff"),
    (b"MM\x00+", "image", "image/tiff"),
    (b"GIF87a", "image", "image/gif"),
    (b"GIF89a", "image", "image/gif"),
    (b"{\\rtf", "office", "application/rtf"),
)
_BRANDS = {
    b"avif": ("image", "image/avif"),
    b"avis": ("image", "image/avif"),
    **dict.fromkeys((b"heic", b"heix", b"mif1", b"heim", b"heis", b"hevc", b"msf1"), ("heif", "image/heic")),
}
_ODF = "application/vnd.oasis.opendocument."
_OOXML = "application/vnd.openxmlformats-officedocument."
_ODF_KINDS = ("text", "spreadsheet", "presentation", "graphics")
_OOXML_PARTS = {
    "word/": _OOXML + "wordprocessingml.document",
    "xl/": _OOXML + "spreadsheetml.sheet",
    "ppt/": _OOXML + "presentationml.presentation",
}
_OLE = {
    ".doc": "application/msword",
    ".dot": "application/msword",
    ".xls": "application/vnd.ms-excel",
    ".ppt": "application/vnd.ms-powerpoint",
    ".pps": "application/vnd.ms-powerpoint",
}
#: A file of one of these names that holds nothing but text is not what it says.
_BINARY_SUFFIXES = frozenset(
    ".pdf .png .jpg .jpeg .webp .tif .tiff .gif .bmp .avif .heic .heif .doc .docx .xls .xlsx .ppt .pptx .odt "
    ".ods .odp .rtf .zip".split()
)
_TEXT_SUFFIXES = frozenset(".txt .md .markdown .csv .tsv .tab .html .htm .xhtml .log .json .xml".split())
_CONTROL = bytes(set(range(32)) - {9, 10, 12, 13, 27}) + b"\x7f"


@dataclass(frozen=True, slots=True)
class Kind:
    """``family``: ``pdf``, ``image``, ``heif``, ``text``, ``csv``, ``markdown``,
    ``html`` or ``office``."""

    family: str
    media_type: str


def identify(path: Path, limits: Limits) -> Kind:
    """The kind of a regular file within ``limits``. Reads its head only. Raises ``FileError``."""
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise FileError(
                f"{path.name} is a folder; name the files or let ingest walk it", code="unsupported"
            )
        if not stat.S_ISREG(status.st_mode):
            raise FileError(f"{path.name} is not a regular file; copy its content to one", code="unreadable")
        with open(path, "rb") as file:
            head = file.read(_HEAD)
    except FileNotFoundError:
        raise FileError(f"there is no file {path}; check the path", code="not_found") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "bad name"
        raise FileError(
            f"{path.name} can't be opened ({reason}); check its permissions", code="unreadable"
        ) from None
    if not head:
        raise FileError(f"{path.name} is empty; nothing to index", code="empty")
    if status.st_size > limits.file_bytes:
        raise FileError(
            f"{path.name} has {status.st_size} bytes and the limit is {limits.file_bytes}; "
            "split it or raise the limit",
            code="too_large",
        )
    return _binary(path, head) or _textual(path, head, status.st_size, limits)


def _binary(path: Path, head: bytes) -> Kind | None:
    if head.lstrip(b"\xef\xbb\xbf \t\r\n\x00").startswith(b"%PDF-"):
        return Kind("pdf", "application/pdf")
    if b"%PDF-" in head[:1024] and (path.suffix.lower() == ".pdf" or not _is_text(head)):
        return Kind("pdf", "application/pdf")
    for magic, family, media_type in _SIGNATURES:
        if head.startswith(magic):
            return Kind(family, media_type)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Kind("image", "image/webp")
    if (
        head[:2] == b"BM"
        and len(head) > 18
        and head[14:18] in {bytes([n, 0, 0, 0]) for n in (12, 40, 52, 56, 64, 108, 124)}
    ):
        return Kind("image", "image/bmp")
    if head[4:8] == b"ftyp" and head[8:12] in _BRANDS:
        return Kind(*_BRANDS[head[8:12]])
    if head.startswith(b"PK\x03\x04"):
        return _zipped(path)
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _compound(path, head)
    return None


def _zipped(path: Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if "mimetype" in names and archive.getinfo("mimetype").file_size < 200:
                declared = archive.read("mimetype").decode("ascii", "replace").strip()
                if declared.startswith(_ODF) and declared.removeprefix(_ODF).split("-")[0] in _ODF_KINDS:
                    return Kind("office", declared)
            for prefix, media_type in _OOXML_PARTS.items():
                if "[Content_Types].xml" in names and any(name.startswith(prefix) for name in names):
                    return Kind("office", media_type)
    except Exception:  # zipfile raises many things on damaged archives
        raise FileError(
            f"{path.name} is a damaged or cut-off archive; get a complete copy of the file", code="broken"
        ) from None
    raise FileError(f"{path.name} is an archive; unpack it and ingest the files inside", code="unsupported")


def _compound(path: Path, head: bytes) -> Kind:
    """Old Office files; an encrypted new one has the same container."""
    with open(path, "rb") as file:
        data = head + file.read(8 * 1024 * 1024)
    if "EncryptedPackage".encode("utf-16-le") in data:
        raise FileError(f"{path.name} is protected by a password; save a copy without one", code="encrypted")
    for stream, media_type in (
        ("WordDocument", _OLE[".doc"]),
        ("Workbook", _OLE[".xls"]),
        ("PowerPoint Document", _OLE[".ppt"]),
    ):
        if stream.encode("utf-16-le") in data:
            return Kind("office", media_type)
    raise FileError(f"{path.name} is not a document that can be read; export it as PDF", code="unsupported")


def _textual(path: Path, head: bytes, size: int, limits: Limits) -> Kind:
    suffix = path.suffix.lower()
    if suffix in _BINARY_SUFFIXES:
        raise FileError(
            f"{path.name} is no {suffix[1:].upper()} file, or its beginning is damaged; get a complete copy",
            code="broken",
        )
    if not _is_text(head):
        if suffix in _TEXT_SUFFIXES:
            raise FileError(
                f"{path.name} is not text in UTF-8, UTF-16 with a byte order mark, or Windows-1252; "
                "save it as UTF-8",
                code="unsupported",
            )
        raise FileError(
            f"{path.name} is of a kind that can't be read; export it as PDF, image or text",
            code="unsupported",
        )
    if size > limits.text_bytes:
        raise FileError(
            f"{path.name} holds {size} bytes of text and the limit is {limits.text_bytes}; split it",
            code="too_large",
        )
    start = head[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")) or suffix in (".html", ".htm", ".xhtml"):
        return Kind("html", "text/html")
    if suffix in (".md", ".markdown"):
        return Kind("markdown", "text/markdown")
    if suffix in (".tsv", ".tab"):
        return Kind("csv", "text/tab-separated-values")
    return Kind("csv", "text/csv") if suffix == ".csv" else Kind("text", "text/plain")


def _is_text(head: bytes) -> bool:
    """Unicode with a byte order mark, or no control characters and hardly anything but text in it."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = head[: len(head) // 2 * 2].decode("utf-16", "replace")
        return text.count("\ufffd") <= len(text) // 100 and "\x00" not in text
    if head.translate(None, _CONTROL) != head:
        return False
    try:
        head[:-4].decode("utf-8") if len(head) == _HEAD else head.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(head) == _HEAD and error.start >= _HEAD - 8:
            return True
        high = sum(byte >= 0x80 for byte in head)
        return high <= len(head) // 3 and not any(0x80 <= byte < 0xA0 for byte in head if byte not in _CP1252)
    return True


#: Bytes 0x80-0x9F that Windows-1252 uses for printable characters.
_CP1252 = frozenset(range(0x80, 0xA0)) - {0x81, 0x8D, 0x8F, 0x90, 0x9D}
