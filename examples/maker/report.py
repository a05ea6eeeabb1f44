"""A page of a yearly report: running text, a table by region and a bar chart by quarter."""

from __future__ import annotations

from maker.facts import Ask, Document, Draw
from maker.sheet import GREY, PALE, RULE, SANS, SANS_BOLD, SERIF_BOLD, Sheet

PRODUCTS = ["bicycles", "kitchen scales", "garden tools", "reading lamps", "water filters"]
CAUSES = ["the new dealer network", "a mild winter", "the spring campaign", "shorter delivery times"]


def make(seed: int) -> Document:
    draw = Draw(seed, "report")
    accent = draw.one(["#2b5c8a", "#8a4b2b", "#39704f"])
    product, best = draw.one(PRODUCTS), draw.one(["north", "south", "east", "west"])
    regions = ["North", "South", "East", "West"]
    units = {r: draw.whole(2100, 9800, 10) for r in regions}
    units[best.capitalize()] = max(units.values()) + draw.whole(120, 900, 10)
    revenue = [draw.whole(14, 49) / 10 for _ in range(4)]

    s = Sheet("Annual report", font=SANS)
    left, right = 64.0, s.w - 64
    s.text(left, 52, "Annual Report 2025", 10.5, color=GREY)
    s.text(right, 52, "Sales and staff", 10.5, color=GREY, align="right")
    s.line(left, 62, right, 62)
    s.text(left, 108, "Sales by region", 24, font=SERIF_BOLD, color=accent)
    staff = f"{draw.whole(180, 940)}"
    y = s.paragraph(
        left, 140,
        [f"The year 2025 was a good one for our {product}. Sales grew in most regions, helped by {draw.one(CAUSES)}.",
         f"The {best} region again sold the most. At the end of the year the company had", (staff, "staff"),
         "employees, and the board proposes a dividend of", (f"${draw.whole(30, 190) / 100:.2f}", "dividend"), "per share."],
        right - left, 11.5, leading=1.5,
    )  # fmt: skip

    y += 18
    s.text(left, y, f"Table 1. Units sold and revenue, {product}", 11, font=SANS_BOLD)
    y += 12
    columns = [(left + 12, "left"), (left + 180, "right"), (left + 312, "right"), (right - 12, "right")]
    s.rect(left, y, right - left, 25, fill=accent)
    for (x, side), head in zip(
        columns, ("Region", "Units sold", "Revenue, million $", "Change"), strict=True
    ):
        s.text(x, y + 17, head, 11, font=SANS_BOLD, color="#ffffff", align=side)
    y += 25
    for i, region in enumerate(regions):
        if i % 2:
            s.rect(left, y, right - left, 25, fill=PALE)
        change = draw.whole(-28, 124) / 10
        cells = (
            region,
            f"{units[region]:,}",
            f"{units[region] * 0.00038:.2f}",
            f"{change:+.1f}%".replace("-", "−"),
        )
        for (x, side), cell, column in zip(
            columns, cells, ("name", "units", "revenue", "change"), strict=True
        ):
            s.text(x, y + 17, cell, 11, align=side, mark=f"{column}-{region}")
        y += 25
    s.line(left, y, right, y, color=RULE)
    s.text(columns[0][0], y + 17, "Total", 11, font=SANS_BOLD)
    s.text(columns[1][0], y + 17, f"{sum(units.values()):,}", 11, font=SANS_BOLD, align="right", mark="total")
    s.line(left, y + 25, right, y + 25, color=accent, thick=1.2)

    y += 66
    s.text(left, y, "Figure 1. Revenue by quarter, million $", 11, font=SANS_BOLD)
    floor, tall, most = y + 178, 140.0, max(revenue)
    for step in range(6):
        s.line(left, floor - tall * step / 5, right, floor - tall * step / 5)
    pitch = (right - left) / 4
    for i, value in enumerate(revenue):
        middle, height = left + pitch * (i + 0.5), tall * value / most * 0.94
        s.rect(middle - 27, floor - height, 54, height, fill=accent)
        s.rect(middle - 14, floor - height - 17, 28, 14, fill="#ffffff")
        s.text(
            middle, floor - height - 6, f"{value:.1f}", 11, font=SANS_BOLD, align="center", mark=f"q{i + 1}"
        )
        s.text(middle, floor + 17, f"Quarter {i + 1}", 11, color=GREY, align="center")
    s.line(left, floor, right, floor, color=GREY, thick=1)
    y = floor + 50
    s.paragraph(
        left, y,
        [f"A new warehouse in {draw.city()} opens in", (f"{draw.one(['March', 'May', 'June'])} 2026", "warehouse"),
         "and will cut delivery times to two days."], right - left, 11.5, leading=1.5,
    )  # fmt: skip
    s.text(s.w / 2, 804, "12", 10.5, color=GREY, align="center")
    region = draw.one(regions)
    quarter = draw.whole(1, 4)
    asks = [
        Ask(f"How many units were sold in the {region.lower()} region?", f"units-{region}"),
        Ask("How many employees did the company have at the end of the year?", "staff"),
        Ask(f"What was the revenue in quarter {quarter}, in million dollars?", f"q{quarter}"),
        Ask("When does the new warehouse open?", "warehouse"),
    ]
    return Document("annual-report", s, asks)
