"""Every worked example of the specification (SEMANTICS 17), on every kernel state."""

from __future__ import annotations

import numpy as np
import pytest

from rmqueue.ops import BULK, PCP_ALLOC, request
from rmqueue.testing.golden import VARIANTS
from tests.unit.zones import lists, variant_zone

U, M, R = range(3)


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
