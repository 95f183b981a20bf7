"""Changes to the free lists that no request makes, for whoever follows a recording.

Taking a certain block out of the lists, putting one first, freeing to a certain type:
a real kernel does such things unseen, or its trace tells of them only afterwards.
"""

from __future__ import annotations

from typing import Any

from rmqueue.mm.buddy import account_freepages
from rmqueue.mm.fallback import should_try_claim_block
from rmqueue.mm.free_list import (
    add_to_free_list,
    del_page_from_free_list,
    list_first,
    move_to_free_list,
)
from rmqueue.mm.jit import I64, entry, jit
from rmqueue.mm.lru import set_lru
from rmqueue.mm.mmzone import (
    BUDDY_LISTS,
    NR_TYPES,
    PAGE_FREE,
    PAGE_ORDER,
    RECLAIMABLE,
    free_list,
    heads,
    link,
    next_of,
    page_state,
    pageblock_type,
    prev_of,
    zone_at,
)
from rmqueue.mm.page_alloc import free_blocks
from rmqueue.mm.pageblock import (
    change_pageblock_range,
    move_free_blocks,
    set_pageblock_type,
)

#: What `change` does.
CARVE, GIVE, ROTATE, TAKE_OVER, ISOLATE = range(5)
#: What `look` tells.
BLOCK, LIST, FIRST = range(3)


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
def any_free(zone: Any, pfn: int, order: int) -> bool:
    """Whether any page of a block is in the free lists."""
    if block_around(zone, pfn) >= 0:
        return True
    for q in range(pfn + 1, pfn + (1 << order)):
        if page_state(zone, q) & PAGE_FREE:
            return True
    return False


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


@jit
def carve(zone: Any, pfn: int, order: int) -> None:
    """Take the free pages of a range out of the lists, wherever they are.

    A larger block is split down to the range: each half outside it goes to the head of
    the same type's list.
    """
    end, at = pfn + (1 << order), pfn
    while at < end:
        first = block_around(zone, at)
        if first < 0:
            at += 1
            continue
        high = page_state(zone, first) & PAGE_ORDER
        mt = type_of_list(zone, first)
        unlink(zone, first, high, mt)
        at = first + (1 << high)
        while high > order:
            high -= 1
            half = first + (1 << high)
            if pfn >= half:
                put_back(zone, first, high, mt)
                first = half
            else:
                put_back(zone, half, high, mt)


@jit
def give(zone: Any, pfn: int, order: int, mt: int) -> None:
    """Free a block to the lists of a type; -1: that of its pageblock, split by these.

    The pages leave their LRU lists.  Pages that are free already, against all sense,
    are freed once.
    """
    if any_free(zone, pfn, order):
        carve(zone, pfn, order)
    set_lru(zone, pfn, order, 0)
    if mt < 0:
        mt = pageblock_type(zone, pfn)
    free_blocks(zone, pfn, order, mt, False)


@jit
def rotate(zone: Any, pfn: int) -> None:
    """Rotate the list of a free block until it is first (list_rotate_to_front)."""
    order = page_state(zone, pfn) & PAGE_ORDER
    head = free_list(zone, order, type_of_list(zone, pfn))
    link(zone, prev_of(zone, head), next_of(zone, head))
    link(zone, prev_of(zone, pfn), head)
    link(zone, head, pfn)


@jit
def take_over(zone: Any, pfn: int, mt: int, convert: int) -> None:
    """Move a free block, or what is free of its pageblock, to another type's lists.

    With `convert` the pageblocks change their type as well; without they keep it, as
    kernels before 6.10 leave them.
    """
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


@jit
def isolate(zone: Any, pfn: int, movable: int, move: int) -> None:
    """Take a free block out as compaction does (__isolate_free_page).

    The pageblocks of a large block become movable; since 6.10 (`move`) their other free
    blocks change lists with them.
    """
    order = page_state(zone, pfn) & PAGE_ORDER
    unlink(zone, pfn, order, type_of_list(zone, pfn))
    if order < zone.pageblock_order - 1:
        return
    for q in range(pfn, pfn + (1 << order), zone.pageblock_pages):
        if pageblock_type(zone, q) <= RECLAIMABLE:
            if move != 0:
                move_free_blocks(zone, q, movable)
            set_pageblock_type(zone, q, movable)


@jit
def change_one(zone: Any, what: int, pfn: int, x: int, y: int) -> None:
    """Do one change to one zone."""
    if what == CARVE:
        carve(zone, pfn, x)
    elif what == GIVE:
        give(zone, pfn, x, y)
    elif what == ROTATE:
        rotate(zone, pfn)
    elif what == TAKE_OVER:
        take_over(zone, pfn, x, y)
    else:
        isolate(zone, pfn, x, y)


@entry(I64, I64, I64, I64, I64, I64, I64)
def change(tries: int, keeps: int, what: int, pfn: int, x: int, y: int) -> int:
    """Do one change to a zone, or to two that are in the same state.

    Parameters
    ----------
    tries, keeps : int64
        Where the `ZONE` records lie; `keeps` may be 0.
    what : int64
        `CARVE` (x: order), `GIVE` (x: order, y: migratetype or -1), `ROTATE`,
        `TAKE_OVER` (x: migratetype, y: convert) or `ISOLATE` (x: movable, y: move).
    pfn : int64
        Page or block, relative to the zone.
    x, y : int64
        As above.
    """
    change_one(zone_at(tries), what, pfn, x, y)
    if keeps != 0:
        change_one(zone_at(keeps), what, pfn, x, y)
    return 0


@entry(I64, I64, I64, I64, I64)
def look(zone_address: int, what: int, x: int, y: int) -> int:
    """Look into the free lists.

    Parameters
    ----------
    zone_address : int64
        Where the `ZONE` record lies.
    what : int64
        `BLOCK`: the free block that holds page `x`, as 64 * first page + order, or -1.
        `LIST`: the migratetype of the list that free block `x` is on.
        `FIRST`: the first block of order `x` and migratetype `y`, or -1.
    x, y : int64
        As above.
    """
    zone = zone_at(zone_address)
    if what == LIST:
        return int(type_of_list(zone, x))
    if what == FIRST:
        return int(list_first(zone, free_list(zone, x, y)))
    first = block_around(zone, x)
    if first < 0:
        return -1
    return int(64 * first + (page_state(zone, first) & PAGE_ORDER))
