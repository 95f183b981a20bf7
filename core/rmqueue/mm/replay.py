"""The loop over an op stream: a whole replay is one jitted call (SEMANTICS 15, 16)."""

from __future__ import annotations

from typing import Any

from rmqueue.mm.checkpoint import checkpoint
from rmqueue.mm.free_list import list_init
from rmqueue.mm.highatomic import (
    reserve_highatomic_pageblock,
    unreserve_highatomic_pageblock,
)
from rmqueue.mm.jit import (
    I64,
    entry,
    jit,
    load_u8,
    load_u32,
    store_i64,
    store_u32,
)
from rmqueue.mm.look_ahead import AHEAD_PAGES, look_ahead
from rmqueue.mm.lru import mark_in_use, set_lru
from rmqueue.mm.mmzone import (
    ALLOC_HIGHATOMIC,
    ALLOC_NOLRU,
    MOVABLE,
    PAGE_IN_USE,
    PAGE_LRU,
    PAGE_ORDER,
    RECLAIMABLE,
    batch_list,
    next_of,
    page_state,
    set_page_state,
    zone_at,
)
from rmqueue.mm.page_alloc import (
    FALLBACK_TYPE,
    free_pages_ok,
    rmqueue_buddy,
    rmqueue_bulk,
    rmqueue_listed,
)
from rmqueue.mm.pageset import decay_pcp_high, drain_zone_pages
from rmqueue.mm.pcp import free_unref_page, rmqueue_pcplist
from rmqueue.mm.run import (
    MISUSE_CODE,
    MISUSE_CPU,
    MISUSE_OCCUPIED,
    MISUSE_ORDER,
    MISUSE_SLOT,
    MISUSE_STATE,
    MISUSE_TYPE,
    NO_PAGE,
    OP_ALLOC,
    OP_BULK,
    OP_BYTES,
    OP_CHECK,
    OP_FREE,
    OP_NOP,
    OP_PCP_ALLOC,
    OP_PCP_DECAY,
    OP_PCP_DRAIN,
    OP_PCP_FREE,
    OP_SET_LRU,
    OP_SPLIT,
    OP_UNRESERVE,
    OP_ZONE_CTL,
    note_misuse,
    note_result,
    nr_ops,
    nr_slots,
    ops_at,
    results_at,
    run_at,
    slots_at,
)
from rmqueue.mm.vmstat import SCAN_PAGE


@jit(forceinline=True)
def take_slot(run: Any, i: int, slot: int) -> bool:
    """Whether a slot can be filled; one that still holds a page loses it."""
    if slot >= nr_slots(run):
        note_misuse(run, i, MISUSE_SLOT)
        return False
    if load_u32(slots_at(run), slot) != NO_PAGE:
        note_misuse(run, i, MISUSE_OCCUPIED)
    return True


@jit(forceinline=True)
def slot_page(zone: Any, run: Any, i: int, slot: int) -> int:
    """Page in a slot, or -1: an empty slot is not an error, nor one never filled."""
    if slot >= nr_slots(run):
        if slot >> 31 != 0:
            note_misuse(run, i, MISUSE_SLOT)
        return -1
    pfn = load_u32(slots_at(run), slot)
    if pfn == NO_PAGE:
        return -1
    if page_state(zone, pfn) & PAGE_IN_USE == 0:
        note_misuse(run, i, MISUSE_STATE)
        return -1
    return int(pfn)


@jit(forceinline=True)
def valid_request(zone: Any, run: Any, i: int, order: int, mt: int) -> bool:
    """Whether order and migratetype of a request exist."""
    if order > zone.max_order:
        note_misuse(run, i, MISUSE_ORDER)
        return False
    if mt > RECLAIMABLE:
        note_misuse(run, i, MISUSE_TYPE)
        return False
    return True


@jit(forceinline=True)
def valid_cpu(zone: Any, run: Any, i: int, cpu: int) -> bool:
    """Whether a CPU exists."""
    if cpu >= zone.cpus:
        note_misuse(run, i, MISUSE_CPU)
        return False
    return True


@jit(forceinline=True)
def is_lru(mt: int, flags: int) -> int:
    """Whether pages of a request go to an LRU list at once: 1 or 0, no branch."""
    return int(mt == MOVABLE) & int(flags & ALLOC_NOLRU == 0)


@jit(forceinline=True)
def finish_alloc(zone: Any, run: Any, pfn: int, a: int, slot: int) -> int:
    """Reserve, mark and store a block that was allocated; the pfn or -1."""
    if pfn < 0:
        store_u32(slots_at(run), slot, NO_PAGE)
        return -1
    order, flags = a & 255, a >> 16
    if flags & ALLOC_HIGHATOMIC and zone.reserve_in_buddy == 0:
        reserve_highatomic_pageblock(zone, pfn, order)
    mark_in_use(zone, pfn, order, is_lru((a >> 8) & 255, flags))
    store_u32(slots_at(run), slot, pfn)
    run.served += 1 << order
    return int(zone.base + pfn)


@jit(forceinline=True)
def op_alloc(zone: Any, run: Any, i: int, a: int, slot: int, fallback: Any) -> None:
    """ALLOC."""
    order, mt, flags = a & 255, (a >> 8) & 255, a >> 16
    if not (valid_request(zone, run, i, order, mt) and take_slot(run, i, slot)):
        note_result(run, -1, 0)
        return
    run.asked += 1 << order
    pfn = rmqueue_listed(zone, order, mt, flags, is_lru(mt, flags))
    if pfn < 0:
        op_alloc_unlisted(zone, run, a, slot, fallback)
        return
    store_u32(slots_at(run), slot, pfn)
    run.served += 1 << order
    note_result(run, zone.base + pfn, 0)


@jit(cold=True)
def op_alloc_unlisted(zone: Any, run: Any, a: int, slot: int, fallback: Any) -> None:
    """Finish an ALLOC that finds no block on the very list that it asks for."""
    order, mt, flags = a & 255, (a >> 8) & 255, a >> 16
    before = zone.cnt[SCAN_PAGE]
    pfn = rmqueue_buddy(zone, order, mt, flags, fallback)
    result = finish_alloc(zone, run, pfn, a, slot)
    note_result(run, result, zone.cnt[SCAN_PAGE] - before)


@jit(forceinline=True)
def op_pcp_alloc(
    zone: Any, run: Any, i: int, a: int, slot: int, cpu: int, fallback: Any
) -> None:
    """PCP_ALLOC."""
    order, mt, flags = a & 255, (a >> 8) & 255, a >> 16
    before = zone.cnt[SCAN_PAGE]
    result = -1
    if valid_request(zone, run, i, order, mt) and take_slot(run, i, slot):
        run.asked += 1 << order
        if valid_cpu(zone, run, i, cpu):
            pfn = rmqueue_pcplist(zone, cpu, order, mt, flags, fallback)
            result = finish_alloc(zone, run, pfn, a, slot)
    note_result(run, result, zone.cnt[SCAN_PAGE] - before)


@jit(cold=True)
def op_bulk(
    zone: Any, run: Any, i: int, a: int, slot: int, count: int, fallback: Any
) -> None:
    """BULK: one batch, handed out slot by slot after the lock is released."""
    order, mt, flags = a & 255, (a >> 8) & 255, a >> 16
    before = zone.cnt[SCAN_PAGE]
    taken = 0
    if slot + count > nr_slots(run) or count >> 31 != 0:
        note_misuse(run, i, MISUSE_SLOT)
    elif valid_request(zone, run, i, order, mt):
        run.asked += count << order
        head = batch_list(zone)
        taken = rmqueue_bulk(zone, order, count, mt, flags, head, fallback)
    note_result(run, taken, zone.cnt[SCAN_PAGE] - before)
    run.served += taken << order
    lru = is_lru(mt, flags)
    pfn = next_of(zone, batch_list(zone))
    for k in range(taken):
        mark_in_use(zone, pfn, order, lru)
        take_slot(run, i, slot + k)
        store_u32(slots_at(run), slot + k, pfn)
        if results_at(run) != 0:
            store_i64(run.pfns, run.nr_pfns, zone.base + pfn)
            run.nr_pfns += 1
        pfn = next_of(zone, pfn)
    list_init(zone, batch_list(zone))


@jit(forceinline=True)
def op_free(zone: Any, run: Any, i: int, slot: int) -> None:
    """FREE."""
    pfn = slot_page(zone, run, i, slot)
    if pfn >= 0:
        store_u32(slots_at(run), slot, NO_PAGE)
        free_pages_ok(zone, pfn, page_state(zone, pfn) & PAGE_ORDER)


@jit(forceinline=True)
def op_pcp_free(zone: Any, run: Any, i: int, slot: int, cpu: int) -> None:
    """PCP_FREE."""
    if not valid_cpu(zone, run, i, cpu):
        return
    pfn = slot_page(zone, run, i, slot)
    if pfn >= 0:
        store_u32(slots_at(run), slot, NO_PAGE)
        free_unref_page(zone, cpu, pfn, page_state(zone, pfn) & PAGE_ORDER)


@jit
def op_zone_ctl(zone: Any, run: Any, i: int, a: int, b: int) -> None:
    """ZONE_CTL: set or clear a zone flag, or set the watermark boost."""
    if a == 16 and b >> 31 == 0:
        zone.boost = b
    elif a >= 16:
        note_misuse(run, i, MISUSE_CODE)
    elif b != 0:
        zone.flags |= 1 << a
    else:
        zone.flags &= ~(1 << a)


@jit
def op_split(zone: Any, run: Any, i: int, order: int, slot: int, first: int) -> None:
    """SPLIT: make the parts of an allocated block blocks of their own (split_page)."""
    pfn = slot_page(zone, run, i, slot)
    if pfn < 0:
        return
    old = page_state(zone, pfn) & PAGE_ORDER
    if order > old:
        note_misuse(run, i, MISUSE_ORDER)
        return
    parts = 1 << (old - order)
    if first + parts > nr_slots(run):
        note_misuse(run, i, MISUSE_SLOT)
        return
    store_u32(slots_at(run), slot, NO_PAGE)
    for k in range(parts):
        part = pfn + (k << order)
        lru = page_state(zone, part) & PAGE_LRU
        set_page_state(zone, part, PAGE_IN_USE | lru | order)
        take_slot(run, i, first + k)
        store_u32(slots_at(run), first + k, part)


@jit
def op_pcp(zone: Any, run: Any, i: int, code: int, cpu: int) -> None:
    """PCP_DRAIN and PCP_DECAY."""
    before = zone.cnt[SCAN_PAGE]
    result = -1
    if valid_cpu(zone, run, i, cpu):
        if code == OP_PCP_DRAIN:
            drain_zone_pages(zone, cpu)
        else:
            result = decay_pcp_high(zone, cpu)
    if code == OP_PCP_DECAY:
        note_result(run, result, zone.cnt[SCAN_PAGE] - before)


@jit(cold=True)
def rare_op(zone: Any, run: Any, i: int, code: int, a: int, b: int, c: int) -> None:
    """Do everything that is not an allocation or a free."""
    if code == OP_PCP_DRAIN or code == OP_PCP_DECAY:
        op_pcp(zone, run, i, code, c)
    elif code == OP_CHECK:
        if run.hashes != 0:
            checkpoint(zone, run)
    elif code == OP_ZONE_CTL:
        op_zone_ctl(zone, run, i, a, b)
    elif code == OP_UNRESERVE:
        done = -1
        if a > RECLAIMABLE:
            note_misuse(run, i, MISUSE_TYPE)
        else:
            done = unreserve_highatomic_pageblock(zone, a, b)
        note_result(run, done, 0)
    elif code == OP_SET_LRU:
        pfn = slot_page(zone, run, i, b)
        if pfn >= 0:
            set_lru(zone, pfn, page_state(zone, pfn) & PAGE_ORDER, c)
    elif code == OP_SPLIT:
        op_split(zone, run, i, a, b, c)
    elif code != OP_NOP:
        note_misuse(run, i, MISUSE_CODE)


@entry(I64, I64, FALLBACK_TYPE, I64)
def replay(zone_address: int, fallback: Any, run_address: int) -> int:
    """Replay an op stream.

    Parameters
    ----------
    zone_address, run_address : int64
        Where the `ZONE` and `RUN` records lie.
    fallback : compiled strategy
        First-class function of type `page_alloc.FALLBACK_TYPE`.

    Returns
    -------
    int64
        Operations done: all, unless the strategy broke a rule (`zone.fault`).
    """
    zone = zone_at(zone_address)
    run = run_at(run_address)
    ahead = zone.nr_index >= AHEAD_PAGES and nr_slots(run) > 0
    i = 0
    while i < nr_ops(run) and zone.fault == 0:
        if ahead:
            look_ahead(zone, run, i)
        code = load_u8(ops_at(run), OP_BYTES * i)
        a = load_u32(ops_at(run), 4 * i + 1)
        b = load_u32(ops_at(run), 4 * i + 2)
        c = load_u32(ops_at(run), 4 * i + 3)
        if code == OP_PCP_ALLOC:
            op_pcp_alloc(zone, run, i, a, b, c, fallback)
        elif code == OP_ALLOC:
            op_alloc(zone, run, i, a, b, fallback)
        elif code == OP_PCP_FREE:
            op_pcp_free(zone, run, i, b, c)
        elif code == OP_FREE:
            op_free(zone, run, i, b)
        elif code == OP_BULK:
            op_bulk(zone, run, i, a, b, c, fallback)
        else:
            rare_op(zone, run, i, code, a, b, c)
        i += 1
    run.done = i
    return i
