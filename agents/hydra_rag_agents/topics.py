"""What a question is about, and how a follow-up is put in full: after "What is the total of invoice 204?",
"And who issued it?" asks who issued invoice 204, and "What about invoice 205?" for the total of that one.

English questions, by their function words alone: no dictionary, no model. Where nothing is sure the question
stays as it is.
"""

from __future__ import annotations

import re

__all__ = ["instead", "names_another", "of_topic", "only_papers", "put_in_full", "subject"]

_ASKING = frozenset("what who when where which why how whose whom".split())
_AUXILIARIES = frozenset(
    "is are was were do does did has have had can could will would shall should may might must be been "
    "being".split()
)
_PREPOSITIONS = frozenset("of for in on at from about by to with under per since until".split())
_OTHERS = frozenset(
    "i you we he she it they me us him them and or but many much long often far there please tell say show "
    "give name list find".split()
)
_BREAKS = _ASKING | _AUXILIARIES | _PREPOSITIONS | _OTHERS | {","}
_ARTICLES = frozenset("the this that these those a an my our your their his her its".split())
#: What is asked for, not what it is asked of.
_ASKED_FOR = frozenset(
    "total sum amount number date name names price cost costs fee value due grand net gross unit full first "
    "last subtotal address phone telephone email title balance deadline code id day time year kind type "
    "end start beginning".split()
)
#: They say which page is meant, not where on it.
_PAPERS = frozenset(
    "invoice bill letter form contract lease agreement document page report file manual table slide order "
    "receipt ticket sheet text certificate statement".split()
)
_PERSONS = frozenset("he she him his her hers".split())
_OWNING = frozenset("its their his her".split())
_POINTING = frozenset("it this that they them these those he she him".split())
_ORDINALS = frozenset(
    "first second third fourth fifth sixth seventh eighth ninth tenth next last previous other".split()
)
_PARTICIPLES = frozenset("sent paid made sold written born built open due held given".split())
#: After these the verb stands at the end.
_VERB_LAST = frozenset("do does did should shall can could will would may must".split())
_WORD = re.compile(r"[^\s,?!.;:]+(?:[.,:][^\s,?!.;:]+)*|,")


def subject(question: str) -> str | None:
    """What the question asks about, in its words: "the Hydro 300" of "How heavy is the Hydro 300?".
    ``None`` where it names nothing but what it asks for ("What is the total?")."""
    words = _WORD.findall(question)
    lower = [word.lower() for word in words]
    for i, word in enumerate(words):
        if word.endswith(("'s", "’s")) and lower[i][:-2] not in _BREAKS | {"let"}:
            start = i
            while start and lower[start - 1] not in _BREAKS:
                start -= 1
            return _told([*words[start:i], word[:-2]])
    for i, word in enumerate(lower):
        if word in ("of", "for", "in", "on", "from", "about", "at") and i:
            found = _until(words, i + 1, _BREAKS - _PREPOSITIONS)
            if found and (found[0].lower() in _ARTICLES or _is_name(found[0]) or _numbered(found)):
                owner = _owner(words, lower, i) if word == "from" else []
                return _told([*owner, *found])
    for i, word in enumerate(lower):
        if (word in _ARTICLES or (i and _is_name(words[i]))) and word not in _BREAKS:
            start = i
            while start and lower[start - 1] not in _BREAKS:
                start -= 1
            start = start if start and lower[start - 1] in _AUXILIARIES else i
            found = _until(words, start, _BREAKS)
            done = start and lower[start - 1] in _VERB_LAST
            if done and start + len(found) == len(words) and len(found) > 1 + (word in _ARTICLES):
                found = found[:-1]  # the verb
            return _told(found)
    return None


def put_in_full(question: str, topic: str | None, person: str | None = None) -> str:
    """``question`` with the word that points back replaced by ``topic``, or by ``person`` where it is he or
    she. What only says which page is meant ("the invoice") is left out where the sentence allows it."""
    words = list(re.finditer(r"[\w’']+", question))
    for i, match in enumerate(words):
        word = match.group().lower()
        meant = person if word in _PERSONS else topic
        if word not in _POINTING | _OWNING or meant is None:
            continue
        before, after = question[: match.start()], question[match.end() :]
        following = words[i + 1].group().lower() if i + 1 < len(words) else ""
        if subject(before) is not None:
            return question  # named in the question itself
        if word in _OWNING and following and following not in _BREAKS:
            end = i + 1
            while end < len(words) and words[end].group().lower() not in _BREAKS:
                end += 1
            rest = question[words[end - 1].end() :]
            of = "" if only_papers(meant) else f" of {meant}"
            return f"{before}the {question[words[i + 1].start() : words[end - 1].end()]}{of}{rest}"
        if word in ("this", "that", "these", "those") and following and following not in _BREAKS:
            continue  # "that invoice"
        return before + meant + after
    return question


def of_topic(phrase: str, topic: str | None) -> str:
    """("its due date", "invoice 204") → "the due date of invoice 204"."""
    first, _, rest = phrase.partition(" ")
    phrase = f"the {rest}" if rest and first.lower() in _OWNING else phrase
    return phrase if topic is None or only_papers(topic) else f"{phrase} of {topic}"


def names_another(phrase: str, topic: str | None) -> bool:
    """Whether "What about ``phrase``?" asks the same of another thing, not another thing of the same."""
    words = _WORD.findall(phrase)
    lower = [word.lower() for word in words]
    if not words or (topic is None and lower[0] not in _PREPOSITIONS):
        return False
    kin = {_head(topic)} if topic else set()
    return (
        lower[0] in _PREPOSITIONS
        or any(_is_name(word) or any(c.isdigit() for c in word) for word in words)
        or bool({"one", "ones"} & set(lower))
        or lower[-1] in _ORDINALS
        or bool(kin & set(lower))
    )


def instead(question: str, topic: str | None, phrase: str) -> str | None:
    """The earlier ``question`` asked of ``phrase``; ``None`` where it can't be told what that stands for."""
    words = _WORD.findall(phrase)
    first = words[0].lower()
    if topic is not None:
        head = _head(topic)
        phrase = re.sub(r"\bones?\b", head, phrase)
        phrase = f"{phrase} {head}" if words[-1].lower() in _ORDINALS else phrase
    if first in _PREPOSITIONS:
        same = re.compile(rf"\b{first}\b[^,?]*?(?=\s(?:{'|'.join(_PREPOSITIONS)})\b|[,?]|$)", re.IGNORECASE)
        if same.search(question):
            return same.sub(lambda _: phrase, question, count=1)
        phrase = phrase[len(words[0]) :].strip() if topic is not None else phrase
    if topic is not None and topic in question:
        return question.replace(topic, phrase, 1)
    if first in _PREPOSITIONS and topic is None:
        return f"{question.rstrip(' ?')} {phrase}?"
    return None


def _owner(words: list[str], lower: list[str], at: int) -> list[str]:
    """ "the letter from", where these words stand before "from" at ``at``."""
    start = at
    while start and lower[start - 1] not in _BREAKS | _ARTICLES:
        start -= 1
    named = start and lower[start - 1] in _ARTICLES and lower[at - 1] not in _ASKED_FOR
    return words[start - 1 : at + 1] if named else []


def _until(words: list[str], start: int, breaks: frozenset[str]) -> list[str]:
    end = start
    while end < len(words) and words[end].lower() not in breaks:
        end += 1
    return words[start:end]


def _told(words: list[str]) -> str | None:
    """Without a verb at the end, and without what is asked for."""
    kept = list(words)
    while kept and (_is_participle(kept[-1]) or kept[-1].lower() in _PREPOSITIONS):
        kept.pop()
    while kept and kept[-1].lower() in _ASKED_FOR | _ARTICLES | _PREPOSITIONS:
        kept.pop()
    rest = [word for word in kept if word.lower() not in _ARTICLES | _ASKED_FOR]
    return (" ".join(kept).strip() or None) if rest else None


def _is_participle(word: str) -> bool:
    return word.islower() and ((word.endswith("ed") and len(word) > 4) or word in _PARTICIPLES)


def _is_name(word: str) -> bool:
    return word[:1].isupper() and word.lower() not in _BREAKS | _ARTICLES


def _numbered(words: list[str]) -> bool:
    return any(any(c.isdigit() for c in word) for word in words)


def only_papers(topic: str) -> bool:
    """Whether it only says which kind of paper is meant ("the invoice")."""
    words = [word for word in topic.lower().split() if word not in _ARTICLES]
    return all(word in _PAPERS for word in words)


def _head(topic: str) -> str:
    """The noun of a topic: "kettle" of "the Hydro 300 kettle", "invoice" of "invoice 204"."""
    words = [w for w in topic.split() if not any(c.isdigit() for c in w) and w.lower() not in _ARTICLES]
    plain = [word for word in words if word.islower()]
    return (plain or words or topic.split())[-1].lower()
