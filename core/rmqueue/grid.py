"""A comparison as a grid of words: one column per strategy, the kernel's vocabulary.

A *claim* takes over a whole pageblock, a *steal* takes one block out of another type's
pageblock, *pollute* counts the pages placed there; always by type pair, requested type
first.  Several seeds make one cell, mean and standard deviation where they differ;
below stands what changes against the first strategy, paired by seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rmqueue.bootstrap import FEWEST, can_bootstrap, coverage_note
from rmqueue.figures import (
    FALLBACKS,
    MEASURE,
    Figure,
    figure_named,
    figures_of,
    pair_name,
    whole,
)
from rmqueue.metrics import pairs
from rmqueue.results import Comparison, Matrix, Outcome, Recorded
from rmqueue.statistics import (
    DETERMINISTIC,
    Difference,
    Statistics,
    seeds_of,
    statistics_of,
    summarise,
)

#: Rows between those of the fallbacks and the end, in order; orders stand for `{}`.
BELOW = (
    *("work_claim_try", "work_scan_block", "hold_worst_us", "hold_p99_us"),
    *("unusable_order_{}", "mixed_pageblocks", "ns_per_op"),
)
INTERVAL = "  95 % interval"


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
    changes_title : str
        What the second part of the table is; empty if there is none.
    changes : tuple of (str, tuple of str)
        As rows: what changes against the first strategy.
    """

    title: tuple[str, ...]
    headings: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    notes: tuple[str, ...]
    changes_title: str = ""
    changes: tuple[tuple[str, tuple[str, ...]], ...] = ()


def grid_of(comparison: Comparison) -> Grid:
    """Lay a comparison out."""
    columns = tuple(columns_of(comparison))
    changes = tuple(changes_of(comparison, columns))
    return Grid(
        title=tuple(filter(None, (title_of(comparison), comparison.description))),
        headings=tuple(column.heading for column in columns),
        rows=tuple(rows_of(comparison, columns)),
        notes=tuple(notes_of(comparison)),
        changes_title=changes_title(comparison) if changes else "",
        changes=changes,
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
    asked, served = figure_named("asked"), figure_named("served")
    yield asked.heading, cells(columns, asked)
    pages = (recorded_pages(column) for column in columns)
    words = zip(cells(columns, served), pages, strict=True)
    yield served.heading, tuple(map("".join, words))
    yield from fallback_rows(columns)
    for figure in below(comparison):
        yield figure.heading, cells(columns, figure)
    misuse = figure_named("impossible_ops")
    wrong = cells(columns, misuse)
    if any(cell not in ("0", "") for cell in wrong):
        yield misuse.heading, wrong


def recorded_pages(column: Column) -> str:
    """Pages that the recorded kernel handed out; empty for a strategy."""
    recorded = column.recorded
    return "" if recorded is None or recorded.pages is None else str(recorded.pages)


def below(comparison: Comparison) -> Iterator[Figure]:
    """Yield what stands below the fallbacks, the workload's own measures at last."""
    for name in BELOW:
        orders = comparison.unusable_orders if "{}" in name else (0,)
        yield from (figure_named(name.format(order)) for order in orders)
    measures = (figure_names(row.total) for row in comparison.rows)
    yield from map(figure_named, dict.fromkeys(n for names in measures for n in names))


def figure_names(outcome: Outcome) -> list[str]:
    """Names of what the workload measured."""
    return [MEASURE + name for name in outcome.measures]


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
            label = figure_named(pair_name(kind, *pair)).heading
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


def cells(columns: tuple[Column, ...], figure: Figure) -> tuple[str, ...]:
    """Cells of one row; empty for the recorded kernel, and for who lacks it."""
    return tuple(
        spread(
            [
                figures[figure.name]
                for figures in map(figures_of, column.outcomes)
                if figure.name in figures
            ],
            figure.show,
        )
        for column in columns
    )


def spread(values: Sequence[float], show: Callable[[float], str]) -> str:
    """One value, or mean and standard deviation of several; empty if there is none.

    Examples
    --------
    >>> spread([3, 1, 2], whole), spread([2, 2, 2], whole)
    ('2.0 ± 1.0', '2')
    """
    if not values:
        return ""
    found = summarise(values, interval=False)
    if not found.varies or found.sd is None:
        return show(values[0])
    digits = digits_of(found.sd)
    return f"{found.mean:.{digits}f} ± {found.sd:.{digits}f}"


def digits_of(value: float) -> int:
    """Digits behind the point that show two of a value, six at most.

    Examples
    --------
    >>> [digits_of(value) for value in (123, 12.3, 1.23, 0.0123)]
    [0, 0, 1, 3]
    """
    return min(max(0, 1 - math.floor(math.log10(abs(value)))), 6)


def changes_of(
    comparison: Comparison, columns: tuple[Column, ...]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield what changes against the first strategy: a row, and a row of intervals."""
    if seeds_of(comparison) < FEWEST or len(comparison.labels) < 2:
        return
    found = statistics_of(comparison, interval=can_bootstrap(), main=True)
    for figure in found.figures:
        by_column = [change_in(found, column, figure.name) for column in columns]
        if any(one and one.change.mean for one in by_column):
            yield figure.heading, tuple(map(change_cell, by_column))
            yield INTERVAL, tuple(map(interval_cell, by_column))


def change_in(found: Statistics, column: Column, name: str) -> Difference | None:
    """Change of a figure in a column; None for the baseline and the recorded kernel."""
    if column.recorded is not None:
        return None
    return found.differences.get(column.heading, {}).get(name)


def change_cell(found: Difference | None) -> str:
    """Show a change: in percent, or as it is where the baseline has nothing."""
    if found is None:
        return ""
    if found.percent is not None:
        return f"{found.percent:+.1f} %"
    mean = found.change.mean
    return f"{mean:+.{digits_of(mean)}f}" if mean else "0"


def interval_cell(found: Difference | None) -> str:
    """Show the interval of a change; that it is the same for all seeds, if it is."""
    if found is None:
        return ""
    if found.same_share or found.change.remark == DETERMINISTIC:
        return DETERMINISTIC
    one = found.change.interval if found.percent is None else found.percent_interval
    if one is None:
        return ""
    digits = 1 if found.percent is not None else digits_of(one.high - one.low)
    return f"{one.low:+.{digits}f}..{one.high:+.{digits}f}"


def changes_title(comparison: Comparison) -> str:
    """Say what the second part of the table is."""
    return f"change against {comparison.labels[0]}, paired by seed"


def seeds_notes(comparison: Comparison) -> Iterator[str]:
    """Yield what cells of several seeds are, and how far intervals can be trusted."""
    seeds = seeds_of(comparison)
    if seeds < 2:
        return
    yield f"cells: mean ± standard deviation of {seeds} seeds; without ±: deterministic"
    if seeds < FEWEST:
        yield "two seeds are too few for intervals"
    elif len(comparison.labels) > 1:
        if can_bootstrap():
            yield "intervals: bootstrap (BCa), 9,999 resamples of the seeds"
            yield from filter(None, [coverage_note(seeds)])
        else:
            yield "no intervals: they need SciPy: pip install 'rmqueue[study]'"


def notes_of(comparison: Comparison) -> Iterator[str]:
    """Yield what must be known beside the numbers."""
    if len({row.kernel for row in comparison.rows}) > 1:
        yield "columns are on different kernel profiles: --kernel takes one for all"
    yield from seeds_notes(comparison)
    if comparison.machine:
        yield f"holds: modelled cost of the work under zone->lock, {comparison.machine}"
    if any(len(row.zones) > 1 for row in comparison.rows):
        yield f"all zones together; unusable index: zone {comparison.index_zone}"
    yield from comparison.notes
    made = comparison.provenance
    if made:
        names = [n for n in ("rmqueue", "python", "numpy", "numba") if n in made]
        yield "made with " + ", ".join(f"{name} {made[name]}" for name in names)
