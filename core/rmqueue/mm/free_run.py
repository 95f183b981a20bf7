"""The loop of a free run: requests and frees of a recording, and nothing else of it.

Every CPU asks its own lists; refills, drains and fallbacks are the model's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rmqueue.mm.follow import function_at
from rmqueue.mm.free_list import list_add_tail
from rmqueue.mm.jit import I64, entry, jit, load_i64, store_i64, view_as
from rmqueue.mm.lru import mark_in_use
from rmqueue.mm.mmzone import (
    ALLOC_KSWAPD,
    MOVABLE,
    PAGE_PCP,
    ZONE_BELOW_HIGH,
    pcp_list,
    set_page_state,
    zone_at,
)
from rmqueue.mm.page_alloc import carry_type
from rmqueue.mm.pcp import free_unref_page, pcp_of, pindex_to_order, rmqueue_pcplist

ALLOC, FREE = range(2)
#: `slot`: of an allocation its number; of a free that of the allocation, or -1 for a
#: block that was in use at the start, which is page `pfn`.
RUN_STEP = np.dtype(
    [
        ("pfn", "i8"),  # relative to the zone, as recorded
        ("slot", "i4"),
        ("cpu", "i2"),
        ("what", "u1"),
        ("zone", "u1"),
        ("order", "i1"),
        ("mt", "i1"),
    ],
    align=True,
)
#: Addresses of the steps, of zones and where their strategies are kept (int64 each),
#: and of the page that each slot was given.
FREE_RUN = np.dtype(
    [
        (name, "i8")
        for name in ("steps", "nr_steps", "zones", "fallbacks", "given", "failed")
    ],
    align=True,
)
run_at, step_at = view_as(FREE_RUN), view_as(RUN_STEP)
STEP_BYTES = RUN_STEP.itemsize


@entry(I64, I64, I64, I64, I64, I64)
def restore_pcp(zone_address: int, cpu: int, pindex: int, pfns: int, count: int) -> int:
    """Put blocks at the tail of a CPU's list: `count` pages (int64) at an address.

    The type that a block carries is not recorded: it is taken to be its list's.
    """
    zone = zone_at(zone_address)
    order = pindex_to_order(zone, pindex)
    head = pcp_list(zone, cpu, pindex)
    for i in range(count):
        pfn = load_i64(pfns, i)
        set_page_state(zone, pfn, PAGE_PCP | order)
        list_add_tail(zone, pfn, head)
        pcp_of(zone, cpu).count += 1 << order
    if zone.pcp_keeps_type != 0:
        carry_type(zone, head, pindex % 3)  # also of the huge lists: the 2nd is movable
    return 0


@jit
def ask(run: Any, step: Any, zone: Any, fallback: Any) -> None:
    """Ask a CPU's lists for a block, as get_page_from_freelist does."""
    if zone.nr_free <= zone.wmark_high + zone.boost:
        zone.flags |= ZONE_BELOW_HIGH
    pfn = rmqueue_pcplist(zone, step.cpu, step.order, step.mt, ALLOC_KSWAPD, fallback)
    store_i64(run.given, step.slot, pfn)
    if pfn < 0:
        run.failed += 1
    else:
        mark_in_use(zone, pfn, step.order, int(step.mt == MOVABLE))


@entry(I64, I64)
def free_run(run_address: int) -> int:
    """Do all steps.

    Parameters
    ----------
    run_address : int64
        Where the `FREE_RUN` record lies.
    """
    run = run_at(run_address)
    for i in range(run.nr_steps):
        step = step_at(run.steps + STEP_BYTES * i)
        zone = zone_at(load_i64(run.zones, step.zone))
        if step.what == ALLOC:
            ask(run, step, zone, function_at(load_i64(run.fallbacks, step.zone)))
            continue
        pfn = step.pfn
        if step.slot >= 0:
            pfn = load_i64(run.given, step.slot)
        if pfn >= 0:
            free_unref_page(zone, step.cpu, pfn, step.order)
    return 0
