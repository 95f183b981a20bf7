"""Frozen records of what a reader makes of a recording: states, requests, events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

#: An op stream: a one-dimensional array of `rmqueue.OPS_DTYPE`.
Ops: TypeAlias = npt.NDArray[np.void]


@dataclass(frozen=True, eq=False)
class PcpState:
    """The per-CPU lists of one CPU at some moment.

    Attributes
    ----------
    count, high, high_min, high_max, batch : int
        As in the kernel's ``struct per_cpu_pages`` [pages]; before 6.7 `high` is fixed
        and there is no span for it.
    alloc_factor, free_count, free_factor, flags : int
        As in the kernel, 0 where its version has no such field.
    lists : mapping of int to ndarray of int64
        Index of a list (3 * order + migratetype; 12 and 13 for huge pages) -> absolute
        pfns, head to tail; missing lists are empty.
    """

    count: int
    high: int
    batch: int
    lists: Mapping[int, npt.NDArray[np.int64]]
    high_min: int = 0
    high_max: int = 0
    alloc_factor: int = 0
    free_count: int = 0
    free_factor: int = 0
    flags: int = 0

    def put_into(self, pcps: npt.NDArray[np.void], cpu: int) -> None:
        """Set the fields of a CPU's record (`mmzone.PCP`), but for `count`."""
        for name in ("high", "high_min", "high_max", "batch"):
            pcps[cpu][name] = getattr(self, name) or pcps[cpu][name]
        for name in ("alloc_factor", "flags"):
            pcps[cpu][name] = getattr(self, name)
        # the record has one field for both, which no kernel has together
        pcps[cpu]["free_count"] = self.free_count + self.free_factor


@dataclass(frozen=True, eq=False)
class ZoneState:
    """The exact state of a zone at some moment: where a replay of a recording begins.

    Attributes
    ----------
    name : str
        As the kernel calls it: ``"Normal"``.
    kernel : str
        Kernel profile.
    start_pfn : int
        First page, absolute.
    pages, managed : int
        Pages spanned, and pages ever handed to the allocator [pages].
    cpus : int
        CPUs that have per-CPU lists.
    pageblock_order, max_page_order : int
        Orders of a pageblock and of the largest block.
    watermarks : tuple of int
        min, low and high [pages], without boost.
    boost : int
        Watermark boost [pages].
    nr_reserved_high : int
        Pages reserved for HIGHATOMIC [pages].
    free_lists : mapping of (int, int) to ndarray of int64
        (order, migratetype) -> absolute pfns, head to tail; missing lists are empty.
    pageblock_types : ndarray of uint8
        From the pageblock of `start_pfn` to that of the last page.
    blocks : ndarray of int64, shape (k, 2)
        pfn and order of the pages in use that later ops name; row i is slot i.
    lru : ndarray of int64
        Absolute pfns of the pages on an LRU list.
    pcps : tuple of PcpState
        The lists of each CPU, as far as they are recorded.
    """

    name: str
    kernel: str
    start_pfn: int
    pages: int
    managed: int
    cpus: int
    pageblock_order: int
    max_page_order: int
    watermarks: tuple[int, int, int]
    boost: int
    nr_reserved_high: int
    free_lists: Mapping[tuple[int, int], npt.NDArray[np.int64]]
    pageblock_types: npt.NDArray[np.uint8]
    blocks: npt.NDArray[np.int64]
    lru: npt.NDArray[np.int64]
    pcps: tuple[PcpState, ...] = ()


@dataclass(frozen=True, eq=False)
class RecordedZone:
    """One zone of a recording: where it starts, and what was asked of it.

    Attributes
    ----------
    state : ZoneState
        The zone at the start.
    ops : ndarray of OPS_DTYPE
        The requests and frees of the window, in order.
    slots : int
        Slots that the ops use.
    recorded : mapping of str to object
        What the recorded kernel itself did, as far as the trace says: ``base_pages``
        (pages that it handed out), ``claim`` and ``steal`` (5 x 5 events, row = type
        asked for, column = type taken from), and whatever else the reader counts.
    """

    state: ZoneState
    ops: Ops
    slots: int
    recorded: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Recording:
    """What a reader makes of a trace and its start state.

    Attributes
    ----------
    name : str
        How reports call it.
    source : str
        Where it was read from.
    kernel : str
        Full version of the recorded kernel.
    zones : tuple of RecordedZone
        In the order of the zones of the machine.
    notes : tuple of str
        What the reader had to infer or leave out, a sentence each.
    """

    name: str
    source: str
    kernel: str
    zones: tuple[RecordedZone, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ZoneCounts:
    """How much is free in a zone at some moment, where nobody knows which pages.

    Attributes
    ----------
    name : str
        Name of the zone.
    free : ndarray of int64, shape (orders, 5)
        Free blocks by order and migratetype.
    pageblocks : ndarray of int64, shape (5,)
        Pageblocks by migratetype; holes of the zone are not counted.
    """

    name: str
    free: npt.NDArray[np.int64]
    pageblocks: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Evidence:
    """A recording event by event: what `rmqueue validate` follows.

    Attributes
    ----------
    name, source, kernel, notes
        As of `Recording`.
    version : tuple of int
        First two numbers of the kernel's version.
    strategy : str
        Name of the strategy that reproduces this kernel.
    start : tuple of ZoneState
        All zones at the start, with their per-CPU lists.
    end : tuple of ZoneState
        The same zones at the end, without LRU pages; empty if it is not recorded.
    events : ndarray of rmqueue.trace.events.EVENTS
        Events between the two, in the order of the trace, with our migratetypes;
        neither marks nor failed allocations.
    exact : bool
        Whether `start` is what the kernel had; else it is made up from counts, and
        single pages mean nothing.
    end_counts : tuple of ZoneCounts
        Counts at the end, zone by zone, where `end` is empty; empty if there are none.
    """

    name: str
    source: str
    kernel: str
    version: tuple[int, int]
    strategy: str
    start: tuple[ZoneState, ...]
    end: tuple[ZoneState, ...]
    events: npt.NDArray[np.void]
    notes: tuple[str, ...] = ()
    exact: bool = True
    end_counts: tuple[ZoneCounts, ...] = ()
