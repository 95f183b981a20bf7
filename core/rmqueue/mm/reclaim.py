"""Memory pressure: watermarks, kswapd, direct reclaim, drains of per-CPU lists.

The parts that workloads are built of (SEMANTICS 20 and `rmqueue.mm.smp`).  Pages of the
use-once page cache are on a node's LRU queue, and reclaim takes them from its old end.
"""

from __future__ import annotations

from typing import Any

from rmqueue.mm.jit import jit, load_u32, prefetch
from rmqueue.mm.lru import mark_in_use
from rmqueue.mm.mmzone import (
    PAGE_ORDER,
    ZONE_BELOW_HIGH,
    ZONE_RECLAIM_ACTIVE,
    links,
    meta,
    page_state,
)
from rmqueue.mm.pageset import drain_zone_pages
from rmqueue.mm.pcp import free_unref_page, pcp_of, rmqueue_pcplist
from rmqueue.mm.queue import pop_oldest, push, queue_at
from rmqueue.mm.random import draw_share
from rmqueue.mm.smp import ASLEEP, charge, cpu_of, reschedule, zone_of

#: Pages that reclaim takes off an LRU list at a time [pages] (SWAP_CLUSTER_MAX).
CLUSTER = 32
#: Pages of the LRU list to ask for ahead.
_AHEAD = 24


@jit(forceinline=True)
def take_page(
    zone: Any, cpu: int, order: int, mt: int, lru: int, flags: int, fallback: Any
) -> int:
    """Take a block through a CPU's lists, on an LRU list (1) or not (0); -1: none."""
    pfn = rmqueue_pcplist(zone, cpu, order, mt, flags, fallback)
    if pfn >= 0:
        mark_in_use(zone, pfn, order, lru)
    return pfn


@jit(forceinline=True)
def give_page(zone: Any, cpu: int, pfn: int) -> None:
    """Give a block back to a CPU's lists."""
    free_unref_page(zone, cpu, pfn, page_state(zone, pfn) & PAGE_ORDER)


@jit(forceinline=True)
def note_below_high(zone: Any) -> None:
    """Set BELOW_HIGH when an allocation finds the zone at its high watermark."""
    above = zone.nr_free > zone.wmark_high + zone.boost
    if zone.flags & ZONE_BELOW_HIGH == 0 and not above:
        zone.flags |= ZONE_BELOW_HIGH


@jit(forceinline=True)
def below_low(zone: Any) -> bool:
    """Whether kswapd should run."""
    return bool(zone.nr_free <= zone.wmark_low + zone.boost)


@jit
def wake_kswapd(smp: Any, node: Any, now_ps: int) -> None:
    """Wake a node's kswapd, unless it is awake."""
    zone = zone_of(node)
    if node.awake != 0:
        return
    node.awake = 1
    node.wakeups += 1
    node.boost_seen = zone.boost
    zone.flags |= ZONE_RECLAIM_ACTIVE
    if node.kswapd >= 0:
        index = node.first_cpu + node.kswapd
        cpu_of(smp, index).t_ps = now_ps
        reschedule(smp, index)


@jit
def kswapd_may_sleep(node: Any) -> bool:
    """Put kswapd to sleep once the zone is above its boosted high watermark."""
    zone = zone_of(node)
    if zone.nr_free <= zone.wmark_high + zone.boost:
        return False
    node.awake = 0
    node.credit = 0
    zone.flags &= ~ZONE_RECLAIM_ACTIVE
    zone.boost -= min(node.boost_seen, zone.boost)
    return True


@jit(forceinline=True)
def watermark_ok(smp: Any, node: Any, now_ps: int) -> bool:
    """Whether a task may allocate without reclaim; marks and wakes as the kernel does.

    High: BELOW_HIGH is set; low: kswapd wakes; min, with the boost: no.
    """
    zone = zone_of(node)
    note_below_high(zone)
    if below_low(zone):
        wake_kswapd(smp, node, now_ps)
        return bool(zone.nr_free > zone.wmark_min + zone.boost)
    return True


@jit
def shrink_lru(smp: Any, node: Any, cpu: int, pages: int, rotate: int) -> int:
    """Free pages from the old end of a node's LRU queue to a CPU's lists.

    Parameters
    ----------
    smp, node : Smp, Node
        Changed in place.
    cpu : int64
        Index of the CPU's lists in the zone.
    pages : int64
        Pages to free [pages].
    rotate : int64
        Chance that a page is put back at the young end instead (`random.chance_of`), at
        most four times as often as pages are wanted.

    Returns
    -------
    int64
        Pages freed; fewer if the queue ran empty.
    """
    zone = zone_of(node)
    lru = queue_at(node.lru)
    freed = 0
    rotations = 4 * pages
    while freed < pages:
        page = pop_oldest(lru)
        if page < 0:
            break
        ahead = load_u32(lru.entries, (lru.head + _AHEAD) & lru.mask)
        ahead = min(ahead, zone.nr_index)
        prefetch(meta(zone), ahead)
        prefetch(links(zone), 8 * ahead)
        if rotations > 0 and draw_share(smp) < rotate:
            rotations -= 1
            push(lru, page)
        else:
            free_unref_page(zone, cpu, page, 0)
            freed += 1
    node.reclaimed += freed
    return freed


@jit
def shrink_slabs(node: Any, cpu: int, most: int) -> None:
    """Free the oldest slab if there are more than `most`."""
    slabs = queue_at(node.slabs)
    if slabs.count > most:
        give_page(zone_of(node), cpu, pop_oldest(slabs))


@jit
def drain_all_pages(smp: Any, cpu: Any, node: Any) -> None:
    """Ask every CPU of a node that keeps pages to give them back; the caller does.

    Mirrors ``drain_all_pages()``: nothing happens while one is under way.  The others
    do it when they get to it (`drain_local_pages`); a sleeping kswapd is woken for it.
    """
    if node.draining > 0:
        return
    node.drains += 1
    zone = zone_of(node)
    for other in range(node.cpus):
        index = node.first_cpu + other
        one = cpu_of(smp, index)
        if other != cpu.cpu and pcp_of(zone, other).count > 0:
            one.drain = 1
            node.draining += 1
            if one.t_ps == ASLEEP:
                one.t_ps = cpu.t_ps
                reschedule(smp, index)
    drain_paid(cpu, node)


@jit
def drain_local_pages(cpu: Any, node: Any) -> None:
    """Do what `drain_all_pages` has asked of a CPU."""
    cpu.drain = 0
    node.draining -= 1
    drain_paid(cpu, node)


@jit
def drain_paid(cpu: Any, node: Any) -> None:
    """Drain a CPU's lists and pay for it."""
    zone = zone_of(node)
    if pcp_of(zone, cpu.cpu).count > 0:
        before = zone.hold_total_ps
        drain_zone_pages(zone, cpu.cpu)
        charge(cpu, node, before)
