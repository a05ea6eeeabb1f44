"""Which documents a question names: by words of their files, folders and titles, or by what kind they are.

"Who signed the letter?" asks for ``letter.pdf``, "the total in report2023.pdf" for that file. What names all
documents alike, or none, says nothing.
"""

from __future__ import annotations

import math
import operator
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from hydra_rag_indexing.name_words import Part, kind_of, name_words, question_parts
from hydra_rag_indexing.text import FUNCTION_WORDS

__all__ = ["Naming", "Titled"]

#: Beside a word that the question says of a thing itself: one that only describes another ("invoice number"),
#: and another word for the same kind of document.
_ASIDE, _ALIKE = 0.25, 0.8
#: A word of the name that the question does not say, beside one that it says, where it says the kind of
#: document ("the report"); a title beside a file's name.
_UNSAID, _TITLE = 0.5, 0.8
_ENTIRE = 0.75
_YEAR = 4  # digits: shorter numbers name nothing without a word beside them


@dataclass(frozen=True, slots=True)
class Titled:
    """What a document may be called: the words of its file's name (the ending apart), of its folders, and of
    the heading of its first page."""

    name: tuple[str, ...]
    ending: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    title: tuple[str, ...] = ()
    words: frozenset[str] = field(init=False)
    kinds: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        words = frozenset((*self.name, *self.ending, *self.folders, *self.title))
        object.__setattr__(self, "words", words)
        object.__setattr__(self, "kinds", kind_of(words))

    @classmethod
    def of(cls, name: str, folders: str = "", title: Sequence[str] = ()) -> Titled:
        stem, dot, ending = name.rpartition(".")
        if not dot or not stem or len(ending) > 8:
            stem, ending = name, ""
        return cls(name_words(stem), name_words(ending), name_words(folders), tuple(title))


class Naming:
    """The names of the documents of a collection."""

    def __init__(self, documents: Mapping[str, Titled]) -> None:
        self._documents = documents
        self._having = Counter(word for document in documents.values() for word in document.words)

    def named(self, question: str, titles: Mapping[str, Titled] | None = None) -> dict[str, float]:
        """How surely the question means each document: 0 to 1, only those above 0, by id.

        ``titles``: of documents whose title may matter, with it.
        """
        titles = titles or {}
        parts = question_parts(question)
        asked = frozenset(word for part in parts for word in part.words)
        kinds = kind_of(word for part in parts if part.thing for word in part.words)
        count = len(self._documents)
        if count < 2 or not asked:
            return {}
        titled = Counter(w for key, t in titles.items() for w in t.words - self._documents[key].words)

        def telling(word: str) -> float:
            return math.log(count / min(count, max(1, self._having[word] + titled[word])))

        said: dict[str, tuple[float, float]] = {}
        for key, plain in self._documents.items():
            document = titles.get(key, plain)
            if document.words.isdisjoint(asked) and document.kinds.isdisjoint(kinds):
                continue
            before, name, behind = document.folders, document.name, document.ending
            whole = range(len(before), len(before) + len(name))
            found = _said(parts, (*before, *name, *behind), whole, telling)
            if document.title:
                share, much = _titled(parts, kinds, document.title, telling)
                found = max(found, (_TITLE * share, _TITLE * much))
            if found[0] > 0:
                said[key] = found
        most = max((much for _, much in said.values()), default=0.0)
        # Of documents that the question names all of, those that it says more of are meant.
        scores = {key: share * math.sqrt(much / most) for key, (share, much) in said.items()}
        return _narrowed(scores, count)


def _titled(
    parts: Sequence[Part], kinds: frozenset[str], title: Sequence[str], telling: Callable[[str], float]
) -> tuple[float, float]:
    """As :func:`_said`. Any heading shares words with some question: one is named by the kind of document
    that it tells, or nearly whole, by words that stand together."""
    if not kinds.isdisjoint(kind_of(title)):
        return _said(parts, title, range(len(title)), telling)
    runs = [[part for part in parts if part.run == run] for run in {part.run for part in parts}]
    most = max(_said(run, title, range(len(title)), telling) for run in runs)
    return most if most[0] >= _ENTIRE and len(title) > 1 else (0.0, 0.0)


def _said(
    parts: Sequence[Part], words: Sequence[str], whole: range, telling: Callable[[str], float]
) -> tuple[float, float]:
    """The share of a name that the question says, 0 to 1, and how much that tells. ``whole``: of ``words``,
    those that belong to the name itself; a question need not say its folders, its ending, nor its numbers."""
    said: dict[int, float] = {}
    runs: dict[int, bool] = {}  # that name something here, and whether they name it itself
    missing = 0.0
    # Things before what says more about them, and words before numbers, which mean nothing alone.
    for part in sorted(parts, key=lambda part: (_numbers(part), not part.thing)):
        strength = 1.0 if part.thing or runs.get(part.run) else _ASIDE
        numbers = _numbers(part)
        if numbers and part.run not in runs and max(map(len, part.words)) < _YEAR:
            continue
        places = _places(part.words, words)
        if not places and len(part.words) == 1 and (kinds := kind_of(part.words)):
            strength *= _ALIKE
            places = [at for at, word in enumerate(words) if not kinds.isdisjoint(kind_of((word,)))]
        for at in places:
            said[at] = max(said.get(at, 0.0), strength)
        if places:
            runs[part.run] = runs.get(part.run, False) or part.thing
        elif numbers and part.run in runs:
            missing += max(map(telling, part.words))
    unsaid = [words[at] for at in whole if at not in said and words[at] not in FUNCTION_WORDS]
    unsaid = [word for word in unsaid if not word.isdigit()]
    rest = (_UNSAID if kind_of(words[at] for at in said) else 1.0) * sum(map(telling, unsaid))
    most = sum(telling(words[at]) for at in said) + rest + missing
    much = sum(telling(words[at]) * strength for at, strength in said.items())
    return (much / most if most else 0.0), much


def _numbers(part: Part) -> bool:
    return all(word.isdigit() for word in part.words)


def _places(part: Sequence[str], words: Sequence[str]) -> list[int]:
    """Where all of ``part`` stands in ``words``, one behind the other."""
    size = len(part)
    starts = (at for at in range(len(words) - size + 1) if tuple(words[at : at + size]) == tuple(part))
    return [at for start in starts for at in range(start, start + size)]


def _narrowed(scores: Mapping[str, float], count: int) -> dict[str, float]:
    """Scores by how few documents they leave: half of them is little, all of them is nothing."""
    better = sorted(scores.values(), reverse=True)
    found: dict[str, float] = {}
    for key, score in scores.items():
        alike = bisect_right(better, -score, key=operator.neg)
        narrow = math.log(count / alike) / math.log(count)
        if narrow > 0:
            found[key] = score * narrow
    return found
