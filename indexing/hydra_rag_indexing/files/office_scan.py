"""A look into an Office file before LibreOffice may open it.

LibreOffice follows links to pictures, sections and objects while it converts, so a document could pull local
files or addresses of the local network into its own pages. Such documents are refused here, as are archives
that unpack to far more than they weigh. XML is read by the standard library with document types forbidden,
so there are no entities to expand or to fetch.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from xml.etree.ElementTree import Element, ParseError, iterparse

from hydra_rag.errors import FileError
from hydra_rag_indexing.files.limits import Limits

__all__ = ["scan_office"]

#: External relations of OOXML that LibreOffice shows as text, ignores, or never updates when converting.
_HARMLESS = ("hyperlink", "attachedTemplate", "externalLinkPath", "mailMergeSource", "mailMergeHeaderSource")
_HREF = "{http://www.w3.org/1999/xlink}href"
#: ODF elements whose link is only followed when a reader clicks it.
_CLICKED = ("}a", "}event-listener", "}template", "}script", "}image-map", "}area-rectangle", "}area-circle")
_FIELD = re.compile(rb"\b(INCLUDEPICTURE|INCLUDETEXT|DDEAUTO|DDE|RD)\b")
_RTF_LINK = re.compile(
    rb"\\fldinst[^}]{0,200}\b(INCLUDEPICTURE|INCLUDETEXT|DDEAUTO|DDE)\b|\\objautlink|\\objlink"
)
_OUTSIDE = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]*:|/|\\|\.\.)")


def scan_office(path: Path, media_type: str, limits: Limits) -> None:
    """Raises ``FileError`` for archive bombs, encrypted files and files that link to others."""
    if media_type == "application/rtf":
        if _RTF_LINK.search(path.read_bytes()):
            raise _linked(path)
        return
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            _weigh(path, archive, limits)
            for name in archive.namelist():
                _member(path, archive, name)
    except FileError:
        raise
    except (zipfile.BadZipFile, ParseError, OSError, ValueError, EOFError, NotImplementedError, RuntimeError):
        raise FileError(
            f"{path.name} is damaged inside; open it in an office program and save it again", code="broken"
        ) from None
    except Exception as error:  # zlib.error and lzma errors have no common base
        raise FileError(
            f"{path.name} can't be unpacked ({type(error).__name__}); save it again", code="broken"
        ) from None


def _weigh(path: Path, archive: zipfile.ZipFile, limits: Limits) -> None:
    members = archive.infolist()
    total = sum(member.file_size for member in members)
    packed = max(1, path.stat().st_size)
    bomb = total > 16 * 1024 * 1024 and total / packed > limits.archive_ratio
    if len(members) > limits.archive_members or total > limits.archive_bytes or bomb:
        raise FileError(
            f"{path.name} unpacks to {total} bytes in {len(members)} parts, which is over the limits; "
            "split the document or export it as PDF",
            code="too_large",
        )


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> None:
    if name.endswith(".rels"):
        with archive.open(name) as stream:
            for element in _elements(path, stream):
                kind = element.get("Type", "").rsplit("/", 1)[-1]
                if element.get("TargetMode", "").lower() == "external" and kind not in _HARMLESS:
                    raise _linked(path)
    elif name.startswith("word/") and name.endswith(".xml"):
        with archive.open(name) as stream:
            for element in _elements(path, stream):
                code = (
                    element.text if element.tag.endswith("}instrText") else element.get(_w(element, "instr"))
                )
                if code and _FIELD.search(code.encode("utf-8", "replace")):
                    raise _linked(path)
    elif name.rsplit("/", 1)[-1] in ("content.xml", "styles.xml"):
        with archive.open(name) as stream:
            for element in _elements(path, stream):
                target = element.get(_HREF)
                if target and _OUTSIDE.match(target) and not element.tag.endswith(_CLICKED):
                    raise _linked(path)
    elif name == "META-INF/manifest.xml":
        with archive.open(name) as stream:
            if any(element.tag.endswith("}encryption-data") for element in _elements(path, stream)):
                raise FileError(
                    f"{path.name} is protected by a password; save a copy without one", code="encrypted"
                )


def _w(element: Element, name: str) -> str:
    return element.tag[: element.tag.find("}") + 1] + name


def _elements(path: Path, stream: IO[bytes]) -> Iterator[Element]:
    """Elements as they end, emptied behind us. A document type is refused before the parser sees it."""
    for _, element in iterparse(_Checked(path, stream), events=("end",)):
        yield element
        element.clear()


class _Checked:
    """A stream that refuses document types. Encodings that do not keep ASCII are refused too."""

    def __init__(self, path: Path, stream: IO[bytes]) -> None:
        self.path, self.stream, self.tail = path, stream, b""

    def read(self, size: int = -1) -> bytes:
        data = self.stream.read(size)
        window = (self.tail + data).lower()
        if b"<!doctype" in window or b"<!entity" in window or b"\x00" in data:
            raise FileError(
                f"{self.path.name} holds XML of a kind that Office programs do not write; export it as PDF",
                code="unsupported",
            )
        self.tail = window[-16:]
        return data


def _linked(path: Path) -> FileError:
    return FileError(
        f"{path.name} takes pictures or text from other files, which is not followed; "
        "embed them or export it as PDF",
        code="unsupported",
    )
