"""A product sheet: picture, short text, technical data, price."""

from __future__ import annotations

from maker.facts import Ask, Document, Draw
from maker.sheet import GREY, INK, PALE, RULE, SANS, SANS_BOLD, Sheet


def make(seed: int) -> Document:
    draw = Draw(seed, "product")
    accent = draw.one(["#0b6e99", "#b45309", "#166534"])
    series = draw.one(["Aqua", "Hydro", "Delta", "Nova"])
    name = f"{series} {draw.whole(2, 9)}00"
    height, wide, deep = draw.whole(280, 420, 5), draw.whole(150, 260, 5), draw.whole(180, 320, 5)

    s = Sheet(f"{name} kettle", font=SANS)
    left, right = 56.0, s.w - 56
    s.rect(0, 0, s.w, 104, fill=accent)
    s.text(left, 56, name, 30, font=SANS_BOLD, color="#ffffff")
    s.text(left, 80, "Electric kettle for kitchens and offices", 13, color="#ffffff")
    s.text(right, 56, "Product sheet", 12, color="#ffffff", align="right")

    _kettle(s, 150, 254, accent)
    x = 286.0
    s.text(x, 148, "Hot water in minutes", 15, font=SANS_BOLD, color=accent)
    y = s.paragraph(
        x, 172,
        [f"The {name} boils one litre in", (f"{draw.whole(110, 240, 5)} seconds", "boil"),
         "and keeps it warm for an hour. The wide lid makes filling and cleaning easy, and the base turns all the way round."],
        right - x, 11.5, leading=1.5,
    )  # fmt: skip
    for point in ("Switches off by itself", "Filter can be removed", "Dry-boil protection"):
        s.circle(x + 4, y + 4, 2.6, fill=accent)
        s.text(x + 16, y + 8, point, 11.5)
        y += 20

    y = 422.0
    s.text(left, y, "Technical data", 15, font=SANS_BOLD, color=accent)
    rows = [
        ("Article number", f"{draw.digits(3)}-{draw.digits(4)}", "article"),
        ("Capacity", f"{draw.whole(10, 22) / 10:.1f} litres", "capacity"),
        ("Power", f"{draw.whole(1400, 2800, 100)} W", "power"),
        ("Voltage", "220 to 240 V", "voltage"),
        ("Weight", f"{draw.whole(80, 210) / 100:.2f} kg", "weight"),
        ("Height x width x depth", f"{height} x {wide} x {deep} mm", "size"),
        ("Cable length", f"{draw.whole(70, 150, 5)} cm", "cable"),
        ("Colour", draw.one(["Brushed steel", "Matt black", "Cream white", "Dark green"]), "colour"),
        ("Warranty", f"{draw.whole(2, 6)} years", "warranty"),
    ]
    draw.rng.shuffle(rows)
    y += 14
    for i, (label, value, mark) in enumerate(rows):
        if i % 2 == 0:
            s.rect(left, y, right - left, 24, fill=PALE)
        s.text(left + 12, y + 16, label, 11.5, color=INK)
        s.text(left + 232, y + 16, value, 11.5, mark=mark)
        y += 24
    s.line(left, y, right, y, color=RULE)

    y += 34
    s.rect(left, y, 230, 56, line=accent, thick=1.4, round_=8)
    s.text(left + 16, y + 34, "Price", 13, color=GREY)
    s.text(left + 70, y + 36, f"${draw.whole(29, 129)}.{draw.one(['00', '50', '90', '95'])}", 20, font=SANS_BOLD, color=accent,
           mark="price")  # fmt: skip
    s.text(right, y + 24, "Order by telephone", 11, color=GREY, align="right")
    s.text(
        right,
        y + 42,
        f"555 {draw.digits(3)} {draw.digits(3)}",
        12.5,
        font=SANS_BOLD,
        align="right",
        mark="phone",
    )
    s.text(left, 806, f"{draw.firm()}, {draw.city()}", 10, color=GREY)
    s.text(right, 806, "Subject to change", 10, color=GREY, align="right")
    asks = [
        Ask(f"How much does the {name} kettle weigh?", "weight"),
        Ask(f"What is the power of the {name}?", "power"),
        Ask(f"What is the article number of the {name}?", "article"),
        Ask(f"How long is the warranty of the {name}?", "warranty"),
    ]
    return Document("product-sheet", s, asks)


def _kettle(s: Sheet, x: float, y: float, accent: str) -> None:
    s.circle(x, y, 98, fill=PALE)
    s.path(
        [(x - 46, y + 58), (x - 36, y - 44), (x + 36, y - 44), (x + 46, y + 58)],
        fill="#ffffff",
        line=INK,
        thick=2,
    )
    s.path([(x - 37, y - 34), (x - 66, y - 46), (x - 40, y - 6)], fill="#ffffff", line=INK, thick=2)
    s.path(
        [(x + 37, y - 36), (x + 74, y - 30), (x + 72, y + 26), (x + 43, y + 34)],
        line=INK,
        thick=5,
        closed=False,
    )
    s.rect(x - 30, y - 54, 60, 10, fill=accent, line=INK, thick=2, round_=3)
    s.circle(x, y - 60, 5, fill=accent, line=INK, thick=2)
    s.rect(x - 54, y + 58, 108, 12, fill=accent, line=INK, thick=2, round_=4)
    s.rect(x - 5, y - 10, 10, 44, fill=PALE, line=INK, thick=1.2, round_=4)
    s.rect(x - 5, y + 8, 10, 26, fill=accent, round_=4)
