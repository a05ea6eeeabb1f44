"""Values of the tool table: arguments, options, results, and which documents are meant."""

from __future__ import annotations

import fnmatch
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from hydra_rag.errors import NotFoundError, UsageError
from hydra_rag.geometry import Box
from hydra_rag_agents.sources import FoundPage, Source, Tell

__all__ = [
    "AskDocuments",
    "Call",
    "Images",
    "ListDocuments",
    "LookAt",
    "Mode",
    "Options",
    "Picture",
    "SearchPages",
    "ToolOutput",
    "ToolSpec",
    "choose_documents",
    "name_like",
]

Images = Literal["none", "page", "crops"]
Mode = Literal["visual", "text", "hybrid"]


@dataclass(frozen=True, slots=True)
class Options:
    """Set by the program, not by the model. ``images``: what is shown of a page: nothing, all of it, or the
    part that matters. ``edge``: longest side of a picture in pixels. ``ask``: settings of questions."""

    k: int = 5
    mode: Mode | None = None
    documents: Sequence[str] | None = None
    filter: Mapping[str, Any] = field(default_factory=dict)
    score_threshold: float | None = None
    images: Images = "crops"
    max_images: int = 4
    edge: int = 1024
    text_chars: int = 1500
    ask: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """What a running tool has. ``stop``: setting it ends the call."""

    source: Source
    options: Options = Options()
    tell: Tell | None = None
    stop: threading.Event | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """PNG bytes of ``box`` of a page."""

    png: bytes
    page: FoundPage
    box: Box


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """``parts``: text and pictures in the order in which a model should see them."""

    parts: tuple[str | Picture, ...]
    data: dict[str, Any]
    pages: tuple[FoundPage, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """``run(call, arguments)``. ``model``: whether it may need the model's time. ``reads``: whether it leaves
    everything as it was (a question adds a turn to its session)."""

    name: str
    title: str
    description: str
    arguments: type[BaseModel]
    run: Callable[[Call, Any], ToolOutput]
    model: bool = False
    reads: bool = True


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


_Words = Annotated[str, StringConstraints(min_length=1, max_length=8000, pattern=r"[^\s\x00-\x1f]")]
_Documents = Annotated[
    list[str] | None,
    Field(
        max_length=100,
        description="Only these documents: ids, file names or patterns such as *.pdf. Default: all.",
    ),
]


class SearchPages(_Arguments):
    query: Annotated[_Words, Field(description="What to look for: words, a question, a description.")]
    k: Annotated[int | None, Field(ge=1, le=50, description="Number of pages.")] = None
    documents: _Documents = None


class LookAt(_Arguments):
    document: Annotated[str, Field(min_length=1, description="A document's id, or its file name.")]
    page: Annotated[int, Field(ge=1, description="Page number, counted from 1.")]
    box: Annotated[
        list[int] | None,
        Field(
            min_length=4,
            max_length=4,
            description="[left, top, right, bottom] in pixels of the page, for a closer look at a part. "
            "Default: the whole page.",
        ),
    ] = None


class AskDocuments(_Arguments):
    question: Annotated[_Words, Field(description="A whole question in words.")]
    session_id: Annotated[
        str | None, Field(description="The session_id of an earlier answer, to go on from it.")
    ] = None
    documents: _Documents = None


class ListDocuments(_Arguments):
    pattern: Annotated[str | None, Field(description="Only file names like this, such as *.pdf.")] = None
    after: Annotated[str | None, Field(description="Go on behind the document with this document_id.")] = None


def choose_documents(
    source: Source,
    named: Sequence[str] | None,
    allowed: Sequence[str] | None = None,
    filter: Mapping[str, Any] | None = None,
) -> list[str] | None:
    """Ids of the documents that are meant; ``None`` for all of them.

    ``named`` (by the model) and ``allowed`` (by the program): ids, file names, patterns; both must hold.
    ``filter``: values, or lists of values, of ``document_id``, ``document`` and ``media_type``. Raises
    :class:`NotFoundError` when ``named`` names what there is not; ``allowed`` and ``filter`` just match less.
    """
    if named is None and allowed is None and not filter:
        return None
    listed = source.documents()
    for key in filter or {}:
        if key not in ("document_id", "document", "media_type"):
            raise UsageError(
                f"Documents can't be filtered by {key!r}: use document_id, document, media_type."
            )
    chosen = [info for info in listed if allowed is None or any(_is(info, name) for name in allowed)]
    for key, value in (filter or {}).items():
        values = [value] if isinstance(value, str) else list(value)
        chosen = [info for info in chosen if info[key] in values]
    if named is not None:
        missing = [name for name in named if not any(_is(info, name) for info in chosen)]
        if missing:
            raise NotFoundError(
                f"There is no document {', '.join(missing)}: list_documents tells what there is."
            )
        chosen = [info for info in chosen if any(_is(info, name) for name in named)]
    return [info["document_id"] for info in chosen]


def _is(info: Mapping[str, Any], name: str) -> bool:
    return bool(info["document_id"] == name or info["document"] == name or name_like(info["document"], name))


def name_like(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name.casefold(), pattern.casefold())
