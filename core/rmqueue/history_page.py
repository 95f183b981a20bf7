"""Histories as one page: curves in SVG, no script and nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from rmqueue.bench_compare import figure
from rmqueue.bench_tracks import KINDS
from rmqueue.history_lines import History, Line

WIDTH, HEIGHT, MARGIN = 220, 36, 4
WORDS = {
    "results": "What strategies do. No noise: any change is one of behaviour.",
    "speed": "Ratios are to a C program in the same run; times are CPU times.",
    "memory": "",
    "start-up": "Wall time of a new process.",
}
STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 2em auto; max-width: 70em; }
h2 { margin: 1.6em 0 .2em; } p { margin: .2em 0 .8em; color: #555; }
table { border-collapse: collapse; } td, th { padding: .1em .8em; text-align: left; }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr:nth-child(even) { background: #f5f5f5; } code { font-size: 13px; }
svg { display: block; overflow: visible; }
polyline { fill: none; stroke: #2a6db0; stroke-width: 1.5; }
circle { fill: #2a6db0; } circle.c { fill: #c0392b; }
summary { cursor: pointer; font-weight: 600; margin: .3em 0; }
"""


def page(histories: list[History]) -> str:
    """Render the whole page."""
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>rmqueue: history</title><style>{STYLE}</style></head><body>",
        "<h1>rmqueue: history</h1>",
    ]
    for history in histories:
        parts += part(history)
    return "\n".join([*parts, "</body></html>"]) + "\n"


def part(history: History) -> Iterator[str]:
    """Lines of one machine and environment."""
    yield f"<p>{escape(history.machine)}, {escape(history.environment)}</p><table>"
    for at, (commit, subject) in enumerate(
        zip(history.commits, history.subjects, strict=True), 1
    ):
        yield (
            f"<tr><td class=n>{at}</td><td><code>{commit[:12]}</code></td>"
            f"<td>{escape(subject)}</td></tr>"
        )
    yield "</table>"
    for kind in KINDS:
        lines = history.of(kind)
        if not lines:
            continue
        yield f"<h2>{kind}</h2><p>{WORDS[kind]}</p>"
        changing = [line for line in lines if kind != "results" or not line.constant]
        constant = [line for line in lines if line not in changing]
        yield from table(changing, history)
        if constant:
            yield f"<details><summary>{len(constant)} that never changed</summary>"
            yield from table(constant, history)
            yield "</details>"


def table(lines: list[Line], history: History) -> Iterator[str]:
    """Lines of a table, a track each."""
    if not lines:
        return
    yield "<table><tr><th>track<th>first<th><th>last<th>change</tr>"
    for line in lines:
        unit, known = line.track.unit, line.known
        yield (
            f"<tr><td>{escape(line.track.name)}</td>"
            f"<td class=n>{escape(figure(known[0], unit))}</td>"
            f"<td>{curve(line, history)}</td>"
            f"<td class=n>{escape(figure(known[-1], unit))}</td>"
            f"<td class=n>{line.change}</td></tr>"
        )
    yield "</table>"


def curve(line: Line, history: History) -> str:
    """Curve over commits; each point says what it is when pointed at."""
    low, high = line.bounds
    across = (WIDTH - 2 * MARGIN) / max(len(line.values) - 1, 1)
    points, marks = [], []
    for at, value in enumerate(line.values):
        if value is None:
            continue
        share = (value.value - low) / (high - low) if high > low else 0.5
        x = MARGIN + at * across
        y = HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN)
        points.append(f"{x:.1f},{y:.1f}")
        title = f"{history.commits[at][:12]}: {figure(value, line.track.unit)}"
        mark = ' class="c"' if line.track.exact and at in line.changed_at else ""
        marks.append(
            f'<circle{mark} cx="{x:.1f}" cy="{y:.1f}" r="2.5">'
            f"<title>{escape(title)}</title></circle>"
        )
    drawn = f'<polyline points="{" ".join(points)}"/>'
    return f'<svg width="{WIDTH}" height="{HEIGHT}">{drawn}{"".join(marks)}</svg>'
