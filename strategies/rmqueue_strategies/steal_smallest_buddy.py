"""Linux 6.15-rc1: claim top-down, else steal the smallest buddy bottom-up.

``__rmqueue_fallback()`` of c2f6ea38fc1b ("mm: page_alloc: don't steal single pages from
biggest buddy").  Both searches run again for every page of a batch.
"""

from __future__ import annotations

from typing import Any

from rmqueue.hookspecs import hookimpl
from rmqueue.mm.fallback import rmqueue_claim, rmqueue_cma_fallback, rmqueue_steal
from rmqueue.mm.jit import jit
from rmqueue.mm.mmzone import ALLOC_NOFRAGMENT
from rmqueue.types import Strategy


@jit
def fallback(
    zone: Any, order: int, start_mt: int, flags: int, batch: Any, st: Any
) -> int:
    """Claim, else steal; remember nothing."""
    pfn = rmqueue_cma_fallback(zone, order, flags)
    if pfn < 0:
        pfn = rmqueue_claim(zone, order, start_mt, flags)
    if pfn < 0 and flags & ALLOC_NOFRAGMENT == 0:
        pfn = rmqueue_steal(zone, order, start_mt)
    return pfn


STRATEGY = Strategy(
    name="steal-smallest-buddy",
    summary="Claim top-down, else steal the smallest buddy; again for every page.",
    fallback=fallback,
    linux="c2f6ea38fc1b (6.15-rc1)",
    kernel="6.14",
    references=(
        "Linux c2f6ea38fc1b (\"mm: page_alloc: don't steal single pages from biggest "
        'buddy")',
    ),
)


@hookimpl
def rmqueue_strategies() -> list[Strategy]:
    """Register `STRATEGY`."""
    return [STRATEGY]
