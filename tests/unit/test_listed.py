"""Requests that find a block on the very list that they ask for."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rmqueue.config import ZoneConfig
from rmqueue.mm.mmzone import MOVABLE, UNMOVABLE
from rmqueue.types import Strategy
from rmqueue.zone import Zone
from tests.unit.authors import module_of

STUBBORN = """
from rmqueue.mm.mmzone import RMQUEUE_STEAL

@jit
def fallback(zone, order, start_mt, flags, batch, st):
    batch.mode = RMQUEUE_STEAL
    return rmqueue_claim(zone, order, start_mt, flags)
"""
BLOCK = 512


def test_a_batch_that_remembers_a_mode_leaves_the_list_alone(tmp_path: Path) -> None:
    """What was claimed is on the list, and yet the strategy is asked for every page."""
    stubborn = Strategy("mine", "Mine.", module_of(tmp_path, STUBBORN).fallback)
    zone = Zone(ZoneConfig(pages=8 * BLOCK), stubborn)
    pfns = zone.alloc_bulk(order=0, count=3, migratetype="unmovable")
    assert len({pfn // BLOCK for pfn in pfns.tolist()}) == 3
    assert zone.counters["claim_whole"] == 3
    zone.alloc(order=0, migratetype="unmovable")
    assert zone.counters["claim_whole"] == 3, "the next hold begins anew"
    zone.check()


def test_every_page_from_a_foreign_pageblock_is_counted() -> None:
    """Up to 6.9 a list may hold pages of pageblocks of another type."""
    zone = Zone(ZoneConfig(pages=8 * BLOCK, kernel="6.9"), "greedy-steal")
    pfns = zone.alloc_bulk(order=0, count=8 * BLOCK, migratetype="movable")
    for pfn in pfns[7 : 7 + 80 : 2].tolist():
        zone.free(pfn, order=0)
    foreign = 0
    for asked in range(30):
        if asked % 3:
            taken = zone.alloc_bulk(order=0, count=1, migratetype="unmovable")
        else:
            taken = np.array([zone.alloc(order=0, migratetype="unmovable")])
        foreign += int(zone.pageblock_types()[taken[0] // BLOCK] == MOVABLE)
        assert zone.fallbacks.pollute[UNMOVABLE, MOVABLE] == foreign
    assert foreign == 30
    assert zone.counters["fallback"] == 1, "the others found their list filled"
