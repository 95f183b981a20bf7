"""Looking at a run on its way: it changes nothing, and what is seen is there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmqueue.config import StrategyConfig, ZoneConfig
from rmqueue.cost import Costs, costs_of
from rmqueue.metrics import spread_over_blocks
from rmqueue.registry import default_registry
from rmqueue.results import Outcome
from rmqueue.samples import Sampler, block_map
from rmqueue.start import Job, WorkloadStart
from rmqueue.step_start import StepStart
from rmqueue.types import Workload
from rmqueue.zone import Zone
from rmqueue_plugins.imx7d_dd import IMX7D_DD, DdParameters

ZONE = ZoneConfig(pages=8192, pageblock_order=5, cpus=2)


def job(**fields: Any) -> Job:
    strategy = StrategyConfig(name="remembered-fallback")
    costs = costs_of(default_registry().machine("generic"), strategy.name, {})
    return Job(strategy, "6.14", 1, costs, (4,), **fields)


def mix() -> WorkloadStart:
    workload = default_registry().workload("mix")
    params = workload.parameters(operations=20_000, fill=1.0)
    assert isinstance(workload, Workload)
    return WorkloadStart(ZONE, workload, params, "test")


def board() -> StepStart:
    zone = ZoneConfig(pages=4096, cpus=2, max_page_order=8, pageblock_order=8)
    return StepStart(zone, IMX7D_DD, DdParameters(dd=300))


def timeless(outcome: Outcome) -> Outcome:
    return replace(outcome, seconds=0.0)


@pytest.mark.parametrize("make", [mix, board])
def test_looking_changes_nothing(make: Any) -> None:
    sampler = Sampler(7, cells=50)
    seen, unseen = (
        make().outcomes(job(sampler=one))[0] for one in (sampler, Sampler(0))
    )
    assert timeless(seen[0]) == timeless(unseen[0])
    assert np.array_equal(seen[1].histogram, unseen[1].histogram)
    assert len(sampler.samples) == 7
    last = sampler.samples[-1]
    assert last.done == 1.0
    assert last.ops == seen[0].ops
    assert last.claims == np.sum(seen[0].claim)
    assert last.steals == np.sum(seen[0].steal)
    assert last.polluted == np.sum(seen[0].pollute)
    assert last.worst_hold_ps == seen[0].holds.worst_ps
    assert sum(n << o for o, n in enumerate(last.free_blocks)) == seen[0].free_pages
    assert sum(last.free_pages) == seen[0].free_pages
    dones = [sample.done for sample in sampler.samples]
    assert dones == sorted(set(dones))
    assert (last.time_s is None) == (make is mix)


def test_no_sampler_sees_nothing() -> None:
    sampler = Sampler(0)
    mix().outcomes(job(sampler=sampler))
    assert sampler.samples == []


def test_a_quick_run_is_seen_whole() -> None:
    sampler = Sampler(4)
    mix().outcomes(job(sampler=sampler, quick=True))
    assert [sample.done for sample in sampler.samples] == [0.25, 0.5, 0.75, 1.0]


def test_more_looks_than_operations() -> None:
    sampler = Sampler(50)
    zone = Zone(ZoneConfig(pages=64, pageblock_order=4))
    ops = np.array([(1, 0, slot, 0) for slot in range(3)])
    zone.replay(ops, stops=sampler.stops(zone, 3))
    assert [sample.ops for sample in sampler.samples] == [1, 2, 3]


def test_the_first_mistake_of_a_stream_is_found_in_any_part() -> None:
    zone = Zone(ZoneConfig(pages=64, pageblock_order=4))
    ops = np.array([(1, order, slot, 0) for slot, order in enumerate((0, 0, 15, 15))])
    result = zone.replay(ops, stops=Sampler(4).stops(zone, 4))
    assert result.first_misuse == 2
    assert sum(result.misuse.values()) == 2


def test_a_map_of_a_zone() -> None:
    zone = Zone(ZoneConfig(pages=64, pageblock_order=4, max_page_order=4))
    zone.alloc_bulk(0, 16, "movable")
    zone.alloc(3, "unmovable")
    sampler = Sampler(1)
    sampler.look(zone, 1.0, 0)
    seen = sampler.samples[0]
    assert list(seen.types) == zone.pageblock_types().tolist()
    assert [round(share / 255, 1) for share in seen.used] == [1.0, 0.5, 0.0, 0.0]
    assert list(seen.mixed) == [0, 0, 0, 0]


def test_cells_hold_several_pageblocks() -> None:
    blocks = np.zeros(5, [("type", "u1"), ("free_pages", "i8"), ("lru_pages", "i8")])
    blocks["type"] = [1, 1, 0, 0, 0]
    sizes = np.full(5, 16)
    free = np.array([16, 0, 8, 8, 8])
    blocks["free_pages"] = free
    found = block_map(blocks, sizes, free, 2)
    assert list(found["types"]) == [1, 0]
    assert list(found["used"]) == [127, 127]
    assert list(found["mixed"]) == [127, 0]  # one of two movable ones has others in it


@given(st.lists(st.sampled_from([0, 1, 3, 4, 8, 16, 40]), min_size=1, max_size=12))
def test_blocks_above_a_pageblock_are_spread(free: list[int]) -> None:
    pages = np.full(len(free), 4)
    wanted = list(free)
    for block in range(len(free) - 1):
        if wanted[block] > 4:
            wanted[block + 1] += wanted[block] - 4
            wanted[block] = 4
    assert spread_over_blocks(np.array(free), pages).tolist() == wanted


def test_costs_are_not_needed() -> None:
    sampler = Sampler(2)
    mix().outcomes(replace(job(sampler=sampler), costs=Costs({})))
    assert sampler.samples[-1].worst_hold_ps == 0
