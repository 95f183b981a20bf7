"""Experiment: `remembered_fallback` that gives the lock back every few pages.

The other cure for long holds: not a faster search but a shorter batch.  It bounds a
hold by the number of pages in it, not by what a search costs, and pays with more holds
and with a memory that is forgotten more often.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from rmqueue.hookspecs import hookimpl
from rmqueue.mm.jit import jit
from rmqueue.types import Strategy
from rmqueue_strategies import remembered_fallback


class ChunkParameters(BaseModel):
    """Parameters of `chunked-refill`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pages: int = Field(
        default=16, ge=1, le=4096, description="Most pages in a lock hold [pages]."
    )


@jit
def refill(zone: Any, cpu: int, order: int, start_mt: int, wanted: int, st: Any) -> int:
    """Take no more than a chunk."""
    return int(min(wanted, max(st.pages >> order, 1)))


STRATEGY = Strategy(
    name="chunked-refill",
    summary="Remembered fallback in refills of a few pages, a lock hold each.",
    fallback=remembered_fallback.fallback,
    parameters=ChunkParameters,
    refill=refill,
    kernel="7.3",
    references=("Linux: the batches of free_unref_page() since 6.19, for refills",),
)


@hookimpl
def rmqueue_strategies() -> list[Strategy]:
    """Register `STRATEGY`."""
    return [STRATEGY]
