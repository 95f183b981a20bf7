"""The friendly zone, and every worked example of the specification."""

from __future__ import annotations

import gc
import resource
import subprocess
import sys

import numpy as np
import pytest

from rmqueue.config import StrategyConfig, ZoneConfig
from rmqueue.errors import UnknownNameError, UsageError
from rmqueue.mm.vmstat import COUNTERS
from rmqueue.ops import ALLOC, BULK, FREE, PCP_ALLOC, request
from rmqueue.registry import default_registry
from rmqueue.testing.golden import VARIANTS
from rmqueue.types import ZoneState
from rmqueue.zone import Zone
from tests.unit.zones import hashes, lists, variant_zone, zone_of

U, M, R = range(3)


# Worked examples ---------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
def test_boot_of_an_aligned_zone(variant: str) -> None:
    zone = variant_zone(variant, 3000)
    assert lists(zone, "movable") == {
        10: [0, 1024],
        9: [2048],
        8: [2560],
        7: [2816],
        5: [2944],
        4: [2976],
        3: [2992],
    }
    assert lists(zone, "unmovable") == lists(zone, "reclaimable") == {}
    assert not any(zone.counters.values())
    zone.check()


@pytest.mark.parametrize("variant", VARIANTS)
def test_boot_of_a_zone_that_begins_odd(variant: str) -> None:
    zone = variant_zone(variant, 2043, start_pfn=5)
    first = {0: [5], 1: [6], **{k: [1 << k] for k in range(3, 9)}}
    assert lists(zone, "unmovable") == first
    assert lists(zone, "movable") == {9: [512], 10: [1024]}
    assert zone.pageblock_types().tolist() == [U, M, M, M]
    zone.check()


@pytest.mark.parametrize("variant", VARIANTS)
def test_split_and_whole_claim(variant: str) -> None:
    zone = variant_zone(variant, 2048)
    assert zone.alloc(0, "movable") == 0
    assert lists(zone, "movable") == {**{k: [1 << k] for k in range(10)}, 10: [1024]}
    assert zone.alloc(0, "unmovable") == 1024
    assert lists(zone, "unmovable") == {k: [1024 + (1 << k)] for k in range(10)}
    assert zone.pageblock_types().tolist() == [M, M, U, U]
    assert zone.counters["claim_whole"] == 1


@pytest.mark.parametrize("variant", VARIANTS)
def test_merging_and_ends(variant: str) -> None:
    zone = variant_zone(variant, 1024)
    assert zone.alloc_bulk(0, 1024, "movable").tolist() == list(range(1024))

    def after(*pfns: int) -> dict[int, list[int]]:
        for pfn in pfns:
            zone.free(pfn)
        return lists(zone, "movable")

    assert after(8, 20, 11, 22) == {0: [22, 11, 20, 8]}
    assert after(10) == {0: [22, 20, 8], 1: [10]}
    assert after(16) == {0: [16, 22, 20, 8], 1: [10]}
    assert after(9) == {0: [16, 22, 20], 2: [8]}
    assert after(12) == {0: [12, 16, 22, 20], 2: [8]}
    assert after(13) == {0: [16, 22, 20], 1: [12], 2: [8]}
    assert after(14) == {0: [16, 22, 20, 14], 1: [12], 2: [8]}  # near: to the tail
    assert after(15) == {0: [16, 22, 20], 3: [8]}


NO_CLAIM = {
    "greedy": ([600, 601, 602], {0: [100], 2: [8]}, {0: [603], 2: [604]}, 1, 505, 1, 4),
    "hygiene": (
        [600, 604, 8],
        {0: [9, 605, 601, 100], 1: [10, 606, 602]},
        {},
        *(3, 1522, 3, 3),
    ),
    "smallest": ([100, 8, 9], {1: [10], 3: [600]}, {}, 8, 4064, 8, 3),
    "remembered": ([100, 8, 9], {1: [10], 3: [600]}, {}, 3, 1523, 3, 1),
    "latest": ([100, 8, 9], {1: [10], 3: [600]}, {}, 3, 1523, 3, 1),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_claim_possible(variant: str) -> None:
    zone = variant_zone(variant, 1024)
    zone.alloc_bulk(0, 1024, "movable")
    for pfn in (100, *range(8, 12), *range(600, 608)):
        zone.free(pfn)
    assert lists(zone, "movable") == {0: [100], 2: [8], 3: [600]}
    result = zone.replay([(BULK, request(0, U), 0, 3)])
    pages, movable, unmovable, *work = NO_CLAIM[variant]
    assert result.bulk_pfns.tolist() == pages
    assert lists(zone, "movable") == movable
    assert lists(zone, "unmovable") == unmovable
    names = ("scan_block", "scan_page", "claim_try", "smallest")
    assert [result.counters[name] for name in names] == work
    assert result.scan.tolist() == [work[1]]
    assert zone.pageblock_types().tolist() == [M, M]
    zone.check()


@pytest.mark.parametrize("variant", VARIANTS)
def test_claim_by_the_half_rule(variant: str) -> None:
    zone = variant_zone(variant, 1024)
    assert zone.alloc_bulk(0, 512, "movable")[0] == 0
    assert zone.alloc_bulk(0, 512, "movable", lru=False)[0] == 512
    for pfn in (*range(8, 12), 600, 601, 700):
        zone.free(pfn)
    assert lists(zone, "movable") == {0: [700], 1: [600], 2: [8]}
    pages = zone.alloc_bulk(0, 3, "unmovable").tolist()
    if variant == "greedy":
        assert pages == [8, 9, 10]
        assert lists(zone, "unmovable") == {0: [11]}
        assert zone.pageblock_types().tolist() == [M, M]
    elif variant == "hygiene":
        assert pages == [8, 10, 700]
        assert lists(zone, "unmovable") == {1: [600]}
        assert zone.pageblock_types().tolist() == [M, U]
    else:
        assert pages == [700, 600, 601]
        assert lists(zone, "unmovable") == {}
        assert lists(zone, "movable") == {2: [8]}
        assert zone.pageblock_types().tolist() == [M, U]
    zone.check()


@pytest.mark.parametrize("variant", VARIANTS)
def test_movable_falls_back(variant: str) -> None:
    zone = variant_zone(variant, 2048)
    assert zone.alloc_bulk(0, 1024, "unmovable")[0] == 0
    assert zone.alloc_bulk(0, 1024, "reclaimable")[0] == 1024
    for pfn in (3, *range(64, 68), 1500, 1501):
        zone.free(pfn)
    result = zone.replay([(BULK, request(0, M), 0, 3)])
    assert result.bulk_pfns.tolist() == [3, 1500, 1501]
    boosts = {"hygiene": 3, "greedy": 2}.get(variant, 0)
    assert result.counters["boost"] == boosts
    zone.check()


@pytest.mark.parametrize("variant", VARIANTS)
def test_pcp_refills_grow(variant: str) -> None:
    zone = variant_zone(variant, 262_144)
    assert zone.pcp(0)["high_min"] == 1286
    refills, highs = [], []
    left = 0
    for _ in range(7):
        ops = [(PCP_ALLOC, request(0, M), slot, 0) for slot in range(left)]
        zone.replay(np.array(ops, np.int64).reshape(-1, 4))
        before = zone.nr_free
        zone.alloc(0, "movable", cpu=0)
        refills.append(before - zone.nr_free)
        highs.append(zone.pcp(0)["high"])
        left = zone.pcp(0)["count"]
    assert refills == [63, 126, 252, 504, 1008, 2016, 2016]
    assert highs[:6] == [1349, 1475, 1727, 2231, 3239, 5255]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    ("mib", "cpus", "sizes"),
    [
        (16, 1, (1, 160, 512)),
        (16, 8, (1, 20, 64)),
        (128, 1, (7, 452, 4096)),
        (128, 8, (7, 56, 512)),
        (1024, 1, (63, 1286, 32768)),
        (1024, 8, (63, 252, 4096)),
    ],
)
def test_pcp_sizes(
    variant: str, mib: int, cpus: int, sizes: tuple[int, int, int]
) -> None:
    pcp = variant_zone(variant, mib << 8, cpus=cpus).pcp(cpus - 1)
    assert (pcp["batch"], pcp["high_min"], pcp["high_max"]) == sizes


# The public face ---------------------------------------------------------------------


def test_alloc_of_every_type_and_order() -> None:
    zone = zone_of(1 << 14)
    for order in range(11):
        for mt in ("unmovable", "movable", "reclaimable"):
            pfn = zone.alloc(order, mt)
            assert pfn is not None
            assert pfn % (1 << order) == 0
    assert zone.nr_free == zone.managed - 3 * (2**11 - 1)
    assert zone.managed == 1 << 14


def test_alloc_says_none_when_there_is_nothing() -> None:
    zone = zone_of(64, "none", pageblock_order=4)
    assert zone.alloc(0, "unmovable") is None
    assert zone.alloc_bulk(0, 100, "movable").tolist() == list(range(64))
    assert zone.alloc(0, "movable") is None
    assert zone.alloc_bulk(0, 3, "movable").tolist() == []


def test_indices_and_bits_do_as_well_as_names() -> None:
    zone = zone_of()
    assert zone.alloc(1, 1, flags=1 | 32) == 0
    assert zone.alloc(1, "movable", flags=("nofragment", "kswapd")) == 2
    assert zone.alloc(1, "movable", flags="oom") == 4
    assert zone.free_list(1, 1).tolist() == zone.free_list(1, "movable").tolist()


def test_lru_follows_the_type_or_what_is_asked() -> None:
    zone = zone_of()
    zone.alloc(3, "movable")
    assert zone.pageblocks()["lru_pages"].sum() == 8
    zone.alloc(3, "movable", lru=False)
    assert zone.pageblocks()["lru_pages"].sum() == 8
    zone.alloc(2, "unmovable", lru=True)
    zone.alloc_bulk(1, 4, "reclaimable", lru=True)
    assert zone.pageblocks()["lru_pages"].sum() == 20
    zone.check()


def test_pageblocks_count_what_is_in_them() -> None:
    zone = zone_of(2048)
    zone.alloc(0, "movable")
    rows = zone.pageblocks()
    assert rows["type"].tolist() == [M] * 4
    assert rows["free_pages"].tolist() == [511, 512, 1024, 0]
    assert rows["free_blocks"].tolist() == [9, 1, 1, 0]


def test_free_through_a_cpu_keeps_the_page_there() -> None:
    zone = zone_of(2048, cpus=2)
    pfn = zone.alloc(0, "movable")
    assert pfn is not None
    free = zone.nr_free
    zone.free(pfn, cpu=1)
    assert zone.nr_free == free
    assert zone.pcp(1)["count"] == 1
    assert zone.pcp_list(1, M).tolist() == [pfn]
    assert zone.alloc(0, "movable", cpu=1) == pfn
    with pytest.raises(IndexError, match="0 to 13"):
        zone.pcp_list(0, 14)


def test_counters_are_those_of_the_specification() -> None:
    zone = zone_of()
    assert tuple(zone.counters) == COUNTERS
    zone.alloc()
    assert zone.counters["lock"] == 1
    assert zone.counters["claim_whole"] == 1
    assert zone.watermarks["min"] < zone.watermarks["low"] < zone.watermarks["high"]


def test_free_counts_are_the_lengths_of_the_lists() -> None:
    zone = zone_of(3000)
    zone.alloc_bulk(1, 77, "unmovable")
    counts = zone.free_counts()
    assert counts.shape == (11, 4)
    for order in range(11):
        for mt in range(4):
            assert counts[order, mt] == len(zone.free_list(order, mt))
    assert (counts.sum(axis=1) * 2 ** np.arange(11)).sum() == zone.nr_free


def test_buddyinfo_and_pagetypeinfo_have_the_kernels_layout() -> None:
    zone = zone_of(3000)
    assert zone.buddyinfo() == (
        "Node 0, zone   Normal      0      0      0      1      1      1      0 "
        "     1      1      1      2 \n"
    )
    text = zone.pagetypeinfo().splitlines()
    assert text[:3] == ["Page block order: 9", "Pages per block:  512", ""]
    assert text[5] == (
        "Node    0, zone   Normal, type      Movable      0      0      0      1      "
        "1      1      0      1      1      1      2 "
    )
    assert text[-2] == (
        "Number of blocks type     Unmovable      Movable  Reclaimable   HighAtomic "
        "     Isolate "
    )
    assert text[-1].split()[-5:] == ["0", "6", "0", "0", "0"]


def test_replay_reports_what_it_did() -> None:
    zone = zone_of(2048, cpus=2)
    ops = [
        (ALLOC, request(0, U), 0, 0),
        (BULK, request(1, M), 1, 3),
        (PCP_ALLOC, request(0, R), 4, 1),
        (FREE, 0, 0, 0),
    ]
    result = zone.replay(ops)
    assert (result.ops, result.asked, result.served) == (4, 8, 8)
    assert result.res.tolist() == [0, 3, 512]
    assert result.bulk_pfns.tolist() == [1024, 1026, 1028]
    assert result.misuse == {}
    assert result.first_misuse is None
    assert result.counters["bulk"] == 2
    assert result.holds.count == result.counters["lock"] == result.holds.histogram.sum()
    assert result.fallbacks.claim.sum() == 2
    assert result.seconds >= 0


def test_a_second_replay_counts_from_zero_and_keeps_its_slots() -> None:
    zone = zone_of()
    first = zone.replay([(ALLOC, request(0, U), 7, 0)])
    second = zone.replay([(FREE, 0, 7, 0)])
    assert first.fallbacks.claim.sum() == 1
    assert second.fallbacks.claim.sum() == 0
    assert second.counters["lock"] == second.holds.count == 1
    assert zone.nr_free == zone.managed


def test_ops_of_another_shape_are_refused() -> None:
    zone = zone_of()
    for wrong in ([(1, 2, 3)], [1, 2, 3, 4], [(1.0, 2.0, 3.0, 4.0)]):
        with pytest.raises(TypeError, match="ops are"):
            zone.replay(wrong)
    assert zone.replay(np.empty((0, 4), np.int64)).ops == 0


def test_weights_price_the_holds() -> None:
    zone = zone_of()
    zone.set_weights({"lock": 1000, "split": 7})
    result = zone.replay([(ALLOC, request(0, M), 0, 0), (FREE, 0, 0, 0)])
    assert result.holds.total_ps == 2 * 1000 + 10 * 7
    assert result.holds.worst_ps == 1070
    assert result.holds.worst_counters["split"] == 10
    assert result.holds.percentile_ps(100) == 1070
    assert result.holds.percentile_ps(1) in range(1000, 1064)


def test_a_strategy_can_be_a_name_a_record_or_a_configuration() -> None:
    record = default_registry().strategy("none")
    for strategy in ("none", record, StrategyConfig(name="none")):
        zone = Zone(ZoneConfig(pages=100), strategy)
        assert zone.strategy is record
        assert zone.alloc() is None


def test_unknown_and_impossible_strategies_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'tight-fallback'"):
        zone_of(100, "tight-fallbck")
    with pytest.raises(UsageError, match=r"use kernel 6\.9"):
        zone_of(100, "greedy-steal", kernel="7.3")


def test_a_zone_of_one_page() -> None:
    zone = zone_of(1, start_pfn=3)
    assert zone.alloc(0, "unmovable") == 3
    assert zone.alloc(0, "unmovable") is None
    zone.free(3)
    zone.check()
    assert zone.nr_free == 1


def test_pages_beyond_two_to_the_32() -> None:
    start = (1 << 40) + 512
    zone = zone_of(2048, start_pfn=start)
    assert zone.alloc(9, "movable") == start
    assert zone.free_list(10, "movable").tolist() == [start + 512]
    zone.free(start, 9)
    zone.check()


def test_a_state_reopens_as_it_was() -> None:
    zone = zone_of(4096, cpus=1)
    for at in range(300):
        zone.alloc(at % 3, at % 3)
    held = zone.alloc_bulk(0, 200, "movable")
    for pfn in held[::3]:
        zone.free(int(pfn))
    free = {
        (order, mt): zone.free_list(order, mt) for order in range(11) for mt in range(4)
    }
    left = np.setdiff1d(held, held[::3])
    marks = zone.watermarks
    state = ZoneState(
        name="Normal",
        kernel="6.14",
        start_pfn=0,
        pages=4096,
        managed=4096,
        cpus=1,
        pageblock_order=9,
        max_page_order=10,
        watermarks=(marks["min"], marks["low"], marks["high"]),
        boost=marks["boost"],
        nr_reserved_high=0,
        free_lists=free,
        pageblock_types=zone.pageblock_types(),
        blocks=np.column_stack([left, np.zeros(len(left), np.int64)]),
        lru=left,
    )
    again = Zone.from_state(state, "remembered-fallback")
    again.check()
    assert hashes(again)[:2] == hashes(zone)[:2]
    assert again.nr_free == zone.nr_free
    again.replay([(FREE, 0, slot, 0) for slot in range(len(left))])
    assert again.nr_free == zone.nr_free + len(left)
    again.check()


BIG = """
import resource, time
from rmqueue.config import ZoneConfig
from rmqueue.zone import Zone
begin = time.process_time()
zone = Zone(ZoneConfig(pages=268_435_456))
assert zone.alloc(0, "movable") == 0
assert zone.nr_free == 268_435_455
print(time.process_time() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_a_tebibyte_opens_in_seconds_and_little_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BIG], capture_output=True, text=True, check=True
    )
    seconds, kib = map(float, done.stdout.split())
    assert seconds < 30
    assert kib < 4 << 20


def test_zones_give_their_memory_back() -> None:
    zone_of(1 << 18).alloc()
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(12):
        zone_of(1 << 18).alloc()
    gc.collect()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 12 * 9 << 8  # less than the page arrays of twelve zones [KiB]
