"""Reporter ``parquet``: a row per run, in the columns of kept studies."""

from __future__ import annotations

import io
import json
from typing import Any

from rmqueue.errors import UsageError
from rmqueue.hookspecs import hookimpl
from rmqueue.results import Comparison, Row
from rmqueue.types import Reporter

#: Key of what is known of all rows, as JSON, in the metadata of the file.
KEY = b"rmqueue"


def need_pyarrow(seeds: int) -> None:
    """Refuse to go on without pyarrow.

    Raises
    ------
    UsageError
        It is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"the report parquet needs pyarrow ({error}): pip install 'rmqueue[study]'"
        ) from None


def parquet(comparison: Comparison) -> bytes:
    """Write the runs as a Parquet file; what is known of all is in its metadata."""
    need_pyarrow(len(comparison.rows))
    import pyarrow as pa
    import pyarrow.parquet as pq

    from rmqueue.study.columns import type_of

    lines = [record_of(comparison, row) for row in comparison.rows]
    types: dict[str, Any] = {}
    for line in lines:
        for name, value in line.items():
            if name == "seed":
                types[name] = pa.int64()
            elif isinstance(value, str):
                types[name] = pa.string()
            else:
                types[name] = type_of(value)
    schema = pa.schema(
        list(types.items()), metadata={KEY: json.dumps(about(comparison))}
    )
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(lines, schema), out, compression="zstd")
    return out.getvalue()


def record_of(comparison: Comparison, row: Row) -> dict[str, Any]:
    """Names and values of a run; what it does not measure is null in its row."""
    from rmqueue.study.columns import figures

    return {
        "experiment": comparison.experiment,
        "strategy": row.label,
        "strategy_name": row.strategy,
        "params": json.dumps(dict(row.params)),
        "kernel": row.kernel,
        "machine": row.machine,
        "seed": row.seed,
        **dict(figures(row.total)),
    }


def about(comparison: Comparison) -> dict[str, Any]:
    """Return what is known of all rows."""
    return {
        "description": comparison.description,
        "source": comparison.source,
        "notes": comparison.notes,
        "published": comparison.published,
        "provenance": comparison.provenance,
    }


@hookimpl
def rmqueue_reporters() -> list[Reporter]:
    """Register the reporter of this module."""
    return [
        Reporter(
            "parquet",
            "A row per run, in the columns of kept studies.",
            ".parquet",
            parquet,
            binary=True,
            check=need_pyarrow,
        )
    ]
