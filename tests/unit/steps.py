"""Tiny step workloads, and machines that run them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from rmqueue.config import ZoneConfig
from rmqueue.cost import Costs, costs_of
from rmqueue.mm.jit import jit
from rmqueue.mm.random import draw
from rmqueue.mm.smp import charge, cpu_of, zone_of
from rmqueue.registry import default_registry
from rmqueue.simulation import Simulation
from rmqueue.testing.golden import VARIANTS
from rmqueue.types import ENDLESS_PS, StepWorkload
from rmqueue_plugins.lru_file_mmap_read import LRU_FILE_MMAP_READ, ReadParameters

NOTHING = Costs({})


class Turns(BaseModel):
    """Parameters of the workloads below."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pages: int = Field(default=100, description="Steps of a node [steps].")
    skip: int = Field(default=0, description="Steps before statistics [steps].")
    limit_ps: int = Field(default=ENDLESS_PS, description="End of the run [ps].")
    hold_ps: int = Field(default=1000, description="Hold of each step [ps].")
    think_ps: int = Field(default=5000, description="Mean time without lock [ps].")


@jit
def start_turns(smp: Any, cpu: Any, node: Any, st: Any, fallback: Any) -> None:
    """Let the CPUs begin at times of their own."""
    for index in range(smp.nr_cpus):
        cpu_of(smp, index).t_ps = st.think_ps * st.gaps[draw(smp) & 1023] >> 10


@jit
def step_turns(smp: Any, cpu: Any, node: Any, st: Any, fallback: Any) -> None:
    """Hold the lock for a fixed time, then think; keep who came, and when."""
    if st.turns < 4096:
        st.who[st.turns] = cpu.cpu + (cpu.node << 16)
        st.when[st.turns] = cpu.t_ps
    st.turns += 1
    zone = zone_of(node)
    before = zone.hold_total_ps
    zone.hold_total_ps += st.hold_ps
    charge(cpu, node, before)
    think = st.think_ps * st.gaps[draw(smp) & 1023] >> 10
    cpu.t_ps += think
    cpu.objects += think
    smp.pages += 1
    node.pages += 1
    cpu.pages += 1


def turns(
    cpus: int, step: Callable[..., Any] = step_turns, **fields: Any
) -> StepWorkload:
    """CPUs that take turns at a lock; set `gaps` [1/1024 of the mean] before a run."""
    values: dict[str, Any] = {
        "name": "turns",
        "summary": "Lock and think.",
        "parameters": Turns,
        "numbers": lambda p, zone: {"hold_ps": p.hold_ps, "think_ps": p.think_ps},
        "start": start_turns,
        "step": step,
        "pages": lambda p: int(p.pages),
        "skip_pages": lambda p: int(p.skip),
        "limit_ps": lambda p: int(p.limit_ps),
        "task_cpus": lambda zone: cpus,
        "state": (
            *(("turns", "i8"), ("gaps", "1024i8")),
            *(("who", "4096i8"), ("when", "4096i8")),
        ),
    }
    return StepWorkload(**{**values, **fields})


def turns_of(
    cpus: int,
    *,
    step: Callable[..., Any] = step_turns,
    seed: int = 1,
    nodes: int = 1,
    costs: Costs = NOTHING,
    **params: int,
) -> Simulation:
    """A machine whose CPUs take turns; nobody thinks longer than another."""
    simulation = Simulation(
        turns(cpus, step),
        Turns(**params),
        ZoneConfig(pages=64, pageblock_order=4, max_page_order=4),
        "none",
        seed=seed,
        nodes=nodes,
        costs=costs,
    )
    simulation.state["gaps"] = 1024
    return simulation


#: A node so small that it is full after a moment; reads that drain, claim and steal.
TINY_NODE = {
    "pages": 4096,
    "cpus": 9,
    "min_free_kbytes": 512,
    "pageblock_order": 7,
    "max_page_order": 7,
}
TINY_READ: Mapping[str, Any] = {
    "pages": 12_000,
    "z": 2000,
    "kswapd": 30_000,
    "chunks": 1,
    "rotate": 0.5,
    "page_table": 32,
    "slab_node": 8,
    "unmov": 0.06,
    "recl": 0.05,
}


def read_of(
    variant: str = "smallest",
    *,
    seed: int = 1,
    nodes: int = 1,
    zone: Mapping[str, Any] | None = None,
    **params: Any,
) -> Simulation:
    """The workload lru-file-mmap-read on a tiny node, at the costs of LKP's server."""
    kernel, strategy = VARIANTS[variant]
    config = ZoneConfig.model_validate({**TINY_NODE, **(zone or {}), "kernel": kernel})
    machine = default_registry().machine("lkp-cpl-4sp2")
    return Simulation(
        LRU_FILE_MMAP_READ,
        ReadParameters(**{**TINY_READ, **params}),
        config,
        strategy,
        seed=seed,
        nodes=nodes,
        costs=costs_of(machine, strategy, {}),
    )
