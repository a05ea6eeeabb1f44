"""The words of file names, folders, titles and questions, in one form that lets them be compared."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise

from hydra_rag_indexing.text import FUNCTION_WORDS, normalize, stem

__all__ = ["Part", "asked_titles", "kind_of", "name_words", "question_parts"]

#: What people call a kind of document, each line one kind. Endings of files stand for theirs.
_KINDS = """
letter correspondence
invoice bill inv
receipt voucher
form application questionnaire
slide slides presentation deck slideshow pptx ppt odp
spreadsheet workbook xlsx xls ods csv tsv
report study
manual guide handbook instructions
contract agreement
minutes protocol
quote quotation offer estimate
datasheet specification spec
brochure leaflet flyer pamphlet
certificate certification
timetable schedule
resume cv
memo note notes
article paper
email mail eml
statement
"""
_MOST_WORDS = 200
_WORD = re.compile(r"[^\W_]+")
#: Where a word of a name ends though no sign stands there: ``AnnualReport2023``.
_SEAM = re.compile(r"(?<=[^\W\d_A-Z])(?=[A-Z])|(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
_EDGE = ".,;:!?\"'()[]{}<>\u00ab\u00bb\u201c\u201d\u201e\u2018\u2019\u2026"
_WIDE = re.compile("[\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
#: End the words for a thing, as function words do: "in the report about ...", "what the letter says".
_LINKS = frozenset(
    "about above according after against along before behind below between by called concerning during her "
    "his inside into named not onto over regarding since state stated states than through titled toward "
    "towards under until upon via within without say says said mention mentions mentioned tell tells told "
    "show shows list lists listed give gives given contain contains and or no only also agree agrees apply "
    "applies come comes cost costs cover covers due mean means recommend recommends refer refers require "
    "requires sent".split()
)
#: What follows is not what is meant.
_BUT = frozenset("not except excluding without besides than".split())


@dataclass(frozen=True, slots=True)
class Part:
    """Words that were written as one (``INV-204``, ``report2023.pdf``): a name has all of them or none.

    ``thing``: a thing in the question ends with them ("who signed the *letter*"); else they only say more
    about one ("the *letter* opener"). ``run``: the number of the thing that they belong to.
    """

    words: tuple[str, ...]
    thing: bool
    run: int


@lru_cache(maxsize=4096)
def name_words(name: str) -> tuple[str, ...]:
    """The words of a name, in order, in the form that :func:`question_parts` gives them."""
    return tuple(map(_form, _WORD.findall(normalize(_SEAM.sub(" ", name)))[:_MOST_WORDS]))


def question_parts(question: str) -> list[Part]:
    """What in the question may name a document."""
    parts: list[Part] = []
    for at, run in enumerate(_runs(question)):
        for number, chunk in enumerate(run):
            words = name_words(chunk)
            last = number == len(run) - 1 or all(map(_numbered, run[number + 1 :]))
            if len(words) > 1 and all(map(_WIDE.fullmatch, words)):  # no spaces between words: pairs
                parts += [Part(pair, True, at) for pair in pairwise(words)]
            elif words:
                parts.append(Part(words, last, at))
    return parts


def _runs(question: str) -> list[list[str]]:
    """The question's words without those that link them: a list for each thing that it speaks of."""
    runs: list[list[str]] = [[]]
    but = False
    for chunk in question[:20_000].split():
        bare = chunk.strip(_EDGE)
        link = bare.lower()
        done = len(link) > 4 and link.endswith("ed")  # "the letter dated ...", "the invoice issued by ..."
        if not link or link in FUNCTION_WORDS or link in _LINKS or link in _BUT or done:
            but = link in _BUT or (but and not runs[-1])
            runs.append([])
            continue
        if chunk[0] in _EDGE:
            runs.append([])
        if but:
            continue
        runs[-1].append(bare.removesuffix("'s").removesuffix("\u2019s"))
        if chunk[-1] in _EDGE:
            runs.append([])
    return [run for run in runs if run]


def kind_of(words: Iterable[str]) -> frozenset[str]:
    """The kinds of document that these words tell."""
    return frozenset(kind for word in words if (kind := _kinds().get(word)))


def asked_titles(question: str) -> list[str]:
    """Beginnings of the words by which a title may say what the question calls a thing."""
    things = [part.words for part in question_parts(question) if part.thing and len(part.words) == 1]
    found = dict.fromkeys(word for words in things for word in words if word.isalpha())
    for words in things:
        kind = kind_of(words)
        found |= dict.fromkeys(word for word, other in _kinds().items() if other in kind)
    return list(found)


def _numbered(chunk: str) -> bool:
    return any(c.isdigit() for c in chunk)


def _form(word: str) -> str:
    return (word.lstrip("0") or "0") if word.isdigit() else stem(word)


@cache
def _kinds() -> dict[str, str]:
    return {
        _form(word): words[0]
        for line in _KINDS.strip().split("\n")
        for words in [line.split()]
        for word in words
    }
