"""The words of a page and of a question, so that they can be compared."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from hydra_rag.geometry import union
from hydra_rag.lines import group_lines
from hydra_rag.values import Word
from hydra_rag_agents.misread import ALIKE

__all__ = [
    "content_tokens",
    "is_function_word",
    "said",
    "tidied",
    "without_fractions",
]

_TOKEN = re.compile(r"\w+", re.UNICODE)
_POSSESSIVE = re.compile(r"(?<=\w)['’]s\b")
_FUNCTION_WORDS = (
    "a an and are as at be by did do does for from give has have how in is it its many much of on or "
    "please say show tell than that the their there these this to was were what when where which who "
    "whom whose why will with you your should can could must shall would been being find me us"
)
_STOP = frozenset(_FUNCTION_WORDS.split())
_ASKING = frozenset("a an the is are was were do does did it what who whom which when where how".split())
#: Forms of verbs that no ending tells.
_IRREGULAR = {
    "led": "lead", "held": "hold", "built": "build", "sold": "sell", "paid": "pay", "made": "make",
    "kept": "keep", "took": "take", "taken": "take", "wrote": "write", "written": "write", "sent": "send",
    "bought": "buy", "found": "find", "met": "meet", "began": "begin", "won": "win", "lent": "lend",
    "spent": "spend", "left": "leave", "said": "say", "ran": "run", "rose": "rise", "risen": "rise",
    "fell": "fall", "fallen": "fall", "grew": "grow", "grown": "grow", "came": "come", "went": "go",
    "drawn": "draw", "drew": "draw", "chosen": "choose", "chose": "choose", "stood": "stand",
}  # fmt: skip
#: Shorter words with a letter wrong are other words.
_LONG = 6
_FRACTION = re.compile(r"\d+(?:[.,]\d+)+")
_DOTS = re.compile(r"[.·…_]{4,}")
_LEFT_OVER = re.compile(r"^[.·…_]{2,}(?=[\w$€£])")
#: Width of a usual letter, in heights of a word's box.
_WIDE = 0.5
#: Dots from a label to its value; a line of the form that was read as a sign.
_LEADER = re.compile(r"[.·…_]+|[.·…_:]{2,}|[|`]")


def content_tokens(text: str) -> list[str]:
    """Case-folded words without function words and plural endings; all words when none is left."""
    found = _TOKEN.findall(_POSSESSIVE.sub("", unicodedata.normalize("NFKC", text).casefold()))
    kept = [word for word in found if word not in _STOP]
    kept = kept or [word for word in found if word not in _ASKING] or found  # "Who is it to?"
    return [_stem(word) for word in kept]


def without_fractions(text: str) -> str:
    """``text`` without figures that have parts: the 1 of "2.1" is no word that a question says."""
    return _FRACTION.sub("", text)


def is_function_word(word: str) -> bool:
    return word.casefold() in _STOP


def _stem(word: str) -> str:
    word = _IRREGULAR.get(word, word)
    if word.endswith("ies") and len(word) > 5:
        return word[:-3] + "y"
    if word.endswith("ied") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("xes", "ches", "shes", "sses")) and len(word) > 4:
        return word[:-2]
    if word.endswith("s") and len(word) > 3 and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    for ending in ("ing", "ed"):
        if len(word) > len(ending) + 3 and word.endswith(ending):
            return word[: -len(ending)]
    return word


def said(asked: Iterable[str], tokens: Iterable[str]) -> set[str]:
    """Which of the ``asked`` words (as :func:`content_tokens` makes them) are among ``tokens``.

    Words of four letters and more are also told by a longer form of themselves (weigh, weight; move, moved),
    longer ones also with one letter wrong: a slip of whoever typed or read it.
    """
    here = set(tokens)
    return {
        word
        for word in asked
        if word in here or any(_kin(word, other) or _slip(word, other) for other in here)
    }


def _kin(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    more = len(long) - len(short)
    return long.startswith(short) and (more <= 2 if len(short) > 4 else more <= len(short) - 3)


def _slip(one: str, other: str) -> bool:
    """Whether two words without digits differ by one letter: another, one more, or one less. Another one at
    the beginning makes another word (height, weight), unless it looks alike."""
    if min(len(one), len(other)) < _LONG or abs(len(one) - len(other)) > 1 or not (one + other).isalpha():
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    a, b = one[start:], other[start:]
    if not start and len(one) == len(other) and frozenset((a[0], b[0])) not in ALIKE:
        return False
    return a[1:] == b[1:] or a[1:] == b or a == b[1:]


def tidied(words: Iterable[Word]) -> list[Word]:
    """``words`` without the dotted lines from labels to their values, which a reader cuts in pieces; a colon
    that stands alone is a part of the word before it, a bracket that opens of the one after it."""
    kept: list[Word] = []
    apart = (part for word in words if not _LEADER.fullmatch(word.text) for part in _without_leader(word))
    for line in group_lines(list(apart)):
        for number, word in enumerate(line.words):
            if number and word.text == ":" and not kept[-1].text.endswith(":"):
                kept[-1] = Word(kept[-1].text + ":", union([kept[-1].box, word.box]))
            elif number and kept[-1].text == "(" and word.box.left - kept[-1].box.right < word.box.height:
                kept[-1] = Word("(" + word.text, union([kept[-1].box, word.box]))
            elif word.text != ":":
                kept.append(word)
    return kept


def _without_leader(word: Word) -> Iterator[Word]:
    """What stands before and after a dotted line that was read as a part of the word."""
    parts = _DOTS.split(word.text)
    if len(parts) == 1:
        yield Word(_LEFT_OVER.sub("", word.text), word.box) if _LEFT_OVER.match(word.text) else word
        return
    box = word.box
    letter = _WIDE * box.height
    if before := parts[0].strip():
        yield Word(before, box._replace(right=min(box.right, box.left + round(len(before) * letter))))
    if after := parts[-1].strip("."):
        yield Word(after, box._replace(left=max(box.left, box.right - round(len(after) * letter))))
