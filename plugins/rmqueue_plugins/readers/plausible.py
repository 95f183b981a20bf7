"""A start state that is made up: consistent with counts of /proc and with the trace.

`rmqueue record` writes how many blocks of each order and type are free, not which.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rmqueue.trace.events import Bools, Events, Ints
from rmqueue.types import PcpState, ZoneState
from rmqueue_plugins.readers.clues import (
    FREED,
    PCP_TYPES,
    UNKNOWN,
    Clues,
    Extent,
    find_clues,
)
from rmqueue_plugins.readers.counts import Counts, read_counts
from rmqueue_plugins.readers.folder import ABOUT, number, take
from rmqueue_plugins.readers.placement import Placement
from rmqueue_plugins.readers.procinfo import ZoneInfo
from rmqueue_plugins.readers.requests import known_types
from rmqueue_plugins.readers.state import (
    HIGHATOMIC,
    MOST_TYPES,
    MOVABLE,
    UNMOVABLE,
    Start,
    profile_of,
    version_of,
)

DEFAULT_SEED = 1
#: First kernel whose free blocks lie on the lists of their pageblock's type.
_PURE_LISTS = (6, 10)
_LRU = re.compile(r"nr_zone_((in)?active_(anon|file)|unevictable)")
_SAYS = {
    "blocks_missing": "free blocks of pagetypeinfo have no place beside the trace's",
    "blocks_more": "free blocks more than pagetypeinfo has are in the trace",
    "pages": "free pages more or less than in pagetypeinfo",
    "pageblocks": "pageblocks of other types than in pagetypeinfo, as the trace says",
    "apart": "free pages differ between buddyinfo and pagetypeinfo, read later",
    "capped": "counts of pagetypeinfo are cut off, filled up from buddyinfo",
    "listed": "pages on per-CPU lists more or less than in zoneinfo",
    "lru": "pages of LRU lists have no place",
}


def make_start(
    folder: Path, about: Mapping[str, Any], events: Events, seed: int
) -> tuple[Start, list[str]]:
    """Make up the state at the start of a recording.

    Parameters
    ----------
    folder : Path
        The recording; it holds ``start-zoneinfo.txt``, ``start-buddyinfo.txt`` and
        ``start-pagetypeinfo.txt``.
    about : mapping
        Its ``recording.json``.
    events : ndarray of EVENTS
        Events of the window without marks.
    seed : int
        Decides what neither counts nor trace tell; equal seeds give equal states.

    Returns
    -------
    Start
        The state.
    list of str
        Notes on what did not fit.

    Raises
    ------
    TraceError
        A file is missing or damaged, or they contradict each other.
    """
    where = str(folder / ABOUT)
    kernel = take(about, "kernel_package", str, where)
    version = version_of(kernel, where)
    cpus = number(about, "cpus", where, least=1)
    counts = read_counts(folder, "start")
    numbers = np.full(MOST_TYPES, UNMOVABLE, np.int64)
    numbers[: len(counts.types.types)] = counts.types.types
    maker = _Maker(counts, version, cpus, seed)
    clues = find_clues(known_types(events, numbers), maker.extents(), version)
    zones = tuple(
        maker.zone(index, zone, clue)
        for index, (zone, clue) in enumerate(zip(counts.zones, clues, strict=True))
    )
    batches = tuple(zone.pcps[-1].batch if zone.pcps else 1 for zone in zones)
    start = Start(kernel, version, zones, batches, numbers)
    return start, [
        f"the start state is made up from pagetypeinfo, seed {seed}",
        *(f"{maker.noted[k]:,} {says}" for k, says in _SAYS.items() if maker.noted[k]),
    ]


class _Maker:
    """Makes one zone after the other."""

    def __init__(
        self, counts: Counts, version: tuple[int, int], cpus: int, seed: int
    ) -> None:
        self.counts, self.version, self.cpus, self.seed = counts, version, cpus, seed
        self.noted = Counter(counts.noted)

    def extents(self) -> tuple[Extent, ...]:
        """Where the zones lie."""
        order = self.counts.types.pageblock_order
        return tuple(
            Extent(
                zone.fields["start_pfn"],
                zone.fields["spanned"],
                order,
                len(self.counts.free[zone.key]) - 1,
            )
            for zone in self.counts.zones
        )

    def zone(self, index: int, zone: ZoneInfo, clues: Clues) -> ZoneState:
        """Make up the state of a zone."""
        extent, rng = self.extents()[index], np.random.default_rng([self.seed, index])
        pageblocks = self.counts.pageblocks(zone.key)
        placement = Placement(
            extent,
            clues,
            self.counts.free[zone.key],
            pageblocks,
            mixed=self.version < _PURE_LISTS,
            rng=rng,
        )
        self.noted.update(placement.differences())
        on_lists = np.zeros(extent.size, np.bool_)
        pcps = tuple(self._pcps(zone, placement, on_lists))
        boost = zone.fields.get("boost", 0)
        first = (extent.start_pfn - extent.base) >> extent.pageblock_order
        last = (extent.start_pfn + extent.pages - 1 - extent.base) >> (
            extent.pageblock_order
        )
        return ZoneState(
            name=self.counts.name(zone),
            kernel=profile_of(self.version),
            start_pfn=extent.start_pfn,
            pages=extent.pages,
            managed=zone.fields["managed"],
            cpus=self.cpus,
            pageblock_order=extent.pageblock_order,
            max_page_order=extent.max_order,
            watermarks=self._watermarks(zone, boost),
            boost=boost,
            nr_reserved_high=int(pageblocks[HIGHATOMIC]) << extent.pageblock_order,
            free_lists=placement.lists(),
            pageblock_types=placement.types[first : last + 1].astype(np.uint8),
            blocks=np.empty((0, 2), np.int64),
            lru=self._lru(zone, placement, on_lists),
            pcps=pcps,
        )

    def _watermarks(self, zone: ZoneInfo, boost: int) -> tuple[int, int, int]:
        """Watermarks without the boost, which zoneinfo adds to each."""
        low, middle, high = (
            max(zone.fields[name] - boost, 0) for name in ("min", "low", "high")
        )
        return low, max(low, middle), max(low, middle, high)

    def _pcps(
        self, zone: ZoneInfo, placement: Placement, on_lists: Bools
    ) -> Iterator[PcpState]:
        """Per-CPU lists: what the trace takes from them, then pages at random."""
        unknown = np.flatnonzero(placement.mark == UNKNOWN)
        types = placement.types[unknown >> placement.shift]
        unknown = placement.rng.permutation(unknown[types < PCP_TYPES])
        base, used = placement.extent.base, 0
        for cpu, printed in enumerate(zone.pagesets[: self.cpus]):
            lists: dict[int, list[int]] = {}
            count = 0
            for owner, index, pfn, order in placement.clues.listed:
                if owner == cpu:
                    lists.setdefault(index, []).append(pfn)
                    count += 1 << order
                    on_lists[pfn - base : pfn - base + (1 << order)] = True
            more = unknown[used : used + max(printed.get("count", 0) - count, 0)]
            used += len(more)
            on_lists[more] = True
            for page, mt in zip(
                more, placement.types[more >> placement.shift], strict=True
            ):
                lists.setdefault(int(mt), []).append(int(page) + base)
            count += len(more)
            self.noted["listed"] += abs(count - printed.get("count", 0))
            yield _pcp(printed, lists, count)

    def _lru(self, zone: ZoneInfo, placement: Placement, on_lists: Bools) -> Ints:
        """Pages on an LRU list: of movable pageblocks, and those freed first."""
        number = sum(n for name, n in zone.fields.items() if _LRU.fullmatch(name))
        in_use = placement.mark != FREED
        in_use &= ~on_lists & np.repeat(placement.present, 1 << placement.shift)
        low = placement.extent.start_pfn - placement.extent.base
        in_use[:low] = in_use[low + placement.extent.pages :] = False
        pages = np.flatnonzero(in_use)
        movable = placement.types[pages >> placement.shift] == MOVABLE
        freed = placement.clues.freed_first[pages]
        rank = 3 - 2 * movable - freed
        chosen = pages[np.lexsort((placement.rng.random(len(pages)), rank))][:number]
        self.noted["lru"] += number - len(chosen)
        return np.sort(chosen) + placement.extent.base


def _pcp(
    printed: Mapping[str, int], lists: Mapping[int, list[int]], count: int
) -> PcpState:
    """Make per-CPU lists; what zoneinfo does not print is 0."""
    return PcpState(
        count=count,
        high=printed.get("high", 0),
        batch=max(printed.get("batch", 1), 1),
        lists={index: np.array(pfns, np.int64) for index, pfns in lists.items()},
        high_min=printed.get("high_min", 0),
        high_max=printed.get("high_max", 0),
    )
