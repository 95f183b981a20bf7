"""How fast the multi-CPU loop is: bare, and under a published regression."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.choice import QUICK

try:
    from rmqueue.config import ZoneConfig
    from rmqueue.cost import costs_of
    from rmqueue.mm.jit import jit
    from rmqueue.mm.random import draw
    from rmqueue.mm.smp import charge, zone_of
    from rmqueue.registry import default_registry
    from rmqueue.simulation import Simulation
    from rmqueue.testing.golden import VARIANTS
    from rmqueue.types import NoParameters, StepWorkload
except ImportError:  # an earlier rmqueue
    HAVE_SMP = False
else:
    HAVE_SMP = True

#: Steps of the bare loop, and pages of a reading node [pages].
STEPS, READ = (40_000, 40_000) if QUICK else (4_000_000, 4_000_000)
#: An eighth of one of LKP's nodes.
EIGHTH = {"pages": 1_572_864, "cpus": 57, "min_free_kbytes": 4224}


def bare_workload(cpus: int) -> StepWorkload:
    """A step is one lock hold of 10 ns, and 1 to 2 us on one's own."""

    @jit
    def start(smp: Any, cpu: Any, node: Any, st: Any, fallback: Any) -> None:
        smp.now_ps = 0

    @jit
    def step(smp: Any, cpu: Any, node: Any, st: Any, fallback: Any) -> None:
        zone = zone_of(node)
        before = zone.hold_total_ps
        zone.hold_total_ps += 1000
        charge(cpu, node, before)
        cpu.t_ps += 1_000_000 + (draw(smp) & 0xFFFFF)
        smp.pages += 1

    return StepWorkload(
        name="bare",
        summary="One lock hold a step.",
        parameters=NoParameters,
        numbers=lambda parameters, zone: {"unused": 0},
        start=start,
        step=step,
        pages=lambda parameters: STEPS,
        task_cpus=lambda zone: cpus,
    )


def bare_simulation(cpus: int) -> Simulation:
    """A machine that does nothing else."""
    return Simulation(
        bare_workload(cpus),
        NoParameters(),
        ZoneConfig(pages=2048),
        "none",
        seed=1,
        costs=costs_of(None, "none", {}),
    )


def simulation_of(
    workload: str, machine: str, variant: str, params: dict[str, Any], **zone: Any
) -> Simulation:
    """A simulation of an installed workload on an installed machine."""
    registry = default_registry()
    kernel, strategy = VARIANTS[variant]
    found, on = registry.workload(workload), registry.machine(machine)
    assert isinstance(found, StepWorkload)
    config = ZoneConfig.model_validate({**on.zone, **zone, "kernel": kernel})
    costs = costs_of(on, strategy, {})
    checked = found.parameters(**params)
    return Simulation(found, checked, config, strategy, seed=1, costs=costs)


def reading(variant: str, pages: int) -> Simulation:
    """An eighth of one of LKP's nodes that reads so many pages."""
    params = {"pages": pages}
    return simulation_of(
        "lru-file-mmap-read", "lkp-cpl-4sp2", variant, params, **EIGHTH
    )


class Loop:
    """The bare loop: who is next, its step, and its place in the tournament."""

    params = (16,) if QUICK else (16, 56, 224)
    param_names = ("cpus",)
    timer = staticmethod(time.thread_time)
    number, warmup_time, timeout, version = 1, 0, 300, "1"

    def setup(self, cpus: int) -> None:
        if not HAVE_SMP:
            raise NotImplementedError("no multi-CPU loop in this version")
        bare_simulation(cpus).run(part=STEPS)  # compile
        self.simulation = bare_simulation(cpus)

    def time_loop(self, cpus: int) -> None:
        self.simulation.run()

    def track_events_per_second(self, cpus: int) -> float:
        seconds = self.simulation.run()
        return float(self.simulation.smp["events"][0] / seconds)


Loop.track_events_per_second.unit = "1/s"  # type: ignore[attr-defined]


class Read:
    """lru-file-mmap-read on an eighth of a node of LKP's server."""

    params = ("remembered",) if QUICK else ("hygiene", "smallest", "remembered")
    param_names = ("variant",)
    unit, timeout, version = "ns", 300, "1"

    def setup(self, variant: str) -> None:
        if not HAVE_SMP:
            raise NotImplementedError("no multi-CPU loop in this version")
        self.simulation = reading(variant, READ)
        reading(variant, 1).run()  # compile

    def track_ns_per_page(self, variant: str) -> float:
        return self.simulation.run() / READ * 1e9
