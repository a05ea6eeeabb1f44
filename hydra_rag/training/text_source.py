"""Text for training pages: words of several languages, pseudo-words, names, numbers, dates, codes, money.

Everything is drawn from a ``random.Random``, so that a seed fixes it. ``split`` keeps the values of
evaluation pages apart: a drawn string belongs to evaluation when its hash says so.
"""

from __future__ import annotations

import random
import zlib

WORDS = """the of and to in is for that on with as by are this be from at or an it was which not can will
have all more other about time new page part form number order date name total price amount report sales
market product service company customer address city country office phone email contact project team plan
year month week day first second third high low north south east west region quarter growth cost budget tax
rate value unit size weight length width height color type model series code item line list table figure
chart section chapter page note summary result data test sample system process control power water energy
temperature pressure speed voltage current battery cable screen display button switch install remove open
close start stop clean check replace before after during under over between inside outside left right top
bottom front back user manual guide safety warning caution please read keep use never always only must may
should within without delivery shipping invoice payment account bank balance due paid net gross discount
quantity description subtotal signature approved received required optional minimum maximum average annual
monthly weekly daily hours minutes seconds meeting agenda review training school student course library
hospital patient doctor medical health insurance policy claim member license permit vehicle engine garden
kitchen bedroom window door floor wall paper print copy letter dear sincerely regards thank you hello
der die das und ist nicht mit für auf eine werden nach über Rechnung Datum Betrag Straße Größe Menge Preis
le la les des est une dans pour avec sur par numéro adresse société prix quantité français été année
el los para con por una fecha número dirección empresa cantidad año señor teléfono página según también
il della per con numero data prezzo città quantità società più perché indirizzo
het een van voor niet met naar datum prijs aantal och att för som med är från antal świat który może się
""".split()
FIRST = """Anna Ben Carla David Elena Felix Grace Henry Ines Jonas Karin Leo Maria Nora Oscar Paula Quentin
Rosa Samuel Tina Ulrich Vera Walter Xenia Yusuf Zoe André Chloé José Łukasz Zoë Åsa Jürgen Amara Bilal Chen
Divya Emeka Fatima Giulia Hiro Ivan Jamal Keiko Lars Mei Nikos Olga Pedro Rahul Sofia Tomas Uma Viktor Wren
Liam Emma Noah Olivia Mason Ava Lucas Mia Ethan Isla Logan Ella Jack Lily Ryan Ruby Adam Jane Paul
Mark""".split()
LAST = """Adams Baker Carter Dixon Evans Foster Garcia Hughes Ivanov Jensen Keller Lopez Meyer Novak Olsen
Parker Quinn Rossi Schmidt Turner Ueda Vogel Weber Xu Young Zhang Müller Sørensen Dubois Fernández Kowalski
Nguyen Okafor Patel Rahman Sato Tanaka Umar Varga Wójcik Yilmaz Haddad Lindqvist Moreau Petrov Silva Costa
Murphy Byrne Walsh Cohen Levi Singh Khan Ali Brown Smith Jones Taylor Wilson Clark Lewis Walker Hall
King""".split()
CITIES = """Berlin Paris Madrid Rome Vienna Prague Warsaw Lisbon Dublin Oslo Bergen Zürich Geneva Lyon Porto
Malmö Aarhus Ghent Bruges Leeds Bristol Boston Denver Austin Portland Seattle Toronto Montréal Sydney Perth
Lagos Nairobi Cairo Lima Quito Osaka Kyoto Seoul Busan Hanoi Delhi Mumbai Izmir Athens Split Riga
Tallinn""".split()
STREETS = (
    "Oak Main Mill Park High Church Station River Hill Garden Lake Market School Bridge King Queen".split()
)
COMPANY = (
    "Systems Trading Foods Logistics Media Energy Labs Works Partners Group Supplies Tools Design".split()
)
ENDINGS = "Ltd GmbH Inc. LLC AG S.A. BV AB Oy Co. plc SpA".split()
MONTHS = """January February March April May June July August September October November December""".split()
CURRENCY = ("$", "€", "£", "EUR ", "USD ", "CHF ")
UNITS = "kg g mm cm m km W kW V A Hz kHz °C % ml L h min s MB GB dB rpm Nm bar kPa".split()
_ONSET = "b c d f g h j k l m n p r s t v w z br ch cl cr dr fl gr pl pr sh st th tr qu x y".split()
_NUCLEUS = "a e i o u a e i o ai ea ee io ou ie oo".split()
_CODA = ["", "", "", "", *"n r s t l m d k nd st ck rt ng x p b".split()]


def held_out(value: str) -> bool:
    """Whether ``value`` belongs to evaluation: one string in eight, by its CRC-32."""
    return zlib.crc32(value.encode()) % 8 == 0


def pseudo_word(rng: random.Random) -> str:
    return "".join(
        rng.choice(_ONSET) + rng.choice(_NUCLEUS) + rng.choice(_CODA) for _ in range(rng.choice((1, 2, 2, 3)))
    )


def cased(rng: random.Random, word: str) -> str:
    r = rng.random()
    return word.capitalize() if r < 0.2 else word.upper() if r < 0.28 else word


def word(rng: random.Random) -> str:
    return cased(rng, rng.choice(WORDS) if rng.random() < 0.6 else pseudo_word(rng))


def digits(rng: random.Random, n: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(n))


def code(rng: random.Random) -> str:
    """An identifier such as ``INV-20391`` or ``A7-334-XQ``."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    r = rng.random()
    if r < 0.1:  # groups of digits
        return " ".join(digits(rng, rng.randint(2, 4)) for _ in range(rng.randint(2, 3)))
    if r < 0.2:
        return f"{rng.choice(letters)}{rng.choice(letters)} {digits(rng, rng.randint(4, 7))}"
    if r < 0.3:
        return f"{rng.choice(letters)}-{digits(rng, rng.randint(3, 6))}"
    parts = []
    for _ in range(rng.choice((1, 2, 2, 3))):
        kind = rng.random()
        n = rng.randint(1, 4)
        parts.append(
            digits(rng, n + 1) if kind < 0.55 else "".join(rng.choice(letters) for _ in range(n))
            if kind < 0.85 else rng.choice(letters) + digits(rng, n)
        )  # fmt: skip
    return rng.choice("-- -/.").strip().join(parts) or digits(rng, 5)


def number(rng: random.Random) -> str:
    n = rng.choice((rng.randint(0, 99), rng.randint(0, 9999), rng.randint(0, 999_999)))
    style = rng.random()
    if style < 0.45:
        return str(n)
    if style < 0.65:
        return f"{n:,}"
    if style < 0.85:
        return f"{n / 10 ** rng.choice((1, 2)):.{rng.choice((1, 2))}f}"
    return f"{n:,}".replace(",", rng.choice((".", " ")))


def money(rng: random.Random) -> str:
    n = rng.choice((rng.randint(100, 99_999), rng.randint(100, 9_999_999))) / 100
    text = f"{n:,.2f}" if rng.random() < 0.7 else f"{n:,.2f}".translate(str.maketrans(",.", ".,"))
    sign = rng.choice(CURRENCY)
    return text + " " + sign.strip() if rng.random() < 0.2 else sign + text


def date(rng: random.Random) -> str:
    y, m, d = rng.randint(1985, 2032), rng.randint(1, 12), rng.randint(1, 28)
    month = MONTHS[m - 1]
    if rng.random() < 0.15:  # a part of a date
        return rng.choice(
            (f"{d} {month[:3]}", f"{month} {y}", f"{d} {month}", f"{month[:3]} {y}", f"{month} {d}")
        )
    return rng.choice(
        (f"{y}-{m:02}-{d:02}", f"{d:02}.{m:02}.{y}", f"{d} {month} {y}", f"{month} {d}, {y}",
         f"{m:02}/{d:02}/{y}", f"{d} {month[:3]} {y}", f"{d:02}/{m:02}/{y % 100:02}")
    )  # fmt: skip


def clock(rng: random.Random) -> str:
    h, m = rng.randint(0, 23), rng.choice((0, 15, 30, 45, rng.randint(0, 59)))
    return f"{h:02}:{m:02}" if rng.random() < 0.7 else f"{(h - 1) % 12 + 1}:{m:02} {'am' if h < 12 else 'pm'}"


def person(rng: random.Random) -> str:
    middle = rng.choice("ABCDEFGHJKLMNPRST") + ". " if rng.random() < 0.12 else ""
    return f"{rng.choice(FIRST)} {middle}{rng.choice(LAST)}"


def company(rng: random.Random) -> str:
    head = rng.choice(LAST) if rng.random() < 0.4 else pseudo_word(rng).capitalize()
    return (
        f"{head} {rng.choice(COMPANY)} {rng.choice(ENDINGS)}"
        if rng.random() < 0.8
        else f"{head} & {rng.choice(LAST)}"
    )


def address(rng: random.Random) -> str:
    return f"{rng.randint(1, 299)} {rng.choice(STREETS)} Street"


def email(rng: random.Random) -> str:
    domain = f"{pseudo_word(rng)}.{rng.choice(('com', 'org', 'eu', 'net', 'de'))}"
    return f"{rng.choice(FIRST).lower()}@{domain}".translate(
        str.maketrans("éëåüłö", "eeauło".replace("ł", "l"))
    )


def phone(rng: random.Random) -> str:
    return rng.choice(
        (
            f"+{rng.randint(1, 99)} {digits(rng, 3)} {digits(rng, 4)}",
            f"({digits(rng, 3)}) {digits(rng, 3)}-{digits(rng, 4)}",
            f"0{digits(rng, 2)} / {digits(rng, 6)}",
            f"{digits(rng, 3)} {digits(rng, 3)} {digits(rng, 3)}",
            f"{digits(rng, 3)}-{digits(rng, 4)}",
            f"0{digits(rng, 3)} {digits(rng, 5)}",
        )
    )


def measure(rng: random.Random) -> str:
    return f"{rng.choice((rng.randint(1, 999), round(rng.uniform(0.1, 99), 1)))} {rng.choice(UNITS)}"


def percent(rng: random.Random) -> str:
    return f"{rng.choice((rng.randint(0, 100), round(rng.uniform(0, 100), 1)))}%"


def garbage(rng: random.Random, alphabet: str) -> str:
    """Characters without meaning: reading must not lean on a language."""
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(1, 8)))


def line(rng: random.Random, alphabet: str, length: int) -> str:
    """A line of about ``length`` characters that mixes all kinds of text."""
    parts: list[str] = []
    size = 0
    prose = rng.random() < 0.5
    while size < length:
        r = rng.random()
        if (prose and r < 0.8) or r < 0.45:
            part = word(rng) + (rng.choice(",.;:!?") if rng.random() < 0.15 else "")
        elif r < 0.60:
            part = rng.choice((number, money, date, code, percent, measure))(rng)
        elif r < 0.72:
            part = garbage(rng, alphabet)
        else:
            part = rng.choice((person, company, clock, email, phone, address, number, code))(rng)
        if rng.random() < 0.04:
            part = rng.choice(("({})", "[{}]", "“{}”", '"{}"', "'{}'", "/{}", "{}:", "#{}")).format(part)
        parts.append(part)
        size += len(part) + 1
    return " ".join(parts)[: length + 2].strip()
