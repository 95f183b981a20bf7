"""Per-CPU lists (SEMANTICS 9)."""

from __future__ import annotations

from typing import Any

from rmqueue.mm.buddy import free_one_page
from rmqueue.mm.free_list import list_add
from rmqueue.mm.hold import end_hold
from rmqueue.mm.jit import jit, prefetch
from rmqueue.mm.lru import clear_lru
from rmqueue.mm.mmzone import (
    ALLOC_HIGHATOMIC,
    ALLOC_KSWAPD,
    ASK_REFILL,
    MOVABLE,
    PAGE_ALLOC_COSTLY_ORDER,
    PAGE_PCP,
    PCP_BYTES,
    PCP_ORDER_LISTS,
    PCPF_FREE_HIGH_BATCH,
    PCPF_PREV_FREE_HIGH_ORDER,
    RECLAIMABLE,
    REFILL_TOOK,
    ZONE_BELOW_HIGH,
    ZONE_BOOSTED_WATERMARK,
    ZONE_RECLAIM_ACTIVE,
    batch_address,
    batch_at,
    batch_scale_max,
    link,
    meta,
    next_of,
    page_type,
    pageblock_type,
    pcp_at,
    pcp_list,
    pcp_quick_order,
    pcps,
    prev_of,
    set_page_state,
    set_page_type,
)
from rmqueue.mm.page_alloc import (
    carry_type,
    free_compound,
    listed_pages,
    rmqueue_buddy,
    rmqueue_bulk,
)
from rmqueue.mm.vmstat import LOCK, PCP_FLUSH, PCP_FLUSH_PAGES
from rmqueue.mm.watermark import clamp, zone_watermark_ok


@jit(forceinline=True)
def pcp_of(zone: Any, cpu: int) -> Any:
    """Record of one CPU's lists."""
    return pcp_at(pcps(zone) + cpu * PCP_BYTES)


@jit(forceinline=True)
def pcp_allowed_order(zone: Any, order: int) -> bool:
    """Whether blocks of an order are kept per CPU (pcp_allowed_order)."""
    return bool(order <= PAGE_ALLOC_COSTLY_ORDER or order == zone.huge_order)


@jit(forceinline=True)
def order_to_pindex(zone: Any, order: int, mt: int) -> int:
    """Index of the list for an order and type (order_to_pindex)."""
    if order <= PAGE_ALLOC_COSTLY_ORDER:
        return 3 * order + mt
    return int(PCP_ORDER_LISTS + (zone.huge_lists - 1) * (mt == MOVABLE))


@jit(forceinline=True)
def pindex_to_order(zone: Any, pindex: int) -> int:
    """Order of the blocks on a list (pindex_to_order)."""
    return int(pindex // 3 if pindex < PCP_ORDER_LISTS else zone.huge_order)


@jit
def nr_pcp_alloc(zone: Any, cpu: int, order: int) -> int:
    """Blocks to refill an empty list with; adapts the CPU's mark (nr_pcp_alloc)."""
    pcp = pcp_of(zone, cpu)
    if zone.pcp_fixed_high != 0:
        return int(max(pcp.batch >> order, 2) if pcp.batch > 1 else pcp.batch)
    high = clamp(pcp.high, pcp.high_min, pcp.high_max)
    pcp.high = high
    if high < pcp.batch:
        return 1
    batch = pcp.batch
    if order == 0:
        batch = pcp.batch << pcp.alloc_factor
    if pcp.high_min != pcp.high_max and zone.flags & ZONE_BELOW_HIGH == 0:
        high = min(high + batch, pcp.high_max)
        pcp.high = high
    if order == 0:
        most = max(high - pcp.count - pcp.batch, pcp.batch)
        if batch <= most and pcp.alloc_factor < batch_scale_max(zone):
            pcp.alloc_factor += 1
        batch = min(batch, most)
    return int(max(batch >> order, 2) if batch > 1 else batch)


@jit(cold=True)
def ask_refill(
    zone: Any, cpu: int, order: int, start_mt: int, wanted: int, fallback: Any
) -> int:
    """Ask the strategy how many blocks to refill a list with; at least one.

    The kernel's own number, and what it has done to `high` and `alloc_factor`, stand.
    """
    batch = batch_at(batch_address(zone))
    batch.cpu, batch.wanted = cpu, wanted
    listed, state = listed_pages(zone), zone.strategy_state
    blocks = fallback(zone, order, start_mt, ASK_REFILL, batch, state)
    if zone.fault == 0 and listed_pages(zone) != listed:
        zone.fault = REFILL_TOOK
    return int(min(max(blocks, 1), max(wanted, zone.managed)))


@jit(cold=True)
def refill(
    zone: Any, cpu: int, order: int, start_mt: int, flags: int, head: int, fallback: Any
) -> None:
    """Fill an empty list from the free lists."""
    wanted = nr_pcp_alloc(zone, cpu, order)
    if flags & ALLOC_HIGHATOMIC and zone.highatomic_skips_refill != 0:
        return
    if zone.asks_refill != 0:
        wanted = ask_refill(zone, cpu, order, start_mt, wanted, fallback)
    got = rmqueue_bulk(zone, order, wanted, start_mt, flags, head, fallback)
    pcp_of(zone, cpu).count += got << order
    if zone.pcp_keeps_type != 0:
        carry_type(zone, head, start_mt)


@jit(forceinline=True)
def rmqueue_pcplist(
    zone: Any, cpu: int, order: int, start_mt: int, flags: int, fallback: Any
) -> int:
    """Take a block from a CPU's list, refilled if need be (rmqueue_pcplist).

    Returns the page, relative to the zone, or -1; the caller marks it in use.
    """
    if not pcp_allowed_order(zone, order):
        return rmqueue_buddy(zone, order, start_mt, flags, fallback)
    pcp = pcp_of(zone, cpu)
    pcp.free_count >>= 1
    head = pcp_list(zone, cpu, order_to_pindex(zone, order, start_mt))
    pfn = next_of(zone, head)
    if pfn == head:
        refill(zone, cpu, order, start_mt, flags, head, fallback)
        pfn = next_of(zone, head)
    if pfn != head:
        after = next_of(zone, pfn)
        link(zone, head, after)
        prefetch(meta(zone), after)
        pcp.count -= 1 << order
    else:
        pfn = rmqueue_buddy(zone, order, start_mt, flags, fallback)
    if flags & ALLOC_KSWAPD and zone.flags & ZONE_BOOSTED_WATERMARK:
        zone.flags -= ZONE_BOOSTED_WATERMARK
        zone.wakeups += 1
    return pfn


@jit(cold=True)
def free_pcppages_bulk(zone: Any, cpu: int, count: int, pindex: int) -> None:
    """Give pages of a CPU back to the free lists, under one hold of the zone lock.

    Parameters
    ----------
    zone : Zone
        Changed in place.
    cpu : int64
        Whose lists.
    count : int64
        Pages to give back [pages]; a large block at the end may exceed it.
    pindex : int64
        List to begin with; each list is emptied before the next is looked at.

    Notes
    -----
    Mirrors ``free_pcppages_bulk()``, mm/page_alloc.c.
    """
    pcp = pcp_of(zone, cpu)
    zone.cnt[LOCK] += 1
    zone.cnt[PCP_FLUSH] += 1
    count = min(pcp.count, count)
    pindex -= 1
    last = PCP_ORDER_LISTS + zone.huge_lists - 1
    keeps_type = zone.pcp_keeps_type != 0
    flushed = 0
    while count > 0:
        pindex = pindex + 1 if pindex < last else 0
        head = pcp_list(zone, cpu, pindex)
        pfn = prev_of(zone, head)
        order = pindex_to_order(zone, pindex)
        while count > 0 and pfn != head:
            before = prev_of(zone, pfn)
            link(zone, before, head)
            prefetch(meta(zone), before)
            count -= 1 << order
            flushed += 1 << order
            mt = pageblock_type(zone, pfn)
            if keeps_type:
                mt = page_type(zone, pfn)
            free_one_page(zone, pfn, order, mt, False, 0)
            pfn = before
    pcp.count -= flushed
    zone.cnt[PCP_FLUSH_PAGES] += flushed
    end_hold(zone)


@jit(cold=True)
def flush(zone: Any, cpu: int, count: int, pindex: int, until_empty: bool) -> None:
    """`free_pcppages_bulk` in one hold, or one per batch, as the kernel does it.

    A large block may take more pages than its batch had left; then `until_empty` ends
    early, as the free path does, while decay takes the lock for what is not there.
    """
    pcp = pcp_of(zone, cpu)
    if zone.flush_in_batches == 0:
        free_pcppages_bulk(zone, cpu, count, pindex)
        return
    while count > 0 and (pcp.count > 0 or not until_empty):
        part = min(count, pcp.batch)
        free_pcppages_bulk(zone, cpu, part, pindex)
        count -= part


@jit
def nr_pcp_high(zone: Any, cpu: int, free_high: bool) -> int:
    """Pages that a CPU may keep [pages]; also adapts its mark (nr_pcp_high)."""
    pcp = pcp_of(zone, cpu)
    high = clamp(pcp.high, pcp.high_min, pcp.high_max)
    pcp.high = high
    if high == 0:
        return 0
    if free_high:
        batch = pcp.batch << batch_scale_max(zone)
        pcp.high = max(high - batch, pcp.high_min)
        return 0
    lowered = max(high - max(pcp.free_count, pcp.batch), pcp.high_min)
    if zone.flags & ZONE_RECLAIM_ACTIVE:
        pcp.high = lowered
        return int(min(4 * pcp.batch, lowered))
    if pcp.high_min == pcp.high_max:
        return high
    if zone.flags & ZONE_BELOW_HIGH:
        pcp.high = lowered
        return int(max(pcp.count, pcp.high_min))
    needed = pcp.free_count + pcp.batch
    if pcp.count >= high and high < needed:
        pcp.high = clamp(needed, pcp.high_min, pcp.high_max)
    return high


@jit
def nr_pcp_free(zone: Any, cpu: int, high: int, free_high: bool) -> int:
    """Pages to give back once a CPU has too many [pages] (nr_pcp_free)."""
    pcp = pcp_of(zone, cpu)
    if free_high:
        return int(min(pcp.count, pcp.batch << batch_scale_max(zone)))
    if high < pcp.batch:
        return 1
    return clamp(pcp.free_count, pcp.batch, high - pcp.batch)


@jit
def frees_high_order(zone: Any, cpu: int, order: int) -> bool:
    """Whether a run of high-order frees should empty the lists; notes this free."""
    pcp = pcp_of(zone, cpu)
    if order < 1 or order > PAGE_ALLOC_COSTLY_ORDER:
        pcp.flags &= ~PCPF_PREV_FREE_HIGH_ORDER
        return False
    enough = pcp.batch + zone.free_high_half_min * (pcp.high_min // 2)
    free_high = (
        pcp.free_count >= enough
        and pcp.flags & PCPF_PREV_FREE_HIGH_ORDER != 0
        and (pcp.flags & PCPF_FREE_HIGH_BATCH == 0 or pcp.count >= pcp.batch)
    )
    pcp.flags |= PCPF_PREV_FREE_HIGH_ORDER
    return bool(free_high)


@jit
def nr_to_flush(zone: Any, cpu: int, order: int) -> int:
    """Note a free, and say how many pages the CPU has to give back [pages], if any.

    Parameters
    ----------
    zone : Zone
        The fields of the CPU change, but for `count`, which has grown already.
    cpu : int64
        Whose lists.
    order : int64
        Order of the block that was freed.

    Notes
    -----
    The decisions of ``free_unref_page_commit()``, mm/page_alloc.c.
    """
    if zone.pcp_fixed_high != 0:
        return nr_to_flush_fixed(zone, cpu, order)
    return nr_to_flush_tuned(zone, cpu, order)


@jit(forceinline=True)
def nr_to_flush_tuned(zone: Any, cpu: int, order: int) -> int:
    """`nr_to_flush` since 6.7: the mark follows allocations and frees."""
    pcp = pcp_of(zone, cpu)
    pcp.alloc_factor >>= 1
    free_high = frees_high_order(zone, cpu, order)
    if pcp.free_count < pcp.batch << batch_scale_max(zone):
        pcp.free_count += 1 << order
    high = nr_pcp_high(zone, cpu, free_high)
    if pcp.count < high:
        return 0
    return nr_pcp_free(zone, cpu, high, free_high)


@jit
def nr_to_flush_fixed(zone: Any, cpu: int, order: int) -> int:
    """`nr_to_flush` up to 6.6: the mark stands, a row of frees doubles the batch."""
    pcp = pcp_of(zone, cpu)
    free_factor = pcp.free_count
    if free_factor != 0 and 1 <= order <= PAGE_ALLOC_COSTLY_ORDER:
        return int(pcp.count)
    high = pcp.high
    if zone.flags & ZONE_RECLAIM_ACTIVE:
        high = min(4 * pcp.batch, high)
    if pcp.count < high:
        return 0
    if high < pcp.batch:
        return 1
    doubled = pcp.batch << free_factor
    most = high - pcp.batch
    if doubled < most and free_factor < batch_scale_max(zone):
        pcp.free_count = free_factor + 1
    return clamp(doubled, pcp.batch, most)


@jit(forceinline=True)
def free_unref_page(zone: Any, cpu: int, pfn: int, order: int) -> None:
    """Free a block to a CPU's lists, and some of these to the zone if they are full.

    One test of the order decides whether there is anything else to test
    (`ZoneStorage`): kernels before 6.7 take the longer way with every page.
    """
    if order > pcp_quick_order(zone):
        free_unref_page_slow(zone, cpu, pfn, order)
    else:
        free_unref_page_commit(zone, cpu, pfn, order, False)


@jit(cold=True)
def free_unref_page_slow(zone: Any, cpu: int, pfn: int, order: int) -> None:
    """`free_unref_page` of any order, by all rules of the kernel profile."""
    if pcp_allowed_order(zone, order):
        free_unref_page_commit(zone, cpu, pfn, order, True)
    else:
        free_compound(zone, pfn, order)


@jit(forceinline=True)
def free_unref_page_commit(
    zone: Any, cpu: int, pfn: int, order: int, rules: bool
) -> None:
    """Put a block on a CPU's list, and flush if it has too many.

    `rules`, a constant: the profile may have rules of kernels before 6.7.  Mirrors
    ``free_unref_page()`` and ``free_unref_page_commit()``, mm/page_alloc.c.
    """
    mt = pageblock_type(zone, pfn)
    clear_lru(zone, pfn, order)
    set_page_state(zone, pfn, PAGE_PCP | order)
    if rules and zone.pcp_keeps_type != 0:
        set_page_type(zone, pfn, mt)
    if mt > RECLAIMABLE:
        mt = MOVABLE
    pindex = order_to_pindex(zone, order, mt)
    pcp_of(zone, cpu).count += 1 << order
    if rules:
        pages = nr_to_flush(zone, cpu, order)
    else:
        pages = nr_to_flush_tuned(zone, cpu, order)
    list_add(zone, pfn, pcp_list(zone, cpu, pindex))
    if pages > 0:
        flush(zone, cpu, pages, pindex, True)
        if zone.flags & ZONE_BELOW_HIGH and zone.pcp_fixed_high == 0:
            clear_below_high(zone)


@jit(cold=True)
def clear_below_high(zone: Any) -> None:
    """Forget that free pages were short, once they are above the high watermark."""
    if zone_watermark_ok(zone, zone.wmark_high + zone.boost):
        zone.flags -= ZONE_BELOW_HIGH
