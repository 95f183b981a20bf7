"""What a trace says of the state in which it began, page by page.

The first event that names a page tells whether it was free: what is taken from the free
lists without having been freed before was there from the start; what is freed, drained
or handed out first was not.  A fallback also tells how large the block was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from rmqueue.trace.events import (
    ALLOC,
    DRAIN,
    FALLBACK,
    FREE,
    HUGE_ORDER,
    LOCKED,
    Bools,
    Events,
    Ints,
    has_cpu_list,
)
from rmqueue.trace.lookahead import by_page
from rmqueue.trace.takes import (
    FALLBACK_RETURNS_PAGE,
    NO_TAKE,
    Takes,
    find_takes,
)

Bytes: TypeAlias = npt.NDArray[np.int8]

#: What is known of a page at the start.
UNKNOWN, FREED, USED = range(3)
#: No such type is known.
NO_TYPE = -1
#: Types that the simulator knows.
NR_TYPES = 5
#: Above all orders.
NEVER = 99
#: Types with per-CPU lists: unmovable, movable, reclaimable.
PCP_TYPES = 3


@dataclass(frozen=True)
class Extent:
    """Where a zone lies.

    Attributes
    ----------
    start_pfn, pages : int
        First page, and pages spanned.
    pageblock_order, max_order : int
        Orders of a pageblock and of the largest block.
    """

    start_pfn: int
    pages: int
    pageblock_order: int
    max_order: int

    @property
    def unit(self) -> int:
        """Pages that arrays are a multiple of [pages]."""
        return 1 << max(self.max_order, self.pageblock_order)

    @property
    def base(self) -> int:
        """Page 0 of arrays over the zone, absolute."""
        return self.start_pfn // self.unit * self.unit

    @property
    def size(self) -> int:
        """Length of arrays over the zone [pages]."""
        return -(-(self.start_pfn + self.pages - self.base) // self.unit) * self.unit


@dataclass(frozen=True, eq=False)
class Clues:
    """What is known of a zone's pages at the start; arrays begin at `Extent.base`.

    Attributes
    ----------
    mark : ndarray of int8
        `UNKNOWN`, `FREED` or `USED`.
    first : ndarray of int64
        Event that names a page first; the number of events if none does.
    hint : ndarray of int8
        Type of the list that a free page was taken from, or `NO_TYPE`.
    whole : ndarray of bool
        Pages of free blocks whose size at the start is known.
    types : ndarray of int8
        Type of each pageblock, or `NO_TYPE`.
    listed : tuple of (int, int, int, int)
        CPU, index of the per-CPU list, pfn and order of blocks that were on these,
        in the order in which they left them.
    freed_first : ndarray of bool
        Single pages in use that the trace sees freed.
    emptied : ndarray of int64, shape (5,)
        Least order for which a type fell back on others: until then all free blocks of
        the type and at least that order had been taken.
    """

    mark: Bytes
    first: Ints
    hint: Bytes
    whole: Bools
    types: Bytes
    listed: tuple[tuple[int, int, int, int], ...]
    freed_first: Bools
    emptied: Ints


def find_clues(
    events: Events, extents: tuple[Extent, ...], version: tuple[int, int]
) -> tuple[Clues, ...]:
    """Find what a trace says of its start.

    Parameters
    ----------
    events : ndarray of EVENTS
        Events of the window without marks, with our migratetypes.
    extents : tuple of Extent
        The zones.
    version : tuple of int
        Version of the recorded kernel.
    """
    zone = np.full(len(events), -1, np.int64)
    size = 1 << np.maximum(events["order"], 0).astype(np.int64)
    for index, extent in enumerate(extents):
        inside = events["pfn"] >= extent.start_pfn
        inside &= events["pfn"] + size <= extent.start_pfn + extent.pages
        zone[inside] = index
    takes = find_takes(events, zone, version)
    owner, page = by_page(events, version)
    begins = np.ones(len(page), np.bool_)
    begins[1:] = page[1:] != page[:-1]
    finder = _Finder(events, takes, version)
    return tuple(
        finder.zone(extent, *(column[begins] for column in (owner, page)))
        for extent in extents
    )


class _Finder:
    """Finds clues in one zone after the other."""

    def __init__(self, events: Events, takes: Takes, version: tuple[int, int]) -> None:
        self.events, self.takes = events, takes
        self.kind = events["kind"].astype(np.int64)
        self.old = version < FALLBACK_RETURNS_PAGE
        fallback = takes.fallback
        has = (takes.kind != NO_TAKE) & (fallback >= 0)
        self.list_type = np.where(
            has, events["fallback_mt"][fallback], events["mt"]
        ).astype(np.int64)

    def zone(self, extent: Extent, owner: Ints, page: Ints) -> Clues:
        """Find the clues of a zone in the first uses of pages."""
        inside = (page >= extent.start_pfn) & (page < extent.start_pfn + extent.pages)
        owner, at = owner[inside], page[inside] - extent.base
        taken = np.isin(self.kind[owner], (LOCKED, FALLBACK))
        mark = np.full(extent.size, UNKNOWN, np.int8)
        mark[at] = np.where(taken, FREED, USED)
        first = np.full(extent.size, len(self.events), np.int64)
        first[at] = owner
        hint = np.full(extent.size, NO_TYPE, np.int8)
        hint[at[taken]] = self.list_type[owner[taken]]
        whole = np.zeros(extent.size, np.bool_)
        rows = list(self._whole_blocks(extent, first))
        for pfn, order, event in rows:
            block = slice(pfn, pfn + (1 << order))
            mark[block], whole[block] = FREED, True
            hint[block] = self.list_type[event]
            first[block] = np.minimum(first[block], event)
        if self.old:
            hint[first > self._moved(extent)] = NO_TYPE
        single = (self.kind[owner] == FREE) & (self.events["order"][owner] == 0)
        freed_first = np.zeros(extent.size, np.bool_)
        freed_first[at[single]] = True
        types = self._pageblock_types(extent, rows)
        listed = tuple(self._listed(extent, first))
        emptied = self._emptied(extent)
        return Clues(mark, first, hint, whole, types, listed, freed_first, emptied)

    def _emptied(self, extent: Extent) -> Ints:
        events = self.events
        fallback = self.kind == FALLBACK
        fallback &= events["pfn"] >= extent.start_pfn
        fallback &= events["pfn"] < extent.start_pfn + extent.pages
        fallback &= (events["mt"] >= 0) & (events["mt"] < PCP_TYPES)
        emptied = np.full(NR_TYPES, NEVER, np.int64)
        rows = events[fallback]
        np.minimum.at(emptied, rows["mt"], rows["order"])
        return emptied

    def _moved(self, extent: Extent) -> Ints:
        """Event after which the list of a page says nothing of the start.

        Until 6.9 a fallback may move all free blocks of a pageblock to other lists,
        whether it claims the pageblock or not.
        """
        shift, events = extent.pageblock_order, self.events
        after = np.full(extent.size >> shift, len(events), np.int64)
        take = np.flatnonzero((self.takes.kind != NO_TAKE) & (self.takes.fallback >= 0))
        pfn = events["pfn"][self.takes.fallback[take]]
        inside = (pfn >= extent.start_pfn) & (pfn < extent.start_pfn + extent.pages)
        block = (pfn[inside] - extent.base) >> shift
        np.minimum.at(after, block, take[inside])
        moved: Ints = np.repeat(after, 1 << shift)
        return moved

    def _whole_blocks(
        self, extent: Extent, first: Ints
    ) -> Iterator[tuple[int, int, int]]:
        """Free blocks that a fallback met untouched: page, order and event.

        The claim of a part gives a page of some block of the claimed pageblock; its
        event comes with another of the take, and says nothing of the given one.
        """
        events, takes = self.events, self.takes
        usable = (takes.kind != NO_TAKE) & (takes.fallback >= 0)
        if not self.old:
            usable &= self.kind == FALLBACK
        for take in np.flatnonzero(usable).tolist():
            event = int(takes.fallback[take])
            order = int(events["fallback_order"][event])
            pfn = int(events["pfn"][event])
            pfn = (pfn >> max(order, 0) << max(order, 0)) - extent.base
            if not 0 <= order <= extent.max_order or pfn < 0:
                continue
            low = extent.start_pfn - extent.base
            block = first[pfn : pfn + (1 << order)]
            fits = low <= pfn and pfn + (1 << order) <= low + extent.pages
            if fits and block.min() >= min(event, take):
                yield pfn, order, take

    def _pageblock_types(
        self, extent: Extent, whole: list[tuple[int, int, int]]
    ) -> Bytes:
        """Type of each pageblock when an event first tells it.

        Until 6.9 a drained page keeps the type that it came with, which is the worse
        evidence.
        """
        shift, blocks = extent.pageblock_order, extent.size >> extent.pageblock_order
        telling = np.isin(self.kind, (LOCKED, FALLBACK, DRAIN))
        if self.old:
            telling &= self.kind != FALLBACK
        telling &= self.events["pfn"] >= extent.start_pfn
        telling &= self.events["pfn"] < extent.start_pfn + extent.pages
        event = np.flatnonzero(telling)
        block = (self.events["pfn"][event] - extent.base) >> shift
        for pfn, order, take in whole:
            if order > shift:
                more = np.arange(pfn >> shift, (pfn + (1 << order)) >> shift)
                block = np.append(block, more)
                event = np.append(event, np.full(len(more), take))
        rank = event + (len(self.events) * (self.kind[event] == DRAIN) * int(self.old))
        ordered = np.lexsort((rank, block))
        names, at = np.unique(block[ordered], return_index=True)
        types = np.full(blocks, NO_TYPE, np.int8)
        types[names] = self.list_type[event[ordered][at]]
        return types

    def _listed(
        self, extent: Extent, first: Ints
    ) -> Iterator[tuple[int, int, int, int]]:
        """Blocks that left a per-CPU list without having come to it."""
        events = self.events
        kind = np.isin(self.kind, (ALLOC, DRAIN)) & has_cpu_list(events["order"])
        kind &= (events["mt"] >= 0) & (events["mt"] < PCP_TYPES)
        kind &= events["pfn"] >= extent.start_pfn
        kind &= events["pfn"] < extent.start_pfn + extent.pages
        chosen = np.flatnonzero(kind)
        chosen = chosen[first[events["pfn"][chosen] - extent.base] == chosen]
        for event in chosen.tolist():
            order, mt = int(events["order"][event]), int(events["mt"][event])
            if order == HUGE_ORDER:
                index = 4 * PCP_TYPES + int(mt == 1)
            else:
                index = PCP_TYPES * order + mt
            at = int(events["pfn"][event])
            block = slice(at - extent.base, at - extent.base + (1 << order))
            if (first[block] == event).all():
                yield int(events["cpu"][event]), index, at, order
