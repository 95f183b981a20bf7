"""Workload ``steady-mix``: hours of a server's life, to see memory fragment.

Page cache (read once, oldest out first), anonymous memory, huge pages of it, and kernel
objects of several orders that live longer, in a zone whose use goes up and down with
the time of day; when it is full, more kernel objects are asked for.  Each page has the
same chance to die, each kernel object a smaller one, so the mix of what is there
settles at that of what is asked for.  What is measured is how often a huge page is to
be had.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from rmqueue.config import ZoneConfig
from rmqueue.errors import ConfigError
from rmqueue.hookspecs import hookimpl
from rmqueue.mm.jit import jit
from rmqueue.mm.mmzone import (
    ALLOC_KSWAPD,
    MOVABLE,
    PAGE_ORDER,
    RECLAIMABLE,
    UNMOVABLE,
    page_state,
)
from rmqueue.mm.queue import pop_oldest, pop_random, push, queue_at
from rmqueue.mm.random import chance_of, draw_below, draw_share
from rmqueue.mm.reclaim import CLUSTER, give_page, take_page
from rmqueue.mm.smp import charge, zone_of
from rmqueue.types import ENDLESS_PS, StepWorkload

#: Steps of the wave of use, so that products of pages and times fit in 64 bits.
_TIME_SHIFT = 24


class SteadyParameters(BaseModel):
    """Parameters of the workload ``steady-mix``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hours: float = Field(
        default=4.0, gt=0, le=1000, description="Length of the run, about [hours]."
    )
    rate: float = Field(
        default=500.0, gt=0, le=1e6, description="Requests and frees [1/s]."
    )
    low: float = Field(
        default=0.80, gt=0, lt=1, description="Least of the zone in use [share]."
    )
    high: float = Field(
        default=0.99, gt=0, lt=1, description="Most of the zone in use [share]."
    )
    period: float = Field(
        default=1.0, gt=0, le=1000, description="From one ebb to the next [hours]."
    )
    cache: float = Field(
        default=0.55, ge=0, le=1, description="Page cache among requests [share]."
    )
    kernel: float = Field(
        default=0.05,
        ge=0,
        le=0.5,
        description="Kernel objects among requests, on average [share].",
    )
    reclaimable: float = Field(
        default=0.4, ge=0, le=1, description="Reclaimable kernel objects [share]."
    )
    kernel_life: float = Field(
        default=4.0,
        ge=1,
        le=1e4,
        description="Life of kernel objects [pages' lives].",
    )
    huge: float = Field(
        default=0.002, ge=0, le=1, description="Huge pages among requests [share]."
    )


def steady_state(params: SteadyParameters, zone: ZoneConfig) -> Mapping[str, int]:
    """Numbers that the jitted steps work with."""
    if params.low >= params.high:
        raise ConfigError(
            f"workload.params.low: must be below high, {params.high} (found "
            f"{params.low})"
        )
    if params.cache + 2 * params.kernel + params.huge > 1:
        raise ConfigError(
            "workload.params: cache, huge and twice kernel exceed 1 together"
        )
    half = int(params.period * 3600e12) // 2
    return {
        "gap_ps": int(1e12 * zone.cpus / params.rate),
        "half_ps": half >> _TIME_SHIFT,
        "low": int(params.low * zone.pages),
        "span": int((params.high - params.low) * zone.pages),
        "slack": max(8, zone.pages >> 9),
        "below_huge": chance_of(params.huge),
        "kernel": chance_of(params.kernel),
        "cache": chance_of(params.cache),
        "reclaimable": chance_of(params.reclaimable),
        "kernel_dies": chance_of(1 / params.kernel_life),
        "half_chance": chance_of(0.5),
        "huge_order": zone.pageblock_order,
    }


@jit
def start(smp: Any, cpu: Any, node: Any, st: Any, fallback: Any) -> None:
    """Begin at boot, with nothing in use."""
    cpu.t_ps = 0


@jit
def height(now_ps: int, st: Any) -> int:
    """Height of the wave at a time, 0 to `half_ps`: up and down in straight lines."""
    phase = (now_ps >> _TIME_SHIFT) % (2 * st.half_ps)
    return int(phase if phase < st.half_ps else 2 * st.half_ps - phase)


@jit
def kernel_order(smp: Any) -> int:
    """Order of a kernel object: 70, 15, 10 and 5 in a hundred of 0, 1, 2 and 3."""
    draw = draw_below(smp, 100)
    return (draw >= 70) + (draw >= 85) + (draw >= 95)


@jit
def take_huge(zone: Any, cpu: int, st: Any, fallback: Any) -> int:
    """Ask for a huge page, and for a single page if there is none."""
    st.huge_asked += 1
    page = take_page(zone, cpu, st.huge_order, MOVABLE, 1, 0, fallback)
    if page >= 0:
        st.huge_got += 1
        return page
    return take_page(zone, cpu, 0, MOVABLE, 1, ALLOC_KSWAPD, fallback)


@jit
def take_one(smp: Any, cpu: Any, node: Any, st: Any, fallback: Any) -> int:
    """Ask for something, and put it on the queue of its kind; -1: there is nothing."""
    zone, kind = zone_of(node), draw_share(smp) - st.below_huge
    # twice as many kernel objects as on average when the zone is fullest
    kernel = (st.kernel >> _TIME_SHIFT) * st.height // st.half_ps << _TIME_SHIFT + 1
    if kind < 0:
        page, kept = take_huge(zone, cpu.cpu, st, fallback), queue_at(node.boot)
    elif kind < kernel:
        mt = RECLAIMABLE if draw_share(smp) < st.reclaimable else UNMOVABLE
        order = kernel_order(smp)
        page = take_page(zone, cpu.cpu, order, mt, 0, ALLOC_KSWAPD, fallback)
        kept = queue_at(node.slabs)
    else:
        page = take_page(zone, cpu.cpu, 0, MOVABLE, 1, ALLOC_KSWAPD, fallback)
        is_cache = kind < kernel + st.cache
        kept = queue_at(node.lru if is_cache else node.boot)
    if page >= 0:
        push(kept, page)
        smp.pages += 1 << (page_state(zone, page) & PAGE_ORDER)
        cpu.pages += 1
    return page


@jit
def give_one(smp: Any, zone: Any, cpu: int, node: Any, st: Any) -> None:
    """Let something die: each page has the same chance, a kernel object a smaller."""
    cache, anon = queue_at(node.lru), queue_at(node.boot)
    objects = queue_at(node.slabs)
    at = draw_below(smp, max(1, cache.count + anon.count + objects.count))
    if at < objects.count:
        if draw_share(smp) < st.kernel_dies:
            give_page(zone, cpu, pop_random(objects, smp))
    elif at < objects.count + anon.count:
        give_page(zone, cpu, pop_random(anon, smp))
    elif cache.count > 0:
        give_page(zone, cpu, pop_oldest(cache))


@jit
def reclaim(zone: Any, cpu: int, node: Any) -> None:
    """Free the oldest page cache where a request has failed."""
    cache = queue_at(node.lru)
    for _ in range(min(CLUSTER, cache.count)):
        give_page(zone, cpu, pop_oldest(cache))


@jit
def step(smp: Any, cpu: Any, node: Any, st: Any, fallback: Any) -> None:
    """Ask for something or let something die, as the time of day wants it."""
    zone = zone_of(node)
    before = zone.hold_total_ps
    st.height = height(cpu.t_ps, st)
    wanted = st.low + st.span * st.height // st.half_ps
    missing = wanted - (zone.managed - zone.nr_free)
    asks = draw_share(smp) < st.half_chance
    if missing > st.slack or (asks and missing > -st.slack):
        if take_one(smp, cpu, node, st, fallback) < 0:
            st.failed += 1
            reclaim(zone, cpu.cpu, node)
    else:
        give_one(smp, zone, cpu.cpu, node, st)
    charge(cpu, node, before)
    cpu.t_ps += draw_below(smp, 2 * st.gap_ps)


def steady_measures(simulation: Any) -> Mapping[str, float]:
    """Report how often a huge page was to be had."""
    st = simulation.state[0]
    asked, got = int(st["huge_asked"]), int(st["huge_got"])
    return {
        "huge_asked_pages": float(asked),
        "huge_got_pct": 100 * got / asked if asked else 0.0,
        "failed_requests": float(st["failed"]),
        "simulated_hours": simulation.elapsed_ps / 3600e12,
    }


STEADY_MIX = StepWorkload(
    name="steady-mix",
    summary="Hours of page cache, anonymous memory, huge pages and kernel objects.",
    parameters=SteadyParameters,
    numbers=steady_state,
    start=start,
    step=step,
    state=(
        *(("huge_asked", "i8"), ("huge_got", "i8"), ("failed", "i8")),
        ("height", "i8"),
    ),
    pages=lambda params: ENDLESS_PS,
    limit_ps=lambda params: int(params.hours * 3600e12),
    measures=steady_measures,
    task_cpus=lambda zone: zone.cpus,
)


@hookimpl
def rmqueue_workloads() -> list[StepWorkload]:
    """Register the workload of this module."""
    return [STEADY_MIX]
