"""The loop over the events of a recording: what the model decides, page by page.

There are two zones in the same state for each zone of the recording.  One tries what a
request would give; if that is the recorded page, the other follows.  If it is not, the
loop stops, and the caller decides what the recording means (`rmqueue.trace.resync`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rmqueue.mm.buddy import account_freepages, rmqueue_smallest
from rmqueue.mm.fallback import FALLBACKS, should_try_claim_block
from rmqueue.mm.free_list import list_first
from rmqueue.mm.jit import (
    I64,
    entry,
    jit,
    load_i64,
    load_u8,
    store_i64,
    store_u8,
    view_as,
)
from rmqueue.mm.linking import function_slots
from rmqueue.mm.lru import set_lru
from rmqueue.mm.mmzone import (
    ALLOC_KSWAPD,
    MOVABLE,
    NR_TYPES,
    PAGE_ORDER,
    RECLAIMABLE,
    RMQUEUE_NORMAL,
    batch_address,
    batch_at,
    free_list,
    page_state,
    pageblock_type,
    zone_at,
)
from rmqueue.mm.page_alloc import FALLBACK_TYPE, rmqueue
from rmqueue.mm.pcp import nr_pcp_alloc, nr_to_flush, pcp_of
from rmqueue.mm.surgery import any_free, carve, give

#: Steps: a request (that begins a batch, or goes on with one), an allocation, a free,
#: the moment when a free takes effect, a page drained, and what needs the caller.
(FIRST_TAKE, TAKE, ALLOC, FREE, LAND, DRAIN, OTHER) = range(7)
STEP = np.dtype(
    [
        ("pfn", "i8"),  # relative to the zone
        ("event", "i4"),
        ("what", "u1"),
        ("zone", "u1"),
        ("order", "i1"),
        ("mt", "i1"),  # drain: plus NR_TYPES if it is the type to free to
    ],
    align=True,
)
STEP_BYTES = STEP.itemsize
#: Why the loop stopped.
DONE, MISS, CALLER = range(3)
#: Kinds of guesses; 0: no request.
NATIVE, CLAIM, STEAL, NOTHING = range(1, 5)

#: Addresses: `steps`; per zone its two zones, where its strategy is kept, and what the
#: batch remembers (`tries`, `keeps`, `fallbacks`, `modes`; int64);
#: per event whether a free has landed, and the last guess for it
#: (bytes; type and order count from 1, 0 is none).  The last guess, and counts.
FOLLOW = np.dtype(
    [
        (name, "i8")
        for name in (
            *("steps", "nr_steps", "position"),
            *("tries", "keeps", "fallbacks", "modes"),
            *("landed", "kind", "fallback_mt", "fallback_order"),
            "pfn",
            *("pages", "exact", "captured", "taken_unseen"),
            *("drains", "drains_elsewhere", "drained_free"),
        )
    ],
    align=True,
)
follow_at, step_at = view_as(FOLLOW), view_as(STEP)
keep_function, function_at = function_slots(FALLBACK_TYPE)


@entry(I64, I64, FALLBACK_TYPE)
def keep_fallback(address: int, fallback: Any) -> int:
    """Keep a compiled strategy in memory [24 bytes], for many calls to come.

    Handing a function over from Python costs more than all that a request needs.
    """
    keep_function(address, fallback)
    return 0


@jit
def take_one(zone: Any, order: int, mt: int, mode: int, fallback: Any) -> int:
    """Take one block as `rmqueue` does in a batch that remembers a mode.

    Afterwards the mode is in the zone's batch record, and `rare_work` is set if the
    strategy was asked.  Reserved types have no fallback.
    """
    batch_at(batch_address(zone)).mode = mode
    zone.rare_work = 0
    if mt > RECLAIMABLE:
        pfn = rmqueue_smallest(zone, order, mt)
    else:
        pfn = rmqueue(zone, order, mt, ALLOC_KSWAPD, fallback)
    if pfn >= 0 and zone.late_accounting != 0:
        account_freepages(zone, -(1 << order), pageblock_type(zone, pfn))
    return pfn


@jit
def how_taken(after: Any, before: Any) -> int:
    """Kind of the fallback in which two zones differ, and the type taken from.

    Returns ``kind + 8 * type``; `NATIVE` if nothing of another type was taken.
    """
    for mt in range(NR_TYPES):
        for other in range(NR_TYPES):
            if after.claims[mt, other] != before.claims[mt, other]:
                return CLAIM + 8 * other
            if after.steals[mt, other] != before.steals[mt, other]:
                return STEAL + 8 * other
    return NATIVE


@jit
def found_order(before: Any, step: Any, pfn: int, how: int) -> int:
    """Order of the block of another type that the search found.

    That of the block given, if only that was taken.  If the pageblock was searched for
    more, the largest order whose first block, of the preferred type, was in it.
    """
    high = before.max_order
    searched = how & 7 == CLAIM or before.mixed_lists != 0
    while searched and high >= step.order:
        if not should_try_claim_block(before, high, step.mt):
            break
        mt = preferred_type(before, high, step.mt)
        if mt == how >> 3:
            first = list_first(before, free_list(before, high, mt))
            if pageblock_of(before, first) == pageblock_of(before, pfn):
                return int(high)
        high -= 1
    return int(page_state(before, pfn) & PAGE_ORDER)


@jit
def preferred_type(zone: Any, order: int, start_mt: int) -> int:
    """Type that a request falls back on at one order, or -1 (`FALLBACKS`)."""
    for i in range(2):
        mt = FALLBACKS[2 * start_mt + i]
        if list_first(zone, free_list(zone, order, mt)) >= 0:
            return int(mt)
    return -1


@jit
def pageblock_of(zone: Any, pfn: int) -> int:
    """Index of the pageblock that holds a page."""
    return int(pfn >> zone.pageblock_order)


@jit
def guess(follow: Any, step: Any, tries: Any, keeps: Any, fallback: Any) -> int:
    """Ask one zone for a block, and note how it was found."""
    if step.what == FIRST_TAKE:
        store_i64(follow.modes, step.zone, RMQUEUE_NORMAL)
    mode = load_i64(follow.modes, step.zone)
    pfn = take_one(tries, step.order, step.mt, mode, fallback)
    kind, mt, order = NATIVE, -1, -1
    if pfn < 0:
        kind = NOTHING
    elif tries.rare_work != 0:
        how = how_taken(tries, keeps)
        kind = how & 7
        if kind != NATIVE:
            mt = how >> 3
            order = found_order(keeps, step, pfn, how)
    store_u8(follow.kind, step.event, kind)
    store_u8(follow.fallback_mt, step.event, mt + 1)
    store_u8(follow.fallback_order, step.event, order + 1)
    follow.pfn = pfn
    return int(pfn)


@jit
def request(follow: Any, step: Any, tries: Any, keeps: Any, fallback: Any) -> bool:
    """Compare what the model gives with the recording; whether they agree."""
    pfn = guess(follow, step, tries, keeps, fallback)
    if pfn != step.pfn:
        return False
    mode = load_i64(follow.modes, step.zone)
    take_one(keeps, step.order, step.mt, mode, fallback)
    store_i64(follow.modes, step.zone, batch_at(batch_address(keeps)).mode)
    return True


@jit
def move_pages(follow: Any, step: Any, tries: Any, keeps: Any) -> None:
    """Follow an event that is no request."""
    pfn, order = step.pfn, step.order
    if step.what == LAND:
        if load_u8(follow.landed, step.event) == 0:
            store_u8(follow.landed, step.event, 1)
            give(tries, pfn, order, -1)
            give(keeps, pfn, order, -1)
        return
    free = any_free(keeps, pfn, order)
    if step.what == DRAIN:
        drain(follow, step, tries, keeps, free)
        return
    if free:  # it left the lists unseen: by capture, or to compaction
        carve(tries, pfn, order)
        carve(keeps, pfn, order)
        follow.captured += step.what == ALLOC
        follow.taken_unseen += step.what == FREE
    if step.what == FREE or step.mt == MOVABLE:
        on = int(step.what == ALLOC)
        set_lru(tries, pfn, order, on)
        set_lru(keeps, pfn, order, on)


@jit
def drain(follow: Any, step: Any, tries: Any, keeps: Any, free: bool) -> None:
    """Free a page that leaves a per-CPU list.

    Since 6.10 it goes to the type that its pageblock has now, and the trace must agree;
    before, to the type that it had when it came (the trace's, plus `NR_TYPES`).
    """
    mt = step.mt
    follow.drains += 1
    if mt >= NR_TYPES:
        mt -= NR_TYPES
    else:
        follow.drains_elsewhere += pageblock_type(keeps, step.pfn) != mt
        mt = pageblock_type(keeps, step.pfn)
    if free:
        follow.drained_free += 1
        return
    give(tries, step.pfn, step.order, mt)
    give(keeps, step.pfn, step.order, mt)


@entry(I64, I64)
def follow_events(follow_address: int) -> int:
    """Follow a recording from `position` on.

    Parameters
    ----------
    follow_address : int64
        Where the `FOLLOW` record lies.

    Returns
    -------
    int64
        `DONE`; `MISS`: the request at `position` gave another page (`pfn`), and must be
        undone; or `CALLER`: the step at `position` is for the caller.
    """
    follow = follow_at(follow_address)
    while follow.position < follow.nr_steps:
        step = step_at(follow.steps + STEP_BYTES * follow.position)
        if step.what == OTHER:
            return CALLER
        tries = zone_at(load_i64(follow.tries, step.zone))
        keeps = zone_at(load_i64(follow.keeps, step.zone))
        if step.what <= TAKE:
            follow.pages += 1
            fallback = function_at(load_i64(follow.fallbacks, step.zone))
            if not request(follow, step, tries, keeps, fallback):
                return MISS
            follow.exact += 1
        else:
            move_pages(follow, step, tries, keeps)
        follow.position += 1
    return DONE


@entry(I64, I64, I64)
def ask_again(follow_address: int, keep: int) -> int:
    """Ask for the block of the step at `position` once more.

    Parameters
    ----------
    follow_address : int64
        Where the `FOLLOW` record lies; the zone's mode is that of before the request.
    keep : int64
        1: if it is the recorded page, let it stand.

    Returns
    -------
    int64
        The page, relative to the zone, or -1.  Unless it was kept it must be undone.
    """
    follow = follow_at(follow_address)
    step = step_at(follow.steps + STEP_BYTES * follow.position)
    tries = zone_at(load_i64(follow.tries, step.zone))
    keeps = zone_at(load_i64(follow.keeps, step.zone))
    fallback = function_at(load_i64(follow.fallbacks, step.zone))
    if keep != 0:
        request(follow, step, tries, keeps, fallback)
    else:
        guess(follow, step, tries, keeps, fallback)
    return int(follow.pfn)


@entry(I64, I64, I64, I64)
def refill_size(zone_address: int, cpu: int, order: int) -> int:
    """Blocks that an empty list is refilled with (`rmqueue.mm.pcp.nr_pcp_alloc`)."""
    return int(nr_pcp_alloc(zone_at(zone_address), cpu, order))


@entry(I64, I64, I64)
def note_pcp_alloc(zone_address: int, cpu: int) -> int:
    """Note that a block was taken from a CPU's list."""
    pcp_of(zone_at(zone_address), cpu).free_count >>= 1
    return 0


@entry(I64, I64, I64, I64)
def pages_to_flush(zone_address: int, cpu: int, order: int) -> int:
    """Pages to give back after a block was put on a list of a CPU [pages]."""
    return int(nr_to_flush(zone_at(zone_address), cpu, order))
