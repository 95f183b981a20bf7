"""Work counters (SEMANTICS 14) and what is kept of every zone-lock hold.

The counters say what the *kernel* would have done; they are always on.  At the end of
each hold the differences since the previous hold are weighed to a cost in picoseconds,
entered in a log-bucketed histogram, and kept whole if this hold is the worst so far.
"""

from __future__ import annotations

from typing import Any

from rmqueue.mm.jit import bit_length, jit, load_i64, store_i64

COUNTERS = (
    "lock",
    "bulk",
    "smallest",
    "fallback",
    "steal_search",
    "area",
    "head",
    "scan_block",
    "scan_page",
    "move_page",
    "list_move",
    "list_add",
    "list_del",
    "split",
    "merge",
    "claim_try",
    "claim_whole",
    "claim_part",
    "steal",
    "pbset",
    "boost",
    "pcp_flush",
    "pcp_flush_pages",
)
(
    LOCK,
    BULK,
    SMALLEST,
    FALLBACK,
    STEAL_SEARCH,
    AREA,
    HEAD,
    SCAN_BLOCK,
    SCAN_PAGE,
    MOVE_PAGE,
    LIST_MOVE,
    LIST_ADD,
    LIST_DEL,
    SPLIT,
    MERGE,
    CLAIM_TRY,
    CLAIM_WHOLE,
    CLAIM_PART,
    STEAL,
    PBSET,
    BOOST,
    PCP_FLUSH,
    PCP_FLUSH_PAGES,
) = range(len(COUNTERS))

NR_COUNTERS = len(COUNTERS)
#: Length of the counter arrays in the zone record: a whole number of cache lines.
COUNTER_SLOTS = 24

#: Sub-buckets per octave of the hold histogram, as a power of two: 6 % wide.
SUB_BITS = 4
HISTOGRAM_BUCKETS = (64 - SUB_BITS) << SUB_BITS


@jit(forceinline=True)
def bucket_of(cost_ps: int) -> int:
    """Histogram bucket of a cost: exact below 16, then 16 buckets per octave."""
    exponent = bit_length(cost_ps) - 1 - SUB_BITS
    if exponent < 0:
        return cost_ps
    return int((exponent << SUB_BITS) + (cost_ps >> exponent))


def bucket_floor_ps(bucket: int) -> int:
    """Smallest cost [ps] that falls into a bucket of the hold histogram."""
    exponent = (bucket >> SUB_BITS) - 1
    if exponent < 0:
        return bucket
    return ((1 << SUB_BITS) + (bucket & ((1 << SUB_BITS) - 1))) << exponent


@jit(cold=True)
def end_hold(zone: Any) -> None:
    """Close a zone-lock hold: weigh what it counted and remember the worst."""
    cost = 0
    for i in range(COUNTER_SLOTS):
        now = zone.cnt[i]
        cost += (now - zone.hold_start[i]) * zone.hold_weights[i]
        zone.hold_delta[i] = now - zone.hold_start[i]
        zone.hold_start[i] = now
    zone.hold_count += 1
    zone.hold_total_ps += cost
    bucket = bucket_of(cost)
    count = load_i64(zone.hold_histogram, bucket)
    store_i64(zone.hold_histogram, bucket, count + 1)
    if cost > zone.hold_worst_ps:
        zone.hold_worst_ps = cost
        for i in range(COUNTER_SLOTS):
            zone.hold_worst[i] = zone.hold_delta[i]
