"""Rules of the kernels before 6.7, worked out by hand; beside them those of 6.9."""

from __future__ import annotations

from typing import Any

import pytest

from rmqueue.mm.profile import PROFILES, RULES
from rmqueue.ops import PCP_DECAY, PCP_DRAIN, UNRESERVE, ZONE_CTL
from rmqueue.zone import Zone
from tests.unit.zones import lists, zone_of

U, M, R, H = range(4)
RECLAIM_ACTIVE, BELOW_HIGH = 1, 2
MIB = 1 << 8


def old_zone(pages: int, kernel: str = "6.1", **fields: Any) -> Zone:
    return zone_of(pages, "greedy-steal", kernel=kernel, **fields)


def pages_of(zone: Zone, index: int) -> list[int]:
    found: list[int] = zone.pcp_list(0, index).tolist()
    return found


def do(zone: Zone, code: int, a: int = 0, b: int = 0) -> int:
    result = zone.replay([(code, a, b, 0)])
    assert not result.misuse
    return int(result.res[0]) if len(result.res) else 0


def flushes(zone: Zone, count: int) -> list[int]:
    """Free so many movable pages in a row; what each flush gave back."""
    found = []
    for pfn in zone.alloc_bulk(0, count, "movable").tolist():
        before = zone.pcp(0)["count"]
        zone.free(pfn, cpu=0)
        gone = before + 1 - zone.pcp(0)["count"]
        found += [gone] if gone else []
    return found


def test_these_rules_differ_from_6_9() -> None:
    """Of those between them, 6.7 to 6.9 have three still."""
    old, between, new = (PROFILES[name] for name in ("6.1", "6.8", "6.9"))
    assert {rule for rule in RULES if getattr(old, rule) != getattr(between, rule)} == {
        *("huge_lists", "pcp_fixed_high")
    }
    assert {rule for rule in RULES if getattr(between, rule) != getattr(new, rule)} == {
        *("merge_retypes", "pcp_keeps_type", "scans_from_page")
    }


# What a CPU keeps --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mib", "cpus", "batch", "high"),
    [
        *((16, 1, 1, 160), (16, 8, 1, 20), (128, 1, 7, 452), (128, 8, 7, 56)),
        *((1024, 1, 63, 1286), (1024, 8, 63, 252)),  # a share of 160 is below 4 * 63
    ],
)
def test_high_is_fixed_from_the_beginning(
    mib: int, cpus: int, batch: int, high: int
) -> None:
    """The smallest marks of later kernels (SEMANTICS 17): the low watermark, shared."""
    pcp = old_zone(mib * MIB, cpus=cpus).pcp(cpus - 1)
    assert (pcp["batch"], pcp["high"]) == (batch, high)
    assert pcp["high_min"] == pcp["high_max"] == high


def test_high_may_be_a_share_of_the_zone() -> None:
    zone = old_zone(1024 * MIB, cpus=2, percpu_pagelist_high_fraction=8)
    assert zone.pcp(1)["high"] == (1 << 18) // 8 // 2


def test_every_refill_is_one_batch() -> None:
    """63 pages, again and again, and high stays; 31, 15 and 7 of larger blocks."""
    zone = old_zone(1024 * MIB)
    for refill in range(5):
        assert zone.alloc(0, "movable", cpu=0) == 63 * refill
        assert len(pages_of(zone, M)) == 62
        for _ in range(62):
            zone.alloc(0, "movable", cpu=0)
    assert zone.pcp(0)["high"] == 1286
    for order, blocks in ((1, 31), (2, 15), (3, 7)):
        zone.alloc(order, "movable", cpu=0)
        assert len(pages_of(zone, 3 * order + M)) == blocks - 1


@pytest.mark.parametrize(("mib", "blocks"), [(16, (1, 1, 1, 1)), (128, (7, 3, 2, 2))])
def test_a_refill_is_of_two_blocks_at_least(mib: int, blocks: tuple[int, ...]) -> None:
    """7 >> 2 and 7 >> 3 are less; but a batch of one stays one."""
    zone = old_zone(mib * MIB)
    for order in range(4):
        zone.alloc(order, "movable", cpu=0)
        assert len(pages_of(zone, 3 * order + M)) == blocks[order] - 1


def test_a_row_of_frees_gives_back_ever_more() -> None:
    """Of 56 pages 7 go, then 14, 28, and then all but a batch: 7 << 3 is above 49.

    56 + 7 + 14 + 28 + 49 frees until the fifth flush, and 6 more: 13 pages are left. An
    allocation halves the factor: of 12 and 44 pages 7 << 1 go.
    """
    zone = old_zone(128 * MIB, cpus=8)
    assert flushes(zone, 160) == [7, 14, 28, 49, 49]
    assert (zone.pcp(0)["count"], zone.pcp(0)["free_factor"]) == (13, 3)
    zone.alloc(0, "movable", cpu=0)
    assert zone.pcp(0)["free_factor"] == 1
    assert flushes(zone, 44) == [14]
    assert zone.pcp(0)["free_factor"] == 2


def test_not_more_than_thirty_two_batches_go() -> None:
    """452 pages, of which 445 may go, and 7 << 5 is 224: so it stays."""
    zone = old_zone(128 * MIB)
    assert flushes(zone, 452 + 7 + 14 + 28 + 56 + 112 + 224) == [
        *(7, 14, 28, 56, 112, 224, 224)
    ]
    assert zone.pcp(0)["free_factor"] == 5


def test_the_factor_does_not_grow_where_all_may_go() -> None:
    """5 pages, 4096 // 102 // 8, in batches of 1: 4 may go, and 1 << 2 is not below."""
    zone = old_zone(16 * MIB, cpus=8, percpu_pagelist_high_fraction=102)
    assert (zone.pcp(0)["batch"], zone.pcp(0)["high"]) == (1, 5)
    assert flushes(zone, 5 + 1 + 2) == [1, 2, 4]
    assert zone.pcp(0)["free_factor"] == 2


def test_a_large_block_in_a_row_empties_the_lists() -> None:
    """As soon as the factor is not zero: not at once, and a huge page does not."""
    zone = old_zone(128 * MIB, cpus=8)
    blocks = zone.alloc_bulk(3, 2, "movable").tolist()
    huge = zone.alloc(9, "movable")
    assert huge is not None
    zone.free(blocks[0], 3, cpu=0)
    assert zone.pcp(0)["count"] == 8
    assert flushes(zone, 48) == [7]
    assert (zone.pcp(0)["count"], zone.pcp(0)["free_factor"]) == (49, 1)
    zone.free(blocks[1], 3, cpu=0)
    assert (zone.pcp(0)["count"], zone.pcp(0)["free_factor"]) == (0, 1)
    assert flushes(zone, 30) == []
    zone.free(huge, 9, cpu=0)  # 542 pages: 14 have to go, and the block is the first
    assert (zone.pcp(0)["count"], zone.pcp(0)["free_factor"]) == (30, 2)


def test_while_memory_is_reclaimed_four_batches_are_kept() -> None:
    """4 * 63 pages instead of 1286; high itself stays."""
    zone = old_zone(1024 * MIB)
    do(zone, ZONE_CTL, RECLAIM_ACTIVE, 1)
    assert flushes(zone, 252) == [63]
    assert (zone.pcp(0)["count"], zone.pcp(0)["high"]) == (189, 1286)
    do(zone, ZONE_CTL, RECLAIM_ACTIVE, 0)
    assert flushes(zone, 1286 - 189) == [126]


def test_no_flush_clears_a_flag_that_is_not_there() -> None:
    for kernel, flags in (("6.1", 1 << BELOW_HIGH), ("6.9", 0)):
        zone = old_zone(1024 * MIB, kernel, percpu_pagelist_high_fraction=1000)
        do(zone, ZONE_CTL, BELOW_HIGH, 1)
        assert flushes(zone, 262) == [63 if kernel == "6.1" else 199]
        assert int(zone._record["flags"]) == flags


def test_nothing_decays() -> None:
    """A refill for 251 kept pages makes 314, more than 252: 6.9 gives back."""
    for kernel, left in (("6.1", 313), ("6.9", 252)):
        zone = old_zone(1024 * MIB, kernel, cpus=64)
        flushes(zone, 251)
        zone._storage.pcps["high_max"][0] = 252  # as if it could not grow in 6.9
        zone.alloc(0, "unmovable", cpu=0)
        assert zone.pcp(0)["count"] == 313
        assert do(zone, PCP_DECAY) == int(kernel != "6.1")
        assert zone.pcp(0)["count"] == left


def test_a_drain_is_one_hold() -> None:
    zone = old_zone(1024 * MIB)
    flushes(zone, 1200)
    before = zone.counters["lock"]
    do(zone, PCP_DRAIN)
    assert zone.counters["lock"] - before == 1
    assert zone.pcp(0)["count"] == 0


@pytest.mark.parametrize("order", [7, 9])
def test_huge_pages_are_a_pageblock_and_movable_ones_apart(order: int) -> None:
    zone = old_zone(1024 * MIB, pageblock_order=order)
    unmovable, movable = (zone.alloc(order, mt) for mt in ("unmovable", "movable"))
    assert unmovable is not None
    assert movable is not None
    zone.free(movable, order, cpu=0)
    zone.free(unmovable, order, cpu=0)
    assert (pages_of(zone, 12), pages_of(zone, 13)) == ([unmovable], [movable])
    do(zone, PCP_DRAIN)  # it merges with the rest of the block that it was taken from
    assert lists(zone, "unmovable") == {10: [unmovable]}
    zone.check()


# Types that pages carry --------------------------------------------------------------


def test_a_refilled_page_goes_back_to_the_type_that_was_asked_for() -> None:
    """Pages 300 and 301 for an unmovable request, of a pageblock that stays movable."""
    for kernel, mt in (("6.1", "unmovable"), ("6.9", "movable")):
        zone = old_zone(128 * MIB, kernel)
        zone.alloc_bulk(0, 128 * MIB, "movable")
        for pfn in (300, 301):
            zone.free(pfn)
        assert zone.alloc(0, "unmovable", cpu=0) == 300
        assert pages_of(zone, U) == [301]
        assert zone.pageblock_types()[0] == M
        do(zone, PCP_DRAIN)
        assert lists(zone, mt) == {0: [301]}
        zone.check()


def test_a_freed_page_keeps_the_type_of_that_moment() -> None:
    """Page 5 comes while its block is movable, and goes when it is unmovable.

    All other pages from 10 on are free, so the next unmovable request claims the block;
    it is given page 10, and leaves 11.
    """
    for kernel, unmovable in (("6.1", [11]), ("6.9", [5, 11])):
        zone = old_zone(1024, kernel)
        zone.alloc_bulk(0, 1024, "movable")
        for pfn in range(10, 512):
            zone.free(pfn)
        zone.free(5, cpu=0)
        assert zone.alloc(0, "unmovable") == 10
        assert zone.pageblock_types().tolist() == [U, M]
        do(zone, PCP_DRAIN)
        assert lists(zone, "unmovable")[0] == unmovable
        assert lists(zone, "movable") == ({0: [5]} if kernel == "6.1" else {})
        zone.check()


def test_a_page_of_the_reserve_goes_back_to_it() -> None:
    """It lay among the movable ones, and its block is a movable one by then.

    It merges with the rest of its pageblock; not with the next one, which is movable.
    """
    for kernel, reserved in (("6.1", {9: [0]}), ("6.9", {})):
        zone = old_zone(256 * MIB, kernel)
        assert zone.alloc(0, "movable", flags={"highatomic"}) == 0
        assert zone.pageblock_types()[0] == H
        zone.free(0, cpu=0)
        assert pages_of(zone, M) == [0]
        assert do(zone, UNRESERVE, M, 1) == 1
        assert zone.pageblock_types()[0] == M
        do(zone, PCP_DRAIN)
        assert lists(zone, "highatomic") == reserved
        assert (0 in lists(zone, "movable")[10]) == (kernel == "6.9")
        zone.check()


def test_cma_pages_of_a_refill_go_back_to_cma() -> None:
    """More than half of what is free is CMA: a movable request may have it."""
    zone = old_zone(128 * MIB, cma=True, cma_pageblocks=32)
    zone.alloc_bulk(0, 600, "movable")
    assert zone.alloc(0, "movable", cpu=0, flags={"cma"}) == 31744
    assert pages_of(zone, M) == list(range(31745, 31751))
    assert int(zone._record["nr_free_cma"]) == 32 * 512 - 7
    do(zone, PCP_DRAIN)
    assert int(zone._record["nr_free_cma"]) == 32 * 512 - 1
    zone.check()


# Pageblocks --------------------------------------------------------------------------


def test_a_merge_changes_no_type() -> None:
    """An unmovable and a movable pageblock become one free block of order 10."""
    for kernel, types in (("6.1", [U, M]), ("6.9", [U, U])):
        zone = old_zone(1024, kernel)
        assert zone.alloc_bulk(9, 2, "movable").tolist() == [0, 512]
        zone.free(0, 9)
        assert zone.alloc(9, "unmovable") == 0
        assert zone.pageblock_types().tolist() == [U, M]
        zone.free(512, 9)
        zone.free(0, 9)
        assert lists(zone, "unmovable") == {10: [0]}
        assert zone.pageblock_types().tolist() == types
        zone.check()


def cut_off(kernel: str, *pieces: tuple[int, bool]) -> Zone:
    """A zone of 256..1023: the first pageblock, unmovable, begins at 0.

    All its pages are in use: runs of so many pages, on an LRU list or not.
    """
    zone = old_zone(768, kernel, start_pfn=256)
    assert zone.pageblock_types().tolist() == [U, M]
    zone.alloc_bulk(0, 512, "movable")
    for pages, lru in pieces:
        zone.alloc_bulk(0, pages, "unmovable", lru=lru)
    assert zone.nr_free == 0
    return zone


def test_a_scan_of_a_cut_off_pageblock_begins_at_the_page() -> None:
    """Free: 260, 384..399 and 500. A movable request finds the 16 pages first.

    6.1 moves them and page 500, not page 260: 2 blocks and 111 pages in use are looked
    at from 384 to 511. Then the smallest serves. 6.9 moves the 16 pages only.
    """
    for kernel, page, left, scans in (
        ("6.1", 500, {0: [260]}, (1, 113)),
        ("6.9", 384, {0: [500, 260]}, (0, 0)),
    ):
        zone = cut_off(kernel, (256, False))
        for pfn in (260, *range(384, 400), 500):
            zone.free(pfn)
        assert zone.alloc(0, "movable") == page
        assert lists(zone, "unmovable") == left
        assert zone.pageblock_types().tolist() == [U, M]
        counters = zone.counters
        assert (counters["scan_block"], counters["scan_page"]) == scans
        zone.check()


@pytest.mark.parametrize(("movable", "claimed"), [(240, True), (239, False)])
def test_a_cut_off_pageblock_is_claimed_by_what_was_scanned(
    movable: int, claimed: bool
) -> None:
    """16 free pages at 256, and behind them 240 pages on LRU lists: just one half."""
    zone = cut_off("6.1", (16, True), (movable, True), (240 - movable, False))
    for pfn in range(256, 272):
        zone.free(pfn)
    assert zone.alloc(0, "movable") == 256
    assert zone.pageblock_types().tolist() == [M if claimed else U, M]
    assert zone.counters["claim_part"] == int(claimed)
    zone.check()


def test_pages_before_the_zone_are_alike_for_other_types() -> None:
    """A movable block of which only page 511 is looked at: the other 511 are alike."""
    zone = cut_off("6.1", (16, True), (240, True))
    for pfn in range(256, 272):
        zone.free(pfn)
    assert zone.alloc_bulk(0, 16, "movable").tolist() == list(range(256, 272))
    assert zone.pageblock_types().tolist() == [M, M]
    zone.free(511)
    assert zone.alloc(0, "reclaimable") == 511
    assert zone.pageblock_types().tolist() == [R, M]


def test_a_pageblock_that_the_end_cuts_off_is_not_scanned() -> None:
    zone = old_zone(768)
    zone.alloc_bulk(0, 768, "movable")
    zone.free(600)
    assert zone.alloc(0, "unmovable") == 600
    assert zone.counters["scan_block"] == zone.counters["claim_part"] == 0
    assert zone.counters["steal"] == 1


def test_a_reserve_moves_what_is_behind_the_page() -> None:
    """In the cut-off pageblock: 256..319 in use but 300, a block of 8 taken at 320."""
    behind = {3: [328], 4: [336], 5: [352], 7: [384]}
    for kernel, reserved in (("6.1", behind), ("6.9", {})):
        zone = old_zone(256 * MIB, kernel, start_pfn=256)
        zone.alloc_bulk(0, 64, "unmovable")
        zone.free(300)
        assert zone.alloc(3, "unmovable", flags={"highatomic"}) == 320
        assert zone.pageblock_types()[0] == H
        assert lists(zone, "highatomic") == reserved
        # the walk from 320: 8 pages in use and 4 free blocks
        assert zone.counters["move_page"] == (12 if reserved else 0)
        assert lists(zone, "unmovable") == {0: [300], **({} if reserved else behind)}
        assert do(zone, UNRESERVE, M, 1) == int(kernel == "6.1")
        assert lists(zone, "highatomic") == {}
        zone.check()
