"""Rules of Linux 6.16 to 6.18, worked out by hand, beside the profiles around it."""

from __future__ import annotations

from typing import Any

import pytest

from rmqueue.mm.profile import PROFILES, RULES
from rmqueue.zone import Zone
from tests.unit.zones import lists, zone_of

U, M, _, H = range(4)
GIB = 1 << 18


def zone_with(kernel: str, pages: int = GIB, **fields: Any) -> Zone:
    return zone_of(pages, kernel=kernel, **fields)


def free_in_a_row(zone: Zone, count: int) -> None:
    for pfn in zone.alloc_bulk(0, count, "movable").tolist():
        zone.free(pfn, cpu=0)


def differing(one: str, other: str) -> set[str]:
    first, second = PROFILES[one], PROFILES[other]
    return {rule for rule in RULES if getattr(first, rule) != getattr(second, rule)}


def test_it_lies_between_its_neighbours() -> None:
    assert differing("6.18", "7.3") == {"merge_retypes", "flush_in_batches"}
    assert differing("6.18", "6.14") == {
        *("free_high_half_min", "highatomic_skips_refill", "reserve_in_buddy"),
        "unreserve_trusts_list",
    }


@pytest.mark.parametrize(
    ("kernel", "types"), [("6.18", [U, U, U, M]), ("7.3", [U, U, U, U])]
)
def test_a_merge_retypes_the_first_pageblock_only(
    kernel: str, types: list[int]
) -> None:
    """Pageblocks of order 8: two unmovable ones merge with a free block of two others.

    The second half of the unmovable block is freed last, merges with the first, and
    both with 512..1023, which is movable.
    """
    zone = zone_with(kernel, 1024, pageblock_order=8)
    assert zone.alloc_bulk(9, 2, "movable").tolist() == [0, 512]
    zone.free(0, 9)
    assert zone.alloc(9, "unmovable") == 0
    assert zone.pageblock_types().tolist() == [U, U, M, M]
    zone.free(512, 9)
    zone.free(0, 9)
    assert lists(zone, "unmovable") == {10: [0]}
    assert zone.pageblock_types().tolist() == types
    zone.check()


@pytest.mark.parametrize(("kernel", "holds"), [("6.14", 1), ("6.18", 1), ("7.3", 20)])
def test_a_flush_gives_the_lock_back_after_every_batch(kernel: str, holds: int) -> None:
    """The 1286th free gives back all but a batch: 1223 pages, 19 * 63 and 26."""
    zone = zone_with(kernel)
    before = zone.counters["lock"] + 1  # of the allocation
    free_in_a_row(zone, 1286)
    assert zone.counters["pcp_flush_pages"] == 1223
    assert zone.counters["lock"] - before == zone.counters["pcp_flush"] == holds
    assert zone.pcp(0)["count"] == 63


@pytest.mark.parametrize(("kernel", "left"), [("6.14", 0), ("6.18", 68), ("7.3", 68)])
def test_large_blocks_in_a_row_need_more_frees(kernel: str, left: int) -> None:
    """Two of order 1 after 64 pages: 66 frees are a batch, not 63 + 1286 / 2."""
    zone = zone_with(kernel)
    free_in_a_row(zone, 64)
    for pfn in zone.alloc_bulk(1, 2, "movable").tolist():
        zone.free(pfn, 1, cpu=0)
    assert zone.pcp(0)["count"] == left


@pytest.mark.parametrize(("kernel", "kept"), [("6.14", 62), ("6.18", 0), ("7.3", 0)])
def test_a_highatomic_request_refills_nothing(kernel: str, kept: int) -> None:
    zone = zone_with(kernel)
    assert zone.alloc(0, "movable", cpu=0, flags={"highatomic"}) == 0
    assert zone.pcp(0)["count"] == kept
    assert zone.pageblock_types()[0] == H


@pytest.mark.parametrize(("kernel", "mt"), [("6.14", H), ("6.18", M), ("7.3", M)])
def test_a_page_that_a_cpu_kept_reserves_nothing(kernel: str, mt: int) -> None:
    zone = zone_with(kernel)
    assert zone.alloc(0, "movable", cpu=0) == 0
    assert zone.alloc(0, "movable", cpu=0, flags={"highatomic"}) == 1
    assert zone.pageblock_types()[0] == mt
