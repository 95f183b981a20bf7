"""Linux 6.16 to 7.3: `remembered_fallback` with a tighter search for claims.

The second patch of April 2025 and what followed: an order too small to be claimed ends
the search before its lists are looked at, and the type of a block is that of its list.
"""

from __future__ import annotations

from typing import Any

from rmqueue.hookspecs import hookimpl
from rmqueue.mm.fallback import (
    NOT_CLAIMABLE,
    find_suitable_fallback,
    first_block,
    lowest_order,
    rmqueue_cma_fallback,
    rmqueue_steal,
    try_to_claim_block,
)
from rmqueue.mm.jit import jit
from rmqueue.mm.mmzone import (
    ALLOC_NOFRAGMENT,
    RMQUEUE_CMA,
    RMQUEUE_NORMAL,
    RMQUEUE_STEAL,
)
from rmqueue.mm.vmstat import FALLBACK
from rmqueue.types import Strategy


@jit
def claim(zone: Any, order: int, start_mt: int, flags: int) -> int:
    """Search top-down for a pageblock to claim (__rmqueue_claim, Linux 6.16)."""
    zone.cnt[FALLBACK] += 1
    high = zone.max_order
    while high >= lowest_order(zone, order, flags):
        mt = find_suitable_fallback(zone, high, start_mt, True)
        if mt == NOT_CLAIMABLE:
            break
        if mt >= 0:
            pfn = first_block(zone, high, mt)
            page = try_to_claim_block(zone, pfn, high, order, start_mt, mt, flags)
            if page >= 0:
                return page
        high -= 1
    return -1


@jit
def fallback(
    zone: Any, order: int, start_mt: int, flags: int, batch: Any, st: Any
) -> int:
    """Start where the last page of this batch was found."""
    if batch.mode != RMQUEUE_STEAL:
        pfn = rmqueue_cma_fallback(zone, order, flags)
        if pfn >= 0:
            batch.mode = RMQUEUE_CMA
            return pfn
        pfn = claim(zone, order, start_mt, flags)
        if pfn >= 0:
            batch.mode = RMQUEUE_NORMAL
            return pfn
    if flags & ALLOC_NOFRAGMENT:
        return -1
    pfn = rmqueue_steal(zone, order, start_mt)
    if pfn >= 0:
        batch.mode = RMQUEUE_STEAL
    return pfn


STRATEGY = Strategy(
    name="tight-fallback",
    summary="Remembered fallback with a tighter search for blocks to claim.",
    fallback=fallback,
    linux="patch 2/2 and what followed (6.16 to 7.3)",
    kernel="7.3",
    references=("Linux 7.3: __rmqueue_claim(), find_suitable_fallback()",),
)


@hookimpl
def rmqueue_strategies() -> list[Strategy]:
    """Register `STRATEGY`."""
    return [STRATEGY]
