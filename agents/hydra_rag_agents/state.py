"""Values of one turn, and the two small protocols that the agent needs: a reader and a library.

No torch, no SQL: a test passes fakes. Boxes are in pixels of the stored page image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from hydra_rag.errors import UsageError
from hydra_rag.geometry import Box
from hydra_rag.values import GenerationResult, MultiVector, QueryItem, TextDelta, Word

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "Answer",
    "AskSettings",
    "Budget",
    "Candidate",
    "Citation",
    "Cost",
    "Library",
    "PageId",
    "Reader",
    "ReaderProfile",
    "Reading",
    "Step",
    "Turn",
]

Mode = Literal["visual", "text", "hybrid"]
GazeChoice = Literal["auto", "never", "always"]
Status = Literal["answered", "not_found", "interrupted", "failed"]


class PageId(NamedTuple):
    """A page of the library; ``page`` is 1-based."""

    document_id: str
    page: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A page that retrieval found. ``regions``: (box, score) from the similarity map, best first."""

    id: PageId
    document: str
    score: float
    rank: int
    sources: Mapping[str, Any] = field(default_factory=dict)
    regions: tuple[tuple[Box, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Citation:
    """Where an answer stands. ``quote`` is text of the page's own text layer, never of the model."""

    document_id: str
    document: str
    page: int
    box: Box | None = None
    quote: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "document_id": self.document_id,
            "document": self.document,
            "page": self.page,
            "box": list(self.box) if self.box else None,
            "quote": self.quote,
        }


@dataclass(frozen=True, slots=True)
class Step:
    """One thing the agent did: ``action`` is glance, gaze, search, reflect or answer."""

    action: str
    detail: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {"action": self.action, **self.detail}


@dataclass(frozen=True, slots=True)
class Answer:
    """How a turn ended."""

    status: Status
    text: str
    confidence: float
    citations: tuple[Citation, ...] = ()


@dataclass(frozen=True, slots=True)
class Cost:
    """What an action may use at most, or what a run has used so far."""

    steps: int = 0
    pages: int = 0
    crops: int = 0
    searches: int = 0
    tokens: int = 0

    def plus(self, other: Cost) -> Cost:
        return Cost(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Cost)))


@dataclass(frozen=True, slots=True)
class Budget:
    """Hard limits of one turn. ``seconds`` ends a generation that is still going on."""

    steps: int = 8
    pages: int = 3
    crops: int = 3
    searches: int = 3
    tokens: int = 65_536
    seconds: float = 600.0

    def allows(self, spent: Cost, more: Cost) -> bool:
        """Whether ``spent`` plus ``more`` stays inside every limit (time is checked by the loop)."""
        total = spent.plus(more)
        return all(getattr(total, f.name) <= getattr(self, f.name) for f in fields(Cost))


@dataclass(frozen=True, slots=True)
class AskSettings:
    """Everything about a turn that is not the question; stored with it, so that it can be replayed.

    ``k``: pages to retrieve. ``pages``: pages to show at most. ``text_layer``: prompts carry lines of
    the text layer (where the model can use them) and answers are checked against it.
    ``threshold``: an answer of lower confidence becomes "not found"; ``None`` means the model's own.
    """

    k: int = 5
    pages: int = 3
    mode: Mode = "hybrid"
    gaze: GazeChoice = "auto"
    text_layer: bool = True
    threshold: float | None = None
    max_new_tokens: int | None = None
    documents: tuple[str, ...] | None = None
    seed: int = 0
    tokens: int = 65_536
    seconds: float = 600.0

    def __post_init__(self) -> None:
        if self.k < 1 or self.pages < 1:
            raise UsageError("k and pages must be 1 or more")
        if self.mode not in ("visual", "text", "hybrid"):
            raise UsageError(f"mode {self.mode!r} is not one of visual, text, hybrid")
        if self.gaze not in ("auto", "never", "always"):
            raise UsageError(f"gaze {self.gaze!r} is not one of auto, never, always")

    def budget(self) -> Budget:
        return Budget(pages=self.pages, steps=self.pages + 5, tokens=self.tokens, seconds=self.seconds)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "documents": list(self.documents) if self.documents is not None else None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> AskSettings:
        """Unknown keys (of a newer program) are left out."""
        known = {f.name for f in fields(cls)}
        values = {key: value for key, value in data.items() if key in known}
        if values.get("documents") is not None:
            values["documents"] = tuple(values["documents"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Turn:
    """One question in its conversation. ``query`` is what retrieval is asked (history folded in)."""

    question: str
    settings: AskSettings
    image: Image.Image | None = None
    query: str = ""
    prompt_question: str = ""
    history: tuple[tuple[str, str], ...] = ()
    earlier_pages: tuple[PageId, ...] = ()

    @property
    def search_text(self) -> str:
        return self.query or self.question

    @property
    def asked(self) -> str:
        """The question as the model is asked it."""
        return self.prompt_question or self.question


@dataclass(frozen=True, slots=True)
class ReaderProfile:
    """What a model can take. ``style`` decides prompts and whether pages share a prompt.

    ``image_tokens``: upper bound of visual tokens an image costs. ``text_chars``: characters of text
    layer a prompt may carry (0: none). ``threshold``: confidence under which an answer is not given.
    ``sure``: confidence of the first page's answer at which no further page is asked. ``bound``: answers
    are kept to runs of words that the page's text layer holds (models with one token a character).
    """

    style: Literal["nano", "instruct"] = "instruct"
    image_tokens: int = 1024
    text_chars: int = 4000
    max_new_tokens: int = 256
    threshold: float = 0.2
    sure: float = 0.9
    bound: bool = False


class Reading(Protocol):
    """A generation under way: iterate for deltas; ``result`` is there once they end."""

    def __iter__(self) -> Iterator[TextDelta]: ...

    @property
    def result(self) -> GenerationResult: ...

    def close(self) -> None:
        """Stop early and free the model. Calling it twice, or after the end, does nothing."""
        ...


class Reader(Protocol):
    """The answer view of a model, and its query embedding."""

    @property
    def profile(self) -> ReaderProfile: ...

    @property
    def fingerprint(self) -> str: ...

    def read(
        self,
        images: Sequence[Image.Image],
        text: str,
        *,
        max_new_tokens: int,
        seed: int,
        evidence: Sequence[str] = (),
    ) -> Reading:
        """Start reading. ``evidence``: lines that the answer must be a part of (none: anything goes)."""
        ...

    def tokens(self, images: int, text: str, max_new_tokens: int) -> int:
        """Upper bound of what :meth:`read` may use: prompt and new tokens together."""
        ...

    def embed(self, item: QueryItem) -> MultiVector: ...


class Library(Protocol):
    """The pages that the agent may look at; an indexed collection, or a fake."""

    def find(
        self, query: QueryItem, k: int, *, mode: str, documents: Sequence[str] | None
    ) -> list[Candidate]: ...

    def candidate(self, page: PageId) -> Candidate | None:
        """The page as a candidate, or ``None`` when it is gone."""
        ...

    def image(self, page: PageId) -> Image.Image: ...

    def crop(self, page: PageId, box: Box) -> Image.Image:
        """A part of the page, with more pixels than the page image has where the file allows."""
        ...

    def words(self, page: PageId) -> Sequence[Word]: ...

    def vectors(self, page: PageId) -> MultiVector | None: ...

    def likeness(self, query: MultiVector, page: PageId) -> float:
        """MaxSim of the query and the page's stored vectors (-inf where there are none)."""
        ...

    def regions(self, query: MultiVector, page: PageId, top: int = 3) -> list[tuple[Box, float]]:
        """Boxes of the page most similar to the query, best first."""
        ...
