"""Figures of the page's table: what they are, and how they are shown."""

from __future__ import annotations

from collections.abc import Sequence

from rmqueue.results import Comparison, Outcome
from rmqueue.statistics import summarise


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


def figure(value: float) -> str:
    """Show a measure: whole if it is large or whole, else with two digits."""
    whole_enough = abs(value) >= 1000 or value == int(value)
    return str(int(value)) if whole_enough else f"{value:.2f}"


def mean(values: Sequence[float]) -> float:
    """Mean of the seeds, as ``rmqueue compare`` has it."""
    return summarise(values, interval=False).mean


def count(value: float) -> str:
    """Show a count, or the mean of some, with three digits at least.

    Examples
    --------
    >>> count(12_345.2), count(7), count(1 / 3)
    ('12,345', '7', '0.333')
    """
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


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
