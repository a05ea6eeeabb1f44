"""Two pages of a user manual: setting up with a drawing, then care and error codes."""

from __future__ import annotations

from maker.facts import Ask, Document, Draw
from maker.sheet import GREY, INK, PALE, RULE, VERA, VERA_BOLD, Sheet

FAULTS = [
    ("filter blocked", "Clean the filter"), ("water tank full", "Empty the tank"), ("door not closed", "Close the door"),
    ("fan stopped", "Call service"), ("sensor failure", "Switch off and on"), ("coil frozen", "Wait one hour"),
]  # fmt: skip
PARTS = ["Air outlet", "Display", "Filter cover", "Water tank"]


def make(seed: int) -> Document:
    draw = Draw(seed, "manual")
    accent = draw.one(["#1d4ed8", "#0f766e", "#9f1239"])
    model = f"{draw.one(['DX', 'AR', 'HM'])}-{draw.digits(3)}"

    s = Sheet(f"Dehumidifier {model}: user manual", font=VERA)
    left, right = 60.0, s.w - 60
    wide = right - left

    def header(chapter: str, number: str) -> None:
        s.text(left, 48, f"Dehumidifier {model}", 10, color=GREY)
        s.text(right, 48, "User manual", 10, color=GREY, align="right")
        s.line(left, 58, right, 58)
        s.text(left, 98, chapter, 20, font=VERA_BOLD, color=accent)
        s.text(s.w / 2, 806, number, 10, color=GREY, align="center")

    header("1  Setting up", "6")
    s.paragraph(
        left, 128,
        ["Put the dehumidifier on a level floor. Keep a distance of at least", (f"{draw.whole(20, 60, 5)} cm", "distance"),
         "from walls and curtains, so that the air can move freely. Close doors and windows while it runs."],
        wide, 10.5, leading=1.6,
    )  # fmt: skip
    _machine(s, 130, 190, accent)
    s.text(330, 214, "Parts", 13, font=VERA_BOLD)
    for i, part in enumerate(PARTS):
        s.circle(340, 240 + 28 * i, 9, fill=accent)
        s.text(340, 244 + 28 * i, str(i + 1), 10, font=VERA_BOLD, color="#ffffff", align="center")
        s.text(358, 244 + 28 * i, part, 11, mark=f"part{i + 1}")
    y = s.paragraph(
        left, 426,
        ["Before the first use, let the machine stand upright for", (f"{draw.whole(2, 12)} hours", "rest"),
         ". Then plug it in and press the power button. Choose the humidity with the arrow keys; we recommend a setting of",
         (f"{draw.whole(42, 58)} %", "setting"), "for living rooms."], wide, 10.5, leading=1.6,
    )  # fmt: skip
    s.rect(left, y + 6, wide, 76, fill=PALE)
    s.rect(left, y + 6, 5, 76, fill=accent)
    s.text(left + 20, y + 28, "Caution", 11.5, font=VERA_BOLD, color=accent)
    s.paragraph(
        left + 20, y + 48,
        ["Use the machine only at room temperatures between 5 °C and", (f"{draw.whole(29, 38)} °C", "hottest"), ". Never cover the air outlet."],
        wide - 40, 10.5, leading=1.6,
    )  # fmt: skip

    s.next_page()
    header("2  Care and faults", "7")
    y = 134.0
    s.text(left, y, "Care", 13, font=VERA_BOLD)
    care = [
        ("Empty the water tank", "every day", "empty"),
        ("Clean the filter", f"every {draw.whole(10, 45)} days", "filter"),
        ("Wipe the housing", f"every {draw.whole(2, 9)} weeks", "wipe"),
        ("Service by a technician", f"every {draw.whole(2, 6)} years", "service"),
    ]
    draw.rng.shuffle(care)
    y += 14
    for label, value, mark in care:
        s.text(left + 10, y + 17, label, 11)
        s.text(left + 260, y + 17, value, 11, mark=mark)
        y += 25
        s.line(left, y, right, y, color=RULE)
    y += 44
    s.text(left, y, "Error codes", 13, font=VERA_BOLD)
    y += 12
    s.rect(left, y, wide, 26, fill=accent)
    for x, head in ((left + 10, "Code"), (left + 90, "Meaning"), (left + 280, "What to do")):
        s.text(x, y + 17, head, 11, font=VERA_BOLD, color="#ffffff")
    y += 26
    codes = sorted(draw.several([f"E{n}" for n in range(1, 10)], 5))
    for i, (code, (meaning, remedy)) in enumerate(zip(codes, draw.rng.sample(FAULTS, 5), strict=True)):
        if i % 2:
            s.rect(left, y, wide, 26, fill=PALE)
        s.text(left + 10, y + 17, code, 11, font=VERA_BOLD, color=INK)
        s.text(left + 90, y + 17, meaning, 11, mark=f"means-{code}")
        s.text(left + 280, y + 17, remedy, 11, mark=f"do-{code}")
        y += 26
    s.line(left, y, right, y, color=RULE)
    y = s.paragraph(
        left, y + 36,
        ["If a fault comes back, write down the code and call our service line on", (f"555 {draw.digits(3)} {draw.digits(3)}", "service-line"),
         ". Have the serial number ready; it is printed under the water tank."], wide, 10.5, leading=1.6,
    )  # fmt: skip
    code = draw.one(codes)
    asks = [
        Ask("How often should the filter of the dehumidifier be cleaned?", "filter"),
        Ask(f"What does error code {code} mean?", f"means-{code}"),
        Ask("How far from walls should the dehumidifier stand?", "distance"),
        Ask("What is the telephone number of the service line?", "service-line"),
    ]
    return Document("manual", s, asks)


def _machine(s: Sheet, x: float, y: float, accent: str) -> None:
    """The drawing: a box with an outlet, a display, a tank and a numbered line to each."""
    s.rect(x, y, 108, 190, fill="#ffffff", line=INK, thick=2, round_=10)
    for i in range(5):
        s.line(x + 18, y + 16 + 6 * i, x + 90, y + 16 + 6 * i, color=INK, thick=1.6)
    s.rect(x + 34, y + 58, 40, 20, fill=PALE, line=INK, thick=1.4, round_=3)
    s.rect(x + 16, y + 112, 76, 60, fill=PALE, line=INK, thick=1.4)
    s.rect(x + 16, y + 140, 76, 32, fill="#bfdbfe", line=INK, thick=1.4)
    s.circle(x + 24, y + 194, 5, fill=INK)
    s.circle(x + 84, y + 194, 5, fill=INK)
    for i, (dx, dy) in enumerate(((80, 28), (66, 68), (99, 98), (80, 150))):
        tip = x + 128, y + 24 + 42 * i
        s.line(x + dx, y + dy, *tip, color=accent, thick=1)
        s.circle(tip[0] + 8, tip[1], 8, fill=accent)
        s.text(tip[0] + 8, tip[1] + 3.5, str(i + 1), 9, font="VeraBd", color="#ffffff", align="center")
