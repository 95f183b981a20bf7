"""Tables of what a recording and the model have in common (`rmqueue validate`)."""

from __future__ import annotations

from collections.abc import Sequence

from rmqueue.trace.statistics import PARTS, Figure, Statistics
from rmqueue.trace_report import Table, plain, rich_table

#: Rows that are shown of a part with many; how many there are is always said.
SHOWN = 12


def statistics_tables(found: Statistics) -> list[Table]:
    """Make a table of each part, what is largest first.

    Parameters
    ----------
    found : Statistics
        What `rmqueue.trace.statistics.statistics_of` returned.

    Returns
    -------
    list of Table
        To be rendered by `trace_report.rich_table` or `trace_report.plain`.
    """
    headings = ("", "recorded", "simulated", "lowest", "highest", "difference")
    tables = []
    for part, title in PARTS.items():
        figures = found.part(part)
        if figures:
            shown = _shown(figures)
            more = "" if len(shown) == len(figures) else _more(shown, figures)
            rows = [_row(figure) for figure in shown]
            tables.append(Table(title + more, headings, rows))
    return tables


def statistics_title(found: Statistics) -> str:
    """Say in a line what was compared, and how far single pages mean something."""
    start = "the recorded start state" if found.exact else _seeds(found.seeds)
    return (
        f"{found.name}, Linux {found.kernel}, on {found.strategy} ({found.profile}), "
        f"from {start}"
    )


def statistics_text(found: Statistics) -> str:
    """Render everything as plain text."""
    tables = "\n\n".join(plain(table) for table in statistics_tables(found))
    notes = "".join(f"\n- {note}" for note in found.notes)
    return f"{statistics_title(found)}\n\n{tables}\n{notes}".rstrip() + "\n"


def statistics_renderables(found: Statistics) -> list[object]:
    """Render everything for a terminal."""
    from rich.text import Text

    tables = [rich_table(table) for table in statistics_tables(found)]
    return [Text(statistics_title(found)), *tables, *map(Text, found.notes)]


def _seeds(seeds: Sequence[int]) -> str:
    if len(seeds) == 1:
        return f"a start state that is made up, seed {seeds[0]}"
    return (
        f"{len(seeds)} start states that are made up, seeds "
        f"{', '.join(map(str, seeds))}"
    )


def _shown(figures: Sequence[Figure]) -> list[Figure]:
    """Figures of a part, the largest if there are many; fallbacks by their number."""
    largest = sorted(
        figures, key=lambda figure: -max(figure.recorded or 0, figure.mean)
    )
    largest = largest[:SHOWN]
    if figures[0].part in ("types", "orders"):
        return largest
    kept = set(map(id, largest))
    return [figure for figure in figures if id(figure) in kept]


def _more(shown: Sequence[Figure], figures: Sequence[Figure]) -> str:
    return f", the largest {len(shown)} of {len(figures)}"


def _row(figure: Figure) -> tuple[str, ...]:
    low, high = figure.spread
    apart = figure.difference
    return (
        figure.name,
        "-" if figure.recorded is None else f"{figure.recorded:,}",
        f"{figure.mean:,.0f}",
        f"{low:,}",
        f"{high:,}",
        "-" if apart is None else f"{100 * apart:+.1f} %",
    )
