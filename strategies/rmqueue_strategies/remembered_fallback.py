"""Linux 6.15: as `steal_smallest_buddy`, but remember within a batch what worked.

``__rmqueue()`` of 90abee6d7895 ("mm: page_alloc: speed up fallbacks in
rmqueue_bulk()").  Once a page had to be stolen, the rest of the batch is stolen too,
without looking at the native lists or for a claim again.
"""

from __future__ import annotations

from typing import Any

from rmqueue.hookspecs import hookimpl
from rmqueue.mm.fallback import rmqueue_claim, rmqueue_cma_fallback, rmqueue_steal
from rmqueue.mm.jit import jit
from rmqueue.mm.mmzone import (
    ALLOC_NOFRAGMENT,
    RMQUEUE_CMA,
    RMQUEUE_NORMAL,
    RMQUEUE_STEAL,
)
from rmqueue.types import Strategy


@jit
def fallback(
    zone: Any, order: int, start_mt: int, flags: int, batch: Any, st: Any
) -> int:
    """Start where the last page of this batch was found."""
    if batch.mode != RMQUEUE_STEAL:
        pfn = rmqueue_cma_fallback(zone, order, flags)
        if pfn >= 0:
            batch.mode = RMQUEUE_CMA
            return pfn
        pfn = rmqueue_claim(zone, order, start_mt, flags)
        if pfn >= 0:
            batch.mode = RMQUEUE_NORMAL
            return pfn
    if flags & ALLOC_NOFRAGMENT:
        return -1
    pfn = rmqueue_steal(zone, order, start_mt)
    if pfn >= 0:
        batch.mode = RMQUEUE_STEAL
    return pfn


STRATEGY = Strategy(
    name="remembered-fallback",
    summary="Claim top-down, else steal; remember within a batch what worked.",
    fallback=fallback,
    linux="90abee6d7895 (6.15, stable 6.10+)",
    kernel="6.14",
    references=(
        'Linux 90abee6d7895 ("mm: page_alloc: speed up fallbacks in rmqueue_bulk()")',
    ),
)


@hookimpl
def rmqueue_strategies() -> list[Strategy]:
    """Register `STRATEGY`."""
    return [STRATEGY]
