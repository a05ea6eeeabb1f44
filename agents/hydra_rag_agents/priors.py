"""How likely each word of a page is to begin the answer: what the layout says to a bound reader."""

from __future__ import annotations

from collections.abc import Sequence

from hydra_rag.lines import Line
from hydra_rag_agents.answer_form import wants_digits, wants_name
from hydra_rag_agents.matching import nearness
from hydra_rag_agents.places import word_support
from hydra_rag_agents.text_context import content_tokens, said

__all__ = ["line_priors"]

#: A word without any support; factors of words that the question itself says, that do not begin their cell,
#: that stand before a colon, that have another form than is asked for; of a sentence's words far from it.
_START, _ASKED, _MIDDLE, _LABEL, _MISFORMED, _FAR = 0.1, 0.4, 0.5, 0.3, 0.6, 0.6
_LEAST_NEAR = 0.25


def line_priors(lines: Sequence[Line], chosen: Sequence[Line], question: str) -> list[tuple[float, ...]]:
    """For every word of the ``chosen`` of ``lines`` (the page) how likely it is to begin the answer, 0 to 1;
    one for every piece between white space.

    What counts is how well its cell answers the question (:mod:`hydra_rag_agents.places`), and whether the
    word begins the cell's value; in a sentence, how near the question's words stand. A question for a figure
    is answered with digits soon, one for a person without.
    """
    asked = set(content_tokens(question))
    support = word_support([word for line in lines for word in line.words], question)
    digits, name = wants_digits(question), wants_name(question)
    found: list[tuple[float, ...]] = []
    for line in chosen:
        index = lines.index(line)
        near = [nearness(lines, index, (word,), question) for word in line.words]
        most = max([_LEAST_NEAR, *near])
        priors: list[float] = []
        for number, word in enumerate(line.words):
            score, begins, prose = support[word]
            likely = _START + (1 - _START) * score
            if prose:
                likely *= _FAR + (1 - _FAR) * min(1.0, near[number] / most)
            elif not begins:
                likely *= _MIDDLE
            if word.text.endswith(":"):
                likely *= _LABEL
            if said(asked, content_tokens(word.text)):
                likely *= _ASKED
            soon = "".join(w.text for w in line.words[number : number + 3])
            if digits and not any(c.isdigit() for c in soon):
                likely *= _MISFORMED
            if name and any(c.isdigit() for c in word.text):
                likely *= _MISFORMED
            priors += [likely] * len(word.text.split())
        found.append(tuple(priors))
    return found
