"""Workload ``imx7d-dd``: dd writes a raw block device on a small board.

The model of the worst zone-lock holds that were traced on an i.MX7D in April 2025: one
CPU asks for the page cache of a block device, UNMOVABLE pages that are on an LRU list
all the same, in a zone whose movable pageblocks are full of such pages; kswapd frees on
the other CPU.  What counts is the cost of the most expensive refill.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from rmqueue.config import ZoneConfig
from rmqueue.errors import ConfigError
from rmqueue.hookspecs import hookimpl
from rmqueue.mm.free_list import list_first
from rmqueue.mm.jit import jit
from rmqueue.mm.lru import set_lru
from rmqueue.mm.mmzone import ALLOC_KSWAPD, UNMOVABLE, pcp_list
from rmqueue.mm.pageset import drain_zone_pages
from rmqueue.mm.population import populate
from rmqueue.mm.queue import pop_newest, pop_oldest, push, queue_at, shuffle
from rmqueue.mm.random import chance_of, draw_share
from rmqueue.mm.reclaim import (
    CLUSTER,
    below_low,
    give_page,
    kswapd_may_sleep,
    note_below_high,
    take_page,
    wake_kswapd,
)
from rmqueue.mm.smp import zone_of
from rmqueue.mm.vmstat import ALL_COUNTERS, BULK, COUNTER_SLOTS, LIST_DEL
from rmqueue.types import StepWorkload

#: CPU that writes, CPU that kswapd runs on.
WRITER, KSWAPD = 0, 1


class DdParameters(BaseModel):
    """Parameters of the workload ``imx7d-dd`` (SCENARIOS 1.3)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dd: int = Field(default=256_000, ge=1, description="Pages that dd writes [pages].")
    unmov: float = Field(
        default=0.05, ge=0, le=1, description="Unmovable pages at boot [of the zone]."
    )
    recl: float = Field(
        default=0.03, ge=0, le=1, description="Reclaimable pages at boot [of the zone]."
    )
    anon: float = Field(
        default=0.10, ge=0, le=1, description="Anonymous pages at boot [of the zone]."
    )
    file: float = Field(
        default=0.30, ge=0, le=1, description="Page cache at boot [of the zone]."
    )
    run: int = Field(
        default=16, ge=1, description="Mean length of a run of one class [pages]."
    )
    shuf: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Page cache of the boot that is reclaimed out of order [share].",
    )
    freed: float = Field(
        default=0.0, ge=0, le=1, description="Anonymous pages freed at once [share]."
    )
    q: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Reclaim that hits page cache of the boot while it lasts [share].",
    )
    krate: float = Field(
        default=2.0,
        ge=0,
        le=1000,
        description="Pages that kswapd reclaims per page written [pages].",
    )


def dd_state(params: DdParameters, zone: ZoneConfig) -> Mapping[str, int]:
    """Numbers that the jitted steps work with."""
    if zone.cpus < 2:
        raise ConfigError(
            f"zone.cpus: imx7d-dd takes 2, dd's and kswapd's (found {zone.cpus})"
        )
    shares = (params.unmov, params.recl, params.anon, params.file)
    total = params.unmov + params.recl + params.anon + params.file
    return {
        "boot_pages": int(total * zone.pages),
        "boot_cpus": 2,
        "longest_run": 2 * params.run - 1,
        "below_unmovable": chance_of(shares[0], total),
        "below_reclaimable": chance_of(shares[0] + shares[1], total),
        "below_anon": chance_of(shares[0] + shares[1] + shares[2], total),
        "shuffled": chance_of(params.shuf),
        "freed": chance_of(params.freed),
        "boot_share": chance_of(params.q),
        # credit in thousandths of a page: the only share that adds up
        "krate_milli": round(params.krate * 1000),
    }


@jit
def start(smp: Any, cpu: Any, node: Any, st: Any, fallback: Any) -> None:
    """Fill the machine as a booted one is."""
    zone = zone_of(node)
    boot, anon = queue_at(node.boot), queue_at(node.slabs)
    populate(smp, node, st, anon, boot, fallback)
    while anon.count > 0:
        page = pop_oldest(anon)
        if draw_share(smp) < st.freed:
            give_page(zone, WRITER, page)
    shuffle(boot, st.shuffled, smp)
    drain_zone_pages(zone, WRITER)
    drain_zone_pages(zone, KSWAPD)


@jit
def reclaim(smp: Any, node: Any, cpu: int, pages: int, st: Any) -> int:
    """Free pages: of the boot's cache by chance while it lasts, else dd's oldest."""
    zone = zone_of(node)
    boot, written = queue_at(node.boot), queue_at(node.lru)
    for done in range(pages):
        page = -1
        if boot.count > 0 and draw_share(smp) < st.boot_share:
            page = pop_newest(boot)
        else:
            page = pop_oldest(written)
            if page < 0:
                page = pop_newest(boot)
        if page < 0:
            return done
        give_page(zone, cpu, page)
    return pages


@jit
def drain_both(zone: Any) -> None:
    """Drain both CPUs."""
    drain_zone_pages(zone, WRITER)
    drain_zone_pages(zone, KSWAPD)


@jit
def feel_pressure(smp: Any, cpu: Any, node: Any, st: Any) -> None:
    """Do what the watermarks ask for before a page is allocated."""
    zone = zone_of(node)
    note_below_high(zone)
    if below_low(zone):
        wake_kswapd(smp, node, cpu.t_ps)
    if zone.nr_free <= zone.wmark_min:
        reclaim(smp, node, WRITER, CLUSTER, st)
        if zone.nr_free <= zone.wmark_min:
            drain_both(zone)


@jit
def note_refill(zone: Any, st: Any) -> None:
    """Keep the counters of a refill if none has cost more."""
    cost = 0
    for i in range(COUNTER_SLOTS):
        cost += (zone.cnt[i] - st.before[i]) * zone.hold_weights[i]
    if cost > st.worst_ps:
        st.worst_ps = cost
        st.worst_at = st.written
        st.worst_pages = zone.cnt[LIST_DEL] - st.before[LIST_DEL]
        for i in range(COUNTER_SLOTS):
            st.worst[i] = zone.cnt[i] - st.before[i]


@jit
def write_page(zone: Any, st: Any, fallback: Any) -> int:
    """Allocate a page of the block device's cache; notes what a refill has cost."""
    empty = list_first(zone, pcp_list(zone, WRITER, UNMOVABLE)) < 0
    if empty:
        for i in range(COUNTER_SLOTS):
            st.before[i] = zone.cnt[i]
    page = take_page(zone, WRITER, 0, UNMOVABLE, 0, ALLOC_KSWAPD, fallback)
    if empty and zone.cnt[BULK] != st.before[BULK] and page >= 0:
        note_refill(zone, st)
    return page


@jit
def run_kswapd(smp: Any, node: Any, st: Any) -> None:
    """Let kswapd reclaim its share for a page that was written."""
    node.credit += st.krate_milli
    if node.credit >= CLUSTER * 1000:
        node.credit -= CLUSTER * 1000
        reclaim(smp, node, KSWAPD, CLUSTER, st)
        kswapd_may_sleep(node)


@jit
def step(smp: Any, cpu: Any, node: Any, st: Any, fallback: Any) -> None:
    """Write one page."""
    zone = zone_of(node)
    cpu.t_ps += 1
    feel_pressure(smp, cpu, node, st)
    page = write_page(zone, st, fallback)
    if page < 0:
        if reclaim(smp, node, WRITER, CLUSTER, st) == 0:
            smp.failed = 1
        drain_both(zone)
        return
    set_lru(zone, page, 0, 1)
    push(queue_at(node.lru), page)
    st.written += 1
    smp.pages += 1
    if node.awake != 0:
        run_kswapd(smp, node, st)


def refill_measures(simulation: Any) -> Mapping[str, float]:
    """Report the most expensive refill."""
    st = simulation.state[0]
    counters = {
        f"worst_refill_{name}": float(count)
        for name, count in zip(ALL_COUNTERS, st["worst"].tolist(), strict=True)
    }
    return {
        "worst_refill_ms": int(st["worst_ps"]) / 1e9,
        "worst_refill_pages": float(st["worst_pages"]),
        "worst_refill_at_page": float(st["worst_at"]),
        **counters,
    }


IMX7D_DD = StepWorkload(
    name="imx7d-dd",
    summary="dd writes a raw block device on a small board; worst refill.",
    parameters=DdParameters,
    numbers=dd_state,
    start=start,
    step=step,
    state=(
        *(("written", "i8"), ("worst_ps", "i8"), ("worst_at", "i8")),
        *(("worst_pages", "i8"), ("worst", f"{COUNTER_SLOTS}i8")),
        ("before", f"{COUNTER_SLOTS}i8"),
    ),
    pages=lambda params: int(params.dd),
    measures=refill_measures,
    references=("lkml 20250407180154.63348-1-hannes@cmpxchg.org",),
)


@hookimpl
def rmqueue_workloads() -> list[StepWorkload]:
    """Register the workload of this module."""
    return [IMX7D_DD]
