"""State hashes and what else a CHECK records (SEMANTICS 16, GOLDEN)."""

from __future__ import annotations

from typing import Any

from rmqueue.mm.free_list import list_first
from rmqueue.mm.jit import jit, store_i64, store_u8, store_u32, wrapping_mul
from rmqueue.mm.mmzone import (
    PCP_ORDER_LISTS,
    free_list,
    next_of,
    pageblock_type,
    pcp_list,
)
from rmqueue.mm.pcp import pcp_of
from rmqueue.mm.vmstat import NR_COUNTERS

FNV_START = 0xCBF29CE484222325 - (1 << 64)
FNV_PRIME = 0x100000001B3

#: Zone fields that a checkpoint keeps, in order.
ZONE_FIELDS = (
    "wmark_min",
    "wmark_low",
    "wmark_high",
    "wmark_promo",
    "boost",
    "nr_reserved_highatomic",
    "nr_free_highatomic",
    "nr_free",
    "nr_free_cma",
    "managed",
    "flags",
    "wakeups",
    "min_free_kbytes",
)


@jit(forceinline=True)
def mix(h: int, word: int) -> int:
    """One step of 64-bit FNV-1a over whole words, in wrapping arithmetic."""
    return wrapping_mul(h ^ word, FNV_PRIME)


@jit
def hash_list(zone: Any, h: int, head: int) -> tuple[int, int]:
    """Mix the pages of a list, head to tail; the hash and their number."""
    length = 0
    pfn = list_first(zone, head)
    while pfn >= 0:
        h = mix(h, zone.base + pfn)
        length += 1
        pfn = next_of(zone, pfn)
        if pfn == head:
            pfn = -1
    return h, length


@jit
def hash_free_lists(zone: Any, counts: int) -> int:
    """Hash all free lists; store the length of each at `counts`, unless that is 0."""
    h = FNV_START
    for order in range(zone.max_order + 1):
        for mt in range(zone.nr_types):
            h = mix(h, 256 * order + mt)
            h, length = hash_list(zone, h, free_list(zone, order, mt))
            h = mix(h, length)
            if counts != 0:
                store_u32(counts, order * zone.nr_types + mt, length)
    return h


@jit
def hash_types(zone: Any, types: int) -> int:
    """Hash the pageblock types; store them at `types`, unless that is 0."""
    h = FNV_START
    first = zone.start >> zone.pageblock_order
    last = (zone.end - 1) >> zone.pageblock_order
    for block in range(first, last + 1):
        mt = pageblock_type(zone, block << zone.pageblock_order)
        h = mix(h, mt)
        if types != 0:
            store_u8(types, block - first, mt)
    return h


@jit
def hash_pcp(zone: Any) -> int:
    """Hash all per-CPU lists and their marks."""
    h = FNV_START
    for cpu in range(zone.cpus):
        pcp = pcp_of(zone, cpu)
        h = mix(h, pcp.count)
        h = mix(h, pcp.high)
        h = mix(h, pcp.alloc_factor)
        h = mix(h, pcp.free_count)
        h = mix(h, pcp.flags)
        for pindex in range(PCP_ORDER_LISTS + zone.huge_lists):
            h = mix(h, pindex)
            h, length = hash_list(zone, h, pcp_list(zone, cpu, pindex))
            h = mix(h, length)
    return h


@jit
def store_zone_fields(zone: Any, at: int) -> None:
    """Store the fields of `ZONE_FIELDS`."""
    store_i64(at, 0, zone.wmark_min)
    store_i64(at, 1, zone.wmark_low)
    store_i64(at, 2, zone.wmark_high)
    store_i64(at, 3, zone.wmark_promo)
    store_i64(at, 4, zone.boost)
    store_i64(at, 5, zone.nr_reserved_highatomic)
    store_i64(at, 6, zone.nr_free_highatomic)
    store_i64(at, 7, zone.nr_free)
    store_i64(at, 8, zone.nr_free_cma)
    store_i64(at, 9, zone.managed)
    store_i64(at, 10, zone.flags)
    store_i64(at, 11, zone.wakeups)
    store_i64(at, 12, zone.min_free_kbytes)


@jit
def checkpoint(zone: Any, run: Any) -> None:
    """Append the state of a zone to the arrays of a run."""
    k = run.nr_checks
    first = zone.start >> zone.pageblock_order
    blocks = ((zone.end - 1) >> zone.pageblock_order) - first + 1
    counts = run.counts + 4 * k * (zone.max_order + 1) * zone.nr_types
    store_i64(run.hashes, 3 * k, hash_free_lists(zone, counts))
    store_i64(run.hashes, 3 * k + 1, hash_types(zone, run.types + k * blocks))
    store_i64(run.hashes, 3 * k + 2, hash_pcp(zone))
    store_zone_fields(zone, run.zones + 8 * 13 * k)
    for i in range(NR_COUNTERS):
        store_i64(run.counters, NR_COUNTERS * k + i, zone.cnt[i])
    run.nr_checks += 1
