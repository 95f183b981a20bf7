"""The buddy algorithm: split a block, merge a block, take the smallest that fits."""

from __future__ import annotations

from typing import Any

from rmqueue.mm.free_list import (
    add_to_free_list,
    block_weight,
    del_page_from_free_list,
    put_on_free_list,
    take_off_free_list,
)
from rmqueue.mm.jit import jit, prefetch
from rmqueue.mm.mmzone import (
    CMA,
    HIGHATOMIC,
    ONE_BLOCK,
    ONE_LRU,
    ONE_PAGE,
    PAGE_FREE,
    RECLAIMABLE,
    WRONG_BLOCK,
    WRONG_LIST,
    add_to_word,
    free_list,
    link,
    links,
    max_order,
    meta,
    next_of,
    page_state,
    pageblock_order,
    pageblock_type,
    set_page_state,
)
from rmqueue.mm.pageblock import change_pageblock_range, set_pageblock_type
from rmqueue.mm.profile import MERGE_RETYPES_ALL, MERGE_RETYPES_FIRST
from rmqueue.mm.vmstat import HEAD, LIST_ADD, LIST_DEL, MERGE, SMALLEST, SPLIT


@jit(forceinline=True)
def find_buddy_pfn(pfn: int, order: int) -> int:
    """First page of the block that a block can merge with (find_buddy_pfn)."""
    return pfn ^ (1 << order)


@jit(forceinline=True)
def account_freepages(zone: Any, pages: int, mt: int) -> None:
    """Count pages in (or out, if negative) of the free lists of a type."""
    zone.nr_free += pages
    if mt >= HIGHATOMIC:
        if mt == CMA:
            zone.nr_free_cma += pages
        elif zone.counts_free_highatomic != 0:
            zone.nr_free_highatomic += pages


@jit(cold=True)
def expand(zone: Any, pfn: int, low: int, high: int, mt: int) -> None:
    """Give the upper halves of a block back until it has the order wanted (expand).

    Parameters
    ----------
    zone : Zone
        Changed in place.
    pfn : int64
        The block, on no list; its lowest ``2**low`` pages stay with the caller.
    low, high : int64
        Order wanted, order of the block.
    mt : int64
        Type of the lists that the halves go to, at their heads, largest first.
    """
    zone.cnt[SPLIT] += high - low
    while high > low:
        high -= 1
        add_to_free_list(zone, pfn + (1 << high), high, mt, False)


@jit
def has_list(zone: Any, order: int, mt: int) -> bool:
    """Whether a zone has lists of an order and a migratetype; notes the fault if not.

    A brick that goes by another one would read and write memory that is not ours.
    """
    if 0 <= order <= zone.max_order and 0 <= mt < zone.nr_types:
        return True
    if zone.fault == 0:
        zone.fault, zone.fault_pfn, zone.fault_order = WRONG_LIST, mt, order
    return False


@jit
def can_split(zone: Any, pfn: int, low: int, high: int, mt: int) -> bool:
    """Whether a free block begins at a page, and is as large as what is to be kept.

    Notes the fault if not: a brick that takes another block off the lists would damage
    memory far from it.
    """
    if not has_list(zone, low, mt):
        return False
    exists = low <= high <= zone.max_order and zone.start <= pfn < zone.end
    if exists and page_state(zone, pfn) == PAGE_FREE | high:
        return True
    if zone.fault == 0:
        zone.fault, zone.fault_pfn, zone.fault_order = WRONG_BLOCK, pfn, high
    return False


@jit
def page_del_and_expand(zone: Any, pfn: int, low: int, high: int, mt: int) -> None:
    """Take a free block off its list and keep ``2**low`` of its pages.

    Mirrors ``page_del_and_expand()``, mm/page_alloc.c.  `mt` is the type of the lists
    that the rest goes to; the count of free pages goes down by what is kept, unless
    the kernel profile counts after the batch.
    """
    if can_split(zone, pfn, low, high, mt):
        take_block(zone, pfn, low, high, mt)


@jit
def take_block(zone: Any, pfn: int, low: int, high: int, mt: int) -> None:
    """`page_del_and_expand` of a block that is known to be free."""
    del_page_from_free_list(zone, pfn, high)
    if high > low:
        expand(zone, pfn, low, high, mt)
    if zone.late_accounting == 0:
        account_freepages(zone, -(1 << low), mt)
    zone.taken_pfn, zone.taken_order = pfn, low


@jit(cold=True)
def rmqueue_smallest(zone: Any, order: int, mt: int) -> int:
    """Take the first block of the smallest sufficient order from one type's lists.

    Parameters
    ----------
    zone : Zone
        Changed in place.
    order : int64
        Order wanted.
    mt : int64
        Migratetype of the lists to look at.

    Returns
    -------
    int64
        The block, relative to the zone, or -1.

    Notes
    -----
    Mirrors ``__rmqueue_smallest()``, mm/page_alloc.c.
    """
    if not has_list(zone, order, mt):
        return -1
    pfn = take_smallest(zone, order, mt)
    zone.taken_pfn, zone.taken_order = pfn, order
    return pfn


@jit(forceinline=True)
def take_smallest(zone: Any, order: int, mt: int) -> int:
    """`rmqueue_smallest`, for where nearly every request ends."""
    zone.cnt[SMALLEST] += 1
    k = order
    while k <= max_order(zone):
        head = free_list(zone, k, mt)
        pfn = next_of(zone, head)
        if pfn != head:
            zone.cnt[HEAD] += k - order + 1
            take_first(zone, head, pfn, k, order, mt)
            return pfn
        k += 1
    zone.cnt[HEAD] += k - order
    return -1


@jit(forceinline=True)
def take_first(zone: Any, head: int, pfn: int, high: int, low: int, mt: int) -> None:
    """`page_del_and_expand` of the first block of a list, all in one go.

    While it lies in one pageblock the word changes once, not once per half.
    """
    unlist_first(zone, head, pfn, high)
    set_page_state(zone, pfn, 0)
    if high == low:
        add_to_word(zone, pfn, -block_weight(low))
    elif high <= pageblock_order(zone):
        add_to_word(zone, pfn, ONE_BLOCK * (high - low - 1) - (ONE_PAGE << low))
        give_halves(zone, pfn, low, high, mt)
    else:
        add_to_word(zone, pfn, -block_weight(high))
        expand(zone, pfn, low, high, mt)
    if zone.late_accounting == 0:
        account_freepages(zone, -(1 << low), mt)


@jit(forceinline=True)
def unlist_first(zone: Any, head: int, pfn: int, order: int) -> None:
    """Take the first block off a free list; its state and its pageblock's word stay.

    The block's own links say nothing new about its predecessor.  The block behind it
    comes next: its state is asked for now, and the links of the one after that, into
    which the next call stores: a store that misses holds up all that follow it.
    """
    after = next_of(zone, pfn)
    link(zone, head, after)
    prefetch(meta(zone), after)
    prefetch(links(zone), 8 * next_of(zone, after))
    zone.nr_area[order] -= 1
    zone.cnt[LIST_DEL] += 1


@jit(cold=True)
def give_halves(zone: Any, pfn: int, low: int, high: int, mt: int) -> None:
    """`expand` inside one pageblock, whose word the caller has changed already."""
    zone.cnt[SPLIT] += high - low
    zone.cnt[LIST_ADD] += high - low
    while high > low:
        high -= 1
        half = pfn + (1 << high)
        head = free_list(zone, high, mt)
        link(zone, half, next_of(zone, head))
        link(zone, head, half)
        set_page_state(zone, half, PAGE_FREE | high)
        zone.nr_area[high] += 1


@jit
def merge_across_types(zone: Any, buddy: int, order: int, mt: int) -> bool:
    """Whether a buddy of pageblock order or more may be merged; retype it if so.

    Only unmovable, movable and reclaimable mix.  Which of the buddy's pageblocks take
    the type is a rule of the kernel profile.
    """
    buddy_mt = pageblock_type(zone, buddy)
    if buddy_mt == mt:
        return True
    if mt > RECLAIMABLE or buddy_mt > RECLAIMABLE:
        return False
    if zone.merge_retypes == MERGE_RETYPES_ALL:
        change_pageblock_range(zone, buddy, order, mt)
    elif zone.merge_retypes == MERGE_RETYPES_FIRST:
        set_pageblock_type(zone, buddy, mt)
    return True


@jit(forceinline=True)
def buddy_merge_likely(zone: Any, pfn: int, buddy: int, order: int) -> bool:
    """Whether the next larger pair is about to be complete (buddy_merge_likely)."""
    if order >= max_order(zone) - 1:
        return False
    higher_buddy = find_buddy_pfn(pfn & buddy, order + 1)
    return page_state(zone, higher_buddy) == PAGE_FREE | (order + 1)


@jit
def free_one_page(
    zone: Any, pfn: int, order: int, mt: int, to_tail: bool, lru: int
) -> None:
    """Put a block on the free lists, merged with its buddies as far as it goes.

    Parameters
    ----------
    zone : Zone
        Changed in place.
    pfn : int64
        The block, relative to the zone, on no list.
    order : int64
        Its order.
    mt : int64
        Migratetype of the list that the merged block goes to.
    to_tail : bool
        Put it at the tail in any case (boot); otherwise it goes to the head unless a
        larger merge is likely soon.
    lru : int64
        Pages of the block that the word of its pageblock still counts as on an LRU
        list; only where the block is within one.

    Notes
    -----
    Mirrors ``__free_one_page()``, mm/page_alloc.c.  Guard pages, isolation, page
    reporting and compaction capture are not modelled.
    """
    account_freepages(zone, 1 << order, mt)
    set_page_state(zone, pfn, 0)
    start = order
    buddy = pfn
    while order < pageblock_order(zone):
        buddy = find_buddy_pfn(pfn, order)
        if page_state(zone, buddy) != PAGE_FREE | order:
            break
        take_off_free_list(zone, buddy, order)
        pfn &= buddy
        order += 1
    merged = order - start
    zone.cnt[MERGE] += merged
    zone.cnt[LIST_DEL] += merged
    if order < pageblock_order(zone):
        pages = (ONE_PAGE << start) - ONE_LRU * lru
        add_to_word(zone, pfn, ONE_BLOCK * (1 - merged) + pages)
        tail = to_tail | buddy_merge_likely(zone, pfn, buddy, order)
        put_on_free_list(zone, pfn, order, mt, tail)
    else:
        halves = (ONE_PAGE << order) - (ONE_PAGE << start)
        add_to_word(zone, pfn, -ONE_BLOCK * merged - halves - ONE_LRU * lru)
        free_whole_pageblocks(zone, pfn, order, mt, to_tail)


@jit(cold=True)
def free_whole_pageblocks(
    zone: Any, pfn: int, order: int, mt: int, to_tail: bool
) -> None:
    """Finish `free_one_page` for a block of pageblock order or more."""
    start = order
    buddy = pfn
    while order < max_order(zone):
        buddy = find_buddy_pfn(pfn, order)
        if page_state(zone, buddy) != PAGE_FREE | order:
            break
        if not merge_across_types(zone, buddy, order, mt):
            break
        del_page_from_free_list(zone, buddy, order)
        pfn &= buddy
        order += 1
    zone.cnt[MERGE] += order - start
    tail = to_tail or buddy_merge_likely(zone, pfn, buddy, order)
    add_to_free_list(zone, pfn, order, mt, tail)
