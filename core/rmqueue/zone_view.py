"""What one can see of a zone: lists, pageblocks, counters, and whether all is well."""

from __future__ import annotations

from contextlib import AbstractContextManager

import numpy as np
import numpy.typing as npt

from rmqueue import runner
from rmqueue.binding import BoundStrategy
from rmqueue.config import ZoneConfig
from rmqueue.errors import InvariantError
from rmqueue.faults import asked
from rmqueue.measures import FallbackMatrix, HoldStats
from rmqueue.mm.mmzone import (
    BLOCKS_MASK,
    BLOCKS_SHIFT,
    BUDDY_LISTS,
    LRU_SHIFT,
    NR_TYPES,
    PAGES_MASK,
    PAGES_SHIFT,
    PCP_LISTS,
    PCP_ORDER_LISTS,
)
from rmqueue.mm.vmstat import ALL_COUNTERS, COUNTERS
from rmqueue.ops import CHECK, Ops, as_ops
from rmqueue.procfs import buddyinfo, pagetypeinfo
from rmqueue.request import check_cpu, check_order, type_index
from rmqueue.storage import ZoneStorage
from rmqueue.types import Strategy

MARKS = ("min", "low", "high", "promo")
MATRICES = ("claims", "steals", "pollute", "fallback_orders")
PAGEBLOCK_DTYPE = np.dtype(
    [("type", "u1"), ("free_blocks", "i8"), ("free_pages", "i8"), ("lru_pages", "i8")]
)


class ZoneView:
    """The memory of a zone and the strategy that runs on it.

    Parameters
    ----------
    config : ZoneConfig
        Geometry, kernel profile and settings.
    storage : ZoneStorage
        Its memory.
    bound : BoundStrategy
        What it falls back on.
    name : str
        As the kernel calls it.
    """

    def __init__(
        self, config: ZoneConfig, storage: ZoneStorage, bound: BoundStrategy, name: str
    ) -> None:
        self.config, self.name = config, name
        self._storage, self._bound = storage, bound
        self._record = storage.record[0]
        self._record["strategy_state"] = bound.state.ctypes.data
        self._record["asks_refill"] = bound.strategy.refill is not None
        self._base = int(self._record["base"])

    @property
    def address(self) -> int:
        """Where the zone's record lies, for jitted code."""
        return self._storage.address

    def asked(self) -> AbstractContextManager[None]:
        """Run what asks the strategy; what it does wrong is an error in its name."""
        return asked(self._bound, self._storage)

    @property
    def fallback(self) -> runner.Fallback:
        """The compiled strategy, for jitted code."""
        return self._bound.fallback

    @property
    def _end_pfn(self) -> int:
        return self.config.start_pfn + self.config.pages

    @property
    def strategy(self) -> Strategy:
        """The strategy that this zone falls back on."""
        return self._bound.strategy

    def free_list(self, order: int, migratetype: str | int) -> npt.NDArray[np.int64]:
        """First pages of the blocks on a free list, head to tail [pfn]."""
        check_order(self.config, order)
        mt = type_index(migratetype, int(self._record["nr_types"]))
        return self._list(order * NR_TYPES + mt)

    def pcp_list(self, cpu: int, index: int) -> npt.NDArray[np.int64]:
        """First pages of the blocks on a per-CPU list, head to tail [pfn].

        `index` is ``3 * order + migratetype`` up to order 3, then the huge-page lists.
        """
        check_cpu(self.config, cpu)
        lists = PCP_ORDER_LISTS + int(self._record["huge_lists"])
        if not 0 <= index < lists:
            raise IndexError(f"a CPU has the lists 0 to {lists - 1}, found {index}")
        return self._list(BUDDY_LISTS + 1 + cpu * PCP_LISTS + index)

    def pcp(self, cpu: int) -> dict[str, int]:
        """Per-CPU fields of the kernel: count, high, batch and so on [pages]."""
        check_cpu(self.config, cpu)
        fields = self._storage.pcps[cpu]
        values = {name: int(fields[name]) for name in fields.dtype.names}
        if self._record["pcp_fixed_high"]:
            values["free_factor"] = values.pop("free_count")
        return values

    def pageblock_types(self) -> npt.NDArray[np.uint8]:
        """Migratetype of each pageblock, from the one that holds the first page."""
        types: npt.NDArray[np.uint8] = self.pageblocks()["type"].copy()
        return types

    def pageblocks(self) -> npt.NDArray[np.void]:
        """Every pageblock: type, free_blocks, free_pages and lru_pages.

        Free blocks are counted where they begin, with all their pages.
        """
        shift = self.config.pageblock_order
        first = int(self._record["start"]) >> shift
        last = (int(self._record["end"]) - 1) >> shift
        words = self._storage.words[first : last + 1]
        rows = np.empty(len(words), PAGEBLOCK_DTYPE)
        rows["type"] = words & 0xFF
        rows["free_blocks"] = (words >> BLOCKS_SHIFT) & BLOCKS_MASK
        rows["free_pages"] = (words >> PAGES_SHIFT) & PAGES_MASK
        rows["lru_pages"] = (words >> LRU_SHIFT) & PAGES_MASK
        return rows

    def free_counts(self) -> npt.NDArray[np.uint32]:
        """Blocks on each free list, shape (orders, types)."""
        ops = as_ops([(CHECK, 0, 0, 0)])
        buffers = runner.make_buffers(self._storage, ops, results=False, checks=True)
        self._jitted(ops, np.empty(0, np.uint32), buffers)
        counts: npt.NDArray[np.uint32] = buffers.counts[0]
        return counts

    def free_blocks(self) -> npt.NDArray[np.int64]:
        """Free blocks of each order, all migratetypes together."""
        orders = int(self._record["max_order"]) + 1
        blocks: npt.NDArray[np.int64] = self._record["nr_area"][:orders].copy()
        return blocks

    @property
    def counters(self) -> dict[str, int]:
        """Work counted since boot, by name (SEMANTICS 14)."""
        return named_counts(self._record["cnt"])

    def count(self, counter: str) -> int:
        """Work counted since boot by one counter."""
        return int(self._record["cnt"][ALL_COUNTERS.index(counter)])

    @property
    def worst_hold_ps(self) -> int:
        """Worst zone-lock hold of those in `holds` [ps]."""
        return int(self._record["hold_worst_ps"])

    @property
    def holds(self) -> HoldStats:
        """Zone-lock holds since the last replay began, or since `forget_work`."""
        count, histogram = (
            int(self._record["hold_count"]),
            self._storage.histogram.copy(),
        )
        if not self._record["weighted"]:
            histogram[0] = count  # they cost nothing, and were not entered one by one
        return HoldStats(
            count=count,
            total_ps=int(self._record["hold_total_ps"]),
            worst_ps=int(self._record["hold_worst_ps"]),
            worst_counters=named_counts(self._record["hold_worst"]),
            histogram=histogram,
        )

    @property
    def fallbacks(self) -> FallbackMatrix:
        """Fallbacks by type pair since boot, or since `forget_work`."""
        return FallbackMatrix(*(self._record[name].copy() for name in MATRICES))

    @property
    def nr_free(self) -> int:
        """Pages on the free lists [pages]."""
        return int(self._record["nr_free"])

    @property
    def managed(self) -> int:
        """Pages ever handed to the allocator [pages]."""
        return int(self._record["managed"])

    @property
    def watermarks(self) -> dict[str, int]:
        """Watermarks min, low, high and promo without boost, and the boost [pages]."""
        marks = {m: int(self._record[f"wmark_{m}"]) for m in MARKS}
        return {**marks, "boost": int(self._record["boost"])}

    def forget_work(self) -> None:
        """Set work counters, fallbacks and lock holds back to nothing."""
        for name in ("cnt", "hold_start", *MATRICES):
            self._record[name][:] = 0
        self._storage.scans[:] = 0  # they are times on the counter of scans
        self._reset_holds()

    def _reset_holds(self) -> None:
        for name in ("hold_count", "hold_total_ps", "hold_worst_ps"):
            self._record[name] = 0
        self._record["hold_worst"][:] = 0
        self._storage.histogram[:] = 0

    def buddyinfo(self) -> str:
        """Free blocks by order, in the layout of /proc/buddyinfo."""
        return buddyinfo(self.name, self.free_counts())

    def pagetypeinfo(self) -> str:
        """Free blocks by order and type, in the layout of /proc/pagetypeinfo."""
        order = self.config.pageblock_order
        # one per pageblock length from the first page on, as the kernel steps
        firsts = np.arange(self.config.start_pfn, self._end_pfn, 1 << order)
        types = self.pageblock_types()[
            (firsts >> order) - (self.config.start_pfn >> order)
        ]
        return pagetypeinfo(self.name, order, self.free_counts(), types)

    def check(self) -> None:
        """Check every invariant of the zone (`rmqueue.mm.check`).

        Raises
        ------
        InvariantError
            One is broken: its name, the page, the order, what was expected and found.
        """
        from rmqueue.mm.check import INVARIANTS, check_zone
        from rmqueue.mm.check_lists import BREACH

        breach = np.zeros(1, BREACH)
        broken = check_zone(self._storage.address, breach.ctypes.data)
        if broken < 0:
            return
        pfn, order, expected, found = (int(value) for value in breach[0])
        where = None if pfn < 0 else pfn + self._base
        name, number = list(INVARIANTS.items())[broken]
        words = f"{expected} ({number})"
        raise InvariantError(
            name, where, order if order >= 0 else None, words, str(found)
        )

    def _list(self, head: int) -> npt.NDArray[np.int64]:
        at = end = int(self._record["heads"]) + head
        following, pages = self._storage.links[0::2], []
        while (at := int(following[at])) != end:
            pages.append(self._base + at)
        return np.array(pages, np.int64)

    def _jitted(
        self,
        ops: Ops,
        slots: npt.NDArray[np.uint32],
        buffers: runner.Buffers,
        stops: runner.Stops = runner.NO_STOPS,
    ) -> None:
        fallback = self._bound.fallback
        with self.asked():
            runner.run_ops(self._storage, fallback, ops, slots, buffers, stops)


def named_counts(counts: npt.NDArray[np.int64]) -> dict[str, int]:
    """Name counts by the work counters of SEMANTICS 14, and others that are not 0."""
    named = dict(zip(ALL_COUNTERS, counts.tolist(), strict=False))
    return {n: count for n, count in named.items() if count or n in COUNTERS}
