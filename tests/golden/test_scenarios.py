"""The scenario imx7d-dd: what a C prototype over the kernel's own code answered."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rmqueue.config import ZoneConfig
from rmqueue.cost import costs_of
from rmqueue.mm.vmstat import COUNTERS, NR_COUNTERS
from rmqueue.registry import default_registry
from rmqueue.simulation import Simulation
from rmqueue.testing.golden import VARIANTS
from rmqueue_plugins.imx7d_dd import IMX7D_DD, DdParameters
from tests.golden.vectors import DATA
from tests.unit.zones import hashes

LINES = tuple(
    json.loads(line) for line in (DATA / "imx7d-dd.jsonl").read_text().splitlines()
)
#: The file gives a seed to each block of variants, in order.
SEEDS = (1, 2)


def golden_runs() -> list[Any]:
    """Return variant, seed and line; minutes each without the JIT."""
    return [
        pytest.param(line, SEEDS[at // len(VARIANTS)], id=f"{line['golden']}-{at}")
        for at, line in enumerate(LINES)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("line", "seed"), golden_runs())
def test_scenario_is_exact(line: dict[str, Any], seed: int) -> None:
    kernel, strategy = VARIANTS[line["golden"]]
    config = ZoneConfig(
        pages=49_152, cpus=2, kernel=kernel, max_page_order=11, pageblock_order=11
    )
    machine = default_registry().machine("imx7d-sdb")
    simulation = Simulation(
        IMX7D_DD,
        DdParameters(dd=100_000),
        config,
        strategy,
        seed=seed,
        costs=costs_of(machine, strategy, {}),
    )
    simulation.run()
    zone, state = simulation.zones[0], simulation.state[0]
    assert [zone.counters[name] for name in COUNTERS] == line["cnt"]
    assert zone.nr_free == line["free"]
    assert zone.watermarks["boost"] == line["boost"]
    assert state["worst"].tolist()[:NR_COUNTERS] == line["worst_cnt"]
    assert state["worst_at"] == line["worst_i"]
    assert state["worst_pages"] == line["worst_got"]
    assert int(state["worst_ps"]) == round(line["worst_us"] * 1e6)
    assert [f"{value:016x}" for value in hashes(zone)] == line["hash"]
    zone.check()


def test_every_variant_has_a_line_per_seed() -> None:
    assert [line["golden"] for line in LINES] == [*VARIANTS] * len(SEEDS)
