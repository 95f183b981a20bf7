"""A CPU's lists as a whole: sized, made smaller, emptied (SEMANTICS 9.1, 9.5)."""

from __future__ import annotations

from typing import Any

from rmqueue.mm.jit import jit
from rmqueue.mm.mmzone import batch_scale_max
from rmqueue.mm.pcp import flush, free_pcppages_bulk, pcp_of


@jit
def power_of_two_floor(value: int) -> int:
    """Largest power of two that is not above a positive value."""
    power = 1
    while 2 * power <= value:
        power *= 2
    return power


@jit
def zone_batchsize(zone: Any) -> int:
    """Pages moved per batch [pages] (zone_batchsize)."""
    batch = min(zone.managed >> 10, 256) // 4
    if batch < 1:
        batch = 1
    return max(1, power_of_two_floor(batch + batch // 2) - 1)


@jit
def zone_set_pageset_high_and_batch(zone: Any) -> None:
    """Size every CPU's lists by the zone and its low watermark.

    A fixed mark is a span of one value, and `high` is there from the beginning.
    """
    batch = zone_batchsize(zone)
    for cpu in range(zone.cpus):
        pcp = pcp_of(zone, cpu)
        pcp.batch = batch
        pcp.high_min = max((zone.wmark_low + zone.boost) // zone.cpus, 4 * batch)
        pcp.high_max = max(zone.managed // 8 // zone.cpus, 4 * batch)
        if zone.high_fraction > 0:
            share = zone.managed // zone.high_fraction // zone.cpus
            pcp.high_min = max(share, 4 * batch)
            pcp.high_max = pcp.high_min
        if zone.pcp_fixed_high != 0:
            pcp.high_max = pcp.high_min
            pcp.high = pcp.high_min


@jit(cold=True)
def decay_pcp_high(zone: Any, cpu: int) -> int:
    """Lower a CPU's mark with time and give back what is above (decay_pcp_high).

    Returns what the kernel returns: whether, or in how many ways, there was work.
    """
    if zone.pcp_fixed_high != 0:
        return 0
    pcp = pcp_of(zone, cpu)
    done = 0
    if pcp.high > pcp.high_min:
        lowest = max(pcp.count - (pcp.batch << batch_scale_max(zone)), pcp.high_min)
        pcp.high = max(pcp.high - (pcp.high >> 3), lowest)
        if pcp.high > pcp.high_min:
            done += 1
    above = pcp.count - pcp.high
    if above > 0:
        flush(zone, cpu, above, 0, False)
        done += 1
    return min(done, 1) if zone.flush_in_batches != 0 else done


@jit(cold=True)
def drain_zone_pages(zone: Any, cpu: int) -> None:
    """Give everything that a CPU keeps back to the zone (drain_pages_zone)."""
    pcp = pcp_of(zone, cpu)
    if zone.drain_in_batches == 0:
        if pcp.count > 0:
            free_pcppages_bulk(zone, cpu, pcp.count, 0)
        return
    left = pcp.count
    while left > 0:
        part = min(left, pcp.batch << batch_scale_max(zone))
        free_pcppages_bulk(zone, cpu, part, 0)
        left = pcp.count if left > part else 0
