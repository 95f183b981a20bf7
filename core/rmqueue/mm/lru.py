"""Which pages are on an LRU list: marks of pages in use (SEMANTICS 2)."""

from __future__ import annotations

from typing import Any

from rmqueue.mm.jit import jit, load_i64, store_i64, wrapping_mul
from rmqueue.mm.mmzone import (
    ONE_LRU,
    PAGE_IN_USE,
    PAGE_LRU,
    add_to_word,
    page_state,
    pageblock_order,
    pageblock_word,
    set_page_state,
)
from rmqueue.mm.pageblock import lru_pages_in

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
    q = pfn
    while q < pfn + (1 << order):
        address, shift = zone.meta + (q & -8), 8 * (q & 7)
        states = load_i64(address, 0)
        wrong = ~states if on != 0 else states
        wrong &= mask << shift
        store_i64(address, 0, states ^ wrong)
        changed = (wrapping_mul(wrong >> 6, ONE_EACH) >> 56) & 15
        add_to_word(zone, q, ONE_LRU * (changed if on != 0 else -changed))
        q += pages


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
