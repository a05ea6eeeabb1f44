"""Letters, reports in columns, slides, charts."""

from __future__ import annotations

import random

from hydra_rag.geometry import Box
from hydra_rag.training import text_source as t
from hydra_rag.training.documents.forms import field_block, picture, title
from hydra_rag.training.documents.page import Sheet, find_boxes
from hydra_rag.training.documents.sentences import draw_sentences
from hydra_rag.training.documents.tables import data_table
from hydra_rag.training.documents.tiles import tile_block


def _filler(rng: random.Random, n: int) -> str:
    return (
        " ".join(
            rng.choice(t.WORDS) if rng.random() < 0.85 else t.pseudo_word(rng) for _ in range(n)
        ).capitalize()
        + "."
    )


def fact_text(
    sheet: Sheet, count: int, *, width: float | None = None, x: float | None = None, filler: float = 0.6
) -> None:
    """A paragraph with ``count`` facts between sentences that say nothing."""
    rng = sheet.rng
    parts, answers = [], []
    for sentence, questions, value in draw_sentences(rng, count):
        if rng.random() < filler:
            parts.append(_filler(rng, rng.randint(4, 12)))
        parts.append(sentence)
        answers.append((questions, value))
    runs = sheet.paragraph(" ".join(parts), width=width, x=x)
    for questions, value in answers:
        boxes = find_boxes(runs, value)
        if boxes:
            sheet.fact(questions, value, boxes, "prose")


def letter(sheet: Sheet) -> None:
    rng = sheet.rng
    taken: set[str] = {"name", "subject"}
    sender = t.company(rng)
    sheet.put(sheet.left, sender, bold=True, factor=1.1)
    sheet.down(2.0)
    if rng.random() < 0.6:
        field_block(sheet, rng.randint(1, 4), taken)
        sheet.down(0.8)
    if rng.random() < 0.5:
        subject = " ".join(rng.choice(t.WORDS[40:190]) for _ in range(rng.randint(2, 4))).capitalize()
        run = sheet.put(sheet.left, f"{rng.choice(('Subject', 'Re'))}: {subject}", bold=True)
        at = run.text.index(subject)
        sheet.fact(
            ["What is the subject?", "What is the subject of the letter?", "What is the letter about?"],
            subject,
            [run.span_box(at, len(run.text))],
            "field",
        )
        sheet.down(1.5)
    person = t.person(rng)
    run = sheet.put(sheet.left, f"Dear {person},")
    sheet.fact(
        ["Who is the letter addressed to?", "Who is addressed?", "To whom is the letter?"],
        person,
        [run.span_box(5, 5 + len(person))],
        "prose",
    )
    sheet.down(1.5)
    while sheet.room(7):
        fact_text(sheet, rng.randint(1, 3))
        sheet.down(0.6)
        if rng.random() < 0.25:
            break
    if sheet.room(3):
        sheet.put(
            sheet.left, rng.choice(("Sincerely,", "Kind regards,", "Yours faithfully,", "Best regards,"))
        )
        sheet.down(1.6)
        signer = t.person(rng)
        run = sheet.put(sheet.left, signer)
        sheet.fact(
            ["Who signed the letter?", "Who wrote the letter?", "Who sent the letter?"],
            signer,
            [run.box],
            "prose",
        )


def report(sheet: Sheet) -> None:
    """Heading, text in one or two columns, a table or a chart."""
    rng = sheet.rng
    title(
        sheet,
        " ".join(rng.choice(t.WORDS[40:190]) for _ in range(rng.randint(2, 4))).capitalize()
        + rng.choice(("", " report", f" {rng.randint(1990, 2030)}")),
    )
    while sheet.room(6):
        what = rng.random()
        if what < 0.35 and sheet.width > 30 * sheet.style.size:
            top, half, ends = sheet.y, sheet.width / 2 - sheet.style.size, []
            for i in range(2):
                sheet.y = top
                fact_text(
                    sheet, rng.randint(1, 4), width=half, x=sheet.left + i * (half + 2 * sheet.style.size)
                )
                ends.append(sheet.y)
            sheet.y = max(ends)
        elif what < 0.55:
            fact_text(sheet, rng.randint(1, 4))
        elif what < 0.8:
            if not data_table(sheet):
                fact_text(sheet, 1)
        else:
            bar_chart(sheet)
        sheet.down(rng.uniform(0.5, 1.2))


def table_page(sheet: Sheet) -> None:
    rng = sheet.rng
    if rng.random() < 0.6:
        title(sheet)
    while sheet.room(4):
        if rng.random() < 0.3:
            fact_text(sheet, 1)
            sheet.down(0.5)
        if not data_table(sheet, max_rows=rng.randint(3, 9)):
            fact_text(sheet, 2)
        sheet.down(1.0)


def slide(sheet: Sheet) -> None:
    """A title, bullets with facts, a large figure."""
    rng = sheet.rng
    title(sheet, " ".join(rng.choice(t.WORDS[40:190]) for _ in range(rng.randint(2, 4))).capitalize())
    taken: set[str] = set()
    if rng.random() < 0.4:
        label, value = (
            rng.choice(("Growth", "New customers", "Revenue", "Market share", "Savings", "Visitors")),
            rng.choice((t.percent, t.money, t.number))(rng),
        )
        run = sheet.put(sheet.left, value, factor=2.2, bold=True, fill=sheet.style.accent)
        if run.edges[-1] < sheet.canvas.width:
            sheet.down(2.2)
            sheet.put(sheet.left, label, fill=sheet.style.muted)
            sheet.down(1.4)
            sheet.fact(
                [f"What is the {label.lower()}?", f"How high is the {label.lower()}?"],
                value,
                [run.box],
                "field",
            )
            taken.add(label.lower())
    for sentence, questions, value in draw_sentences(rng, rng.randint(1, 5)):
        if not sheet.room(2):
            break
        text = sentence.rstrip(".")
        bullet = rng.choice(("•", "-", "–", "■", "●"))
        runs = sheet.paragraph(f"{bullet} {text}")
        if boxes := find_boxes(runs, value):
            sheet.fact(questions, value, boxes, "prose")
        sheet.down(0.4)
    if sheet.room(5):
        what = rng.random()
        if what < 0.4:
            bar_chart(sheet)
        elif what < 0.8:
            tile_block(sheet, rng.randint(2, 6), taken, x=sheet.left, width=sheet.width)
        else:
            field_block(sheet, 3, taken)


def bar_chart(sheet: Sheet) -> None:
    """Bars with category labels and printed values."""
    rng = sheet.rng
    n = rng.randint(2, 6)
    makers = (
        lambda r: r.choice(t.MONTHS)[:3],
        lambda r: r.choice(t.CITIES),
        lambda r: str(r.randint(2010, 2030)),
        lambda r: f"Q{r.randint(1, 4)}",
        lambda r: r.choice(("North", "South", "East", "West")),
    )
    maker = rng.choice(makers)
    names = list(dict.fromkeys(maker(rng) for _ in range(n)))
    values = [rng.randint(5, 999) for _ in names]
    if rng.random() < 0.7:
        what = rng.choice(("Sales", "Visitors", "Output", "Revenue", "Orders", "Members", "Units sold"))
        sheet.put(sheet.left, what + rng.choice(("", " by period", " per region", " (thousand)")), bold=True)
        sheet.down(1.2)
    else:
        what = "value"
    peak = max(values)
    unit = rng.choice(("", "", "%", " k"))
    noun = what.lower()
    asks = (
        f"What is the {noun} for {{}}?" if what == "value" else f"What are the {noun} for {{}}?",
        "Which value does {} have?",
        "What is the value of {} in the chart?",
        f"What was the {noun} in {{}}?",
        f"How many {noun} in {{}}?" if what != "value" else "What is the value for {}?",
    )
    line = sheet.line_height()
    if rng.random() < 0.5:
        label_width = max(sheet.length(name) for name in names) + sheet.style.size
        span = sheet.width - label_width - sheet.length("9999 k") - sheet.style.size
        for name, value in zip(names, values, strict=True):
            if not sheet.room(1.4) or span < 20:
                return
            sheet.put(sheet.left, name)
            end = sheet.left + label_width + span * value / peak
            sheet.canvas.draw.rectangle(
                (sheet.left + label_width, sheet.y + 2, end, sheet.y + line - 2), fill=sheet.style.accent
            )
            run = sheet.put(end + 4, f"{value}{unit}")
            sheet.fact(
                [a.format(_said(rng, name)) for a in rng.sample(asks, 2)], run.text, [run.box], "chart"
            )
            sheet.down(1.4)
        return
    height = rng.uniform(4, 7) * line
    if sheet.y + height + 3 * line > sheet.bottom:
        return
    step = sheet.width / len(names)
    if step < max(sheet.length(name) for name in names) + 4:
        return
    base = sheet.y + height + line
    for i, (name, value) in enumerate(zip(names, values, strict=True)):
        x = sheet.left + step * (i + 0.5)
        top = base - height * value / peak
        sheet.canvas.draw.rectangle((x - step * 0.3, top, x + step * 0.3, base), fill=sheet.style.accent)
        run = sheet.put(x, f"{value}{unit}", y=top - line, align="center")
        sheet.put(x, name, y=base + 2, align="center")
        sheet.fact([a.format(_said(rng, name)) for a in rng.sample(asks, 2)], run.text, [run.box], "chart")
    sheet.y = base + line * 1.3
    sheet.facts.append(_highest(names, values, sheet, base))


def _said(rng: random.Random, name: str) -> str:
    """A category as people say it: quarter 1 for Q1, the west for West."""
    if name[0] == "Q" and name[1:].isdigit() and rng.random() < 0.5:
        return f"quarter {name[1:]}"
    return (
        f"the {name.lower()}" if name in ("North", "South", "East", "West") and rng.random() < 0.5 else name
    )


def _highest(names: list[str], values: list[int], sheet: Sheet, base: float):  # type: ignore[no-untyped-def]
    from hydra_rag.training.documents.page import Fact

    best = names[values.index(max(values))]
    boxes = [r.box for r in sheet.canvas.runs[-2 * len(names) :] if r.text == best]
    size = (sheet.canvas.width, sheet.canvas.height)
    return Fact(
        ("Which one is the highest?", "Which bar is the highest?", "Which has the highest value?"),
        best,
        tuple(b.clip(*size) for b in boxes),
        "chart",
    )


def photo_card(sheet: Sheet) -> None:
    """A picture with a caption and a few facts."""
    rng = sheet.rng
    side = int(min(sheet.width, sheet.canvas.height * 0.35))
    if sheet.room(side / sheet.line_height() + 3):
        picture(sheet, Box(sheet.left, int(sheet.y), sheet.left + side, int(sheet.y) + side))
        sheet.y += side + 4
    field_block(sheet, rng.randint(1, 4), set())
