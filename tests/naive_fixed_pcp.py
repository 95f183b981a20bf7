"""Per-CPU page lists of the naive zone as older kernels have them.

Fourth module of the pure-Python reference (see ``naive.py``). Up to 6.9 a page knows
the type that it came with. Before 6.7, the number of pages that a CPU may keep is
fixed, too; what grows, with every flush, is the number given back at once.
"""

from __future__ import annotations

from collections import deque

from tests.naive_lists import CMA, HIGHATOMIC, MOVABLE, RECLAIM_ACTIVE
from tests.naive_pcp import COSTLY, Pcp, PcpZone


class CarryingPcp(Pcp):
    """One CPU's lists, whose pages go back to the lists of the type they came with."""

    def __init__(self, zone: PcpZone) -> None:
        super().__init__(zone)
        self.carried: dict[int, int] = {}  # pages on the lists -> type they came with

    def alloc(self, order: int, mt: int, flags: int) -> int | None:
        pfn = super().alloc(order, mt, flags)
        if self.allows(order) and pfn is not None:
            self.carried.pop(pfn, None)
        return pfn

    def _refill(self, pages: deque[int], order: int, mt: int, flags: int) -> None:
        got = self.zone.bulk(order, self.refill_size(order), mt, flags)
        for pfn in got:
            self.carried[pfn] = CMA if self.zone.ptype(pfn) == CMA else mt
        pages.extend(got)
        self.count += len(got) << order

    def free(self, pfn: int, order: int) -> None:
        if self.allows(order):
            self.carried[pfn] = self.zone.ptype(pfn)
        super().free(pfn, order)

    def type_of(self, pfn: int) -> int:
        return self.carried.pop(pfn)


class FixedPcp(CarryingPcp):
    """One CPU's lists: head on the left of each deque."""

    def __init__(self, zone: PcpZone) -> None:
        super().__init__(zone)
        self.high = self.high_min
        self.free_factor = 0

    def factors(self) -> tuple[int, int]:
        return 0, self.free_factor

    # Allocation ------------------------------------------------------------------

    def alloc(self, order: int, mt: int, flags: int) -> int | None:
        pfn = super().alloc(order, mt, flags)
        if self.allows(order):
            self.free_factor >>= 1
        return pfn

    def refill_size(self, order: int) -> int:
        return max(self.batch >> order, 2) if self.batch > 1 else self.batch

    # Freeing ---------------------------------------------------------------------

    def free(self, pfn: int, order: int) -> None:
        zone = self.zone
        if not self.allows(order):
            zone.free_direct(pfn, order)
            return
        zone.set_lru(pfn, order, False)
        self.carried[pfn] = mt = zone.ptype(pfn)
        index = self.index_of(order, MOVABLE if mt >= HIGHATOMIC else mt)
        self.lists[index].appendleft(pfn)
        self.count += 1 << order
        in_a_row = self.free_factor > 0 and 1 <= order <= COSTLY
        may_keep = 0 if in_a_row else self.may_keep()
        if self.count >= may_keep:
            self.flush(self.count if in_a_row else self.share(may_keep), index)

    def may_keep(self) -> int:
        if self.high and self.zone.zone_flags & RECLAIM_ACTIVE:
            return min(4 * self.batch, self.high)
        return self.high

    def share(self, may_keep: int) -> int:
        """What is given back of too many pages; at least a batch stays."""
        if may_keep < self.batch:
            return 1
        pages, most = self.batch << self.free_factor, may_keep - self.batch
        if pages < most and self.free_factor < self.scale_max:
            self.free_factor += 1
        return min(max(pages, self.batch), most)

    # Giving back -----------------------------------------------------------------

    def decay(self) -> int:
        return 0
