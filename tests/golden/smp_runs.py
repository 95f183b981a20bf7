"""Small runs of the multi-CPU loop, and the file of what they gave.

The simulator's own golden: no kernel answered these.  It keeps results the same with
the JIT and without, and from one version to the next.  After a change that is meant to
change them::

    python -m tests.golden.smp_runs
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from rmqueue.config import ZoneConfig
from rmqueue.cost import costs_of
from rmqueue.registry import default_registry
from rmqueue.simulation import NODE_STATISTICS, QUEUES, Simulation
from rmqueue.testing.golden import VARIANTS
from rmqueue_plugins.imx7d_dd import IMX7D_DD, DdParameters
from tests.golden.vectors import DATA
from tests.unit.steps import read_of
from tests.unit.zones import hashes

FILE = DATA / "smp.json"


def dd_of(variant: str) -> Simulation:
    """The workload imx7d-dd on a tiny board."""
    kernel, strategy = VARIANTS[variant]
    config = ZoneConfig(
        pages=8192, cpus=2, kernel=kernel, max_page_order=8, pageblock_order=8
    )
    machine = default_registry().machine("imx7d-sdb")
    costs = costs_of(machine, strategy, {})
    params = DdParameters(dd=6000, freed=0.3)
    return Simulation(IMX7D_DD, params, config, strategy, seed=4, costs=costs)


#: Each is run anew: what is asked of a machine, by name.
RUNS: dict[str, Callable[[], Simulation]] = {
    **{f"read, {variant}": partial(read_of, variant) for variant in VARIANTS},
    "read, two nodes": lambda: read_of("remembered", nodes=2, seed=9, pages=7000),
    "read, after a skip": lambda: read_of("smallest", skip=9000),
    **{f"dd, {variant}": partial(dd_of, variant) for variant in VARIANTS},
}


def figures(simulation: Simulation) -> dict[str, Any]:
    """Run a simulation, and return what came of it."""
    simulation.run()
    smp, state = simulation.smp[0], simulation.state[0]
    names = [name for name in state.dtype.names or () if name.startswith("worst")]
    return {
        "machine": {n: int(smp[n]) for n in ("now_ps", "events", "pages", "rng")},
        "nodes": [
            {
                **{name: int(node[name]) for name in NODE_STATISTICS},
                **{
                    q: int(simulation._queues[at][0]["count"][i])
                    for i, q in enumerate(QUEUES)
                },
                "hashes": [f"{value:016x}" for value in hashes(zone)],
                "counters": zone.counters,
                "free": zone.nr_free,
                "boost": zone.watermarks["boost"],
                "holds_ps": [zone.holds.total_ps, zone.holds.worst_ps],
            }
            for at, (node, zone) in enumerate(
                zip(simulation.nodes, simulation.zones, strict=True)
            )
        ],
        "cpus": {
            name: simulation.cpus[name].tolist()
            for name in ("t_ps", "pages", "stalls", "spin_ps", "hold_ps", "calls")
        },
        "worst": {name: state[name].tolist() for name in names},
    }


def main() -> None:
    """Write the file anew."""
    lines = [
        f"{json.dumps(name)}: {json.dumps(figures(run()))}"
        for name, run in RUNS.items()
    ]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
