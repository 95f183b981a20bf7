"""The friendly zone: its public face."""

from __future__ import annotations

import gc
import resource
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from rmqueue.config import StrategyConfig, ZoneConfig
from rmqueue.errors import UnknownNameError, UsageError
from rmqueue.mm.vmstat import COUNTERS
from rmqueue.ops import ALLOC, BULK, FREE, PCP_ALLOC, request
from rmqueue.registry import default_registry
from rmqueue.types import ZoneState
from rmqueue.zone import Zone
from tests.unit.zones import hashes, zone_of

U, M, R = range(3)


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


@pytest.mark.parametrize("pageblock_order", range(2, 9))
def test_blocks_that_span_pageblocks_are_on_the_lru_of_each(
    pageblock_order: int,
) -> None:
    zone = zone_of(512, pageblock_order=pageblock_order, max_page_order=8)
    pages = 0
    for order in range(9):
        pfn = zone.alloc(order, "movable")
        if pfn is not None:
            pages += 1 << order
            zone.check()
            zone.free(pfn, order)
            zone.check()
            assert zone.alloc(order, "movable") is not None
    assert zone.pageblocks()["lru_pages"].sum() == pages
    assert zone.pageblocks()["lru_pages"].max() <= 1 << pageblock_order
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
    with pytest.raises(UsageError, match=r"use kernel 6\.1 or 6\.8 or 6\.9"):
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
    calm, boosted = (
        Zone.from_state(replace(state, boost=boost), "none") for boost in (0, 512)
    )
    assert boosted.watermarks["boost"] == 512
    assert boosted.pcp(0) == calm.pcp(0)  # which a boost has no say in


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
