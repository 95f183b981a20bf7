"""Experiment: `remembered_fallback` that notices what its steals expose.

A steal takes the head of a list, and the block behind it may lie in a pageblock that
can be claimed; while stealing is remembered, nobody looks.  Here the thief looks at the
new head before it goes, and forgets the mode if that can be claimed.
"""

from __future__ import annotations

from typing import Any

from rmqueue.hookspecs import hookimpl
from rmqueue.mm.fallback import (
    find_suitable_fallback,
    first_block,
    rmqueue_claim,
    rmqueue_cma_fallback,
    should_try_claim_block,
    steal_block,
    worth_claiming,
)
from rmqueue.mm.jit import jit
from rmqueue.mm.mmzone import (
    ALLOC_NOFRAGMENT,
    RMQUEUE_CMA,
    RMQUEUE_NORMAL,
    RMQUEUE_STEAL,
    pageblock_type,
)
from rmqueue.mm.pageblock import may_scan_pageblock
from rmqueue.mm.vmstat import STEAL_SEARCH
from rmqueue.types import Strategy


@jit
def exposes_claim(zone: Any, high: int, fallback_mt: int, start_mt: int) -> bool:
    """Whether the block that is first now lies in a pageblock that can be claimed."""
    if not should_try_claim_block(zone, high, start_mt):
        return False
    pfn = first_block(zone, high, fallback_mt)
    if pfn < 0 or not may_scan_pageblock(zone, pfn):
        return False
    return bool(worth_claiming(zone, pfn, start_mt, pageblock_type(zone, pfn)))


@jit
def steal(zone: Any, order: int, start_mt: int, batch: Any) -> int:
    """Steal the smallest buddy, and remember to do so again unless a claim shows up."""
    zone.cnt[STEAL_SEARCH] += 1
    for high in range(order, zone.max_order + 1):
        mt = find_suitable_fallback(zone, high, start_mt, False)
        if mt >= 0:
            pfn = first_block(zone, high, mt)
            steal_block(zone, pfn, high, order, start_mt, mt)
            batch.mode = RMQUEUE_STEAL
            if exposes_claim(zone, high, mt, start_mt):
                batch.mode = RMQUEUE_NORMAL
            return pfn
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
        pfn = rmqueue_claim(zone, order, start_mt, flags)
        if pfn >= 0:
            batch.mode = RMQUEUE_NORMAL
            return pfn
    if flags & ALLOC_NOFRAGMENT:
        return -1
    return steal(zone, order, start_mt, batch)


STRATEGY = Strategy(
    name="reclaiming-memory",
    summary="Remembered fallback that claims what a steal has exposed.",
    fallback=fallback,
    kernel="7.3",
    references=("Linux 90abee6d7895 is not equivalent to c2f6ea38fc1b: docs/",),
)


@hookimpl
def rmqueue_strategies() -> list[Strategy]:
    """Register `STRATEGY`."""
    return [STRATEGY]
