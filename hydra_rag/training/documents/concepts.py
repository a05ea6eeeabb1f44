"""Field concepts: how a label is printed, how people ask for it, what its values look like."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from hydra_rag.training import text_source as t

Maker = Callable[[random.Random], str]


@dataclass(frozen=True)
class Concept:
    """``printed``: labels on pages; ``asked``: noun phrases in questions; ``whole``: whole questions."""

    printed: tuple[str, ...]
    asked: tuple[str, ...]
    make: Maker
    whole: tuple[str, ...] = ()


def _c(printed: str, asked: str, make: Maker, whole: str = "") -> Concept:
    return Concept(_split(printed), _split(asked), make, _split(whole))


def _split(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split("|") if name.strip())


def _short_code(rng: random.Random) -> str:
    return t.digits(rng, rng.randint(3, 8)) if rng.random() < 0.4 else t.code(rng)


def _count(rng: random.Random) -> str:
    return str(rng.choice((rng.randint(1, 40), rng.randint(1, 999))))


def _place(rng: random.Random) -> str:
    return rng.choice(
        (
            rng.choice(t.CITIES),
            f"Room {rng.randint(1, 40)}",
            f"Hall {rng.choice('ABCDEF')}",
            f"Building {rng.randint(1, 30)}",
        )
    )


def _status(rng: random.Random) -> str:
    return rng.choice(
        ("open", "closed", "approved", "pending", "active", "paid", "draft", "final", "rejected", "in review")
    )


def _term(rng: random.Random) -> str:
    return rng.choice(("{} days", "{} months", "{} weeks", "{} years", "net {} days")).format(
        rng.randint(1, 90)
    )


def _color(rng: random.Random) -> str:
    return rng.choice("black white red blue green grey silver yellow orange purple brown navy beige".split())


def _material(rng: random.Random) -> str:
    return rng.choice(
        "steel aluminium oak plastic glass ceramic leather cotton brass rubber nylon titanium".split()
    )


def _two_words(rng: random.Random) -> str:
    return f"{t.pseudo_word(rng).capitalize()} {rng.choice((t.pseudo_word(rng).capitalize(), str(rng.randint(2, 999)), 'Pro', 'Max', 'X'))}"


def _address(rng: random.Random) -> str:
    return f"{t.address(rng)}, {rng.choice(t.CITIES)}" if rng.random() < 0.5 else t.address(rng)


CONCEPTS: tuple[Concept, ...] = (
    _c("Invoice No.|Invoice number|Invoice no|Invoice #|Invoice|Inv. No.", "invoice number|number of the invoice|invoice no.", _short_code),
    _c("Invoice date|Date of invoice|Date|Issue date|Issued|Date issued", "invoice date|date of the invoice|issue date|date", t.date, "When was it issued?|When was the invoice issued?"),
    _c("Due date|Payment due|Due|Pay by|Due by", "due date|payment due date|date due", t.date, "When is payment due?|When is the payment due?|By when must it be paid?"),
    _c("Total|Total due|Amount due|Grand total|Total amount|TOTAL|Balance due|Total amount due", "total|total amount|amount due|total due|total amount due|grand total", t.money, "How much is due?|How much is the total?|How much must be paid?"),
    _c("Subtotal|Net amount|Net total|Sub-total|Net", "subtotal|net amount|net total", t.money),
    _c("VAT|Tax|Sales tax|VAT 19%|Tax amount|VAT (20%)", "tax|VAT|tax amount|VAT amount", t.money, "How much tax is charged?|How much is the VAT?"),
    _c("Shipping|Delivery|Freight|Shipping cost|Postage", "shipping cost|delivery cost|shipping", t.money, "How much is shipping?"),
    _c("Discount|Rebate", "discount", t.money),
    _c("Price|Unit price|List price|Price per unit", "price|unit price|list price", t.money, "How much does it cost?"),
    _c("Customer No.|Customer number|Customer ID|Client no.|Client ID|Account number|Account no.", "customer number|customer ID|account number|client number", _short_code),
    _c("Order No.|Order number|Order|Purchase order|PO number|P.O. No.", "order number|purchase order number|PO number", _short_code),
    _c("Reference|Ref.|Your ref.|Our ref.|Reference no.|Ref. No.", "reference|reference number", _short_code),
    _c("Serial number|Serial No.|S/N|Serial", "serial number", _short_code),
    _c("Model|Model number|Model No.|Type", "model|model number|type", _short_code, "Which model is it?"),
    _c("Article No.|Item number|Part number|SKU|Part No.|Product code", "article number|item number|part number|product code|SKU", _short_code),
    _c("Policy number|Policy No.|Contract number|Contract No.|Claim number|Claim No.", "policy number|contract number|claim number", _short_code),
    _c("IBAN|Bank account|Account", "IBAN|bank account", lambda r: f"{r.choice(('DE', 'FR', 'NL', 'AT', 'GB'))}{t.digits(r, 2)} {t.digits(r, 4)} {t.digits(r, 4)} {t.digits(r, 4)}"),
    _c("Name|Full name|Applicant|Name of applicant|Applicant name", "name|full name|applicant|name of the applicant", t.person, "Who is the applicant?|Who filled in the form?|What is the applicant's name?"),
    _c("Customer|Client|Bill to|Sold to|Billed to", "customer|client", t.person, "Who is the customer?|Who is it billed to?|Who is the client?|Who is billed?|Which company is billed?"),
    _c("Contact|Contact person|Your contact", "contact|contact person", t.person, "Who is the contact person?|Who is the contact?"),
    _c("Manager|Project manager|Project lead|Team lead|Head of department", "manager|project manager|team lead|project lead", t.person, "Who is the manager?|Who leads the project?|Who is the project manager?"),
    _c("Author|Prepared by|Written by|Author(s)", "author", t.person, "Who is the author?|Who wrote it?|Who prepared the report?|Who prepared it?"),
    _c("Approved by|Signed by|Checked by|Reviewed by|Signature", "name of the person who signed|reviewer", t.person, "Who approved it?|Who signed it?|Who reviewed it?|Who checked it?"),
    _c("Doctor|Physician|Treating doctor", "doctor|physician", lambda r: "Dr. " + t.person(r), "Who is the doctor?"),
    _c("Patient|Patient name|Student|Member|Employee|Employee name", "patient|patient name|employee name|member", t.person, "Who is the patient?|Who is the employee?|What is the patient's name?"),
    _c("Company|Supplier|Vendor|Manufacturer|Sender|Seller", "company|supplier|vendor|manufacturer|sender", t.company, "Which company is it?|Who is the supplier?|Who is the manufacturer?|Who made it?"),
    _c("Address|Street|Street address|Delivery address|Home address", "address|street|delivery address|street address", _address),
    _c("City|Town|Place|Place of birth|Destination", "city|town|place|destination", lambda r: r.choice(t.CITIES), "In which city is it?|Which city is given?"),
    _c("Location|Room|Venue|Meeting room|Warehouse", "location|room|venue", _place, "Where is it?|Where does it take place?|Where is the meeting?"),
    _c("Phone|Telephone|Tel.|Phone number|Mobile", "phone number|telephone number|phone|telephone", t.phone),
    _c("E-mail|Email|E-mail address|Email address", "email|email address|e-mail address", t.email),
    _c("Date of birth|Born|Birth date|DOB", "date of birth|birth date", t.date, "When was the person born?|When was the applicant born?"),
    _c("Start date|Start|From|Begins|Valid from|Start of work", "start date|beginning|first day", t.date, "When does it start?|When does it begin?"),
    _c("End date|End|To|Ends|Valid until|Valid to|Expires|Expiry date", "end date|expiry date|last day", t.date, "When does it end?|When does it expire?|Until when is it valid?"),
    _c("Delivery date|Delivered|Ship date|Shipped|Date of delivery", "delivery date|shipping date", t.date, "When is it delivered?|When was it shipped?"),
    _c("Time|Meeting time|Arrival|Departure|Start time", "time|start time", t.clock, "At what time does it start?|What time is it?"),
    _c("Quantity|Qty|Qty.|Pieces|Number of items|Units", "quantity|number of items|number of units", _count, "How many items are there?|How many units are there?|How many pieces are there?"),
    _c("Pages|Number of pages|Participants|Number of employees|Employees|Staff|Guests", "number of pages|number of participants|number of employees", _count, "How many employees are there?|How many participants are there?"),
    _c("Weight|Net weight|Gross weight|Mass", "weight|net weight", t.measure, "How heavy is it?|How much does it weigh?|How much does the device weigh?|What does it weigh?"),
    _c("Length|Width|Height|Depth|Diameter", "length|width|height|depth|diameter", t.measure, "How long is it?|How wide is it?|How high is it?"),
    _c("Dimensions|Size", "dimensions|size", lambda r: f"{r.randint(2, 300)} x {r.randint(2, 300)} x {r.randint(2, 99)} mm", "How big is it?|How large is it?"),
    _c("Voltage|Supply voltage|Input voltage|Power supply", "voltage|supply voltage|input voltage", lambda r: f"{r.choice((5, 12, 24, 48, 110, 230, 400))} V"),
    _c("Power|Power consumption|Rated power|Max. power", "power|power consumption|rated power", lambda r: f"{r.randint(1, 3000)} W", "How much power does it use?"),
    _c("Temperature|Operating temperature|Max. temperature|Storage temperature", "temperature|operating temperature|maximum temperature", lambda r: f"{r.randint(-40, 20)} to {r.randint(25, 120)} °C" if r.random() < 0.5 else f"{r.randint(-20, 120)} °C"),
    _c("Pressure|Max. pressure|Flow rate|Speed|Max. speed|Frequency|Capacity|Range|Battery life", "pressure|maximum pressure|flow rate|speed|maximum speed|frequency|capacity|range|battery life", t.measure),
    _c("Colour|Color|Finish", "colour|color|finish", _color, "What colour is it?|Which color is it?"),
    _c("Material|Housing|Made of", "material", _material, "What is it made of?|Which material is used?"),
    _c("Warranty|Guarantee|Payment terms|Term|Notice period|Duration", "warranty|guarantee|payment terms|term|notice period|duration", _term, ""),
    _c("Status|State", "status|state", _status),
    _c("Project|Project name|Product|Product name|Title|Item", "project|project name|product|product name", _two_words, "Which project is it?|Which product is it?"),
    _c("Subject|Re|Topic|Regarding", "subject|topic", lambda r: " ".join(r.choice(t.WORDS[40:190]) for _ in range(r.randint(2, 4))).capitalize(), "What is it about?|What is the letter about?"),
    _c("Version|Revision|Rev.|Edition|Firmware", "version|revision|firmware version", lambda r: f"{r.randint(0, 12)}.{r.randint(0, 30)}" + (f".{r.randint(0, 9)}" if r.random() < 0.4 else "")),
    _c("Budget|Cost|Costs|Revenue|Profit|Salary|Deposit|Fee|Rent|Premium", "budget|cost|revenue|profit|salary|deposit|fee|rent|premium", t.money),
    _c("Rate|Interest rate|Growth|Share|Margin|Humidity|Score", "rate|interest rate|growth|share|margin|humidity|score", t.percent),
    _c("Department|Division|Office|Branch|Team", "department|division|office|branch|team", lambda r: r.choice("Sales Finance Marketing Research Logistics Support Legal Purchasing Quality Security Engineering Design Personnel".split()), "Which department is it?"),
    _c("Country|Nationality|Origin|Country of origin", "country|nationality|origin|country of origin", lambda r: r.choice("Germany France Spain Italy Poland Norway Sweden Austria Canada Japan Brazil Kenya India Chile Ireland Portugal Greece Turkey Egypt Vietnam".split()), "Where does it come from?|Which country is it from?"),
    _c("Postcode|ZIP code|Postal code|ZIP", "postcode|ZIP code|postal code", lambda r: t.digits(r, r.choice((4, 5, 5, 6)))),
    _c("Last name|Surname|Family name", "last name|surname|family name", lambda r: r.choice(t.LAST)),
    _c("First name|Given name|Forename", "first name|given name|forename", lambda r: r.choice(t.FIRST)),
    _c("Occupation|Profession|Job|Job title|Position", "occupation|profession|job title|job", lambda r: r.choice("teacher carpenter nurse engineer baker lawyer driver clerk farmer painter doctor designer student plumber cook pilot tailor gardener electrician chemist".split()).capitalize(), "What is the person's job?"),
    _c("Member since|Customer since|Employed since|Established|Founded|Since", "start of the membership", lambda r: str(r.randint(1950, 2030)), "Since when is the person a member?|Since when?|Since which year?"),
    _c("Membership number|Member no.|Member number|Card number", "membership number|member number|card number", _short_code),
    _c("Article number|Article no.|Item number|Item no.|SKU|Product code", "article number|item number|product code", _short_code, "Which article number does it have?"),
    _c("Serial number|Serial no.|S/N|Part number|Part no.", "serial number|part number", _short_code),
    _c("Project lead|Project manager|Team lead|Led by", "project lead|project manager|team lead", t.person, "Who leads the project?|Who is the project lead?"),
    _c("Team size|Team|Headcount|Crew", "team size|headcount", lambda r: f"{r.randint(2, 90)} people", "How large is the team?|How many people are in the team?|How big is the team?"),
    _c("Bank|Name of bank", "bank|name of the bank", lambda r: f"{r.choice(t.CITIES)} {r.choice(('Savings Bank', 'Bank', 'Trust', 'Credit Union'))}", "Which bank is it?"),
    _c("Account|Account number|Account no.|IBAN", "account number|account", lambda r: " ".join(t.digits(r, r.randint(2, 4)) for _ in range(r.randint(2, 4)))),
    _c("Author|Written by|Prepared by|Editor|Inspector|Checked by|Approved by|Signed by|Doctor|Teacher|Seller|Buyer|Driver|Owner|Tenant|Landlord", "author|editor|inspector|doctor|teacher|seller|buyer|driver|owner|tenant|landlord", t.person),
    _c("Dimensions (W x H x D)|Height x width x depth|Outer size", "dimensions|outer size", lambda r: f"{r.randint(20, 900)} x {r.randint(20, 900)} x {r.randint(20, 900)} mm"),
    _c("Cable length|Cord length|Hose length|Working width|Depth of cut|Screen size|Wheel size", "cable length|cord length|hose length|working width|depth of cut|screen size|wheel size", t.measure),
    _c("Volume|Tank|Tank volume|Content|Contents", "volume|tank volume|content", lambda r: f"{r.choice((r.randint(1, 90), round(r.uniform(0.2, 9.9), 1)))} {r.choice(('l', 'litres', 'ml', 'm³'))}", "How much does it hold?"),
    _c("Type of membership|Ticket type|Room type|Class|Category|Type|Fare", "type of membership|ticket type|room type|class|category|type|fare", lambda r: r.choice("standard family student single senior double premium basic junior economy business first group day annual".split())),
    _c("Milestone|Next step|Next milestone|Main risk|Risk", "milestone|next step|next milestone|main risk|risk", lambda r: r.choice("prototype|pilot test|data check|training|launch|first tests|review|late delivery|rising prices|lack of staff|bad weather|missing parts".split("|")), ""),
    _c("Opening hours|Open|Hours|Office hours|Visiting hours", "opening hours|office hours|visiting hours", lambda r: f"{r.randint(6, 11)}:{r.choice(('00', '30'))} to {r.randint(14, 22)}:{r.choice(('00', '30'))}", "When is it open?"),
    _c("Distance|Route length|Altitude|Area|Floor area|Living space", "distance|route length|altitude|area|floor area|living space", t.measure),
    _c("Floor|Storey|Room|Desk|Aisle|Shelf", "floor|storey|room|desk|aisle|shelf", lambda r: str(r.randint(1, 99))),
    _c("Monthly payment|Monthly rate|Yearly fee|Instalment|Hourly rate|Discount|Unit price|Price", "monthly payment|monthly rate|yearly fee|instalment|hourly rate|discount|unit price|price", t.money),
    _c("License plate|Registration|Vehicle|Flight|Train|Gate|Seat", "license plate|registration|vehicle|flight|train|gate|seat", t.code),
)  # fmt: skip

#: Labels that share their position in printed/asked (``Length`` is asked for as "length", never "width").
_PAIRED = {
    "Length",
    "Pressure",
    "Budget",
    "Rate",
    "Department",
    "License plate",
    "Warranty",
    "Country",
    "Postcode",
    "Pages",
    "Author",
    "Cable length",
    "Type of membership",
    "Milestone",
    "Distance",
    "Floor",
    "Monthly payment",
}

_ASK = (
    "What is the {}?", "What is the {}?", "What is the {}?", "What is the {}?", "{}?", "What {} is given?", "Which {} is stated?", "Give the {}.", "Find the {}.",
    "What does it say for {}?", "Tell me the {}.", "What's the {}?", "Please give me the {}.", "What is the {} on this page?",
)  # fmt: skip


#: Further questions for values of a kind: who is the {}, when is the {} ...
_KIND_ASK: dict[Maker, tuple[str, ...]] = {
    t.person: ("Who is the {}?", "Who was the {}?", "Which person is the {}?"),
    t.company: ("Who is the {}?", "Which company is the {}?", "Which firm is given as {}?"),
    t.date: ("When is the {}?", "On which date is the {}?", "When was the {}?", "From when is the {}?"),
    t.clock: ("When is the {}?", "At what time is the {}?"),
    t.money: ("How much is the {}?", "How high is the {}?", "How much does the {} come to?"),
    t.measure: (
        "How large is the {}?",
        "How high is the {}?",
        "How much is the {}?",
        "What {} does it have?",
    ),
    t.percent: ("How high is the {}?", "How much is the {}?"),
    t.number: ("How high is the {}?", "How many are given for {}?"),
    t.code: ("Under which {} is it listed?", "Which {} does it have?"),
}


def ask(rng: random.Random, noun: str, maker: Maker | None = None) -> str:
    if maker in _KIND_ASK and rng.random() < 0.35:
        question = rng.choice(_KIND_ASK[maker]).format(noun)
    elif " " in noun and rng.random() < 0.12:  # the words of a label, apart
        first, last = noun.split(" ", 1)
        question = rng.choice(
            (
                "What is the {b} of the {a}?",
                "Which {a} is the {b}?",
                "In which {a} was it {b}?",
                "What {b} does the {a} have?",
            )
        ).format(a=first, b=last)
    else:
        question = rng.choice(_ASK).format(noun)
    return question[0].upper() + question[1:]


def draw_field(rng: random.Random, taken: set[str]) -> tuple[str, str, list[str]]:
    """A printed label that is not in ``taken`` (lower case), its value and questions for it."""
    whole: list[str]
    for _ in range(50):
        if rng.random() < 0.22:  # made-up labels: the label must be found on the page, not guessed
            label = rng.choice(
                (
                    t.pseudo_word(rng),
                    f"{t.pseudo_word(rng)} {rng.choice(t.WORDS[20:190])}",
                    f"{rng.choice(t.WORDS[20:190])} {t.pseudo_word(rng)}",
                )
            ).capitalize()
            maker: Maker = rng.choice(
                (
                    t.number,
                    t.code,
                    t.date,
                    t.money,
                    t.person,
                    t.measure,
                    t.percent,
                    _count,
                    t.phone,
                    _two_words,
                )
            )
            key, nouns, whole = label.lower(), [label.lower() if rng.random() < 0.8 else label], []
        else:
            concept = rng.choice(CONCEPTS)
            if concept.printed[0] in _PAIRED:
                label = rng.choice(concept.printed)
                nouns, whole = [label.lower()], []
            else:
                label = rng.choice(concept.printed)
                nouns, whole = list(concept.asked), list(concept.whole)
                if rng.random() < 0.5 and "." not in label and "#" not in label:
                    nouns = [label.lower()]
            maker, key = (
                concept.make,
                concept.asked[0] if concept.printed[0] not in _PAIRED else label.lower(),
            )
        if key in taken or label.lower() in taken:
            continue
        taken.update((key, label.lower()))
        value = maker(rng)
        questions = [ask(rng, n, maker) for n in rng.sample(nouns, min(2, len(nouns)))]
        if whole and rng.random() < 0.6:
            questions.append(rng.choice(whole))
        return label, value, questions
    return "Note", t.code(rng), ["What is the note?"]
