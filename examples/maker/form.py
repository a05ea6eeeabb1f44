"""A paper form, filled in with a typewriter and scanned a little crooked: no text layer."""

from __future__ import annotations

from maker.facts import CITIES, FIRST, LAST, Ask, Document, Draw
from maker.sheet import GREY, INK, SANS, SANS_BOLD, TYPED, Sheet

CLUBS = ["Riverside Sports Club", "Hillside Library", "Harbour Rowing Club", "Oakfield Music School"]
PLANS = ["Family", "Student", "Single", "Senior"]


def make(seed: int) -> Document:
    draw = Draw(seed, "form")
    first, last = draw.one(FIRST), draw.one(LAST)
    born = f"{draw.whole(1, 28):02d}/{draw.whole(1, 12):02d}/{draw.whole(1955, 2006)}"
    plan = draw.one(PLANS)

    s = Sheet("Application for membership", font=SANS)
    left, right = 62.0, s.w - 62
    s.rect(left - 14, 44, right - left + 28, 704, line=INK, thick=1.2)
    s.text(left, 84, draw.one(CLUBS), 13, font=SANS_BOLD)
    s.text(left, 112, "Application for membership", 20, font=SANS_BOLD)
    s.text(right, 84, "Form M-12", 11, align="right", color=GREY)
    s.text(left, 134, "Please use capital letters or a typewriter.", 10.5, color=GREY)

    def field(x: float, y: float, wide: float, label: str, value: str, mark: str) -> None:
        s.text(x, y, label, 10.5, color=INK)
        s.rect(x, y + 6, wide, 30, line=INK, thick=0.9)
        s.text(x + 9, y + 26, value, 14, font=TYPED, color="#22324f", mark=mark)

    half = (right - left - 20) / 2
    other = left + half + 20
    y = 166.0
    field(left, y, half, "Last name", last.upper(), "last")
    field(other, y, half, "First name", first.upper(), "first")
    y += 58
    field(left, y, half, "Date of birth", born, "born")
    field(other, y, half, "Membership number", f"{draw.one(['A', 'B', 'C', 'K'])}-{draw.digits(5)}", "member")
    y += 58
    field(left, y, right - left, "Street", draw.street().upper(), "street")
    y += 58
    field(left, y, half, "City", draw.one(CITIES).upper(), "city")
    field(other, y, half, "Telephone", f"555 {draw.digits(3)} {draw.digits(3)}", "phone")
    y += 58
    field(
        left, y, half, "Occupation", draw.one(["NURSE", "TEACHER", "CARPENTER", "PHARMACIST", "BAKER"]), "job"
    )
    field(other, y, half, "Member since", str(draw.whole(1994, 2025)), "since")

    y += 70
    s.text(left, y, "Type of membership", 11, font=SANS_BOLD)
    for i, option in enumerate(PLANS):
        x = left + i * 116
        s.rect(x, y + 12, 13, 13, line=INK, thick=1)
        if option == plan:
            s.line(x + 2, y + 14, x + 11, y + 23, color="#22324f", thick=2)
            s.line(x + 11, y + 14, x + 2, y + 23, color="#22324f", thick=2)
        s.text(x + 20, y + 23, option, 11)
    y += 62
    s.paragraph(
        left, y,
        ["I apply for membership and accept the rules of the house. The yearly fee is paid in advance by transfer or in cash."],
        right - left, 11,
    )  # fmt: skip
    y += 92
    s.line(left, y, left + half, y, color=INK)
    s.line(other, y, right, y, color=INK)
    s.text(left, y + 15, "Place and date", 10.5, color=GREY)
    s.text(other, y + 15, "Signature", 10.5, color=GREY)
    s.text(left + 6, y - 8, f"{draw.one(CITIES).upper()}, {draw.whole(1, 28):02d}/{draw.whole(1, 9):02d}/2026", 13,
           font=TYPED, color="#22324f", mark="signed")  # fmt: skip
    swing = [draw.whole(-9, 9) for _ in range(12)]
    s.path(
        [(other + 16 + 12 * i, y - 14 + v) for i, v in enumerate(swing)],
        line="#22324f",
        thick=1.5,
        closed=False,
    )
    s.rect(left, y + 44, right - left, 44, line=GREY, thick=0.7)
    s.text(left + 10, y + 70, "Office use only", 10.5, color=GREY)
    asks = [
        Ask("What is the last name of the applicant?", "last"),
        Ask("What is the applicant's date of birth?", "born"),
        Ask("What is the membership number?", "member"),
        Ask("What is the applicant's telephone number?", "phone"),
    ]
    return Document("membership-form", s, asks, kind="scan")
