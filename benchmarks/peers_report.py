"""Tables (Markdown) and a plot (SVG) of what `peers.py` measured.

    python benchmarks/peers_report.py peers.json docs

Writes `docs/peers-tables.md` and `docs/images/peers.svg`.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

NAMES = {
    "ours": "hydra-rag",
    "brute-force": "brute force, numpy",
    "fast-plaid": "fast-plaid",
    "pylate": "PyLate",
    "lancedb": "LanceDB",
}
COLOURS = {
    "ours": "#1a7f37",
    "brute-force": "#6e7781",
    "fast-plaid": "#cf222e",
    "pylate": "#bc4c00",
    "lancedb": "#0969da",
}


def flat(row: dict[str, Any], name: str) -> list[float]:
    return [float(v) for entry in row["rounds"] for v in entry[name]]


def ratios(peer: dict[str, Any], ours: dict[str, Any], name: str) -> list[float]:
    """Of the medians, round by round."""
    return [
        float(np.median(a[name]) / np.median(b[name]))
        for a, b in zip(peer["rounds"], ours["rounds"], strict=True)
    ]


def words(settings: dict[str, Any]) -> str:
    named = {"caution", "stretch"}
    return ", ".join(f"{k} {v}" for k, v in settings.items() if v is not None and k not in named) or "–"


def measured(rows: list[dict[str, Any]], pages: int) -> list[str]:
    lines = [
        "| engine | setting | chosen as | recall@10 | p50 ms CPU | p95 ms CPU | p50 ms wall |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cpu, wall = flat(row, "cpu_ms"), flat(row, "wall_ms")
        figures = [f"{np.percentile(v, p):.1f}" for v, p in ((cpu, 50), (cpu, 95), (wall, 50))]
        setting = words(row["build"] | row["search"])
        roles = "; ".join(row["roles"])
        found = np.mean(flat(row, "recall"))
        lines.append(
            f"| {NAMES[row['engine']]} | {setting} | {roles} | {found:.3f} | " + " | ".join(figures) + " |"
        )
    return lines


def built(rows: list[dict[str, Any]], pages: int) -> list[str]:
    lines = [
        "| engine | build | CPU s | wall s | bytes a page on disk | process at its largest, MB | versions |",
        "|---|---|---|---|---|---|---|",
    ]
    seen = set()
    for row in rows:
        key = (row["engine"], json.dumps(row["build"]))
        if key in seen:
            continue
        seen.add(key)
        b = row["built"]
        size = f"{b['bytes'] / pages:,.0f}" if b["bytes"] else "none"
        if b["stage_bytes"]:
            size += f" (first stage {b['stage_bytes'] / pages:,.0f})"
        lines.append(
            f"| {NAMES[row['engine']]} | {words(row['build'])} | {b['cpu_s']:.0f} | {b['wall_s']:.0f} | "
            f"{size} | {b['peak_mb']:,.0f} | {b['version']} |"
        )
    return lines


def compared(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| peer at its best recall | its recall@10 | ours, recall@10 | times faster, CPU (10–90 % of rounds)"
        " | times faster, wall |",
        "|---|---|---|---|---|",
    ]
    for engine in NAMES:
        peers = [r for r in rows if r["engine"] == engine and "best recall" in r["roles"]]
        ours = [r for r in rows if f"against {engine}" in r["roles"]]
        if engine == "brute-force":
            ours = [r for r in rows if r["engine"] == "ours" and "best recall" in r["roles"]]
        if not peers or not ours or engine == "ours":
            continue
        cpu, wall = (ratios(peers[0], ours[0], name) for name in ("cpu_ms", "wall_ms"))
        low, high = np.percentile(cpu, [10, 90])
        lines.append(
            f"| {NAMES[engine]} | {np.mean(flat(peers[0], 'recall')):.3f} | "
            f"{np.mean(flat(ours[0], 'recall')):.3f} | **{np.median(cpu):.1f}** ({low:.1f}–{high:.1f}) | "
            f"{np.median(wall):.1f} |"
        )
    return lines


def frontier(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of (ms, recall): those that no other point beats in both."""
    best, kept = -1.0, []
    for ms, recall in sorted(points, key=lambda p: (p[0], -p[1])):
        if recall > best:
            best = recall
            kept.append((ms, recall))
    return kept


def plot(rows: list[dict[str, Any]], title: str) -> str:
    """Recall over CPU time (logarithmic), every setting of the sweep a dot, the best of each joined."""
    width, height, left, top = 760, 420, 60, 46
    right, bottom = width - 20, height - 50
    low, high = 1.0, 1000.0
    floor = 0.6

    def x(ms: float) -> float:
        share = math.log(min(max(ms, low), high) / low) / math.log(high / low)
        return left + share * (right - left)

    def y(recall: float) -> float:
        return bottom - (max(recall, floor) - floor) / (1 - floor) * (bottom - top)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"'
        ' font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="{left}" y="20" font-size="14" fill="#1f2328">{title}</text>',
    ]
    for ms in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000):
        parts.append(f'<line x1="{x(ms):.1f}" y1="{top}" x2="{x(ms):.1f}" y2="{bottom}" stroke="#d8dee4"/>')
        parts.append(
            f'<text x="{x(ms):.1f}" y="{bottom + 16}" text-anchor="middle" fill="#57606a">{ms}</text>'
        )
    for step in range(9):
        recall = floor + step * 0.05
        parts.append(
            f'<line x1="{left}" y1="{y(recall):.1f}" x2="{right}" y2="{y(recall):.1f}" stroke="#d8dee4"/>'
        )
        parts.append(
            f'<text x="{left - 6}" y="{y(recall) + 4:.1f}" text-anchor="end" fill="#57606a">'
            f"{recall:.2f}</text>"
        )
    label = "milliseconds of CPU a query, median (one thread)"
    parts.append(
        f'<text x="{(left + right) / 2}" y="{height - 12}" text-anchor="middle" fill="#1f2328">{label}</text>'
    )
    parts.append(f'<text x="16" y="{top - 10}" fill="#1f2328">recall@10</text>')
    for number, (engine, colour) in enumerate(COLOURS.items()):
        points = [(r["cpu_ms"], r["recall"]) for r in rows if r["engine"] == engine]
        if not points:
            continue
        for ms, recall in points:
            parts.append(
                f'<circle cx="{x(ms):.1f}" cy="{y(recall):.1f}" r="3" fill="{colour}" fill-opacity="0.35"/>'
            )
        path = " ".join(f"{x(ms):.1f},{y(recall):.1f}" for ms, recall in frontier(points))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(
            f'<text x="{right - 150}" y="{bottom - 100 + 18 * number}" fill="{colour}">'
            f"● {NAMES[engine]}</text>"
        )
    return "\n".join(part for part in parts if part) + "\n</svg>\n"


def main() -> None:
    data = json.loads(Path(sys.argv[1]).read_text())
    docs = Path(sys.argv[2])
    facts, rows = data["facts"], data["settings"]
    chosen = [r for r in rows if r["roles"]]
    text = [
        "# Beside other engines: tables",
        "",
        "Written by `benchmarks/peers_report.py`; what they mean stands in [peers](peers.md).",
        "",
        "## At the peers' best recall",
        "",
        *compared(chosen),
        "",
        "## Every chosen setting",
        "",
        *measured(chosen, facts["pages"]),
        "",
        "## Building",
        "",
        *built(rows, facts["pages"]),
        "",
    ]
    (docs / "peers-tables.md").write_text("\n".join(text))
    title = f"{facts['pages']:,} pages of about {facts['tokens']} vectors, {facts['dim']} dimensions"
    (docs / "images" / "peers.svg").write_text(plot(rows, title))


if __name__ == "__main__":
    main()
