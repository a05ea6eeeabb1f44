"""Sentences that state one fact each, in many wordings, with the questions that ask for it.

A template's slots (``{event}``, ``{device}`` ...) are filled alike in the sentence and in its questions.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from string import Formatter

from hydra_rag.training import text_source as t
from hydra_rag.training.documents.statements import draw_statement

Maker = Callable[[random.Random], str]


def _span(rng: random.Random) -> str:
    unit = rng.choice("seconds minutes hours days weeks months years".split())
    return f"{rng.randint(2, 90)} {unit}"


def _year(rng: random.Random) -> str:
    return str(rng.randint(1890, 2030))


def _count(rng: random.Random) -> str:
    n = rng.choice((rng.randint(2, 99), rng.randint(100, 9999)))
    return f"{n:,}" if rng.random() < 0.5 else str(n)


def _round_money(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return t.money(rng)
    sign = rng.choice(("$", "€", "£"))
    scale = rng.choice((" million", " billion", "", ",000", ",500"))
    return (
        f"{sign}{rng.randint(1, 99)}.{rng.randint(0, 9)}{scale}"
        if scale.startswith(" ")
        else f"{sign}{rng.randint(1, 999)}{scale}"
    )


def _place(rng: random.Random) -> str:
    return rng.choice(
        (rng.choice(t.CITIES), f"Room {rng.randint(1, 400)}", f"Hall {rng.randint(1, 9)}", t.address(rng),
         f"the {rng.choice('town hall|main library|old station|city park|school gym|north wing|second floor'.split('|'))}")
    )  # fmt: skip


_SLOTS: dict[str, tuple[str, ...]] = {
    name: tuple(words.split("|"))
    for name, words in {
        "event": "meeting|course|exhibition|concert|workshop|conference|guided tour|training|fair|match|lecture|interview|exam|auction|summer party|general assembly|inspection|opening ceremony|seminar|trial run|festival|webinar|race|sale",
        "device": "pump|kettle|heater|printer|lamp|drill|camera|router|engine|fan|oven|scanner|projector|washing machine|toaster|lawn mower|battery|monitor|boiler|freezer|microscope|bicycle|speaker|robot|scale|air conditioner|dehumidifier|vacuum cleaner|coffee machine|generator|charger|keyboard|humidifier",
        "part": "filter|belt|battery|oil|blade|seal|water tank|lamp|nozzle|brush|hose|cartridge|housing|fuse|air outlet|bag|spark plug|valve|grease trap|screen",
        "paper": "contract|lease|licence|offer|ticket|permit|policy|subscription|insurance|agreement|guarantee|passport|voucher|tariff|certificate|membership|warranty|loan",
        "place": "office|shop|museum|library|station|warehouse|factory|school|hotel|swimming pool|clinic|restaurant|theatre|garage|branch|laboratory|town hall|bakery|bridge|tower|visitor centre",
        "sum": "fee|deposit|rent|monthly payment|budget|price|discount|fine|premium|salary|donation|refund|advance payment|yearly fee|total|delivery charge|entrance fee|grant|monthly fee|unit price|balance|bonus",
        "role": "manager|director|chair|speaker|teacher|doctor|contact person|inspector|author|winner|owner|tenant|project lead|secretary|treasurer|editor|architect|captain|trainer|designer|founder|mayor|head of sales|buyer|landlord|coach",
        "line": "service line|hotline|front desk|office|support team|emergency line|customer service|ticket desk|reception|repair service|warehouse|sales team",
        "figure": "revenue|turnover|profit|output|production|sales|energy use|water use|attendance|traffic|demand|membership|rainfall|spending|unemployment|the number of visitors|the number of orders|staff costs|exports|imports",
        "thing": "visitors|members|guests|students|orders|tickets|employees|complaints|books|vehicles|patients|votes|parcels|trees|seats|rooms|samples|machines|customers|entries",
        "wall": "walls|the wall|curtains|heaters|other devices|the ceiling|open flames|windows|furniture",
        "setting": "temperature|humidity|pressure|speed|volume|brightness|contrast|voltage|timer|power level",
        "way": "by bus|by train|on foot|by car|by boat|by bicycle",
    }.items()
}  # fmt: skip

#: Sentence | question | question ... and what the value looks like.
_TEMPLATES: tuple[tuple[str, Maker], ...] = (
    ("The {event} takes place on {v}.|When does the {event} take place?|When is the {event}?|On which day is the {event}?", t.date),
    ("The {event} has been moved to {v}.|To which date has the {event} been moved?|When is the {event} now?", t.date),
    ("The {event} starts at {v}.|When does the {event} start?|At what time does the {event} start?|At what time does the {event} begin?", t.clock),
    ("The {event} ends at {v}.|When does the {event} end?|At what time is the {event} over?", t.clock),
    ("The {event} will be held in {v}.|Where is the {event}?|Where will the {event} be held?|Where does the {event} take place?", _place),
    ("The {event} lasts {v}.|How long does the {event} last?|How long is the {event}?|What is the duration of the {event}?", _span),
    ("In all, {v} people came to the {event}.|How many people came to the {event}?|How many people attended the {event}?", _count),
    ("The {event} was organised by {v}.|Who organised the {event}?|Which company organised the {event}?", t.company),
    ("The {event} costs {v} for each person.|How much does the {event} cost?|What does the {event} cost for each person?", _round_money),
    ("The {device} weighs {v}.|How much does the {device} weigh?|How heavy is the {device}?|What is the weight of the {device}?", t.measure),
    ("The {device} needs {v} to heat up.|How long does the {device} need to heat up?", _span),
    ("The {device} costs {v}.|How much does the {device} cost?|What is the price of the {device}?|What does the {device} cost?", _round_money),
    ("The {device} has a power of {v}.|What is the power of the {device}?|How much power does the {device} have?", lambda r: f"{r.randint(5, 3000)} W"),
    ("The {device} is guaranteed for {v}.|How long is the guarantee of the {device}?|How long is the warranty of the {device}?", _span),
    ("The {device} holds {v}.|How much does the {device} hold?|What is the capacity of the {device}?", lambda r: f"{r.randint(1, 90)} {r.choice(('litres', 'l', 'ml', 'cups'))}"),
    ("The {device} was made by {v}.|Who made the {device}?|Which company made the {device}?|Who is the maker of the {device}?", t.company),
    ("Set the {setting} to {v}.|To what should the {setting} be set?|Which {setting} should be set?|What {setting} is recommended?", t.measure),
    ("We recommend a {setting} of {v}.|Which {setting} is recommended?|What {setting} is recommended?", t.measure),
    ("Clean the {part} every {v}.|How often should the {part} be cleaned?|How often must the {part} be cleaned?", _span),
    ("Replace the {part} every {v}.|How often must the {part} be replaced?|How often should the {part} be changed?", _span),
    ("The {part} should be checked after {v}.|When should the {part} be checked?|After what time should the {part} be checked?", _span),
    ("Keep a distance of at least {v} from {wall}.|How far from {wall} should the {device} stand?|What distance should be kept from {wall}?", lambda r: f"{r.randint(2, 300)} {r.choice(('cm', 'm', 'mm', 'inches'))}"),
    ("Let the {device} cool down for {v}.|How long must the {device} cool down?|How long should the {device} cool down?", _span),
    ("Use the {device} only between {v}.|At which temperatures may the {device} be used?|Between which temperatures can the {device} be used?", lambda r: f"{r.randint(-20, 10)} °C and {r.randint(20, 60)} °C"),
    ("The {paper} ends on {v}.|When does the {paper} end?|Until when does the {paper} run?", t.date),
    ("The {paper} is valid until {v}.|Until when is the {paper} valid?|When does the {paper} expire?", t.date),
    ("The new {paper} starts on {v}.|When does the new {paper} start?|From when does the new {paper} apply?", t.date),
    ("The {paper} was signed on {v}.|When was the {paper} signed?", t.date),
    ("The number of your {paper} is {v}.|What is the number of the {paper}?|What is the {paper} number?", t.code),
    ("The {paper} can be ended with a notice of {v}.|What is the notice period of the {paper}?|With what notice can the {paper} be ended?", _span),
    ("Your {sum} is {v}.|How much is the {sum}?|What is the {sum}?|How high is the {sum}?", _round_money),
    ("The {sum} comes to {v}.|How much is the {sum}?|What does the {sum} come to?", _round_money),
    ("We have received your {sum} of {v}.|How much is the {sum}?|What {sum} was received?", _round_money),
    ("The {sum} must be paid by {v}.|When must the {sum} be paid?|By when must the {sum} be paid?|When is the {sum} due?", t.date),
    ("The {sum} rises from {w} to {v}.|To how much does the {sum} rise?|What is the new {sum}?|How high is the new {sum}?", _round_money),
    ("The {sum} rises from {v} to {w}.|What was the old {sum}?|From how much does the {sum} rise?", _round_money),
    ("The {role} is {v}.|Who is the {role}?|What is the name of the {role}?|What is the {role}'s name?", t.person),
    ("{v}, our {role}, will be glad to help you.|Who is the {role}?|What is the name of the {role}?", t.person),
    ("The {role} of the {event} was {v}.|Who was the {role} of the {event}?|Who was the {role}?", t.person),
    ("Please contact {v} for details.|Who should be contacted?|Who is the contact?|Who can be asked for details?", t.person),
    ("The project is led by {v}.|Who leads the project?|Who is the project lead?", t.person),
    ("You can reach our {line} on {v}.|What is the telephone number of the {line}?|What is the phone number of the {line}?|Which number does the {line} have?", t.phone),
    ("Call our {line} on {v}.|What is the telephone number of the {line}?|On which number can the {line} be called?", t.phone),
    ("Write to our {line} at {v}.|What is the email address of the {line}?|To which address should one write?", t.email),
    ("The {place} opens at {v}.|When does the {place} open?|At what time does the {place} open?", t.clock),
    ("The {place} closes at {v}.|When does the {place} close?|Until when is the {place} open?", t.clock),
    ("The {place} is in {v}.|Where is the {place}?|In which place is the {place}?", _place),
    ("The {place} has moved to {v}.|Where has the {place} moved to?|What is the new address of the {place}?", t.address),
    ("The {place} was built in {v}.|When was the {place} built?|In which year was the {place} built?", _year),
    ("The {place} was built by {v}.|Who built the {place}?|Which company built the {place}?", t.company),
    ("The {place} has {v} {thing}.|How many {thing} does the {place} have?|How many {thing} are there?", _count),
    ("The {place} can be reached {way} in {v}.|How long does it take {way}?|How long does it take to reach the {place}?", _span),
    ("{Figure} rose by {v} compared with last year.|By how much did {figure} rise?|How much did {figure} rise?|By how much did {figure} grow?", t.percent),
    ("{Figure} fell by {v} in the second half.|By how much did {figure} fall?|How much did {figure} fall?", t.percent),
    ("{Figure} reached {v} in {y}.|What did {figure} reach in {y}?|How high was {figure} in {y}?|How much was {figure} in {y}?", _round_money),
    ("There were {v} {thing} in {y}.|How many {thing} were there in {y}?|How many {thing} were counted in {y}?", _count),
    ("A total of {v} {thing} were counted.|How many {thing} were counted?|How many {thing} were there?", _count),
    ("The number of {thing} grew from {w} to {v}.|To how many did the number of {thing} grow?|How many {thing} are there now?", _count),
    ("On average, {v} {thing} came each day.|How many {thing} came each day?|How many {thing} came on average?", _count),
    ("{v} was the most important market.|Which market was the most important?|What was the most important market?", lambda r: r.choice(t.CITIES)),
    ("Your reference number is {v}.|What is the reference number?|Which reference number is given?", t.code),
    ("Your order {v} has been shipped.|Which order has been shipped?|What is the order number?", t.code),
    ("Your customer number is {v}.|What is the customer number?|Which customer number is given?", t.code),
    ("The password is {v}.|What is the password?", t.code),
    ("The part number of the {part} is {v}.|What is the part number of the {part}?|Which part number does the {part} have?", t.code),
    ("Press the {v} button to start.|Which button starts the {device}?|Which button must be pressed to start?", lambda r: r.choice("red green blue black white upper lower left right round power".split())),
    ("It was founded in {v}.|When was it founded?|In which year was the company founded?", _year),
    ("The study was made by {v}.|Who made the study?|Which company made the study?", t.company),
    ("The company {v} won the contract.|Which company won the contract?|Who won the contract?", t.company),
    ("The train leaves at {v}.|When does the train leave?|At what time does the train leave?", t.clock),
    ("The temperature reached {v}.|What temperature was reached?|How high was the temperature?", lambda r: f"{r.randint(-20, 400)} °C"),
    ("The main risk is {v}.|What is the main risk?|Which risk is the main one?", lambda r: r.choice("late delivery|rising prices|lack of staff|bad weather|a broken pump|missing parts|too few users|slow approval|high costs|water damage".split("|"))),
)  # fmt: skip


def draw_sentences(rng: random.Random, count: int) -> list[tuple[str, list[str], str]]:
    """``count`` different sentences, each with its questions and the value that answers them."""
    out = []
    for template, maker in rng.sample(_TEMPLATES, min(count, len(_TEMPLATES))):
        if rng.random() < 0.45:
            out.append(draw_statement(rng))
            continue
        names = {n for _, n, _, _ in Formatter().parse(template) if n}
        words = {n: _fill(rng, n) for n in sorted({n.lower() for n in names} - {"v", "w"})}
        slots = {n: w for k, w in words.items() for n, w in ((k, w), (k.capitalize(), w[0].upper() + w[1:]))}
        value = maker(rng)
        other = maker(rng)
        sentence, *questions = [part.format(v=value, w=other, **slots) for part in template.split("|")]
        if sentence.count(value) == 1:
            out.append((sentence, questions, value))
    return out


def _fill(rng: random.Random, slot: str) -> str:
    if slot == "y":
        return str(rng.randint(1990, 2030))
    word = rng.choice(_SLOTS[slot])
    if slot == "device" and rng.random() < 0.3:
        name = t.pseudo_word(rng).capitalize()
        word = f"{name} {rng.randint(2, 900)}" + ("" if rng.random() < 0.5 else f" {word}")
    elif slot == "event" and rng.random() < 0.2:
        word = f"{t.pseudo_word(rng)} {word}"
    return word
