"""A business letter: letterhead, address, reference lines, running text, signature."""

from __future__ import annotations

from maker.facts import MONTHS, Ask, Document, Draw
from maker.sheet import GREY, RULE, SERIF, SERIF_BOLD, SERIF_ITALIC, Sheet

POSTS = ["Head of Customer Care", "Account Manager", "Director of Services"]


def make(seed: int) -> Document:
    draw = Draw(seed, "letter")
    accent = draw.one(["#334e68", "#5b3758", "#3f5a36"])
    firm, town, signer, reader = (
        draw.one(["City Water", "Valley Energy", "Coast Power"]),
        draw.city(),
        draw.person(),
        draw.person(),
    )
    start = f"1 {draw.one(MONTHS)} 2027"

    s = Sheet(f"Letter from {firm}", font=SERIF)
    left, right = 72.0, s.w - 72
    s.text(left, 72, firm, 22, font=SERIF_BOLD, color=accent)
    s.text(left, 90, f"{draw.street()}, {town}", 11, color=GREY)
    s.text(right, 72, f"555 {draw.digits(3)} {draw.digits(3)}", 11, color=GREY, align="right", mark="phone")
    s.line(left, 102, right, 102, color=accent, thick=1.2)

    s.text(left, 142, reader, 12)
    s.text(left, 158, draw.street(), 12)
    s.text(left, 174, f"{draw.city()} {draw.digits(5)}", 12)
    s.pair(
        352,
        142,
        "Date",
        f"{draw.whole(1, 28)} {draw.one(['September', 'October'])} 2026",
        100,
        12,
        mark="date",
    )
    s.pair(352, 160, "Customer number", f"{draw.digits(3)} {draw.digits(3)}", 100, 12, mark="customer")

    s.text(left, 236, "Your new tariff", 14, font=SERIF_BOLD)
    y, wide = 266.0, right - left
    title = "Dear " + reader + ","
    s.text(left, y, title, 12)
    y = s.paragraph(
        left, y + 28,
        ["Thank you for being our customer. We have looked at your yearly use and found a tariff that suits you better. It is called",
         (f"{draw.one(['Home', 'Green', 'Fair', 'Basic'])} {draw.whole(12, 48)}", "tariff"), "and starts on", (start, "start"), "."],
        wide, 12, leading=1.45,
    )  # fmt: skip
    y = s.paragraph(
        left, y + 10,
        ["The monthly payment will be", (f"${draw.whole(24, 97)}.{draw.whole(10, 99)}", "monthly"),
         ". You do not need to do anything: we change the payment order for you. If you would rather keep your old tariff, "
         "please tell us by", (f"{draw.whole(1, 28)} November 2026", "deadline"), "."],
        wide, 12, leading=1.45,
    )  # fmt: skip
    y = s.paragraph(
        left, y + 10,
        ["A technician will visit you to read the meter on", (draw.one(["Monday", "Tuesday", "Thursday"]), "weekday"),
         "between", (f"{draw.whole(8, 11)} am and noon", "hours"), ". Please make sure that the meter can be reached."],
        wide, 12, leading=1.45,
    )  # fmt: skip
    s.text(left, y + 24, "Yours sincerely", 12)
    swing = [draw.whole(-10, 10) for _ in range(11)]
    s.path(
        [(left + 4 + 11 * i, y + 54 + v) for i, v in enumerate(swing)],
        line="#27407a",
        thick=1.5,
        closed=False,
    )
    s.text(left, y + 92, signer, 12, mark="signer")
    s.text(left, y + 108, draw.one(POSTS), 12, font=SERIF_ITALIC, mark="post")
    s.line(left, 776, right, 776, color=RULE)
    s.text(
        s.w / 2,
        794,
        f"{firm}  ·  {town}  ·  Register number {draw.digits(6)}",
        10,
        color=GREY,
        align="center",
    )
    asks = [
        Ask("When does the new tariff start?", "start"),
        Ask("How much is the monthly payment?", "monthly"),
        Ask(f"Who signed the letter from {firm}?", "signer"),
        Ask("What is the customer number?", "customer"),
    ]
    return Document("letter", s, asks)
