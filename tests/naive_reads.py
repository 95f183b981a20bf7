"""The workload lru-file-mmap-read, written plainly: one node, a list of CPUs, no tree.

Over the naive zone of ``naive.py``; shares are counts of draws, times are picoseconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.naive import (
    BELOW_HIGH,
    KSWAPD,
    MOVABLE,
    RECLAIM_ACTIVE,
    RECLAIMABLE,
    UNMOVABLE,
    NaiveConfig,
    NaiveZone,
)
from tests.unit.xorshift import Xorshift

ASLEEP = (1 << 62) - 1
CLUSTER, SLAB_ORDER, SLAB_OBJECTS = 32, 2, 28
NS = 1000


@dataclass(frozen=True)
class Reads:
    """Parameters, as the workload calls them; shares are counts of 2**53 draws."""

    pages: int
    z: int
    jitter_ps: int
    reclaim: int
    kswapd: int
    chunks: int
    window: int
    page_table: int
    slab_node: int
    rotate: int
    drain: bool
    boot_share: int
    boot_pages: int
    slabs_most: int


@dataclass
class Cpu:
    t: int = ASLEEP
    window: int = 0
    pages: int = 0
    objects: int = 0
    need: str = ""
    chunks: int = 0
    reclaiming: bool = False
    drain: bool = False
    spin: int = 0
    hold: int = 0
    stalls: int = 0


@dataclass
class NaiveReads:
    """One node and its CPUs; the last one is kswapd's."""

    config: NaiveConfig
    reads: Reads
    costs: Mapping[str, int]
    handover: int
    seed: int
    lru: deque[int] = field(default_factory=deque)
    slabs: deque[int] = field(default_factory=deque)
    lock_at: int = 0
    awake: bool = False
    boost_seen: int = 0
    draining: int = 0
    drains: int = 0
    reclaimed: int = 0
    pages: int = 0
    now: int = 0
    events: int = 0

    def __post_init__(self) -> None:
        self.zone = NaiveZone(self.config)
        self.random = Xorshift(self.seed)
        self.kswapd = self.config.cpus - 1
        self.cpus = [Cpu() for _ in range(self.config.cpus)]
        self.boot()

    def boot(self) -> None:
        used = 0
        while used < self.reads.boot_pages:
            cpu = self.random.below(self.kswapd)
            if self.random.share() < self.reads.boot_share:
                self.take(cpu, 0, UNMOVABLE, 0)
                used += 1
            else:
                self.slabs.append(self.some(self.take(cpu, SLAB_ORDER, RECLAIMABLE, 0)))
                used += 1 << SLAB_ORDER
        for cpu in range(self.kswapd):
            self.zone.drain(cpu)
        for one in self.cpus[:-1]:
            begin = (self.random.bits() >> 33) * self.reads.window
            one.t = begin * (self.reads.z * NS >> 8) >> 23
            one.pages = self.random.below(min(self.reads.page_table or 512, 512))
            one.objects = self.random.below(SLAB_OBJECTS)
            one.window = self.reads.window
        self.zone.work = dict.fromkeys(self.zone.work, 0)

    @staticmethod
    def some(page: int | None) -> int:
        assert page is not None
        return page

    def take(self, cpu: int, order: int, mt: int, flags: int = KSWAPD) -> int | None:
        page = self.zone.pcp_alloc(cpu, order, mt, flags)
        if page is not None and mt == MOVABLE:
            self.zone.set_lru(page, order, True)
        return page

    # The lock and the clock ------------------------------------------------------

    def cost(self) -> int:
        work = self.zone.work
        return sum(work[name] * self.costs.get(name, 0) for name in work)

    def charge(self, one: Cpu, before: int) -> None:
        hold = self.cost() - before
        if hold == 0:
            return
        start = one.t
        if self.lock_at > one.t:
            start = self.lock_at + self.handover
        one.spin += start - one.t
        one.hold += hold
        one.t = self.lock_at = start + hold

    def run(self) -> None:
        while self.pages < self.reads.pages:
            index = min(range(len(self.cpus)), key=lambda i: (self.cpus[i].t, i))
            self.now = self.cpus[index].t
            self.step(index, self.cpus[index])
            self.events += 1

    def step(self, index: int, one: Cpu) -> None:
        if one.drain:
            one.drain = False
            self.draining -= 1
            self.drain(index, one)
        elif index == self.kswapd:
            self.step_kswapd(one)
        elif one.reclaiming:
            self.step_reclaim(index, one)
        elif not self.watermark_ok(one.t):
            self.begin_reclaim(one)
        elif one.need:
            self.take_metadata(index, one)
        else:
            self.read_window(index, one)

    # Reclaim ---------------------------------------------------------------------

    def watermark_ok(self, now: int) -> bool:
        zone = self.zone
        if zone.nr_free <= zone.wmark_high + zone.boost_pages:
            zone.zone_flags |= BELOW_HIGH
        if zone.nr_free > zone.wmark_low + zone.boost_pages:
            return True
        if not self.awake:
            self.awake, self.boost_seen = True, zone.boost_pages
            zone.zone_flags |= RECLAIM_ACTIVE
            self.cpus[self.kswapd].t = now
        return zone.nr_free > zone.wmark_min + zone.boost_pages

    def reclaim(self, index: int, one: Cpu) -> None:
        before, left, rotations = self.cost(), CLUSTER, 4 * CLUSTER
        while left and self.lru:
            page = self.lru.popleft()
            if rotations and self.random.share() < self.reads.rotate:
                rotations -= 1
                self.lru.append(page)
            else:
                self.zone.pcp_free(index, page, 0)
                left -= 1
        self.reclaimed += CLUSTER - left
        if len(self.slabs) > self.reads.slabs_most:
            self.zone.pcp_free(index, self.slabs.popleft(), SLAB_ORDER)
        self.charge(one, before)

    def begin_reclaim(self, one: Cpu) -> None:
        one.reclaiming, one.chunks = True, self.reads.chunks
        one.t += CLUSTER * self.reads.reclaim * NS
        one.stalls += 1

    def step_reclaim(self, index: int, one: Cpu) -> None:
        self.reclaim(index, one)
        one.chunks -= 1
        if one.chunks:
            one.t += CLUSTER * self.reads.reclaim * NS
            return
        one.reclaiming = False
        if not self.watermark_ok(one.t):
            if self.reads.drain:
                self.drain_all(index, one)
            if not self.watermark_ok(one.t):
                self.begin_reclaim(one)

    def step_kswapd(self, one: Cpu) -> None:
        one.t += CLUSTER * self.reads.kswapd * NS
        self.reclaim(self.kswapd, one)
        zone = self.zone
        if zone.nr_free > zone.wmark_high + zone.boost_pages:
            self.awake, one.t = False, ASLEEP
            zone.zone_flags &= ~RECLAIM_ACTIVE
            zone.boost_pages -= min(self.boost_seen, zone.boost_pages)

    def drain(self, index: int, one: Cpu) -> None:
        before = self.cost()
        self.zone.drain(index)
        self.charge(one, before)

    def drain_all(self, index: int, one: Cpu) -> None:
        if self.draining:
            return
        self.drains += 1
        for other, cpu in enumerate(self.cpus):
            if other != index and self.zone.pcps[other].count:
                cpu.drain = True
                self.draining += 1
                if cpu.t == ASLEEP:
                    cpu.t = one.t
        self.drain(index, one)

    # Reading ---------------------------------------------------------------------

    def take_metadata(self, index: int, one: Cpu) -> None:
        before = self.cost()
        if one.need == "page table":
            page = self.take(index, 0, UNMOVABLE)
        else:
            page = self.take(index, SLAB_ORDER, RECLAIMABLE)
            if page is not None:
                self.slabs.append(page)
                one.objects += SLAB_OBJECTS
        self.charge(one, before)
        if page is None:
            self.begin_reclaim(one)
        else:
            one.need = ""

    def read_window(self, index: int, one: Cpu) -> None:
        taken = 0
        while one.window and not one.need:
            if taken and not self.zone.pcps[index].lists[MOVABLE]:
                break
            before = self.cost()
            page = self.take(index, 0, MOVABLE)
            self.charge(one, before)
            if page is None:
                self.begin_reclaim(one)
                break
            self.lru.append(page)
            taken += 1
            one.window -= 1
            one.pages += 1
            one.need = self.needed(one)
        one.window = one.window or self.reads.window
        self.pages += taken
        if taken:
            noise = 2 * (self.random.bits() >> 33) - (1 << 31)
            each = self.reads.z * NS + (self.reads.jitter_ps * noise >> 31)
            one.t += taken * each

    def needed(self, one: Cpu) -> str:
        """What a task must allocate before it goes on."""
        if self.reads.page_table and one.pages % self.reads.page_table == 0:
            return "page table"
        if self.reads.slab_node and one.pages % self.reads.slab_node == 0:
            if one.objects == 0:
                return "slab"
            one.objects -= 1
        return ""
