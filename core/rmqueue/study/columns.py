"""A run as columns of a Parquet file, and back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import pyarrow as pa

from rmqueue.export import fragmentation_fields, hold_fields, pair_fields
from rmqueue.figures import FALLBACKS
from rmqueue.mm.vmstat import ALL_COUNTERS
from rmqueue.results import Holds, Matrix, Outcome, Row
from rmqueue.samples import Sample
from rmqueue.study.design import is_number
from rmqueue.study.kept import KeptRun

#: Type of the column that holds how a run went: a list of these.
SAMPLE = pa.struct(
    [
        ("zone", pa.string()),
        ("done", pa.float64()),
        ("ops", pa.int64()),
        ("time_s", pa.float64()),
        ("free_blocks", pa.list_(pa.int64())),
        ("free_pages", pa.list_(pa.int64())),
        ("claims", pa.int64()),
        ("steals", pa.int64()),
        ("polluted", pa.int64()),
        ("claim_tries", pa.int64()),
        ("worst_hold_ps", pa.int64()),
        ("types", pa.binary()),
        ("used", pa.binary()),
        ("mixed", pa.binary()),
    ]
)
#: Columns that are there in every file, before those of the run's own figures.
FIXED = {
    "run": pa.string(),
    "strategy_name": pa.string(),
    "params": pa.string(),
    "kernel": pa.string(),
    "machine": pa.string(),
    "seed": pa.int64(),
    "started": pa.string(),
    "wall_seconds": pa.float64(),
}
#: Types of what a study varies; numbers are all floats, so that files agree.
KINDS = {"number": pa.float64(), "text": pa.string()}
#: Columns from which a run is made again.
WHOLE = {
    "histogram": pa.list_(pa.int64()),
    "samples": pa.list_(SAMPLE),
    "point": pa.string(),
    "varied": pa.string(),
    "row": pa.string(),
    "provenance": pa.string(),
}


def table_of(run: KeptRun) -> pa.Table:
    """One row: what can be queried as columns, and everything else."""
    row = run.row
    values: dict[str, Any] = {
        "run": run.key,
        "strategy_name": row.strategy,
        "params": json.dumps(dict(row.params)),
        "kernel": row.kernel,
        "machine": row.machine,
        "seed": row.seed,
        "started": run.started,
        "wall_seconds": run.wall_seconds,
    }
    types: dict[str, Any] = dict(FIXED)
    for name, value in figures(row.total):
        values[name], types[name] = value, type_of(value)
    for name, kind in run.varied.items():
        value = run.point.get(name)
        as_text = value is not None and kind == "text"
        values[name], types[name] = str(value) if as_text else value, KINDS[kind]
    values |= {
        "histogram": run.histogram.tolist(),
        "samples": [vars(sample) for sample in run.samples],
        "point": json.dumps(dict(run.point)),
        "varied": json.dumps(dict(run.varied)),
        "row": json.dumps(row, default=vars),
        "provenance": json.dumps(run.provenance, default=vars),
    }
    schema = pa.schema([*types.items(), *WHOLE.items()])
    return pa.Table.from_pylist([values], schema)


def figures(outcome: Outcome) -> Iterator[tuple[str, Any]]:
    """Columns of what was measured, named as the CSV names them.

    All runs of an experiment have the same: type pairs with HIGHATOMIC and CMA are only
    in the matrices of the row.
    """
    for name in ("ops", "seconds", "asked", "served", "pages", "free_pages"):
        yield name, getattr(outcome, name)
    for kind in FALLBACKS:
        yield from pair_fields(kind, getattr(outcome, kind), ())
    for counter in ALL_COUNTERS:
        yield f"work_{counter}", outcome.counters.get(counter, 0)
    yield from hold_fields(outcome)
    yield from fragmentation_fields(outcome)
    for name, measured in outcome.measures.items():
        yield f"measure_{name}", float(measured)


def type_of(value: float) -> Any:
    """Arrow's type of a figure."""
    return pa.float64() if isinstance(value, float) else pa.int64()


def run_from(values: Mapping[str, Any], experiment: str) -> KeptRun:
    """Make a run of the columns of its file.

    What a study varies can be told from the run's own values, if it is not there.

    Raises
    ------
    KeyError, TypeError, ValueError
        A column, or a part of one, is not as this rmqueue writes it.
    """
    point = json.loads(values["point"])
    varied = values.get("varied")
    return KeptRun(
        key=values["run"],
        experiment=experiment,
        point=point,
        varied=kinds_of(point) if varied is None else json.loads(varied),
        row=row_from(json.loads(values["row"])),
        histogram=np.array(values["histogram"], np.int64),
        samples=tuple(sample_from(one) for one in values["samples"] or ()),
        provenance=json.loads(values["provenance"]),
        started=values["started"],
        wall_seconds=values["wall_seconds"],
    )


def kinds_of(point: Mapping[str, Any]) -> dict[str, str]:
    """Say of each value of a point whether it is a number or text."""
    return {path: "number" if is_number(v) else "text" for path, v in point.items()}


def sample_from(values: Mapping[str, Any]) -> Sample:
    """Make a sample of a struct."""
    lists = {name: tuple(values[name]) for name in ("free_blocks", "free_pages")}
    return Sample(**{**values, **lists})


def row_from(values: Mapping[str, Any]) -> Row:
    """Make the row of a table of its JSON."""
    return Row(
        **{
            **values,
            "total": outcome_from(values["total"]),
            "zones": tuple(outcome_from(zone) for zone in values["zones"]),
        }
    )


def outcome_from(values: Mapping[str, Any]) -> Outcome:
    """Make an outcome of its JSON, where keys are texts and tuples are lists."""
    known = {field.name for field in fields(Outcome)}
    changed = {name: value for name, value in values.items() if name in known}
    for name in ("claim", "steal", "pollute"):
        changed[name] = matrix_from(values[name])
    for name in ("unusable", "fragmentation"):
        changed[name] = {int(order): index for order, index in values[name].items()}
    changed["holds"] = Holds(**values["holds"])
    return Outcome(**changed)


def matrix_from(rows: list[list[int]]) -> Matrix:
    """Make a matrix of lists."""
    return tuple(tuple(row) for row in rows)
