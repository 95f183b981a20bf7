"""Synthetic op streams."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, field_validator

from rmqueue.config import ZoneConfig
from rmqueue.errors import ConfigError
from rmqueue.hookspecs import hookimpl
from rmqueue.mm.mmzone import ALLOC_NOLRU, MIGRATETYPES, MOVABLE
from rmqueue.ops import ALLOC, FREE, OPS_DTYPE, PCP_ALLOC, PCP_FREE, Ops
from rmqueue.types import Workload

Ints: TypeAlias = npt.NDArray[np.int64]

#: Types that a request of this workload can have.
REQUESTED = MIGRATETYPES[:3]


class MixParameters(BaseModel):
    """Parameters of the workload ``mix``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    operations: int = Field(
        default=1_000_000,
        ge=0,
        le=1 << 30,
        description="Requests and frees after the zone has been filled [operations].",
    )
    fill: float = Field(
        default=0.95, gt=0, le=1.5, description="Zone in use, on average [share]."
    )
    run: int = Field(
        default=16,
        ge=1,
        le=1 << 20,
        description="Mean length of a run of one type while it fills [requests].",
    )
    orders: dict[int, float] = Field(
        default={0: 0.9, 1: 0.04, 2: 0.03, 3: 0.03},
        min_length=1,
        description="Shares of the orders requested [relative weights].",
    )
    types: dict[str, float] = Field(
        default={"movable": 0.7, "unmovable": 0.2, "reclaimable": 0.1},
        min_length=1,
        description="Shares of the migratetypes requested [relative weights].",
    )
    nolru: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Movable requests whose pages are on no LRU list [share].",
    )
    pcp: bool = Field(
        default=False, description="Go through the per-CPU lists [yes/no]."
    )
    cpus: int = Field(
        default=0, ge=0, description="CPUs in use; 0: all of the zone [CPUs]."
    )

    @field_validator("orders", "types")
    @classmethod
    def _are_weights(cls, value: dict[Any, float]) -> dict[Any, float]:
        if any(not 0 <= weight < float("inf") for weight in value.values()):
            raise ValueError("weights cannot be negative or infinite")
        if not sum(value.values()) > 0:
            raise ValueError("at least one weight must be positive")
        return value

    @field_validator("orders")
    @classmethod
    def _orders_exist(cls, value: dict[int, float]) -> dict[int, float]:
        if not all(0 <= order <= 13 for order in value):
            raise ValueError("orders go from 0 to 13")
        return value

    @field_validator("types")
    @classmethod
    def _types_exist(cls, value: dict[str, float]) -> dict[str, float]:
        for name in value:
            if name not in REQUESTED:
                raise ValueError(f"{name!r} is none of {', '.join(REQUESTED)}")
        return value


def build_mix(zone: ZoneConfig, params: MixParameters, seed: int) -> Ops:
    """Fill a zone, then toggle random slots: one in use is freed, one that is not asks.

    Twice as many slots exist as are in use on average, so toggling keeps the zone as
    full as the filling has left it.  A request that fails leaves its slot empty; the
    free of that slot does nothing.

    Raises
    ------
    ConfigError
        The zone has fewer CPUs, or no block of that order.
    """
    check_fits(zone, params)
    random = np.random.default_rng(seed)
    orders = np.array(list(params.orders), np.int64)
    mean_pages = float((shares(params.orders) * 2.0**orders).sum())
    live = max(1, round(zone.pages * params.fill / mean_pages))
    slots = np.concatenate(
        (np.arange(live), random.integers(0, 2 * live, params.operations))
    )
    asks = is_request(slots)
    ops = np.zeros(len(slots), OPS_DTYPE)
    ops["code"] = codes(asks, params.pcp)
    ops["b"] = slots
    if params.pcp:
        ops["c"] = random.integers(0, params.cpus or zone.cpus, len(slots))
    requests = draw_requests(random, params, live, int(asks.sum()))
    ops["a"][asks] = requests
    return ops


def check_fits(zone: ZoneConfig, params: MixParameters) -> None:
    """Refuse what the zone does not have."""
    if params.cpus > zone.cpus:
        raise ConfigError(
            f"workload.params.cpus: the zone has {zone.cpus} (found {params.cpus})"
        )
    highest = max(params.orders)
    if highest > zone.max_page_order:
        raise ConfigError(
            f"workload.params.orders: the largest order of the zone is "
            f"{zone.max_page_order} (found {highest})"
        )


def shares(weights: dict[int, float] | dict[str, float]) -> npt.NDArray[np.float64]:
    """Weights as shares of one."""
    values = np.array(list(weights.values()), np.float64)
    normed: npt.NDArray[np.float64] = values / values.sum()
    return normed


def is_request(slots: Ints) -> npt.NDArray[np.bool_]:
    """Whether each op is a request: the first, third, fifth... that names its slot.

    Examples
    --------
    >>> is_request(np.array([4, 7, 4, 4, 7])).tolist()
    [True, True, False, True, False]
    """
    by_slot = np.argsort(slots, kind="stable")
    ordered = slots[by_slot]
    first = np.r_[True, ordered[1:] != ordered[:-1]]
    position = np.arange(len(slots))
    since_first = position - np.maximum.accumulate(np.where(first, position, 0))
    asks = np.empty(len(slots), np.bool_)
    asks[by_slot] = since_first % 2 == 0
    return asks


def codes(asks: npt.NDArray[np.bool_], pcp: bool) -> Ints:
    """Operation codes of requests and frees."""
    ask, free = (PCP_ALLOC, PCP_FREE) if pcp else (ALLOC, FREE)
    return np.where(asks, ask, free)


def draw_requests(
    random: np.random.Generator, params: MixParameters, filling: int, count: int
) -> Ints:
    """Operand `a` of every request; the first `filling` come in runs of one type."""
    orders = random.choice(list(params.orders), count, p=shares(params.orders))
    known = np.array([MIGRATETYPES.index(name) for name in params.types], np.int64)
    types = random.choice(known, count, p=shares(params.types))
    starts = random.random(filling) < 1 / params.run
    starts[:1] = True
    types[:filling] = types[:filling][starts][np.cumsum(starts) - 1]
    pinned = (types == MOVABLE) & (random.random(count) < params.nolru)
    return np.asarray(orders + 256 * types + 65536 * ALLOC_NOLRU * pinned, np.int64)


@hookimpl
def rmqueue_workloads() -> list[Workload]:
    """Register the workloads of this module."""
    return [
        Workload(
            name="mix",
            summary="Types and orders at random, in a zone kept nearly full.",
            parameters=MixParameters,
            build=build_mix,
        )
    ]
