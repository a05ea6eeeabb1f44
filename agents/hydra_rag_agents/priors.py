"""How likely each word of a page is to begin or to end the answer: what the layout says to a bound reader."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from hydra_rag.lines import Line
from hydra_rag.values import Word
from hydra_rag_agents.answer_form import wants_digits, wants_name
from hydra_rag_agents.asked_for import asked_support
from hydra_rag_agents.matching import nearness
from hydra_rag_agents.named import names_support
from hydra_rag_agents.places import WordSupport, word_support
from hydra_rag_agents.ports import WordPrior
from hydra_rag_agents.text_context import content_tokens, said, without_fractions
from hydra_rag_agents.units import is_amount, ties, torn

__all__ = ["line_priors"]

#: A word without any support; factors of words that the question itself says, that do not begin their cell,
#: that stand before a colon, that have another form than is asked for; of a sentence's words far from it.
_START, _ASKED, _MIDDLE, _LABEL, _MISFORMED, _FAR = 0.1, 0.4, 0.5, 0.3, 0.6, 0.6
#: What is left of a sum of money where a count is asked for.
_NO_COUNT = 0.2
#: Words that hardly begin an answer.
_HARDLY, _JOINING = (
    0.4,
    frozenset("and or at by in on to of for from with was were is are be has had about around".split()),
)
#: Words with which a sentence begins before it names a person.
_OPENING = frozenset(
    "after before during until since while when if as according in on at last next the".split()
)
_COUNTED = re.compile(r"\bhow many\b", re.IGNORECASE)
#: Figures of a number that is written in groups.
_GROUP = re.compile(r"\d{2,4}\b")
_LEAST_NEAR = 0.25
#: How likely an answer that has come to a word ends there: the last of a cell or sentence, one before it in
#: a cell that is a value, one within a sentence.
_CLOSES, _GOES_ON, _OPEN = 0.8, 0.3, 0.5
_STOPS = ".!?;"
#: An answer hardly ends where something is announced, nor between words that belong together.
_DANGLING, _BROKEN, _TORN = ",+&", "-–/", 0.02


def line_priors(lines: Sequence[Line], chosen: Sequence[Line], question: str) -> list[tuple[WordPrior, ...]]:
    """The priors of every word of the ``chosen`` of ``lines`` (the page); one for every piece between white
    space.

    What counts is how well its cell answers the question (:mod:`hydra_rag_agents.places`), and whether the
    word begins the cell's value; in a sentence, how near the question's words stand. A question for a figure
    is answered with digits soon, one for a person without.
    """
    asked = set(content_tokens(question))
    support = word_support([word for line in lines for word in line.words], question)
    counted = asked if _COUNTED.search(question) else set[str]()
    digits, name = wants_digits(question), wants_name(question)
    known = names_support(lines, question) * asked_support(lines, question)
    found: list[tuple[WordPrior, ...]] = []
    for line in chosen:
        index = lines.index(line)
        near = [nearness(lines, index, (word,), question) for word in line.words]
        most = max([_LEAST_NEAR, *near])
        before, after = (lines[n].words if 0 <= n < len(lines) else () for n in (index - 1, index + 1))
        tied = _ties(line, support, counted)
        tied[-1] = support[line.words[-1]].prose and bool(after) and torn(line.words[-1].text, after[0].text)
        cut = support[line.words[0]].prose and bool(before) and torn(before[-1].text, line.words[0].text)
        priors: list[WordPrior] = []
        for number, word in enumerate(line.words):
            told = support[word]
            likely = _START + (1 - _START) * told.score
            if told.prose:
                likely *= _FAR + (1 - _FAR) * min(1.0, near[number] / most)
            elif not told.begins:
                likely *= _MIDDLE
            if word.text.endswith(":"):
                likely *= _LABEL
            if said(asked, content_tokens(without_fractions(word.text))):
                likely *= _ASKED
            if word.text.casefold() in _JOINING:
                likely *= _HARDLY
            soon = "".join(w.text for w in line.words[number : number + 3])
            if digits and not any(c.isdigit() for c in soon):
                likely *= _MISFORMED
            if tied[number - 1] if number else cut:
                likely *= _HARDLY
            place = told.score
            following = line.words[number + 1].text if number + 1 < len(line.words) else ""
            if counted and is_amount(f"{word.text} {following}" if tied[number] else word.text):
                likely, place = likely * _NO_COUNT, place * _NO_COUNT
            if name and (any(c.isdigit() for c in word.text) or word.text[:1].islower()):
                likely *= _MISFORMED
            if name and told.prose and word.text.casefold() in _OPENING:
                likely *= _HARDLY
            closes = told.ends and not (told.prose and word.text[-1:] not in _STOPS)
            pieces = len(word.text.split())
            until = [_OPEN if told.prose else _GOES_ON] * (pieces - 1)
            until.append(_CLOSES if closes else _OPEN if told.prose else _GOES_ON)
            if told.prose and not told.ends and following.casefold() in _JOINING:
                until[-1] = max(until[-1], _CLOSES)
            if tied[number] or _goes_on(word.text, prose=told.prose):
                until[-1] = _TORN
            supports = likely * math.sqrt(told.best) * known
            priors += [
                WordPrior(likely, end, supports, place, told.begins and not piece, told.prose)
                for piece, end in enumerate(until)
            ]
        found.append(tuple(priors))
    return found


def _ties(line: Line, support: Mapping[Word, WordSupport], counted: set[str]) -> list[bool]:
    """Whether each word belongs to the next one of its cell: groups of figures in a sentence do, a figure not
    to what it counts."""
    cells: list[list[Word]] = [[]]
    for word in line.words:
        cells[-1].append(word)
        if support[word].ends:
            cells.append([])
    found: list[bool] = []
    for cell in filter(None, cells):
        texts = [word.text for word in cell]
        for word, following, tied in zip(cell, [*texts[1:], ""], ties(texts), strict=True):
            grouped = support[word].prose and _GROUP.fullmatch(word.text) and _GROUP.match(following)
            found.append(bool(tied or grouped) and not said(counted, content_tokens(following)))
    return found


def _goes_on(word: str, *, prose: bool) -> bool:
    """Whether no answer ends with ``word``, whatever follows it."""
    if word.casefold() in _JOINING or word[-1:] in _BROKEN:
        return True
    return not prose and word[-1:] in _DANGLING
