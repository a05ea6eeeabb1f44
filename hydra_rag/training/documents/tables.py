"""Tables: a value at the crossing of a row and a column."""

from __future__ import annotations

import random
from collections.abc import Callable

from hydra_rag.training import text_source as t
from hydra_rag.training.canvas import Run
from hydra_rag.training.documents.page import Sheet

_COLUMNS: tuple[tuple[str, Callable[[random.Random], str]], ...] = (
    ("Price", t.money), ("Amount", t.money), ("Revenue", t.money), ("Cost", t.money), ("Budget", t.money),
    ("Quantity", lambda r: str(r.randint(1, 999))), ("Qty", lambda r: str(r.randint(1, 99))), ("Units", t.number), ("Units sold", t.number),
    ("Stock", t.number), ("Date", t.date), ("Weight", t.measure), ("Size", t.measure), ("Share", t.percent), ("Growth", t.percent),
    ("Score", lambda r: str(r.randint(0, 100))), ("Code", t.code), ("Status", lambda r: r.choice(("open", "closed", "late", "done", "new"))),
    ("City", lambda r: r.choice(t.CITIES)), ("Room", lambda r: str(r.randint(1, 400))), ("Time", t.clock), ("Contact", t.person),
    ("Total", t.money), ("Hours", lambda r: str(r.randint(1, 60))), ("Year", lambda r: str(r.randint(1950, 2030))), ("Q1", t.number), ("Q2", t.number),
    ("Q3", t.number), ("Q4", t.number), ("2023", t.number), ("2024", t.number), ("2025", t.number), ("Power", t.measure), ("Points", t.number),
)  # fmt: skip
_ROWS: tuple[tuple[str, Callable[[random.Random], str]], ...] = (
    ("Region", lambda r: r.choice(("North", "South", "East", "West", "Central", "Europe", "Asia", "Africa", "America"))),
    ("Item", lambda r: t.pseudo_word(r).capitalize()), ("Name", t.person), ("City", lambda r: r.choice(t.CITIES)),
    ("Product", lambda r: f"{t.pseudo_word(r).capitalize()} {r.randint(1, 99)}"), ("Month", lambda r: r.choice(t.MONTHS)),
    ("Model", t.code), ("Country", lambda r: r.choice("Germany France Spain Italy Poland Norway Sweden Austria Japan Brazil Kenya India Chile".split())),
    ("Department", lambda r: r.choice("Sales Finance Marketing Research Logistics Support Legal Quality Security".split())),
    ("Part", lambda r: r.choice("Filter Pump Valve Motor Cable Sensor Bracket Hose Screw Panel Fuse Relay Gasket Switch Battery Belt".split())),
)  # fmt: skip


def grid(
    sheet: Sheet, head: list[str], rows: list[list[str]], *, left: float | None = None
) -> list[list[Run]] | None:
    """Draw a table; returns the runs by row (the head first), or ``None`` where it does not fit in width."""
    rng, style = sheet.rng, sheet.style
    left = sheet.left if left is None else left
    pad = style.size * rng.uniform(0.4, 1.0)
    bold_head = rng.random() < 0.75
    need = [
        max([sheet.length(head[c], bold=bold_head), *(sheet.length(r[c]) for r in rows)]) + 2 * pad
        for c in range(len(head))
    ]
    space = sheet.right - left - sum(need)
    if space < 0:
        return None
    spread = rng.random() < 0.7
    widths = [w + (space / len(need) if spread else 0) for w in need]
    lines, zebra, boxed = rng.random() < 0.5, rng.random() < 0.25, rng.random() < 0.35
    right_align = [rng.random() < 0.6 and c > 0 for c in range(len(head))]
    height = sheet.line_height() * rng.choice((1.0, 1.1, 1.3, 1.6))
    total, top = sum(widths), sheet.y
    head_fill = rng.choice((None, None, "dark", "light"))
    drawn: list[list[Run]] = []
    for i, row in enumerate([head, *rows]):
        if sheet.y + height > sheet.bottom:
            break
        y, ink = sheet.y, style.ink
        if i == 0 and head_fill:
            fill = style.accent if head_fill == "dark" else (225, 230, 236)
            sheet.canvas.draw.rectangle((left, y, left + total, y + height), fill=fill)
            ink = (255, 255, 255) if head_fill == "dark" else ink
        elif i and zebra and i % 2 == 0:
            sheet.canvas.draw.rectangle((left, y, left + total, y + height), fill=(240, 243, 246))
        x, runs = left, []
        for c, cell in enumerate(row):
            at = x + widths[c] - pad if right_align[c] else x + pad
            text_y = y + (height - sum(style.font().getmetrics())) / 2
            runs.append(
                sheet.put(
                    at,
                    cell,
                    bold=bold_head and i == 0,
                    fill=ink,
                    y=text_y,
                    align="right" if right_align[c] else "left",
                )
            )
            x += widths[c]
        drawn.append(runs)
        sheet.y += height
        if lines or boxed or i == 0:
            sheet.rule(x0=left, x1=left + total)
    if boxed:
        x = left
        for w in [*widths, 0]:
            sheet.canvas.draw.line((x, top, x, sheet.y), fill=style.muted)
            x += w
        sheet.canvas.draw.line((left, top, left + total, top), fill=style.muted)
    return drawn


def cell_questions(rng: random.Random, column: str, row: str, row_kind: str) -> list[str]:
    low = column.lower() if column[0] != "Q" else column
    asks = ["What is the {c} of {r}?", "What is the {c} for {r}?", "{C} of {r}?", "What {c} does {r} have?", "Which {c} is listed for {r}?",
            "What {c} is given for {r}?", "What was the {c} in {r}?", "Give the {c} for {k} {r}.", "What is the {c} for the {k} {r}?"]  # fmt: skip
    if column in ("Quantity", "Qty", "Units", "Units sold", "Stock", "Points", "Hours"):
        asks += [
            "How many {c} for {r}?",
            "How many {c} does {r} have?",
            "How many units were sold in {r}?" if "Units" in column else "How many {c} are listed for {r}?",
        ]
    if column in ("Price", "Cost"):
        asks += ["How much does {r} cost?"] * 2
    if column.startswith(("2", "Q")):
        asks += ["What was the value for {r} in {C}?", "What is the {r} figure for {C}?"] * 2
    named = {"Region": "in the {r} region", "Department": "of the {r} department", "Month": "in {r}"}.get(
        row_kind
    )
    if named:
        asks += [f"What was the {{c}} {named}?", f"How high was the {{c}} {named}?"] * 3
        if "Units" in column:
            asks += [f"How many units were sold {named}?"] * 4
        row = row.lower() if row_kind != "Month" and rng.random() < 0.5 else row
    pick = rng.sample(asks, 2)
    return [a.format(c=low, C=column, r=row, k=row_kind.lower()) for a in pick]


_FAULTS = """water tank full|door not closed|sensor failure|coil frozen|filter blocked|battery low|no signal|paper jam|motor too hot|
pressure too low|fan stuck|lid open|memory full|no power|valve leaking|lamp broken|cartridge empty|belt loose|wrong voltage|fuse blown""".replace(
    "\n", ""
).split("|")
_CURES = """empty the tank|close the door|switch off and on|wait one hour|clean the filter|charge the battery|check the cable|remove the paper|let it cool down|
call the service|open the valve|replace the lamp|refill the ink|tighten the belt|replace the fuse|close the lid|press reset|check the plug|add water|restart the device""".replace("\n", "").split("|")  # fmt: skip


def fault_table(sheet: Sheet) -> bool:
    """Codes with their meaning and what to do, as manuals have them."""
    rng = sheet.rng
    letter, n = rng.choice("EFAHP"), rng.randint(3, 7)
    codes = [f"{letter}{i}" for i in sorted(rng.sample(range(1, 40), n))]
    rows = [
        [c, f, cure] for c, f, cure in zip(codes, rng.sample(_FAULTS, n), rng.sample(_CURES, n), strict=True)
    ]
    if rng.random() < 0.6:
        rows = [[c, f.capitalize(), cure.capitalize()] for c, f, cure in rows]
    head = [
        rng.choice(("Code", "Error", "Display")),
        rng.choice(("Meaning", "Fault", "Cause")),
        rng.choice(("What to do", "Remedy", "Solution")),
    ]
    keep = 3 if rng.random() < 0.75 else 2
    drawn = grid(sheet, head[:keep], [row[:keep] for row in rows])
    if drawn is None:
        return False
    for row in drawn[1:]:
        code = row[0].text
        asks = [f"What does {code} mean?", f"What does error code {code} mean?", f"What is the meaning of {code}?",
                f"What does the code {code} stand for?", f"Which fault is {code}?"]  # fmt: skip
        sheet.fact(rng.sample(asks, 2), row[1].text, [row[1].box], "cell")
        if keep == 3:
            asks = [f"What should be done for {code}?", f"What helps with error {code}?", f"What is the remedy for {code}?",
                    f"What must be done when {code} is shown?"]  # fmt: skip
            sheet.fact(rng.sample(asks, 2), row[2].text, [row[2].box], "cell")
    return True


def data_table(sheet: Sheet, *, max_rows: int = 8) -> bool:
    """A table with a head; facts for several cells."""
    rng = sheet.rng
    if rng.random() < 0.12:
        return fault_table(sheet)
    row_kind, row_maker = rng.choice(_ROWS)
    columns = rng.sample(_COLUMNS, rng.randint(1, 4))
    columns = [c for c in columns if c[0] != row_kind]
    names: list[str] = []
    for _ in range(rng.randint(2, max_rows) * 3):
        name = row_maker(rng)
        if name not in names:
            names.append(name)
        if len(names) >= max_rows:
            break
    while columns:
        rows = [[n, *(maker(rng) for _, maker in columns)] for n in names]
        drawn = grid(sheet, [row_kind, *(c for c, _ in columns)], rows)
        if drawn is not None:
            break
        columns.pop()
    else:
        return False
    cells = [(r, c) for r in range(1, len(drawn)) for c in range(1, len(columns) + 1)]
    for r, c in rng.sample(cells, min(len(cells), 6)):
        run = drawn[r][c]
        sheet.fact(
            cell_questions(rng, columns[c - 1][0], names[r - 1], row_kind), run.text, [run.box], "cell"
        )
    sheet.labels.update(names)
    return True


def item_table(sheet: Sheet) -> None:
    """Items of an invoice."""
    rng = sheet.rng
    names = list(dict.fromkeys(_ROWS[rng.choice((1, 4, 9))][1](rng) for _ in range(rng.randint(1, 6))))
    head = [
        rng.choice(("Description", "Item", "Article", "Product")),
        rng.choice(("Qty", "Quantity")),
        rng.choice(("Unit price", "Price")),
        rng.choice(("Amount", "Total")),
    ]
    makers = (lambda r: str(r.randint(1, 60)), t.money, t.money)
    keep = 4
    while keep >= 2:
        rows = [[n, *(m(rng) for m in makers[: keep - 1])] for n in names]
        drawn = grid(sheet, head[:keep], rows)
        if drawn is not None:
            cells = [(r, c) for r in range(1, len(drawn)) for c in range(1, keep)]
            for r, c in rng.sample(cells, min(len(cells), 4)):
                run = drawn[r][c]
                sheet.fact(cell_questions(rng, head[c], names[r - 1], "item"), run.text, [run.box], "cell")
            return
        keep -= 1
