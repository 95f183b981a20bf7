"""A brick for strategies that choose by address: the lowest free block of an order.

Free lists are in no order, so whoever wants the block with the lowest address looks at
the pages, as compaction does.  What a kernel would look at is counted, page by page;
the pageblock words and eight state bytes at a time only find it sooner.
"""

from __future__ import annotations

from typing import Any

from rmqueue.mm.fallback import scanned_lately
from rmqueue.mm.jit import jit, load_i64
from rmqueue.mm.mmzone import (
    PAGE_FREE,
    PAGE_ORDER,
    RECLAIMABLE,
    meta,
    page_state,
    pageblock_type,
    pageblock_word,
)
from rmqueue.mm.pageblock import (
    ANY_FREE,
    free_blocks_in,
    free_pages_in,
    pageblock_start,
)
from rmqueue.mm.vmstat import SCAN_BLOCK, SCAN_PAGE, SCAN_PAGE_WARM

#: One in each of eight bytes, and all bits of each but the highest.
ONE_EACH, LOW_BITS = 0x0101010101010101, 0x7F7F7F7F7F7F7F7F


@jit
def lowest_block(zone: Any, pfn: int, order: int, start_mt: int) -> int:
    """Find the lowest free block of an order in a pageblock of a fallback type.

    Parameters
    ----------
    zone : Zone
        Only its counters change.
    pfn : int64
        Where to begin, relative to the zone: ``zone.start``, or the page that this
        returned before, if nothing was freed since (within one hold of the zone lock).
    order : int64
        Order of the block, exactly.
    start_mt : int64
        Migratetype asked for: its own pageblocks are passed over, and so are those of
        HIGHATOMIC and CMA.

    Returns
    -------
    int64
        The block, relative to the zone, or -1.

    Notes
    -----
    The kernel has no such function; this walks as the scanners of mm/compaction.c do: a
    step for each free block and for each page in use, up to the block that is found.
    Each pageblock counts as one of ``scan_block``, each step as one of ``scan_page``.
    Where the kernel profile lets a free block lie on the list of another type than its
    pageblock's, that of the pageblock counts.
    """
    q = pfn
    while q < zone.end:
        mt = pageblock_type(zone, q)
        end = min(pageblock_start(zone, q) + zone.pageblock_pages, zone.end)
        if mt != start_mt and mt <= RECLAIMABLE:
            found = block_between(zone, q, end, order)
            count_scan(zone, q, found if found >= 0 else end)
            if found >= 0:
                return found
        q = max(end, q + free_pages_at(zone, q))
    return -1


@jit(forceinline=True)
def free_pages_at(zone: Any, pfn: int) -> int:
    """Pages [pages] of the free block that begins at a page; 0 if none does."""
    state = page_state(zone, pfn)
    return (1 << (state & PAGE_ORDER)) if state & PAGE_FREE else 0


@jit
def block_between(zone: Any, pfn: int, end: int, order: int) -> int:
    """Find the first free block of an order in a part of a pageblock; -1 if none."""
    if free_blocks_in(pageblock_word(zone, pfn)) == 0:
        return -1
    wanted, q = PAGE_FREE | order, pfn
    eight = (order * ONE_EACH) ^ ANY_FREE
    while q < end:
        # a line of the cache at once: LLVM makes vectors of it
        if q & 63 == 0 and q + 64 <= end and not any_like(meta(zone) + q, eight):
            q += 64
            continue
        if page_state(zone, q) == wanted:
            return q
        q += 1
    return -1


@jit(forceinline=True)
def any_like(address: int, eight: int) -> bool:
    """Whether one of 64 state bytes is like those of a word, which are all alike."""
    found = 0
    for i in range(8):
        unlike = load_i64(address, i) ^ eight
        unlike |= (unlike & LOW_BITS) + LOW_BITS  # bit 7 of each byte that differs
        found |= ~unlike >> 7
    return found & ONE_EACH != 0


@jit
def count_scan(zone: Any, pfn: int, end: int) -> None:
    """Count the steps of a scan of a part of a pageblock, up to `end`."""
    word, first = pageblock_word(zone, pfn), pageblock_start(zone, pfn)
    whole = pfn == max(first, zone.start) and end >= min(
        first + zone.pageblock_pages, zone.end
    )
    if whole:
        # of a free block that is larger than the pageblock, its first page is here
        steps = free_blocks_in(word) + max(end - pfn - free_pages_in(word), 0)
    else:
        steps = steps_between(zone, pfn, end)
    zone.cnt[SCAN_BLOCK] += 1
    zone.cnt[SCAN_PAGE] += steps
    if zone.warm_scans > 0 and scanned_lately(zone, pfn):
        zone.cnt[SCAN_PAGE_WARM] += steps


@jit
def steps_between(zone: Any, pfn: int, end: int) -> int:
    """Free blocks and pages in use between two pages, one by one."""
    q, steps = pfn, 0
    while q < end:
        aligned = q & 7 == 0 and q + 8 <= end
        if aligned and load_i64(meta(zone) + q, 0) & ANY_FREE == 0:
            q += 8
            steps += 8
        else:
            q += max(free_pages_at(zone, q), 1)
            steps += 1
    return steps
