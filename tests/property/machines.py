"""A zone driven step by step by Hypothesis, every invariant checked after each step."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from rmqueue.config import ZoneConfig
from rmqueue.ops import PCP_DECAY, PCP_DRAIN, SPLIT, UNRESERVE, ZONE_CTL
from rmqueue.zone import Zone

TYPES = ("unmovable", "movable", "reclaimable")
FLAGS = ("nofragment", "highatomic", "cma", "oom", "non_block", "kswapd", "nolru")
GEOMETRIES = (
    {"pages": 2048, "pageblock_order": 9},
    {"pages": 1000, "pageblock_order": 5, "cpus": 2},
    {"pages": 700, "pageblock_order": 3, "max_page_order": 6, "start_pfn": 77},
    {"pages": 1537, "pageblock_order": 7, "max_page_order": 7, "start_pfn": 1 << 33},
    {"pages": 900, "pageblock_order": 4, "cma": True, "cma_pageblocks": 9},
    {"pages": 1300, "pageblock_order": 6, "reserved": ((5, 9), (640, 700)), "cpus": 3},
    {"pages": 600, "pageblock_order": 4, "page_group_by_mobility_disabled": True},
    {"pages": 800, "pageblock_order": 2, "pcp_free_high_batch": True},
)


class ZoneMachine(RuleBasedStateMachine):
    """Requests, frees and settings in any order; nothing may break or get lost."""

    kernel: ClassVar[str]
    strategy: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.held: list[tuple[int, int]] = []

    @initialize(geometry=st.sampled_from(GEOMETRIES))
    def boot(self, geometry: dict[str, int]) -> None:
        values = {"kernel": self.kernel, **geometry}
        self.zone = Zone(ZoneConfig.model_validate(values), self.strategy)
        self.top = self.zone.config.max_page_order
        self.cpus = self.zone.config.cpus

    # Requests --------------------------------------------------------------------

    def hold(self, pfn: int, order: int) -> None:
        """Keep a block; it must be aligned, inside the zone, and nobody else's."""
        config = self.zone.config
        assert pfn % (1 << order) == 0
        assert config.start_pfn <= pfn
        assert pfn + (1 << order) <= config.start_pfn + config.pages
        for first, size in self.held:
            assert pfn + (1 << order) <= first or first + (1 << size) <= pfn
        self.held.append((pfn, order))

    @rule(
        order=st.integers(0, 13),
        mt=st.sampled_from(TYPES),
        flags=st.sets(st.sampled_from(FLAGS), max_size=2),
        lru=st.none() | st.booleans(),
        cpu=st.none() | st.integers(0, 2),
    )
    def alloc(
        self, order: int, mt: str, flags: set[str], lru: bool | None, cpu: int | None
    ) -> None:
        order = min(order, self.top)
        where = None if cpu is None else cpu % self.cpus
        pfn = self.zone.alloc(order, mt, cpu=where, lru=lru, flags=flags)
        if pfn is not None:
            self.hold(pfn, order)

    @rule(
        order=st.integers(0, 4),
        count=st.integers(0, 300),
        mt=st.sampled_from(TYPES),
        lru=st.none() | st.booleans(),
        flags=st.sets(st.sampled_from(FLAGS), max_size=1),
    )
    def alloc_bulk(
        self, order: int, count: int, mt: str, lru: bool | None, flags: set[str]
    ) -> None:
        got = self.zone.alloc_bulk(order, count, mt, lru=lru, flags=flags)
        assert len(got) <= count
        for pfn in got.tolist():
            self.hold(pfn, order)

    # Frees -----------------------------------------------------------------------

    @precondition(lambda self: self.held)
    @rule(at=st.integers(0, 1 << 16), cpu=st.none() | st.integers(0, 2))
    def free(self, at: int, cpu: int | None) -> None:
        pfn, order = self.held.pop(at % len(self.held))
        self.zone.free(pfn, order, cpu=None if cpu is None else cpu % self.cpus)

    @precondition(lambda self: self.held)
    @rule(step=st.integers(2, 5), cpu=st.none() | st.integers(0, 2))
    def free_many(self, step: int, cpu: int | None) -> None:
        """Every `step`-th block: what is left is fragmented."""
        where = None if cpu is None else cpu % self.cpus
        for pfn, order in self.held[::step]:
            self.zone.free(pfn, order, cpu=where)
        del self.held[::step]

    # The rest, through replays ---------------------------------------------------

    def replay(self, code: int, a: int = 0, b: int = 0, c: int = 0) -> None:
        assert not self.zone.replay([(code, a, b, c)]).misuse

    @rule(cpu=st.integers(0, 2), code=st.sampled_from((PCP_DRAIN, PCP_DECAY)))
    def drain_or_decay(self, cpu: int, code: int) -> None:
        self.replay(code, c=cpu % self.cpus)

    @rule(flag=st.integers(0, 2), on=st.booleans())
    def zone_flag(self, flag: int, on: bool) -> None:
        self.replay(ZONE_CTL, flag, int(on))

    @rule(pages=st.integers(0, 2000))
    def boost(self, pages: int) -> None:
        self.replay(ZONE_CTL, 16, pages)

    @rule(mt=st.integers(0, 2), force=st.booleans())
    def unreserve(self, mt: int, force: bool) -> None:
        self.replay(UNRESERVE, mt, int(force))

    @rule(order=st.integers(1, 5), parts=st.integers(0, 5), on=st.booleans())
    def slots(self, order: int, parts: int, on: bool) -> None:
        """A life in slots: asked for, put on or off the LRU, split and given back."""
        small = max(order - parts, 0)
        last = 1 << (order - small)
        rows = [(1, order + 256, 0, 0), (11, 0, 0, int(on)), (SPLIT, small, 0, 0)]
        rows += [(2, 0, slot, 0) for slot in range(last)]
        assert not self.zone.replay(np.array(rows, np.int64)).misuse

    # After every step ------------------------------------------------------------

    @invariant()
    def nothing_is_broken(self) -> None:
        if not hasattr(self, "zone"):
            return
        zone = self.zone
        zone.check()
        used = sum(1 << order for _, order in self.held)
        pcp = sum(zone.pcp(cpu)["count"] for cpu in range(self.cpus))
        assert zone.nr_free + pcp + used == zone.managed

    def teardown(self) -> None:
        """Everything comes back: the pages of a zone are conserved."""
        if not hasattr(self, "zone"):
            return
        for pfn, order in self.held:
            self.zone.free(pfn, order)
        for cpu in range(self.cpus):
            self.replay(PCP_DRAIN, c=cpu)
        assert self.zone.nr_free == self.zone.managed
        self.zone.check()
