"""Machines that read through the page cache: nothing is lost, nothing is invented."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rmqueue.config import ZoneConfig
from rmqueue.errors import PluginError, SimulationError, StrategyError
from rmqueue.mm.jit import ENABLED
from rmqueue.mm.mmzone import PAGE_IN_USE, PAGE_LRU, PAGE_ORDER
from rmqueue.simulation import QUEUES, Simulation
from rmqueue.testing.golden import VARIANTS
from rmqueue.types import NoParameters, StepWorkload
from rmqueue_plugins.imx7d_dd import IMX7D_DD, DdParameters
from tests.unit.authors import module_of, strategy_of
from tests.unit.steps import NOTHING, TINY_READ, read_of, turns_of
from tests.unit.zones import hashes


def queued(simulation: Simulation, node: int, name: str) -> list[int]:
    """Pages on a queue of a node, oldest first."""
    records, entries = simulation._queues[node]
    at = QUEUES.index(name)
    head, count = int(records["head"][at]), int(records["count"][at])
    size = int(records["mask"][at]) + 1
    return [int(entries[at][(head + i) % size]) for i in range(count)]


def states(simulation: Simulation, node: int) -> Any:
    """State bytes of the pages of a node's zone."""
    zone = simulation.zones[node]
    return zone._storage.meta[: zone.config.pages]


def other_pages(simulation: Simulation, node: int) -> int:
    """Pages in use that are on no queue: the kernel's own, and page tables."""
    state = states(simulation, node)
    in_use = (state & PAGE_IN_USE != 0) & (state & (PAGE_LRU | PAGE_ORDER) == 0)
    return int(np.count_nonzero(in_use))


def check_pages(simulation: Simulation, node: int = 0) -> None:
    """Every page is free, on a CPU's list, on a queue, or metadata."""
    zone, state = simulation.zones[node], states(simulation, node)
    zone.check()
    lru, slabs = queued(simulation, node, "lru"), queued(simulation, node, "slabs")
    assert len(set(lru)) == len(lru)
    assert all(state[page] == PAGE_IN_USE | PAGE_LRU for page in lru)
    assert len(lru) == np.count_nonzero(state & PAGE_LRU)
    assert all(state[page] == PAGE_IN_USE | 2 for page in slabs)
    assert len(slabs) == np.count_nonzero(state == PAGE_IN_USE | 2)
    per_cpu = sum(zone.pcp(cpu)["count"] for cpu in range(zone.config.cpus))
    found = zone.nr_free + per_cpu + len(lru) + 4 * len(slabs)
    assert found + other_pages(simulation, node) == zone.managed == zone.config.pages


@pytest.mark.parametrize("variant", VARIANTS)
def test_pages_are_conserved(variant: str) -> None:
    found, booted = read_of(variant, pages=6000), read_of(variant, pages=1)
    found.run()
    booted.run()
    check_pages(found)
    tasks = found.cpus[:-1]
    wanted = TINY_READ["page_table"]
    tables = int((tasks["pages"] // wanted).sum()) - int((tasks["need"] == 1).sum())
    assert tables > 100
    assert other_pages(found, 0) == other_pages(booted, 0) + tables
    node = found.nodes[0]
    assert len(queued(found, 0, "lru")) == found.pages - int(node["reclaimed"])
    assert found.pages == int(node["pages"]) == int(found.task_pages().sum())


@pytest.mark.parametrize("variant", ["hygiene", "latest"])
def test_every_hold_is_paid_for(variant: str) -> None:
    found = read_of(variant, pages=6000)
    found.run()
    node, zone = found.nodes[0], found.zones[0]
    paid = int(found.cpus["hold_ps"].sum())
    assert paid == int(node["busy_ps"]) == zone.holds.total_ps > 0
    assert int(node["wait_ps"]) == int(found.cpus["spin_ps"].sum()) > 0
    assert paid <= max(int(node["lock_at_ps"]), found.elapsed_ps)
    assert int(found.waits.sum()) == int(node["calls"]) <= zone.counters["lock"]
    assert int(node["worst_wait_ps"]) >= found.wait_percentile_ps(99) > 0


def test_the_same_seed_gives_the_same_run_and_another_does_not() -> None:
    def run(seed: int) -> tuple[Any, ...]:
        found = read_of(seed=seed, pages=4000)
        found.run()
        measures = found.lock_measures()
        return hashes(found.zones[0]), found.cpus.tolist(), measures

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_nodes_are_alike_but_their_own() -> None:
    found = read_of("remembered", nodes=2, pages=4000, seed=7)
    found.run()
    for node in range(2):
        check_pages(found, node)
        assert int(found.nodes["pages"][node]) > 3000
        assert int(found.nodes["reclaimed"][node]) > 0
    assert found.pages >= 8000
    assert found.pages == int(found.nodes["pages"].sum())
    assert len(found.task_pages()) == 16
    assert hashes(found.zones[0]) != hashes(found.zones[1])
    assert found.cpus["node"].tolist() == [0] * 9 + [1] * 9
    busy = found.cpus["hold_ps"].reshape(2, 9).sum(axis=1)
    assert busy.tolist() == found.nodes["busy_ps"].tolist()


def test_a_run_by_time() -> None:
    whole = read_of(pages=6000)
    whole.run()
    seconds = whole.elapsed_ps / 2e12
    half = read_of(pages=6000, seconds=seconds)
    half.run()
    assert int(half.smp["now_ps"][0]) <= seconds * 1e12
    assert 0.2 < half.pages / whole.pages < 0.8
    assert whole.pages >= 6000 > whole.pages - 32


def dd_of(strategy: str, **params: Any) -> Simulation:
    config = ZoneConfig(pages=2048, cpus=2, max_page_order=8, pageblock_order=8)
    parameters = DdParameters(dd=3000, **params)
    return Simulation(IMX7D_DD, parameters, config, strategy, seed=1, costs=NOTHING)


@pytest.mark.parametrize("unmov", [0.0, 1.0])
def test_a_machine_without_memory_says_so(unmov: float) -> None:
    """At the start if the boot finds none, later if there is nothing to reclaim."""
    simulation = dd_of("none", unmov=unmov, recl=0, anon=0.9, file=0)
    with pytest.raises(SimulationError) as caught:
        simulation.run()
    assert str(caught.value) == (
        "workload 'imx7d-dd' on 'none': the zone has no page left and nothing to "
        "reclaim: give it more pages, or a strategy that falls back"
    )
    assert caught.value.exit_status == 7


def test_a_machine_that_reclaims_goes_on() -> None:
    simulation = dd_of("tight-fallback")
    simulation.run()
    assert simulation.pages == 3000
    simulation.zones[0].check()


STEPS = """
@jit
def start(smp, cpu, node, st, fallback):
    smp.now_ps = 0

@jit
def step(smp, cpu, node, st, fallback):
    BODY
"""
MISTAKES = {
    "field": ("cpu.t_ps += st.holds_ps", "st has no field 'holds_ps': did you mean"),
    "clock": ("cpu.tps += 1", "cpu has no field 'tps': did you mean 't_ps'?"),
    "name": ("cpu.t_ps += drow(smp)", "name 'drow' is not defined"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_in_a_step_are_named(tmp_path: Path, case: str) -> None:
    body, words = MISTAKES[case]
    step = module_of(tmp_path, STEPS.replace("BODY", body)).step
    with pytest.raises(PluginError) as caught:
        turns_of(2, step=step)
    message = str(caught.value)
    assert message.startswith(f"workload 'turns': {tmp_path}")
    assert f"{step.__module__}.py, line 11: {words}" in message
    assert caught.value.exit_status == 3


def test_a_step_with_other_parameters(tmp_path: Path) -> None:
    module = module_of(tmp_path, "@jit\ndef step(smp, cpu):\n    cpu.t_ps += 1\n")
    with pytest.raises(PluginError, match="takes 2 parameters: it is called with 5"):
        turns_of(2, step=module.step)


@pytest.mark.slow
def test_what_only_the_compiler_finds_in_a_step(tmp_path: Path) -> None:
    step = module_of(tmp_path, STEPS.replace("BODY", "cpu.t_ps += 'long'")).step
    if ENABLED:
        with pytest.raises(PluginError) as caught:
            turns_of(2, step=step)
        message = str(caught.value)
        assert message.startswith("workload 'turns' does not compile: ")
        assert "line 11: " in message
        assert len(message) < 600


def test_a_strategy_that_cheats_stops_the_machine(tmp_path: Path) -> None:
    strategy = strategy_of(tmp_path, "return zone.start")
    config = ZoneConfig(pages=2048, cpus=2, max_page_order=8, pageblock_order=8)
    simulation = Simulation(
        IMX7D_DD, DdParameters(dd=100), config, strategy, seed=1, costs=NOTHING
    )
    with pytest.raises(StrategyError, match="still free or in use elsewhere"):
        simulation.run()


STUCK = """
from rmqueue.mm.smp import zone_of

@jit
def start(smp, cpu, node, st, fallback):
    cpu.t_ps = 0

@jit
def step(smp, cpu, node, st, fallback):
    zone = zone_of(node)
    while smp.rng != 0:
        smp.rng = smp.rng * 3 | 1
    cpu.t_ps += 1
"""


@pytest.mark.skipif(not ENABLED, reason="only compiled code counts its steps")
def test_a_step_that_does_not_end_is_the_workloads(tmp_path: Path) -> None:
    module = module_of(tmp_path, STUCK)
    workload = StepWorkload(
        name="stuck",
        summary="Stuck.",
        parameters=NoParameters,
        numbers=lambda params, zone: {},
        start=module.start,
        step=module.step,
        pages=lambda params: 10,
    )
    config = ZoneConfig(pages=2048)
    simulation = Simulation(
        workload, NoParameters(), config, "none", seed=1, costs=NOTHING
    )
    with pytest.raises(PluginError) as raised:
        simulation.run()
    message = str(raised.value)
    assert message.startswith("workload 'stuck': ")
    assert "line 14: a loop that does not end" in message
