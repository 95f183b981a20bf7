"""Linux up to 6.9: move a whole pageblock's free pages over, converted or not.

``__rmqueue_fallback()`` and ``steal_suitable_fallback()`` of 2dd482ba627d.  The free
pages stay on the lists of the new type even when the pageblock keeps its own, so the
requests that follow are served natively; where a page goes when it is freed, the
pageblock's type decides.  That needs a kernel whose lists may hold blocks of another
type than their pageblock's: profiles 6.1 and 6.9.
"""

from __future__ import annotations

from typing import Any

from rmqueue.hookspecs import hookimpl
from rmqueue.mm.buddy import rmqueue_smallest
from rmqueue.mm.fallback import (
    boost_watermark,
    find_suitable_fallback,
    first_block,
    lowest_order,
    rmqueue_cma_fallback,
    should_try_claim_block,
    worth_claiming,
)
from rmqueue.mm.free_list import move_to_free_list
from rmqueue.mm.jit import jit
from rmqueue.mm.mmzone import HIGHATOMIC, pageblock_type
from rmqueue.mm.pageblock import (
    change_pageblock_range,
    may_scan_pageblock,
    move_free_blocks,
    set_pageblock_type,
)
from rmqueue.mm.vmstat import (
    CLAIM_PART,
    CLAIM_TRY,
    CLAIM_WHOLE,
    FALLBACK,
    STEAL,
    STEAL_SEARCH,
)
from rmqueue.types import Strategy


@jit
def move_block(
    zone: Any, pfn: int, high: int, start_mt: int, block_mt: int, flags: int
) -> None:
    """Move what can be moved to the lists of `start_mt`, and its type if it may."""
    zone.cnt[CLAIM_TRY] += 1
    if block_mt != HIGHATOMIC:
        if high >= zone.pageblock_order:
            change_pageblock_range(zone, pfn, high, start_mt)
            move_to_free_list(zone, pfn, high, start_mt)
            zone.cnt[CLAIM_WHOLE] += 1
            return
        boost_watermark(zone, flags)
        claimable = should_try_claim_block(zone, high, start_mt)
        if claimable and may_scan_pageblock(zone, pfn):
            worth = worth_claiming(zone, pfn, start_mt, block_mt)
            move_free_blocks(zone, pfn, start_mt)
            if worth:
                set_pageblock_type(zone, pfn, start_mt)
                zone.cnt[CLAIM_PART] += 1
            return
    move_to_free_list(zone, pfn, high, start_mt)
    zone.cnt[STEAL] += 1


@jit
def steal_suitable_fallback(
    zone: Any, order: int, high: int, fallback_mt: int, start_mt: int, flags: int
) -> None:
    """Move the head of a list, and perhaps its whole pageblock, to `start_mt`.

    It is a claim if the pageblock has that type afterwards, as the kernel's trace has
    it (change_ownership): also if it had it before, and the block was on another list.
    """
    pfn = first_block(zone, high, fallback_mt)
    move_block(zone, pfn, high, start_mt, pageblock_type(zone, pfn), flags)
    if pageblock_type(zone, pfn) == start_mt:
        zone.claims[start_mt, fallback_mt] += 1
    else:
        zone.steals[start_mt, fallback_mt] += 1
    zone.fallback_orders[order, high] += 1


@jit
def smallest_fallback(zone: Any, order: int, start_mt: int, flags: int) -> None:
    """Search upward: a movable request should not break a large block."""
    zone.cnt[STEAL_SEARCH] += 1
    for high in range(order, zone.max_order + 1):
        fallback_mt = find_suitable_fallback(zone, high, start_mt, False)
        if fallback_mt >= 0:
            steal_suitable_fallback(zone, order, high, fallback_mt, start_mt, flags)
            return


@jit
def move_fallback(zone: Any, order: int, start_mt: int, flags: int) -> bool:
    """Search downward for a block to move; whether one was (__rmqueue_fallback)."""
    zone.cnt[FALLBACK] += 1
    high = zone.max_order
    while high >= lowest_order(zone, order, flags):
        fallback_mt = find_suitable_fallback(zone, high, start_mt, False)
        if fallback_mt >= 0:
            if high > order and not should_try_claim_block(zone, high, start_mt):
                smallest_fallback(zone, order, start_mt, flags)
            else:
                steal_suitable_fallback(zone, order, high, fallback_mt, start_mt, flags)
            return True
        high -= 1
    return False


@jit
def fallback(
    zone: Any, order: int, start_mt: int, flags: int, batch: Any, st: Any
) -> int:
    """Move a block over, then search natively again."""
    pfn = rmqueue_cma_fallback(zone, order, flags)
    if pfn < 0 and move_fallback(zone, order, start_mt, flags):
        pfn = rmqueue_smallest(zone, order, start_mt)
    return pfn


STRATEGY = Strategy(
    name="greedy-steal",
    summary="Move all free pages of the block over, whether it is converted or not.",
    fallback=fallback,
    linux="2dd482ba627d (up to 6.9)",
    kernel="6.9",
    references=("Linux 2dd482ba627d and before: __rmqueue_fallback()",),
    mixed_lists=True,
)


@hookimpl
def rmqueue_strategies() -> list[Strategy]:
    """Register `STRATEGY`."""
    return [STRATEGY]
