"""What ``rmqueue verify`` does: replay golden vectors and say where they differ."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rmqueue.errors import TraceError
from rmqueue.testing.golden import (
    RESULT_KEYS,
    VARIANTS,
    first_difference,
    load_arrays,
    load_trace,
    replay_ops,
)
from rmqueue.zone import Zone


@dataclass(frozen=True)
class Vector:
    """One result file and its trace."""

    trace: Path
    result: Path
    variant: str

    @property
    def name(self) -> str:
        """What lines of the report call it."""
        return self.result.stem


def vectors_in(folder: Path) -> Iterator[Vector]:
    """Yield the vectors of a folder, by name.

    Raises
    ------
    TraceError
        There are none, or the trace of a result file is missing.
    """
    if not folder.is_dir():
        raise TraceError(f"{folder}: there is no such folder")
    results = sorted(
        path for path in folder.glob("*__*.npz") if path.stem.split("__")[0] in VARIANTS
    )
    if not results:
        known = ", ".join(VARIANTS)
        raise TraceError(
            f"{folder}: no golden vectors: a vector is trace_NAME.npz and "
            f"VARIANT__NAME.npz, with VARIANT one of {known}"
        )
    for result in results:
        variant, name = result.stem.split("__", 1)
        trace = folder / f"trace_{name}.npz"
        if not trace.is_file():
            raise TraceError(f"{result}: its trace is missing: there is no {trace}")
        yield Vector(trace, result, variant)


def verify_folder(folder: Path, quiet: bool = False) -> int:
    """Replay every vector of a folder, and print a line for each.

    Parameters
    ----------
    folder : Path
        Holds traces and result files.
    quiet : bool
        Print only differences and the sum.

    Returns
    -------
    int
        Exit status: 0 if all are exact, 1 otherwise.

    Raises
    ------
    TraceError
        The folder holds no vectors, or one cannot be read.
    """
    total = exact = 0
    for vector in vectors_in(folder):
        difference = verify_vector(vector)
        total += 1
        exact += difference is None
        if difference is None and not quiet:
            print(f"{vector.name:<28} exact", flush=True)
        if difference is not None:
            print(f"{vector.name:<28} DIFFERS at {difference}", flush=True)
    print(f"{exact} of {total} exact")
    sys.stdout.flush()
    return 0 if exact == total else 1


def verify_vector(vector: Vector) -> str | None:
    """Replay one vector; None if it is exact, else where the first difference is."""
    kernel, strategy = VARIANTS[vector.variant]
    trace = load_trace(vector.trace)
    expected = load_arrays(vector.result, ())
    missing = [key for key in RESULT_KEYS if key not in expected]
    if missing:
        raise TraceError(
            f"{vector.result}: no result file: {', '.join(missing)} is not in it"
        )
    found = replay_ops(Zone(trace.config(kernel), strategy), trace.ops)
    difference = first_difference(trace.ops, expected, found)
    return None if difference is None else str(difference)
