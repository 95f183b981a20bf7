"""A reading node against the naive one: the same pages, the same picoseconds."""

from __future__ import annotations

from typing import Any

import pytest

from rmqueue.config import ZoneConfig
from rmqueue.cost import Costs, costs_of
from rmqueue.mm.vmstat import COUNTERS
from rmqueue.registry import default_registry
from rmqueue.simulation import QUEUES, Simulation
from rmqueue.testing.golden import VARIANTS
from rmqueue_plugins.lru_file_mmap_read import LRU_FILE_MMAP_READ, ReadParameters
from tests.naive import NaiveConfig
from tests.naive_reads import NaiveReads, Reads
from tests.unit.steps import TINY_NODE, TINY_READ
from tests.unit.zones import hashes

CHECK = 8
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "tiny": ({}, {}),
    "no drains": ({}, {"drain": False}),
    "no metadata": ({}, {"page_table": 0, "slab_node": 0}),
    "no boost": ({"watermark_boost_factor": 0}, {"chunks": 3}),
    "few CPUs": ({"cpus": 3}, {"window": 7, "rotate": 0.0, "jitter": 1.0}),
    "large blocks": ({"pageblock_order": 6}, {"kswapd": 500, "rotate": 1.0}),
}


def product(
    variant: str, seed: int, zone: dict[str, Any], params: ReadParameters
) -> Simulation:
    kernel, strategy = VARIANTS[variant]
    config = ZoneConfig.model_validate({**TINY_NODE, **zone, "kernel": kernel})
    machine = default_registry().machine("lkp-cpl-4sp2")
    costs = costs_of(machine, strategy, {"scan_page_warm": 10_000})
    found = Simulation(
        *(LRU_FILE_MMAP_READ, params, config, strategy),
        seed=seed,
        costs=Costs(costs.weights_ps, 0, costs.handover_ps),
    )
    found.run()
    return found


def naive(
    variant: str,
    seed: int,
    zone: dict[str, Any],
    params: ReadParameters,
) -> NaiveReads:
    kernel, strategy = VARIANTS[variant]
    config = NaiveConfig(**{**TINY_NODE, **zone}, kernel=kernel, strategy=strategy)
    like = ZoneConfig(pages=config.pages, cpus=config.cpus)
    numbers = LRU_FILE_MMAP_READ.numbers(params, like)
    names = ("pages", "z", "reclaim", "kswapd", "chunks", "window")
    reads = Reads(
        **{name: getattr(params, name) for name in names},
        page_table=params.page_table,
        slab_node=params.slab_node,
        drain=params.drain,
        jitter_ps=numbers["jitter_ps"],
        rotate=numbers["rotate"],
        boot_share=numbers["boot_unmovable"],
        boot_pages=numbers["boot_pages"],
        slabs_most=numbers["slabs_most"],
    )
    machine = default_registry().machine("lkp-cpl-4sp2")
    costs, handover = machine.weights_ps, machine.handover_ps
    found = NaiveReads(config, reads, costs, handover, seed)
    found.run()
    return found


def queue(simulation: Simulation, name: str) -> list[int]:
    records, entries = simulation._queues[0]
    at = QUEUES.index(name)
    head, count = int(records["head"][at]), int(records["count"][at])
    size = int(records["mask"][at]) + 1
    return [int(entries[at][(head + i) % size]) for i in range(count)]


def compare(variant: str, seed: int, case: str, pages: int) -> None:
    zone, changes = CASES[case]
    params = ReadParameters(**{**TINY_READ, "pages": pages, **changes})
    found, plain = (make(variant, seed, zone, params) for make in (product, naive))
    assert isinstance(found, Simulation)
    assert isinstance(plain, NaiveReads)
    assert int(found.smp["events"][0]) == plain.events
    assert int(found.smp["now_ps"][0]) == plain.now
    assert found.pages == plain.pages
    for name, field in (("t_ps", "t"), ("spin_ps", "spin"), ("hold_ps", "hold")):
        expected = [getattr(one, field) for one in plain.cpus]
        assert found.cpus[name].tolist() == expected, name
    assert found.cpus["stalls"].tolist() == [one.stalls for one in plain.cpus]
    node, own = found.nodes[0], found.zones[0]
    assert (int(node["drains"]), int(node["reclaimed"])) == (
        *(plain.drains, plain.reclaimed),
    )
    assert queue(found, "lru") == list(plain.lru)
    assert queue(found, "slabs") == list(plain.slabs)
    assert {name: own.counters[name] for name in COUNTERS} == plain.zone.work
    plain.zone.apply(CHECK, 0, 0, 0)
    assert hashes(own) == plain.zone.checks["hashes"][-1]
    assert own.nr_free == plain.zone.nr_free
    assert own.watermarks["boost"] == plain.zone.boost_pages


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_kernel(variant: str) -> None:
    compare(variant, 1, "tiny", 6000)


@pytest.mark.parametrize("case", CASES)
def test_every_rule(case: str) -> None:
    compare("smallest", 2, case, 5000)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3, 6))
@pytest.mark.parametrize("variant", ["hygiene", "remembered", "latest"])
def test_longer_runs(variant: str, seed: int) -> None:
    compare(variant, seed, "tiny", 12_000)
