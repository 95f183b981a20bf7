"""Allocation and direct freeing under the zone lock, and the HIGHATOMIC reserve."""

from __future__ import annotations

from typing import Any

from rmqueue.mm.buddy import (
    account_freepages,
    free_one_page,
    rmqueue_smallest,
    take_smallest,
)
from rmqueue.mm.free_list import list_add_tail, list_first, move_to_free_list
from rmqueue.mm.hold import end_alloc_hold, end_free_hold, end_hold
from rmqueue.mm.jit import I64 as _I64
from rmqueue.mm.jit import function_type, jit, load_i64, store_i64, wrapping_mul
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
from rmqueue.mm.pageblock import (
    change_pageblock_range,
    lru_pages_in,
    may_scan_pageblock,
    move_freepages_block,
    set_pageblock_type,
)
from rmqueue.mm.vmstat import BULK, HEAD, LOCK

#: Type of a compiled strategy: zone, order, start_mt, flags, batch, address of its
#: state -> page (relative to the zone) or -1.
FALLBACK_SIGNATURE = (_I64, ZONE_TYPE, _I64, _I64, _I64, BATCH_TYPE, _I64)
FALLBACK_TYPE = function_type(*FALLBACK_SIGNATURE)

#: A one, and the mark of an LRU list, in each of eight state bytes.
ONE_EACH = 0x0101010101010101
LRU_BYTES = PAGE_LRU * ONE_EACH


@jit(cold=True)
def set_lru(zone: Any, pfn: int, order: int, on: int) -> None:
    """Put the pages of a block in use on an LRU list, or take them off.

    Eight state bytes at a time, or a pageblock if that is less; those of other blocks
    keep theirs.
    """
    pages = min(8, 1 << min(order, pageblock_order(zone)))
    mask = LRU_BYTES >> (64 - 8 * pages)
    for q in range(pfn, pfn + (1 << order), pages):
        address, shift = zone.meta + (q & -8), 8 * (q & 7)
        states = load_i64(address, 0)
        wrong = ~states if on != 0 else states
        wrong &= mask << shift
        store_i64(address, 0, states ^ wrong)
        changed = (wrapping_mul(wrong >> 6, ONE_EACH) >> 56) & 15
        add_to_word(zone, q, ONE_LRU * (changed if on != 0 else -changed))


@jit(forceinline=True)
def mark_in_use(zone: Any, pfn: int, order: int, lru: int) -> None:
    """Hand a block to the caller, on an LRU list (1) or not (0).

    Whether a page is on a list is as good as random: single pages take no branch on it.
    """
    if order == 0:
        set_page_state(zone, pfn, PAGE_IN_USE | (lru * PAGE_LRU))
        add_to_word(zone, pfn, lru * ONE_LRU)
    else:
        set_page_state(zone, pfn, PAGE_IN_USE | order)
        if lru != 0:
            set_lru(zone, pfn, order, 1)


@jit(forceinline=True)
def clear_lru(zone: Any, pfn: int, order: int) -> None:
    """Take a block that is being freed off the LRU lists."""
    if order == 0:
        on_list = page_state(zone, pfn) // PAGE_LRU & 1
        set_page_state(zone, pfn, PAGE_IN_USE)
        add_to_word(zone, pfn, -on_list * ONE_LRU)
    elif order > zone.pageblock_order or lru_pages_in(pageblock_word(zone, pfn)) > 0:
        set_lru(zone, pfn, order, 0)


@jit
def taken_page_fault(zone: Any, pfn: int, order: int) -> int:
    """Index into `mmzone.FAULTS` for a page that a strategy returned; 0 if it is good.

    A page outside the zone or still in use would corrupt memory that is not ours.
    """
    if pfn < zone.start or pfn + (1 << order) > zone.end:
        return 1
    if page_state(zone, pfn) != 0:
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
        if block_mt != start_mt and block_mt <= RECLAIMABLE:
            zone.pollute[start_mt, block_mt] += 1 << order
    return pfn


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
    batch_at(batch_address(zone)).mode = RMQUEUE_NORMAL
    taken = 0
    while taken < count:
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
    end_alloc_hold(zone)
    if pfn >= 0 and flags & ALLOC_HIGHATOMIC and zone.reserve_in_buddy != 0:
        reserve_highatomic_pageblock(zone, pfn, order)
    return pfn


@jit(cold=True)
def free_pages_ok(zone: Any, pfn: int, order: int) -> None:
    """Free a block straight to the free lists, under one hold of the zone lock.

    Mirrors ``__free_pages_ok()`` and ``split_large_buddy()``, mm/page_alloc.c: above
    pageblock order, most kernels free pageblock by pageblock.
    """
    mt = pageblock_type(zone, pfn)
    clear_lru(zone, pfn, order)
    zone.cnt[LOCK] += 1
    free_blocks(zone, pfn, order, mt, False)
    end_free_hold(zone)


@jit(forceinline=True)
def free_blocks(zone: Any, pfn: int, order: int, mt: int, to_tail: bool) -> None:
    """Free a block whole or by pageblock, as the kernel profile has it."""
    if order <= pageblock_order(zone) or zone.frees_by_pageblock == 0:
        free_one_page(zone, pfn, order, mt, to_tail)
    else:
        free_by_pageblock(zone, pfn, order, to_tail)


@jit(cold=True)
def free_by_pageblock(zone: Any, pfn: int, order: int, to_tail: bool) -> None:
    """Free a block of more than one pageblock, one after the other."""
    set_page_state(zone, pfn, 0)
    part = pageblock_order(zone)
    for q in range(pfn, pfn + (1 << order), 1 << part):
        free_one_page(zone, q, part, pageblock_type(zone, q), to_tail)


@jit(cold=True)
def reserve_highatomic_pageblock(zone: Any, pfn: int, order: int) -> None:
    """Set a pageblock aside for atomic high-order requests, up to 1 % of the zone.

    Mirrors ``reserve_highatomic_pageblock()``, mm/page_alloc.c.
    """
    pages = zone.pageblock_pages
    if zone.managed // 100 < pages:
        return
    most = (zone.managed // 100 + pages - 1) // pages * pages
    if zone.nr_reserved_highatomic >= most:
        return
    zone.cnt[LOCK] += 1
    if pageblock_type(zone, pfn) <= RECLAIMABLE:
        reserve_block(zone, pfn, order)
    end_hold(zone)


@jit
def reserve_block(zone: Any, pfn: int, order: int) -> None:
    """Turn the pageblock(s) of an allocated block HIGHATOMIC."""
    whole = zone.reserve_whole_block != 0
    if whole and order >= zone.pageblock_order:
        change_pageblock_range(zone, pfn, order, HIGHATOMIC)
        zone.nr_reserved_highatomic += 1 << order
        return
    inside = may_scan_pageblock(zone, pfn)
    if whole and not inside:
        return
    set_pageblock_type(zone, pfn, HIGHATOMIC)
    zone.nr_reserved_highatomic += zone.pageblock_pages
    if inside:
        moved = move_freepages_block(zone, pfn, HIGHATOMIC)
        zone.nr_free_highatomic += moved * zone.counts_free_highatomic


@jit
def unreserve_highatomic_pageblock(zone: Any, mt: int, force: int) -> int:
    """Give a reserved pageblock to a type that is out of memory.

    Returns 1 if pages changed lists.  Mirrors ``unreserve_highatomic_pageblock()``.
    """
    if force == 0 and zone.nr_reserved_highatomic <= zone.pageblock_pages:
        return 0
    zone.cnt[LOCK] += 1
    done = 0
    for order in range(zone.max_order + 1):
        pfn = list_first(zone, free_list(zone, order, HIGHATOMIC))
        zone.cnt[HEAD] += 1
        if pfn >= 0 and unreserve_block(zone, pfn, order, mt):
            done = 1
            break
    end_hold(zone)
    return done


@jit
def unreserve_block(zone: Any, pfn: int, order: int, mt: int) -> bool:
    """Turn the pageblock(s) of a free block to another type; whether pages moved."""
    pages = zone.pageblock_pages
    whole = zone.reserve_whole_block != 0
    if whole:
        pages = max(pages, 1 << order)
    if zone.unreserve_trusts_list != 0 or pageblock_type(zone, pfn) == HIGHATOMIC:
        zone.nr_reserved_highatomic -= min(pages, zone.nr_reserved_highatomic)
    if whole and order >= zone.pageblock_order:
        move_to_free_list(zone, pfn, order, mt)
        change_pageblock_range(zone, pfn, order, mt)
        zone.nr_free_highatomic -= (1 << order) * zone.counts_free_highatomic
        return True
    moved = 0
    if whole or may_scan_pageblock(zone, pfn):
        moved = move_freepages_block(zone, pfn, mt)
        zone.nr_free_highatomic -= moved * zone.counts_free_highatomic
    set_pageblock_type(zone, pfn, mt)
    return whole or moved > 0
