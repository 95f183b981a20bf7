"""A recording folder to `Evidence`: its window event by event, with both states."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rmqueue.errors import TraceError
from rmqueue.trace.events import Trace
from rmqueue.types import Evidence
from rmqueue_plugins.readers.counts import read_end_counts
from rmqueue_plugins.readers.folder import ABOUT, COUNTS, find
from rmqueue_plugins.readers.plausible import DEFAULT_SEED
from rmqueue_plugins.readers.recording import open_folder
from rmqueue_plugins.readers.requests import known_types
from rmqueue_plugins.readers.state import read_end

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


def read_evidence(folder: Path, seed: int = DEFAULT_SEED) -> Evidence:
    """Read a recording folder event by event.

    Parameters
    ----------
    folder : Path
        The recording.
    seed : int
        Seed of a start state that is made up, where there is no exact one.

    Raises
    ------
    TraceError
        A file is missing, damaged, or does not fit the others.
    """
    opened = open_folder(folder, seed)
    start = opened.start
    check_cpus(opened.trace, start.zones[0].cpus)
    whole = "window" not in opened.about
    counted = whole and not opened.exact and find(folder, (f"end-{COUNTS[-1]}.txt",))
    return Evidence(
        name=opened.name,
        source=str(folder),
        kernel=start.kernel,
        version=start.version,
        strategy=strategy_of(start.version),
        start=start.zones,
        end=read_end(folder, start) if whole and opened.exact else (),
        events=known_types(opened.events, start.migratetypes),
        notes=opened.notes,
        exact=opened.exact,
        end_counts=read_end_counts(folder) if counted else (),
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
