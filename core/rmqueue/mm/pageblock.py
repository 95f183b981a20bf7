"""Pageblocks: types, what a block holds, and conversion to another type."""

from __future__ import annotations

from typing import Any

from rmqueue.mm.free_list import block_weight, move_to_free_list
from rmqueue.mm.jit import jit, load_i64
from rmqueue.mm.mmzone import (
    BLOCKS_MASK,
    BLOCKS_SHIFT,
    LRU_SHIFT,
    ONE_LRU,
    PAGE_FREE,
    PAGE_LRU,
    PAGE_ORDER,
    PAGES_MASK,
    PAGES_SHIFT,
    RECLAIMABLE,
    UNMOVABLE,
    add_to_word,
    page_state,
    pageblock_type,
    pageblock_word,
)
from rmqueue.mm.vmstat import MOVE_PAGE, PBSET

#: A free block begins in these eight pages iff a bit is set here.
ANY_FREE = -0x7F7F7F7F7F7F7F80


@jit(forceinline=True)
def free_pages_in(word: int) -> int:
    """Return the free pages [pages] of a pageblock, from its word."""
    return (word >> PAGES_SHIFT) & PAGES_MASK


@jit(forceinline=True)
def free_blocks_in(word: int) -> int:
    """Return the free blocks that begin in a pageblock, from its word."""
    return (word >> BLOCKS_SHIFT) & BLOCKS_MASK


@jit(forceinline=True)
def lru_pages_in(word: int) -> int:
    """Return the pages [pages] of a pageblock on an LRU list, from its word."""
    return (word >> LRU_SHIFT) & PAGES_MASK


@jit
def set_pageblock_type(zone: Any, pfn: int, mt: int) -> None:
    """Set the type of the pageblock that holds a page (set_pageblock_migratetype).

    Parameters
    ----------
    zone : Zone
        Changed in place.
    pfn : int64
        Any page of the block, relative to the zone.
    mt : int64
        New migratetype; while grouping by mobility is off, unmovable is stored for
        movable and reclaimable.
    """
    if zone.mobility_off != 0 and mt <= RECLAIMABLE:
        mt = UNMOVABLE
    add_to_word(zone, pfn, mt - pageblock_type(zone, pfn))
    zone.cnt[PBSET] += 1
    zone.rare_work = 1


@jit
def change_pageblock_range(zone: Any, pfn: int, order: int, mt: int) -> None:
    """Set the type of all pageblocks of a block of pageblock order or more."""
    for block in range(1 << (order - zone.pageblock_order)):
        set_pageblock_type(zone, pfn + (block << zone.pageblock_order), mt)


@jit(forceinline=True)
def pageblock_start(zone: Any, pfn: int) -> int:
    """First page of the pageblock that holds a page."""
    return int((pfn >> zone.pageblock_order) << zone.pageblock_order)


@jit(forceinline=True)
def scans_rest(zone: Any, pfn: int) -> bool:
    """Whether a scan of the pageblock of a page begins at the page.

    Where the zone cuts off the pageblock's beginning, and the kernel profile has it so.
    Callers take the whole pageblock for the rule: its word is at hand.
    """
    cut_off = pageblock_start(zone, pfn) < zone.start
    return bool(cut_off and zone.scans_from_page != 0)


@jit
def may_scan_pageblock(zone: Any, pfn: int) -> bool:
    """Whether the kernel scans the pageblock of a page.

    Not if it crosses the zone's end; nor its start, unless the scan begins at the page.
    """
    start = pageblock_start(zone, pfn)
    inside = start >= zone.start or zone.scans_from_page != 0
    return bool(inside and start + zone.pageblock_pages <= zone.end)


@jit(forceinline=True)
def rest_of_pageblock(zone: Any, pfn: int) -> int:
    """Pages [pages] from a page to the end of its pageblock."""
    return int(pageblock_start(zone, pfn) + zone.pageblock_pages - pfn)


@jit(cold=True)
def word_from(zone: Any, q: int) -> int:
    """Return what a scan from a page to the end of its pageblock finds, as a word."""
    end = q + rest_of_pageblock(zone, q)
    word = pageblock_type(zone, q)
    while q < end:
        state = page_state(zone, q)
        if state & PAGE_FREE:
            word += block_weight(state & PAGE_ORDER)
            q += 1 << (state & PAGE_ORDER)
        else:
            word += ONE_LRU * (state // PAGE_LRU & 1)
            q += 1
    return word


@jit
def move_free_blocks(zone: Any, pfn: int, mt: int) -> int:
    """Move every free block of a pageblock to the tails of another type's lists.

    Parameters
    ----------
    zone : Zone
        Changed in place; the type of the pageblock is not.
    pfn : int64
        Any page of the block, relative to the zone.
    mt : int64
        Migratetype of the lists to move to.

    Returns
    -------
    int64
        Pages moved [pages].

    Notes
    -----
    The walk of ``__move_freepages_block()``, mm/page_alloc.c: upward, jumping over free
    blocks.  The pageblock word says how many there are, so it ends at the last one, and
    eight pages in use are passed at a time.
    """
    q = pageblock_start(zone, pfn)
    end = q + zone.pageblock_pages
    left = free_blocks_in(pageblock_word(zone, q))
    if scans_rest(zone, pfn):
        q = pfn
        left = free_blocks_in(word_from(zone, pfn))
    moved = 0
    while left > 0:
        if q & 7 == 0 and q + 8 <= end and load_i64(zone.meta + q, 0) & ANY_FREE == 0:
            q += 8
            continue
        state = page_state(zone, q)
        if state & PAGE_FREE:
            order = state & PAGE_ORDER
            move_to_free_list(zone, q, order, mt)
            moved += 1 << order
            q += 1 << order
            left -= 1
        else:
            q += 1
    return moved


@jit
def move_freepages_block(zone: Any, pfn: int, mt: int) -> int:
    """`move_free_blocks`, counted as the kernel's second pass over the pageblock."""
    blocks, pages = free_blocks_in(pageblock_word(zone, pfn)), zone.pageblock_pages
    if scans_rest(zone, pfn):
        blocks = free_blocks_in(word_from(zone, pfn))
        pages = rest_of_pageblock(zone, pfn)
    moved = move_free_blocks(zone, pfn, mt)
    zone.cnt[MOVE_PAGE] += blocks + max(pages - moved, 0)
    zone.rare_work = 1
    return moved
