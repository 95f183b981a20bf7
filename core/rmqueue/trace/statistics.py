"""How much the model does as the kernel did, where single pages mean nothing.

A start state that is made up from counts cannot be followed page by page
(`rmqueue.trace.predict`).  So the requests run freely, from several such states, and
sums are compared with what was recorded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rmqueue.config import StrategyConfig
from rmqueue.errors import UsageError
from rmqueue.ops import ALLOC, BULK, as_ops
from rmqueue.procfs import NAMES
from rmqueue.registry import Registry, default_registry
from rmqueue.start import read_recording
from rmqueue.trace.plan import zones_of
from rmqueue.trace.takes import CLAIM, NATIVE, STEAL, find_takes
from rmqueue.types import Evidence, RecordedZone, Recording, Strategy, ZoneCounts
from rmqueue.zone import Zone

#: Seeds of start states, where nobody asks for others.
SEEDS = (1, 2, 3, 4, 5)
TYPES = tuple(name.lower() for name in NAMES)
#: Parts of the statistics, in the order of tables: name and what is counted.
PARTS = {
    "taken": "blocks taken from the free lists",
    "types": "fallbacks by type asked for and type taken",
    "orders": "fallbacks by order asked for and order found",
    "free": "free blocks at the end",
    "pageblocks": "pageblocks at the end",
}
_KINDS = {NATIVE: "native", CLAIM: "claim", STEAL: "steal"}

#: Counts of one run, by (part, name).
Counts = Counter[tuple[str, str]]


@dataclass(frozen=True)
class Figure:
    """One number: as recorded, and of each run.

    Attributes
    ----------
    part, name : str
        Key of `PARTS`, and which number of it.
    recorded : int or None
        What the kernel did; None: not recorded.
    simulated : tuple of int
        What the model did, a number per seed.
    """

    part: str
    name: str
    recorded: int | None
    simulated: tuple[int, ...]

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return sum(self.simulated) / len(self.simulated)

    @property
    def spread(self) -> tuple[int, int]:
        """Lowest and highest over the seeds."""
        return min(self.simulated), max(self.simulated)

    @property
    def difference(self) -> float | None:
        """Mean less recorded, in parts of recorded; None where that says nothing.

        Examples
        --------
        >>> Figure("taken", "steal", 200, (190, 200, 180)).difference
        -0.05
        """
        if not self.recorded:
            return None
        return (self.mean - self.recorded) / self.recorded


@dataclass(frozen=True)
class Statistics:
    """Sums of a recording, and of the same requests on the model.

    Attributes
    ----------
    name, kernel : str
        The recording, and the version of the recorded kernel.
    strategy, profile : str
        What ran on the model.
    exact : bool
        Whether it began in the recorded state; else in states that were made up.
    seeds : tuple of int
        Seeds of these; empty if `exact`.
    figures : tuple of Figure
        All numbers, part by part.
    notes : tuple of str
        What the reader of the recording says.
    """

    name: str
    kernel: str
    strategy: str
    profile: str
    exact: bool
    seeds: tuple[int, ...]
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()

    def part(self, name: str) -> tuple[Figure, ...]:
        """Return the numbers of a part."""
        return tuple(figure for figure in self.figures if figure.part == name)

    def figure(self, part: str, name: str) -> Figure:
        """Return one number; 0 everywhere if nothing of it was counted."""
        found = (figure for figure in self.part(part) if figure.name == name)
        nothing = Figure(part, name, 0, (0,) * max(len(self.seeds), 1))
        return next(found, nothing)


def statistics_of(
    evidence: Evidence,
    strategy: str | Strategy | StrategyConfig | None = None,
    seeds: Sequence[int] = SEEDS,
    kernel: str | None = None,
    read: Callable[[int], Recording] | None = None,
) -> Statistics:
    """Run the requests of a recording, and compare sums.

    Parameters
    ----------
    evidence : Evidence
        The recording, event by event.
    strategy : str, Strategy, StrategyConfig or None
        What to fall back on; None: what reproduces the recorded kernel.
    seeds : sequence of int
        Seeds of the start states; an exact state runs once.
    kernel : str or None
        Kernel profile; None: that of the recorded kernel.
    read : callable or None
        ``read(seed) -> Recording``; None: the installed reader of `evidence.source`.

    Raises
    ------
    TraceError
        The recording cannot be read.
    UsageError
        There is no seed, or the strategy does not fit the kernel.
    """
    if not seeds and not evidence.exact:
        raise UsageError("seeds: give at least one, such as --seed 1")
    strategy = strategy or evidence.strategy
    read = read or _reader(evidence)
    used = tuple(seeds[:1] or (1,)) if evidence.exact else tuple(seeds)
    recorded, events = _recorded(evidence), Counter(zones_of(evidence).tolist())
    runs, notes = [], evidence.notes
    for seed in used:
        recording = read(seed)
        runs.append(_run(recording, evidence, strategy, kernel))
    known = {part for part, _ in recorded}
    if events[-1]:
        notes = (*notes, f"{events[-1]:,} events are of no zone: left out")
    figures = tuple(
        Figure(*key, _known(recorded, key, known), tuple(run[key] for run in runs))
        for key in _keys([recorded, *runs])
    )
    return Statistics(
        name=evidence.name,
        kernel=evidence.kernel,
        strategy=_name(strategy),
        profile=kernel or evidence.start[0].kernel,
        exact=evidence.exact,
        seeds=() if evidence.exact else used,
        figures=figures,
        notes=notes,
    )


def _name(strategy: str | Strategy | StrategyConfig) -> str:
    return strategy if isinstance(strategy, str) else strategy.name


def _reader(evidence: Evidence, registry: Registry | None = None) -> Any:
    """Return what reads the recording of some evidence with a seed."""
    path = Path(evidence.source)
    reader = (registry or default_registry()).reader_for(path)
    return lambda seed: read_recording(reader, path, seed)


def _keys(counts: Sequence[Counts]) -> list[tuple[str, str]]:
    """Keys of all counts that are not 0 everywhere, by part; else as they came."""
    keys = dict.fromkeys(key for part in counts for key in part if part[key])
    parts = list(PARTS)
    return sorted(keys, key=lambda key: parts.index(key[0]))


def _known(recorded: Counts, key: tuple[str, str], known: set[str]) -> int | None:
    """Return the recorded number; None if nothing of its part is recorded."""
    return recorded[key] if key[0] in known or key[0] in ("types", "orders") else None


# What was recorded -------------------------------------------------------------------


def _recorded(evidence: Evidence) -> Counts:
    """Count what the recorded kernel did."""
    events, zone = evidence.events, zones_of(evidence)
    takes = find_takes(events, zone, evidence.version)
    counts: Counts = Counter()
    for kind, name in _KINDS.items():
        counts["taken", name] = int(((takes.kind == kind) & (zone >= 0)).sum())
    chosen = takes.fallback[(takes.fallback >= 0) & (zone >= 0)]
    rows = events[chosen]
    columns = ("mt", "fallback_mt", "order", "fallback_order", "claim")
    for mt, other, order, found, claim in zip(
        *(rows[name].tolist() for name in columns), strict=True
    ):
        counts["types", _types(mt, other, claim == 1)] += 1
        counts["orders", _orders(order, found)] += 1
    for zone_counts in _recorded_end(evidence):
        counts.update(_end_counts(zone_counts))
    return counts


def _types(mt: int, other: int, claim: bool) -> str:
    return f"{TYPES[mt]} from {TYPES[other]}, {'claim' if claim else 'steal'}"


def _orders(order: int, found: int) -> str:
    return f"order {order} from {found}"


def _recorded_end(evidence: Evidence) -> Iterator[ZoneCounts]:
    """Yield counts at the end, as far as they are recorded."""
    yield from () if evidence.end else evidence.end_counts
    for state in evidence.end:
        free = np.zeros((state.max_page_order + 1, len(TYPES)), np.int64)
        for (order, mt), pfns in state.free_lists.items():
            free[order, mt] = len(pfns)
        blocks = np.bincount(state.pageblock_types, minlength=len(TYPES))
        yield ZoneCounts(state.name, free, blocks.astype(np.int64))


def _end_counts(counts: ZoneCounts) -> Mapping[tuple[str, str], int]:
    """Name the counts of a zone; 0 counts as well."""
    found = {}
    for mt, name in enumerate(TYPES):
        for order, blocks in enumerate(counts.free[:, mt].tolist()):
            found["free", f"{counts.name} {name}, order {order}"] = blocks
        found["pageblocks", f"{counts.name} {name}"] = int(counts.pageblocks[mt])
    return found


# What the model does -----------------------------------------------------------------


def _run(
    recording: Recording, evidence: Evidence, strategy: Any, kernel: str | None
) -> Counts:
    """Run all requests of a recording once, zone by zone."""
    counts: Counts = Counter()
    holes = {
        end.name: len(start.pageblock_types) - int(end.pageblocks.sum())
        for start, end in zip(evidence.start, evidence.end_counts, strict=False)
    }
    asked = {zone.state.name for zone in recording.zones}
    untouched = [
        RecordedZone(state, as_ops(np.empty((0, 4), np.int64)), 0)
        for state in evidence.start
        if state.name not in asked
    ]
    for recorded in (*recording.zones, *untouched):
        zone = Zone.from_state(recorded.state, strategy, kernel)
        counts.update(_run_zone(zone, recorded))
        free = zone.free_counts().astype(np.int64)
        blocks = np.bincount(zone.pageblock_types(), minlength=len(TYPES))
        blocks[0] -= holes.get(zone.name, 0)
        wide = np.zeros((len(free), len(TYPES)), np.int64)
        wide[:, : free.shape[1]] = free[:, : len(TYPES)]
        counts.update(_end_counts(ZoneCounts(zone.name, wide, blocks)))
    return counts


def _run_zone(zone: Zone, recorded: RecordedZone) -> Counts:
    """Run the requests of a zone, and count what was taken."""
    ops = as_ops(recorded.ops)
    result = zone.replay(ops)
    counts: Counts = Counter()
    for claim, matrix in (
        (True, result.fallbacks.claim),
        (False, result.fallbacks.steal),
    ):
        for mt, other in np.argwhere(matrix).tolist():
            counts["types", _types(mt, other, claim)] += int(matrix[mt, other])
        counts["taken", "claim" if claim else "steal"] += int(matrix.sum())
    for order, found in np.argwhere(result.fallbacks.orders).tolist():
        number = int(result.fallbacks.orders[order, found])
        counts["orders", _orders(order, found)] += number
    given = _blocks(ops, result.res) - _made_up(ops, recorded)
    counts["taken", "native"] += given - int(
        sum(counts["taken", k] for k in ("claim", "steal"))
    )
    return counts


def _blocks(ops: npt.NDArray[np.void], res: npt.NDArray[np.int64]) -> int:
    """Blocks that were given; `res` has an entry for each request."""
    codes = ops["code"][np.isin(ops["code"], (ALLOC, BULK))]
    return int(np.where(codes == ALLOC, res >= 0, res).sum())


def _made_up(ops: npt.NDArray[np.void], recorded: RecordedZone) -> int:
    """Count requests that stand for pages which left the lists without a trace.

    They are movable ones of a single block, nearly always served from their own lists.
    """
    if "pages" not in recorded.recorded:
        return 0
    single = int((ops["code"] == ALLOC).sum())
    several = int(ops["c"][ops["code"] == BULK].sum())
    return single + several - int(recorded.recorded["pages"])
