"""Invariants of pages and pageblocks: each in a function of its name.

They walk all pages of the zone (see `rmqueue.mm.check`).
"""

from __future__ import annotations

from typing import Any

from rmqueue.mm.check_lists import holds, list_length
from rmqueue.mm.jit import jit
from rmqueue.mm.mmzone import (
    CMA,
    HIGHATOMIC,
    MOVABLE,
    NR_TYPES,
    PAGE_FREE,
    PAGE_IN_USE,
    PAGE_LRU,
    PAGE_ORDER,
    PAGE_PCP,
    PCP_ORDER_LISTS,
    RECLAIMABLE,
    free_list,
    next_of,
    page_state,
    page_type,
    pageblock_type,
    pageblock_word,
    pcp_list,
)
from rmqueue.mm.pageblock import free_blocks_in, free_pages_in, lru_pages_in
from rmqueue.mm.pcp import order_to_pindex, pindex_to_order
from rmqueue.mm.profile import MERGE_RETYPES_ALL


@jit
def marks_listed(zone: Any, breach: Any) -> bool:
    """No page is marked free or per-CPU that is on no such list."""
    listed = 0
    for mt in range(NR_TYPES):
        for order in range(zone.max_order + 1):
            listed += list_length(zone, free_list(zone, order, mt))
    for cpu in range(zone.cpus):
        for pindex in range(PCP_ORDER_LISTS + zone.huge_lists):
            listed += list_length(zone, pcp_list(zone, cpu, pindex))
    marked = 0
    for pfn in range(zone.start, zone.end):
        if page_state(zone, pfn) & (PAGE_FREE | PAGE_PCP):
            marked += 1
    return bool(holds(breach, -1, -1, listed, marked))


@jit
def blocks_disjoint(zone: Any, breach: Any) -> bool:
    """Inside a block none begins, and no page of a free one is on an LRU list."""
    behind = zone.start
    inside = 0
    for pfn in range(zone.start, zone.end):
        state = page_state(zone, pfn)
        begins = state & (PAGE_FREE | PAGE_PCP | PAGE_IN_USE)
        if pfn < behind:
            if not holds(breach, pfn, state & PAGE_ORDER, inside & state, state):
                return False
        elif begins != 0:
            behind = pfn + (1 << (state & PAGE_ORDER))
            inside = PAGE_LRU if begins == PAGE_IN_USE else 0
            unknown = state & PAGE_LRU & ~inside
            if not holds(breach, pfn, state & PAGE_ORDER, 0, unknown):
                return False
    return True


@jit
def buddies_merged(zone: Any, breach: Any) -> bool:
    """Below pageblock order, no two buddies are both free.

    From pageblock order up types decide whether buddies merge, and unreserving a
    HIGHATOMIC block changes a type without a merge.
    """
    for pfn in range(zone.start, zone.end):
        state = page_state(zone, pfn)
        order = state & PAGE_ORDER
        if state & PAGE_FREE and order < min(zone.pageblock_order, zone.max_order):
            buddy = pfn ^ (1 << order)
            if page_state(zone, buddy) == state:
                return bool(holds(breach, pfn, order, 0, state))
    return True


@jit
def types_bind_lists(zone: Any) -> bool:
    """Whether a free block must lie on the lists of its first pageblock's type.

    Not where the kernel mixes them, nor where a merge retypes one of several pageblocks
    of a buddy, nor where grouping by mobility is off and every type is stored as one.
    """
    retypes_all = zone.merge_retypes == MERGE_RETYPES_ALL
    small = zone.pageblock_order < zone.max_order - 1
    return bool(
        zone.mixed_lists == 0 and zone.mobility_off == 0 and (retypes_all or not small)
    )


@jit
def list_types(zone: Any, breach: Any) -> bool:
    """Have free blocks on the lists of their pageblock's type, where kernels do."""
    if not types_bind_lists(zone):
        return True
    for order in range(zone.max_order + 1):
        for mt in range(NR_TYPES):
            head = free_list(zone, order, mt)
            pfn = next_of(zone, head)
            while pfn != head:
                if not holds(breach, pfn, order, mt, pageblock_type(zone, pfn)):
                    return False
                pfn = next_of(zone, pfn)
    return True


@jit
def pageblock_words(zone: Any, breach: Any) -> bool:
    """Have the word of each pageblock say what a scan of it finds."""
    size = zone.pageblock_pages
    for first in range(zone.start // size * size, zone.end, size):
        blocks = 0
        pages = 0
        lru = 0
        for pfn in range(max(first, zone.start), min(first + size, zone.end)):
            state = page_state(zone, pfn)
            if state & PAGE_FREE:
                blocks += 1
                pages += 1 << (state & PAGE_ORDER)
            if state & PAGE_LRU:
                lru += 1
        word = pageblock_word(zone, first)
        if not (
            holds(breach, first, -1, blocks, free_blocks_in(word))
            and holds(breach, first, -1, pages, free_pages_in(word))
            and holds(breach, first, -1, lru, lru_pages_in(word))
        ):
            return False
    return True


@jit
def accounted_pages(zone: Any) -> int:
    """Pages that are free, on per-CPU lists, or in a block that a caller holds."""
    pages = 0
    for pfn in range(zone.start, zone.end):
        state = page_state(zone, pfn)
        if state & (PAGE_FREE | PAGE_PCP | PAGE_IN_USE):
            pages += 1 << (state & PAGE_ORDER)
    return pages


@jit
def pages_conserved(zone: Any, breach: Any) -> bool:
    """No page is lost: all managed pages are accounted for.

    `zone.unaccounted` are pages in use before a recording began, whose blocks nobody
    names.
    """
    pages = accounted_pages(zone) + zone.unaccounted
    return bool(holds(breach, -1, -1, zone.managed, pages))


@jit
def watermarks_ordered(zone: Any, breach: Any) -> bool:
    """Have min not above low, low not above high; the boost is not negative."""
    for lower, upper in (
        (zone.wmark_min, zone.wmark_low),
        (zone.wmark_low, zone.wmark_high),
    ):
        if not holds(breach, -1, -1, min(lower, upper), lower):
            return False
    return holds(breach, -1, -1, max(zone.boost, 0), zone.boost)


@jit
def highatomic_reserve(zone: Any, breach: Any) -> bool:
    """Have a HIGHATOMIC reserve that is not negative and fits in the zone."""
    reserved = zone.nr_reserved_highatomic
    most = zone.end - zone.start + 2 * zone.pageblock_pages
    return bool(holds(breach, -1, -1, min(max(reserved, 0), most), reserved))


@jit
def type_to_carry(zone: Any, pfn: int, pindex: int) -> int:
    """Type that a block on a per-CPU list carries: its own, if that is one it may.

    CMA if its pageblock is CMA; else one whose list this is: a HIGHATOMIC block lies
    among the movable ones, and huge pages share lists.
    """
    if pageblock_type(zone, pfn) == CMA:
        return CMA
    mt = page_type(zone, pfn)
    listed = MOVABLE if mt == HIGHATOMIC else mt
    order = pindex_to_order(zone, pindex)
    if listed <= RECLAIMABLE and order_to_pindex(zone, order, listed) == pindex:
        return mt
    return pindex % 3


@jit
def pcp_types(zone: Any, breach: Any) -> bool:
    """Have each block on a per-CPU list carry a type of that list, where they do."""
    if zone.pcp_keeps_type == 0:
        return True
    for cpu in range(zone.cpus):
        for pindex in range(PCP_ORDER_LISTS + zone.huge_lists):
            order = pindex_to_order(zone, pindex)
            head = pcp_list(zone, cpu, pindex)
            pfn = next_of(zone, head)
            while pfn != head:
                expected = type_to_carry(zone, pfn, pindex)
                if not holds(breach, pfn, order, expected, page_type(zone, pfn)):
                    return False
                pfn = next_of(zone, pfn)
    return True


@jit
def check_pages(zone: Any, breach: Any) -> int:
    """Check what pages, pageblocks and the zone say of each other."""
    if not marks_listed(zone, breach):
        return 8
    if not blocks_disjoint(zone, breach):
        return 9
    if not buddies_merged(zone, breach):
        return 10
    if not list_types(zone, breach):
        return 11
    if not pageblock_words(zone, breach):
        return 12
    if not pages_conserved(zone, breach):
        return 13
    if not watermarks_ordered(zone, breach):
        return 14
    if not highatomic_reserve(zone, breach):
        return 15
    if not pcp_types(zone, breach):
        return 16
    return -1
