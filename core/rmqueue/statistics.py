"""Several seeds: mean, standard deviation, bootstrap intervals, differences by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from rmqueue.bootstrap import FEWEST, Interval, bootstrapped
from rmqueue.errors import UnknownNameError, UsageError
from rmqueue.figures import Figure, figures_of, named
from rmqueue.results import Comparison, Row

#: Values that differ by less are the same, but for rounding [share of the largest].
ROUNDING = 1e-12
#: Why there is no interval.
ONE_RUN, DETERMINISTIC = "one run", "deterministic"
FEW_RUNS, NOT_ASKED = "two runs", "not computed"


@dataclass(frozen=True)
class Summary:
    """One figure of several runs.

    Attributes
    ----------
    n : int
        Runs.
    mean : float
        Their mean.
    sd : float or None
        Their standard deviation, n - 1 in the denominator; None of one run.
    interval : Interval or None
        Of the mean.
    remark : str
        Why there is no interval: ``"one run"``, ``"two runs"``, ``"deterministic"``
        (the same in every run) or ``"not computed"``; empty if there is one.
    """

    n: int
    mean: float
    sd: float | None
    interval: Interval | None
    remark: str

    @property
    def varies(self) -> bool:
        """Whether runs differ."""
        return bool(self.sd)


@dataclass(frozen=True)
class Difference:
    """What changes from one strategy to another, paired by seed.

    Attributes
    ----------
    change : Summary
        Of the differences, other minus base, one for each seed.
    percent : float or None
        Mean of the other against that of the base [%]; None if the latter is 0.
    percent_interval : Interval or None
        Its interval, resampled by pairs [%]; None of less than three pairs, where all
        change by the same share, and where the base is not above 0 in every run.
    same_share : bool
        All of several runs change by the same share.
    """

    change: Summary
    percent: float | None
    percent_interval: Interval | None
    same_share: bool = False


@dataclass(frozen=True)
class Statistics:
    """The figures of a comparison over its seeds.

    Attributes
    ----------
    baseline : str
        Strategy that the others are held against.
    figures : tuple of Figure
        In the order of tables.
    summaries : mapping of str to mapping of str to Summary
        By strategy, then by name of the figure.
    differences : mapping of str to mapping of str to Difference
        The same against the baseline, which is left out.
    """

    baseline: str
    figures: tuple[Figure, ...]
    summaries: Mapping[str, Mapping[str, Summary]]
    differences: Mapping[str, Mapping[str, Difference]]


def summarise(values: Sequence[float], *, interval: bool = True) -> Summary:
    """Mean, standard deviation and interval of some runs.

    Parameters
    ----------
    values : sequence of float
        One per run, at least one.
    interval : bool
        Whether to make an interval, which takes SciPy and some milliseconds.

    Raises
    ------
    UsageError
        An interval is wanted, and SciPy is not installed.

    Examples
    --------
    >>> summarise([3.0, 3.0, 3.0]).remark, summarise([3.0]).remark
    ('deterministic', 'one run')
    >>> found = summarise([1.0, 2.0, 3.0, 4.0], interval=False)
    >>> found.mean, round(found.sd, 3)
    (2.5, 1.291)
    """
    sample = tuple(float(value) for value in values)
    mean = float(np.mean(sample))
    if len(sample) == 1:
        return Summary(1, mean, None, None, ONE_RUN)
    if alike(sample):
        return Summary(len(sample), sample[0], 0.0, None, DETERMINISTIC)
    sd = float(np.std(sample, ddof=1))
    found = (
        bootstrapped((sample,), _mean) if interval and len(sample) >= FEWEST else None
    )
    why = FEW_RUNS if len(sample) < FEWEST else NOT_ASKED
    return Summary(len(sample), mean, sd, found, "" if found else why)


def paired(
    base: Sequence[float], other: Sequence[float], *, interval: bool = True
) -> Difference:
    """Differences between two strategies, seed by seed.

    Parameters
    ----------
    base, other : sequence of float
        One per seed, in the same order of seeds.
    interval : bool
        As of `summarise`.

    Raises
    ------
    UsageError
        The two have not the same number of seeds; or as `summarise`.

    Examples
    --------
    >>> paired([10.0, 20.0], [15.0, 25.0]).change.remark
    'deterministic'
    >>> paired([10.0, 30.0], [5.0, 15.0]).percent
    -50.0
    """
    if len(base) != len(other):
        raise UsageError(
            f"{len(base)} runs cannot be paired with {len(other)}: give both the same "
            "seeds"
        )
    before, after = tuple(map(float, base)), tuple(map(float, other))
    steps = [late - early for early, late in zip(before, after, strict=True)]
    largest = max(map(abs, (*before, *after)))
    steps = [step if abs(step) > ROUNDING * largest else 0.0 for step in steps]
    change = summarise(steps, interval=interval)
    mean = float(np.mean(before))
    if mean == 0:
        return Difference(change, None, None)
    percent = 100 * change.mean / abs(mean)
    if len(before) < FEWEST or min(before) <= 0:
        return Difference(change, percent, None)
    if alike([late / early for early, late in zip(before, after, strict=True)]):
        return Difference(change, percent, None, same_share=True)
    found = bootstrapped((before, after), _percent) if interval else None
    return Difference(change, percent, found)


def statistics_of(
    comparison: Comparison,
    baseline: str = "",
    *,
    interval: bool = True,
    main: bool = False,
) -> Statistics:
    """Take the statistics of a comparison: of all figures of the simulated kernel.

    Parameters
    ----------
    comparison : Comparison
        Rows of one seed or of several.
    baseline : str
        Heading of the strategy that the others are held against; empty: the first.
    interval : bool
        As of `summarise`.
    main : bool
        Only figures that are in short tables.

    Raises
    ------
    UnknownNameError
        No strategy has that heading.
    UsageError
        As `summarise`.
    """
    labels = comparison.labels
    if baseline and baseline not in labels:
        raise UnknownNameError("strategy of this comparison", baseline, labels)
    base = baseline or (labels[0] if labels else "")
    runs = {label: by_seed(comparison.rows_of(label)) for label in labels}
    figures = named(one for seeds in runs.values() for one in seeds.values())
    figures = tuple(f for f in figures if f.of_kernel and (f.main or not main))
    return Statistics(
        baseline=base,
        figures=figures,
        summaries={
            label: _summaries(seeds, figures, interval) for label, seeds in runs.items()
        },
        differences={
            label: _differences(runs[base], seeds, figures, interval)
            for label, seeds in runs.items()
            if label != base
        },
    )


def by_seed(rows: Sequence[Row]) -> dict[int | None, dict[str, float]]:
    """Figures of the runs of one strategy by seed."""
    return {row.seed: figures_of(row) for row in rows}


def seeds_of(comparison: Comparison) -> int:
    """Count the seeds of a comparison."""
    return len({row.seed for row in comparison.rows})


def alike(values: Sequence[float]) -> bool:
    """Whether values are the same but for rounding; none are."""
    if not values:
        return True
    low, high = min(values), max(values)
    return high - low <= ROUNDING * max(abs(low), abs(high))


Seeds: TypeAlias = Mapping[int | None, Mapping[str, float]]


def _summaries(
    seeds: Seeds, figures: Sequence[Figure], interval: bool
) -> dict[str, Summary]:
    """Summaries of one strategy; pairs of types that a run did not use count as 0."""
    return {
        figure.name: summarise(values, interval=interval)
        for figure in figures
        if (values := values_of(seeds, figure.name))
    }


def _differences(
    base: Seeds, other: Seeds, figures: Sequence[Figure], interval: bool
) -> dict[str, Difference]:
    """Differences of one strategy, of the seeds that both have."""
    both = [seed for seed in base if seed in other]
    ours, theirs = ({s: runs[s] for s in both} for runs in (base, other))
    return {
        figure.name: paired(before, after, interval=interval)
        for figure in figures
        if (before := values_of(ours, figure.name))
        and (after := values_of(theirs, figure.name))
    }


def values_of(seeds: Seeds, name: str) -> list[float]:
    """Return one figure by seed; none if a run lacks it.

    A pair of types that nobody used is no gap but a zero.
    """
    if "_from_" in name:
        return [figures.get(name, 0.0) for figures in seeds.values()]
    if any(name not in figures for figures in seeds.values()):
        return []
    return [figures[name] for figures in seeds.values()]


def _mean(sample: Any, axis: int = -1) -> Any:
    return np.mean(sample, axis=axis)


def _percent(base: Any, other: Any, axis: int = -1) -> Any:
    return 100 * (np.mean(other, axis=axis) / np.mean(base, axis=axis) - 1)
