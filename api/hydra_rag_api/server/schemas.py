"""Bodies of the native endpoints."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from hydra_rag_api.server.deps import Bool, DataUri, Id, Int, Number, Text

__all__ = [
    "Answer", "AskRequest", "Citation", "Document", "DocumentList", "DocumentPages", "FeedbackRequest",
    "HeatMap", "Hit", "Job", "JobList", "PageInfo", "Problem", "RegionList", "SearchRequest", "SearchResult",
    "Session", "SessionDetail", "SessionList", "SessionPatch", "Turn", "WordList",
]  # fmt: skip

Mode = Literal["visual", "text", "hybrid"]
Gaze = Literal["auto", "never", "always"]
Question = Annotated[Text, StringConstraints(min_length=1, max_length=8000, pattern=r"[^\s\x00-\x1f]")]
Title = Annotated[Text, StringConstraints(min_length=1, max_length=200, pattern=r"[^\s\x00-\x1f]")]
#: (left, top, right, bottom) in pixels of the stored page image, half-open.
BoxOut = Annotated[list[int], Field(min_length=4, max_length=4)]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ErrorDetail(BaseModel):
    message: str
    type: str
    param: str | None
    code: str


class Problem(BaseModel):
    """RFC 9457 problem details; ``error`` is the same in OpenAI's form."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None
    error: ErrorDetail


class FileError(BaseModel):
    code: str
    message: str


class JobFile(BaseModel):
    name: str
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    document_id: str | None
    outcome: Literal["indexed", "unchanged", "replaced"] | None
    bytes: int | None
    pages_done: int
    pages_total: int | None
    error: FileError | None


class Job(BaseModel):
    """One upload. ``succeeded`` when at least one of its files was ingested."""

    job_id: str
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    collection: str
    created: str
    updated: str
    files_total: int
    files_done: int
    files_failed: int
    pages_done: int
    files: list[JobFile]


class JobList(BaseModel):
    jobs: list[Job]
    has_more: bool


class Document(BaseModel):
    document_id: str
    document: str
    status: Literal["ready", "working"]
    pages: int
    bytes: int
    media_type: str | None
    added: str


class DocumentList(BaseModel):
    documents: list[Document]
    has_more: bool


class PageInfo(BaseModel):
    page: int
    width: int
    height: int
    label: str | None
    has_text: bool
    text_source: Literal["layer", "ocr", "model"] | None = Field(
        description="where its words came from: the file, the ocr extra, or the model's own reading"
    )


class FailedPage(BaseModel):
    page: int
    code: str
    message: str


class DocumentPages(Document):
    page_list: list[PageInfo]
    failed_pages: list[FailedPage]


class WordOut(BaseModel):
    text: str
    box: BoxOut


class WordList(BaseModel):
    width: int
    height: int
    words: list[WordOut]


class Region(BaseModel):
    box: BoxOut
    score: float


class RegionList(BaseModel):
    width: int
    height: int
    regions: list[Region]


class Token(BaseModel):
    """``weight``: how much this token says about where to look on this page; the weights add up to 1.
    ``asked``: a part of the query, not of the words that the model puts round every query."""

    index: int
    text: str
    asked: bool
    weight: float


class HeatMap(BaseModel):
    """``values``: strength of every cell, 0 to 1, in the order of ``boxes``."""

    width: int
    height: int
    score: float
    grid: list[int] | None
    boxes: list[BoxOut]
    values: list[float]
    tokens: list[Token]


class SearchRequest(_In):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"query": "total of the invoice", "k": 5}]}
    )

    query: Annotated[Text, StringConstraints(max_length=8000)] | None = None
    image: DataUri | None = None
    k: Int = Field(10, ge=1, le=100)
    mode: Mode = "hybrid"
    gaze: Gaze = Field("auto", description="With words and an image: search with the part they are about.")
    documents: Annotated[list[Id], Field(max_length=100)] | None = None


class Hit(BaseModel):
    rank: int
    document_id: str
    document: str
    page: int
    score: float
    sources: dict[str, Any]
    regions: list[Region]


class SearchResult(BaseModel):
    hits: list[Hit]
    steps: list[dict[str, Any]]


class AskRequest(_In):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"question": "What is the total?", "stream": False}]}
    )

    question: Question
    image: DataUri | None = None
    session_id: Id | None = Field(None, description="Go on with this session.")
    k: Int | None = Field(None, ge=1, le=20, description="Pages to retrieve.")
    pages: Int | None = Field(None, ge=1, le=10, description="Pages to look at.")
    mode: Mode | None = None
    gaze: Gaze | None = None
    text_layer: Bool | None = None
    threshold: Number | None = Field(None, ge=0, le=1)
    max_new_tokens: Int | None = Field(None, ge=1, le=2048)
    seed: Int | None = Field(None, ge=0, le=2**31 - 1)
    documents: Annotated[list[Id], Field(max_length=100)] | None = None
    stream: Bool = Field(True, description="Server-sent events; else one JSON document at the end.")


class Citation(BaseModel):
    document_id: str
    document: str
    page: int
    box: BoxOut | None
    quote: str | None


class Answer(BaseModel):
    status: Literal["answered", "not_found"]
    answer: str
    confidence: float
    citations: list[Citation]
    steps: list[dict[str, Any]]
    session_id: str
    turn_id: str


class Turn(BaseModel):
    turn_id: str
    question: str
    answer: str | None
    status: Literal["running", "answered", "not_found", "interrupted", "failed"]
    confidence: float | None
    citations: list[Citation]
    steps: list[dict[str, Any]]
    asked: str
    feedback: Int | None = None
    has_image: Bool = False


class Session(BaseModel):
    session_id: str
    title: str | None
    turns: int
    collection: str
    created: str
    updated: str


class SessionList(BaseModel):
    sessions: list[Session]
    has_more: bool


class SessionDetail(BaseModel):
    """``has_more``: the session has turns before these."""

    session: Session
    turns: list[Turn]
    has_more: bool


class SessionPatch(_In):
    title: Title


class FeedbackRequest(_In):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"rating": 1}]})

    rating: Literal[-1, 1]
    comment: Annotated[Text, StringConstraints(max_length=4000)] | None = None
