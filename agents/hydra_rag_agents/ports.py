"""The two small protocols that the agent needs: a reader (the model) and a library (the pages).

No torch, no SQL: a test passes fakes. Boxes are in pixels of the stored page image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from hydra_rag.geometry import Box
from hydra_rag.values import GenerationResult, MultiVector, QueryItem, TextDelta, Word
from hydra_rag_agents.gate import Gate
from hydra_rag_agents.state import Candidate, PageId, ReaderProfile

if TYPE_CHECKING:
    from PIL import Image

    from hydra_rag.saliency.maps import SaliencyMap

__all__ = ["EvidenceLine", "Library", "Reader", "Reading", "Transcribed"]


class WordPrior(NamedTuple):
    """How likely an answer is to begin with a word, and to end with it once it has come there; how much the
    layout supports one that begins here, also beside other pages; how well its cell answers beside the
    page's best one. All 0 to 1. ``opens``: whether it begins what its cell may answer; ``prose``: whether
    the cell is a sentence's."""

    begins: float
    ends: float
    supports: float
    place: float = 1.0
    opens: bool = True
    prose: bool = False


class EvidenceLine(NamedTuple):
    """A line that an answer may be taken from. ``priors``: of every word, as white space parts them.
    ``boxes``: where each of the words stands on its page. ``ends``: no answer runs on into the next line."""

    text: str
    priors: tuple[WordPrior, ...]
    boxes: tuple[Box, ...] = ()
    ends: bool = False


class Transcribed(NamedTuple):
    """The words of a picture, boxes in its pixels, and the visual tokens that reading it took."""

    words: tuple[Word, ...]
    tokens: int


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
        evidence: Sequence[EvidenceLine] = (),
    ) -> Reading:
        """Start reading. ``evidence``: lines that the answer must be a part of (none: anything goes)."""
        ...

    def tokens(self, images: int, text: str, max_new_tokens: int) -> int:
        """Upper bound of what :meth:`read` may use: prompt and new tokens together."""
        ...

    def embed(self, item: QueryItem) -> MultiVector: ...

    @property
    def can_read(self) -> bool:
        """Whether there is :meth:`transcribe`."""
        ...

    def transcribe(self, image: Image.Image) -> Transcribed:
        """All words of a picture, in one pass. It takes no more tokens than an image of :meth:`tokens`."""
        ...

    @property
    def gate(self) -> Gate:
        """When this model should look closer."""
        ...

    def look(self, image: Image.Image, question: str) -> SaliencyMap:
        """Where the model looks on ``image`` when it is asked ``question``."""
        ...

    def look_tokens(self, question: str) -> int:
        """Upper bound of the tokens that :meth:`look` runs through the model."""
        ...

    def sharpness(self, width: int, height: int) -> float:
        """Pixels that the model sees per pixel of an image of this size, along a side."""
        ...


class Library(Protocol):
    """The pages that the agent may look at; an indexed collection, or a fake."""

    def find(
        self, query: QueryItem, k: int, *, mode: str, documents: Sequence[str] | None
    ) -> list[Candidate]: ...

    def candidate(self, page: PageId) -> Candidate | None:
        """The page as a candidate, or ``None`` when it is gone."""
        ...

    def image(self, page: PageId) -> Image.Image: ...

    def crop(self, page: PageId, box: Box, scale: float = 2.0) -> Image.Image:
        """A part of the page at ``scale`` times its stored size, drawn anew where the file allows (a file
        of pixels gives its own pixels at most)."""
        ...

    def words(self, page: PageId) -> Sequence[Word]: ...

    def read_by_model(self, page: PageId, box: Box | None = None) -> bool:
        """Whether the words in ``box`` (``None``: all of them) are what the model read of the whole page, and
        not those of a text layer, of another program, or of a closer look."""
        ...

    def vectors(self, page: PageId) -> MultiVector | None: ...

    def likeness(self, query: MultiVector, page: PageId) -> float:
        """MaxSim of the query and the page's stored vectors (-inf where there are none)."""
        ...

    def regions(self, query: MultiVector, page: PageId, top: int = 3) -> list[tuple[Box, float]]:
        """Boxes of the page most similar to the query, best first."""
        ...
