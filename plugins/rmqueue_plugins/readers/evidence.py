"""A recording folder to `Evidence`: its window event by event, with both states."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rmqueue.errors import TraceError
from rmqueue.trace.events import Trace
from rmqueue.types import Evidence
from rmqueue_plugins.readers.folder import ABOUT, TRACES, need, read_json, take
from rmqueue_plugins.readers.recording import (
    choose_window,
    trace_notes,
    window_notes,
)
from rmqueue_plugins.readers.requests import known_types
from rmqueue_plugins.readers.state import read_end, read_start
from rmqueue_plugins.readers.traces import read_trace

#: First kernels that a strategy reproduces.  The cure of 6.15 went into stable 6.12.
_STRATEGIES = (
    ((0, 0), "greedy-steal"),
    ((6, 10), "claim-whole-block"),
    ((6, 12), "remembered-fallback"),
    ((6, 13), "claim-whole-block"),
    ((6, 15), "remembered-fallback"),
    ((6, 19), "tight-fallback"),
)


def strategy_of(version: tuple[int, int]) -> str:
    """Name of the strategy that reproduces a kernel.

    Examples
    --------
    >>> [strategy_of(version) for version in ((6, 1), (6, 12), (6, 18), (7, 3))]
    ['greedy-steal', 'remembered-fallback', 'remembered-fallback', 'tight-fallback']
    """
    return [name for first, name in _STRATEGIES if version >= first][-1]


def read_evidence(folder: Path) -> Evidence:
    """Read a recording folder event by event.

    Raises
    ------
    TraceError
        A file is missing, damaged, or does not fit the others.
    """
    about = read_json(need(folder, (ABOUT,)))
    name = take(about, "name", str, str(folder / ABOUT))
    start = read_start(folder, about)
    path = need(folder, TRACES)
    trace = read_trace(path)
    events = choose_window(trace, about)
    check_cpus(trace, start.zones[0].cpus)
    return Evidence(
        name=name,
        source=str(folder),
        kernel=start.kernel,
        version=start.version,
        strategy=strategy_of(start.version),
        start=start.zones,
        end=() if "window" in about else read_end(folder, start),
        events=known_types(events, start),
        notes=(*window_notes(about), *trace_notes(trace)),
    )


def check_cpus(trace: Trace, cpus: int) -> None:
    """Refuse a trace of more CPUs than the machine had.

    Raises
    ------
    TraceError
        An event is of a CPU that the state does not have.
    """
    wrong = np.flatnonzero(trace.events["cpu"] >= cpus)
    if len(wrong):
        event = trace.events[wrong[0]]
        raise TraceError(
            f"{trace.name}: line {event['line']}: CPU {event['cpu']}, and {ABOUT} says "
            f"that there are {cpus}: the files are of different recordings"
        )
