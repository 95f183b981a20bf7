"""Work counters (SEMANTICS 14) and the buckets of the hold histogram.

The counters say what the *kernel* would have done; they are always on.
"""

from __future__ import annotations

from rmqueue.mm.jit import bit_length, jit

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
#: Counters beyond those of SEMANTICS 14, behind them: steps of a scan of a pageblock
#: that was scanned in the same hold not long ago, so that its pages are in the cache.
EXTRA_COUNTERS = ("scan_page_warm",)
SCAN_PAGE_WARM = NR_COUNTERS
ALL_COUNTERS = (*COUNTERS, *EXTRA_COUNTERS)
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
