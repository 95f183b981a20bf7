"""Rows of figures that charts are drawn of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from rmqueue.metrics import FreeCounts, fragmentation_index, unusable_index
from rmqueue.mm.vmstat import ALL_COUNTERS, bucket_floor_ps
from rmqueue.results import Outcome
from rmqueue.samples import Sample
from rmqueue.study.kept import KeptRun
from rmqueue.study.page.chapters import Chapter, costs_of_run
from rmqueue.study.page.numbers import mean

#: A row of a chart's data.
Row: TypeAlias = dict[str, Any]
#: Moments that charts over time show, at the most.
MOST_MOMENTS = 96
PS_PER_US = 1_000_000
#: Measure of a workload on a clock that is its throughput.
THROUGHPUT = "pages_per_s"
#: The kinds of work that cost least, together.
REST = "all else"
#: Clocks that end before only count: the workload has no time of its own [s].
SHORTEST_S = 1e-4
#: Units of time: least length of a run [s], name, seconds of one.
UNITS = (
    (10_800.0, "h", 3600.0),
    (180.0, "min", 60.0),
    (3.0, "s", 1.0),
    (0, "ms", 1e-3),
)


def hold_curve(runs: Sequence[KeptRun]) -> list[tuple[float, float]]:
    """Share of the holds of some runs that last a time or longer.

    Returns
    -------
    list of (float, float)
        Length [us] and share [1]; the share never rises.  Holds that cost nothing
        count, but have no place on a logarithmic axis.
    """
    counts = np.sum([run.histogram for run in runs], axis=0)
    total = int(counts.sum())
    if not total:
        return []
    longer = counts[::-1].cumsum()[::-1]
    curve = [
        (bucket_floor_ps(int(bucket)) / PS_PER_US, float(longer[bucket] / total))
        for bucket in np.flatnonzero(counts)
        if bucket > 0
    ]
    worst = max(run.row.total.holds.worst_ps for run in runs) / PS_PER_US
    if curve and worst > curve[-1][0]:
        curve.append((worst, curve[-1][1]))
    return curve


def hold_rows(chapter: Chapter) -> list[Row]:
    """Distribution of lock holds of each strategy, seeds together."""
    return [
        {"strategy": label, "us": us, "share": share}
        for label in chapter.table.labels
        for us, share in hold_curve(chapter.runs_of(label))
    ]


def worst_run(runs: Sequence[KeptRun]) -> KeptRun:
    """Return the run with the most expensive hold."""
    return max(runs, key=lambda run: run.row.total.holds.worst_ps)


def dissected(run: KeptRun) -> list[tuple[str, int, int]]:
    """Counters of the worst hold of a run, what costs most first.

    Returns
    -------
    list of (str, int, int)
        Counter, how often, cost [ps].  What the counters do not explain, like the
        handing over of a busy lock, is the last: ``"other"``.
    """
    holds, costs = run.row.total.holds, costs_of_run(run)
    cold = costs.get("scan_page", 0)
    found = []
    for name in ALL_COUNTERS:
        count = int(holds.worst_counters.get(name, 0))
        each = costs.get(name, 0)
        if name == "scan_page_warm":
            each = costs.get(name, cold) - cold  # its steps are in scan_page too
        if count and each:
            found.append((name, count, count * each))
    found.sort(key=lambda part: -part[2])
    rest = holds.worst_ps - sum(cost for _, _, cost in found)
    return [*found, ("other", 0, rest)] if rest else found


def work_rows(chapter: Chapter, most: int = 8) -> list[Row]:
    """Worst hold of each strategy in parts; the cheapest kinds of work are one."""
    found: list[Row] = [
        {"strategy": label, "counter": name, "count": count, "us": cost / PS_PER_US}
        for label in chapter.table.labels
        for name, count, cost in dissected(worst_run(chapter.runs_of(label)))
    ]
    total: dict[str, float] = {}
    for row in found:
        total[row["counter"]] = total.get(row["counter"], 0) + abs(row["us"])
    named = sorted(total, key=lambda name: -total[name])
    if len(named) > most:
        named = named[: most - 1]
    rest: dict[str, Row] = {}
    for row in found:
        if row["counter"] not in named:
            one = {"strategy": row["strategy"], "counter": REST, "count": 0, "us": 0.0}
            kept = rest.setdefault(row["strategy"], one)
            kept["count"] += row["count"]
            kept["us"] += row["us"]
    return [*(row for row in found if row["counter"] in named), *rest.values()]


def moments(samples: Sequence[Sample], most: int = MOST_MOMENTS) -> list[int]:
    """Choose which samples are shown: all, or evenly spread ones with the last."""
    count = min(most, len(samples))
    return [(at + 1) * len(samples) // count - 1 for at in range(count)]


def clock(samples: Sequence[Sample]) -> tuple[str, Callable[[Sample], float]]:
    """Title of the time axis of a run, and where a sample is on it."""
    last = samples[-1].time_s
    if last is None or last < SHORTEST_S:
        return "operations done [%]", lambda sample: 100 * sample.done
    name, seconds = next((n, s) for least, n, s in UNITS if last >= least)
    return f"time [{name}]", lambda sample: (sample.time_s or 0.0) / seconds


def axis_title(chapter: Chapter) -> str:
    """Title of the time axis; empty if nothing was looked at on the way."""
    for run in chapter.runs:
        if run.samples:
            return clock(chapter.samples_of(run))[0]
    return ""


def side_by_side(chapter: Chapter, label: str) -> Iterator[tuple[float, list[Sample]]]:
    """Moments of a strategy, each with the samples of all seeds."""
    ways = [chapter.samples_of(run) for run in chapter.runs_of(label) if run.samples]
    if not ways:
        return
    shortest = min(ways, key=len)
    _, at = clock(shortest)
    for number in moments(shortest):
        yield at(shortest[number]), [way[number] for way in ways]


def unusable_rows(chapter: Chapter) -> list[Row]:
    """Unusable free space index over time: mean of the seeds, and their range."""
    return [
        {**base, **spread_of(values)}
        for base, values in indices(chapter, unusable_index)
    ]


def fragmentation_rows(chapter: Chapter) -> list[Row]:
    """Fragmentation index over time, as `unusable_rows`.

    Where a request would not fail in most of the seeds there is no index, but a gap:
    its value is None.  An order that never fails is left out.
    """
    rows: list[Row] = []
    for base, values in indices(chapter, fragmentation_index):
        failing = [value for value in values if value >= 0]
        if 2 * len(failing) > len(values):
            rows.append({**base, **spread_of(failing)})
        else:
            rows.append({**base, "value": None, "low": None, "high": None})
    failed = {row["order"] for row in rows if row["value"] is not None}
    return [row for row in rows if row["order"] in failed]


def indices(
    chapter: Chapter, index: Callable[[FreeCounts, int], int]
) -> Iterator[tuple[Row, list[float]]]:
    """Yield an index over time, by strategy and order: where it is, and its seeds."""
    for label in chapter.table.labels:
        for time, samples in side_by_side(chapter, label):
            for order in chapter.table.unusable_orders:
                found = [
                    index(np.array(sample.free_blocks), order) / 1000
                    for sample in samples
                    if len(sample.free_blocks) > order
                ]
                if found:
                    where = {"strategy": label, "time": time, "order": f"order {order}"}
                    yield where, found


def spread_of(values: Sequence[float]) -> Row:
    """Mean and range of several seeds."""
    return {"value": mean(values), "low": min(values), "high": max(values)}


def block_rows(chapter: Chapter, most: int = 48) -> list[Row]:
    """Free blocks of each order over time, mean of the seeds."""
    rows = []
    for label in chapter.table.labels:
        found = list(side_by_side(chapter, label))
        step = max(1, -(-len(found) // most))
        shown = found[step - 1 :: step]
        before = 0.0
        for time, samples in shown:
            for order in range(len(samples[0].free_blocks)):
                blocks = mean([sample.free_blocks[order] for sample in samples])
                rows.append(
                    {
                        "strategy": label,
                        "from": before,
                        "time": time,
                        # below the next cell, so that no seam is seen between them
                        "until": time + 0.1 * (time - before),
                        "order": order,
                        "blocks": blocks,
                    }
                )
            before = time
    return rows


def throughput(outcome: Outcome) -> float | None:
    """Pages a second on the machine's clock; None if the workload has none."""
    return outcome.measures.get(THROUGHPUT)


def worst_us(outcome: Outcome) -> float | None:
    """Worst hold [us]."""
    return outcome.holds.worst_ps / PS_PER_US


def against_rows(
    runs: Sequence[KeptRun], path: str, figure: Callable[[Outcome], float | None]
) -> list[Row]:
    """Rows of a figure against a number that is varied, by strategy and the rest.

    Parameters
    ----------
    runs : sequence of KeptRun
        Runs of one experiment.
    path : str
        Dotted field of the number.
    figure : callable
        What is shown of an outcome; None: nothing.
    """
    found: dict[tuple[str, str, float], list[float]] = {}
    for run in runs:
        value = figure(run.row.total)
        if path not in run.point or value is None:
            continue
        rest = {name: v for name, v in run.point.items() if name != path}
        key = (run.row.label, rest_words(rest), float(run.point[path]))
        found.setdefault(key, []).append(value)
    return [
        {"strategy": label, "rest": rest, "at": at, **spread_of(values)}
        for (label, rest, at), values in sorted(found.items())
    ]


def rest_words(point: Mapping[str, Any]) -> str:
    """Say the other values of a point, short: the last part of each name."""
    return ", ".join(f"{name.split('.')[-1]} {value}" for name, value in point.items())


def varied_numbers(runs: Sequence[KeptRun]) -> list[str]:
    """Return what numbers are varied between some runs, CPUs first."""
    values: dict[str, set[float]] = {}
    for run in runs:
        for path, value in run.point.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                values.setdefault(path, set()).add(float(value))
    paths = [path for path, found in values.items() if len(found) > 1]
    return sorted(paths, key=lambda path: path != "zone.cpus")
