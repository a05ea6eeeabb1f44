"""Random values as documents print them. One :class:`Values` per document keeps its formats alike."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

_WORDS: dict[str, tuple[str, ...]] = {
    name: tuple(words.split("|"))
    for name, words in tomllib.loads(
        Path(__file__).with_name("words.toml").read_text(encoding="utf-8")
    ).items()
}
#: Measured values: least, most, decimal places, unit.
_UNITS: dict[str, tuple[float, float, int, str]] = {
    "gdl": (10, 18, 1, " g/dl"),
    "mmol": (3.5, 9.9, 1, " mmol/l"),
    "celsius": (-30, 95, 0, " °C"),
    "kg": (1.2, 480, 1, " kg"),
    "bpm": (48, 130, 0, " bpm"),
    "km": (120, 240000, 0, " km"),
    "kw": (45, 320, 0, " kW"),
    "bar": (1.8, 3.6, 1, " bar"),
    "sqm": (28, 190, 1, " m²"),
    "cbm": (0.2, 60, 2, " m³"),
    "volt": (12, 440, 0, " V"),
    "watt": (20, 4800, 0, " W"),
    "flow": (2, 900, 0, " l/min"),
    "db": (28, 96, 0, " dB"),
    "percent": (1, 60, 1, " %"),
    "months": (6, 120, 0, " months"),
    "minutes": (2, 90, 0, " minutes"),
    "number": (130, 48000, 0, ""),
    "count": (2, 98, 0, ""),
    "bar_height": (12, 980, 0, ""),
}


class Values:
    """``draw(kind)`` gives a value of that kind that this document has not had yet."""

    def __init__(self, rng: random.Random, formats: random.Random | None = None) -> None:
        """``formats`` draws how dates, prices and numbers are written (default: ``rng``)."""
        self._rng = rng
        self._seen: set[str] = set()
        rng = formats or rng
        self._day = rng.choice(("%d.%m.%Y", "%Y-%m-%d", "%d %B %Y", "%B %d, %Y", "%d/%m/%Y", "%d %b %Y"))
        self._clock = rng.choice(("{:02}:{:02}", "{:02}.{:02}", "{}:{:02}"))
        self._group, self._point = rng.choice(((",", "."), (".", ","), ("", ".")))
        self._price = rng.choice(("€ {}", "{} €", "${}", "£{}", "EUR {}", "CHF {}", "{} USD", "{} SEK"))
        self._dial = rng.choice(("+{} {} {}", "0{}/{} {}", "({}) {}-{}", "00{} {} {}"))

    def draw(self, kind: str) -> str:
        """A value of ``kind``; raises :class:`KeyError` for a kind that is unknown."""
        for _ in range(200):
            value = self._make(kind)
            if value not in self._seen:
                break
        self._seen.add(value)
        return value

    def _make(self, kind: str) -> str:
        if kind in _UNITS:
            return self._measure(*_UNITS[kind])
        if kind in _FORMS:
            return _FORMS[kind](self)
        return self._rng.choice(_WORDS[kind])

    def word(self, name: str) -> str:
        return self._rng.choice(_WORDS[name])

    def digits(self, n: int) -> str:
        return str(self._rng.randint(1, 9)) + "".join(self._rng.choice("0123456789") for _ in range(n - 1))

    def letters(self, n: int) -> str:
        return "".join(self._rng.choice("ABCDEFGHJKLMNPRSTUVWXYZ") for _ in range(n))

    def between(self, low: int, high: int) -> int:
        return self._rng.randint(low, high)

    def _measure(self, low: float, high: float, places: int, unit: str) -> str:
        number = f"{self._rng.uniform(low, high):,.{places}f}"
        return self._localised(number) + unit

    def _localised(self, number: str) -> str:
        return number.replace(",", "\0").replace(".", self._point).replace("\0", self._group)

    def day(self) -> str:
        start = date(2019, 1, 1)
        return (start + timedelta(days=self.between(0, 3200))).strftime(self._day)

    def clock(self) -> str:
        return self._clock.format(self.between(5, 23), self.between(0, 59))

    def money(self) -> str:
        amount = self._rng.choice((self._rng.uniform(8, 99), self._rng.uniform(100, 9900)))
        return self._price.format(self._localised(f"{amount:,.2f}"))

    def phone(self) -> str:
        return self._dial.format(self.between(20, 98), self.digits(3), self.digits(self.between(4, 6)))

    def code(self) -> str:
        forms = (
            f"{self.letters(2)}-{self.digits(5)}",
            f"{self.letters(1)}{self.digits(3)}/{self.digits(2)}",
            f"{self.digits(4)}-{self.letters(3)}",
            f"{self.letters(3)}{self.digits(4)}",
            f"{self.digits(2)}.{self.digits(4)}.{self.letters(1)}",
        )
        return self._rng.choice(forms)

    def person(self) -> str:
        return f"{self.word('first')} {self.word('last')}"

    def email(self) -> str:
        return f"{self.word('first')}.{self.word('last')}@{self.word('domain')}".lower()


_FORMS: dict[str, Callable[[Values], str]] = {
    "date": Values.day,
    "time": Values.clock,
    "money": Values.money,
    "phone": Values.phone,
    "code": Values.code,
    "person": Values.person,
    "email": Values.email,
    "longcode": lambda v: v.letters(3) + v.digits(v.between(7, 10)),
    "digits": lambda v: v.digits(v.between(5, 8)),
    "iban": lambda v: f"DE{v.digits(2)} " + " ".join(v.digits(4) for _ in range(4)),
    "vat": lambda v: v.letters(2) + v.digits(9),
    "doctor": lambda v: ("Dr. ", "Prof. ")[v.between(0, 1)] + v.person(),
    "company": lambda v: f"{v.word('firm')} {v.word('trade')} {v.word('legal')}",
    "address": lambda v: f"{v.word('street')} {v.between(1, 180)}, {v.word('city')}",
    "room": lambda v: v.letters(1) + str(v.between(100, 599)),
    "place": lambda v: f"{v.word('hall')} {v.between(1, 60)}{('', v.letters(1))[v.between(0, 1)]}",
    "shelf": lambda v: f"{v.letters(1)}{v.between(1, 40)}-{v.between(1, 9)}",
    "plate": lambda v: f"{v.letters(2)} {v.letters(2)} {v.digits(3)}",
    "month": lambda v: f"{v.word('month')} {v.between(2024, 2031)}",
    "year": lambda v: str(v.between(1921, 2025)),
    "ip": lambda v: f"IP{v.between(2, 6)}{v.between(0, 8)}",
    "dims": lambda v: f"{v.between(40, 900)} × {v.between(40, 900)} × {v.between(20, 600)} mm",
}
