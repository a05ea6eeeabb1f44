"""An invoice: letterhead, customer, item table, totals."""

from __future__ import annotations

from maker.facts import MONTHS, Ask, Document, Draw, money
from maker.sheet import GREY, PALE, RULE, SANS_BOLD, Sheet

GOODS = [
    ("Desk lamp, brushed steel", 3900), ("Office chair, mesh back", 18900), ("Filing cabinet, 3 drawers", 14500),
    ("Whiteboard 120 x 90 cm", 8900), ("Monitor arm, single", 6450), ("Standing desk frame", 32900),
    ("Cable tray, 1 m", 2250), ("Paper shredder", 11900), ("Wall clock, silent", 2790), ("Coat stand, oak", 7600),
]  # fmt: skip


def make(seed: int) -> Document:
    draw = Draw(seed, "invoice")
    accent = draw.one(["#1f5f8b", "#2f6b4f", "#7a3b52"])
    seller, buyer = draw.firm(), draw.firm()
    while buyer.split()[0] == seller.split()[0]:
        buyer = draw.firm()
    month, year = draw.whole(1, 11), 2026
    day = draw.whole(1, 28)
    issued = f"{day} {MONTHS[month - 1]} {year}"
    due = f"{day} {MONTHS[month]} {year}"
    lines = [
        (name, draw.whole(1, 12), price * draw.whole(80, 125) // 500 * 5)
        for name, price in draw.rng.sample(GOODS, draw.whole(4, 6))
    ]
    subtotal = sum(count * price for _, count, price in lines)
    tax = round(subtotal * 0.2)

    s = Sheet("Invoice")
    left, right = 56.0, s.w - 56
    s.rect(left, 50, 34, 34, fill=accent, round_=6)
    s.path([(left + 9, 76), (left + 17, 58), (left + 25, 76)], line="#ffffff", thick=2.4, closed=False)
    s.text(left + 46, 66, seller, 15, font=SANS_BOLD)
    s.text(left + 46, 81, f"{draw.street()}, {draw.city()}", 10.5, color=GREY)
    s.text(right, 74, "INVOICE", 26, font=SANS_BOLD, color=accent, align="right")
    s.line(left, 100, right, 100, color=accent, thick=1.6)

    customer, x = draw.rng.choice([(left, 336.0), (380.0, left)])
    s.text(customer, 130, "Bill to", 10.5, color=GREY)
    s.text(customer, 148, buyer, 12, font=SANS_BOLD, mark="buyer")
    s.text(customer, 164, draw.street(), 11)
    s.text(customer, 179, f"{draw.city()} {draw.digits(5)}", 11)
    s.pair(x, 130, "Invoice number", f"INV-{draw.digits(5)}", 104, mark="number")
    s.pair(x, 148, "Invoice date", issued, 104, mark="issued")
    s.pair(x, 166, "Due date", due, 104, mark="due")
    s.pair(x, 184, "Order number", f"PO {draw.digits(6)}", 104, mark="order")

    y = 232.0
    s.rect(left, y - 16, right - left, 24, fill=accent)
    columns = [(left + 10, "left"), (362.0, "right"), (446.0, "right"), (right - 10, "right")]
    for (cx, side), head in zip(columns, ("Description", "Quantity", "Unit price", "Amount"), strict=True):
        s.text(cx, y, head, 11, font=SANS_BOLD, color="#ffffff", align=side)
    for i, (name, count, price) in enumerate(lines):
        y += 26
        if i % 2:
            s.rect(left, y - 17, right - left, 26, fill=PALE)
        cells = (name, str(count), money(price), money(count * price))
        for (cx, side), cell, column in zip(
            columns, cells, ("name", "count", "price", "amount"), strict=True
        ):
            s.text(cx, y, cell, 11, align=side, mark=f"{column}{i}")
    y += 16
    s.line(left, y, right, y, color=RULE)
    for label, cents, mark in (("Subtotal", subtotal, "subtotal"), ("Sales tax 20%", tax, "tax")):
        y += 24
        s.text(362, y, label, 11, color=GREY)
        s.text(right - 10, y, money(cents), 11, align="right", mark=mark)
    y += 16
    s.rect(350, y, right - 350, 30, fill=PALE, line=accent)
    s.text(362, y + 20, "Total due", 12.5, font=SANS_BOLD)
    s.text(right - 10, y + 20, money(subtotal + tax), 12.5, font=SANS_BOLD, align="right", mark="total")

    y = 640.0
    s.text(left, y, "Payment", 12, font=SANS_BOLD, color=accent)
    s.paragraph(
        left, y + 20, ["Please transfer the total within 30 days and quote the invoice number."],
        right - left, 11,
    )  # fmt: skip
    s.pair(left, y + 44, "Bank", f"{draw.city()} Savings Bank", 60)
    s.pair(left, y + 61, "Account", f"{draw.digits(4)} {draw.digits(4)} {draw.digits(2)}", 60, mark="account")
    s.line(left, 770, right, 770, color=RULE)
    s.text(s.w / 2, 788, "Thank you for your business.", 10.5, color=GREY, align="center")
    item = draw.whole(0, len(lines) - 1)
    short = lines[item][0].split(",")[0].split(" 1")[0].lower()
    asks = [
        Ask("What is the invoice number?", "number"),
        Ask("What is the total amount due?", "total"),
        Ask("When is the invoice due?", "due"),
        Ask("Which company is billed?", "buyer"),
        Ask(f"What is the unit price of the {short}?", f"price{item}"),
    ]
    return Document("invoice", s, asks)
