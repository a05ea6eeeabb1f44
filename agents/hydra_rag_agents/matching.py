"""Find an answer among a page's words: whole, misspelled by a few characters, or said in a sentence.

Everything found is the page's own text with the box of its words; nothing is taken from the model.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hydra_rag.geometry import Box, union
from hydra_rag.lines import Line, group_lines
from hydra_rag.metrics import edit_distance
from hydra_rag.values import Word
from hydra_rag_agents.text_context import content_tokens, said

__all__ = ["Match", "find_answer", "nearness", "squeeze"]

#: Least similarity (1 - edit distance / length) at which words count as the answer.
FUZZY = 0.7
#: What a word of the question counts that stands behind the value instead of before it.
_AFTER = 0.6
_LONGEST = 14  # words; longer answers are sentences and are matched by their tokens


@dataclass(frozen=True, slots=True)
class Match:
    """``similarity``: 1.0 for the same characters. ``nearness``: 0 to 1, the question's words around it."""

    quote: str
    box: Box
    similarity: float
    nearness: float = 0.0


def squeeze(text: str) -> str:
    """Letters, digits and signs that change a value; no spaces, no case, no punctuation around."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in folded if c.isalnum() or c in "+-%$€£¥@/.#&").strip(".-/")


def find_answer(words: Sequence[Word], question: str, answer: str) -> list[Match]:
    """Places that show ``answer``, best first: by similarity, then by the question's words nearby."""
    lines = group_lines(words)
    target = squeeze(answer)
    if not target:
        return []
    found: list[Match] = []
    count = len(answer.split())
    if count <= _LONGEST:
        for index, line in enumerate(lines):
            for span, score in _spans(line, target, count):
                near = nearness(lines, index, span, question)
                found.append(Match(" ".join(w.text for w in span), union(w.box for w in span), score, near))
    if not found and count > 1:
        found = _sentence(lines, question, answer)
    return sorted(found, key=lambda m: (-round(m.similarity, 3), -m.nearness, m.box.top, m.box.left))


def _spans(line: Line, target: str, count: int) -> list[tuple[tuple[Word, ...], float]]:
    """Non-overlapping runs of words of one line that are similar to ``target``, best first."""
    pieces = [squeeze(word.text) for word in line.words]
    letters = Counter(target)
    options: list[tuple[float, int, int, int]] = []
    for start in range(len(pieces)):
        text = ""
        for end in range(start, min(len(pieces), start + count + 2)):
            text += pieces[end]
            longer = max(len(text), len(target))
            if not text or not pieces[start]:
                continue
            if len(text) - len(target) > (1 - FUZZY) * longer:
                break
            # The bag of characters bounds the edit distance from below and costs little.
            if longer - sum((letters & Counter(text)).values()) > (1 - FUZZY) * longer:
                continue
            score = 1.0 if text == target else _similar(text, target)
            if score >= FUZZY:
                options.append((score, -(end - start), start, end + 1))
    options.sort(key=lambda o: (-o[0], -o[1], o[2]))
    taken: list[tuple[int, int, float]] = []
    for score, _, start, end in options:
        if all(end <= s or start >= e for s, e, _ in taken):
            taken.append((start, end, score))
    return [(line.words[start:end], score) for start, end, score in taken]


def _similar(text: str, target: str) -> float:
    longer = max(len(text), len(target))
    limit = int((1 - FUZZY) * longer)
    distance = edit_distance(text, target, limit)
    return 1 - distance / longer if distance <= limit else 0.0


def nearness(lines: Sequence[Line], index: int, span: Sequence[Word], question: str) -> float:
    """How many of the question's words stand beside (same line or sentence), above or below (next lines) the
    span."""
    asked = set(content_tokens(question))
    if not asked:
        return 0.0
    box = union(word.box for word in span)
    others = [w for w in lines[index].words if w not in span]
    before = [w for w in others if w.box.left <= box.left]
    after = [w for w in others if w.box.left > box.left]
    if lines[index].goes_on:
        before += lines[index - 1].words
    if index + 1 < len(lines) and lines[index + 1].goes_on:
        after += lines[index + 1].words
    share = dict.fromkeys(said(asked, _tokens(after)), _AFTER)
    share |= dict.fromkeys(said(asked, _tokens(before)), 1.0)
    # What stands right before a value is its label. One that says more than was asked (the date, not the
    # number) is another value's, and what stands above and below has little to do with it.
    label = set(_tokens(_own_label(lines[index], span, box)))
    fits = len({t for t in label if said({t}, asked)}) / len(label) if label else 1.0
    weight = 1.0 if fits == 1.0 else 0.4
    rows = [(1.0 - 0.2 * up, lines[index - up]) for up in range(1, min(3, index) + 1)]
    rows += [(0.8 - 0.2 * down, line) for down, line in enumerate(lines[index + 1 : index + 3], start=1)]
    for worth, line in rows:
        for token in said(asked, _column([line], box)):
            share[token] = max(share.get(token, 0.0), worth * weight)
    return (0.5 + 0.5 * fits) * sum(share.values()) / len(asked)


def _tokens(words: Iterable[Word]) -> list[str]:
    return [token for word in words for token in content_tokens(word.text)]


def _own_label(line: Line, span: Sequence[Word], box: Box) -> list[Word]:
    """Words of the line that stand just before the span, no column's gap away, and are no figures."""
    own, left = [], box.left
    for word in reversed([w for w in line.words if w.box.right <= box.left]):
        if left - word.box.right > 1.5 * max(1, box.height):
            break
        own.append(word)
        left = word.box.left
    return [word for word in own if not any(c.isdigit() for c in word.text)]


def _column(lines: Sequence[Line], box: Box) -> set[str]:
    """Content words of ``lines`` that stand over or under ``box``, no further than four of its heights."""
    reach, near = box.height, 4 * max(1, box.height)
    return {
        token
        for line in lines
        for word in line.words
        if word.box.left < box.right + reach and word.box.right > box.left - reach
        if max(box.top - word.box.bottom, word.box.top - box.bottom) < near
        for token in content_tokens(word.text)
    }


def _sentence(lines: Sequence[Line], question: str, answer: str) -> list[Match]:
    """Lines that hold at least half of what the answer says beyond the question, figures above all."""
    told = set(content_tokens(answer)) - set(content_tokens(question))
    if not told:
        return []
    weight = {token: 3.0 if any(c.isdigit() for c in token) else 1.0 for token in told}
    total = sum(weight.values())
    found = []
    for index, line in enumerate(lines):
        words = tuple(line.words)
        share = sum(weight[t] for t in told & set(content_tokens(line.text))) / total
        if share >= 0.5:
            found.append(Match(line.text, line.box, share * 0.99, nearness(lines, index, words, question)))
    return found
