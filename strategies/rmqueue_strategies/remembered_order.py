"""Experiment: `remembered_fallback` that also remembers the order of the last claim.

Brendan Jackman's idea in the review of 90abee6d7895 (April 2025): as the mode is
remembered within a batch, why not the order?  While the lock is held, what was too
large to claim stays so: the next search may begin where the last one ended, and gives
the same pages with fewer lists visited.  A steal has nothing to remember: the halves
that it leaves lie on the lists from the order asked for up, where its search begins.
"""

from __future__ import annotations

from typing import Any

from rmqueue.hookspecs import hookimpl
from rmqueue.mm.fallback import (
    find_suitable_fallback,
    first_block,
    lowest_order,
    rmqueue_cma_fallback,
    rmqueue_steal,
    should_try_claim_block,
    try_to_claim_block,
)
from rmqueue.mm.jit import jit
from rmqueue.mm.mmzone import (
    ALLOC_NOFRAGMENT,
    RMQUEUE_CMA,
    RMQUEUE_NORMAL,
    RMQUEUE_STEAL,
    pageblock_type,
)
from rmqueue.mm.vmstat import FALLBACK, LOCK
from rmqueue.types import Strategy


@jit
def claim(zone: Any, order: int, start_mt: int, flags: int, st: Any) -> int:
    """Search top-down for a pageblock to claim, from the last one in this batch on."""
    zone.cnt[FALLBACK] += 1
    high = zone.max_order
    if st.hold == zone.cnt[LOCK]:
        high = st.claim_order
    while high >= lowest_order(zone, order, flags):
        fallback_mt = find_suitable_fallback(zone, high, start_mt, False)
        if fallback_mt >= 0:
            if not should_try_claim_block(zone, high, start_mt):
                break
            pfn = first_block(zone, high, fallback_mt)
            mt = pageblock_type(zone, pfn)
            page = try_to_claim_block(zone, pfn, high, order, start_mt, mt, flags)
            if page >= 0:
                st.hold, st.claim_order = zone.cnt[LOCK], high
                return page
        high -= 1
    return -1


@jit
def fallback(
    zone: Any, order: int, start_mt: int, flags: int, batch: Any, st: Any
) -> int:
    """Start where the last page of this batch was found, at the same order."""
    if batch.mode != RMQUEUE_STEAL:
        pfn = rmqueue_cma_fallback(zone, order, flags)
        if pfn >= 0:
            batch.mode = RMQUEUE_CMA
            return pfn
        pfn = claim(zone, order, start_mt, flags, st)
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
    name="remembered-order",
    summary="Remembered fallback that goes on at the order of the last claim.",
    fallback=fallback,
    state=(("hold", "i8"), ("claim_order", "i8")),
    kernel="7.3",
    references=("Brendan Jackman, review of Linux 90abee6d7895 on linux-mm, 2025",),
)


@hookimpl
def rmqueue_strategies() -> list[Strategy]:
    """Register `STRATEGY`."""
    return [STRATEGY]
