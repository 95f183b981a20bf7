"""No fallback: a request fails when the lists of its own type are empty."""

from __future__ import annotations

from typing import Any

from rmqueue.hookspecs import hookimpl
from rmqueue.mm.jit import jit
from rmqueue.types import Strategy


@jit
def fallback(
    zone: Any, order: int, start_mt: int, flags: int, batch: Any, st: Any
) -> int:
    """Find nothing."""
    return -1


STRATEGY = Strategy(
    name="none",
    summary="Baseline: fail when the lists of the requested type are empty.",
    fallback=fallback,
)


@hookimpl
def rmqueue_strategies() -> list[Strategy]:
    """Register `STRATEGY`."""
    return [STRATEGY]
