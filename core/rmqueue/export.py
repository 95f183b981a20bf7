"""A comparison for programs: JSON with everything, CSV with a line per row."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rmqueue.bootstrap import can_bootstrap
from rmqueue.figures import FALLBACKS
from rmqueue.metrics import pairs
from rmqueue.mm.mmzone import MIGRATETYPES
from rmqueue.results import Comparison, Matrix, Outcome, Row
from rmqueue.statistics import (
    DETERMINISTIC,
    Difference,
    Summary,
    seeds_of,
    statistics_of,
)

#: Types that fall back on each other: their pairs always have a column.
FALLING_BACK = MIGRATETYPES[:3]


def as_json(comparison: Comparison) -> str:
    """Everything that is known.

    The matrices ``claim``, ``steal`` and ``pollute`` have a row per type asked for and
    a column per type taken from, both in the order of ``migratetypes``.  Where several
    seeds were run, ``statistics`` tells what they say together; without SciPy it has no
    intervals.
    """
    values: dict[str, Any] = {"migratetypes": MIGRATETYPES, **asdict(comparison)}
    if seeds_of(comparison) > 1:
        values["statistics"] = statistics_fields(comparison)
    return json.dumps(values, indent=1, ensure_ascii=False) + "\n"


def statistics_fields(comparison: Comparison) -> dict[str, Any]:
    """Statistics over the seeds, for JSON: by strategy, then by figure."""
    found = statistics_of(comparison, interval=can_bootstrap())
    strategies: dict[str, dict[str, Any]] = {}
    for label, summaries in found.summaries.items():
        differences = found.differences.get(label, {})
        strategies[label] = {
            name: {
                **asdict(summary),
                **(
                    {"against": asdict(differences[name])}
                    if name in differences
                    else {}
                ),
            }
            for name, summary in summaries.items()
        }
    units = {figure.name: figure.unit for figure in found.figures}
    return {"baseline": found.baseline, "units": units, "strategies": strategies}


def as_statistics_csv(comparison: Comparison) -> str:
    """One line per strategy and figure: what the seeds say together."""
    found = statistics_of(comparison)
    out = io.StringIO()
    writer = csv.DictWriter(out, STATISTICS_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for label, summaries in found.summaries.items():
        differences = found.differences.get(label, {})
        for figure in found.figures:
            if figure.name in summaries:
                line = summary_fields(summaries[figure.name])
                line |= difference_fields(differences.get(figure.name))
                known = {"experiment": comparison.experiment, "label": label}
                known |= {"figure": figure.name, "unit": figure.unit}
                writer.writerow({**known, **line})
    return out.getvalue()


STATISTICS_COLUMNS = (
    *("experiment", "label", "figure", "unit", "seeds", "mean", "sd"),
    *("low", "high", "interval", "difference", "difference_low"),
    *("difference_high", "difference_interval", "percent", "percent_low"),
    *("percent_high", "percent_interval"),
)


def summary_fields(found: Summary) -> dict[str, Any]:
    """Columns of a summary; ``interval`` says how it was made, or why there is none."""
    ends = found.interval
    return {
        "seeds": found.n,
        "mean": found.mean,
        "sd": found.sd,
        "low": ends and ends.low,
        "high": ends and ends.high,
        "interval": ends.method if ends else found.remark,
    }


def difference_fields(found: Difference | None) -> dict[str, Any]:
    """Columns of a difference; none of the baseline."""
    if found is None:
        return {}
    change, percent = found.change.interval, found.percent_interval
    same = DETERMINISTIC if found.same_share else ""
    return {
        "difference": found.change.mean,
        "difference_low": change and change.low,
        "difference_high": change and change.high,
        "difference_interval": change.method if change else found.change.remark,
        "percent": found.percent,
        "percent_low": percent and percent.low,
        "percent_high": percent and percent.high,
        "percent_interval": percent.method if percent else same,
    }


def as_csv(comparison: Comparison) -> str:
    """One line per strategy and seed, all zones together, and a line of names."""
    extra = extra_pairs(comparison)
    records = [dict(fields_of(comparison, row, extra)) for row in comparison.rows]
    out = io.StringIO()
    names = dict.fromkeys(name for record in records for name in record)
    writer = csv.DictWriter(out, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue()


def fields_of(
    comparison: Comparison, row: Row, extra: tuple[tuple[str, str], ...]
) -> Iterator[tuple[str, Any]]:
    """Names and values of one line."""
    yield "experiment", comparison.experiment
    yield "label", row.label
    yield "strategy", row.strategy
    yield "params", json.dumps(dict(row.params))
    yield "kernel", row.kernel
    yield "seed", "" if row.seed is None else row.seed
    outcome = row.total
    for name in ("ops", "seconds", "asked", "served", "pages", "free_pages"):
        yield name, getattr(outcome, name)
    for kind in FALLBACKS:
        yield from pair_fields(kind, getattr(outcome, kind), extra)
    for counter, count in outcome.counters.items():
        yield f"work_{counter}", count
    yield from hold_fields(outcome)
    yield from fragmentation_fields(outcome)
    yield "rmqueue_version", comparison.provenance.get("rmqueue", "")


def hold_fields(outcome: Outcome) -> Iterator[tuple[str, int]]:
    """Names and values of the lock holds."""
    yield "holds", outcome.holds.count
    yield "hold_total_ps", outcome.holds.total_ps
    yield "hold_worst_ps", outcome.holds.worst_ps
    yield "hold_p99_ps", outcome.holds.p99_ps


def fragmentation_fields(outcome: Outcome) -> Iterator[tuple[str, int]]:
    """Names and values of indices, pageblocks, and what was impossible."""
    for order, value in outcome.unusable.items():
        yield f"unusable_order_{order}", value
    for order, value in outcome.fragmentation.items():
        yield f"fragmentation_order_{order}", value
    yield "pageblocks", outcome.pageblocks
    yield "mixed_pageblocks", outcome.mixed_pageblocks
    yield "impossible_ops", sum(outcome.misuse.values())


def pair_fields(
    kind: str, matrix: Matrix, extra: tuple[tuple[str, str], ...]
) -> Iterator[tuple[str, int]]:
    """Names and values of one kind of fallback, by type pair."""
    found = {(asked, taken): count for asked, taken, count in pairs(matrix)}
    usual = [(a, t) for a in FALLING_BACK for t in FALLING_BACK if a != t]
    for asked, taken in (*usual, *extra):
        yield f"{kind}_{asked}_from_{taken}", found.get((asked, taken), 0)


def extra_pairs(comparison: Comparison) -> tuple[tuple[str, str], ...]:
    """Type pairs beyond the usual ones that some strategy used."""
    usual = {(a, t) for a in FALLING_BACK for t in FALLING_BACK if a != t}
    used = {
        (asked, taken)
        for row in comparison.rows
        for kind in FALLBACKS
        for asked, taken, _ in pairs(getattr(row.total, kind))
    }
    return tuple(sorted(used - usual))
