"""Sentences put together from parts, so that what is learned is to match question and sentence, not to know them."""

from __future__ import annotations

import random

from hydra_rag.training import text_source as t

_NOUNS = """house bridge roof engine garden report window letter painting machine ticket road garage piano map ship wall fence boat
album contract cellar gate hall kitchen ladder library mirror museum organ oven parcel path pipe plan platform playground pond poster
pump ramp record sign statue survey table tent tower trailer tunnel van vault wagon well workshop archive bench canal carpet catalogue
chapel clock cottage counter court crane curtain dam deck desk door drain elevator entrance exhibition factory farm ferry film filter
fountain furnace gallery greenhouse harbour hotel invoice jetty lamp laboratory lighthouse locker logo magazine manual market mast
meter mill monument novel nursery office orchard park pavilion permit picture pier pool portrait project proposal quarry railway
reactor rental reservoir restaurant school sculpture server shed shop song stage station studio summary system theatre track tractor
translation tree truck turbine vehicle vineyard ward warehouse website wheel windmill yacht""".split()
_PLURALS = """houses letters bicycles books trees tickets pupils members parcels samples lamps boats chairs birds cars tables visitors bottles
apples rooms machines windows students guests bricks stamps photos engines reports shops roads patients nurses trains horses tiles
pages seeds bags boxes meters wheels stones votes songs plants fish cows""".split()
#: base, past, participle
_VERBS = tuple(
    tuple(word.split("/"))
    for word in """paint/painted/painted build/built/built open/opened/opened close/closed/closed repair/repaired/repaired buy/bought/bought
sell/sold/sold find/found/found write/wrote/written sign/signed/signed approve/approved/approved check/checked/checked clean/cleaned/cleaned
deliver/delivered/delivered design/designed/designed direct/directed/directed finance/financed/financed guide/guided/guided host/hosted/hosted
inspect/inspected/inspected install/installed/installed measure/measured/measured move/moved/moved order/ordered/ordered own/owned/owned
plan/planned/planned print/printed/printed produce/produced/produced read/read/read record/recorded/recorded rent/rented/rented
replace/replaced/replaced restore/restored/restored review/reviewed/reviewed send/sent/sent ship/shipped/shipped test/tested/tested
translate/translated/translated visit/visited/visited win/won/won draw/drew/drawn lead/led/led lose/lost/lost keep/kept/kept insure/insured/insured
present/presented/presented renovate/renovated/renovated remove/removed/removed pay/paid/paid supply/supplied/supplied count/counted/counted
publish/published/published donate/donated/donated borrow/borrowed/borrowed take/took/taken extend/extended/extended lock/locked/locked""".split()
)
_HEADS = (
    "",
    "",
    "",
    "",
    "In spring, ",
    "According to the minutes, ",
    "As planned, ",
    "Last year, ",
    "In the end, ",
    "After a long debate, ",
    "For the second time, ",
)
_TAILS = ("", "", "", " on our behalf", " with the help of volunteers", " before the holidays", " after the storm", " for the town", " without any delay",
          " during the night", " in front of many guests", " for the last time", " together with the school", " at short notice")  # fmt: skip


def draw_statement(rng: random.Random) -> tuple[str, list[str], str]:
    """A sentence, questions for the one value in it, and that value."""
    noun, base_past = rng.choice(_NOUNS), rng.choice(_VERBS)
    base, past, done = base_past
    if rng.random() < 0.15:
        noun = f"{t.pseudo_word(rng)} {noun}"
    head, tail = rng.choice(_HEADS), rng.choice(_TAILS)
    kind = rng.choice(("who", "who", "who", "when", "where", "much", "long", "many", "size", "number"))
    if kind == "who":
        company = rng.random() < 0.4
        value = t.company(rng) if company else t.person(rng)
        asks = [
            f"Who {past} the {noun}?",
            f"By whom was the {noun} {done}?",
            f"Which {'company' if company else 'person'} {past} the {noun}?",
        ]
        text = (
            f"{head}{value} {past} the {noun}{tail}."
            if rng.random() < 0.5
            else f"{head}the {noun} was {done} by {value}{tail}."
        )
    elif kind == "when":
        value = t.date(rng) if rng.random() < 0.7 else str(rng.randint(1850, 2030))
        year = value.isdigit()
        asks = [
            f"When was the {noun} {done}?",
            f"In which year was the {noun} {done}?" if year else f"On which day was the {noun} {done}?",
        ]
        text = f"The {noun} was {done} {'in' if year else 'on'} {value}{tail}."
    elif kind == "where":
        value = (
            rng.choice(t.CITIES)
            if rng.random() < 0.6
            else f"{rng.choice(('Hall', 'Room', 'Building', 'Gate', 'Level'))} {rng.randint(1, 99)}"
        )
        asks = [
            f"Where was the {noun} {done}?",
            f"Where did they {base} the {noun}?",
            f"In which place was the {noun} {done}?",
        ]
        text = f"{head}the {noun} was {done} in {value}{tail}."
    elif kind == "much":
        value = t.money(rng)
        asks = [
            f"For how much was the {noun} {done}?",
            f"How much did it cost to {base} the {noun}?",
            f"How much was paid to {base} the {noun}?",
        ]
        text = rng.choice(
            (f"The {noun} was {done} for {value}{tail}.", f"{head}it cost {value} to {base} the {noun}.")
        )
    elif kind == "long":
        value = f"{rng.randint(2, 90)} {rng.choice('seconds minutes hours days weeks months years'.split())}"
        asks = [f"How long did it take to {base} the {noun}?", f"How long was the {noun} {done}?"]
        text = rng.choice(
            (
                f"{head}it took {value} to {base} the {noun}{tail}.",
                f"The {noun} was {done} for {value}{tail}.",
            )
        )
    elif kind == "many":
        plural = rng.choice(_PLURALS)
        value = str(rng.choice((rng.randint(2, 99), rng.randint(100, 99_999))))
        asks = [
            f"How many {plural} were {done}?",
            f"How many {plural} were there?",
            f"What number of {plural} was {done}?",
        ]
        text = rng.choice(
            (f"{head}{value} {plural} were {done}{tail}.", f"{head}they {past} {value} {plural}{tail}.")
        )
    elif kind == "size":
        value = t.measure(rng)
        size = rng.choice("long wide high deep heavy thick large".split())
        asks = [f"How {size} is the {noun}?", f"How {size} was the {noun}?"]
        text = rng.choice(
            (f"The {noun} is {value} {size}{tail}.", f"{head}the {noun} was only {value} {size}.")
        )
    else:
        value = t.code(rng)
        asks = [
            f"Under which number is the {noun} listed?",
            f"What is the number of the {noun}?",
            f"Which number does the {noun} have?",
        ]
        text = rng.choice(
            (
                f"The {noun} is listed under {value}{tail}.",
                f"The {noun} has the number {value}.",
                f"Quote the number {value} of the {noun} in all letters.",
            )
        )
    return text[0].upper() + text[1:], asks, value
