"""Single steps of the allocator, for callers that follow a recording event by event.

A replay runs a whole stream in one call; whoever compares each page with a real kernel
needs the steps one by one, and some that no request makes: taking a certain block out
of the lists, or putting one at the front.
"""

from __future__ import annotations

from typing import Any

from rmqueue.mm.buddy import account_freepages, rmqueue_smallest
from rmqueue.mm.fallback import should_try_claim_block
from rmqueue.mm.free_list import (
    add_to_free_list,
    del_page_from_free_list,
    list_first,
    move_to_free_list,
)
from rmqueue.mm.jit import I64, entry, jit
from rmqueue.mm.mmzone import (
    BUDDY_LISTS,
    NR_TYPES,
    PAGE_FREE,
    PAGE_ORDER,
    RECLAIMABLE,
    batch_address,
    batch_at,
    free_list,
    heads,
    link,
    next_of,
    page_state,
    pageblock_type,
    prev_of,
    zone_at,
)
from rmqueue.mm.page_alloc import FALLBACK_TYPE, free_blocks, rmqueue, set_lru
from rmqueue.mm.pageblock import (
    change_pageblock_range,
    move_free_blocks,
    set_pageblock_type,
)


@entry(I64, I64, I64, I64, I64, I64, FALLBACK_TYPE)
def take(
    zone_address: int, order: int, mt: int, flags: int, mode: int, fallback: Any
) -> int:
    """Take one block as `rmqueue` does in a batch that remembers a mode.

    Returns the page, relative to the zone, or -1.  Afterwards the mode is in the zone's
    batch record, and `rare_work` is set if the strategy was asked.  Reserved types have
    no fallback.
    """
    zone = zone_at(zone_address)
    batch_at(batch_address(zone)).mode = mode
    zone.rare_work = 0
    if mt > RECLAIMABLE:
        pfn = rmqueue_smallest(zone, order, mt)
    else:
        pfn = rmqueue(zone, order, mt, flags, fallback)
    if pfn >= 0 and zone.late_accounting != 0:
        account_freepages(zone, -(1 << order), pageblock_type(zone, pfn))
    return int(pfn)


@entry(I64, I64, I64, I64, I64)
def give(zone_address: int, pfn: int, order: int, mt: int) -> int:
    """Free a block to the lists of a type; -1: that of its pageblock, split by these.

    The pages leave their LRU lists.
    """
    zone = zone_at(zone_address)
    set_lru(zone, pfn, order, 0)
    own = pageblock_type(zone, pfn)
    free_blocks(zone, pfn, order, own if mt < 0 else mt, False)
    return 0


@entry(I64, I64, I64, I64, I64)
def mark_lru(zone_address: int, pfn: int, order: int, on: int) -> int:
    """Put the pages of a block in use on an LRU list (1), or take them off (0)."""
    set_lru(zone_at(zone_address), pfn, order, on)
    return 0


@jit
def block_around(zone: Any, pfn: int) -> int:
    """First page of the free block that holds a page, or -1."""
    for order in range(zone.max_order + 1):
        first = (pfn >> order) << order
        state = page_state(zone, first)
        if state & PAGE_FREE and state & PAGE_ORDER >= order:
            return int(first)
    return -1


@jit
def type_of_list(zone: Any, pfn: int) -> int:
    """Migratetype of the list that a free block is on, which its pageblock need not be.

    Walks to the end of the list.
    """
    while pfn < heads(zone) or pfn >= heads(zone) + BUDDY_LISTS:
        pfn = next_of(zone, pfn)
    return int((pfn - heads(zone)) % NR_TYPES)


@jit
def unlink(zone: Any, pfn: int, order: int, mt: int) -> None:
    """Take a free block out of the lists and out of the count of free pages."""
    del_page_from_free_list(zone, pfn, order)
    account_freepages(zone, -(1 << order), mt)


@jit
def put_back(zone: Any, pfn: int, order: int, mt: int) -> None:
    """Undo `unlink`; the block goes to the head of its list."""
    add_to_free_list(zone, pfn, order, mt, False)
    account_freepages(zone, 1 << order, mt)


@entry(I64, I64, I64)
def find_block(zone_address: int, pfn: int) -> int:
    """Find the free block that holds a page: 64 * first page + order, or -1."""
    zone = zone_at(zone_address)
    first = block_around(zone, pfn)
    if first < 0:
        return -1
    return int(64 * first + (page_state(zone, first) & PAGE_ORDER))


@entry(I64, I64, I64, I64)
def first_of(zone_address: int, order: int, mt: int) -> int:
    """First block of a free list, or -1."""
    zone = zone_at(zone_address)
    return int(list_first(zone, free_list(zone, order, mt)))


@entry(I64, I64, I64)
def find_list(zone_address: int, pfn: int) -> int:
    """Migratetype of the list that a free block is on."""
    return int(type_of_list(zone_at(zone_address), pfn))


@entry(I64, I64, I64, I64)
def carve(zone_address: int, pfn: int, order: int) -> int:
    """Take the free pages of a range out of the lists, wherever they are.

    A larger block is split down to the range: each half outside it goes to the head of
    the same type's list.

    Returns
    -------
    int64
        Pages taken out [pages].
    """
    zone = zone_at(zone_address)
    end, at, taken = pfn + (1 << order), pfn, 0
    while at < end:
        first = block_around(zone, at)
        if first < 0:
            at += 1
            continue
        high = page_state(zone, first) & PAGE_ORDER
        mt = type_of_list(zone, first)
        unlink(zone, first, high, mt)
        taken += 1 << min(high, order)
        at = first + (1 << high)
        while high > order:
            high -= 1
            half = first + (1 << high)
            if pfn >= half:
                put_back(zone, first, high, mt)
                first = half
            else:
                put_back(zone, half, high, mt)
    return taken


@entry(I64, I64, I64)
def rotate(zone_address: int, pfn: int) -> int:
    """Rotate the list of a free block until it is first (list_rotate_to_front)."""
    zone = zone_at(zone_address)
    order = page_state(zone, pfn) & PAGE_ORDER
    head = free_list(zone, order, type_of_list(zone, pfn))
    link(zone, prev_of(zone, head), next_of(zone, head))
    link(zone, prev_of(zone, pfn), head)
    link(zone, head, pfn)
    return 0


@entry(I64, I64, I64, I64, I64)
def take_over(zone_address: int, pfn: int, mt: int, convert: int) -> int:
    """Move a free block, or what is free of its pageblock, to another type's lists.

    Parameters
    ----------
    zone_address : int64
        Where the `ZONE` record lies.
    pfn : int64
        First page of a free block, relative to the zone.
    mt : int64
        Migratetype of the lists to move to.
    convert : int64
        1: the pageblocks change their type as well; 0: they keep it, as kernels before
        6.10 leave them.
    """
    zone = zone_at(zone_address)
    order = page_state(zone, pfn) & PAGE_ORDER
    if order >= zone.pageblock_order:
        move_to_free_list(zone, pfn, order, mt)
        change_pageblock_range(zone, pfn, order, mt)
    elif convert != 0:
        move_free_blocks(zone, pfn, mt)
        set_pageblock_type(zone, pfn, mt)
    elif should_try_claim_block(zone, order, mt):
        move_free_blocks(zone, pfn, mt)
    else:
        move_to_free_list(zone, pfn, order, mt)
    return 0


@entry(I64, I64, I64, I64, I64)
def isolate(zone_address: int, pfn: int, movable: int, move: int) -> int:
    """Take a free block out as compaction does (__isolate_free_page).

    Parameters
    ----------
    zone_address : int64
        Where the `ZONE` record lies.
    pfn : int64
        First page of a free block, relative to the zone.
    movable : int64
        Migratetype that the pageblocks of a large block take.
    move : int64
        1: their other free blocks change lists with them (since 6.10).
    """
    zone = zone_at(zone_address)
    order = page_state(zone, pfn) & PAGE_ORDER
    unlink(zone, pfn, order, type_of_list(zone, pfn))
    if order < zone.pageblock_order - 1:
        return 0
    for q in range(pfn, pfn + (1 << order), zone.pageblock_pages):
        if pageblock_type(zone, q) <= RECLAIMABLE:
            if move != 0:
                move_free_blocks(zone, q, movable)
            set_pageblock_type(zone, q, movable)
    return 0
