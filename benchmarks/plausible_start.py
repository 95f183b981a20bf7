"""What a start state is worth that is made up: `docs/plausible-start.md`.

    python benchmarks/plausible_start.py RECORDING... [--seeds 3]

For recordings with an exact state it prints, as a table in markdown, what was recorded,
what the model does from the exact state, and what it does from states that are made up:
from counts of the exact state, and from the folder's own texts of /proc, if it has any.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

try:
    from rmqueue.errors import TraceError
    from rmqueue.registry import default_registry
    from rmqueue.trace.statistics import Figure, Statistics, statistics_of
    from rmqueue_plugins.readers.forget import drop_state, forget_state
except ImportError as error:  # an earlier rmqueue, and asv imports everything here
    MISSING = str(error)
else:
    MISSING = ""

HEADINGS = ("recording", "", "recorded", "exact state", "its counts", "/proc")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", nargs="+", type=Path)
    parser.add_argument("--seeds", type=int, default=3, help="states made up of each")
    options = parser.parse_args()
    if MISSING:
        sys.exit(f"this version of rmqueue cannot make up states: {MISSING}")
    print(f"| {' | '.join(HEADINGS)} |\n|---|---|--:|--:|--:|--:|", flush=True)
    for path in options.recordings:
        for row in rows(path, range(1, options.seeds + 1)):
            print(f"| {' | '.join(row)} |", flush=True)


def rows(path: Path, seeds: range) -> Iterator[tuple[str, ...]]:
    """Rows of one recording."""
    exact = statistics(path, seeds)
    others = [made_up(path, forget_state, seeds), made_up(path, drop_state, seeds)]
    for kind in ("native", "claim", "steal"):
        figures = [s.figure("taken", kind) if s else None for s in (exact, *others)]
        cells = [shown(figure) for figure in figures]
        name = path.name if kind == "native" else ""
        yield (
            name,
            f"{kind} [blocks]",
            f"{exact.figure('taken', kind).recorded:,}",
            *cells,
        )
    for part, unit in (("free", "free pages"), ("pageblocks", "pageblocks")):
        cells = [apart(s, part) for s in (exact, *others)]
        yield ("", f"{unit} of another kind at the end [%]", "0", *cells)


def statistics(path: Path, seeds: range) -> Statistics:
    """Statistics of a recording folder."""
    reader = default_registry().reader_for(path)
    if reader.evidence is None:
        raise TraceError(f"{path}: cannot be followed event by event")
    return statistics_of(reader.evidence(path), seeds=seeds)


def made_up(
    path: Path, forget: Callable[[Path, Path], None], seeds: range
) -> Statistics | None:
    """Statistics from states that are made up, None if the folder lacks the texts."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / path.name
        try:
            forget(path, copy)
        except TraceError:
            return None
        return statistics(copy, seeds)


def shown(figure: Figure | None) -> str:
    """One number: the mean, and its span over the seeds."""
    if figure is None:
        return ""
    low, high = figure.spread
    span = "" if low == high else f" ({low:,}..{high:,})"
    return f"{figure.mean:,.0f}{span}"


def apart(found: Statistics | None, part: str) -> str:
    """How much at the end is of another order, type or zone than recorded [%]."""
    figures = found.part(part) if found is not None else ()
    if not figures or figures[0].recorded is None:
        return ""
    sizes = (
        [1 << int(f.name.rpartition(" order ")[2] or 0) for f in figures]
        if (part == "free")
        else [1] * len(figures)
    )
    pairs = list(zip(figures, sizes, strict=True))
    whole = sum((f.recorded or 0) * size for f, size in pairs)
    runs = [
        sum(abs(f.simulated[run] - (f.recorded or 0)) * size for f, size in pairs)
        for run in range(len(figures[0].simulated))
    ]
    return f"{100 * sum(runs) / len(runs) / max(whole, 1):.1f}"


if __name__ == "__main__":
    main()
