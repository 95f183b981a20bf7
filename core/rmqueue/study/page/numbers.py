"""Figures of the page's table: what they are, and how they are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import median_low
from typing import TypeAlias

from rmqueue.results import Comparison, Outcome

#: Heading, figure of an outcome, and its words.
Measure: TypeAlias = tuple[str, Callable[[Outcome], float], Callable[[float], str]]


def measures(comparison: Comparison) -> Iterator[Measure]:
    """Yield work, holds, fragmentation and time."""
    yield "claim attempts", lambda outcome: outcome.counters["claim_try"], whole
    yield "blocks scanned", lambda outcome: outcome.counters["scan_block"], whole
    yield "worst hold [us]", lambda outcome: outcome.holds.worst_ps, microseconds
    yield "p99 hold [us]", lambda outcome: outcome.holds.p99_ps, microseconds
    for order in comparison.unusable_orders:
        yield f"unusable index, order {order}", partial(unusable, order), index
    yield "mixed pageblocks", lambda outcome: outcome.mixed_pageblocks, whole
    yield "time [ms/million ops]", lambda outcome: outcome.ns_per_op, tenths


def measured(comparison: Comparison) -> tuple[str, ...]:
    """Names of what the workload measured, in the order of first appearance."""
    names = (name for row in comparison.rows for name in row.total.measures)
    return tuple(dict.fromkeys(names))


def measure(name: str, outcome: Outcome) -> float:
    """One of the workload's own measures; 0 if this run had none."""
    return outcome.measures.get(name, 0.0)


def unusable(order: int, outcome: Outcome) -> float:
    """Unusable index of an outcome; -1 if the zone has no such order."""
    return outcome.unusable.get(order, -1)


def spread(values: Sequence[float], show: Callable[[float], str]) -> str:
    """One value, or median and range of several.

    Examples
    --------
    >>> spread([3, 1, 2], whole)
    '2 (1..3)'
    """
    low, middle, high = (show(f(values)) for f in (min, median_low, max))
    return middle if low == high else f"{middle} ({low}..{high})"


def figure(value: float) -> str:
    """Show a measure: whole if it is large or whole, else with two digits."""
    whole_enough = abs(value) >= 1000 or value == int(value)
    return str(int(value)) if whole_enough else f"{value:.2f}"


def whole(value: float) -> str:
    """Show a count."""
    return str(int(value))


def microseconds(value_ps: float) -> str:
    """Show picoseconds as microseconds."""
    value = value_ps / 1e6
    return f"{value:.1f}" if value >= 100 else f"{value:.2f}"


def index(value: float) -> str:
    """Show thousandths as debugfs does; nothing for an order that is not there."""
    return "" if value < 0 else f"{value / 1000:.3f}"


def tenths(value: float) -> str:
    """Show one digit behind the point."""
    return f"{value:.1f}"


def figure_of(value: float) -> str:
    """Show a number whole if it is large, else with four digits."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def duration(ps: float) -> str:
    """Show a length of time in a unit that suits it.

    Examples
    --------
    >>> duration(320_642_000), duration(6_674_864_000)
    ('320.6 µs', '6.67 ms')
    """
    for unit, size in (("s", 1e12), ("ms", 1e9), ("µs", 1e6)):
        if ps >= size:
            value = ps / size
            return f"{value:.1f} {unit}" if value >= 100 else f"{value:.2f} {unit}"
    return f"{ps / 1e3:.0f} ns"
