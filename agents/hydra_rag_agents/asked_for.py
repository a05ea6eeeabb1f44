"""Whether a page has what a question asks for: "the fee of Old Oaks" needs a fee, whatever the page calls it.

A page that names Old Oaks has figures beside that name, and a small reader takes one of them. That it says no
fee tells only where all usual names of a fee are known: for the expressions of
:mod:`hydra_rag_agents.meanings`. What a value itself shows (that it is money, a telephone number) no label
needs to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from hydra_rag.lines import Line, group_lines
from hydra_rag_agents.cells import HEADS
from hydra_rag_agents.extremes import asks_extreme
from hydra_rag_agents.headline import ABOUT_PAGE
from hydra_rag_agents.letterhead import asks_issuer
from hydra_rag_agents.meanings import VAGUE, expressions, meanings, usual, within
from hydra_rag_agents.text_context import content_tokens, is_function_word, said
from hydra_rag_agents.units import is_amount

__all__ = ["asked_support"]

#: What is left of an answer's support on a page that says none of the usual words for what is asked for, and
#: on one that does not say a word of which no others are known.
_MISSING, _UNHEARD = 0.2, 0.4
#: Words that say of what sort a value is, not which one: "the name of the hotel" asks for a hotel.
_SORTS = frozenset("name number no nr date day time id code kind type value".split())
#: Sorts that a value shows without a label; papers that do not name themselves.
_SEEN = frozenset(
    "year month share percentage amount person people company address given used"
    " letter invoice bill report form note manual order offer".split()
)
#: "How high is the profit?" asks for the profit.
_DEGREE = re.compile(
    r"^(\W*(?:by )?how) (?:high|large|big|old|long|far|fast|heavy|wide|tall|deep|often)\b", re.IGNORECASE
)
#: Questions that name a thing rather than what happened to it.
_THING = re.compile(
    r"^\W*(?:(?:in|at|on|to|from|for) )?(?:(?:what|which)\b(?! (?:do|does|did|should|can|must)\b)"
    r"|how many\b|(?:who|how (?!many|often)\w+) (?:is|are|was|were) the\b|who \w+(?:ed|s)\b(?<!is|as))",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w[\w'’-]*")
_APOSTROPHE = re.compile(r"['’]s$", re.IGNORECASE)
#: What shows that a page has such values, though no label says so.
_SHOWN = (
    (frozenset("price cost charge pay expensive total sum amount".split()), is_amount),
    (frozenset("phone telephone tel mobile number".split()), re.compile(r"\d[\d ()/.-]{5,}\d").search),
    (frozenset("mail email address".split()), re.compile(r"\w@\w").search),
    (frozenset("website web url homepage".split()), re.compile(r"https?:|www\.").search),
    (frozenset("city town place location position role occupation profession".split()), bool),
)
#: In line heights: what parts the cells of a line.
_CELL = 1.5


def asked_support(lines: Sequence[Line], question: str) -> float:
    """1.0 where ``lines`` (a page) may have what ``question``, put in their words, asks for; a small factor
    where they say neither that nor anything that means the same."""
    if asks_issuer(question) or asks_extreme(question):
        return 1.0
    wanted = _wanted(question)
    text = "\n".join(line.text for line in lines)
    here = [tuple(content_tokens(line.text)) for line in lines]
    here += [tuple(meant) for head, meant in HEADS.items() if head in text.casefold()]
    bare = frozenset(_labels(lines))
    known = {
        phrase: _told(phrase, here, bare) or _shows(phrase, lines)
        for _, _, phrase in expressions(wanted)
        if phrase not in VAGUE
    }
    if any(known.values()):
        return 1.0
    missing = {token for phrase in known for token in phrase}
    others = set(content_tokens(wanted)) - missing - _SORTS
    if not _SEEN.isdisjoint(others) or any(said(others, line) for line in here):
        return 1.0
    if missing - _SORTS:
        return _MISSING
    return _UNHEARD if others - ABOUT_PAGE and _THING.match(question) else 1.0


def _wanted(question: str) -> str:
    """The first words of a question that are no function words, and the next ones where these only say the
    sort of value."""
    runs: list[list[str]] = [[]]
    for match in _WORD.finditer(_DEGREE.sub(r"\1", question)):
        word = match.group()
        if is_function_word(_APOSTROPHE.sub("", word)):
            runs.append([])
        else:
            runs[-1].append(word)
    wanted: list[str] = []
    for run in filter(None, runs):
        wanted += run
        if not _SORTS.issuperset(content_tokens(" ".join(run))):
            break
    return " ".join(wanted)


def _told(phrase: tuple[str, ...], here: Sequence[Sequence[str]], bare: frozenset[frozenset[str]]) -> bool:
    """Whether a line says ``phrase`` or another expression for it, or a label a part of one: "Invoice: 4711"
    has an invoice number, "Manager" may be that of the project."""
    for name in (phrase, *(tokens for tokens, _ in meanings()[phrase] if tokens not in VAGUE)):
        if any(within(usual(line), usual(name)) or said(name, line) == set(name) for line in here):
            return True
        if any(label <= set(name) for label in bare):
            return True
    return False


def _shows(phrase: tuple[str, ...], lines: Sequence[Line]) -> bool:
    return any(
        sorts.issuperset(phrase) and any(shows(line.text) for line in lines) for sorts, shows in _SHOWN
    )


def _labels(lines: Sequence[Line]) -> Iterator[frozenset[str]]:
    """The words of every cell that may be a label, without its value's figures. "Bill to" is not "Bill"."""
    for cell in group_lines([word for line in lines for word in line.words], max_gap=_CELL):
        label = cell.text.partition(":")[0].split()
        tokens = frozenset(t for t in content_tokens(" ".join(label)) if not any(c.isdigit() for c in t))
        if not tokens <= _SORTS and not any(is_function_word(word) for word in label):
            yield tokens
