"""A presentation slide, as people keep it: a picture, 16 to 9."""

from __future__ import annotations

from maker.facts import Ask, Document, Draw
from maker.sheet import GREY, INK, PALE, SLIDE, VERA, VERA_BOLD, Sheet

PROJECTS = ["Lighthouse", "Compass", "Evergreen", "Bluebird", "Keystone", "Northstar"]
STEPS = [
    ("Interviews with users", "Design review", "Pilot", "Launch"),
    ("Site survey", "Supplier choice", "Pilot", "Roll-out"),
    ("Data check", "Prototype", "Pilot", "Training"),
]


def make(seed: int) -> Document:
    draw = Draw(seed, "slide")
    accent = draw.one(["#0f766e", "#9a3412", "#4338ca"])
    project = draw.one(PROJECTS)
    steps = draw.rng.choice(STEPS)
    months = ["Feb", "Apr", "Jun", "Sep"] if draw.whole(0, 1) else ["Mar", "May", "Aug", "Oct"]

    s = Sheet(f"Project {project}", SLIDE, VERA)
    s.rect(0, 0, s.w, s.h, fill="#ffffff")
    s.rect(0, 0, 16, s.h, fill=accent)
    s.text(64, 84, f"Project {project}", 38, font=VERA_BOLD, color=INK)
    s.text(64, 120, "Status for the steering group", 19, color=GREY)
    cards = [
        ("Budget", f"${draw.whole(12, 98) / 10:.1f} million", "budget"),
        ("Project lead", draw.person(), "lead"),
        ("Team size", f"{draw.whole(6, 28)} people", "team"),
    ]
    for i, (label, value, mark) in enumerate(cards):
        x = 64 + i * 284
        s.rect(x, 156, 264, 112, fill=PALE, round_=10)
        s.rect(x, 156, 264, 6, fill=accent)
        s.text(x + 22, 200, label, 18, color=GREY)
        s.text(x + 22, 240, value, 24, font=VERA_BOLD, color=accent, mark=mark)

    s.text(64, 326, "Milestones", 22, font=VERA_BOLD)
    y = 386.0
    s.line(96, y, s.w - 96, y, color=accent, thick=3)
    for i, step in enumerate(steps):
        x = 130 + i * (s.w - 260) / 3
        s.circle(x, y, 11, fill="#ffffff", line=accent, thick=4)
        s.text(
            x, y - 24, f"{draw.whole(1, 28)} {months[i]}", 19, font=VERA_BOLD, align="center", mark=f"step{i}"
        )
        s.text(x, y + 40, step, 17, align="center")
    s.line(64, 474, s.w - 64, 474)
    end = s.text(64, 508, "Main risk: ", 18, font=VERA_BOLD, color=accent)
    risk = draw.one(
        [
            "late delivery of sensors",
            "too few test users",
            "data from old systems",
            "staff on leave in summer",
        ]
    )
    s.text(end, 508, risk, 18, mark="risk")
    s.text(s.w - 64, 508, "4", 16, color=GREY, align="right")
    asks = [
        Ask(f"What is the budget of Project {project}?", "budget"),
        Ask(f"Who leads Project {project}?", "lead"),
        Ask("When does the pilot take place?", "step2"),
        Ask(f"What is the main risk of Project {project}?", "risk"),
    ]
    return Document("project-slide", s, asks, kind="png")
