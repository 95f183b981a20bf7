"""The figures of a run: what they are called, in which unit, and which way is better.

Every reporter takes its figures from here, so that a name means the same everywhere.
Names are those of the columns of CSV files and of kept studies, but for holds, which
are in microseconds here, and in whole picoseconds there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from rmqueue.metrics import pairs
from rmqueue.mm.mmzone import MIGRATETYPES
from rmqueue.results import Outcome, Row

LOWER, HIGHER = "lower", "higher"
FALLBACKS = ("claim", "steal", "pollute")
#: Before the name of what a workload measures.
MEASURE = "measure_"
PS_PER_US = 1e6
#: Ends of the names of measures: their unit, and which way is better.
UNITS = {
    "_per_s": ("1/s", HIGHER),
    "_s": ("s", LOWER),
    "_ms": ("ms", LOWER),
    "_us": ("us", LOWER),
    "_ns": ("ns", LOWER),
    "_pct": ("%", ""),
    "_pages": ("pages", ""),
    "_page": ("page", ""),
    "_kpage": ("1/1000 pages", ""),
    "_blocks": ("blocks", ""),
}


@dataclass(frozen=True)
class Figure:
    """One figure of a run.

    Attributes
    ----------
    name : str
        How programs call it.
    heading : str
        How tables call it, with its unit in brackets unless it counts something.
    unit : str
        Unit of its values.
    better : str
        ``"lower"``, ``"higher"``, or empty: neither is better.
    show : callable
        Writes a value of one run.
    main : bool
        It is in short tables.
    of_kernel : bool
        It is about the simulated kernel, not about the simulator, whose times depend on
        the machine that it runs on.
    """

    name: str
    heading: str
    unit: str
    better: str
    show: Callable[[float], str]
    main: bool = False
    of_kernel: bool = True


def whole(value: float) -> str:
    """Show a count."""
    return str(int(value))


def microseconds(value: float) -> str:
    """Show microseconds with three digits or more."""
    return f"{value:.1f}" if value >= 100 else f"{value:.2f}"


def index(value: float) -> str:
    """Show a fragmentation index as debugfs does."""
    return f"{value:.3f}"


def tenths(value: float) -> str:
    """Show one digit behind the point."""
    return f"{value:.1f}"


def measured(value: float) -> str:
    """Show a measure: whole if it is large or whole, else with two digits."""
    whole_enough = abs(value) >= 1000 or value == int(value)
    return str(int(value)) if whole_enough else f"{value:.2f}"


#: Figures that every run has, in the order of tables.
FIGURES = {
    figure.name: figure
    for figure in (
        Figure("asked", "pages asked", "pages", "", whole),
        Figure("served", "pages served", "pages", HIGHER, whole, main=True),
        Figure("work_claim_try", "claim attempts", "attempts", LOWER, whole, main=True),
        Figure("work_scan_block", "blocks scanned", "blocks", LOWER, whole, main=True),
        Figure(
            "hold_worst_us", "worst hold [us]", "us", LOWER, microseconds, main=True
        ),
        Figure("hold_p99_us", "p99 hold [us]", "us", LOWER, microseconds, main=True),
        Figure("mixed_pageblocks", "mixed pageblocks", "blocks", LOWER, whole, True),
        Figure(
            "ns_per_op", "time [ms/million ops]", "ns", LOWER, tenths, of_kernel=False
        ),
        Figure("impossible_ops", "impossible operations", "operations", LOWER, whole),
        Figure("holds", "holds", "holds", "", whole),
        Figure("hold_total_us", "all holds [us]", "us", LOWER, microseconds),
        Figure("free_pages", "free pages", "pages", "", whole),
    )
}


def figures_of(row: Row | Outcome) -> dict[str, float]:
    """Return the figures of a run by name.

    Parameters
    ----------
    row : Row or Outcome
        A row stands for all its zones together.

    Returns
    -------
    dict of str to float
        In the order of tables; `figure_named` tells what each is.
    """
    outcome = row.total if isinstance(row, Row) else row
    return dict(_figures(outcome))


def _figures(outcome: Outcome) -> Iterator[tuple[str, float]]:
    """Names and values, in the order of tables."""
    holds, counters = outcome.holds, outcome.counters
    yield "asked", float(outcome.asked)
    yield "served", float(outcome.served)
    for kind in FALLBACKS:
        for asked, taken, count in sorted(pairs(getattr(outcome, kind))):
            yield pair_name(kind, asked, taken), float(count)
    yield "work_claim_try", float(counters.get("claim_try", 0))
    yield "work_scan_block", float(counters.get("scan_block", 0))
    yield "hold_worst_us", holds.worst_ps / PS_PER_US
    yield "hold_p99_us", holds.p99_ps / PS_PER_US
    for order, value in outcome.unusable.items():
        yield f"unusable_order_{order}", value / 1000
    yield "mixed_pageblocks", float(outcome.mixed_pageblocks)
    yield "ns_per_op", outcome.ns_per_op
    for name, measure in outcome.measures.items():
        yield MEASURE + name, float(measure)
    yield "impossible_ops", float(sum(outcome.misuse.values()))
    yield "holds", float(holds.count)
    yield "hold_total_us", holds.total_ps / PS_PER_US
    yield "free_pages", float(outcome.free_pages)
    for order, value in outcome.fragmentation.items():
        yield f"fragmentation_order_{order}", value / 1000
    for name, count in counters.items():
        if f"work_{name}" not in FIGURES:
            yield f"work_{name}", float(count)


def pair_name(kind: str, asked: str, taken: str) -> str:
    """Name of the fallbacks of a kind between two types.

    Examples
    --------
    >>> pair_name("steal", "movable", "unmovable")
    'steal_movable_from_unmovable'
    """
    return f"{kind}_{asked}_from_{taken}"


_TYPES = "|".join(MIGRATETYPES)
_PAIR = re.compile(rf"({'|'.join(FALLBACKS)})_({_TYPES})_from_({_TYPES})")
_INDEX = re.compile(r"(unusable|fragmentation)_order_(\d+)")


def figure_named(name: str) -> Figure:
    """Tell what a figure is.

    Raises
    ------
    KeyError
        No figure is called so.

    Examples
    --------
    >>> figure_named("hold_worst_us").heading, figure_named("unusable_order_9").heading
    ('worst hold [us]', 'unusable index, order 9')
    >>> figure_named("steal_movable_from_unmovable").heading
    'steal   movable <- unmovable'
    """
    if name in FIGURES:
        return FIGURES[name]
    if match := _PAIR.fullmatch(name):
        kind, asked, taken = match.groups()
        unit = {"claim": "blocks", "pollute": "pages"}.get(kind, "steals")
        return Figure(name, f"{kind:<7} {asked} <- {taken}", unit, "", whole)
    if match := _INDEX.fullmatch(name):
        kind, order = match.groups()
        unusable = kind == "unusable"
        better = LOWER if unusable else ""
        return Figure(
            name, f"{kind} index, order {order}", "share", better, index, main=unusable
        )
    if name.startswith("work_"):
        return Figure(name, name.replace("_", " "), "times", "", whole)
    if name.startswith(MEASURE):
        return _measure_named(name)
    raise KeyError(name)


def _measure_named(name: str) -> Figure:
    """Tell what a measure is from the end of its name, which is its unit."""
    plain = name.removeprefix(MEASURE)
    ends = [end for end in UNITS if plain.endswith(end)]
    unit, better = UNITS[max(ends, key=len)] if ends else ("", "")
    return Figure(name, plain, unit, better, measured, main=True)


#: Order of tables: names, or what names begin with.
_ORDER = (
    *("asked", "served", "claim_", "steal_", "pollute_"),
    *("work_claim_try", "work_scan_block", "hold_worst_us", "hold_p99_us"),
    *("unusable_", "mixed_pageblocks", "ns_per_op", MEASURE, "impossible_ops"),
    *("holds", "hold_total_us", "free_pages", "fragmentation_", "work_"),
)


def named(all_figures: Iterable[Mapping[str, float]]) -> tuple[Figure, ...]:
    """Return what is in any of several runs, in the order of tables.

    Parameters
    ----------
    all_figures : iterable of mapping of str to float
        What `figures_of` returned of each run.
    """
    names = dict.fromkeys(name for figures in all_figures for name in figures)
    return tuple(map(figure_named, sorted(names, key=_place)))


def _place(name: str) -> tuple[int, str]:
    """Where a figure stands; pairs of types by name, others as they come."""
    at = next(
        at
        for at, begin in enumerate(_ORDER)
        if name == begin or (begin.endswith("_") and name.startswith(begin))
    )
    return at, name if "_from_" in name else ""
