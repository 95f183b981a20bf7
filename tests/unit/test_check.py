"""Each invariant, broken on purpose: `Zone.check` names it, page and numbers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rmqueue.errors import InvariantError
from rmqueue.mm.check import INVARIANTS
from rmqueue.mm.mmzone import ONE_PAGE, PAGE_FREE, PAGE_IN_USE, PAGE_LRU, PAGE_PCP
from rmqueue.mm.profile import PROFILES
from rmqueue.zone import Zone
from tests.unit.zones import zone_of

START = 1 << 20  # absolute; the arrays of a zone begin at zero


@pytest.fixture
def zone() -> Zone:
    """4096 pages: an order-2 block in use at 0, a page of it on CPU 0 at 4."""
    zone = zone_of(4096, start_pfn=START, cpus=2, cma=True, cma_pageblocks=2)
    assert zone.alloc(2, "movable") == START
    assert zone.alloc(0, "movable") == START + 4
    zone.free(START + 4, cpu=0)
    zone.check()
    return zone


def break_link(zone: Zone) -> None:
    zone._storage.links[2 * 1024 + 1] += 1  # what is before the block at 1024


def point_outside(zone: Zone) -> None:
    zone._storage.links[2 * 1024] = 4095 + 4096


def mark_other_order(zone: Zone) -> None:
    zone._storage.meta[1024] = PAGE_FREE | 9


def forget_mark(zone: Zone) -> None:
    zone._storage.meta[1024] = 0


def poke(field: str, by: int = 1) -> Callable[[Zone], None]:
    def change(zone: Zone) -> None:
        zone._record[field] += by

    return change


def poke_area(zone: Zone) -> None:
    zone._record["nr_area"][3] += 1


def mark_pcp_page_used(zone: Zone) -> None:
    zone._storage.meta[4] = PAGE_IN_USE


def poke_pcp_count(zone: Zone) -> None:
    zone._storage.pcps["count"][1] += 1


def mark_unlisted(zone: Zone) -> None:
    zone._storage.meta[3000 - 1024] = PAGE_PCP


def begin_inside(zone: Zone) -> None:
    zone._storage.meta[2] = PAGE_IN_USE


def free_block_on_lru(zone: Zone) -> None:
    zone._storage.meta[1500] = PAGE_LRU


def retype(zone: Zone) -> None:
    zone._storage.words[1024 >> 9] ^= 3  # movable becomes reclaimable


def miscount_pageblock(zone: Zone) -> None:
    zone._storage.words[1024 >> 9] += ONE_PAGE


def lose_a_block(zone: Zone) -> None:
    zone._storage.meta[0:4] = 0
    zone._storage.words[0] &= (1 << 44) - 1  # as if never on the LRU


def disorder_marks(zone: Zone) -> None:
    zone._record["wmark_low"] = zone._record["wmark_high"] + 1


def low_below_min(zone: Zone) -> None:
    zone._record["wmark_min"] = zone._record["wmark_low"] + 1


BREAKS: list[tuple[str, Callable[[Zone], None]]] = [
    ("lists_linked", break_link),
    ("lists_linked", point_outside),
    ("free_pages_marked", mark_other_order),
    ("free_pages_marked", forget_mark),
    ("nr_area", poke_area),
    ("nr_free", poke("nr_free", -1)),
    ("nr_free_cma", poke("nr_free_cma")),
    ("nr_free_highatomic", poke("nr_free_highatomic")),
    ("pcp_pages_marked", mark_pcp_page_used),
    ("pcp_count", poke_pcp_count),
    ("marks_listed", mark_unlisted),
    ("blocks_disjoint", begin_inside),
    ("blocks_disjoint", free_block_on_lru),
    ("list_types", retype),
    ("pageblock_words", miscount_pageblock),
    ("pages_conserved", lose_a_block),
    ("pages_conserved", poke("managed")),
    ("watermarks_ordered", disorder_marks),
    ("watermarks_ordered", low_below_min),
    ("watermarks_ordered", poke("boost", -1)),
    ("highatomic_reserve", poke("nr_reserved_highatomic", -1)),
    ("highatomic_reserve", poke("nr_reserved_highatomic", 1 << 30)),
]


@pytest.mark.parametrize(("name", "breaking"), BREAKS)
def test_a_breach_is_named(
    zone: Zone, name: str, breaking: Callable[[Zone], None]
) -> None:
    breaking(zone)
    with pytest.raises(InvariantError) as caught:
        zone.check()
    error = caught.value
    assert error.invariant == name
    assert error.exit_status == 5
    assert f"invariant {name} is broken" in str(error)
    assert INVARIANTS[name] in str(error)
    assert str(error.expected).split()[0] != error.found
    if error.pfn is not None:
        assert START <= error.pfn < START + 4096


def test_two_free_buddies_are_a_breach() -> None:
    """Two order-0 blocks side by side on the list: what a missed merge would leave."""
    zone = zone_of(1024, "none")
    zone.alloc_bulk(0, 1024, "movable")
    zone.free(8)
    zone.free(16)
    links, meta = zone._storage.links, zone._storage.meta
    head = int(zone._record["heads"]) + 1  # order 0, movable: 16, 8
    links[2 * 16], links[2 * 9 + 1] = 9, 16
    links[2 * 9], links[2 * head + 1] = head, 9
    links[2 * 8 : 2 * 8 + 2] = 0
    meta[9], meta[8] = meta[8], meta[9]
    zone.check()  # 9 instead of 8 is as good
    links[2 * 9], links[2 * 8 + 1] = 8, 9
    links[2 * 8], links[2 * head + 1] = head, 8
    meta[8] = meta[9]
    zone._record["nr_area"][0] += 1
    zone._record["nr_free"] += 1
    with pytest.raises(InvariantError, match="buddies_merged") as caught:
        zone.check()
    assert (caught.value.pfn, caught.value.order) == (8, 0)


@pytest.mark.parametrize("carried", [0, 2, 4])
def test_a_type_that_no_page_of_the_list_carries(carried: int) -> None:
    """A movable page: neither unmovable nor reclaimable, nor CMA outside the area."""
    zone = zone_of(4096, kernel="6.1", cma=True, cma_pageblocks=2)
    zone.free(zone.alloc_bulk(0, 1, "movable")[0], cpu=0)
    zone.check()
    zone._storage.page_types[0] = 3  # its pageblock was HIGHATOMIC then
    zone.check()
    zone._storage.page_types[0] = carried
    with pytest.raises(InvariantError, match="pcp_types") as caught:
        zone.check()
    error = caught.value
    assert (error.pfn, error.order, error.found) == (0, 0, str(carried))
    assert str(error.expected).startswith("1 (")


def test_a_page_of_the_cma_area_carries_cma() -> None:
    zone = zone_of(4096, kernel="6.1", cma=True, cma_pageblocks=2)
    pfn = zone.alloc_bulk(0, 4096, "movable", flags={"cma"})[-1]
    assert pfn >= 3072
    zone.free(pfn, cpu=0)
    assert zone._storage.page_types[pfn] == 4
    zone.check()
    zone._storage.page_types[pfn] = 1
    with pytest.raises(InvariantError, match="pcp_types"):
        zone.check()


def test_every_invariant_is_broken_here() -> None:
    broken = {name for name, _ in BREAKS} | {"buddies_merged", "pcp_types"}
    assert broken == set(INVARIANTS)


@pytest.mark.parametrize("kernel", PROFILES)
def test_a_whole_zone_passes(kernel: str) -> None:
    zone = zone_of(5000, kernel=kernel, cpus=3, start_pfn=7, pageblock_order=5)
    for at in range(200):
        zone.alloc(at % 4, at % 3, cpu=at % 3)
        zone.check()
