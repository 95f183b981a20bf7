"""One parameter changed at a time: how far results depend on what was chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from rmqueue.errors import UsageError
from rmqueue.experiment import Experiment
from rmqueue.experiment_file import Variation
from rmqueue.results import Row


@dataclass(frozen=True)
class VariedRow:
    """One variation and one heading: medians over the seeds, by measure."""

    variation: str
    heading: str
    seeds: int
    medians: tuple[float, ...]


def sensitivity_rows(
    experiment: Experiment, on_row: Callable[[Variation, Row], None]
) -> list[VariedRow]:
    """Run every variation of an experiment.

    Parameters
    ----------
    experiment : Experiment
        Its file has a table ``[sensitivity]``.
    on_row : callable
        Told each row as soon as it is there.

    Raises
    ------
    UsageError
        The experiment has no such table, or its workload does not measure that.
    """
    wanted = experiment.config.sensitivity
    if wanted is None:
        raise UsageError(
            f"{experiment.source}: --sensitivity needs a [sensitivity] table, and the "
            "file has none"
        )
    found = []
    for variation in wanted.variations:
        varied = experiment.varied(variation)
        rows: dict[str, list[Row]] = {}
        for row in varied.rows():
            on_row(variation, row)
            rows.setdefault(row.label, []).append(row)
        for heading, group in rows.items():
            medians = tuple(median_of(group, name) for name in wanted.measures)
            found.append(VariedRow(variation.label, heading, len(group), medians))
    return found


def median_of(rows: list[Row], measure: str) -> float:
    """Median of a measure over seeds."""
    try:
        return median(row.total.measures[measure] for row in rows)
    except KeyError:
        known = ", ".join(sorted(rows[0].total.measures)) or "nothing"
        raise UsageError(
            f"sensitivity.measures: {measure!r} is not measured: {known} is"
        ) from None


def sensitivity_text(experiment: Experiment, rows: list[VariedRow]) -> str:
    """Lay the rows out: a line per variation if one thing is measured, else per row."""
    wanted = experiment.config.sensitivity
    measures = wanted.measures if wanted else ()
    seeds = max((row.seeds for row in rows), default=0)
    title = f"{experiment.config.name}: one parameter changed at a time"
    if len(measures) == 1:
        headings = list(dict.fromkeys(row.heading for row in rows))
        lines = [["", *headings]]
        for label in dict.fromkeys(row.variation for row in rows):
            mine = {row.heading: row for row in rows if row.variation == label}
            lines.append([label, *(figure(mine[h].medians[0]) for h in headings)])
        title += f"; {measures[0]}, median of {seeds} seeds"
    else:
        lines = [["", "", *measures]]
        lines += [[r.variation, r.heading, *map(figure, r.medians)] for r in rows]
        title += f"; {seeds} seed" + ("s, medians" if seeds > 1 else "")
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = 1 if len(measures) == 1 else 2
    body = [
        "  ".join(
            f"{cell:<{width}}" if at < texts else f"{cell:>{width}}"
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([title, "", *body]) + "\n"


def figure(value: float) -> str:
    """Show a figure with three digits or more."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
