"""An experiment that starts a step workload on simulated nodes."""

from __future__ import annotations

import hashlib
from typing import Any

from rmqueue.config import ZoneConfig
from rmqueue.errors import ConfigError, PluginError, RmqueueError
from rmqueue.measures import HoldStats
from rmqueue.outcomes import (
    fallback_fields,
    refuse_disorder,
    state_fields,
    summary,
)
from rmqueue.results import Outcome
from rmqueue.simulation import Simulation
from rmqueue.start import QUICK_PART, Job, Start
from rmqueue.types import StepWorkload


class StepStart(Start):
    """A workload of steps, on one node of a machine.

    Parameters
    ----------
    zone : ZoneConfig
        The zone of the node; the kernel profile is that of each job.
    workload : StepWorkload
        What its CPUs do.
    params : pydantic.BaseModel
        Its parameters.
    nodes : int
        Nodes of the machine; one is simulated, the others are like it [nodes].
    source : str
        What messages call the experiment.
    """

    seeded = True
    parallel = True

    def __init__(
        self,
        zone: ZoneConfig,
        workload: StepWorkload,
        params: Any,
        nodes: int = 1,
        source: str = "experiment",
    ) -> None:
        self.zone, self.workload, self.params = zone, workload, params
        self.nodes, self.source = nodes, source

    def describe(self) -> str:
        """Say in words what is run."""
        mib = self.zone.pages >> 8
        tasks = self.workload.task_cpus(self.zone)
        words = "task CPU" if tasks == 1 else "task CPUs"
        return f"workload {self.workload.name}, {mib:,} MiB, {tasks} {words}"

    @property
    def max_page_order(self) -> int:
        """Order of the largest block of the zone."""
        return self.zone.max_page_order

    def check(self, seed: int | None) -> None:
        """Have the workload work its numbers out."""
        try:
            self.workload.numbers(self.params, self.zone)
        except ConfigError as error:
            raise ConfigError(f"{self.source}: {error}") from None
        except RmqueueError:
            raise
        except Exception as error:
            raise PluginError(
                f"workload {self.workload.name!r} failed: "
                f"{type(error).__name__}: {error}"
            ) from error

    def outcomes(self, job: Job) -> list[tuple[Outcome, HoldStats]]:
        """Run the workload."""
        config = self.zone.model_copy(update={"kernel": job.kernel})
        simulation = Simulation(
            self.workload,
            self.params,
            config,
            job.strategy,
            seed=int(job.seed or 0),
            costs=job.costs,
        )
        part = QUICK_PART if job.quick else 1
        seconds = simulation.run(job.on_progress, part, job.sampler)
        for zone in simulation.zones if job.check else ():
            refuse_disorder(zone)
        zone = simulation.zones[0]
        outcome = Outcome(
            ops=int(simulation.smp["events"][0]),
            seconds=seconds,
            asked=simulation.pages,
            served=simulation.pages,
            counters=zone.counters,
            holds=summary(zone.holds),
            misuse={},
            measures={
                "machine_nodes": float(self.nodes),
                **simulation.lock_measures(),
                **self.workload.measures(simulation),
            },
            **fallback_fields(zone.fallbacks),
            **state_fields(config, zone, job.orders),
        )
        return [(outcome, zone.holds)]

    def digest(self, seed: int | None) -> str:
        """SHA-256 of zone, workload, parameters and seed."""
        zone = self.zone.model_dump_json(exclude={"kernel"})
        params = self.params.model_dump_json()
        text = f"{self.workload.name} {zone} {params} {seed}"
        return hashlib.sha256(text.encode()).hexdigest()

    def quick_note(self) -> str:
        """Say what a quick comparison leaves out."""
        return (
            "quick: only the first quarter of the pages, and one seed; fragmentation "
            "needs time, so this says little of the whole"
        )
