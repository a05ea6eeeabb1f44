"""What is printed and asked: documents with their questions, and the pools that values are drawn from."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from maker.sheet import Sheet

FIRST = "Anna Ben Clara David Elena Felix Grace Henry Karin Leo Maria Nora Oscar Paula Samuel Vera Tom Ruth".split()
LAST = (
    "Adams Baker Carter Evans Foster Hughes Jensen Keller Lopez Meyer Novak Olsen Parker Rossi Turner".split()
)
CITIES = "Bristol Leeds Boston Denver Portland Oslo Vienna Prague Dublin Geneva Toronto Perth".split()
STREETS = "Mill Lane,Station Road,Park Street,Harbour Road,King Street,Garden Row,Bridge Street".split(",")
FIRMS = (
    "Northgate Alder Summit Riverside Kestrel Harbour Beacon Maple Orchard Granite Lakeside Meridian".split()
)
TRADES = "Trading Ltd,Supplies Ltd,Foods Inc.,Logistics Ltd,Works Ltd,Design Studio".split(",")
MONTHS = "January February March April May June July August September October November December".split()


@dataclass(frozen=True)
class Ask:
    """A question whose answer is the text marked ``mark``."""

    question: str
    mark: str


@dataclass
class Document:
    """A drawn document: ``kind`` is ``pdf``, ``png`` (a clean picture) or ``scan`` (a crooked grey JPEG)."""

    name: str
    sheet: Sheet
    asks: list[Ask] = field(default_factory=list)
    kind: str = "pdf"

    @property
    def file_name(self) -> str:
        return self.name + {"pdf": ".pdf", "png": ".png", "scan": ".jpg"}[self.kind]


class Draw:
    """Values for one document; the same seed and name give the same values."""

    def __init__(self, seed: int, name: str) -> None:
        self.rng = random.Random(f"{seed}:{name}")

    def one(self, options: list[str]) -> str:
        return self.rng.choice(options)

    def several(self, options: list[str], n: int) -> list[str]:
        return self.rng.sample(options, n)

    def whole(self, low: int, high: int, step: int = 1) -> int:
        return self.rng.randrange(low, high + 1, step)

    def person(self) -> str:
        return f"{self.one(FIRST)} {self.one(LAST)}"

    def firm(self) -> str:
        return f"{self.one(FIRMS)} {self.one(TRADES)}"

    def street(self) -> str:
        return f"{self.whole(2, 98)} {self.one(STREETS)}"

    def city(self) -> str:
        return self.one(CITIES)

    def digits(self, n: int) -> str:
        return str(self.rng.randrange(10 ** (n - 1), 10**n))

    def date(self, year: int) -> str:
        return f"{self.whole(1, 28)} {self.one(MONTHS)} {year}"


def money(cents: int, sign: str = "$") -> str:
    """``123456`` as ``$1,234.56``."""
    return f"{sign}{cents // 100:,}.{cents % 100:02d}"
