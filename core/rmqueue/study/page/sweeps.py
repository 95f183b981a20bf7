"""What a study varies: a figure against each number, as a chart and in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from rmqueue.study.kept import KeptRun, KeptStudy
from rmqueue.study.page import figures
from rmqueue.study.page.numbers import duration, figure_of
from rmqueue.study.page.series import (
    PS_PER_US,
    Row,
    against_rows,
    throughput,
    varied_numbers,
    worst_us,
)


@dataclass(frozen=True)
class Sweep:
    """A figure of an experiment against a number that is varied.

    Attributes
    ----------
    title : str
        Heading.
    chart : dict
        Vega-Lite specification.
    words : str
        How far the figure goes; empty where other values are varied, too.
    """

    title: str
    chart: dict[str, Any]
    words: str


def sweeps_of(study: KeptStudy) -> Iterator[Sweep]:
    """Yield each figure against each number, experiment by experiment."""
    for experiment, group in groupby(study.runs, key=lambda run: run.experiment):
        yield from sweeps_in(experiment, list(group))


def sweeps_in(experiment: str, runs: Sequence[KeptRun]) -> Iterator[Sweep]:
    """Yield those of one experiment."""
    labels = list(dict.fromkeys(run.row.label for run in runs))
    for path in varied_numbers(runs):
        for number, topic, unit, show in (
            (throughput, "throughput", "pages/s", pages_per_s),
            (worst_us, "worst hold", "µs", microseconds),
        ):
            rows = against_rows(runs, path, number)
            if rows:
                title = f"{topic} [{unit}]"
                yield Sweep(
                    f"{experiment}: {title} against {path}",
                    figures.against(rows, labels, path, title),
                    trend(rows, labels, f"{experiment}: {topic}", path, show),
                )


def trend(
    rows: Sequence[Row],
    labels: Sequence[str],
    topic: str,
    path: str,
    show: Callable[[float], str],
) -> str:
    """Say what each strategy has at the lowest and at the highest value of a number.

    Returns
    -------
    str
        A sentence; empty if other values are varied, too.
    """
    if len({row["rest"] for row in rows}) > 1:
        return ""
    low, high = (pick(row["at"] for row in rows) for pick in (min, max))
    ends = {(row["strategy"], row["at"]): row["value"] for row in rows}
    parts = [
        f"{label} from {show(ends[label, low])} to {show(ends[label, high])}"
        for label in labels
        if (label, low) in ends and (label, high) in ends
    ]
    between = f"{path} from {figure_of(low)} to {figure_of(high)}"
    return f"{topic}, with {between}: {'; '.join(parts)}." if parts else ""


def pages_per_s(value: float) -> str:
    """Show a throughput."""
    return f"{figure_of(value)} pages/s"


def microseconds(value: float) -> str:
    """Show microseconds in a unit that suits them."""
    return duration(value * PS_PER_US)
