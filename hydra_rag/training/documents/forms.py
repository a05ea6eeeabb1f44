"""Layouts made of fields: cards, forms, invoices, product sheets."""

from __future__ import annotations

from hydra_rag.geometry import Box
from hydra_rag.training import text_source as t
from hydra_rag.training.documents.concepts import ask, draw_field
from hydra_rag.training.documents.page import Sheet
from hydra_rag.training.documents.tables import item_table
from hydra_rag.training.documents.tiles import tile_block

_TITLES = """Registration form|Application form|Order form|Service report|Delivery note|Booking confirmation|
Membership form|Travel request|Expense claim|Work order|Inspection report|Visitor form|Patient record|
Insurance claim|Packing slip|Receipt|Certificate|Purchase order|Contract summary|Data sheet|Product sheet|
Technical data|Quotation|Project summary|Account statement|Entry pass|Boarding pass|Rental agreement|Price list""".replace(
    "\n", ""
).split("|")


def title(sheet: Sheet, text: str | None = None) -> None:
    """A heading in one of several styles, with the fact that it is the heading."""
    rng = sheet.rng
    text = text or rng.choice(
        (
            rng.choice(_TITLES),
            t.company(rng),
            f"{t.pseudo_word(rng).capitalize()} {rng.choice(_TITLES).lower()}",
        )
    )
    factor = rng.uniform(1.2, 2.0)
    while factor > 1.0 and sheet.length(text, factor=factor, bold=True) > sheet.width:
        factor -= 0.1
    if rng.random() < 0.2:
        text = text.upper() if sheet.length(text.upper(), factor=factor, bold=True) <= sheet.width else text
    style = rng.random()
    if style < 0.2:
        height = sheet.line_height(factor) * 1.3
        sheet.canvas.draw.rectangle(
            (0, sheet.y - 3, sheet.canvas.width, sheet.y + height), fill=sheet.style.accent
        )
        run = sheet.put(sheet.left, text, factor=factor, bold=True, fill=(255, 255, 255), y=sheet.y + 2)
        sheet.y += height
    else:
        centred = rng.random() < 0.25
        x = (sheet.left + sheet.right) / 2 if centred else sheet.left
        fill = sheet.style.accent if rng.random() < 0.4 else None
        run = sheet.put(
            x, text, factor=factor, bold=rng.random() < 0.85, fill=fill, align="center" if centred else "left"
        )
        sheet.down(1.0, factor)
        if rng.random() < 0.35:
            sheet.rule(width=rng.choice((1, 2, 3)), fill=sheet.style.accent)
            sheet.y += 3
    sheet.y += sheet.line_height() * rng.uniform(0.2, 0.9)
    questions = [
        "What is the title?",
        "What is the heading of the page?",
        "What is the title of this page?",
        "Which heading does the page have?",
        "What kind of document is this?",
    ]
    sheet.fact(rng.sample(questions, 2), text, [run.box], "title")


def field_block(
    sheet: Sheet, count: int, taken: set[str], *, x: float | None = None, width: float | None = None
) -> None:
    """``count`` labelled values in one of the usual arrangements."""
    rng, style = sheet.rng, sheet.style
    x = sheet.left if x is None else x
    width = sheet.width if width is None else width
    if rng.random() < 0.22:
        tile_block(sheet, count, taken, x=x, width=width)
        return
    arrangement = rng.choice(
        ("colon", "colon", "aligned", "aligned", "right", "above", "boxed", "dotted", "ruled", "bold")
    )
    fields = [draw_field(rng, taken) for _ in range(count)]
    colon = ":" if arrangement in ("colon", "bold") or rng.random() < 0.4 else ""
    bold_label, bold_value = arrangement == "bold" or rng.random() < 0.2, rng.random() < 0.12
    longest = max(sheet.length(f[0] + colon, bold=bold_label) for f in fields)
    value_x = x + min(longest + style.size * rng.uniform(0.6, 2.5), width * 0.55)
    gap = rng.choice((1.0, 1.0, 1.15, 1.4, 1.8)) if sheet.room(count * 1.8) else 1.0
    label_ink = style.muted if rng.random() < 0.25 else style.accent if rng.random() < 0.12 else style.ink
    for label, value, questions in fields:
        need = 2.2 if arrangement == "above" else 1.2
        if not sheet.room(need):
            break
        top = sheet.y
        label_run = sheet.put(
            x, label + colon, bold=bold_label, fill=label_ink, factor=0.8 if arrangement == "above" else 1.0
        )
        label_end = float(label_run.edges[-1])
        if arrangement == "above":
            sheet.down(0.85)
            at = x
        elif arrangement in ("colon", "bold"):
            at = label_end + style.size * 0.4
        else:
            at = max(value_x, label_end + style.size * 0.5)
        value_width = sheet.length(value, bold=bold_value)
        if arrangement in ("right", "dotted"):
            at = max(label_end + style.size * 0.6, x + width - value_width)
        if at + value_width > sheet.canvas.width - 2:
            sheet.down(1.0)
            if not sheet.room():
                break
            at = x + style.size
            if at + value_width > sheet.canvas.width - 2:
                continue
        if arrangement == "dotted":
            dots = "." * max(0, int((at - label_end - style.size) / max(1.0, sheet.length("."))))
            sheet.put(label_end + style.size * 0.3, dots, fill=style.muted)
        run = sheet.put(at, value, bold=bold_value)
        sheet.labels.add(label)
        sheet.fact(questions, value, [run.box], "field")
        sheet.down(gap)
        if arrangement in ("boxed", "ruled"):
            if arrangement == "boxed":
                sheet.canvas.draw.rectangle((x - 3, top - 1, x + width, sheet.y - 1), outline=style.muted)
            else:
                sheet.rule(x0=x, x1=x + width)
            sheet.y += 2
        elif arrangement == "above":
            sheet.down(0.2)


def card(sheet: Sheet) -> None:
    """A few fields on a small page."""
    taken: set[str] = set()
    if sheet.rng.random() < 0.7:
        title(sheet)
    while sheet.room(1.3) and len(taken) < 40:
        field_block(sheet, sheet.rng.randint(2, 6), taken)
        sheet.down(sheet.rng.uniform(0.2, 0.8))


def form(sheet: Sheet) -> None:
    """Headed sections of fields, partly in two columns, with remarks."""
    rng = sheet.rng
    taken: set[str] = set()
    title(sheet)
    while sheet.room(4) and len(taken) < 44:
        if rng.random() < 0.5:
            sheet.put(
                sheet.left,
                rng.choice(("Section {}", "Part {}", "{}. Details", "{}. General")).format(rng.randint(1, 9)),
                bold=True,
                fill=sheet.style.accent,
            )
            sheet.down(1.2)
        two = sheet.width > 26 * sheet.style.size and rng.random() < 0.45
        if two:
            top, half = sheet.y, sheet.width / 2
            field_block(sheet, rng.randint(2, 5), taken, width=half - sheet.style.size)
            end, sheet.y = sheet.y, top
            field_block(sheet, rng.randint(2, 5), taken, x=sheet.left + half, width=half)
            sheet.y = max(end, sheet.y)
        else:
            field_block(sheet, rng.randint(3, 7), taken)
        sheet.down(rng.uniform(0.5, 1.5))
        if rng.random() < 0.3 and sheet.room(3):
            sheet.paragraph(" ".join(t.word(rng) for _ in range(rng.randint(8, 24))).capitalize() + ".")
            sheet.down(0.5)


def invoice(sheet: Sheet) -> None:
    """Sender, recipient, a block of fields, items and totals."""
    rng = sheet.rng
    sender = t.company(rng)
    run = sheet.put(sheet.left, sender, factor=1.3, bold=True, fill=sheet.style.accent)
    sheet.fact(
        [
            "Who sent the invoice?",
            "Who is the sender?",
            "Which company issued the invoice?",
            "Who issued it?",
        ],
        sender,
        [run.box],
        "field",
    )
    sheet.down(1.5)
    sheet.put(sheet.left, f"{t.address(rng)}, {rng.choice(t.CITIES)}", factor=0.9, fill=sheet.style.muted)
    sheet.down(1.6)
    if rng.random() < 0.7:
        title(
            sheet,
            rng.choice(
                (
                    "Invoice",
                    "INVOICE",
                    "Rechnung",
                    "Facture",
                    "Quotation",
                    "Order confirmation",
                    "Delivery note",
                    "Receipt",
                )
            ),
        )
    taken: set[str] = {"company", "total"}
    if rng.random() < 0.5 and sheet.width > 26 * sheet.style.size:
        top, half = sheet.y, sheet.width / 2
        who = t.person(rng) if rng.random() < 0.5 else t.company(rng)
        sheet.put(sheet.left, rng.choice(("Bill to", "Customer", "Sold to", "To")), bold=True)
        sheet.down()
        run = sheet.put(sheet.left, who)
        sheet.fact(
            [
                "Who is the customer?",
                "Who is it billed to?",
                "Who is the invoice addressed to?",
                "Which company is billed?",
            ],
            who,
            [run.box],
            "field",
        )
        taken.update(("customer", "name"))
        sheet.down()
        sheet.put(sheet.left, t.address(rng))
        sheet.down()
        end, sheet.y = sheet.y, top
        field_block(sheet, rng.randint(3, 5), taken, x=sheet.left + half, width=half)
        sheet.y = max(end, sheet.y)
    else:
        field_block(sheet, rng.randint(3, 6), taken)
    sheet.down(1.0)
    item_table(sheet)
    sheet.down(0.6)
    for names, asked in (
        (("Subtotal", "Net amount", "Net"), ["subtotal"]), (("VAT 19%", "Tax", "VAT", "Sales tax"), ["tax", "VAT"]),
        (("Total", "Total due", "Amount due", "Grand total", "TOTAL"), ["total", "total amount due", "amount due", "total amount"]),
    ):  # fmt: skip
        if not sheet.room():
            break
        label, value = rng.choice(names), t.money(rng)
        if names[0] == "Subtotal" and rng.random() < 0.3:
            continue
        bold = names[0] == "Total"
        run = sheet.put(sheet.right, value, align="right", bold=bold)
        sheet.put(
            min(float(run.edges[0]) - sheet.style.size, sheet.right - sheet.style.size * rng.uniform(6, 9)),
            label,
            align="right",
            bold=bold,
        )
        asked_for = asked if label.lower() not in ("net amount", "net") else ["net amount"]
        sheet.fact([ask(rng, rng.choice(asked_for)), ask(rng, label.lower())], value, [run.box], "field")
        sheet.down(1.15)


def product(sheet: Sheet) -> None:
    """A product with a picture, a specification and a price."""
    rng = sheet.rng
    title(sheet)
    taken: set[str] = set()
    if rng.random() < 0.6:
        side = int(min(sheet.width * 0.4, sheet.canvas.height * 0.2))
        picture(sheet, Box(sheet.right - side, int(sheet.y), sheet.right, int(sheet.y) + side))
        field_block(sheet, rng.randint(2, 4), taken, width=sheet.width - side - sheet.style.size)
    else:
        sheet.paragraph(" ".join(t.word(rng) for _ in range(rng.randint(10, 30))).capitalize() + ".")
    sheet.down(0.7)
    while sheet.room(2) and len(taken) < 36:
        field_block(sheet, rng.randint(3, 7), taken)
        sheet.down(0.5)


def picture(sheet: Sheet, box: Box) -> None:
    """Something that is no text: shapes in colours."""
    rng = sheet.rng
    sheet.canvas.draw.rectangle(
        box, fill=tuple(rng.randint(120, 255) for _ in range(3)), outline=sheet.style.muted
    )
    for _ in range(rng.randint(1, 5)):
        xs = sorted(rng.uniform(box.left, box.right) for _ in range(2))
        ys = sorted(rng.uniform(box.top, box.bottom) for _ in range(2))
        shape = sheet.canvas.draw.ellipse if rng.random() < 0.5 else sheet.canvas.draw.rectangle
        shape((xs[0], ys[0], xs[1], ys[1]), fill=tuple(rng.randint(0, 255) for _ in range(3)))
