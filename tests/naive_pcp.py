"""Per-CPU page lists of the naive zone.

Third module of the pure-Python reference (see ``naive.py``). A `Pcp` is one CPU's
lists; it calls back into the zone for refills, direct frees and the zone's state.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from tests.naive_lists import (
    BELOW_HIGH,
    BOOSTED,
    HIGHATOMIC,
    HIGHATOMIC_ACCESS,
    KSWAPD,
    MOVABLE,
    RECLAIM_ACTIVE,
    NaiveConfig,
)

PREV, KEEP = 1, 2
COSTLY = 3
HUGE_LIST = 12


class PcpZone(Protocol):
    """What a CPU needs to know of its zone."""

    config: NaiveConfig
    is_61: bool
    until_69: bool
    since_618: bool
    is_73: bool
    managed: int
    wmark_low: int
    boost_pages: int
    zone_flags: int
    wakeups: int
    work: dict[str, int]

    def ptype(self, pfn: int) -> int: ...
    def set_lru(self, pfn: int, order: int, on: bool) -> None: ...
    def free_one(
        self, pfn: int, order: int, mt: int, to_tail: bool = False
    ) -> None: ...
    def free_direct(self, pfn: int, order: int) -> None: ...
    def buddy_alloc(self, order: int, mt: int, flags: int) -> int | None: ...
    def bulk(self, order: int, count: int, mt: int, flags: int) -> list[int]: ...
    def high_watermark_ok(self) -> bool: ...


def clamp(x: int, low: int, high: int) -> int:
    """As the kernel's: when the bounds cross, the upper one wins."""
    return min(max(x, low), high)


def pow2floor(x: int) -> int:
    return 1 << (x.bit_length() - 1)


class Pcp:
    """One CPU's lists: head on the left of each deque."""

    def __init__(self, zone: PcpZone) -> None:
        config = zone.config
        self.zone = zone
        self.huge_order = config.pageblock_order if zone.until_69 else 9
        self.one_huge_list = zone.until_69 and not zone.is_61
        nr_lists = HUGE_LIST + (1 if self.one_huge_list else 2)
        self.lists: list[deque[int]] = [deque() for _ in range(nr_lists)]
        self.count = self.high = self.alloc_factor = self.free_count = 0
        self.flags = KEEP if config.pcp_free_high_batch else 0
        self.batch = self._batch_size()
        self.scale_max = config.pcp_batch_scale_max
        least = 4 * self.batch
        low = zone.wmark_low + zone.boost_pages
        self.high_min = max(low // config.cpus, least)
        self.high_max = max(zone.managed // 8 // config.cpus, least)
        fraction = config.percpu_pagelist_high_fraction
        if fraction > 0:
            self.high_min = max(zone.managed // fraction // config.cpus, least)
            self.high_max = self.high_min

    def _batch_size(self) -> int:
        if self.zone.since_618:
            batch = min(self.zone.managed >> 12, 64)
            return 1 if batch <= 1 else pow2floor(batch + batch // 2) - 1
        batch = max(min(self.zone.managed >> 10, 256) // 4, 1)
        return max(1, pow2floor(batch + batch // 2) - 1)

    def factors(self) -> tuple[int, int]:
        """What hashes take between `high` and `flags`."""
        return self.alloc_factor, self.free_count

    # Which list ------------------------------------------------------------------

    def allows(self, order: int) -> bool:
        return order <= COSTLY or order == self.huge_order

    def index_of(self, order: int, mt: int) -> int:
        if order <= COSTLY:
            return 3 * order + mt
        if self.one_huge_list or mt != MOVABLE:
            return HUGE_LIST
        return HUGE_LIST + 1

    def order_of(self, index: int) -> int:
        return index // 3 if index < HUGE_LIST else self.huge_order

    # Allocation ------------------------------------------------------------------

    def alloc(self, order: int, mt: int, flags: int) -> int | None:
        zone = self.zone
        if not self.allows(order):
            return zone.buddy_alloc(order, mt, flags)
        self.free_count >>= 1
        pages = self.lists[self.index_of(order, mt)]
        if not pages:
            self._refill(pages, order, mt, flags)
        pfn: int | None
        if pages:
            pfn = pages.popleft()
            self.count -= 1 << order
        else:
            pfn = zone.buddy_alloc(order, mt, flags)
        if flags & KSWAPD and zone.zone_flags & BOOSTED:
            zone.zone_flags &= ~BOOSTED
            zone.wakeups += 1
        return pfn

    def _refill(self, pages: deque[int], order: int, mt: int, flags: int) -> None:
        wanted = self.refill_size(order)  # changes high and alloc_factor in any case
        if self.zone.since_618 and flags & HIGHATOMIC_ACCESS:
            return
        got = self.zone.bulk(order, wanted, mt, flags)
        pages.extend(got)
        self.count += len(got) << order

    def refill_size(self, order: int) -> int:
        self.high = high = clamp(self.high, self.high_min, self.high_max)
        if high < self.batch:
            return 1
        below_high = self.zone.zone_flags & BELOW_HIGH
        batch = self.batch if order > 0 else self.batch << self.alloc_factor
        if self.high_min != self.high_max and not below_high:
            self.high = high = min(high + batch, self.high_max)
        if order == 0:
            most = max(high - self.count - self.batch, self.batch)
            if batch <= most and self.alloc_factor < self.scale_max:
                self.alloc_factor += 1
            batch = min(batch, most)
        if batch > 1:
            batch = max(batch >> order, 2)
        return batch

    # Freeing ---------------------------------------------------------------------

    def free(self, pfn: int, order: int) -> None:
        zone = self.zone
        if not self.allows(order):
            zone.free_direct(pfn, order)
            return
        zone.set_lru(pfn, order, False)
        mt = zone.ptype(pfn)
        if mt >= HIGHATOMIC:
            mt = MOVABLE
        self.alloc_factor >>= 1
        index = self.index_of(order, mt)
        self.lists[index].appendleft(pfn)
        self.count += 1 << order
        free_high = self._note_order(order)
        if self.free_count < self.batch << self.scale_max:
            self.free_count += 1 << order
        high_now = self.pcp_high(free_high)
        if self.count >= high_now:
            self._trim(self.to_free(high_now, free_high), index)
            if zone.zone_flags & BELOW_HIGH and zone.high_watermark_ok():
                zone.zone_flags &= ~BELOW_HIGH

    def _note_order(self, order: int) -> bool:
        """Whether a run of high-order frees asks for a flush; remember this free."""
        if not 1 <= order <= COSTLY:
            self.flags &= ~PREV
            return False
        enough = self.batch
        if self.zone.since_618:
            enough += self.high_min // 2
        free_high = (
            self.free_count >= enough
            and bool(self.flags & PREV)
            and (not self.flags & KEEP or self.count >= self.batch)
        )
        self.flags |= PREV
        return free_high

    def _trim(self, pages: int, index: int) -> None:
        if not self.zone.is_73:
            self.flush(pages, index)
            return
        while pages > 0 and self.count > 0:
            chunk = min(pages, self.batch)
            self.flush(chunk, index)
            pages -= chunk

    def pcp_high(self, free_high: bool) -> int:
        """The level at which this free must trim; also adapts `high` for later."""
        self.high = high = clamp(self.high, self.high_min, self.high_max)
        if high == 0:
            return 0
        if free_high:
            self.high = max(high - (self.batch << self.scale_max), self.high_min)
            return 0
        free_count = max(self.free_count, self.batch)
        if self.zone.zone_flags & RECLAIM_ACTIVE:
            self.high = max(high - free_count, self.high_min)
            return min(4 * self.batch, self.high)
        if self.high_min == self.high_max:
            return high
        if self.zone.zone_flags & BELOW_HIGH:
            self.high = max(high - free_count, self.high_min)
            return max(self.count, self.high_min)
        need = self.free_count + self.batch
        if self.count >= high and high < need:
            self.high = clamp(need, self.high_min, self.high_max)
        return high

    def to_free(self, high: int, free_high: bool) -> int:
        if free_high:
            return min(self.count, self.batch << self.scale_max)
        if high < self.batch:
            return 1
        return clamp(self.free_count, self.batch, high - self.batch)

    # Giving back -----------------------------------------------------------------

    def flush(self, pages: int, index: int) -> None:
        """Give pages back from the tails: one list after the other, each to its end."""
        zone = self.zone
        zone.work["lock"] += 1
        zone.work["pcp_flush"] += 1
        pages = min(self.count, pages)
        while pages > 0:
            while not self.lists[index]:
                index = (index + 1) % len(self.lists)
            order = self.order_of(index)
            pfn = self.lists[index].pop()
            pages -= 1 << order
            self.count -= 1 << order
            zone.work["pcp_flush_pages"] += 1 << order
            zone.free_one(pfn, order, self.type_of(pfn))

    def type_of(self, pfn: int) -> int:
        """Type of the lists that a page goes back to."""
        return self.zone.ptype(pfn)

    def decay(self) -> int:
        did = 0
        if self.high > self.high_min:
            self.high = max(
                self.count - (self.batch << self.scale_max),
                self.high - (self.high >> 3),
                self.high_min,
            )
            did += self.high > self.high_min
        surplus = self.count - self.high
        if surplus <= 0:
            return did
        if not self.zone.is_73:
            self.flush(surplus, 0)
            return did + 1
        while surplus > 0:
            chunk = min(surplus, self.batch)
            self.flush(chunk, 0)
            surplus -= chunk
        return 1

    def drain(self) -> None:
        if self.zone.until_69:
            if self.count:
                self.flush(self.count, 0)
            return
        left = self.count
        while left:
            before = self.count  # an overshoot of the last flush shows only here
            chunk = min(before, self.batch << self.scale_max)
            if before:
                self.flush(chunk, 0)
            left = before - chunk
