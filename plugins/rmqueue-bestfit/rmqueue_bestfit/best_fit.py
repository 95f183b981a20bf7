"""Address-ordered best fit: the smallest block that will do, and of those the lowest.

The kernel looks for a claim from the largest block down and for a steal from the
smallest up, and of a list it takes whatever lies at the head.  Best fit has one search:
upward to the smallest order with a block of a fallback type, and there for the block
with the lowest pfn.  Only then it asks what to do with it.  A whole pageblock is always
claimed, a part where `try_to_claim_block()` would claim it; any other block is stolen
from.  As in the kernel since 90abee6d7895, after a steal the rest of the batch steals;
the search then goes on where the last block was found, for nothing is freed while the
zone lock is held.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from rmqueue.hookspecs import hookimpl
from rmqueue.mm.address_order import lowest_block
from rmqueue.mm.fallback import (
    find_suitable_fallback,
    first_block,
    lowest_order,
    rmqueue_cma_fallback,
    should_try_claim_block,
    steal_block,
    try_to_claim_block,
)
from rmqueue.mm.jit import jit
from rmqueue.mm.mmzone import (
    ALLOC_NOFRAGMENT,
    MAX_ORDER_LIMIT,
    NR_ORDERS,
    RMQUEUE_CMA,
    RMQUEUE_NORMAL,
    RMQUEUE_STEAL,
    pageblock_type,
)
from rmqueue.mm.vmstat import STEAL_SEARCH
from rmqueue.types import Strategy


class Parameters(BaseModel):
    """Parameters of the strategy ``best-fit``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    claim_order: int = Field(
        default=0,
        ge=0,
        le=MAX_ORDER_LIMIT,
        description="Smallest block whose pageblock it tries to claim [order].",
    )


@jit
def begin_search(zone: Any, st: Any) -> None:
    """Forget where blocks were found: something may have been freed below."""
    for order in range(zone.max_order + 1):
        st.at[order] = zone.start


@jit
def best_block(zone: Any, high: int, start_mt: int, fallback_mt: int, st: Any) -> int:
    """Lowest block of an order that has one, searched for from the last one on."""
    pfn = lowest_block(zone, st.at[high], high, start_mt)
    if pfn < 0:
        # before 6.10 a block may lie on a list that its pageblock does not tell
        return int(first_block(zone, high, fallback_mt))
    st.at[high] = pfn
    return int(pfn)


@jit
def take_block(
    zone: Any, pfn: int, high: int, order: int, start_mt: int, batch: Any, st: Any
) -> int:
    """Steal from a block; what is left of it becomes smaller blocks at its address."""
    for lower in range(order, high):
        st.at[lower] = min(st.at[lower], pfn)
    batch.mode = RMQUEUE_STEAL
    rest_mt = pageblock_type(zone, pfn)
    return int(steal_block(zone, pfn, high, order, start_mt, rest_mt))


@jit
def may_claim(zone: Any, high: int, start_mt: int, batch: Any, st: Any) -> bool:
    """Whether to try: a whole pageblock always, a part until something was stolen."""
    if high >= zone.pageblock_order:
        return True
    if batch.mode == RMQUEUE_STEAL or high < st.claim_order:
        return False
    return bool(should_try_claim_block(zone, high, start_mt))


@jit
def fallback(
    zone: Any, order: int, start_mt: int, flags: int, batch: Any, st: Any
) -> int:
    """Find the best block, then claim its pageblock or steal from it."""
    if batch.mode != RMQUEUE_STEAL:
        begin_search(zone, st)
        pfn = rmqueue_cma_fallback(zone, order, flags)
        if pfn >= 0:
            batch.mode = RMQUEUE_CMA
            return pfn
    zone.cnt[STEAL_SEARCH] += 1
    for high in range(lowest_order(zone, order, flags), zone.max_order + 1):
        fallback_mt = find_suitable_fallback(zone, high, start_mt, False)
        if fallback_mt < 0:
            continue
        pfn = best_block(zone, high, start_mt, fallback_mt, st)
        mt = pageblock_type(zone, pfn)
        if may_claim(zone, high, start_mt, batch, st):
            page = try_to_claim_block(zone, pfn, high, order, start_mt, mt, flags)
            if page >= 0:
                batch.mode = RMQUEUE_NORMAL
                return page
        if flags & ALLOC_NOFRAGMENT:
            return -1
        return take_block(zone, pfn, high, order, start_mt, batch, st)
    return -1


STRATEGY = Strategy(
    name="best-fit",
    summary="Best fit: the smallest block, of several the lowest; claim or steal it.",
    fallback=fallback,
    parameters=Parameters,
    state=(("at", f"{NR_ORDERS}i8"),),
    kernel="7.3",
    references=(
        "M. S. Johnstone, P. R. Wilson: The memory fragmentation problem: solved?, "
        "ISMM 1998",
        "P. R. Wilson, M. S. Johnstone, M. Neely, D. Boles: Dynamic storage "
        "allocation: a survey and critical review, IWMM 1995",
    ),
)


@hookimpl
def rmqueue_strategies() -> list[Strategy]:
    """Register `STRATEGY`."""
    return [STRATEGY]
