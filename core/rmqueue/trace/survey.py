"""What is in a trace: counts by event, CPU, order and type, and when it compacted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from rmqueue.trace.chunks import BrokenLine, Chunk
from rmqueue.trace.events import (
    ALLOC,
    COMPACT_BEGIN,
    COMPACT_END,
    FALLBACK,
    FREE,
    ISOLATE,
    LOCKED,
    Events,
)

#: Broken lines, lost events and marks that are kept.
KEPT = 1000
#: A longer pause between two isolations ends a window of compaction [us].
PAUSE_US = 10_000
#: Kernels from here on number CMA as 4 and ISOLATE as 5, as Debian configures them.
CMA_SINCE = (7, 0)
_TYPES = ("unmovable", "movable", "reclaimable", "highatomic")


@dataclass
class Compaction:
    """A stretch of time in which memory was compacted.

    Attributes
    ----------
    cpu : int
        CPU of its first event.
    first_us, last_us : int
        When it began and ended [us].
    isolations : int
        Ranges whose free blocks were isolated [events].
    taken : int
        Pages that were taken so [pages].
    """

    cpu: int
    first_us: int
    last_us: int
    isolations: int = 0
    taken: int = 0


@dataclass(eq=False)
class Survey:
    """Sums over the chunks of a trace; `heed` adds one.

    Attributes
    ----------
    kinds, cpus : Counter
        Events by kind, and by CPU [events].
    orders, types : Counter
        Allocations, requests under the zone lock, fallbacks and frees: by kind and
        order; by kind and migratetype (of fallbacks: asked for, taken from) [events].
    nr_lost, lost_events : int
        Lines that say that events were lost, and how many, as far as they say it.
    broken, lost, marks : list
        The first `KEPT` of each.
    failed : int
        Allocations that failed [events].
    falls : int
        Events that are earlier than the one before [events].
    marked : bool
        Whether the windows of compaction are those of its begin and end events.
    """

    about: dict[str, str] = field(default_factory=dict)
    first_us: int = -1
    last_us: int = -1
    lines: int = 0
    others: int = 0
    nr_broken: int = 0
    broken: list[BrokenLine] = field(default_factory=list)
    nr_lost: int = 0
    lost_events: int = 0
    lost: list[tuple[int, str]] = field(default_factory=list)
    marks: list[tuple[int, str]] = field(default_factory=list)
    kinds: Counter[int] = field(default_factory=Counter)
    cpus: Counter[int] = field(default_factory=Counter)
    orders: Counter[tuple[int, int]] = field(default_factory=Counter)
    types: Counter[tuple[int, int]] = field(default_factory=Counter)
    pairs: Counter[tuple[int, int, int]] = field(default_factory=Counter)
    failed: int = 0
    falls: int = 0
    marked: bool = False
    compactions: list[Compaction] = field(default_factory=list)
    _open: dict[int, Compaction] = field(default_factory=dict)

    def heed(self, chunk: Chunk) -> None:
        """Add a chunk."""
        events = chunk.events
        self.about = {**chunk.about, **self.about}
        self.lines += chunk.lines
        self.others += chunk.others
        self.nr_broken += chunk.nr_broken
        self.broken += chunk.broken[: KEPT - len(self.broken)]
        self.nr_lost += len(chunk.lost)
        self.lost_events += sum(lost_in(text) for _, text in chunk.lost)
        self.lost += chunk.lost[: KEPT - len(self.lost)]
        times = events["time_us"]
        marks = chunk.marks[: KEPT - len(self.marks)]
        self.marks += [(int(times[index]), text) for index, text in marks]
        if not len(events):
            return
        self.first_us = int(times[0]) if self.first_us < 0 else self.first_us
        self.falls += int((np.diff(times, prepend=self.last_us) < 0).sum())
        self.last_us = int(times[-1])
        self._count(events)
        self._compact(events)

    def _count(self, events: Events) -> None:
        kind = events["kind"]
        self.kinds.update(_counts(kind))
        self.cpus.update(_counts(events["cpu"]))
        for one in (ALLOC, LOCKED, FALLBACK, FREE):
            chosen = events[kind == one]
            if one == ALLOC:
                self.failed += int((chosen["pfn"] == 0).sum())
            for order, count in _counts(chosen["order"]).items():
                self.orders[one, order] += count
            if one != FREE:
                for mt, count in _counts(chosen["mt"]).items():
                    self.types[one, mt] += count
            if one == FALLBACK:
                self._count_pairs(chosen)

    def _count_pairs(self, fallbacks: Events) -> None:
        code = fallbacks["claim"].astype(np.int64)
        for column in ("mt", "fallback_mt"):
            code = code * 256 + fallbacks[column]
        for value, count in _counts(code).items():
            self.pairs[value >> 16, value >> 8 & 255, value & 255] += count

    def _compact(self, events: Events) -> None:
        """Follow begin and end, or, without them, runs of isolations."""
        of_it = np.isin(events["kind"], (ISOLATE, COMPACT_BEGIN, COMPACT_END))
        for row in events[of_it]:
            kind, cpu, now = int(row["kind"]), int(row["cpu"]), int(row["time_us"])
            if kind == COMPACT_BEGIN:
                if not self.marked:
                    self.marked = True
                    self.compactions.clear()
                self._open[cpu] = Compaction(cpu, now, now)
                self.compactions.append(self._open[cpu])
            elif kind == COMPACT_END:
                if cpu in self._open:
                    self._open.pop(cpu).last_us = now
            else:
                window = self._window(cpu, now)
                window.last_us = max(window.last_us, now)
                window.isolations += 1
                window.taken += int(row["taken"])

    def _window(self, cpu: int, now: int) -> Compaction:
        """Window that an isolation belongs to; it may have changed the CPU."""
        if self.marked and self._open:
            return self._open.get(cpu) or next(iter(self._open.values()))
        last = self.compactions[-1] if self.compactions else None
        if last is None or (not self.marked and now - last.last_us > PAUSE_US):
            last = Compaction(cpu, now, now)
            self.compactions.append(last)
        return last

    def type_name(self, mt: int) -> str:
        """Name of a migratetype, as far as the kernel is known."""
        return type_name(mt, self.about)


def survey(chunks: Iterable[Chunk]) -> Survey:
    """Sum up a trace; errors of reading pass through."""
    found = Survey()
    for chunk in chunks:
        found.heed(chunk)
    return found


def lost_in(text: str) -> int:
    """Events that a line says are lost; 0 if it does not say how many.

    Examples
    --------
    >>> lost_in("CPU:3 [LOST 47 EVENTS]"), lost_in("CPU:0 [12 EVENTS DROPPED]")
    (47, 12)
    >>> lost_in("CPU:0 [EVENTS DROPPED]"), lost_in("1.5: PERF_RECORD_LOST lost 9")
    (0, 9)
    """
    match = re.search(r"LOST (\d+)|\[(\d+) EVENTS|lost (\d+)", text)
    return int(match[match.lastindex or 0]) if match else 0


def type_name(mt: int, about: dict[str, str]) -> str:
    """Name of a migratetype of a kernel.

    CMA and ISOLATE have numbers that depend on version and configuration: `about` may
    name all types (``migratetypes``), or the kernel.

    Examples
    --------
    >>> [type_name(4, {"kernel": name}) for name in ("6.12.1", "7.3.4")]
    ['isolate', 'cma']
    >>> type_name(1, {}), type_name(4, {})
    ('movable', 'type 4')
    """
    if 0 <= mt < len(_TYPES):
        return _TYPES[mt]
    named = about.get("migratetypes", "").split(",")
    if mt < len(named):
        return named[mt]
    version = version_of(about.get("kernel", ""))
    if version and mt in (4, 5):
        cma = version >= CMA_SINCE
        return ("cma", "isolate")[mt - 4] if cma else ("isolate", "type 5")[mt - 4]
    return f"type {mt}"


def version_of(kernel: str) -> tuple[int, int] | None:
    """First two numbers of a kernel's version."""
    match = re.match(r"(\d+)\.(\d+)", kernel)
    return (int(match[1]), int(match[2])) if match else None


def _counts(values: npt.NDArray[Any]) -> dict[int, int]:
    found, counts = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))
