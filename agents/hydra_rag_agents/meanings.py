"""Words that mean the same on forms, letters and invoices. English only, and only what nearly always does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

from hydra_rag_agents.text_context import content_tokens

__all__ = ["GROUPS", "VAGUE", "expressions", "is_label", "meanings", "usual", "within"]

GROUPS = """
carrier, haulier, forwarder, courier, shipping company, transport company, freight company
sender, shipper, consignor, dispatcher, sent by, shipped by
recipient, consignee, receiver, addressee, receives, ship to, deliver to, delivered to
packages, parcels, pieces, cartons, boxes, items
heavy, weigh, weight, mass
large, big, size, dimensions, area, space
living area, living space, floor area, floor space, usable area
wide, width
high, tall, height
deep, depth
fast, speed, velocity
old, age
far, distance
expensive, price, cost, charge, fee, rate, fare, tariff
shipping, delivery, delivery cost, shipping cost, delivery charge, delivery fee, postage, freight
total, sum, grand total, amount due, total due, balance due, total amount
tax, vat, sales tax, gst
discount, rebate, reduction
phone, telephone, tel, mobile, phone number, telephone number, extension
email, e-mail, mail, email address, e-mail address
website, web, url, homepage
postcode, postal code, zip code, zip
city, town, municipality, place
customer, client, buyer, purchaser, bill to, billed to, sold to, invoice recipient, to
company, supplier
company, vendor
company, seller
company, sender
company, manufacturer
address, street, street address
vendor, supplier, seller, dealer
manufacturer, maker, producer, made by
employee, staff member, worker, colleague
staff id, employee id, personnel number, employee number, staff number
doctor, physician, practitioner, dr
medicine, medication, drug
teacher, lecturer, instructor, tutor, trainer, professor, teaches, taught by
course, class, seminar, lesson
student, pupil, participant, learner
student id, matriculation number, student number
score, grade, mark, result
exam, examination, test
start, begin, beginning, commencement, start date, first day, from, valid from
end, expiry, expiration, expires, valid until, valid to, until, end date, expiry date, last day, to
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
owner, keeper, holder
tenant, lessee, renter
rent, monthly rent
manager, supervisor, head, leader, lead, director
project manager, project lead, project leader, led by, headed by
quantity, qty, count, number of items, number of units, items, pieces, units
department, division, unit
product, item, article
position, role, job, job title, occupation, profession
place of work, workplace, site, office location
salary, wage, pay, remuneration
born, birth, date of birth, birthday, birthdate, dob
part number, part no, article number, article no, item number, item no, order code, product code, sku
serial number, serial no, s/n
tracking number, tracking no, parcel number, parcel no, shipment number, consignment number, waybill number
declared value, customs value
chassis number, vin, vehicle identification number
order number, order no, purchase order, po number, p.o. no, po no, order
invoice number, invoice no, inv no, bill number, document number, document no, doc no
voltage, input voltage, supply voltage, power supply
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
volume, capacity, cubage, cubic content, content, contents, tank volume, tank
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
founded, established, foundation, since
member since, start of the membership, customer since, since
venue, location, place, room
meeting room, conference room
author, writer, written by, prepared by
applicant, applicant name, name of applicant, full name, name
subject, topic, re, regarding, concerning
reference, reference number, ref, ref no, reference no
iban, bank account, account number, account no, account
customer number, customer no, customer id, client number, client no, client id, account number, account no
policy number, policy no, contract number, contract no
membership number, member number, member no, card number
team size, team, headcount, crew
approved by, reviewer, reviewed by, checked by, signed by, signature
colour, color
first name, given name, forename
last name, surname, family name
version, revision, rev, edition, firmware, release
dimensions, size, outer size, measurements, height x width x depth, length x width x height
delivery date, date of delivery, ship date, shipping date, shipped, delivered, dispatched, dispatch date
material, made of, housing
remedy, helps, fix, solution, should be done, corrective action
issued, issued by, issuer
issue date, date of issue, date issued, invoice date, date of invoice, date
subtotal, sub-total, net amount, net total, net
opening hours, office hours, visiting hours, business hours, hours
status, state
mean, meaning, fault, cause, problem, malfunction, description, error message
"""

#: Words that say too little within a question or a text ("the name of the hotel", "from here"): they mean the
#: same as others of their group where nothing else is asked for, and where they are a whole label.
VAGUE = frozenset(
    (word,)
    for word in "account address article company content date from hour item name net order piece product"
    " state tank to unit until".split()
)
_WORDS = re.compile(r"\w+")
#: Of the page: no other word for who leads.
_HEADLINES = frozenset(("heading", "headings"))
_SHARE = re.compile(r"\s*\(?\d+ ?%\)?$")  # "VAT 19%"


def is_label(text: str) -> bool:
    """Whether ``text`` is an expression of the table of meanings, as forms print beside or over a value."""
    return tuple(content_tokens(_SHARE.sub("", text))) in meanings()


def expressions(question: str) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """(start, end, tokens) of the known expressions of a question, at each place the longest."""
    places = [
        (match.start(), match.end(), token)
        for match in _WORDS.finditer(question)
        if match.group().casefold() not in _HEADLINES
        for token in _content(match.group())
    ]
    known = meanings()
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


def usual(phrase: Sequence[str]) -> tuple[str, ...]:
    """``phrase`` with "number" for its abbreviations."""
    return tuple("number" if token in ("no", "nr") else token for token in phrase)


def within(line: Sequence[str], phrase: tuple[str, ...]) -> bool:
    return any(tuple(line[i : i + len(phrase)]) == phrase for i in range(len(line) - len(phrase) + 1))


@cache
def meanings() -> dict[tuple[str, ...], list[tuple[tuple[str, ...], str]]]:
    """By expression the others of its group, longer ones first."""
    found: dict[tuple[str, ...], list[tuple[tuple[str, ...], str]]] = {}
    for group in GROUPS.strip().split("\n"):
        phrases = [(tuple(content_tokens(text)), text) for text in group.split(", ")]
        for phrase, _ in phrases:
            others = [item for item in phrases if item[0] != phrase]
            found.setdefault(phrase, []).extend(sorted(others, key=lambda item: -len(item[0])))
    return found


@cache
def _longest() -> int:
    return max(map(len, meanings()))
