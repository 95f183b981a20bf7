"""Invariants of lists: each in a function of its name (see `rmqueue.mm.check`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from rmqueue.mm.jit import jit, view_as
from rmqueue.mm.mmzone import (
    BUDDY_LISTS,
    CMA,
    HIGHATOMIC,
    NR_TYPES,
    PAGE_FREE,
    PAGE_PCP,
    PCP_LISTS,
    PCP_ORDER_LISTS,
    free_list,
    next_of,
    page_state,
    pcp_list,
    prev_of,
)
from rmqueue.mm.pcp import pcp_of, pindex_to_order

BREACH = np.dtype(
    [(name, "i8") for name in ("pfn", "order", "expected", "found")], align=True
)
breach_at = view_as(BREACH)


@jit
def holds(breach: Any, pfn: int, order: int, expected: int, found: int) -> bool:
    """Whether two numbers agree; notes where they do not (-1: no page, no order)."""
    if expected != found:
        breach.pfn = pfn
        breach.order = order
        breach.expected = expected
        breach.found = found
    return bool(expected == found)


@jit
def list_length(zone: Any, head: int) -> int:
    """Blocks on a list that is known to be linked."""
    length = 0
    entry_ = next_of(zone, head)
    while entry_ != head:
        length += 1
        entry_ = next_of(zone, entry_)
    return length


@jit
def lists_linked(zone: Any, breach: Any) -> bool:
    """Each list is a ring of pages: whoever comes next leads back, and it closes."""
    last = zone.heads + BUDDY_LISTS + 1 + zone.cpus * PCP_LISTS
    left = zone.end - zone.start
    for head in range(zone.heads, last):
        before = head
        at = next_of(zone, head)
        while at != head:
            if at < zone.start or at >= zone.end or left == 0:
                return bool(holds(breach, before, -1, head, at))
            if not holds(breach, at, -1, before, prev_of(zone, at)):
                return False
            left -= 1
            before = at
            at = next_of(zone, at)
        if not holds(breach, -1, -1, before, prev_of(zone, head)):
            return False
    return True


@jit
def free_pages_marked(zone: Any, breach: Any) -> bool:
    """Each block on a free list is marked free with its order, aligned, in the zone."""
    for order in range(zone.max_order + 1):
        for mt in range(NR_TYPES):
            head = free_list(zone, order, mt)
            pfn = next_of(zone, head)
            while pfn != head:
                if not holds(
                    breach, pfn, order, PAGE_FREE | order, page_state(zone, pfn)
                ):
                    return False
                outside = pfn < zone.start or pfn + (1 << order) > zone.end
                if not holds(breach, pfn, order, 0, pfn & ((1 << order) - 1)):
                    return False
                if not holds(breach, pfn, order, 0, int(outside)):
                    return False
                pfn = next_of(zone, pfn)
    return True


@jit
def nr_area(zone: Any, breach: Any) -> bool:
    """`nr_area` of each order is the number of blocks on its lists of all types."""
    for order in range(zone.max_order + 1):
        blocks = 0
        for mt in range(NR_TYPES):
            blocks += list_length(zone, free_list(zone, order, mt))
        if not holds(breach, -1, order, blocks, zone.nr_area[order]):
            return False
    return True


@jit
def listed_pages(zone: Any, mt: int) -> int:
    """Free pages on the lists of one type [pages]."""
    pages = 0
    for order in range(zone.max_order + 1):
        pages += list_length(zone, free_list(zone, order, mt)) << order
    return pages


@jit
def nr_free(zone: Any, breach: Any) -> bool:
    """`nr_free` is the number of pages on all free lists."""
    pages = 0
    for mt in range(NR_TYPES):
        pages += listed_pages(zone, mt)
    return bool(holds(breach, -1, -1, pages, zone.nr_free))


@jit
def nr_free_cma(zone: Any, breach: Any) -> bool:
    """`nr_free_cma` is the number of pages on the CMA lists."""
    return bool(holds(breach, -1, -1, listed_pages(zone, CMA), zone.nr_free_cma))


@jit
def nr_free_highatomic(zone: Any, breach: Any) -> bool:
    """`nr_free_highatomic` is what the HIGHATOMIC lists hold, where it is counted."""
    pages = 0
    if zone.counts_free_highatomic != 0:
        pages = listed_pages(zone, HIGHATOMIC)
    return bool(holds(breach, -1, -1, pages, zone.nr_free_highatomic))


@jit
def pcp_pages_marked(zone: Any, breach: Any) -> bool:
    """Each block on a per-CPU list is marked so, with the order of that list."""
    for cpu in range(zone.cpus):
        for pindex in range(PCP_ORDER_LISTS + zone.huge_lists):
            order = pindex_to_order(zone, pindex)
            head = pcp_list(zone, cpu, pindex)
            pfn = next_of(zone, head)
            while pfn != head:
                state = page_state(zone, pfn)
                if not holds(breach, pfn, order, PAGE_PCP | order, state):
                    return False
                pfn = next_of(zone, pfn)
    return True


@jit
def pages_of_cpu(zone: Any, cpu: int) -> int:
    """Pages on the lists of a CPU [pages]."""
    pages = 0
    for pindex in range(PCP_ORDER_LISTS + zone.huge_lists):
        length = list_length(zone, pcp_list(zone, cpu, pindex))
        pages += length << pindex_to_order(zone, pindex)
    return pages


@jit
def pcp_count(zone: Any, breach: Any) -> bool:
    """`count` of each CPU is the number of pages on its lists."""
    for cpu in range(zone.cpus):
        if not holds(breach, -1, -1, pages_of_cpu(zone, cpu), pcp_of(zone, cpu).count):
            return False
    return True


@jit
def check_lists(zone: Any, breach: Any) -> int:
    """Check what lists and counters say of each other; see `check_zone`."""
    if not lists_linked(zone, breach):
        return 0
    if not free_pages_marked(zone, breach):
        return 1
    if not nr_area(zone, breach):
        return 2
    if not nr_free(zone, breach):
        return 3
    if not nr_free_cma(zone, breach):
        return 4
    if not nr_free_highatomic(zone, breach):
        return 5
    if not pcp_pages_marked(zone, breach):
        return 6
    if not pcp_count(zone, breach):
        return 7
    return -1
