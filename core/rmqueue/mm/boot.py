"""Boot: from nothing to a zone with all its memory free (SEMANTICS 3, 13).

Also the other beginning: a state that was recorded on a running kernel.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rmqueue.mm.buddy import account_freepages
from rmqueue.mm.free_list import add_to_free_list, list_init
from rmqueue.mm.jit import I64, entry, jit, load_i64, load_u8, store_i64, view_as
from rmqueue.mm.lru import set_lru
from rmqueue.mm.mmzone import (
    BUDDY_LISTS,
    CMA,
    MOVABLE,
    NR_ORDERS,
    NR_TYPES,
    PAGE_IN_USE,
    PCP_LISTS,
    PCPF_FREE_HIGH_BATCH,
    page_state,
    pageblock_type,
    set_page_state,
    zone_at,
)
from rmqueue.mm.page_alloc import free_blocks, free_pages_ok
from rmqueue.mm.pageblock import set_pageblock_type
from rmqueue.mm.pageset import zone_set_pageset_high_and_batch
from rmqueue.mm.pcp import pcp_of
from rmqueue.mm.vmstat import COUNTER_SLOTS, HISTOGRAM_BUCKETS
from rmqueue.mm.watermark import setup_per_zone_wmarks


@jit
def init_lists(zone: Any) -> None:
    """Make all lists of a zone empty."""
    for i in range(BUDDY_LISTS + 1 + zone.cpus * PCP_LISTS):
        list_init(zone, zone.heads + i)


@jit
def init_types(zone: Any) -> None:
    """Make every pageblock movable whose first page is in the zone."""
    size = zone.pageblock_pages
    for pfn in range((zone.start + size - 1) // size * size, zone.end, size):
        set_pageblock_type(zone, pfn, MOVABLE)


@jit
def memblock_free_range(zone: Any, pfn: int, end: int) -> None:
    """Hand a range to the allocator in the largest aligned blocks, upward.

    Mirrors ``__free_pages_memory()``, mm/memblock.c.
    """
    while pfn < end:
        order = zone.max_order
        while pfn & ((1 << order) - 1) or pfn + (1 << order) > end:
            order -= 1
        zone.managed += 1 << order
        free_blocks(zone, pfn, order, pageblock_type(zone, pfn), True)
        pfn += 1 << order


@jit
def init_cma(zone: Any) -> None:
    """Give the CMA area, the zone's last whole pageblocks, to the CMA lists."""
    end = zone.end // zone.pageblock_pages * zone.pageblock_pages
    start = end - zone.cma_pageblocks * zone.pageblock_pages
    for pfn in range(start, end, zone.pageblock_pages):
        set_pageblock_type(zone, pfn, CMA)
        free_pages_ok(zone, pfn, zone.pageblock_order)
        zone.managed += zone.pageblock_pages


@jit
def clear_counters(zone: Any) -> None:
    """Set counters, matrices and hold statistics back to nothing."""
    for i in range(COUNTER_SLOTS):
        zone.cnt[i] = 0
        zone.hold_start[i] = 0
        zone.hold_worst[i] = 0
    for i in range(HISTOGRAM_BUCKETS):
        store_i64(zone.hold_histogram, i, 0)
    zone.hold_count = 0
    zone.hold_total_ps = 0
    zone.hold_worst_ps = 0
    for i in range(NR_TYPES):
        for k in range(NR_TYPES):
            zone.claims[i, k] = 0
            zone.steals[i, k] = 0
            zone.pollute[i, k] = 0
    for i in range(NR_ORDERS):
        for k in range(NR_ORDERS):
            zone.fallback_orders[i, k] = 0


@entry(I64, I64, I64, I64, I64)
def boot(zone_address: int, ranges: int, nr_ranges: int, min_free_kbytes: int) -> int:
    """Boot a zone whose record, page arrays and free ranges are laid out.

    Parameters
    ----------
    zone_address : int64
        Where the `ZONE` record lies; its arrays must be zero.
    ranges : int64
        Address of pairs of int64: first page and end of each range to hand over, not
        the CMA area, relative to the zone, ascending.
    nr_ranges : int64
        Number of pairs.
    min_free_kbytes : int64
        Configured value [KiB], or 0 for the kernel's rule.

    Returns
    -------
    int64
        Managed pages [pages].
    """
    zone = zone_at(zone_address)
    init_lists(zone)
    init_types(zone)
    for i in range(nr_ranges):
        memblock_free_range(zone, load_i64(ranges, 2 * i), load_i64(ranges, 2 * i + 1))
    zone_set_pageset_high_and_batch(zone)
    init_cma(zone)
    setup_per_zone_wmarks(zone, min_free_kbytes)
    zone_set_pageset_high_and_batch(zone)
    clear_counters(zone)
    for cpu in range(zone.cpus):
        pcp_of(zone, cpu).flags = PCPF_FREE_HIGH_BATCH * zone.free_high_batch
    return int(zone.managed)


@jit
def restore_free_lists(zone: Any, blocks: int, nr_blocks: int) -> int:
    """Put recorded blocks on their lists; 0, or 1 + the first that does not fit."""
    for i in range(nr_blocks):
        pfn = load_i64(blocks, 3 * i)
        order = load_i64(blocks, 3 * i + 1)
        mt = load_i64(blocks, 3 * i + 2)
        outside = pfn < zone.start or pfn + (1 << order) > zone.end
        if outside or page_state(zone, pfn) != 0:
            return i + 1
        add_to_free_list(zone, pfn, order, mt, True)
        account_freepages(zone, 1 << order, mt)
    return 0


#: A recorded state as arrays: addresses and lengths.  types: a byte per pageblock, from
#: the zone's first.  blocks: free blocks from head to tail of each list, triples of
#: int64 (page, order, migratetype).  used: blocks in use that can be freed later, pairs
#: (page, order).  lru: pages on an LRU list.  Pages are relative to the zone.
RECORDED = np.dtype(
    [
        (name, "i8")
        for name in ("types", "blocks", "nr_blocks", "used", "nr_used", "lru", "nr_lru")
    ],
    align=True,
)
recorded_at = view_as(RECORDED)


@jit
def restore_used(zone: Any, used: int, nr_used: int) -> int:
    """Mark recorded blocks in use; 0, or 1 + the first that overlaps."""
    for i in range(nr_used):
        pfn, order = load_i64(used, 2 * i), load_i64(used, 2 * i + 1)
        if page_state(zone, pfn) != 0:
            return i + 1
        set_page_state(zone, pfn, PAGE_IN_USE | order)
    return 0


@entry(I64, I64, I64)
def restore(zone_address: int, recorded_address: int) -> int:
    """Lay a recorded state into an empty zone.

    Parameters
    ----------
    zone_address : int64
        Where the `ZONE` record lies; watermarks and managed pages are set already.
    recorded_address : int64
        Where the `RECORDED` record lies.

    Returns
    -------
    int64
        0; or 1 + the index of the first free block that overlaps another; or
        minus (1 + the index) of the first block in use that overlaps.
    """
    zone, recorded = zone_at(zone_address), recorded_at(recorded_address)
    init_lists(zone)
    first = zone.start >> zone.pageblock_order
    last = (zone.end - 1) >> zone.pageblock_order
    for block in range(first, last + 1):
        mt = load_u8(recorded.types, block - first)
        set_pageblock_type(zone, block << zone.pageblock_order, mt)
    bad = restore_free_lists(zone, recorded.blocks, recorded.nr_blocks)
    if bad == 0:
        bad = -restore_used(zone, recorded.used, recorded.nr_used)
    if bad != 0:
        return bad
    for i in range(recorded.nr_lru):
        set_lru(zone, load_i64(recorded.lru, i), 0, 1)
    zone_set_pageset_high_and_batch(zone)
    clear_counters(zone)
    return 0
