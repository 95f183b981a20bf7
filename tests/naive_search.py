"""The six searches of the naive zone: where a page comes from, strategy by strategy.

Second module of the pure-Python reference (see ``naive.py``). Each search is written
out on its own, even where two agree: a mistake in one must not hide in another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.naive_lists import (
    CMA,
    CMA_ACCESS,
    HIGHATOMIC,
    MOVABLE,
    NOFRAGMENT,
    RECLAIMABLE,
    UNMOVABLE,
    NaiveLists,
)

PREFERENCE = {
    UNMOVABLE: (RECLAIMABLE, MOVABLE),
    MOVABLE: (RECLAIMABLE, UNMOVABLE),
    RECLAIMABLE: (UNMOVABLE, MOVABLE),
}


@dataclass
class Request:
    """What is asked for, and what one batch remembers from page to page."""

    order: int
    mt: int
    flags: int
    mode: str = "NORMAL"  # or CMA, or STEAL


def rmqueue(zone: NaiveLists, req: Request) -> int | None:
    """Take one block for the request, or None."""
    cma_wanted = zone.config.cma and bool(req.flags & CMA_ACCESS)
    if cma_wanted and zone.nr_free_cma > zone.nr_free // 2:
        pfn = zone.smallest(req.order, CMA)
        if pfn is not None:
            return pfn
    return SEARCHES[zone.config.strategy](zone, req)


def native_only(zone: NaiveLists, req: Request) -> int | None:
    """none: the lists of the requested type or nothing."""
    return zone.smallest(req.order, req.mt)


def cma_step(zone: NaiveLists, req: Request) -> int | None:
    """The step before every real fallback, for requests that may use CMA."""
    if zone.config.cma and req.flags & CMA_ACCESS:
        return zone.smallest(req.order, CMA)
    return None


# Bricks ------------------------------------------------------------------------------


def block_wish(zone: NaiveLists, order: int, mt: int) -> bool:
    """Whether a free block of this order makes claiming its pageblock worthwhile."""
    return (
        order >= zone.pb_order // 2
        or mt in (UNMOVABLE, RECLAIMABLE)
        or zone.config.page_group_by_mobility_disabled
    )


def find(zone: NaiveLists, order: int, mt: int) -> int | None:
    """The first other type that has a free block of exactly this order."""
    zone.work["area"] += 1
    if zone.nr_free_area[order] == 0:
        return None
    for fallback_mt in PREFERENCE.get(mt, ()):
        zone.work["head"] += 1
        if zone.lists[order][fallback_mt]:
            return fallback_mt
    return None


def fetch(zone: NaiveLists, order: int, fallback_mt: int) -> int:
    """The block that `find` found."""
    zone.work["head"] += 1
    return next(iter(zone.lists[order][fallback_mt]))


def lowest_order(zone: NaiveLists, req: Request) -> int:
    """Where the top-down search stops."""
    if req.flags & NOFRAGMENT and req.order < zone.pb_order:
        return zone.pb_order
    return req.order


def top_down(zone: NaiveLists, req: Request) -> range:
    return range(zone.max_order, lowest_order(zone, req) - 1, -1)


def bottom_up(zone: NaiveLists, req: Request) -> range:
    return range(req.order, zone.max_order + 1)


def count_pageblock(zone: NaiveLists, pfn: int) -> tuple[int, int]:
    """Free and movable pages that a scan of the pageblock of `pfn` finds."""
    zone.work["scan_block"] += 1
    q, end = zone.scan_range(pfn)
    free, movable, steps = 0, 0, 0
    bud, lru = zone.bud, zone.lru
    while q < end:
        steps += 1
        order = bud.get(q)
        if order is None:
            movable += q in lru
            q += 1
        else:
            free += 1 << order
            q += 1 << order
    zone.work["scan_page"] += steps
    return free, movable


def enough(zone: NaiveLists, mt: int, block_mt: int, free: int, movable: int) -> bool:
    """The half rule: free pages and pages that suit the new type fill half a block."""
    alike = 0
    if mt == MOVABLE:
        alike = movable
    elif block_mt == MOVABLE:
        alike = zone.pb_pages - (free + movable)
    return (
        free + alike >= zone.pb_pages // 2
        or zone.config.page_group_by_mobility_disabled
    )


def claim_whole(zone: NaiveLists, pfn: int, k: int, req: Request) -> int:
    """Take over a block of whole pageblocks."""
    zone.work["claim_whole"] += 1
    zone.settype_range(pfn, k, req.mt)
    return zone.take(pfn, req.order, k, req.mt)


def claim_counted(zone: NaiveLists, pfn: int, block_mt: int, req: Request) -> bool:
    """Convert the pageblock of `pfn` if the half rule allows it."""
    if not zone.pageblock_inside(pfn):
        return False
    free, movable = count_pageblock(zone, pfn)
    if not enough(zone, req.mt, block_mt, free, movable):
        return False
    zone.move_pageblock(pfn, req.mt)
    zone.settype(pfn, req.mt)
    zone.work["claim_part"] += 1
    return True


# greedy-steal ------------------------------------------------------------------------


def greedy_steal(zone: NaiveLists, req: Request) -> int | None:
    while True:
        pfn = zone.smallest(req.order, req.mt)
        if pfn is None:
            pfn = cma_step(zone, req)
        if pfn is not None:
            return pfn
        zone.work["fallback"] += 1
        found = search_both_ways(zone, req)
        if found is None:
            return None
        k, fallback_mt = found
        pull_over(zone, fetch(zone, k, fallback_mt), k, req)


def search_both_ways(zone: NaiveLists, req: Request) -> tuple[int, int] | None:
    """Order and type of the block to take: the biggest, or for movable the smallest."""
    for k in top_down(zone, req):
        fallback_mt = find(zone, k, req.mt)
        if fallback_mt is None:
            continue
        if block_wish(zone, k, req.mt) or req.mt != MOVABLE or k <= req.order:
            return k, fallback_mt
        break
    else:
        return None
    zone.work["steal_search"] += 1
    for k in bottom_up(zone, req):
        fallback_mt = find(zone, k, req.mt)
        if fallback_mt is not None:
            return k, fallback_mt
    raise AssertionError("the way down saw a block that the way up did not")


def pull_over(zone: NaiveLists, pfn: int, k: int, req: Request) -> None:
    """Move the block, or all free blocks of its pageblock, to the requester's lists."""
    zone.work["claim_try"] += 1
    block_mt = zone.ptype(pfn)
    if block_mt != HIGHATOMIC and k >= zone.pb_order:
        zone.work["claim_whole"] += 1
        zone.settype_range(pfn, k, req.mt)
        zone.move(pfn, k, req.mt)
        return
    if block_mt != HIGHATOMIC:
        zone.boost(req.flags)
        if block_wish(zone, k, req.mt) and zone.pageblock_inside(pfn):
            pull_over_pageblock(zone, pfn, block_mt, req)
            return
    zone.work["steal"] += 1
    zone.move(pfn, k, req.mt)


def pull_over_pageblock(
    zone: NaiveLists, pfn: int, block_mt: int, req: Request
) -> None:
    """Move first, ask afterwards whether that was enough to convert the pageblock."""
    zone.work["scan_block"] += 1
    q, end = zone.scan_range(pfn)
    free, movable = 0, 0
    while q < end:
        zone.work["scan_page"] += 1
        order = zone.bud.get(q)
        if order is None:
            movable += q in zone.lru
            q += 1
        else:
            zone.move(q, order, req.mt)
            free += 1 << order
            q += 1 << order
    if enough(zone, req.mt, block_mt, free, movable):
        zone.settype(pfn, req.mt)
        zone.work["claim_part"] += 1


# claim-whole-block -------------------------------------------------------------------


def claim_whole_block(zone: NaiveLists, req: Request) -> int | None:
    pfn = zone.smallest(req.order, req.mt)
    if pfn is None:
        pfn = cma_step(zone, req)
    if pfn is not None:
        return pfn
    zone.work["fallback"] += 1
    found = search_both_ways(zone, req)
    if found is None:
        return None
    k, fallback_mt = found
    return claim_or_single(zone, fetch(zone, k, fallback_mt), k, req)


def claim_or_single(zone: NaiveLists, pfn: int, k: int, req: Request) -> int | None:
    """One attempt at the pageblock; if it fails one block, the rest keeps its type."""
    zone.work["claim_try"] += 1
    block_mt = zone.ptype(pfn)
    if block_mt != HIGHATOMIC:
        if k >= zone.pb_order:
            return claim_whole(zone, pfn, k, req)
        zone.boost(req.flags)
        if block_wish(zone, k, req.mt) and claim_counted(zone, pfn, block_mt, req):
            return zone.smallest(req.order, req.mt)
    zone.work["steal"] += 1
    return zone.take(pfn, req.order, k, block_mt)


# steal-smallest-buddy ----------------------------------------------------------------


def steal_smallest_buddy(zone: NaiveLists, req: Request) -> int | None:
    pfn = zone.smallest(req.order, req.mt)
    if pfn is None:
        pfn = cma_step(zone, req)
    if pfn is not None:
        return pfn
    zone.work["fallback"] += 1
    pfn = claim(zone, req)
    if pfn is None and not req.flags & NOFRAGMENT:
        pfn = steal(zone, req)
    return pfn


def claim(zone: NaiveLists, req: Request) -> int | None:
    """Try the head of one list per order, from the biggest blocks down."""
    for k in top_down(zone, req):
        fallback_mt = find(zone, k, req.mt)
        if fallback_mt is None:
            continue
        if not block_wish(zone, k, req.mt):
            break
        pfn = fetch(zone, k, fallback_mt)
        zone.work["claim_try"] += 1
        block_mt = zone.ptype(pfn)
        if block_mt == HIGHATOMIC:
            continue
        taken = try_to_claim(zone, pfn, k, block_mt, req)
        if taken is not None:
            return taken
    return None


def try_to_claim(
    zone: NaiveLists, pfn: int, k: int, block_mt: int, req: Request
) -> int | None:
    if k >= zone.pb_order:
        return claim_whole(zone, pfn, k, req)
    zone.boost(req.flags)
    if claim_counted(zone, pfn, block_mt, req):
        return zone.smallest(req.order, req.mt)
    return None


def steal(zone: NaiveLists, req: Request) -> int | None:
    """One block from the smallest of another type; nothing is converted."""
    zone.work["steal_search"] += 1
    for k in bottom_up(zone, req):
        fallback_mt = find(zone, k, req.mt)
        if fallback_mt is not None:
            zone.work["steal"] += 1
            pfn = fetch(zone, k, fallback_mt)
            return zone.take(pfn, req.order, k, fallback_mt)
    return None


# remembered-fallback and tight-fallback ----------------------------------------------


def remembered_fallback(zone: NaiveLists, req: Request) -> int | None:
    return by_mode(zone, req, claim)


def tight_fallback(zone: NaiveLists, req: Request) -> int | None:
    return by_mode(zone, req, claim_tight)


def by_mode(
    zone: NaiveLists,
    req: Request,
    claim_by: Callable[[NaiveLists, Request], int | None],
) -> int | None:
    """Start where the last page of this batch was found."""
    pfn = None
    if req.mode == "NORMAL":
        pfn = zone.smallest(req.order, req.mt)
        if pfn is not None:
            return pfn
    if req.mode in ("NORMAL", "CMA"):
        pfn = cma_step(zone, req)
        if pfn is not None:
            req.mode = "CMA"
            return pfn
        zone.work["fallback"] += 1
        pfn = claim_by(zone, req)
        if pfn is not None:
            req.mode = "NORMAL"
            return pfn
    if not req.flags & NOFRAGMENT:
        pfn = steal(zone, req)
        if pfn is not None:
            req.mode = "STEAL"
    return pfn


def claim_tight(zone: NaiveLists, req: Request) -> int | None:
    """As `claim`; the wish is asked first and the list's type is believed."""
    for k in top_down(zone, req):
        if not block_wish(zone, k, req.mt):
            zone.work["area"] += 1  # the visit counts, though no list is looked at
            break
        fallback_mt = find(zone, k, req.mt)
        if fallback_mt is None:
            continue
        pfn = fetch(zone, k, fallback_mt)
        zone.work["claim_try"] += 1
        taken = try_to_claim(zone, pfn, k, fallback_mt, req)
        if taken is not None:
            return taken
    return None


SEARCHES: dict[str, Callable[[NaiveLists, Request], int | None]] = {
    "none": native_only,
    "greedy-steal": greedy_steal,
    "claim-whole-block": claim_whole_block,
    "steal-smallest-buddy": steal_smallest_buddy,
    "remembered-fallback": remembered_fallback,
    "tight-fallback": tight_fallback,
}
