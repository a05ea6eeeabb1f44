"""Fields side by side, each label over or under its value, as on forms, dashboards and slides."""

from __future__ import annotations

from hydra_rag.training.documents.concepts import draw_field
from hydra_rag.training.documents.page import Sheet


def tile_block(sheet: Sheet, count: int, taken: set[str], *, x: float, width: float) -> None:
    """About ``count`` fields in rows of two to four tiles."""
    rng, style = sheet.rng, sheet.style
    label_first = rng.random() < 0.72
    label_factor, value_factor = rng.choice(((0.75, 1.0), (0.85, 1.0), (1.0, 1.0), (0.8, 1.3), (0.9, 1.6)))
    bold_value, bold_label = rng.random() < 0.4, rng.random() < 0.25
    boxed, gap = rng.random() < 0.4, style.size * rng.uniform(0.4, 1.2)
    label_ink = style.muted if rng.random() < 0.5 else style.accent if rng.random() < 0.3 else style.ink
    height = (
        sheet.line_height(label_factor)
        + sheet.line_height(value_factor)
        + (style.size * rng.uniform(0.1, 0.8))
    )
    upper = rng.random() < 0.12
    while count > 0 and sheet.y + height <= sheet.bottom:
        columns = min(count, rng.choice((2, 2, 3, 3, 4)))
        fields = [draw_field(rng, taken) for _ in range(columns)]
        need = [
            max(
                sheet.length(label, factor=label_factor, bold=bold_label),
                sheet.length(value, factor=value_factor, bold=bold_value),
            )
            + gap
            for label, value, _ in fields
        ]
        while fields and sum(need) > width:
            fields.pop()
            need.pop()
        if not fields:
            return
        spare = (width - sum(need)) / len(need)
        at = x
        for (label, value, questions), wide in zip(fields, need, strict=True):
            shown = value.upper() if upper else value
            first = label_factor if label_first else value_factor
            below = sheet.y + sheet.line_height(first)
            label_y, value_y = (sheet.y, below) if label_first else (below, sheet.y)
            sheet.put(at, label, factor=label_factor, bold=bold_label, fill=label_ink, y=label_y)
            run = sheet.put(at, shown, factor=value_factor, bold=bold_value, y=value_y)
            if boxed:
                sheet.canvas.draw.rectangle(
                    (at - 4, sheet.y - 2, at + wide + spare - 6, sheet.y + height - 3), outline=style.muted
                )
            if run.edges[-1] <= sheet.canvas.width:
                sheet.labels.add(label)
                sheet.fact(questions, shown, [run.box], "field")
            at += wide + spare
        sheet.y += height + style.size * rng.uniform(0.1, 0.7)
        count -= len(fields)
