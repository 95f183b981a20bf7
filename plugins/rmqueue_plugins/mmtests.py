"""Reporter ``mmtests``: the comparison layout of mmtests' ``compare-mmtests.pl``.

A row per statistic and figure, a column per kernel: the value, and by how many percent
it is better than that of the first, whichever way is better.  Stars stand where Welch's
t-test tells two kernels apart, at 5 %, as in mmtests.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from statistics import fmean, harmonic_mean, stdev
from textwrap import wrap
from typing import TypeAlias

from rmqueue.bootstrap import CONFIDENCE, FEWEST, need_scipy
from rmqueue.figures import HIGHER, Figure, named
from rmqueue.hookspecs import hookimpl
from rmqueue.results import Comparison
from rmqueue.statistics import alike, by_seed, seeds_of, values_of
from rmqueue.types import Reporter

#: Widths of a value and of its percentage.
VALUE, PERCENT = 12, 7
WIDTH = VALUE + PERCENT + 4
#: Share of the runs, the best ones, that BAmean takes [%].
BEST = 50

Values: TypeAlias = dict[str, list[float]]
Statistic: TypeAlias = Callable[[Figure, list[float]], float]


def mmtests(comparison: Comparison) -> str:
    """Lay a comparison out as mmtests does."""
    runs = {label: by_seed(comparison.rows_of(label)) for label in comparison.labels}
    found = named(one for seeds in runs.values() for one in seeds.values())
    figures = {
        figure: {label: values_of(seeds, figure.name) for label, seeds in runs.items()}
        for figure in found
        if figure.main and figure.of_kernel
    }
    known = {figure: values for figure, values in figures.items() if all_of(values)}
    rated = {figure: values for figure, values in known.items() if figure.better}
    several = seeds_of(comparison) > 1
    lines = [*statistic_lines(rated, several), *ops_lines(known)]
    labels = max(len(line[0]) for line in lines)
    table = [f"{label:<{labels}}{cells}".rstrip() for label, cells in lines]
    return "\n".join(
        [*heads(comparison, labels), *table, "", *notes(comparison, known)]
    )


def all_of(values: Values) -> bool:
    """Whether every kernel has the figure."""
    return all(values.values())


def heads(comparison: Comparison, labels: int) -> Iterator[str]:
    """Yield the two lines above: kernel, and strategy."""
    kernels = [comparison.rows_of(label)[0].kernel for label in comparison.labels]
    for words in (kernels, comparison.labels):
        yield " " * labels + "".join(f"{word[: WIDTH - 1]:>{WIDTH}}" for word in words)


def statistic_lines(
    figures: dict[Figure, Values], several: bool
) -> Iterator[tuple[str, str]]:
    """Yield the rows of all statistics, those of each together."""
    keys = max((len(figure.name) for figure in figures), default=0)
    for title, statistic, lower in STATISTICS if several else STATISTICS[1:2]:
        for figure, values in figures.items():
            spread = statistic in (deviation, variation)
            if spread and all(map(alike, values.values())):
                continue
            name = title_of(title, figure)
            yield (
                f"{name:<9} {figure.name:<{keys}} ",
                cells_of(figure, values, statistic, lower),
            )


def title_of(title: str, figure: Figure) -> str:
    """Name of a statistic: means of rates are harmonic."""
    return title.replace("Amean", "Hmean") if figure.better == HIGHER else title


def cells_of(figure: Figure, values: Values, statistic: Statistic, lower: bool) -> str:
    """Cells of one row."""
    (base, *_) = values.values()
    first = statistic(figure, base)
    sign = gain if lower or figure.better != HIGHER else rate_gain
    text = ""
    for one in values.values():
        value = statistic(figure, one)
        left, right = "()"
        if statistic is mean and one is not base and apart(base, one):
            left = right = "*"
        digits = 4 if figure.unit == "share" else 2
        text += (
            f"{value:{VALUE}.{digits}f} {left}{sign(value, first):{PERCENT}.2f}%{right}"
        )
    return text


def gain(new: float, old: float) -> float:
    """Gain of what is better the lower it is [%], with the limits of mmtests."""
    if new == old:
        return 0.0
    if new == 0:
        return 100.0
    return -99.0 if old == 0 else 100 - 100 * new / old


def rate_gain(new: float, old: float) -> float:
    """Gain of what is better the higher it is [%], with the limits of mmtests."""
    if new in (old, 0):
        return 0.0
    return 100.0 if old == 0 else 100 * new / old - 100


def apart(base: list[float], other: list[float]) -> bool:
    """Whether Welch's t-test tells two kernels apart; plainly where neither varies."""
    if min(len(base), len(other)) < FEWEST:
        return False
    if alike(base) and alike(other):
        return not alike([*base, *other])
    from scipy.stats import ttest_ind

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one of the two may not vary
        found = ttest_ind(base, other, equal_var=False)
    return bool(found.pvalue < 1 - CONFIDENCE)


def mean(figure: Figure, values: list[float]) -> float:
    """Arithmetic mean; of rates the harmonic one, if they have any."""
    if figure.better == HIGHER and min(values) >= 0:
        return harmonic_mean(values)
    return fmean(values)


def deviation(figure: Figure, values: list[float]) -> float:
    """Take the standard deviation."""
    return 0.0 if alike(values) else stdev(values)


def variation(figure: Figure, values: list[float]) -> float:
    """Take the standard deviation in percent of the mean."""
    middle = fmean(values)
    return 100 * deviation(figure, values) / middle if middle else 0.0


def best_mean(figure: Figure, values: list[float]) -> float:
    """Mean of the best runs."""
    ranked = sorted(values, reverse=figure.better == HIGHER)
    return mean(figure, ranked[: max(1, len(values) * BEST // 100)])


def extreme(
    of: Callable[[list[float]], float], _: Figure, values: list[float]
) -> float:
    """Take the least or the largest."""
    return of(values)


#: Titles, what they are, and whether less is better of whatever figure.
STATISTICS: tuple[tuple[str, Statistic, bool], ...] = (
    ("Min", partial(extreme, min), False),
    ("Amean", mean, False),
    ("Stddev", deviation, True),
    ("CoeffVar", variation, True),
    ("Max", partial(extreme, max), False),
    (f"BAmean-{BEST}", best_mean, False),
)


def ops_lines(figures: dict[Figure, Values]) -> Iterator[tuple[str, str]]:
    """Yield the rows of what is neither better nor worse: values alone."""
    for figure, values in figures.items():
        if not figure.better:
            cells = (f"{fmean(one):{VALUE}.2f}" for one in values.values())
            yield f"Ops {figure.name} ", "".join(f"{cell:<{WIDTH}}" for cell in cells)


def notes(comparison: Comparison, figures: dict[Figure, Values]) -> Iterator[str]:
    """Yield what must be known beside the numbers."""
    seeds = seeds_of(comparison)
    rates = [figure.name for figure in figures if figure.better == HIGHER]
    yield f"{comparison.experiment}: {comparison.source}"
    yield f"positive: better; more is better of {', '.join(rates)}, less of the others"
    units = (f"{figure.name} [{figure.unit}]" for figure in figures if figure.unit)
    yield from wrap(f"units: {', '.join(units)}", 88)
    if seeds == 1:
        yield "one seed"
    else:
        stars = f"; *: Welch's t-test, {100 - 100 * CONFIDENCE:.0f} %"
        yield f"{seeds} seeds" + (stars if seeds >= FEWEST else "")
        same = [
            f.name for f, values in figures.items() if all(map(alike, values.values()))
        ]
        if same:
            yield f"deterministic: {', '.join(same)}"
    yield from comparison.notes
    yield ""


@hookimpl
def rmqueue_reporters() -> list[Reporter]:
    """Register the reporter of this module."""
    return [
        Reporter(
            "mmtests",
            "The comparison table of mmtests.",
            ".txt",
            mmtests,
            check=lambda seeds: need_scipy(seeds, "the report mmtests"),
        )
    ]
