"""Values of one turn. No torch, no SQL. Boxes are in pixels of the stored page image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from hydra_rag.errors import UsageError
from hydra_rag.geometry import Box

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "Answer",
    "AskSettings",
    "Budget",
    "Candidate",
    "Citation",
    "Cost",
    "PageId",
    "ReaderProfile",
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
    """Hard limits of one turn. ``pages`` counts every time that a whole page is shown, ``crops`` every part.
    ``seconds`` ends what the model is doing."""

    steps: int = 18
    pages: int = 8
    crops: int = 5
    searches: int = 4
    tokens: int = 65_536
    seconds: float = 600.0

    def allows(self, spent: Cost, more: Cost) -> bool:
        """Whether ``spent`` plus ``more`` stays inside every limit (time is checked by the loop)."""
        total = spent.plus(more)
        return all(getattr(total, f.name) <= getattr(self, f.name) for f in fields(Cost))


@dataclass(frozen=True, slots=True)
class AskSettings:
    """Everything about a turn that is not the question; stored with it, so that it can be replayed.

    ``k``: pages to retrieve. ``pages``: pages to look at (one more where a second search is needed).
    ``gaze``: look closer where it helps, never, or always. ``text_layer``: prompts carry lines of
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
        """With gazes allowed there is room for one page of a second search, looks, crops and checks."""
        if self.gaze == "never":
            return Budget(self.pages + 5, self.pages, 0, 3, self.tokens, self.seconds)
        return Budget(self.pages + 15, self.pages + 5, 5, 4, self.tokens, self.seconds)

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
    """One question in its conversation. ``query`` is what retrieval is asked (history folded in).
    ``earlier_pages``: cited last, where the question leans on them; they come ``earlier_first``, or else
    their documents do, page by page as the search finds them."""

    question: str
    settings: AskSettings
    image: Image.Image | None = None
    query: str = ""
    prompt_question: str = ""
    history: tuple[tuple[str, str], ...] = ()
    earlier_pages: tuple[PageId, ...] = ()
    earlier_first: bool = True

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
    layer a prompt may carry (0: none). ``threshold``: confidence under which an answer is not given,
    ``threshold_text``: the same where the page has a text layer (``None``: no other one).
    ``sure``: confidence of the first page's answer at which no further page is asked. ``bound``: answers
    are chosen among the runs of words that the page's text layer holds (models with one token a character);
    ``bound_image``: with the image beside the lines they are chosen from.
    ``beside``: a crop is shown beside its page (models of one image a prompt see the crop alone).
    ``crop_scale``: crops have at most so many times the pixels of the stored page; ``text_px``: height of
    text lines that the model reads best, to which crops are scaled (0: always ``crop_scale``).
    ``context``: least width and height of a crop shown alone, as parts of the page. ``refusal_bias``,
    ``refusal_bias_text``: brakes on refusals without and with a text layer (``hydra_rag.refusal_bias``).
    """

    style: Literal["nano", "instruct"] = "instruct"
    image_tokens: int = 1024
    text_chars: int = 4000
    max_new_tokens: int = 256
    threshold: float = 0.2
    threshold_text: float | None = None
    sure: float = 0.9
    bound: bool = False
    bound_image: bool = True
    beside: bool = True
    crop_scale: float = 2.0
    text_px: int = 0
    context: tuple[float, float] = (0.0, 0.0)
    refusal_bias: float = 0.0
    refusal_bias_text: float = 0.0

    def threshold_for(self, printed: bool) -> float:
        """Confidence under which an answer is not given; ``printed``: from a page with a text layer."""
        return self.threshold_text if printed and self.threshold_text is not None else self.threshold
