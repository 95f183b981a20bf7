"""The bricks that fallback strategies are built of (SEMANTICS 7, 11, 13).

A strategy is asked when the lists of the requested type are empty.  It looks for a
block of another type (`find_suitable_fallback`), may take over its whole pageblock
(`try_to_claim_block`) or take what it needs and leave the rest (`steal_block`), and
returns the page or -1.  `rmqueue_claim` and `rmqueue_steal` are the kernel's two
searches made of these; `rmqueue_cma_fallback` comes before either.
"""

from __future__ import annotations

from typing import Any

from rmqueue.mm.buddy import can_split, has_list, rmqueue_smallest, take_block
from rmqueue.mm.free_list import list_first
from rmqueue.mm.jit import jit, load_i64, store_i64
from rmqueue.mm.mmzone import (
    ALLOC_CMA,
    ALLOC_KSWAPD,
    ALLOC_NOFRAGMENT,
    CMA,
    HIGHATOMIC,
    MOVABLE,
    RECLAIMABLE,
    ZONE_BOOSTED_WATERMARK,
    free_list,
    pageblock_type,
    pageblock_word,
)
from rmqueue.mm.pageblock import (
    change_pageblock_range,
    free_blocks_in,
    free_pages_in,
    lru_pages_in,
    may_scan_pageblock,
    move_freepages_block,
    rest_of_pageblock,
    scans_rest,
    set_pageblock_type,
    word_from,
)
from rmqueue.mm.vmstat import (
    AREA,
    BOOST,
    CLAIM_PART,
    CLAIM_TRY,
    CLAIM_WHOLE,
    FALLBACK,
    HEAD,
    SCAN_BLOCK,
    SCAN_PAGE,
    SCAN_PAGE_WARM,
    STEAL,
    STEAL_SEARCH,
)

#: Types to fall back on, in order of preference: a pair for each of U, M and R.
FALLBACKS = (2, 1, 2, 0, 0, 1)

#: Results of `find_suitable_fallback` that are not a type.
NO_FALLBACK, NOT_CLAIMABLE = -1, -2


@jit
def should_try_claim_block(zone: Any, order: int, start_mt: int) -> bool:
    """Whether a block is large enough to make claiming its pageblock worthwhile.

    Mirrors ``should_try_claim_block()``: half the pageblock order, or any order for
    unmovable and reclaimable requests, which would otherwise pollute movable blocks.
    """
    return bool(
        order >= zone.pageblock_order // 2
        or start_mt != MOVABLE
        or zone.mobility_off != 0
    )


@jit
def find_suitable_fallback(
    zone: Any, order: int, start_mt: int, claimable: bool
) -> int:
    """Find the type to take a block of one order from.

    Parameters
    ----------
    zone : Zone
        Only its counters change.
    order : int64
        The order of the blocks to look at.
    start_mt : int64
        Migratetype asked for.
    claimable : bool
        Look only if claiming a block of this order is worthwhile.

    Returns
    -------
    int64
        The first type in the order of preference with a free block; `NO_FALLBACK` if
        there is none; `NOT_CLAIMABLE` if `claimable` and it is not worthwhile.

    Notes
    -----
    Mirrors ``find_suitable_fallback()``, mm/page_alloc.c, Linux 6.16.
    """
    zone.cnt[AREA] += 1
    if start_mt > RECLAIMABLE or not has_list(zone, order, start_mt):
        return NO_FALLBACK
    if claimable and not should_try_claim_block(zone, order, start_mt):
        return NOT_CLAIMABLE
    if zone.nr_area[order] == 0:
        return NO_FALLBACK
    for i in range(2):
        fallback_mt = FALLBACKS[2 * start_mt + i]
        zone.cnt[HEAD] += 1
        if list_first(zone, free_list(zone, order, fallback_mt)) >= 0:
            return fallback_mt
    return NO_FALLBACK


@jit
def first_block(zone: Any, order: int, mt: int) -> int:
    """Return the block at the head of a list that is known not to be empty."""
    zone.cnt[HEAD] += 1
    if not has_list(zone, order, mt):
        return -1
    return list_first(zone, free_list(zone, order, mt))


@jit
def lowest_order(zone: Any, order: int, flags: int) -> int:
    """Return where top-down searches stop: at whole pageblocks with NOFRAGMENT."""
    if flags & ALLOC_NOFRAGMENT and order < zone.pageblock_order:
        return int(zone.pageblock_order)
    return order


@jit
def boost_watermark(zone: Any, flags: int) -> None:
    """Raise the watermarks for a while, so that kswapd makes room (boost_watermark)."""
    if zone.boost_factor == 0 or 4 * zone.pageblock_pages > zone.managed:
        return
    high = zone.wmark_high
    most = (high // 10000) * zone.boost_factor
    most += (high % 10000) * zone.boost_factor // 10000
    if most == 0:
        return
    most = max(most, zone.pageblock_pages)
    zone.boost = min(zone.boost + zone.pageblock_pages, most)
    zone.cnt[BOOST] += 1
    if flags & ALLOC_KSWAPD:
        zone.flags |= ZONE_BOOSTED_WATERMARK


@jit
def scanned_lately(zone: Any, pfn: int) -> bool:
    """Whether the scan that was just counted found its pageblock in the cache.

    It was scanned in the same hold, at most `warm_scans` scans ago.
    """
    block = pfn >> zone.pageblock_order
    now = zone.cnt[SCAN_BLOCK]
    last = load_i64(zone.scans, block)
    store_i64(zone.scans, block, now)
    return bool(last > zone.hold_start[SCAN_BLOCK] and now - last <= zone.warm_scans)


@jit
def worth_claiming(zone: Any, pfn: int, start_mt: int, block_mt: int) -> bool:
    """Whether at least half of a pageblock is free or of a kind with the request.

    Parameters
    ----------
    zone : Zone
        Only its counters change: the kernel would scan the whole block.
    pfn : int64
        Any page of the block, relative to the zone.
    start_mt : int64
        Migratetype asked for.
    block_mt : int64
        Migratetype of the pageblock.

    Notes
    -----
    Mirrors ``prep_move_freepages_block()`` and the test in ``try_to_claim_block()``.
    Movable pages are those on an LRU list, whatever type they were asked with.  Pages
    that no scan looks at, before the zone's start, pass for in use and not movable.
    """
    word, pages = pageblock_word(zone, pfn), zone.pageblock_pages
    if scans_rest(zone, pfn):
        word, pages = word_from(zone, pfn), rest_of_pageblock(zone, pfn)
    free, movable = free_pages_in(word), lru_pages_in(word)
    steps = free_blocks_in(word) + pages - free
    zone.cnt[SCAN_BLOCK] += 1
    zone.cnt[SCAN_PAGE] += steps
    if zone.warm_scans > 0 and scanned_lately(zone, pfn):
        zone.cnt[SCAN_PAGE_WARM] += steps
    alike = 0
    if start_mt == MOVABLE:
        alike = movable
    elif block_mt == MOVABLE:
        alike = zone.pageblock_pages - (free + movable)
    return bool(free + alike >= zone.pageblock_pages // 2 or zone.mobility_off != 0)


@jit
def try_to_claim_block(
    zone: Any, pfn: int, high: int, order: int, start_mt: int, block_mt: int, flags: int
) -> int:
    """Take over the whole pageblock of a free block, then allocate from it.

    Parameters
    ----------
    zone : Zone
        Changed in place.
    pfn, high : int64
        The free block, relative to the zone, and its order.
    order, start_mt : int64
        Order and migratetype asked for.
    block_mt : int64
        Migratetype of the pageblock.
    flags : int64
        Allocation flags of the request.

    Returns
    -------
    int64
        The page, relative to the zone, or -1: nothing changed but the watermark boost,
        or no such block is free.

    Notes
    -----
    Mirrors ``try_to_claim_block()``, mm/page_alloc.c, Linux 6.15.
    """
    zone.cnt[CLAIM_TRY] += 1
    if block_mt == HIGHATOMIC or not can_split(zone, pfn, order, high, start_mt):
        return -1
    if not has_list(zone, order, block_mt):
        return -1
    if high >= zone.pageblock_order:
        take_block(zone, pfn, order, high, start_mt)
        change_pageblock_range(zone, pfn, high, start_mt)
        zone.cnt[CLAIM_WHOLE] += 1
        zone.claims[start_mt, block_mt] += 1
        zone.fallback_orders[order, high] += 1
        return pfn
    boost_watermark(zone, flags)
    if not may_scan_pageblock(zone, pfn):
        return -1
    if not worth_claiming(zone, pfn, start_mt, block_mt):
        return -1
    move_freepages_block(zone, pfn, start_mt)
    set_pageblock_type(zone, pfn, start_mt)
    zone.cnt[CLAIM_PART] += 1
    zone.claims[start_mt, block_mt] += 1
    zone.fallback_orders[order, high] += 1
    return rmqueue_smallest(zone, order, start_mt)


@jit
def steal_block(
    zone: Any, pfn: int, high: int, order: int, start_mt: int, rest_mt: int
) -> int:
    """Take one block of the order asked for and leave the rest to its own type.

    Parameters
    ----------
    zone : Zone
        Changed in place; no pageblock changes its type.
    pfn, high : int64
        The free block, relative to the zone, and its order.
    order, start_mt : int64
        Order and migratetype asked for.
    rest_mt : int64
        Migratetype of the lists that the rest goes to.

    Returns
    -------
    int64
        `pfn`, or -1: no such block is free.
    """
    if not can_split(zone, pfn, order, high, rest_mt):
        return -1
    if not has_list(zone, order, start_mt):
        return -1
    take_block(zone, pfn, order, high, rest_mt)
    zone.cnt[STEAL] += 1
    zone.steals[start_mt, rest_mt] += 1
    zone.fallback_orders[order, high] += 1
    return pfn


@jit
def rmqueue_cma_fallback(zone: Any, order: int, flags: int) -> int:
    """Take from the CMA lists if the request may (__rmqueue_cma_fallback)."""
    if zone.cma == 0 or flags & ALLOC_CMA == 0:
        return -1
    return rmqueue_smallest(zone, order, CMA)


@jit
def rmqueue_claim(zone: Any, order: int, start_mt: int, flags: int) -> int:
    """Search top-down for a pageblock to claim: the head of one list per order.

    Returns the page, relative to the zone, or -1.  Mirrors ``__rmqueue_claim()``,
    mm/page_alloc.c, Linux 6.15.
    """
    zone.cnt[FALLBACK] += 1
    high = zone.max_order
    while high >= lowest_order(zone, order, flags):
        fallback_mt = find_suitable_fallback(zone, high, start_mt, False)
        if fallback_mt >= 0:
            if not should_try_claim_block(zone, high, start_mt):
                break
            pfn = first_block(zone, high, fallback_mt)
            block_mt = pageblock_type(zone, pfn)
            page = try_to_claim_block(zone, pfn, high, order, start_mt, block_mt, flags)
            if page >= 0:
                return page
        high -= 1
    return -1


@jit
def rmqueue_steal(zone: Any, order: int, start_mt: int) -> int:
    """Search bottom-up for the smallest buddy of another type and steal from it.

    Returns the page, relative to the zone, or -1.  Mirrors ``__rmqueue_steal()``,
    mm/page_alloc.c, Linux 6.15.
    """
    zone.cnt[STEAL_SEARCH] += 1
    for high in range(order, zone.max_order + 1):
        fallback_mt = find_suitable_fallback(zone, high, start_mt, False)
        if fallback_mt >= 0:
            pfn = first_block(zone, high, fallback_mt)
            return steal_block(zone, pfn, high, order, start_mt, fallback_mt)
    return -1
