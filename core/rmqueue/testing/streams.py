"""Seeded random zones and op streams, to try strategies and to compare allocators.

A stream knows nothing of any allocator: it books every request as if it succeeded and
keeps a list of the slots it has filled.  So the same stream runs on every kernel
profile and strategy, and a request that fails in one of them leaves an empty slot whose
later FREE does nothing.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from rmqueue.config import ZoneConfig
from rmqueue.mm.mmzone import (
    ALLOC_CMA,
    ALLOC_HIGHATOMIC,
    ALLOC_KSWAPD,
    ALLOC_MIN_RESERVE,
    ALLOC_NOFRAGMENT,
    ALLOC_NOLRU,
    ALLOC_NON_BLOCK,
    ALLOC_OOM,
    MOVABLE,
    RECLAIMABLE,
    UNMOVABLE,
)
from rmqueue.ops import (
    ALLOC,
    BULK,
    CHECK,
    FREE,
    OPS_DTYPE,
    PCP_ALLOC,
    PCP_DECAY,
    PCP_DRAIN,
    PCP_FREE,
    SET_LRU,
    SPLIT,
    UNRESERVE,
    ZONE_CTL,
    Ops,
)

TYPES = (UNMOVABLE, MOVABLE, RECLAIMABLE)
BATCHES = (2, 7, 31, 63, 126, 252)
RARE = ("drain", "decay", "flag", "boost", "unreserve", "lru", "lru", "split")
MOODS = (  # chances of each type in one stretch of a stream
    (0.3, 0.5, 0.2),
    (0.9, 0.05, 0.05),
    (0.05, 0.9, 0.05),
    (0.1, 0.1, 0.8),
)


class Geometry(Protocol):
    """What a stream must know of a zone; `rmqueue.config.ZoneConfig` has it."""

    @property
    def pages(self) -> int:
        """Pages that it spans [pages]."""

    @property
    def cpus(self) -> int:
        """CPUs that have per-CPU lists [CPUs]."""

    @property
    def max_page_order(self) -> int:
        """Order of its largest block [order]."""

    @property
    def pageblock_order(self) -> int:
        """Order of its pageblocks [order]."""

    @property
    def reserved(self) -> Sequence[tuple[int, int]]:
        """Ranges that are never free [pfn]."""


def random_zone(seed: int, kernel: str) -> ZoneConfig:
    """Make a zone of odd shape: any orders, odd ends, holes, CMA, far from pfn 0.

    Parameters
    ----------
    seed : int
        Same seed, same zone.
    kernel : str
        Kernel profile.
    """
    rng = random.Random(f"config {seed}")
    max_order = rng.randint(4, 13)
    small, middle = rng.randint(2, min(5, max_order)), rng.randint(2, max_order)
    pb_order = rng.choice([small, small, middle, min(9, max_order), max_order])
    blocks = rng.randint(3, 12) if pb_order > 9 else rng.randint(4, 40)
    pages = max(blocks << pb_order, rng.randint(600, 8000))
    start = rng.choice([0, 0, 1, 4096, 12345, (1 << 33) + 77, 1 << 34])
    if rng.random() < 0.5:  # an odd end as well
        pages += rng.randint(1, 1 << pb_order)
    cma = rng.random() < 0.35
    cma_blocks = rng.randint(0, (pages >> pb_order) // 3) if cma else 0
    cma_start = ((start + pages) >> pb_order) - cma_blocks << pb_order
    return ZoneConfig(
        start_pfn=start,
        max_page_order=max_order,
        pageblock_order=pb_order,
        cpus=rng.randint(1, 3),
        pages=pages,
        kernel=kernel,
        min_free_kbytes=rng.choice([0, 0, 64, 512]),
        watermark_boost_factor=rng.choice([15000, 15000, 0, 30000]),
        watermark_scale_factor=rng.choice([10, 10, 200]),
        cma=cma,
        cma_pageblocks=cma_blocks,
        pcp_free_high_batch=rng.random() < 0.3,
        page_group_by_mobility_disabled=rng.random() < 0.08,
        percpu_pagelist_high_fraction=rng.choice([0, 0, 0, 8, 50]),
        reserved=tuple(_holes(rng, start, min(start + pages, cma_start))),
        pcp_batch_scale_max=rng.choice([5, 5, 5, 0, 2, 6]),
    )


def _holes(rng: random.Random, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Up to three short reserved ranges, ascending and disjoint."""
    edges = sorted(rng.randint(start, end) for _ in range(rng.choice([0, 0, 1, 3])))
    at = start
    for edge in edges:
        hole = (max(at, edge), min(end, max(at, edge) + rng.choice([1, 13, 200])))
        if hole[0] < hole[1]:
            yield hole
            at = hole[1]


def random_ops(
    seed: int,
    n: int,
    config: Geometry,
    *,
    pcp: bool = True,
    orders: Sequence[int] | None = None,
    flags: bool = True,
) -> tuple[Ops, int]:
    """Build a stream: a fragmenting fill, then `n` steps of mixed load.

    Parameters
    ----------
    seed : int
        Same seed, same stream.
    n : int
        Steps after the fill. The stream is longer: the fill comes first, and a step
        may be several operations.
    config : Geometry
        The zone that they are for; any kernel and strategy can run them.
    pcp : bool
        Whether to use the per-CPU operations.
    orders : sequence of int, optional
        Orders to ask for, the first ones most often. By default all of the zone's.
    flags : bool
        Whether requests carry flags.

    Returns
    -------
    ops : ndarray of OPS_DTYPE
        The last one is a CHECK.
    nslots : int
        Number of slots used.
    """
    stream = _Stream(seed, config, pcp, orders, flags)
    stream.fill()
    for i in range(n):
        if i % max(n // 12, 1) == 0:
            stream.change_mood()
        stream.step()
        if i % max(n // 25, 1) == 0:
            stream.emit(CHECK)
    stream.emit(CHECK)
    return np.array(stream.ops, OPS_DTYPE), stream.nslots


class _Stream:
    """The operations so far and the books they are steered by."""

    def __init__(
        self,
        seed: int,
        config: Geometry,
        pcp: bool,
        orders: Sequence[int] | None,
        flags: bool,
    ) -> None:
        self.rng = random.Random(f"ops {seed}")
        self.config = config
        self.pcp = pcp
        self.flags = flags
        top = config.max_page_order
        self.orders = list(range(top + 1) if orders is None else orders)
        self.weights = [1 / (1 + i) ** 2 for i in range(len(self.orders))]
        if orders is None:  # the orders with rules of their own
            for order in {config.pageblock_order, min(9, top), top}:
                self.weights[order] += 0.02
        self.capacity = config.pages - sum(b - a for a, b in config.reserved)
        self.ops: list[tuple[int, int, int, int]] = []
        self.live: list[tuple[int, int]] = []  # slot, order
        self.position: dict[int, int] = {}  # slot -> where in live
        self.spare: list[int] = []  # slots freed, for single requests
        self.nslots = 0
        self.used = 0
        self.change_mood()

    def change_mood(self) -> None:
        self.mood = self.rng.choice(MOODS)
        self.target = self.rng.choice([0.3, 0.7, 0.9, 0.98, 1.02]) * self.capacity

    def emit(self, code: int, a: int = 0, b: int = 0, c: int = 0) -> None:
        self.ops.append((code, a, b, c))

    # Books -----------------------------------------------------------------------

    def fresh(self, count: int) -> int:
        """First of a run of slots that were never used."""
        self.nslots += count
        return self.nslots - count

    def book(self, slot: int, order: int) -> None:
        self.position[slot] = len(self.live)
        self.live.append((slot, order))
        self.used += 1 << order

    def unbook(self, slot: int) -> int:
        """Count a filled slot as empty; return the order of its block."""
        i = self.position.pop(slot)
        order = self.live[i][1]
        last = self.live.pop()
        if last[0] != slot:
            self.live[i] = last
            self.position[last[0]] = i
        self.used -= 1 << order
        return order

    def any_slot(self) -> int:
        return self.rng.choice(self.live)[0]

    def cpu(self) -> int:
        return self.rng.randrange(self.config.cpus)

    def request(self, order: int) -> int:
        """Operand a of a request: order, type and flags."""
        mt = self.rng.choices(TYPES, self.mood)[0]
        return order + 256 * mt + 65536 * (self.some_flags(mt) if self.flags else 0)

    def some_flags(self, mt: int) -> int:
        bits = 0
        for flag, chance in (
            (ALLOC_NOFRAGMENT, 0.08),
            (ALLOC_HIGHATOMIC, 0.06 if mt != MOVABLE else 0.01),
            (ALLOC_CMA, 0.6 if mt == MOVABLE else 0.02),
            (ALLOC_OOM, 0.03),
            (ALLOC_NON_BLOCK, 0.06),
            (ALLOC_KSWAPD, 0.3),
            (ALLOC_MIN_RESERVE, 0.03),
            (ALLOC_NOLRU, 0.2),
        ):
            if self.rng.random() < chance:
                bits |= flag
        return bits

    def order(self) -> int:
        return self.rng.choices(self.orders, self.weights)[0]

    # The fill --------------------------------------------------------------------

    def fill(self) -> None:
        """Batches of alternating types up to the brim, then frees with gaps."""
        start = 0
        while self.used < 0.985 * self.capacity:
            count = self.rng.choice(BATCHES)
            self.bulk(self.rng.choice([0, 0, 0, 0, 1, 2]), count)
            if start % 5 == 0:
                self.change_mood()
            start += 1
        share, slot = self.rng.choice([0.1, 0.25, 0.5]), 0
        while slot < self.nslots:
            run = self.rng.choice([1, 1, 1, 5, 20, 80])
            if self.rng.random() < share:
                self.release_run(slot, run)
            slot += run
        self.change_mood()

    # One step --------------------------------------------------------------------

    def step(self) -> None:
        """Something rare now and then, else ask or give back, towards the target."""
        if self.rng.random() < 0.06:
            self.rare()
        elif not self.live or self.rng.random() < (
            0.8 if self.used < self.target else 0.25
        ):
            self.ask()
        elif self.rng.random() < 0.04:
            self.release_run(self.any_slot(), self.rng.choice([8, 30, 200]))
        else:
            self.release(self.any_slot())

    def ask(self) -> None:
        order, kind = self.order(), self.rng.random()
        if kind < 0.06:
            most = max(1, self.capacity // 8 >> order)
            self.bulk(order, min(most, self.rng.choice(BATCHES)))
            return
        if kind < 0.1 and order > 0:
            self.ask_and_split(order)
            return
        slot = self.spare.pop() if self.spare else self.fresh(1)
        self.single(slot, order)
        self.book(slot, order)

    def single(self, slot: int, order: int) -> None:
        if self.pcp and self.rng.random() < 0.6:
            self.emit(PCP_ALLOC, self.request(order), slot, self.cpu())
        else:
            self.emit(ALLOC, self.request(order), slot)

    def bulk(self, order: int, count: int) -> None:
        slot = self.fresh(count)
        self.emit(BULK, self.request(order), slot, count)
        for i in range(count):
            self.book(slot + i, order)

    def release_run(self, slot: int, run: int) -> None:
        """Slots side by side: their pages are often neighbours and merge."""
        for s in range(slot, slot + run):
            if s in self.position:
                self.release(s)

    def release(self, slot: int) -> None:
        self.unbook(slot)
        if self.pcp and self.rng.random() < 0.6:
            self.emit(PCP_FREE, 0, slot, self.cpu())
        else:
            self.emit(FREE, 0, slot)
        self.spare.append(slot)

    # Splitting and the rare ones -------------------------------------------------

    def parts(self, order: int) -> int:
        """Draw a smaller order that gives at most 64 parts."""
        return self.rng.randint(max(0, order - 6), order - 1)

    def ask_and_split(self, order: int) -> None:
        """Ask for a block whose own slot becomes the first of its parts."""
        small = self.parts(order)
        slot = self.fresh(1 << (order - small))
        self.single(slot, order)
        self.split_into(slot, order, slot, small)

    def split_some(self) -> None:
        """Split a block among the filled slots into new slots."""
        slot = self.any_slot()
        order = self.unbook(slot)
        if order == 0:
            self.book(slot, order)
            return
        small = self.parts(order)
        first = self.fresh(1 << (order - small))
        self.split_into(slot, order, first, small)
        self.spare.append(slot)

    def split_into(self, slot: int, order: int, first: int, small: int) -> None:
        self.emit(SPLIT, small, slot, first)
        for i in range(1 << (order - small)):
            self.book(first + i, small)

    def rare(self) -> None:
        kind = self.rng.choice(RARE)
        if kind == "drain" and self.pcp:
            self.emit(PCP_DRAIN, c=self.cpu())
        elif kind == "decay" and self.pcp:
            self.emit(PCP_DECAY, c=self.cpu())
        elif kind == "flag":
            self.emit(ZONE_CTL, self.rng.randrange(3), self.rng.randrange(2))
        elif kind == "boost":
            self.emit(ZONE_CTL, 16, self.rng.choice([0, 0, 5, 700]))
        elif kind == "unreserve":
            self.emit(UNRESERVE, self.rng.choice(TYPES), self.rng.randrange(2))
        elif kind == "lru" and self.live:
            self.emit(SET_LRU, 0, self.any_slot(), self.rng.randrange(2))
        elif kind == "split" and self.live:
            self.split_some()
