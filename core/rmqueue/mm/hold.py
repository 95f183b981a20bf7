"""What is kept of every zone-lock hold.

At the end of each hold the counts since the previous one are weighed to a cost in
picoseconds, entered in a log-bucketed histogram, and kept whole if this hold is the
worst so far.
"""

from __future__ import annotations

from typing import Any

from rmqueue.mm.jit import jit, load_i64, scalar_item, store_i64
from rmqueue.mm.mmzone import ZONE
from rmqueue.mm.vmstat import (
    BULK,
    COUNTER_SLOTS,
    HEAD,
    LIST_ADD,
    LIST_DEL,
    LOCK,
    MERGE,
    PCP_FLUSH,
    PCP_FLUSH_PAGES,
    SMALLEST,
    SPLIT,
    bucket_of,
)

count_of, start_of = scalar_item(ZONE, "cnt"), scalar_item(ZONE, "hold_start")


@jit(forceinline=True)
def end_hold(zone: Any) -> None:
    """Close a zone-lock hold: weigh what it counted and remember the worst.

    While nothing costs anything, holds are only counted.
    """
    if zone.weighted == 0:
        zone.hold_count += 1
    elif zone.rare_work == 0:
        weigh_common(zone)
    else:
        weigh_all(zone)


@jit(forceinline=True)
def end_free_hold(zone: Any) -> None:
    """`end_hold` after one block was freed: only four counters move."""
    if zone.weighted == 0:
        zone.hold_count += 1
    elif zone.rare_work == 0:
        cost = weigh(zone, LOCK) + weigh(zone, MERGE)
        cost += weigh(zone, LIST_ADD) + weigh(zone, LIST_DEL)
        enter_hold(zone, cost)
        start_next(zone, LOCK)
        start_next(zone, MERGE)
        start_next(zone, LIST_ADD)
        start_next(zone, LIST_DEL)
    else:
        weigh_all(zone)


@jit(cold=True)
def weigh_common(zone: Any) -> None:
    """Weigh a hold that took the usual ways, in which few counters move.

    Written out: LLVM makes a table of jumps of a loop over these.
    """
    cost = weigh(zone, LOCK) + weigh(zone, BULK) + weigh(zone, SMALLEST)
    cost += weigh(zone, HEAD) + weigh(zone, LIST_ADD) + weigh(zone, LIST_DEL)
    cost += weigh(zone, SPLIT) + weigh(zone, MERGE)
    cost += weigh(zone, PCP_FLUSH) + weigh(zone, PCP_FLUSH_PAGES)
    enter_hold(zone, cost)
    start_next(zone, LOCK)
    start_next(zone, BULK)
    start_next(zone, SMALLEST)
    start_next(zone, HEAD)
    start_next(zone, LIST_ADD)
    start_next(zone, LIST_DEL)
    start_next(zone, SPLIT)
    start_next(zone, MERGE)
    start_next(zone, PCP_FLUSH)
    start_next(zone, PCP_FLUSH_PAGES)


@jit(cold=True)
def weigh_all(zone: Any) -> None:
    """Weigh a hold in which any counter may have moved."""
    cost = 0
    for i in range(COUNTER_SLOTS):
        cost += weigh(zone, i)
    enter_hold(zone, cost)
    for i in range(COUNTER_SLOTS):
        start_next(zone, i)
    zone.rare_work = 0


@jit(forceinline=True)
def weigh(zone: Any, i: int) -> int:
    """Cost [ps] of what one counter counted in this hold."""
    return int((count_of(zone, i) - start_of(zone, i)) * zone.hold_weights[i])


@jit(forceinline=True)
def start_next(zone: Any, i: int) -> None:
    """Let the next hold begin where a counter is now."""
    zone.hold_start[i] = count_of(zone, i)


@jit(forceinline=True)
def enter_hold(zone: Any, cost: int) -> None:
    """Count a hold of a cost [ps]; `hold_start` is still that of this hold."""
    zone.hold_count += 1
    zone.hold_total_ps += cost
    bucket = bucket_of(cost)
    count = load_i64(zone.hold_histogram, bucket)
    store_i64(zone.hold_histogram, bucket, count + 1)
    if cost > zone.hold_worst_ps:
        keep_worst(zone, cost)


@jit(cold=True)
def keep_worst(zone: Any, cost: int) -> None:
    """Remember the hold that cost most, counter by counter."""
    zone.hold_worst_ps = cost
    for i in range(COUNTER_SLOTS):
        zone.hold_worst[i] = count_of(zone, i) - start_of(zone, i)
