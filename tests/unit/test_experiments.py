"""The strategies that no kernel has do what their pages say."""

from __future__ import annotations

import numpy as np
import pytest

from rmqueue.config import StrategyConfig, ZoneConfig
from rmqueue.zone import Zone


def crowded(strategy: str | StrategyConfig, seed: int = 3) -> Zone:
    """A zone of unmovable blocks with holes of all sizes, and a few movable blocks."""
    zone = Zone(ZoneConfig(pages=32 << 9, kernel="7.3"), strategy)
    unmovable = zone.alloc_bulk(0, 24 << 9, "unmovable")
    movable = zone.alloc_bulk(0, 8 << 9, "movable", lru=True)
    rng = np.random.default_rng(seed)
    for pfn in sorted(unmovable[rng.random(len(unmovable)) < 0.3].tolist()):
        zone.free(pfn)
    for pfn in movable[rng.random(len(movable)) < 0.1].tolist():
        zone.free(pfn)
    return zone


def batches(zone: Zone, count: int = 60) -> list[list[int]]:
    return [
        zone.alloc_bulk(0, 31, ("movable", "reclaimable")[i % 2]).tolist()
        for i in range(count)
    ]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_remembered_order_gives_the_same_pages(seed: int) -> None:
    plain, order = (
        crowded(n, seed) for n in ("remembered-fallback", "remembered-order")
    )
    assert batches(plain) == batches(order)
    assert order.counters["area"] <= plain.counters["area"]
    for name in ("claim_try", "scan_page", "steal", "claim_part"):
        assert order.counters[name] == plain.counters[name], name


def test_remembered_order_goes_on_where_the_last_claim_was() -> None:
    """Two blocks that are half free, claimed one after the other in one batch."""
    visits = []
    for name in ("remembered-fallback", "remembered-order"):
        zone = Zone(ZoneConfig(pages=4 << 9, kernel="7.3"), name)
        pages = zone.alloc_bulk(0, 4 << 9, "movable", lru=False)
        for block in (0, 2):
            for pfn in pages[block << 9 : (block << 9) + 300 : 2].tolist():
                zone.free(pfn)
        before = zone.counters["area"]
        got = zone.alloc_bulk(0, 200, "unmovable")
        assert len(got) == 200
        assert zone.counters["claim_part"] == 2
        visits.append(zone.counters["area"] - before)
    assert visits[1] < visits[0]


def exposing(strategy: str) -> Zone:
    """Two movable blocks: the first page that is free hides one of a pinned block."""
    zone = Zone(ZoneConfig(pages=2 << 9, kernel="7.3"), strategy)
    zone.alloc_bulk(0, 1 << 9, "movable", lru=True)
    zone.alloc_bulk(0, 1 << 9, "movable", lru=False)
    for pfn in (700, 702, 100):
        zone.free(pfn)
    return zone


@pytest.mark.parametrize(
    ("strategy", "pages", "claims"),
    [
        ("remembered-fallback", [100, 702, 700], 0),
        ("reclaiming-memory", [100, 700, 702], 1),
        ("steal-smallest-buddy", [100, 700, 702], 1),
    ],
)
def test_reclaiming_memory_claims_what_stealing_exposes(
    strategy: str, pages: list[int], claims: int
) -> None:
    zone = exposing(strategy)
    assert zone.alloc_bulk(0, 3, "unmovable").tolist() == pages
    assert zone.counters["claim_part"] == claims
    zone.check()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_reclaiming_memory_gives_the_pages_of_searching_again(seed: int) -> None:
    again, reclaiming = (
        crowded(name, seed) for name in ("steal-smallest-buddy", "reclaiming-memory")
    )
    assert batches(again) == batches(reclaiming)
    assert reclaiming.counters["claim_try"] < again.counters["claim_try"]


def test_fullest_claim_takes_the_block_with_most_free_pages() -> None:
    zone = Zone(ZoneConfig(pages=4 << 9, kernel="7.3"), "fullest-claim")
    pages = zone.alloc_bulk(0, 4 << 9, "movable", lru=False)
    for block, holes in enumerate((100, 150, 120, 90)):
        for pfn in pages[block << 9 : (block << 9) + 2 * holes : 2].tolist():
            zone.free(pfn)
    pfn = zone.alloc(0, "unmovable")
    assert pfn is not None
    assert pfn >> 9 == 1
    assert zone.counters["claim_part"] == 1
    zone.check()


def test_nofragment_rather_fails_than_mixes() -> None:
    zone = crowded("nofragment")
    assert not any(batches(zone, 4)[1])
    assert zone.counters["steal"] == zone.counters["claim_part"] == 0
    zone.check()


@pytest.mark.parametrize("pages", [1, 7, 16])
def test_chunked_refill_bounds_what_a_hold_takes(pages: int) -> None:
    entry = StrategyConfig(name="chunked-refill", params={"pages": pages})
    zone = Zone(ZoneConfig(pages=64 << 9, kernel="7.3"), entry)
    for _ in range(210):
        zone.alloc(0, "movable", cpu=0)
    refills = zone.counters["bulk"]
    assert refills >= -(-210 // pages)
    assert pages > 15 or refills == -(-210 // pages)  # the kernel begins with 15
