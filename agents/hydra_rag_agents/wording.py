"""The question in the page's own words: a small reader finds "Haulier" only where it is asked for.

Large models know that a carrier is a haulier; one of a few million parameters looks words up. So where a page
does not say a word of the question but says one that means the same on forms, letters and invoices, the
question is put with that one. English only, and only what nearly always means the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple

from hydra_rag.lines import group_lines
from hydra_rag.values import Word
from hydra_rag_agents.state import Turn
from hydra_rag_agents.text_context import content_tokens, said

__all__ = ["in_page_words", "is_label", "reworded"]

_GROUPS = """
carrier, haulier, forwarder, courier, shipping company, transport company, freight company
sender, shipper, consignor, dispatcher, sent by, shipped by
recipient, consignee, receiver, addressee, receives, ship to, deliver to, delivered to
packages, parcels, pieces, cartons, boxes, items
heavy, weigh, weight, mass
large, big, size, area, space
living area, living space, floor area, floor space, usable area
wide, width
high, tall, height
deep, depth
fast, speed, velocity
old, age
far, distance
expensive, price, cost, charge, fee, rate, fare, tariff
shipping, delivery cost, shipping cost, delivery charge, delivery fee, postage, freight
total, sum, grand total, amount due, total due, balance due, total amount
tax, vat, sales tax, gst
discount, rebate, reduction
phone, telephone, tel, mobile, phone number, telephone number, extension
email, e-mail, mail, email address, e-mail address
website, web, url, homepage
postcode, postal code, zip code, zip
city, town, municipality
customer, client, buyer, purchaser, bill to, billed to, sold to, invoice recipient, to
vendor, supplier, seller, dealer
manufacturer, maker, producer, made by
employee, staff member, worker, colleague
staff id, employee id, personnel number, employee number, staff number
doctor, physician, practitioner, dr
medicine, medication, drug
teacher, lecturer, instructor, tutor, trainer, professor
course, class, seminar, lesson
student, pupil, participant, learner
student id, matriculation number, student number
score, grade, mark, result
exam, examination, test
start, begin, beginning, commencement, start date
end, expiry, expiration, valid until, end date
deadline, due date, payable by, pay by, due by
arrival, check-in, arrive
departure, check-out, depart, leaves
booking, reservation, booking number, reservation number, confirmation
hotel, property, accommodation
vehicle, car, automobile
odometer, mileage, kilometres, km reading
licence plate, license plate, number plate, registration, plate
technician, mechanic, engineer, serviced by
inspection, next service, next check, maintenance
landlord, lessor, owner
tenant, lessee, renter
rent, monthly rent
manager, supervisor, head, leader, lead, director
project manager, project lead, project leader, led by, headed by
department, division, unit
position, role, job title, occupation, profession
place of work, workplace, site, office location
salary, wage, pay, remuneration
born, birth, date of birth, birthday, birthdate, dob
quantity, qty, count
part number, part no, article number, article no, item number, item no, order code, product code, sku
serial number, serial no, s/n
order number, order no, purchase order, po number, p.o. no, po no
invoice number, invoice no, inv no, bill number
voltage, input voltage, supply voltage
power, wattage, rated power
temperature, temp
pulse, heart rate
flow rate, throughput
model, type
flat, apartment, property
specimen, sample
insurance, insurer, insurance company
paint, colour, color
finish, colour, color
guest, guest name, reserved for, booked for
destination, place of delivery, port of discharge
volume, capacity, cubage, cubic content
warranty, guarantee
revenue, sales, turnover
profit, earnings
growth, increase, rise
quarter 1, first quarter, q1
quarter 2, second quarter, q2
quarter 3, third quarter, q3
quarter 4, fourth quarter, q4
decline, decrease, fall, drop
inhabitants, population, residents
founded, established, foundation
venue, location, place, room
meeting room, conference room
author, writer, written by, prepared by
subject, topic, re, regarding, concerning
reference, reference number, ref, ref no, reference no
customer number, customer no, customer id, client number, client no, client id
account number, account no
membership number, member number, member no, card number
team size, team, headcount, crew
approved by, reviewer, reviewed by, checked by
colour, color
first name, given name, forename
last name, surname, family name
version, revision, rev, edition, firmware, release
dimensions, size, outer size, measurements, height x width x depth, length x width x height
delivery date, date of delivery, ship date, shipping date, shipped, delivered, dispatched, dispatch date
material, made of
remedy, helps, fix, solution, should be done, corrective action
issued, issued by, issuer
mean, meaning, fault, cause, problem, malfunction, description, error message
"""
#: The measure says already what "how large" is about.
_DEGREE = re.compile(
    r"\bhow \w+ (?:is|was|are|were) the (?=(?:diameter|width|height|depth|length|weight|temperature|pressure"
    r"|voltage|power|speed|rate|area|size|volume|capacity|price|cost|fee|total|tax|discount)\b)",
    re.IGNORECASE,
)
_WORDS = re.compile(r"\w+")
#: The number that a thing has; "the number of pages" is a count.
_OWN_NUMBER = re.compile(r"\bnumber of (?:the|this) (\w+[^\Ws])\b", re.IGNORECASE)
_STANDS = re.compile(r"\b(does .+ )stand for\b", re.IGNORECASE)
_BILL = r"(?:the |this )?(?:invoice|bill|receipt|order|offer|quotation)"
_MADE = r"(?:addressed|written|made out|issued|sent|for)(?: to)?"
#: Whose bill it is: forms print a name for that, not a verb.
_BILLED = re.compile(rf"^\s*(?:(?:to|for) whom|who|whom) (?:is|was) {_BILL} {_MADE}(?=\W*$)", re.IGNORECASE)
#: Of the page: no other word for who leads.
_HEADLINES = frozenset(("heading", "headings"))
#: Where a table has a head for what is asked for, these words are not it: "done" is a state there.
_ASKED_ONLY = frozenset((("done",), ("help",), ("mean",)))
#: In line heights: what parts the cells of a line; words of a label at most.
_CELL, _LABEL = 1.5, 4
_SHARE = re.compile(r"\s*\(?\d+ ?%\)?$")  # "VAT 19%"
_NUMBER = re.compile(r"\b(\w+) number\b", re.IGNORECASE)
_KIND_OF = re.compile(r"\b(?:kind|type|sort) of (\w+)\b", re.IGNORECASE)
_NUMBER_OF = re.compile(r"\bnumber of (?:the |this )?(\w+)\b", re.IGNORECASE)


def in_page_words(question: str, words: Sequence[Word]) -> str:
    """``question`` with every expression that the page (``words``) does not use replaced by one of the same
    meaning that it does use, rather as a label than within a text; unchanged where there is none."""
    page = _Page.of(words)
    if not page.lines:
        return question
    question = _STANDS.sub(r"\1mean", question)
    question = _BILLED.sub("Who is the customer", _OWN_NUMBER.sub(r"\1 number", question))
    whole, degree = tuple(content_tokens(question)), _DEGREE.search(question)
    out, at = [], degree.end() if degree else 0
    if degree:
        out.append(question[:at])
    for start, end, phrase in _expressions(question):
        if start >= at and (other := page.other(phrase, alone=phrase == whole)):
            out += [question[at:start], other]
            at = end
    question = "".join([*out, question[at:]])
    for pattern in (_NUMBER, _NUMBER_OF):
        question = pattern.sub(lambda match: _numbered(match, page.lines), question)
    return _KIND_OF.sub(lambda match: _typed(match, page.lines), question)


class _Page(NamedTuple):
    """``lines``: the tokens of each line; ``labels``: those of cells that may be labels."""

    lines: list[tuple[str, ...]]
    labels: frozenset[tuple[str, ...]]

    @classmethod
    def of(cls, words: Sequence[Word]) -> _Page:
        lines = [tuple(content_tokens(line.text)) for line in group_lines(words)]
        cells = (line.text for line in group_lines(words, max_gap=_CELL))
        labels = (cell.partition(":")[0] if ":" in cell else cell for cell in cells)
        return cls(lines, frozenset(_usual(content_tokens(t)) for t in labels if len(t.split()) <= _LABEL))

    def other(self, phrase: tuple[str, ...], *, alone: bool) -> str | None:
        """What the page says instead, as it is spelt in the table of meanings; ``None`` where it says
        ``phrase`` itself. ``alone``: nothing else is asked for, so a label that says more is not meant."""
        others = _meanings()[phrase]
        label = next((text for other, text in others if _usual(other) in self.labels), None)
        if label and phrase in _ASKED_ONLY:
            return label
        if _usual(phrase) in self.labels:
            return None
        saying = [line for line in self.lines if said(phrase, line) == set(phrase)]
        if saying and not (alone and label and all(self._in_label(line, phrase) for line in saying)):
            return None
        return label or next((t for o, t in others if any(_within(line, o) for line in self.lines)), None)

    def _in_label(self, line: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
        """Whether a line says it in a label that says more: the customer's number, for the customer."""
        return any(set(phrase) < set(label) and set(label) <= set(_usual(line)) for label in self.labels)


def _numbered(match: re.Match[str], lines: Sequence[Sequence[str]]) -> str:
    """A number of something as the page abbreviates it."""
    thing = tuple(content_tokens(match[1]))
    if not any(_within(line, (*thing, "number")) for line in lines):
        for short in ("no", "nr"):
            if any(_within(line, (*thing, short)) for line in lines):
                return f"{match[1]} {short}"
    return match[0]


def _typed(match: re.Match[str], lines: Sequence[Sequence[str]]) -> str:
    """A kind of something as a label says it: "kind of heating" for "Heating type"."""
    thing = content_tokens(match[1])
    for kind in ("type", "kind", "class"):
        if any(_within(line, (*thing, kind)) for line in lines):
            return f"{match[1]} {kind}"
    return match[0]


def is_label(text: str) -> bool:
    """Whether ``text`` is an expression of the table of meanings, as forms print beside or over a value."""
    return tuple(content_tokens(_SHARE.sub("", text))) in _meanings()


def reworded(turn: Turn, words: Sequence[Word]) -> Turn:
    """``turn`` with its question put :func:`in_page_words`, for the model and for the layout."""
    asked, query = in_page_words(turn.asked, words), in_page_words(turn.search_text, words)
    return replace(turn, prompt_question=asked, query=query)


def _expressions(question: str) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """(start, end, tokens) of the known expressions of a question, at each place the longest."""
    places = [
        (match.start(), match.end(), token)
        for match in _WORDS.finditer(question)
        if match.group().casefold() not in _HEADLINES
        for token in _content(match.group())
    ]
    known = _meanings()
    for i, (start, _, _) in enumerate(places):
        for length in range(min(_longest(), len(places) - i), 0, -1):
            phrase = tuple(token for _, _, token in places[i : i + length])
            if phrase in known:
                yield start, places[i + length - 1][1], phrase
                break


def _content(word: str) -> list[str]:
    """The token of a word; none for function words."""
    found = content_tokens(f"{word} page")
    return found[:-1]


def _usual(phrase: Sequence[str]) -> tuple[str, ...]:
    """``phrase`` with "number" for its abbreviations."""
    return tuple("number" if token in ("no", "nr") else token for token in phrase)


def _within(line: Sequence[str], phrase: tuple[str, ...]) -> bool:
    return any(tuple(line[i : i + len(phrase)]) == phrase for i in range(len(line) - len(phrase) + 1))


@cache
def _meanings() -> dict[tuple[str, ...], list[tuple[tuple[str, ...], str]]]:
    """By expression the others of its group, longer ones first."""
    found: dict[tuple[str, ...], list[tuple[tuple[str, ...], str]]] = {}
    for group in _GROUPS.strip().split("\n"):
        phrases = [(tuple(content_tokens(text)), text) for text in group.split(", ")]
        for phrase, _ in phrases:
            others = [item for item in phrases if item[0] != phrase]
            found.setdefault(phrase, []).extend(sorted(others, key=lambda item: -len(item[0])))
    return found


@cache
def _longest() -> int:
    return max(map(len, _meanings()))
