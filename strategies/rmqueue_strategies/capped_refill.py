"""Experiments: the regressed kernels, with small refills of unmovable pages.

In the model of LKP's server the regression comes from a trickle of page tables, which
refills of unmovable pages amplify: a CPU that reads much asks for up to 32 batches at a
time, whatever the type (`alloc_factor` is shared), and gives most of them back to
movable pageblocks.  These two take at most so many batches for a type that is not
movable.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from rmqueue.hookspecs import hookimpl
from rmqueue.mm.jit import jit
from rmqueue.mm.mmzone import MOVABLE
from rmqueue.mm.pcp import pcp_of
from rmqueue.types import Strategy
from rmqueue_strategies import claim_whole_block, steal_smallest_buddy


class CapParameters(BaseModel):
    """Parameters of the capped strategies."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batches: int = Field(
        default=1,
        ge=1,
        le=32,
        description="Most that a refill of a type that is not movable takes [batches].",
    )


@jit
def refill(zone: Any, cpu: int, order: int, start_mt: int, wanted: int, st: Any) -> int:
    """Take no more than the cap, unless the type is movable."""
    if start_mt == MOVABLE:
        return wanted
    return int(min(wanted, max(pcp_of(zone, cpu).batch * st.batches >> order, 1)))


STRATEGIES = [
    Strategy(
        name="capped-claim",
        summary="claim-whole-block, with small refills of unmovable pages.",
        fallback=claim_whole_block.fallback,
        parameters=CapParameters,
        refill=refill,
        kernel="6.14",
    ),
    Strategy(
        name="capped-steal",
        summary="steal-smallest-buddy, with small refills of unmovable pages.",
        fallback=steal_smallest_buddy.fallback,
        parameters=CapParameters,
        refill=refill,
        kernel="6.14",
    ),
]


@hookimpl
def rmqueue_strategies() -> list[Strategy]:
    """Register `STRATEGIES`."""
    return STRATEGIES
