"""Experiment: claim the pageblock with the most free pages, exactly.

The kernel takes the head of the list of the largest blocks, a guess at where most is
free; its comment calls the exact answer too costly.  Our pageblock words make it cheap:
one look at a word tells what a scan would find.  Stealing is as in
`remembered_fallback`.  What a kernel would pay to keep such words is not counted.
"""

from __future__ import annotations

from typing import Any

from rmqueue.hookspecs import hookimpl
from rmqueue.mm.fallback import (
    rmqueue_cma_fallback,
    rmqueue_steal,
    try_to_claim_block,
)
from rmqueue.mm.jit import jit
from rmqueue.mm.mmzone import (
    ALLOC_NOFRAGMENT,
    MOVABLE,
    PAGE_FREE,
    PAGE_ORDER,
    RECLAIMABLE,
    RMQUEUE_CMA,
    RMQUEUE_NORMAL,
    RMQUEUE_STEAL,
    page_state,
    pageblock_type,
    pageblock_word,
)
from rmqueue.mm.pageblock import (
    free_blocks_in,
    free_pages_in,
    lru_pages_in,
    may_scan_pageblock,
)
from rmqueue.mm.vmstat import FALLBACK
from rmqueue.types import Strategy


@jit
def claimable_pages(zone: Any, pfn: int, start_mt: int) -> int:
    """Free pages [pages] of a pageblock of another type that can be claimed, or 0."""
    block_mt = pageblock_type(zone, pfn)
    if block_mt == start_mt or block_mt > RECLAIMABLE:
        return 0
    if not may_scan_pageblock(zone, pfn):
        return 0
    word = pageblock_word(zone, pfn)
    free, movable = free_pages_in(word), lru_pages_in(word)
    if free_blocks_in(word) == 0:
        return 0
    alike = 0
    if start_mt == MOVABLE:
        alike = movable
    elif block_mt == MOVABLE:
        alike = zone.pageblock_pages - (free + movable)
    return int(free) if free + alike >= zone.pageblock_pages // 2 else 0


@jit
def largest_block(zone: Any, pfn: int, order: int) -> int:
    """First page of the largest free block that begins in a pageblock, or -1."""
    best, high = -1, order - 1
    q = pfn
    while q < pfn + zone.pageblock_pages:
        state = page_state(zone, q)
        if state & PAGE_FREE:
            if state & PAGE_ORDER > high:
                best, high = q, state & PAGE_ORDER
            q += 1 << (state & PAGE_ORDER)
        else:
            q += 1
    return best


@jit
def claim(zone: Any, order: int, start_mt: int, flags: int) -> int:
    """Claim the pageblock with the most free pages, the first of several."""
    zone.cnt[FALLBACK] += 1
    best, most, pages = -1, 0, zone.pageblock_pages
    for pfn in range(zone.start // pages * pages, zone.end, pages):
        free = claimable_pages(zone, pfn, start_mt)
        if free > most:
            pfn_free = largest_block(zone, pfn, order)
            if pfn_free >= 0:
                best, most = pfn_free, free
    if best < 0 or (flags & ALLOC_NOFRAGMENT and most < pages):
        return -1
    high = page_state(zone, best) & PAGE_ORDER
    mt = pageblock_type(zone, best)
    return int(try_to_claim_block(zone, best, high, order, start_mt, mt, flags))


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
    name="fullest-claim",
    summary="Claim the pageblock with the most free pages, else steal; remembered.",
    fallback=fallback,
    kernel="7.3",
    references=("Linux: the comment on the search order in __rmqueue_claim()",),
)


@hookimpl
def rmqueue_strategies() -> list[Strategy]:
    """Register `STRATEGY`."""
    return [STRATEGY]
