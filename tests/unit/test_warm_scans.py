"""Warm scans against a list of the pageblocks that were scanned last."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from rmqueue.config import ZoneConfig
from rmqueue.mm.vmstat import SCAN_PAGE_WARM
from rmqueue.ops import ALLOC, BULK, FREE
from rmqueue.types import Strategy
from rmqueue.zone import Zone
from tests.unit.authors import module_of

LOGGED, PAGES = 30_000, 1024
#: Searches top-down, smallest-buddy style, and logs every scan of a pageblock.
LOGGING = f"""
from rmqueue.mm.fallback import find_suitable_fallback, first_block
from rmqueue.mm.fallback import try_to_claim_block
from rmqueue.mm.mmzone import pageblock_type
from rmqueue.mm.vmstat import SCAN_BLOCK, SCAN_PAGE

@jit
def claim(zone, high, order, start_mt, fallback_mt, flags, st):
    pfn = first_block(zone, high, fallback_mt)
    blocks, pages = zone.cnt[SCAN_BLOCK], zone.cnt[SCAN_PAGE]
    block_mt = pageblock_type(zone, pfn)
    page = try_to_claim_block(zone, pfn, high, order, start_mt, block_mt, flags)
    if zone.cnt[SCAN_BLOCK] != blocks and st.scans < {LOGGED}:
        st.hold[st.scans] = zone.hold_count
        st.block[st.scans] = pfn >> zone.pageblock_order
        st.steps[st.scans] = zone.cnt[SCAN_PAGE] - pages
        st.scans += 1
    return page

@jit
def fallback(zone, order, start_mt, flags, batch, st):
    for down in range(zone.max_order - order + 1):
        high = zone.max_order - down
        fallback_mt = find_suitable_fallback(zone, high, start_mt, False)
        if fallback_mt >= 0:
            page = claim(zone, high, order, start_mt, fallback_mt, flags, st)
            if page >= 0:
                return page
    return rmqueue_steal(zone, order, start_mt)
"""


def logging_strategy(folder: Path) -> Strategy:
    state = [(name, f"{LOGGED}i8") for name in ("hold", "block", "steps")]
    fallback = module_of(folder, LOGGING).fallback
    return Strategy("mine", "Mine.", fallback, state=(("scans", "i8"), *state))


def stream(seed: int, rounds: int) -> list[tuple[int, int, int, int]]:
    """Rounds of one batch each, of unmovable pages, out of a zone of movable ones."""
    numbers = random.Random(seed)
    ops: list[tuple[int, int, int, int]] = []
    for _ in range(rounds):
        freed = numbers.sample(range(PAGES // 4), 2)
        slots = [4 * start + i for start in freed for i in range(4)]
        slots += numbers.sample(sorted(set(range(PAGES)) - set(slots)), 8)
        ops += [(FREE, 0, slot, 0) for slot in slots]
        ops.append((BULK, 256 * numbers.choice([0, 2]), PAGES, 12))
        ops += [(FREE, 0, PAGES + i, 0) for i in range(12)]
        ops += [(ALLOC, 256, slot, 0) for slot in slots]
    return ops


FILL = [(ALLOC, 256, slot, 0) for slot in range(PAGES)]


def counted_warm(zone: Zone) -> int:
    return int(zone._record["cnt"][SCAN_PAGE_WARM])


def expected_warm(zone: Zone, warm_scans: int) -> int:
    """Look each scan up among those before it in the same hold."""
    st, warm = zone._bound.state[0], 0
    scans = int(st["scans"])
    assert scans < LOGGED
    log = list(zip(st["hold"].tolist(), st["block"].tolist(), strict=True))[:scans]
    for at, entry in enumerate(log):
        if entry in log[max(0, at - warm_scans) : at]:
            warm += int(st["steps"][at])
    return warm


def tight_zone(folder: Path, warm_scans: int) -> Zone:
    config = ZoneConfig(pages=PAGES, pageblock_order=6, max_page_order=6)
    zone = Zone(config, logging_strategy(folder))
    zone.set_weights({"scan_page": 10}, warm_scans)
    return zone


@pytest.mark.parametrize("warm_scans", [0, 1, 2, 3, 32])
def test_warm_steps_are_those_of_a_list(tmp_path: Path, warm_scans: int) -> None:
    zone = tight_zone(tmp_path, warm_scans)
    zone.replay([*FILL, *stream(1, 100)])
    assert int(zone._bound.state["scans"][0]) > 100
    assert counted_warm(zone) == expected_warm(zone, warm_scans)
    assert (counted_warm(zone) > 0) == (warm_scans > 0)


def test_scans_before_work_is_forgotten_are_not_warm(tmp_path: Path) -> None:
    """Counters begin at nothing again: a scan of long ago must not look recent."""
    zone = tight_zone(tmp_path, 4)
    zone.replay([*FILL, *stream(1, 100)])
    zone.forget_work()
    zone._bound.state["scans"] = 0
    zone.replay(stream(2, 5))
    assert int(zone._bound.state["scans"][0]) > 20
    assert counted_warm(zone) == expected_warm(zone, 4)


def test_warm_steps_cost_less(tmp_path: Path) -> None:
    costs = {"scan_page": 10, "scan_page_warm": 4}
    zone = tight_zone(tmp_path, 4)
    zone.set_weights(costs, 4)
    zone.replay([*FILL, *stream(1, 100)])
    warm, steps = counted_warm(zone), zone.counters["scan_page"]
    assert 0 < warm < steps
    assert zone.holds.total_ps == 10 * (steps - warm) + 4 * warm
