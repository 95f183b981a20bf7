"""The rules of every strategy, and what best fit is: no other block would do better."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rmqueue import StrategyConfig, Zone, ZoneConfig
from rmqueue.registry import default_registry
from rmqueue.testing.conformance import StrategyConformance
from rmqueue_bestfit.best_fit import STRATEGY

UNMOVABLE, MOVABLE, RECLAIMABLE = range(3)
SHAPES: dict[str, dict[str, Any]] = {
    "pageblocks of order 9": {"pages": 4096},
    "pageblocks of order 5": {"pages": 2048, "pageblock_order": 5},
    "cut-off pageblocks": {"start_pfn": 12_345, "pages": 3001, "pageblock_order": 6},
}
#: Never claims a part of a pageblock.
STEALS = {"claim_order": 13}


class TestBestFit(StrategyConformance):
    """The checks of `rmqueue check best-fit`."""

    strategy = "best-fit"


def test_it_comes_from_this_distribution() -> None:
    entry = default_registry().find("strategy", "best-fit")
    assert entry.provenance.distribution == "rmqueue-bestfit"
    assert entry.record is STRATEGY


def zone_of(shape: str, kernel: str, **params: int) -> Zone:
    """Make a zone with best fit."""
    strategy = StrategyConfig(name="best-fit", params=params)
    return Zone(ZoneConfig(kernel=kernel, **SHAPES[shape]), strategy)


def best_of(zone: Zone, order: int, mt: int) -> tuple[int, int] | None:
    """Look at every list: order and page of the best block of another type."""
    found = [
        (high, int(pfn))
        for high in range(order, zone.config.max_page_order + 1)
        for other in {UNMOVABLE, MOVABLE, RECLAIMABLE} - {mt}
        for pfn in zone.free_list(high, other)
    ]
    return min(found, default=None)


def has_native(zone: Zone, order: int, mt: int) -> bool:
    """Whether a strategy is not asked at all."""
    orders = range(order, zone.config.max_page_order + 1)
    return any(len(zone.free_list(high, mt)) for high in orders)


@pytest.mark.parametrize("kernel", ["6.14", "6.18", "7.3"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("params", [{}, STEALS], ids=["claims", "steals"])
def test_no_block_is_better(shape: str, kernel: str, params: dict[str, int]) -> None:
    zone, rng = zone_of(shape, kernel, **params), np.random.default_rng(7)
    held: list[tuple[int, int]] = []
    asked = 0
    for _ in range(900):
        while held and rng.random() < 0.3:
            zone.free(*held.pop(int(rng.integers(len(held)))))
        order = int(rng.choice([0, 0, 0, 1, 2, 3, 5]))
        mt = int(rng.choice([MOVABLE, MOVABLE, UNMOVABLE, RECLAIMABLE]))
        native, best = has_native(zone, order, mt), best_of(zone, order, mt)
        pfn = zone.alloc(order, mt)
        if pfn is not None:
            held.append((pfn, order))
        if not native:
            asked += 1
            assert pfn == (best[1] if best else None)
    zone.check()
    assert asked >= 20


def full_of_holes(shape: str, seed: int) -> Zone:
    """Make a zone of movable pages in use, with free blocks of several orders."""
    zone, rng = zone_of(shape, "7.3", **STEALS), np.random.default_rng(seed)
    pages = zone.config.pages
    held = {order: zone.alloc_bulk(order, pages // 3 >> order, 1) for order in (3, 1)}
    held[0] = zone.alloc_bulk(0, pages, 1)
    for order, blocks in held.items():
        for pfn in blocks[rng.random(len(blocks)) < 0.1]:
            zone.free(int(pfn), order)
    return zone


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_batch_takes_what_single_requests_would(shape: str, order: int) -> None:
    """Where the last block of a batch was found, the search goes on: none is missed."""
    zone, other = full_of_holes(shape, order), full_of_holes(shape, order)
    given = zone.alloc_bulk(order, 1000, "reclaimable").tolist()
    single = [other.alloc(order, "reclaimable") for _ in given]
    assert given == single
    assert len(given) > 50
    assert other.alloc(order, "reclaimable") is None
    assert zone.counters["scan_page"] < other.counters["scan_page"] / 2


def test_a_whole_pageblock_is_claimed_after_steals_too() -> None:
    zone = zone_of("pageblocks of order 9", "7.3", **STEALS)
    pages = zone.alloc_bulk(0, 4096, "movable")
    for pfn in (*pages[:3:2], *pages[1024:2048]):
        zone.free(int(pfn))
    given = zone.alloc_bulk(0, 4, "unmovable")
    assert given.tolist() == [pages[0], pages[2], pages[1024], pages[1025]]
    assert zone.pageblock_types().tolist() == [1, 1, 0, 0, 1, 1, 1, 1]


def test_the_rule_of_the_kernel_decides_on_claims() -> None:
    """Half of the pageblock is free: claimed, unless claim_order forbids it."""
    for params, types in (({}, [0, 1]), (STEALS, [1, 1]), ({"claim_order": 1}, [1, 1])):
        config = ZoneConfig(pages=1024, max_page_order=9, kernel="7.3")
        zone = Zone(config, StrategyConfig(name="best-fit", params=params))
        pages = zone.alloc_bulk(0, 1024, "movable")
        for pfn in pages[:512:2]:
            zone.free(int(pfn))
        assert zone.alloc(0, "unmovable") == 0
        assert zone.pageblock_types().tolist() == types
