"""Allocation and direct freeing under the zone lock."""

from __future__ import annotations

from typing import Any

from rmqueue.mm.buddy import (
    account_freepages,
    free_one_page,
    rmqueue_smallest,
    take_smallest,
    unlist_first,
)
from rmqueue.mm.free_list import block_weight, list_add_tail
from rmqueue.mm.highatomic import reserve_highatomic_pageblock
from rmqueue.mm.hold import end_free_hold, end_hold
from rmqueue.mm.jit import I64 as _I64
from rmqueue.mm.jit import function_type, jit
from rmqueue.mm.lru import clear_lru, set_lru
from rmqueue.mm.mmzone import (
    ALLOC_CMA,
    ALLOC_HIGHATOMIC,
    ALLOC_NON_BLOCK,
    ALLOC_OOM,
    BATCH_TYPE,
    CMA,
    HIGHATOMIC,
    NR_ORDERS,
    ONE_LRU,
    OTHER_PAGES,
    PAGE_IN_USE,
    PAGE_LRU,
    PAGE_PCP,
    RECLAIMABLE,
    RMQUEUE_NORMAL,
    TYPE_MASK,
    ZONE_TYPE,
    add_to_word,
    batch_address,
    batch_at,
    free_list,
    next_of,
    page_state,
    pageblock_order,
    pageblock_type,
    pageblock_word,
    set_page_state,
    set_page_type,
)
from rmqueue.mm.vmstat import BULK, HEAD, LOCK, SMALLEST

#: Type of a compiled strategy: zone, order, start_mt, flags, batch, address of its
#: state -> page (relative to the zone) or -1.
FALLBACK_SIGNATURE = (_I64, ZONE_TYPE, _I64, _I64, _I64, BATCH_TYPE, _I64)
FALLBACK_TYPE = function_type(*FALLBACK_SIGNATURE)


@jit
def taken_page_fault(zone: Any, pfn: int, order: int) -> int:
    """Index into `mmzone.FAULTS` for a page that a strategy returned; 0 if it is good.

    A page outside the zone or still in use would corrupt memory that is not ours.
    """
    if pfn < zone.start or pfn + (1 << order) > zone.end:
        return 1
    if page_state(zone, pfn) != 0:
        return 2
    last = zone.taken_pfn + (1 << zone.taken_order) - (1 << order)
    if zone.taken_pfn >= 0 and not zone.taken_pfn <= pfn <= last:
        return 2
    return 3 if pfn & ((1 << order) - 1) else 0


@jit(forceinline=True)
def listed_pages(zone: Any) -> int:
    """Pages on the free lists, from the lengths that each order has [pages]."""
    pages = 0
    for order in range(NR_ORDERS):
        pages += zone.nr_area[order] << order
    return pages


@jit(cold=True)
def rmqueue_fallback(
    zone: Any, order: int, start_mt: int, flags: int, fallback: Any
) -> int:
    """Ask the strategy, and refuse what it cannot have taken off a free list."""
    batch = batch_at(batch_address(zone))
    state = zone.strategy_state
    zone.rare_work = 1
    zone.taken_pfn = -1
    listed = listed_pages(zone)
    pfn = fallback(zone, order, start_mt, flags, batch, state)
    taken, wanted, fault = listed - listed_pages(zone), 0, 0
    if zone.fault != 0:
        return -1
    if pfn != -1:
        wanted = 1 << order
        fault = taken_page_fault(zone, pfn, order)
    if fault == 0 and taken != wanted:
        fault = OTHER_PAGES
    if fault == 0:
        return int(pfn)
    if zone.fault == 0:
        zone.fault, zone.fault_pfn = fault, pfn
        zone.fault_order, zone.fault_pages = order, taken
    return -1


@jit(forceinline=True)
def rmqueue(zone: Any, order: int, start_mt: int, flags: int, fallback: Any) -> int:
    """Take one block: native lists first, then the strategy.

    Parameters
    ----------
    zone : Zone
        Changed in place.
    order, start_mt : int64
        Order and migratetype asked for.
    flags : int64
        Allocation flags of the request.
    fallback : compiled strategy
        Asked when the lists of `start_mt` are empty, or at once while the batch
        remembers another mode than NORMAL.

    Returns
    -------
    int64
        The page, relative to the zone, or -1.

    Notes
    -----
    Mirrors ``__rmqueue()``, mm/page_alloc.c, Linux 6.15.
    """
    pfn = -1
    if zone.cma != 0 and flags & ALLOC_CMA and zone.nr_free_cma > zone.nr_free // 2:
        pfn = rmqueue_smallest(zone, order, CMA)
        if pfn >= 0:
            return pfn
    if batch_at(batch_address(zone)).mode == RMQUEUE_NORMAL:
        pfn = take_smallest(zone, order, start_mt)
    if pfn < 0:
        pfn = rmqueue_fallback(zone, order, start_mt, flags, fallback)
    if pfn >= 0:
        block_mt = pageblock_type(zone, pfn)
        if block_mt != start_mt:
            note_pollution(zone, order, start_mt, block_mt)
    return pfn


@jit(forceinline=True)
def take_listed(
    zone: Any, head: int, pfn: int, order: int, start_mt: int, lru: int
) -> int:
    """`rmqueue` of the first block of the very list asked for, all in one go.

    But for the page's state and the count of free pages; `lru` more pages are on an LRU
    list now.  Returns the word that the pageblock had before.
    """
    zone.cnt[SMALLEST] += 1
    zone.cnt[HEAD] += 1
    unlist_first(zone, head, pfn, order)
    word = pageblock_word(zone, pfn)
    add_to_word(zone, pfn, lru * ONE_LRU - block_weight(order))
    if word & TYPE_MASK != start_mt:
        note_pollution(zone, order, start_mt, word & TYPE_MASK)
    return word


@jit(cold=True)
def note_pollution(zone: Any, order: int, start_mt: int, block_mt: int) -> None:
    """Count pages taken for a type from a pageblock of another."""
    if block_mt <= RECLAIMABLE:
        zone.pollute[start_mt, block_mt] += 1 << order


@jit(cold=True)
def rmqueue_bulk(
    zone: Any,
    order: int,
    count: int,
    start_mt: int,
    flags: int,
    head: int,
    fallback: Any,
) -> int:
    """Take a batch under one hold of the zone lock, onto the tail of a list.

    Parameters
    ----------
    zone : Zone
        Changed in place.
    order, count, start_mt, flags : int64
        What to take, and how many blocks of it.
    head : int64
        List head that the blocks go to, in allocation order.
    fallback : compiled strategy
        See `rmqueue`.

    Returns
    -------
    int64
        Blocks taken; fewer than `count` at the first failure.

    Notes
    -----
    Mirrors ``rmqueue_bulk()``, mm/page_alloc.c.
    """
    zone.cnt[LOCK] += 1
    zone.cnt[BULK] += 1
    batch = batch_at(batch_address(zone))
    batch.mode = RMQUEUE_NORMAL
    taken = 0
    listed = free_list(zone, order, start_mt)
    cma_first = zone.cma != 0 and flags & ALLOC_CMA != 0
    while taken < count:
        pfn = next_of(zone, listed)
        if pfn != listed and not cma_first and batch.mode == RMQUEUE_NORMAL:
            take_listed(zone, listed, pfn, order, start_mt, 0)
            if zone.late_accounting == 0:
                zone.nr_free -= 1 << order
        else:
            pfn = rmqueue(zone, order, start_mt, flags, fallback)
        if pfn < 0:
            break
        set_page_state(zone, pfn, PAGE_PCP | order)
        list_add_tail(zone, pfn, head)
        if zone.late_accounting != 0 and pageblock_type(zone, pfn) == CMA:
            zone.nr_free_cma -= 1 << order
        taken += 1
    if zone.late_accounting != 0:
        zone.nr_free -= taken << order
    end_hold(zone)
    return taken


@jit(cold=True)
def carry_type(zone: Any, head: int, start_mt: int) -> None:
    """Have the blocks of a list just filled carry the type of the lists they come from.

    That is the type asked for, whatever their pageblocks are, or CMA: blocks of CMA
    pageblocks are on no other lists, and on theirs are no others.
    """
    pfn = next_of(zone, head)
    while pfn != head:
        is_cma = pageblock_type(zone, pfn) == CMA
        set_page_type(zone, pfn, CMA if is_cma else start_mt)
        pfn = next_of(zone, pfn)


@jit(forceinline=True)
def rmqueue_listed(zone: Any, order: int, start_mt: int, flags: int, lru: int) -> int:
    """`rmqueue_buddy` and `mark_in_use` where the very list asked for has a block.

    Most requests end here, so everything is done once: one store of the state, one
    change of the pageblock's word.  Returns -1, with nothing done, for all others.
    """
    head = free_list(zone, order, start_mt)
    pfn = next_of(zone, head)
    if pfn == head or flags & (ALLOC_HIGHATOMIC | ALLOC_CMA):
        return -1
    zone.cnt[LOCK] += 1
    single = lru & int(order == 0)
    word = take_listed(zone, head, pfn, order, start_mt, single)
    if lru != single:
        set_lru(zone, pfn, order, 1)
    set_page_state(zone, pfn, PAGE_IN_USE | order | lru * PAGE_LRU)
    late = zone.late_accounting != 0
    account_freepages(zone, -(1 << order), word & TYPE_MASK if late else start_mt)
    end_hold(zone)
    return pfn


@jit(cold=True)
def rmqueue_buddy(
    zone: Any, order: int, start_mt: int, flags: int, fallback: Any
) -> int:
    """Take one block straight from the free lists (rmqueue_buddy).

    Returns the page, relative to the zone and marked in use, or -1.
    """
    zone.cnt[LOCK] += 1
    batch_at(batch_address(zone)).mode = RMQUEUE_NORMAL
    pfn = -1
    if flags & ALLOC_HIGHATOMIC:
        pfn = rmqueue_smallest(zone, order, HIGHATOMIC)
    if pfn < 0:
        pfn = rmqueue(zone, order, start_mt, flags, fallback)
    if pfn < 0:
        last_resort = ALLOC_OOM | (ALLOC_NON_BLOCK * zone.non_block_reserves)
        if flags & last_resort:
            pfn = rmqueue_smallest(zone, order, HIGHATOMIC)
    if pfn >= 0:
        set_page_state(zone, pfn, PAGE_IN_USE | order)
        if zone.late_accounting != 0:
            account_freepages(zone, -(1 << order), pageblock_type(zone, pfn))
    end_hold(zone)
    if pfn >= 0 and flags & ALLOC_HIGHATOMIC and zone.reserve_in_buddy != 0:
        reserve_highatomic_pageblock(zone, pfn, order)
    return pfn


@jit(forceinline=True)
def free_pages_ok(zone: Any, pfn: int, order: int) -> None:
    """Free a block straight to the free lists, under one hold of the zone lock.

    Mirrors ``__free_pages_ok()`` and ``split_large_buddy()``, mm/page_alloc.c: above
    pageblock order, most kernels free pageblock by pageblock.
    """
    if order == 0:
        free_page(zone, pfn)
    else:
        free_compound(zone, pfn, order)


@jit(cold=True)
def free_page(zone: Any, pfn: int) -> None:
    """`free_pages_ok` of a single page: one change of the pageblock's word."""
    mt = pageblock_type(zone, pfn)
    on_list = page_state(zone, pfn) // PAGE_LRU & 1
    zone.cnt[LOCK] += 1
    free_one_page(zone, pfn, 0, mt, False, on_list)
    end_free_hold(zone)


@jit(cold=True)
def free_compound(zone: Any, pfn: int, order: int) -> None:
    """`free_pages_ok` of more than one page."""
    mt = pageblock_type(zone, pfn)
    clear_lru(zone, pfn, order)
    zone.cnt[LOCK] += 1
    free_blocks(zone, pfn, order, mt, False)
    end_free_hold(zone)


@jit(forceinline=True)
def free_blocks(zone: Any, pfn: int, order: int, mt: int, to_tail: bool) -> None:
    """Free a block whole or by pageblock, as the kernel profile has it."""
    if order <= pageblock_order(zone) or zone.frees_by_pageblock == 0:
        free_one_page(zone, pfn, order, mt, to_tail, 0)
    else:
        free_by_pageblock(zone, pfn, order, to_tail)


@jit(cold=True)
def free_by_pageblock(zone: Any, pfn: int, order: int, to_tail: bool) -> None:
    """Free a block of more than one pageblock, one after the other."""
    set_page_state(zone, pfn, 0)
    part = pageblock_order(zone)
    for q in range(pfn, pfn + (1 << order), 1 << part):
        free_one_page(zone, q, part, pageblock_type(zone, q), to_tail, 0)
