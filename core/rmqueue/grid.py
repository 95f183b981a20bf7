"""A comparison as a grid of words: one column per strategy, the kernel's vocabulary.

A *claim* takes over a whole pageblock, a *steal* takes one block out of another type's
pageblock, *pollute* counts the pages placed there; always by type pair, requested type
first.  Several seeds make one cell: the median, and the range where they differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from statistics import median_low
from typing import TypeAlias

from rmqueue.metrics import pairs
from rmqueue.results import Comparison, Matrix, Outcome, Recorded

FALLBACKS = ("claim", "steal", "pollute")
Number: TypeAlias = Callable[[Outcome], float]


@dataclass(frozen=True)
class Column:
    """One column: its heading, and outcomes or the recorded kernel's own numbers."""

    heading: str
    kernel: str
    outcomes: tuple[Outcome, ...] = ()
    recorded: Recorded | None = None


@dataclass(frozen=True)
class Grid:
    """Words of a comparison.

    Attributes
    ----------
    title : tuple of str
        Lines above.
    headings : tuple of str
        One per column.
    rows : tuple of (str, tuple of str)
        Label, and a cell per column.
    notes : tuple of str
        Lines below.
    """

    title: tuple[str, ...]
    headings: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    notes: tuple[str, ...]


def grid_of(comparison: Comparison) -> Grid:
    """Lay a comparison out."""
    columns = tuple(columns_of(comparison))
    return Grid(
        title=tuple(filter(None, (title_of(comparison), comparison.description))),
        headings=tuple(column.heading for column in columns),
        rows=tuple(rows_of(comparison, columns)),
        notes=tuple(notes_of(comparison)),
    )


def title_of(comparison: Comparison) -> str:
    """Return the first line: what was replayed."""
    return f"{comparison.experiment}: {comparison.source}"


def columns_of(comparison: Comparison) -> Iterator[Column]:
    """One column per strategy, then the recorded kernel."""
    for label in comparison.labels:
        rows = comparison.rows_of(label)
        outcomes = tuple(row.total for row in rows)
        yield Column(label, rows[0].kernel, outcomes)
    if comparison.recorded is not None:
        recorded = comparison.recorded
        yield Column("recorded", recorded.kernel, recorded=recorded)


def rows_of(
    comparison: Comparison, columns: tuple[Column, ...]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every row that has something to say."""
    yield "kernel", tuple(column.kernel for column in columns)
    yield "pages asked", cells(columns, lambda outcome: outcome.asked, whole)
    served = cells(columns, lambda outcome: outcome.served, whole)
    pages = (recorded_pages(column) for column in columns)
    yield "pages served", tuple(map("".join, zip(served, pages, strict=True)))
    yield from fallback_rows(columns)
    for label, number, show in measures(comparison):
        yield label, cells(columns, number, show)
    for name in measured(comparison):
        yield name, cells(columns, partial(measure, name), figure)
    misuse = cells(columns, lambda outcome: sum(outcome.misuse.values()), whole)
    if any(cell not in ("0", "") for cell in misuse):
        yield "impossible operations", misuse


def measured(comparison: Comparison) -> tuple[str, ...]:
    """Names of what the workload measured, in the order of first appearance."""
    names = (name for row in comparison.rows for name in row.total.measures)
    return tuple(dict.fromkeys(names))


def measure(name: str, outcome: Outcome) -> float:
    """One of the workload's own measures; 0 if this run had none."""
    return outcome.measures.get(name, 0.0)


def figure(value: float) -> str:
    """Show a measure: whole if it is large or whole, else with two digits."""
    whole_enough = abs(value) >= 1000 or value == int(value)
    return str(int(value)) if whole_enough else f"{value:.2f}"


Measure: TypeAlias = tuple[str, Number, Callable[[float], str]]


def recorded_pages(column: Column) -> str:
    """Pages that the recorded kernel handed out; empty for a strategy."""
    recorded = column.recorded
    return "" if recorded is None or recorded.pages is None else str(recorded.pages)


def measures(comparison: Comparison) -> Iterator[Measure]:
    """Yield what stands below the fallbacks."""
    yield "claim attempts", lambda outcome: outcome.counters["claim_try"], whole
    yield "blocks scanned", lambda outcome: outcome.counters["scan_block"], whole
    yield "worst hold [us]", lambda outcome: outcome.holds.worst_ps, microseconds
    yield "p99 hold [us]", lambda outcome: outcome.holds.p99_ps, microseconds
    for order in comparison.unusable_orders:
        yield f"unusable index, order {order}", partial(unusable, order), index
    yield "mixed pageblocks", lambda outcome: outcome.mixed_pageblocks, whole
    yield "time [ms/million ops]", lambda outcome: outcome.ns_per_op, tenths


def unusable(order: int, outcome: Outcome) -> float:
    """Unusable index of an outcome; -1 if the zone has no such order."""
    return outcome.unusable.get(order, -1)


def fallback_rows(columns: tuple[Column, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Fallbacks by type pair; pairs that nobody used are left out."""
    for kind in FALLBACKS:
        matrices = [matrix for column in columns for matrix in known(column, kind)]
        used = dict.fromkeys(
            (asked, taken)
            for matrix in matrices
            for asked, taken, _ in sorted(pairs(matrix))
        )
        for pair in used:
            label = f"{kind:<7} {pair[0]} <- {pair[1]}"
            yield label, tuple(pair_cell(column, kind, pair) for column in columns)
        if not used:
            yield (
                f"{kind:<7} (any)",
                tuple("0" if known(column, kind) else "" for column in columns),
            )


def known(column: Column, kind: str) -> tuple[Matrix, ...]:
    """Return the matrices of one kind of fallback that a column has."""
    if column.recorded is not None:
        matrix: Matrix | None = getattr(column.recorded, kind, None)
        return () if matrix is None else (matrix,)
    return tuple(getattr(outcome, kind) for outcome in column.outcomes)


def pair_cell(column: Column, kind: str, pair: tuple[str, str]) -> str:
    """Cell of one pair; empty if the column does not know."""
    counts = [
        {(asked, taken): count for asked, taken, count in pairs(matrix)}.get(pair, 0)
        for matrix in known(column, kind)
    ]
    return spread(counts, whole)


def cells(
    columns: tuple[Column, ...], number: Number, show: Callable[[float], str]
) -> tuple[str, ...]:
    """Cells of one row; the recorded kernel's stays empty."""
    return tuple(
        spread([number(outcome) for outcome in column.outcomes], show)
        if column.recorded is None
        else ""
        for column in columns
    )


def spread(values: list[float] | list[int], show: Callable[[float], str]) -> str:
    """One value, or median and range of several; empty if there is none.

    Examples
    --------
    >>> spread([3, 1, 2], whole)
    '2 (1..3)'
    """
    if not values:
        return ""
    low, middle, high = (show(f(values)) for f in (min, median_low, max))
    return middle if low == high else f"{middle} ({low}..{high})"


def whole(value: float) -> str:
    """Show a count."""
    return str(int(value))


def microseconds(value_ps: float) -> str:
    """Show picoseconds as microseconds, with three digits or more."""
    value = value_ps / 1e6
    return f"{value:.1f}" if value >= 100 else f"{value:.2f}"


def index(value: float) -> str:
    """Show thousandths as debugfs does; nothing for an order that is not there."""
    return "" if value < 0 else f"{int(value) // 1000}.{int(value) % 1000:03}"


def tenths(value: float) -> str:
    """Show one digit behind the point."""
    return f"{value:.1f}"


def notes_of(comparison: Comparison) -> Iterator[str]:
    """Yield what must be known beside the numbers."""
    seeds = {row.seed for row in comparison.rows}
    if len(seeds) > 1:
        yield f"cells: median (lowest..highest) of {len(seeds)} seeds"
    if comparison.machine:
        yield f"holds: modelled cost of the work under zone->lock, {comparison.machine}"
    if any(len(row.zones) > 1 for row in comparison.rows):
        yield f"all zones together; unusable index: zone {comparison.index_zone}"
    yield from comparison.notes
    made = comparison.provenance
    if made:
        names = [n for n in ("rmqueue", "python", "numpy", "numba") if n in made]
        yield "made with " + ", ".join(f"{name} {made[name]}" for name in names)
