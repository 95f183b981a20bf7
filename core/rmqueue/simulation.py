"""Run a step workload: nodes with a zone each, CPUs, and one jitted call.

The memory of a run is that of its zones and twelve bytes a page for queues.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from rmqueue.binding import not_kept, record_type, wrong_with
from rmqueue.config import StrategyConfig, ZoneConfig
from rmqueue.cost import Costs
from rmqueue.diagnosis import STEP_PARAMETERS, compiler_words, sources
from rmqueue.errors import PluginError, SimulationError
from rmqueue.faults import all_asked, place_of, raised
from rmqueue.measures import HoldStats
from rmqueue.mm.queue import QUEUE
from rmqueue.mm.random import seeded
from rmqueue.mm.smp import ASLEEP, CPU, NODE, SMP, run_smp
from rmqueue.mm.strategy import compile_step
from rmqueue.mm.vmstat import HISTOGRAM_BUCKETS
from rmqueue.runner import Fallback
from rmqueue.samples import Sampler
from rmqueue.storage import big_array
from rmqueue.types import ENDLESS_PS, StepWorkload, Strategy
from rmqueue.zone import Zone

QUEUES = ("lru", "slabs", "boot")
NODE_STATISTICS = (
    *("busy_ps", "wait_ps", "worst_wait_ps", "calls", "waits"),
    *("wakeups", "drains", "reclaimed", "stalls", "pages"),
)
#: Steps in one jitted call: about a second.
SLICE_EVENTS = 1 << 20


class Simulation:
    """A machine, ready to run a workload.

    Parameters
    ----------
    workload : StepWorkload
        What its CPUs do.
    params : pydantic.BaseModel
        Checked parameters of the workload.
    zone : ZoneConfig
        The zone of each node.
    strategy : str, Strategy or StrategyConfig
        What the zones fall back on.
    seed : int
        Seed of all random numbers.
    nodes : int
        Nodes, each with a zone, a lock and CPUs of its own.
    costs : Costs
        What work under a lock costs, and handing it over.

    Attributes
    ----------
    zones : tuple of Zone
        One per node.
    """

    def __init__(
        self,
        workload: StepWorkload,
        params: Any,
        zone: ZoneConfig,
        strategy: str | Strategy | StrategyConfig,
        *,
        seed: int,
        costs: Costs,
        nodes: int = 1,
    ) -> None:
        self.workload, self.params, self._begun = workload, params, False
        self.zones = tuple(Zone(zone, strategy) for _ in range(nodes))
        for one in self.zones:
            one.set_weights(costs.weights_ps, costs.warm_scans)
        tasks = workload.task_cpus(zone)
        per_node = tasks + workload.kswapd_cpu
        self.cpus = np.zeros(nodes * per_node, CPU)
        self.nodes = np.zeros(nodes, NODE)
        self.waits = np.zeros((nodes, HISTOGRAM_BUCKETS), np.int64)
        self._queues = [self._make_queues(zone) for _ in range(nodes)]
        self._fill_nodes(per_node, costs.handover_ps)
        self.smp = self._machine(seed)
        self.state = self._state(zone)
        self._start = self._compiled(workload.start)
        self._step = self._compiled(workload.step)

    def _make_queues(self, zone: ZoneConfig) -> tuple[npt.NDArray[Any], list[Any]]:
        """Room for all pages of a zone in each queue, in memory that is lazy."""
        size = 1 << (zone.pages - 1).bit_length()
        entries = [big_array(size, np.uint32) for _ in QUEUES]
        queues = np.zeros(len(QUEUES), QUEUE)
        queues["entries"] = [array.ctypes.data for array in entries]
        queues["mask"] = size - 1
        return queues, entries

    def _fill_nodes(self, per_node: int, handover_ps: int) -> None:
        kswapd = per_node - 1 if self.workload.kswapd_cpu else -1
        for index, zone in enumerate(self.zones):
            queues = self._queues[index][0]
            node = self.nodes[index]
            node["zone"] = zone.address
            node["first_cpu"], node["cpus"] = index * per_node, per_node
            node["kswapd"], node["handover_ps"] = kswapd, handover_ps
            node["wait_histogram"] = self.waits[index].ctypes.data
            for place, name in enumerate(QUEUES):
                node[name] = queues.ctypes.data + place * QUEUE.itemsize
            mine = slice(index * per_node, (index + 1) * per_node)
            self.cpus["node"][mine] = index
            self.cpus["cpu"][mine] = np.arange(per_node)
            if kswapd >= 0:
                self.cpus["t_ps"][index * per_node + kswapd] = ASLEEP

    def _machine(self, seed: int) -> npt.NDArray[np.void]:
        leaves = 1 << (len(self.cpus) - 1).bit_length()
        self._tree = np.zeros(2 * leaves, np.int64)
        smp = np.zeros(1, SMP)
        values = {
            "cpus": self.cpus.ctypes.data,
            "nr_cpus": len(self.cpus),
            "nodes": self.nodes.ctypes.data,
            "nr_nodes": len(self.nodes),
            "tree": self._tree.ctypes.data,
            "leaves": leaves,
            "rng": seeded(seed),
            "limit_ps": ENDLESS_PS,
            "limit_pages": ENDLESS_PS,
        }
        for name, value in values.items():
            smp[name] = value
        return smp

    def _state(self, zone: ZoneConfig) -> npt.NDArray[np.void]:
        numbers = self.workload.numbers(self.params, zone)
        fields = [(name, "i8") for name in numbers]
        owner = f"workload {self.workload.name!r}"
        state = np.zeros(1, record_type(fields, self.workload.state, owner))
        for name, value in numbers.items():
            state[name] = value
        return state

    def _compiled(self, function: Callable[..., Any]) -> Fallback:
        """Compile a function of the workload, or say what is wrong with it."""
        name, dtype = f"workload {self.workload.name!r}", self.state.dtype
        found = wrong_with(function, dtype, STEP_PARAMETERS)
        if found:
            raise PluginError("\n".join(f"{name}: {words}" for words in found))
        try:
            return compile_step(function, dtype)
        except OSError as error:
            raise not_kept(error) from None
        except Exception as error:
            words = compiler_words(error, function)
            raise PluginError(f"{name} does not compile: {words}") from error

    def run(
        self,
        on_progress: Callable[[float], None] = lambda share: None,
        part: int = 1,
        sampler: Sampler | None = None,
    ) -> float:
        """Make the start, then run until pages or time are used up.

        Parameters
        ----------
        on_progress : callable
            Told the share of the run that is done, about once a second.
        part : int
            Stop after one part in so many of the workload's pages.
        sampler : Sampler or None
            Looks at the first zone on the way, at equal numbers of pages; at equal
            times if the workload ends by its clock.

        Returns
        -------
        float
            Thread CPU time of the run, without the start [s].

        Raises
        ------
        SimulationError
            The workload found no memory for what it cannot do without.
        """
        wanted = max(1, self.workload.pages(self.params) * len(self.nodes) // part)
        skipped = self.workload.skip_pages(self.params) * len(self.nodes) // part
        self._begin()
        begin = time.thread_time()
        limit_ps = self.workload.limit_ps(self.params)
        by_clock = wanted * part >= ENDLESS_PS
        if by_clock:
            limit_ps //= part
        if skipped:
            self._until(skipped, limit_ps, on_progress, wanted)
            self._forget()
        total = limit_ps if by_clock else wanted
        for point in sampler.points(total) if sampler else ():
            end = (wanted, point) if by_clock else (point, limit_ps)
            in_time = point > skipped and self._until(*end, on_progress, wanted)
            if in_time or by_clock:
                self._look(sampler, point / total)
        self._until(wanted, limit_ps, on_progress, wanted)
        self._look(sampler, 1.0)
        return time.thread_time() - begin

    def _look(self, sampler: Sampler | None, done: float) -> None:
        if sampler is not None and sampler.count:
            events = int(self.smp["events"][0])
            sampler.look(self.zones[0], done, events, self.elapsed_ps / 1e12)

    def take_steps(self, events: int) -> int:
        """Take so many steps, after the start if nothing was done yet.

        Parameters
        ----------
        events : int
            Steps at most; fewer if pages or time are used up [steps].

        Returns
        -------
        int
            Steps taken [steps].

        Raises
        ------
        SimulationError
            As `run`.
        """
        if not self._begun:
            self._begin()
            self.smp["limit_pages"] = self.workload.pages(self.params)
            self.smp["limit_ps"] = self.workload.limit_ps(self.params)
        return self._advance(self._step, events)

    @property
    def elapsed_ps(self) -> int:
        """Time on the machine's clock since statistics began [ps]."""
        return int(self.smp["now_ps"][0]) - self._began_ps

    @property
    def pages(self) -> int:
        """Pages that the workload has got since statistics began, all nodes [pages]."""
        return int(self.smp["pages"][0]) - self._pages_before

    def _begin(self) -> None:
        """Make the start, which is not measured."""
        self._begun = True
        self._advance(self._start, events=1)
        self._forget()

    def _until(
        self,
        pages: int,
        limit_ps: int,
        on_progress: Callable[[float], None],
        wanted: int,
    ) -> bool:
        """Run until so many pages were taken (True), or the time is over."""
        self.smp["limit_pages"], self.smp["limit_ps"] = pages, limit_ps
        while True:
            done = self._advance(self._step, SLICE_EVENTS)
            taken, now = int(self.smp["pages"][0]), int(self.smp["now_ps"][0])
            on_progress(min(1.0, max(taken / wanted, now / limit_ps)))
            if done < SLICE_EVENTS:
                return taken >= pages

    def _forget(self) -> None:
        """Begin statistics anew."""
        for zone in self.zones:
            zone.forget_work()
        for name in ("stalls", "spin_ps", "hold_ps", "calls"):
            self.cpus[name] = 0
        for name in NODE_STATISTICS:
            self.nodes[name] = 0
        self.waits[:] = 0
        self.smp["events"] = 0
        self._began_ps = int(self.smp["now_ps"][0])
        self._pages_before = int(self.smp["pages"][0])
        self._task_pages_before = self.cpus["pages"].copy()

    def _advance(self, step: Fallback, events: int) -> int:
        """Take so many steps, or fewer if the run is over; how many."""
        self.smp["limit_events"] = events
        fallback = self.zones[0].fallback
        with all_asked(self.zones):
            try:
                state = self.state.ctypes.data
                done = run_smp(self.smp.ctypes.data, step, state, fallback)
            except Exception as error:
                self._refuse_own(error)
                raise
        if self.smp["failed"][0]:
            raise SimulationError(
                f"workload {self.workload.name!r} on {self.zones[0].strategy.name!r}: "
                "the zone has no page left and nothing to reclaim: give it more pages, "
                "or a strategy that falls back"
            )
        return int(done)

    def _refuse_own(self, error: Exception) -> None:
        """Name the workload if what was raised comes from its own code.

        Raises
        ------
        PluginError
            It does.
        """
        function = self.workload.step
        own = {s.function.__code__.co_filename for s in sources(function, set())}
        strategy = sources(self.zones[0].strategy.fallback, set())
        own -= {s.function.__code__.co_filename for s in strategy}
        if place_of(function, error)[0] in own:
            words = raised(function, error, "move the clock of the CPU")
            raise PluginError(f"workload {self.workload.name!r}: {words}") from error

    def task_pages(self) -> npt.NDArray[np.int64]:
        """Pages that each task has got since statistics began [pages]."""
        pages: npt.NDArray[np.int64] = self.cpus["pages"] - self._task_pages_before
        if not self.workload.kswapd_cpu:
            return pages
        return pages.reshape(len(self.nodes), -1)[:, :-1].ravel()

    def lock_measures(self) -> dict[str, float]:
        """Throughput, and what the zone locks did to it; empty without a clock."""
        elapsed, pages = self.elapsed_ps, self.pages
        if not int(self.nodes["calls"].sum()) or not pages:
            return {}
        cpus = len(self.cpus) * elapsed
        counters = [zone.counters for zone in self.zones]
        return {
            "elapsed_s": elapsed / 1e12,
            "pages_per_s": pages / elapsed * 1e12 / len(self.nodes),
            "median_task_pages_per_s": float(
                np.median(self.task_pages()) / elapsed * 1e12
            ),
            "spin_share_pct": 100 * int(self.cpus["spin_ps"].sum()) / cpus,
            "lock_utilisation_pct": 100
            * int(self.nodes["busy_ps"].sum())
            / (elapsed * len(self.nodes)),
            "hold_per_page_ns": int(self.nodes["busy_ps"].sum()) / pages / 1000,
            "worst_wait_us": int(self.nodes["worst_wait_ps"].max()) / 1e6,
            "p99_wait_us": self.wait_percentile_ps(99) / 1e6,
            "claims_per_kpage": sum(c["claim_try"] for c in counters) / pages * 1000,
            "steals_per_kpage": sum(c["steal"] for c in counters) / pages * 1000,
            "claim_attempts": float(sum(c["claim_try"] for c in counters)),
            "pages_stolen": float(sum(c["steal"] for c in counters)),
            "free_pages": float(sum(zone.nr_free for zone in self.zones)),
            "pages_per_stall": pages / max(1, int(self.nodes["stalls"].sum())),
            "drains_per_s": int(self.nodes["drains"].sum()) / (elapsed / 1e12),
            "machine_events": float(self.smp["events"][0]),
        }

    def wait_percentile_ps(self, q: float) -> int:
        """Wait for a zone lock that `q` percent of the calls do not exceed [ps]."""
        histogram = self.waits.sum(axis=0)
        waits = HoldStats(
            count=int(histogram.sum()),
            total_ps=int(self.nodes["wait_ps"].sum()),
            worst_ps=int(self.nodes["worst_wait_ps"].max()),
            worst_counters={},
            histogram=histogram,
        )
        return waits.percentile_ps(q)
