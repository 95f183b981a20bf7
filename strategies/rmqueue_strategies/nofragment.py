"""Experiment: never below whole pageblocks, whatever the request says.

What `defrag_mode` (Linux 6.15) asks of every request, without its way out: a request
that finds no whole block of another type gets nothing.  How often that happens is what
it shows.
"""

from __future__ import annotations

from typing import Any

from rmqueue.hookspecs import hookimpl
from rmqueue.mm.fallback import rmqueue_claim, rmqueue_cma_fallback
from rmqueue.mm.jit import jit
from rmqueue.mm.mmzone import ALLOC_NOFRAGMENT
from rmqueue.types import Strategy


@jit
def fallback(
    zone: Any, order: int, start_mt: int, flags: int, batch: Any, st: Any
) -> int:
    """Claim a whole pageblock, or give up."""
    pfn = rmqueue_cma_fallback(zone, order, flags)
    if pfn < 0:
        pfn = rmqueue_claim(zone, order, start_mt, flags | ALLOC_NOFRAGMENT)
    return pfn


STRATEGY = Strategy(
    name="nofragment",
    summary="Claim whole pageblocks only; fail rather than mix types.",
    fallback=fallback,
    kernel="7.3",
    references=('Linux e3aa7df331bc ("mm: page_alloc: defrag_mode")',),
)


@hookimpl
def rmqueue_strategies() -> list[Strategy]:
    """Register `STRATEGY`."""
    return [STRATEGY]
