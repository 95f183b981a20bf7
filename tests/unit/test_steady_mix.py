"""Hours of a server's life: pages are conserved, the day goes up and down."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rmqueue.config import ZoneConfig
from rmqueue.errors import ConfigError
from rmqueue.mm.mmzone import PAGE_ORDER
from rmqueue.samples import Sampler
from rmqueue.simulation import QUEUES, Simulation
from rmqueue_plugins.steady_mix import STEADY_MIX, SteadyParameters, steady_state
from tests.unit.steps import NOTHING

ZONE = ZoneConfig(pages=8192, cpus=2, pageblock_order=6, max_page_order=8)
HOUR = SteadyParameters(hours=1.0, rate=40.0, period=0.25, huge=0.01)


def machine(params: SteadyParameters = HOUR, seed: int = 1, **zone: Any) -> Simulation:
    config = ZONE.model_copy(update=zone)
    return Simulation(
        STEADY_MIX, params, config, "remembered-fallback", seed=seed, costs=NOTHING
    )


def pages_held(simulation: Simulation) -> int:
    """Pages on the queues, by the order of each block."""
    zone = simulation.zones[0]
    records, entries = simulation._queues[0]
    pages = 0
    for at in range(len(QUEUES)):
        head, count = int(records["head"][at]), int(records["count"][at])
        mask = int(records["mask"][at])
        blocks = entries[at][(head + np.arange(count)) & mask]
        pages += int((1 << (zone._storage.meta[blocks] & PAGE_ORDER)).sum())
    return pages


def test_no_page_is_lost() -> None:
    simulation = machine()
    simulation.run()
    zone = simulation.zones[0]
    zone.check()
    per_cpu = sum(zone.pcp(cpu)["count"] for cpu in range(ZONE.cpus))
    assert pages_held(simulation) + zone.nr_free + per_cpu == zone.managed


def test_the_day_goes_up_and_down_and_ends_by_the_clock() -> None:
    sampler, simulation = Sampler(32), machine()
    simulation.run(sampler=sampler)
    times = np.array([sample.time_s for sample in sampler.samples])
    assert times == pytest.approx(np.linspace(112.5, 3600, 32), abs=2)
    used = 1 - np.array([sum(s.free_pages) for s in sampler.samples]) / ZONE.pages
    phase = times / 900 % 1
    full, ebb = used[np.abs(phase - 0.5) < 0.07], used[(phase < 0.07) | (phase > 0.93)]
    assert full.min() > 0.9
    assert ebb[1:].max() < 0.9  # the first is boot


def test_looking_changes_nothing_and_a_quick_run_is_a_quarter() -> None:
    runs = []
    for sampler in (None, Sampler(9)):
        simulation = machine()
        simulation.run(sampler=sampler)
        runs.append((simulation.zones[0].counters, simulation.state.tobytes()))
    assert runs[0] == runs[1]
    quick = machine()
    quick.run(part=4)
    assert quick.elapsed_ps == pytest.approx(900e12, rel=0.01)


def test_seeds_differ_and_repeat() -> None:
    counters = []
    for seed in (1, 1, 2):
        simulation = machine(seed=seed)
        simulation.run()
        counters.append(simulation.zones[0].counters)
    assert counters[0] == counters[1] != counters[2]


def test_what_is_measured() -> None:
    simulation = machine()
    simulation.run()
    found = dict(STEADY_MIX.measures(simulation))
    assert found["huge_asked_pages"] > 100
    assert 0 < found["huge_got_pct"] <= 100
    assert found["simulated_hours"] == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"low": 0.9, "high": 0.9}, "low: must be below high, 0.9 (found 0.9)"),
        ({"cache": 0.95}, "cache, huge and twice kernel exceed 1 together"),
    ],
)
def test_shares_that_cannot_be(fields: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        steady_state(SteadyParameters(**fields), ZONE)
    assert words in str(caught.value)
