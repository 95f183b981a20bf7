"""Constants and records: the zone, its pages, pageblocks, per-CPU lists and batches.

A page costs nine bytes: two 32-bit links in one array and one byte of state in another,
so that a failed buddy test touches a single byte; and a tenth where pages on per-CPU
lists carry a type.  List heads are entries of the link array behind the last page.  A
pageblock costs one 64-bit word: its migratetype and what is inside it, kept up to date
by every allocation and free, so that a claim attempt knows without a scan what the
kernel's scan would have found.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rmqueue.mm.jit import (
    CHECKED,
    constant_field,
    jit,
    load_i64,
    load_u8,
    load_u32,
    record,
    store_i64,
    store_u8,
    store_u32,
    view_as,
)
from rmqueue.mm.profile import RULES
from rmqueue.mm.vmstat import COUNTER_SLOTS

UNMOVABLE, MOVABLE, RECLAIMABLE, HIGHATOMIC, CMA = range(5)
MIGRATETYPES = ("unmovable", "movable", "reclaimable", "highatomic", "cma")
NR_TYPES = len(MIGRATETYPES)

#: Largest MAX_PAGE_ORDER of any supported configuration.
MAX_ORDER_LIMIT = 13
NR_ORDERS = MAX_ORDER_LIMIT + 1
PAGE_ALLOC_COSTLY_ORDER = 3

# Allocation flags (the kernel's ALLOC_*; numbers of the op stream).
ALLOC_NOFRAGMENT = 1
ALLOC_HIGHATOMIC = 2
ALLOC_CMA = 4
ALLOC_OOM = 8
ALLOC_NON_BLOCK = 16
ALLOC_KSWAPD = 32
ALLOC_MIN_RESERVE = 64
ALLOC_NOLRU = 128
#: Not a flag of a request: the strategy is asked how many blocks a refill takes.
ASK_REFILL = 1 << 16

# Zone flags.
ZONE_BOOSTED_WATERMARK = 1
ZONE_RECLAIM_ACTIVE = 2
ZONE_BELOW_HIGH = 4

# Flags of a CPU's lists.
PCPF_PREV_FREE_HIGH_ORDER = 1
PCPF_FREE_HIGH_BATCH = 2

# enum rmqueue_mode: what worked last in this batch.
RMQUEUE_NORMAL, RMQUEUE_CMA, RMQUEUE_CLAIM, RMQUEUE_STEAL = range(4)

# A page's state byte: the low nibble is the order of the block that begins here.
PAGE_FREE = 0x80
PAGE_LRU = 0x40
PAGE_PCP = 0x20
PAGE_IN_USE = 0x10
PAGE_ORDER = 0x0F

# A pageblock's word: migratetype, free blocks, free pages, pages on an LRU list.
BLOCKS_SHIFT, PAGES_SHIFT, LRU_SHIFT = 8, 24, 44
ONE_BLOCK, ONE_PAGE, ONE_LRU = 1 << BLOCKS_SHIFT, 1 << PAGES_SHIFT, 1 << LRU_SHIFT
TYPE_MASK = (1 << BLOCKS_SHIFT) - 1
BLOCKS_MASK, PAGES_MASK = (1 << 16) - 1, (1 << 20) - 1

PCP_ORDER_LISTS = 3 * (PAGE_ALLOC_COSTLY_ORDER + 1)
PCP_LISTS = PCP_ORDER_LISTS + 2
BUDDY_LISTS = NR_ORDERS * NR_TYPES

#: What a strategy did wrong (`zone.fault`).
FAULTS = (
    "none",
    "returned a page that does not exist",
    "returned a page that is still free or in use elsewhere",
    "returned a page that is not aligned to its order",
    "took other pages off the free lists than those of the block that it returned",
    "stopped in the middle of a request",
    "gave a brick a block that is not free, or not of that order",
    "gave a brick an order or a migratetype that does not exist",
    "took pages off the free lists where it only says how many to take",
)
#: The faults that are not of the page that was returned.
OTHER_PAGES, STOPPED, WRONG_BLOCK, WRONG_LIST, REFILL_TOOK = 4, 5, 6, 7, 8

_i8 = "i8"
#: A CPU's lists: 64 bytes, one line of the cache.  With `pcp_fixed_high`, free_count is
#: what those kernels call free_factor: each allocation halves either (a field of its
#: own cost every allocation two per cent).
PCP = np.dtype(
    [
        (name, _i8)
        for name in (
            "count",
            "high",
            "high_min",
            "high_max",
            "batch",
            "alloc_factor",
            "free_count",
            "flags",
        )
    ],
    align=True,
)
#: What lives for one rmqueue_bulk(): mode, the kernel's variable; when a strategy is
#: asked for the size of a refill also the CPU, and the blocks that the kernel takes.
BATCH = np.dtype([(name, _i8) for name in ("mode", "cpu", "wanted")], align=True)

_SCALARS = (
    # addresses of the page arrays
    *("links", "meta", "words", "scans", "pcps", "batch", "strategy_state"),
    *("hold_histogram", "page_types"),
    # geometry, relative to base
    *("base", "start", "end", "nr_index", "heads", "max_order"),
    *("pageblock_order", "pageblock_pages", "nr_types", "cpus", "huge_order"),
    # up to which order a free to the per-CPU lists has no rule to look at
    "pcp_quick_order",
    # CONFIG_PCP_BATCH_SCALE_MAX
    "batch_scale_max",
    # state; unaccounted: pages in use before a recording began, in blocks of no name
    *("unaccounted", "managed", "nr_free", "nr_free_cma", "nr_free_highatomic"),
    *("nr_reserved_highatomic", "flags", "wakeups"),
    *("wmark_min", "wmark_low", "wmark_high", "wmark_promo", "boost"),
    # configuration
    *("min_free_kbytes", "boost_factor", "scale_factor", "high_fraction"),
    *("cma", "cma_pageblocks", "mobility_off", "free_high_batch"),
    # scans that a pageblock stays in the cache for; whether any work costs anything
    *("warm_scans", "weighted"),
    # holds
    *("hold_count", "hold_total_ps", "hold_worst_ps", "rare_work"),
    # whether the strategy decides the size of refills; what it did wrong first
    "asks_refill",
    *("fault", "fault_pfn", "fault_order", "fault_pages"),
    # turns of loops (`rmqueue.mm.steps`) that a fallback may take, and has left
    *("step_limit", "steps_left"),
)
ZONE = np.dtype(
    [(name, _i8) for name in (*_SCALARS, *RULES)]
    + [
        (name, _i8, (COUNTER_SLOTS,))
        for name in ("cnt", "hold_start", "hold_weights", "hold_worst")
    ]
    + [
        ("nr_area", _i8, (NR_ORDERS,)),
        ("claims", _i8, (NR_TYPES, NR_TYPES)),
        ("steals", _i8, (NR_TYPES, NR_TYPES)),
        ("pollute", _i8, (NR_TYPES, NR_TYPES)),
        # claims and steals by order asked for and order found
        ("fallback_orders", _i8, (NR_ORDERS, NR_ORDERS)),
        # the block that a brick took off the free lists last; not before these, whose
        # place in their lines of the cache the hot path depends on
        ("taken_pfn", _i8),
        ("taken_order", _i8),
    ],
    align=True,
)

ZONE_TYPE, BATCH_TYPE = record(ZONE), record(BATCH)
zone_at, pcp_at, batch_at = view_as(ZONE), view_as(PCP), view_as(BATCH)
PCP_BYTES = PCP.itemsize

# What never changes while a zone lives, for the hot path.
links, meta, words = (constant_field(ZONE, f) for f in ("links", "meta", "words"))
pcps, heads = constant_field(ZONE, "pcps"), constant_field(ZONE, "heads")
max_order = constant_field(ZONE, "max_order")
pageblock_order = constant_field(ZONE, "pageblock_order")
batch_address = constant_field(ZONE, "batch")
pcp_quick_order = constant_field(ZONE, "pcp_quick_order")
batch_scale_max = constant_field(ZONE, "batch_scale_max")


@jit(forceinline=True)
def check_page(zone: Any, pfn: int) -> None:
    """Refuse a page outside the arrays, in the checked build only."""
    if CHECKED and (pfn < 0 or pfn >= zone.nr_index):
        raise IndexError("zone-relative pfn outside the page arrays")


@jit(forceinline=True)
def check_link(zone: Any, index: int) -> None:
    """Refuse a link outside pages and list heads, in the checked build only."""
    if CHECKED and (
        index < 0 or index > heads(zone) + BUDDY_LISTS + zone.cpus * PCP_LISTS
    ):
        raise IndexError("link outside the pages and list heads")


@jit(forceinline=True)
def page_state(zone: Any, pfn: int) -> int:
    """State byte of a page."""
    check_page(zone, pfn)
    return int(load_u8(meta(zone), pfn))


@jit(forceinline=True)
def set_page_state(zone: Any, pfn: int, state: int) -> None:
    """Store the state byte of a page."""
    check_page(zone, pfn)
    store_u8(meta(zone), pfn, state)


@jit(forceinline=True)
def page_type(zone: Any, pfn: int) -> int:
    """Type that a block on a per-CPU list carries (get_pcppage_migratetype)."""
    check_page(zone, pfn)
    return int(load_u8(zone.page_types, pfn))


@jit(forceinline=True)
def set_page_type(zone: Any, pfn: int, mt: int) -> None:
    """Have a block carry a type; only where the profile has `pcp_keeps_type`."""
    check_page(zone, pfn)
    store_u8(zone.page_types, pfn, mt)


@jit(forceinline=True)
def next_of(zone: Any, index: int) -> int:
    """Entry (page or list head) behind an entry."""
    check_link(zone, index)
    return int(load_u32(links(zone), 2 * index))


@jit(forceinline=True)
def prev_of(zone: Any, index: int) -> int:
    """Entry (page or list head) before an entry."""
    check_link(zone, index)
    return int(load_u32(links(zone), 2 * index + 1))


@jit(forceinline=True)
def link(zone: Any, before: int, after: int) -> None:
    """Make two entries neighbours."""
    check_link(zone, before)
    check_link(zone, after)
    store_u32(links(zone), 2 * before, after)
    store_u32(links(zone), 2 * after + 1, before)


@jit(forceinline=True)
def pageblock_word(zone: Any, pfn: int) -> int:
    """Word of the pageblock that holds a page."""
    check_page(zone, pfn)
    return int(load_i64(words(zone), pfn >> pageblock_order(zone)))


@jit(forceinline=True)
def add_to_word(zone: Any, pfn: int, amount: int) -> None:
    """Add to the word of the pageblock that holds a page."""
    check_page(zone, pfn)
    block = pfn >> pageblock_order(zone)
    store_i64(words(zone), block, load_i64(words(zone), block) + amount)


@jit(forceinline=True)
def pageblock_type(zone: Any, pfn: int) -> int:
    """Migratetype of the pageblock that holds a page (get_pageblock_migratetype)."""
    check_page(zone, pfn)
    return int(load_u8(words(zone), (pfn >> pageblock_order(zone)) << 3))


@jit(forceinline=True)
def free_list(zone: Any, order: int, mt: int) -> int:
    """List head of the free blocks of one order and migratetype."""
    return int(heads(zone) + order * NR_TYPES + mt)


@jit(forceinline=True)
def batch_list(zone: Any) -> int:
    """List head of a batch that is handed straight to the caller."""
    return int(heads(zone) + BUDDY_LISTS)


@jit(forceinline=True)
def pcp_list(zone: Any, cpu: int, index: int) -> int:
    """List head of one per-CPU list."""
    return int(heads(zone) + BUDDY_LISTS + 1 + cpu * PCP_LISTS + index)
