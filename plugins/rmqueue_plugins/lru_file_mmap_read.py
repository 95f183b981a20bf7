"""Workload ``lru-file-mmap-read``: every CPU reads its own file through the page cache.

The model of vm-scalability's case of that name, which LKP ran on 224 threads: use-once
page cache, reclaimed all the time, and a trickle of page tables.  One node is
simulated; a server has several, each under the same pressure.
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
from rmqueue.mm.mmzone import (
    ALLOC_KSWAPD,
    MOVABLE,
    RECLAIMABLE,
    UNMOVABLE,
    pcp_list,
)
from rmqueue.mm.pageset import drain_zone_pages
from rmqueue.mm.queue import push, queue_at
from rmqueue.mm.random import chance_of, draw, draw_below, draw_share
from rmqueue.mm.reclaim import (
    CLUSTER,
    drain_all_pages,
    drain_local_pages,
    kswapd_may_sleep,
    shrink_lru,
    shrink_slabs,
    take_page,
    watermark_ok,
)
from rmqueue.mm.smp import ASLEEP, charge, cpu_of, node_of, zone_of
from rmqueue.types import StepWorkload

#: States of a task.
ALLOCATING, RECLAIMING = 0, 1
#: What a task needs beside its pages.
NOTHING, PAGE_TABLE, SLAB = 0, 1, 2
SLAB_ORDER, SLAB_OBJECTS = 2, 28
#: More pages than any task reads.
NEVER = 1 << 60
PS_PER_NS = 1000
LOW_31 = (1 << 31) - 1


class ReadParameters(BaseModel):
    """Parameters of the workload ``lru-file-mmap-read`` (SCENARIOS 2.3)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pages: int = Field(
        default=268_435_456,
        ge=1,
        description="Pages that the tasks of a node read: 4 TiB over 4 nodes [pages].",
    )
    seconds: float = Field(
        default=300.0, gt=0, le=1e6, description="Time after which the run ends [s]."
    )
    z: int = Field(
        default=33_000,
        ge=1,
        le=10**6,  # 64 bits hold a window of 1,024 pages times 31 random bits
        description="Work on a page beside the zone lock [ns].",
    )
    jitter: float = Field(
        default=0.3, ge=0, le=1, description="Spread of that work [share]."
    )
    reclaim: int = Field(
        default=3000, ge=0, le=10**9, description="A task's reclaim of a page [ns]."
    )
    kswapd: int = Field(
        default=3000, ge=0, le=10**9, description="kswapd's reclaim of a page [ns]."
    )
    chunks: int = Field(
        default=7,
        ge=1,
        description="Clusters of 32 pages in one direct reclaim [clusters].",
    )
    window: int = Field(
        default=32, ge=1, le=1024, description="Readahead window [pages]."
    )
    page_table: int = Field(
        default=512,
        ge=0,
        description="Pages mapped by one page-table page; 0: none [pages].",
    )
    slab_node: int = Field(
        default=0,
        ge=0,
        description="Pages per page-cache node, 28 to a slab; 0: none [pages].",
    )
    rotate: float = Field(
        default=0.2, ge=0, le=1, description="Pages with a second chance [share]."
    )
    drain: bool = Field(
        default=True,
        description="Drain all CPUs when reclaim did not help at once [yes/no].",
    )
    skip: int = Field(
        default=0,
        ge=0,
        description="Pages that a node reads before statistics begin [pages].",
    )
    unmov: float = Field(
        default=0.02, ge=0, le=1, description="Unmovable pages at boot [of the zone]."
    )
    recl: float = Field(
        default=0.01, ge=0, le=1, description="Reclaimable pages at boot [of the zone]."
    )


def read_numbers(params: ReadParameters, zone: ZoneConfig) -> Mapping[str, int]:
    """Numbers that the jitted steps work with."""
    if zone.cpus < 2:
        raise ConfigError(
            "zone.cpus: lru-file-mmap-read takes 2 or more, the last of them kswapd's "
            f"(found {zone.cpus})"
        )
    if params.skip >= params.pages:
        raise ConfigError(
            f"workload.params.skip: must be below pages, {params.pages} "
            f"(found {params.skip})"
        )
    unmovable, slabs = int(params.unmov * zone.pages), int(params.recl * zone.pages)
    return {
        "boot_pages": unmovable + slabs,
        "boot_unmovable": chance_of(unmovable, unmovable + slabs),
        "z_ps": params.z * PS_PER_NS,
        "jitter_ps": round(params.z * PS_PER_NS * params.jitter),
        "reclaim_ps": CLUSTER * params.reclaim * PS_PER_NS,
        "kswapd_ps": CLUSTER * params.kswapd * PS_PER_NS,
        "chunks": params.chunks,
        "window": params.window,
        "page_table": params.page_table or NEVER,
        "slab_node": params.slab_node or NEVER,
        "slabs_most": zone.pages // 8 // SLAB_OBJECTS,
        "rotate": chance_of(params.rotate),
        "drain": int(params.drain),
    }


@jit
def boot(smp: Any, node: Any, st: Any, fallback: Any) -> None:
    """Allocate the kernel's own memory on random CPUs, and drain them all."""
    zone = zone_of(node)
    slabs = queue_at(node.slabs)
    used = 0
    while used < st.boot_pages and smp.failed == 0:
        cpu = draw_below(smp, node.kswapd)
        if draw_share(smp) < st.boot_unmovable:
            page = take_page(zone, cpu, 0, UNMOVABLE, 0, 0, fallback)
            used += 1
        else:
            page = take_page(zone, cpu, SLAB_ORDER, RECLAIMABLE, 0, 0, fallback)
            used += 1 << SLAB_ORDER
            if page >= 0:
                push(slabs, page)
        if page < 0:
            smp.failed = 1
    for cpu in range(node.kswapd):
        drain_zone_pages(zone, cpu)


@jit
def start(smp: Any, cpu: Any, node: Any, st: Any, fallback: Any) -> None:
    """Boot every node, and let the tasks begin at random times within a window."""
    for index in range(smp.nr_cpus):
        one = cpu_of(smp, index)
        if one.cpu == 0:
            boot(smp, node_of(smp, one.node), st, fallback)
        if one.t_ps != ASLEEP:
            share = (draw(smp) >> 33) & LOW_31
            one.t_ps = (share * st.window * (st.z_ps >> 8)) >> 23
            one.pages = draw_below(smp, min(st.page_table, 512))
            one.objects = draw_below(smp, SLAB_OBJECTS)
            one.window = st.window


@jit(forceinline=True)
def work_ps(smp: Any, pages: int, st: Any) -> int:
    """Time that the work on some pages takes, with jitter [ps]."""
    share = (draw(smp) >> 33) & LOW_31
    spread = (st.jitter_ps * (2 * share - (1 << 31))) >> 31
    return int(pages * (st.z_ps + spread))


@jit
def begin_reclaim(cpu: Any, node: Any, st: Any) -> None:
    """Enter direct reclaim; the scan of the first pages is paid at once."""
    cpu.state = RECLAIMING
    cpu.chunks = st.chunks
    cpu.t_ps += st.reclaim_ps
    cpu.stalls += 1
    node.stalls += 1


@jit
def step_reclaim(smp: Any, cpu: Any, node: Any, st: Any) -> None:
    """Free what has been scanned; at the end see whether it was enough."""
    zone = zone_of(node)
    before = zone.hold_total_ps
    shrink_lru(smp, node, cpu.cpu, CLUSTER, st.rotate)
    shrink_slabs(node, cpu.cpu, st.slabs_most)
    charge(cpu, node, before)
    cpu.chunks -= 1
    if cpu.chunks > 0:
        cpu.t_ps += st.reclaim_ps
        return
    cpu.state = ALLOCATING
    if not watermark_ok(smp, node, cpu.t_ps):
        if st.drain != 0:
            drain_all_pages(smp, cpu, node)
        if not watermark_ok(smp, node, cpu.t_ps):
            begin_reclaim(cpu, node, st)


@jit
def take_metadata(smp: Any, cpu: Any, node: Any, st: Any, fallback: Any) -> None:
    """Allocate the page table or slab that is due."""
    zone = zone_of(node)
    before = zone.hold_total_ps
    if cpu.need == PAGE_TABLE:
        page = take_page(zone, cpu.cpu, 0, UNMOVABLE, 0, ALLOC_KSWAPD, fallback)
    else:
        page = take_page(
            zone, cpu.cpu, SLAB_ORDER, RECLAIMABLE, 0, ALLOC_KSWAPD, fallback
        )
        if page >= 0:
            push(queue_at(node.slabs), page)
            cpu.objects += SLAB_OBJECTS
    charge(cpu, node, before)
    if page < 0:
        begin_reclaim(cpu, node, st)
    else:
        cpu.need = NOTHING


@jit(forceinline=True)
def note_page(cpu: Any, st: Any) -> bool:
    """Count a page that was read; whether it asks for metadata first."""
    cpu.window -= 1
    cpu.pages += 1
    if cpu.pages % st.page_table == 0:
        cpu.need = PAGE_TABLE
    elif cpu.pages % st.slab_node == 0:
        if cpu.objects > 0:
            cpu.objects -= 1
        else:
            cpu.need = SLAB
    return bool(cpu.need != NOTHING)


@jit
def read_window(smp: Any, cpu: Any, node: Any, st: Any, fallback: Any) -> None:
    """Read pages until the window is full, metadata is due or a refill must wait."""
    zone = zone_of(node)
    lru = queue_at(node.lru)
    head = pcp_list(zone, cpu.cpu, MOVABLE)
    taken = 0
    while cpu.window > 0:
        if taken > 0 and list_first(zone, head) < 0:
            break
        before = zone.hold_total_ps
        page = take_page(zone, cpu.cpu, 0, MOVABLE, 1, ALLOC_KSWAPD, fallback)
        charge(cpu, node, before)
        if page < 0:
            begin_reclaim(cpu, node, st)
            break
        push(lru, page)
        taken += 1
        if note_page(cpu, st):
            break
    if cpu.window == 0:
        cpu.window = st.window
    smp.pages += taken
    node.pages += taken
    if taken > 0:
        cpu.t_ps += work_ps(smp, taken, st)


@jit
def step_kswapd(smp: Any, cpu: Any, node: Any, st: Any) -> None:
    """Free a cluster of pages, and sleep when there are enough."""
    zone = zone_of(node)
    cpu.t_ps += st.kswapd_ps
    before = zone.hold_total_ps
    shrink_lru(smp, node, cpu.cpu, CLUSTER, st.rotate)
    shrink_slabs(node, cpu.cpu, st.slabs_most)
    charge(cpu, node, before)
    if kswapd_may_sleep(node):
        cpu.t_ps = ASLEEP


@jit
def step(smp: Any, cpu: Any, node: Any, st: Any, fallback: Any) -> None:
    """Do what a CPU does next."""
    if cpu.drain != 0:
        drain_local_pages(cpu, node)
    elif cpu.cpu == node.kswapd:
        step_kswapd(smp, cpu, node, st)
    elif cpu.state == RECLAIMING:
        step_reclaim(smp, cpu, node, st)
    elif not watermark_ok(smp, node, cpu.t_ps):
        begin_reclaim(cpu, node, st)
    elif cpu.need != NOTHING:
        take_metadata(smp, cpu, node, st, fallback)
    else:
        read_window(smp, cpu, node, st, fallback)


LRU_FILE_MMAP_READ = StepWorkload(
    name="lru-file-mmap-read",
    summary="Every CPU reads its own file: use-once page cache and page tables.",
    parameters=ReadParameters,
    numbers=read_numbers,
    start=start,
    step=step,
    pages=lambda params: int(params.pages),
    limit_ps=lambda params: round(params.seconds * 1e12),
    skip_pages=lambda params: int(params.skip),
    task_cpus=lambda zone: zone.cpus - 1,
    kswapd_cpu=True,
    references=(
        "lkml 202505191442.830abdbd-lkp@intel.com",
        "vm-scalability, case-lru-file-mmap-read",
    ),
)


@hookimpl
def rmqueue_workloads() -> list[StepWorkload]:
    """Register the workload of this module."""
    return [LRU_FILE_MMAP_READ]
