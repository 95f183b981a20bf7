"""The HIGHATOMIC reserve: pageblocks set aside for atomic high-order requests."""

from __future__ import annotations

from typing import Any

from rmqueue.mm.free_list import list_first, move_to_free_list
from rmqueue.mm.hold import end_hold
from rmqueue.mm.jit import jit
from rmqueue.mm.mmzone import HIGHATOMIC, RECLAIMABLE, free_list, pageblock_type
from rmqueue.mm.pageblock import (
    change_pageblock_range,
    may_scan_pageblock,
    move_freepages_block,
    set_pageblock_type,
)
from rmqueue.mm.vmstat import HEAD, LOCK


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
