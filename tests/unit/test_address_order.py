"""The brick `lowest_block`, against a walk over the pages in plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rmqueue.config import ZoneConfig
from rmqueue.mm.address_order import lowest_block
from rmqueue.mm.fallback import steal_block
from rmqueue.mm.jit import jit
from rmqueue.mm.mmzone import pageblock_type
from rmqueue.types import Strategy
from rmqueue.zone import Zone

SHAPES: dict[str, dict[str, Any]] = {
    "pageblocks of order 9": {"pages": 6144},
    "pageblocks of order 5": {"pages": 2048, "pageblock_order": 5},
    "pageblocks of order 6, cut off": {
        "start_pfn": 12_345,
        "pages": 3001,
        "pageblock_order": 6,
    },
    "pageblocks of order 2": {"pages": 1000, "pageblock_order": 2},
    "CMA": {"pages": 2048, "pageblock_order": 5, "cma": True, "cma_pageblocks": 16},
    "holes": {
        "pages": 4000,
        "pageblock_order": 7,
        "reserved": ((100, 101), (700, 900)),
    },
}


@jit
def lowest_of_order(
    zone: Any, order: int, start_mt: int, flags: int, batch: Any, st: Any
) -> int:
    """Steal from the lowest block of exactly the order; search on in a batch."""
    begin = st.found if batch.mode != 0 else zone.start
    pfn = lowest_block(zone, begin, order, start_mt)
    if pfn < 0:
        return -1
    batch.mode, st.found = 3, pfn
    return steal_block(zone, pfn, order, order, start_mt, pageblock_type(zone, pfn))


LOWEST = Strategy("lowest", "Lowest.", lowest_of_order, state=(("found", "i8"),))


def pages_walked(zone: Zone, order: int, mt: int, begin: int) -> tuple[int, int, int]:
    """The block, the pageblocks scanned and the steps, as the docstring has them."""
    config = zone.config
    end, types = config.start_pfn + config.pages, zone.pageblock_types()
    heads = {
        int(pfn): k
        for k in range(config.max_page_order + 1)
        for t in range(5 if config.cma else 4)
        for pfn in zone.free_list(k, t)
    }
    q, blocks, steps, seen = begin, 0, 0, -1
    while q < end:
        block = (q >> config.pageblock_order) - (
            config.start_pfn >> config.pageblock_order
        )
        k = heads.get(q, -1)
        if types[block] != mt and types[block] <= 2:
            blocks += block != seen
            seen = block
            if k == order:
                return q, blocks, steps
            steps += 1
        q += 1 << max(k, 0)
    return -1, blocks, steps


def broken_up(shape: str, seed: int) -> Zone:
    """A zone full of movable blocks, with free ones of some orders between them."""
    zone = Zone(ZoneConfig(**SHAPES[shape]), LOWEST)
    rng, pages = np.random.default_rng(seed), zone.config.pages
    held = {o: zone.alloc_bulk(o, pages // 3 >> o, "movable") for o in (2, 1, 0)}
    zone.alloc_bulk(0, pages, "movable")  # what is left
    for order, blocks in held.items():
        for pfn in blocks[rng.random(len(blocks)) < 0.2]:
            zone.free(int(pfn), order)
    return zone


def scans(zone: Zone) -> tuple[int, int]:
    return zone.counters["scan_block"], zone.counters["scan_page"]


@pytest.mark.parametrize("shape", SHAPES)
def test_blocks_and_steps(shape: str) -> None:
    zone, rng = broken_up(shape, 1), np.random.default_rng(1)
    held: list[tuple[int, int]] = []
    found = 0
    for _ in range(300):
        if held and rng.random() < 0.4:
            zone.free(*held.pop(int(rng.integers(len(held)))))
        order, mt = int(rng.choice([0, 0, 0, 1, 2, 5])), int(rng.choice([0, 2]))
        orders = range(order, zone.config.max_page_order + 1)
        native = any(len(zone.free_list(k, mt)) for k in orders)
        expected = pages_walked(zone, order, mt, zone.config.start_pfn)
        before = scans(zone)
        pfn = zone.alloc(order, mt)
        if pfn is not None:
            held.append((pfn, order))
            found += not native
        if not native:
            counted = np.subtract(scans(zone), before)
            assert (-1 if pfn is None else pfn, *counted) == expected
    zone.check()
    assert found >= 20


@pytest.mark.parametrize("shape", SHAPES)
def test_a_batch_searches_on(shape: str) -> None:
    zone, other = broken_up(shape, 2), broken_up(shape, 2)
    blocks, steps = scans(zone)
    expected: list[int] = []
    at = zone.config.start_pfn
    for _ in range(20):
        pfn, walked, stepped = pages_walked(other, 0, 2, at)
        blocks, steps = blocks + walked, steps + stepped
        assert other.alloc(0, "reclaimable") == (None if pfn < 0 else pfn)
        expected, at = [*expected, pfn], max(pfn, at)
    given = zone.alloc_bulk(0, 20, "reclaimable").tolist()
    assert given == expected
    assert scans(zone) == (blocks, steps)
