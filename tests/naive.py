"""The zone allocator, written plainly: the reference for every jitted function.

Pure Python from the specification alone, numpy only for what `replay` returns. Five
modules: ``naive_lists`` (lists, types, merging, boot), ``naive_search`` (the six
searches), ``naive_pcp`` and ``naive_fixed_pcp`` (per-CPU lists since 6.7, and before)
and this one (operations and recording).

The kernel profile and the strategy are independent: the strategy decides where
`rmqueue` finds a page and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.naive_fixed_pcp import CarryingPcp, FixedPcp
from tests.naive_lists import (
    BELOW_HIGH,
    BOOSTED,
    CMA,
    CMA_ACCESS,
    COUNTERS,
    HIGHATOMIC,
    HIGHATOMIC_ACCESS,
    KSWAPD,
    MERGEABLE,
    MIN_RESERVE,
    MOVABLE,
    NOFRAGMENT,
    NOLRU,
    NON_BLOCK,
    OOM,
    RECLAIM_ACTIVE,
    RECLAIMABLE,
    UNMOVABLE,
    NaiveConfig,
    NaiveLists,
)
from tests.naive_pcp import Pcp
from tests.naive_search import Request, rmqueue

__all__ = [
    "BELOW_HIGH", "BOOSTED", "CMA", "CMA_ACCESS", "COUNTERS", "HIGHATOMIC",
    "HIGHATOMIC_ACCESS", "KSWAPD", "MIN_RESERVE", "MOVABLE", "NOFRAGMENT", "NOLRU",
    "NON_BLOCK", "OOM", "OPS_DTYPE", "RECLAIMABLE", "RECLAIM_ACTIVE", "UNMOVABLE",
    "NaiveConfig", "NaiveZone",
]  # fmt: skip

OPS_DTYPE = np.dtype(
    [("code", "u1"), ("a", "<i4"), ("b", "<i4"), ("c", "<i4")], align=True
)
(
    NOP, ALLOC, FREE, BULK, PCP_ALLOC, PCP_FREE, PCP_DRAIN, PCP_DECAY, CHECK,
    ZONE_CTL, UNRESERVE, SET_LRU, SPLIT,
) = range(13)  # fmt: skip

FNV_START, FNV_PRIME, MASK64 = 0xCBF29CE484222325, 0x100000001B3, (1 << 64) - 1


def fnv(words: Iterable[int]) -> int:
    """Hash of a sequence of words, each taken as unsigned 64-bit."""
    h = FNV_START
    for word in words:
        h = ((h ^ (word & MASK64)) * FNV_PRIME) & MASK64
    return h


class NaiveZone(NaiveLists):
    """One zone after boot; see `apply` for the operations."""

    def __init__(self, config: NaiveConfig) -> None:
        super().__init__(config)
        if config.strategy == "greedy-steal" and not self.until_69:
            raise ValueError("greedy-steal needs the mixed lists of kernels up to 6.9")
        self.wakeups = 0
        self.boot()
        kind = FixedPcp if self.is_61 else CarryingPcp if self.until_68 else Pcp
        self.pcps = [kind(self) for _ in range(config.cpus)]
        self.work = dict.fromkeys(COUNTERS, 0)
        self.slots: dict[int, tuple[int, int]] = {}  # slot -> pfn, order
        self.slot_orders: dict[int, int] = {}  # also of requests that failed
        self.res: list[int] = []
        self.scan: list[int] = []
        self.bulk_pfns: list[int] = []
        self.checks: dict[str, list[Any]] = {
            key: [] for key in ("hashes", "zone", "counters", "types", "counts")
        }

    # Accessors -------------------------------------------------------------------

    def free_list(self, order: int, mt: int) -> list[int]:
        """First pfns of the blocks of one list, head to tail."""
        return list(self.lists[order][mt])

    def types(self) -> list[int]:
        return list(self.block_types)

    def pcp_lists(self, cpu: int) -> list[list[int]]:
        return [list(pages) for pages in self.pcps[cpu].lists]

    @property
    def counters(self) -> list[int]:
        return [self.work[name] for name in COUNTERS]

    # The zone's own operations ---------------------------------------------------

    def rmqueue(self, request: Request) -> int | None:
        return rmqueue(self, request)

    def buddy_alloc(self, order: int, mt: int, flags: int = 0) -> int | None:
        self.work["lock"] += 1
        pfn = None
        if flags & HIGHATOMIC_ACCESS:
            pfn = self.smallest(order, HIGHATOMIC)
        if pfn is None:
            pfn = self.rmqueue(Request(order, mt, flags))
        last_resort = OOM if self.until_69 else OOM | NON_BLOCK
        if pfn is None and flags & last_resort:
            pfn = self.smallest(order, HIGHATOMIC)
        if pfn is not None and self.since_618 and flags & HIGHATOMIC_ACCESS:
            self.reserve(pfn, order)
        return pfn

    def bulk(self, order: int, count: int, mt: int, flags: int = 0) -> list[int]:
        self.work["lock"] += 1
        self.work["bulk"] += 1
        request, got = Request(order, mt, flags), list[int]()
        while len(got) < count:
            pfn = self.rmqueue(request)
            if pfn is None:
                break
            got.append(pfn)
            if self.until_69:
                self.taken_in_batch += 1 << order
        self.taken_in_batch = 0
        return got

    def free_direct(self, pfn: int, order: int) -> None:
        self.work["lock"] += 1
        self.set_lru(pfn, order, False)
        self.free_pieces(pfn, order)

    def pcp_alloc(self, cpu: int, order: int, mt: int, flags: int = 0) -> int | None:
        return self.pcps[cpu].alloc(order, mt, flags)

    def pcp_free(self, cpu: int, pfn: int, order: int) -> None:
        self.pcps[cpu].free(pfn, order)

    def drain(self, cpu: int) -> None:
        self.pcps[cpu].drain()

    def decay(self, cpu: int) -> int:
        return self.pcps[cpu].decay()

    def high_watermark_ok(self) -> bool:
        reserve = self.nr_reserved_high if self.until_69 else self.nr_free_high
        if self.config.cma:
            reserve += self.nr_free_cma
        return self.nr_free - reserve > self.wmark_high + self.boost_pages

    # HIGHATOMIC ------------------------------------------------------------------

    def reserve(self, pfn: int, order: int) -> None:
        """Set a pageblock aside after a HIGHATOMIC allocation."""
        percent = self.managed // 100
        if percent < self.pb_pages:
            return
        if self.nr_reserved_high >= -(-percent // self.pb_pages) * self.pb_pages:
            return
        self.work["lock"] += 1
        if self.ptype(pfn) not in MERGEABLE:
            return
        if self.until_69:
            self.nr_reserved_high += self.pb_pages
            self.settype(pfn, HIGHATOMIC)
            if self.pageblock_inside(pfn):
                self.move_pageblock(pfn, HIGHATOMIC)
        elif order >= self.pb_order:
            self.settype_range(pfn, order, HIGHATOMIC)
            self.nr_reserved_high += 1 << order
        elif self.pageblock_inside(pfn):
            self.move_pageblock(pfn, HIGHATOMIC)
            self.settype(pfn, HIGHATOMIC)
            self.nr_reserved_high += self.pb_pages

    def unreserve(self, mt: int, force: bool) -> int:
        """Give one reserved block back to `mt`; 1 if there was one."""
        if not force and self.nr_reserved_high <= self.pb_pages:
            return 0
        self.work["lock"] += 1
        for order in range(self.max_order + 1):
            self.work["head"] += 1
            pfn = self.first(order, HIGHATOMIC)
            if pfn is None:
                continue
            if not self.until_69:
                self._unreserve_block(pfn, order, mt)
                return 1
            if self._unreserve_pageblock_69(pfn, mt):
                return 1
        return 0

    def _unreserve_block(self, pfn: int, order: int, mt: int) -> None:
        if self.since_618 or self.ptype(pfn) == HIGHATOMIC:
            pages = max(self.pb_pages, 1 << order)
            self.nr_reserved_high -= min(pages, self.nr_reserved_high)
        if order < self.pb_order:
            self.move_pageblock(pfn, mt)
            self.settype(pfn, mt)
        else:
            self.move(pfn, order, mt)
            self.settype_range(pfn, order, mt)

    def _unreserve_pageblock_69(self, pfn: int, mt: int) -> bool:
        if self.ptype(pfn) == HIGHATOMIC:
            self.nr_reserved_high -= min(self.pb_pages, self.nr_reserved_high)
        self.settype(pfn, mt)
        return self.pageblock_inside(pfn) and self.move_pageblock(pfn, mt) > 0

    # The op stream ---------------------------------------------------------------

    def apply(self, code: int, a: int, b: int, c: int) -> int | None:
        """Run one operation; return what a replay records for it, if anything."""
        if code in (ALLOC, BULK, PCP_ALLOC, PCP_DECAY, UNRESERVE):
            before = self.work["scan_page"]
            result = self._apply_recorded(code, a, b, c)
            self.res.append(result)
            self.scan.append(self.work["scan_page"] - before)
            return result
        if code == FREE and b in self.slots:
            self.free_direct(*self.slots.pop(b))
        elif code == PCP_FREE and b in self.slots:
            self.pcp_free(c, *self.slots.pop(b))
        elif code == PCP_DRAIN:
            self.drain(c)
        elif code == CHECK:
            self._check()
        elif code == ZONE_CTL:
            self._zone_ctl(a, b)
        elif code == SET_LRU and b in self.slots:
            self.set_lru(*self.slots[b], on=c != 0)
        elif code == SPLIT:
            self._split(a, b, c)
        return None

    def _apply_recorded(self, code: int, a: int, b: int, c: int) -> int:
        if code == PCP_DECAY:
            return self.decay(c)
        if code == UNRESERVE:
            return self.unreserve(a, b != 0)
        order, mt, flags = a & 0xFF, (a >> 8) & 0xFF, a >> 16
        if code == BULK:
            return self._bulk_into_slots(order, mt, flags, b, c)
        if code == ALLOC:
            pfn = self.buddy_alloc(order, mt, flags)
        else:
            pfn = self.pcp_alloc(c, order, mt, flags)
        if pfn is not None and flags & HIGHATOMIC_ACCESS and not self.since_618:
            self.reserve(pfn, order)
        self._put(b, pfn, order, mt, flags)
        return -1 if pfn is None else pfn

    def _bulk_into_slots(
        self, order: int, mt: int, flags: int, slot: int, count: int
    ) -> int:
        got = self.bulk(order, count, mt, flags)
        for i in range(count):
            self._put(slot + i, got[i] if i < len(got) else None, order, mt, flags)
        self.bulk_pfns.extend(got)
        return len(got)

    def _put(self, slot: int, pfn: int | None, order: int, mt: int, flags: int) -> None:
        """Store what a request got; a movable page goes to the LRU."""
        self.slots.pop(slot, None)
        self.slot_orders[slot] = order
        if pfn is not None:
            self.slots[slot] = (pfn, order)
            if mt == MOVABLE and not flags & NOLRU:
                self.set_lru(pfn, order, True)

    def _zone_ctl(self, what: int, value: int) -> None:
        if what == 16:
            self.boost_pages = value
        elif value:
            self.zone_flags |= 1 << what
        else:
            self.zone_flags &= ~(1 << what)

    def _split(self, order: int, slot: int, first_slot: int) -> None:
        old = self.slot_orders.get(slot, order)
        if old < order:
            return
        pfn = self.slots.pop(slot, (None, old))[0]
        for i in range(1 << (old - order)):
            at = None if pfn is None else pfn + (i << order)
            self._put(first_slot + i, at, order, UNMOVABLE, NOLRU)

    # Recording -------------------------------------------------------------------

    def replay(self, ops: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        """Run a stream; return the arrays of a golden result file.

        `res` and `bulk_delta` are int64 here, since pfns may exceed 32 bits.
        """
        for code, a, b, c in ops.tolist():
            self.apply(code, a, b, c)
        checks = len(self.checks["hashes"])
        orders = self.max_order + 1
        shapes = {
            "hashes": (checks, 3, np.uint64),
            "zone": (checks, 13, np.int64),
            "counters": (checks, len(COUNTERS), np.uint64),
            "types": (checks, len(self.block_types), np.uint8),
            "counts": (checks, orders * self.nr_types, np.uint32),
        }
        out: dict[str, npt.NDArray[Any]] = {
            "res": np.array(self.res, np.int64),
            "bulk_delta": np.diff(np.array(self.bulk_pfns, np.int64), prepend=0),
            "scan": np.array(self.scan, np.uint32),
        }
        for key, (rows, columns, dtype) in shapes.items():
            out[key] = np.array(self.checks[key], dtype).reshape(rows, columns)
        out["counts"] = out["counts"].reshape(checks, orders, self.nr_types)
        return out

    def _check(self) -> None:
        pcps = (word for pcp in self.pcps for word in self._pcp_words(pcp))
        self.checks["hashes"].append(
            [fnv(self._list_words()), fnv(self.block_types), fnv(pcps)]
        )
        self.checks["zone"].append([
            self.wmark_min, self.wmark_low, self.wmark_high, self.wmark_promo,
            self.boost_pages, self.nr_reserved_high, self.nr_free_high, self.nr_free,
            self.nr_free_cma, self.managed, self.zone_flags, self.wakeups,
            self.min_free_kbytes,
        ])  # fmt: skip
        self.checks["counters"].append(self.counters)
        self.checks["types"].append(self.types())
        self.checks["counts"].append([len(q) for row in self.lists for q in row])

    def _list_words(self) -> Iterable[int]:
        for order, row in enumerate(self.lists):
            for mt, blocks in enumerate(row):
                yield 256 * order + mt
                yield from blocks
                yield len(blocks)

    def _pcp_words(self, pcp: Pcp) -> Iterable[int]:
        yield from (pcp.count, pcp.high, *pcp.factors(), pcp.flags)
        for i, pages in enumerate(pcp.lists):
            yield i
            yield from pages
            yield len(pages)
