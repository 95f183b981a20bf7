"""Linux 6.10 to 6.14: claim the pageblock of the largest block, or steal one page.

``__rmqueue_fallback()`` of c0cd6f557b90 ("mm: page_alloc: fix freelist movement during
block conversion").  A claim that fails takes one page out of the *biggest* block, and
the next request starts all over again.
"""

from __future__ import annotations

from typing import Any

from rmqueue.hookspecs import hookimpl
from rmqueue.mm.fallback import (
    boost_watermark,
    find_suitable_fallback,
    first_block,
    lowest_order,
    rmqueue_cma_fallback,
    should_try_claim_block,
    steal_block,
    try_to_claim_block,
)
from rmqueue.mm.jit import jit
from rmqueue.mm.mmzone import HIGHATOMIC, pageblock_type
from rmqueue.mm.vmstat import CLAIM_TRY, FALLBACK, STEAL_SEARCH
from rmqueue.types import Strategy


@jit
def claim_or_steal(
    zone: Any, high: int, fallback_mt: int, order: int, start_mt: int, flags: int
) -> int:
    """Claim the pageblock of the head of a list, or take one block out of it."""
    pfn = first_block(zone, high, fallback_mt)
    block_mt = pageblock_type(zone, pfn)
    page = -1
    if should_try_claim_block(zone, high, start_mt):
        page = try_to_claim_block(zone, pfn, high, order, start_mt, block_mt, flags)
    else:
        zone.cnt[CLAIM_TRY] += 1
        if block_mt != HIGHATOMIC:
            boost_watermark(zone, flags)
    if page < 0:
        page = steal_block(zone, pfn, high, order, start_mt, block_mt)
    return page


@jit
def smallest_fallback(zone: Any, order: int, start_mt: int, flags: int) -> int:
    """Search upward: a movable request should not break a large block."""
    zone.cnt[STEAL_SEARCH] += 1
    for high in range(order, zone.max_order + 1):
        fallback_mt = find_suitable_fallback(zone, high, start_mt, False)
        if fallback_mt >= 0:
            return claim_or_steal(zone, high, fallback_mt, order, start_mt, flags)
    return -1


@jit
def fallback(
    zone: Any, order: int, start_mt: int, flags: int, batch: Any, st: Any
) -> int:
    """Search downward for the largest block of another type."""
    pfn = rmqueue_cma_fallback(zone, order, flags)
    if pfn >= 0:
        return pfn
    zone.cnt[FALLBACK] += 1
    high = zone.max_order
    while high >= lowest_order(zone, order, flags):
        fallback_mt = find_suitable_fallback(zone, high, start_mt, False)
        if fallback_mt >= 0:
            if high > order and not should_try_claim_block(zone, high, start_mt):
                return smallest_fallback(zone, order, start_mt, flags)
            return claim_or_steal(zone, high, fallback_mt, order, start_mt, flags)
        high -= 1
    return -1


STRATEGY = Strategy(
    name="claim-whole-block",
    summary="Claim the block of the largest buddy, or take one page out of that buddy.",
    fallback=fallback,
    linux="c0cd6f557b90 (6.10 to 6.14)",
    kernel="6.14",
    references=(
        'Linux c0cd6f557b90 ("mm: page_alloc: fix freelist movement during block '
        'conversion")',
    ),
)


@hookimpl
def rmqueue_strategies() -> list[Strategy]:
    """Register `STRATEGY`."""
    return [STRATEGY]
