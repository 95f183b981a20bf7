"""Intrusive lists: links between entries, and the free lists built of them.

`SEMANTICS 4`.  An entry is a zone-relative pfn or a list head (`mmzone.free_list`).
"""

from __future__ import annotations

from typing import Any

from rmqueue.mm.jit import jit
from rmqueue.mm.mmzone import (
    ONE_BLOCK,
    ONE_PAGE,
    PAGE_FREE,
    add_to_word,
    free_list,
    link,
    next_of,
    prev_of,
    set_page_state,
)
from rmqueue.mm.vmstat import LIST_ADD, LIST_DEL, LIST_MOVE


@jit(forceinline=True)
def list_init(zone: Any, head: int) -> None:
    """Make a list empty."""
    link(zone, head, head)


@jit(forceinline=True)
def list_first(zone: Any, head: int) -> int:
    """First page of a list, or -1."""
    pfn = next_of(zone, head)
    return pfn if pfn != head else -1


@jit(forceinline=True)
def list_last(zone: Any, head: int) -> int:
    """Last page of a list, or -1."""
    pfn = prev_of(zone, head)
    return pfn if pfn != head else -1


@jit(forceinline=True)
def list_add(zone: Any, pfn: int, head: int) -> None:
    """Put a page at the head of a list."""
    after = next_of(zone, head)
    link(zone, pfn, after)
    link(zone, head, pfn)


@jit(forceinline=True)
def list_add_tail(zone: Any, pfn: int, head: int) -> None:
    """Put a page at the tail of a list."""
    before = prev_of(zone, head)
    link(zone, before, pfn)
    link(zone, pfn, head)


@jit(forceinline=True)
def list_del(zone: Any, pfn: int) -> None:
    """Take a page off whatever list it is on."""
    link(zone, prev_of(zone, pfn), next_of(zone, pfn))


@jit(forceinline=True)
def block_weight(order: int) -> int:
    """Return what a free block adds to the word of its (first) pageblock."""
    return ONE_BLOCK + (ONE_PAGE << order)


@jit(forceinline=True)
def put_on_free_list(zone: Any, pfn: int, order: int, mt: int, tail: bool) -> None:
    """`add_to_free_list` but for the word of the pageblock.

    No branch on `tail`: whether a larger merge is likely is as good as random.
    """
    head = free_list(zone, order, mt)
    first, last = next_of(zone, head), prev_of(zone, head)
    before = last if tail else head
    after = head if tail else first
    link(zone, before, pfn)
    link(zone, pfn, after)
    set_page_state(zone, pfn, PAGE_FREE | order)
    zone.nr_area[order] += 1
    zone.cnt[LIST_ADD] += 1


@jit(forceinline=True)
def add_to_free_list(zone: Any, pfn: int, order: int, mt: int, tail: bool) -> None:
    """Put a free block on the list of an order and type (add_to_free_list)."""
    put_on_free_list(zone, pfn, order, mt, tail)
    add_to_word(zone, pfn, block_weight(order))


@jit(forceinline=True)
def take_off_free_list(zone: Any, pfn: int, order: int) -> None:
    """`del_page_from_free_list` but for the word of the pageblock and the count."""
    list_del(zone, pfn)
    set_page_state(zone, pfn, 0)
    zone.nr_area[order] -= 1


@jit(forceinline=True)
def del_page_from_free_list(zone: Any, pfn: int, order: int) -> None:
    """Take a free block off its list (del_page_from_free_list)."""
    take_off_free_list(zone, pfn, order)
    add_to_word(zone, pfn, -block_weight(order))
    zone.cnt[LIST_DEL] += 1


@jit
def move_to_free_list(zone: Any, pfn: int, order: int, mt: int) -> None:
    """Move a free block to the tail of the same order's list of another type.

    Parameters
    ----------
    zone : Zone
        Changed in place.
    pfn : int64
        First page of the free block, relative to the zone.
    order : int64
        Its order.
    mt : int64
        Migratetype of the list to move to.

    Notes
    -----
    Mirrors ``move_to_free_list()``, mm/page_alloc.c.  Neither the pageblock's type nor
    the count of free HIGHATOMIC pages changes here.
    """
    list_del(zone, pfn)
    list_add_tail(zone, pfn, free_list(zone, order, mt))
    zone.cnt[LIST_MOVE] += 1
