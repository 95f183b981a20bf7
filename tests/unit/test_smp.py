"""The multi-CPU loop against one that looks at every CPU before each step."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from rmqueue import simulation as simulation_module
from rmqueue.cost import Costs
from rmqueue.mm.jit import ENABLED, jit
from rmqueue.mm.smp import ASLEEP, cpu_of, reschedule
from rmqueue.mm.vmstat import HISTOGRAM_BUCKETS, bucket_floor_ps
from rmqueue.simulation import Simulation
from tests.unit.steps import turns_of
from tests.unit.xorshift import Xorshift


@dataclass
class Plain:
    """CPUs that take turns at the lock of their node, without a tree."""

    cpus: int
    nodes: int
    hold: int
    handover: int
    think: int
    gaps: list[int]
    seed: int
    who: list[int] = field(default_factory=list)
    when: list[int] = field(default_factory=list)
    waits: list[int] = field(default_factory=list)

    def gap(self) -> int:
        return self.think * self.gaps[self.random.bits() & 1023] >> 10

    def run(self, steps: int) -> None:
        self.random = Xorshift(self.seed)
        self.t = [self.gap() for _ in range(self.cpus * self.nodes)]
        self.lock_at = [0] * self.nodes
        self.queued = [0] * self.nodes
        for _ in range(steps):
            index = min(range(len(self.t)), key=lambda k: (self.t[k], k))
            node, cpu = divmod(index, self.cpus)
            self.who.append(cpu + (node << 16))
            self.when.append(self.t[index])
            start = self.t[index]
            if self.hold:
                if self.lock_at[node] > start:
                    start = self.lock_at[node] + self.handover
                    self.queued[node] += 1
                self.waits.append(start - self.t[index])
                self.lock_at[node] = start + self.hold
            self.t[index] = start + self.hold + self.gap()


def histogram_of(waits: list[int]) -> list[int]:
    """Waits per bucket."""
    floors = [bucket_floor_ps(bucket) for bucket in range(HISTOGRAM_BUCKETS)]
    counts = [0] * HISTOGRAM_BUCKETS
    for wait in waits:
        counts[bisect_right(floors, wait) - 1] += 1
    return counts


GAPS = {
    "all alike": [1024] * 1024,
    "two kinds": [0, 2048] * 512,
    "many": [(7919 * i) % 2048 for i in range(1024)],
}


@pytest.mark.parametrize("gaps", GAPS)
@pytest.mark.parametrize(
    ("cpus", "nodes", "hold", "handover", "think"),
    [
        (1, 1, 1000, 300, 5000),
        (2, 1, 1000, 0, 10),
        (3, 1, 1000, 300, 0),
        (5, 1, 0, 300, 1000),
        (7, 3, 900, 100, 2000),
        (16, 1, 1, 1, 20),
        (33, 2, 1000, 300, 40_000),
    ],
)
def test_the_loop_is_exact(
    gaps: str, cpus: int, nodes: int, hold: int, handover: int, think: int
) -> None:
    steps = 600
    plain = Plain(cpus, nodes, hold, handover, think, GAPS[gaps], seed=3)
    plain.run(steps)
    found = turns_of(
        cpus,
        seed=3,
        nodes=nodes,
        costs=Costs({}, handover_ps=handover),
        pages=steps // nodes,
        hold_ps=hold,
        think_ps=think,
    )
    found.state["gaps"] = GAPS[gaps]
    found.run()
    st = found.state[0]
    assert int(st["turns"]) == steps
    assert st["who"][:steps].tolist() == plain.who
    assert st["when"][:steps].tolist() == plain.when
    assert found.cpus["t_ps"].tolist() == plain.t
    assert found.nodes["lock_at_ps"].tolist() == plain.lock_at
    assert found.nodes["waits"].tolist() == plain.queued
    assert int(found.nodes["wait_ps"].sum()) == sum(plain.waits)
    assert int(found.nodes["worst_wait_ps"].max()) == max(plain.waits, default=0)
    assert int(found.waits.sum()) == len(plain.waits)
    assert histogram_of(plain.waits) == found.waits.sum(axis=0).tolist()


def test_ties_go_to_the_lowest_cpu() -> None:
    found = turns_of(9, pages=9, hold_ps=10)
    found.run()
    assert found.state["who"][0][:9].tolist() == list(range(9))
    assert len(set(found.state["when"][0][:9].tolist())) == 1


@pytest.mark.parametrize("cpus", [1, 6])
def test_time_is_conserved(cpus: int) -> None:
    """Of each CPU: when it began, and what it waited, held and worked."""
    costs = Costs({}, handover_ps=77)
    found = turns_of(cpus, pages=500, costs=costs, hold_ps=1000, think_ps=3000)
    found.run()
    one, node = found.cpus, found.nodes[0]
    worked = 3000 + one["spin_ps"] + one["hold_ps"] + one["objects"]
    assert one["t_ps"].tolist() == worked.tolist()
    assert int(one["hold_ps"].sum()) == found.zones[0].holds.total_ps == 500_000
    assert int(node["busy_ps"]) == 500_000 <= int(node["lock_at_ps"])
    assert int(node["calls"]) == int(one["calls"].sum()) == 500
    assert int(node["wait_ps"]) == int(one["spin_ps"].sum())
    if cpus == 1:  # a lock that is free is not handed over
        assert int(node["waits"]) == int(node["wait_ps"]) == 0
    else:
        assert int(node["wait_ps"]) >= 77 * int(node["waits"]) > 0


def test_the_lock_is_held_by_one_at_a_time() -> None:
    found = turns_of(12, pages=400, hold_ps=1000, think_ps=100)
    found.run()
    node = found.nodes[0]
    # it is never idle: the first hold begins when the first CPU comes
    assert int(node["busy_ps"]) == int(node["lock_at_ps"]) - 100
    assert found.lock_measures()["lock_utilisation_pct"] >= 97


@jit
def step_sleep(smp: Any, cpu: Any, node: Any, st: Any, fallback: Any) -> None:
    """CPU 0 wakes the others one by one; each of these sleeps again at once."""
    st.who[st.turns] = cpu.cpu
    st.when[st.turns] = cpu.t_ps
    st.turns += 1
    smp.pages += 1
    if cpu.cpu == 0:
        other = 1 + st.turns % (node.cpus - 1)
        cpu_of(smp, other).t_ps = cpu.t_ps
        reschedule(smp, other)
        cpu.t_ps += 10
    else:
        cpu.t_ps = ASLEEP


def test_a_step_may_wake_another_cpu() -> None:
    found = turns_of(6, step=step_sleep, pages=60)
    found.run()
    who, when = (found.state[name][0][6:60].tolist() for name in ("who", "when"))
    assert when == sorted(when)
    assert who[0::2] == [0] * 27
    assert all(cpu > 0 for cpu in who[1::2])
    assert when[0::2] == when[1::2]  # woken now, and in its turn


@jit
def step_endless_sleep(smp: Any, cpu: Any, node: Any, st: Any, fallback: Any) -> None:
    """Sleep."""
    st.turns += 1
    cpu.t_ps = ASLEEP


def test_a_run_in_which_all_sleep_is_over() -> None:
    found = turns_of(4, step=step_endless_sleep)
    found.run()
    assert int(found.state["turns"][0]) == 4
    assert found.pages == 0
    assert found.lock_measures() == {}


def everything(found: Simulation) -> list[Any]:
    """All that a run leaves behind."""
    fields = [
        found.smp[name].tolist()
        for name in ("rng", "now_ps", "events", "pages", "failed")
    ]
    addresses = {"zone", "lru", "slabs", "boot", "wait_histogram"}
    names = [name for name in found.nodes.dtype.names or () if name not in addresses]
    fields += [found.nodes[name].tolist() for name in names]
    return [*fields, found.cpus.tolist(), found.waits.tolist(), found.state.tolist()]


@pytest.mark.parametrize("events", [1, 7, 64])
def test_slices_change_nothing(events: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> tuple[str, list[float]]:
        found = turns_of(5, pages=300, skip=40)
        found.state["gaps"] = GAPS["many"]
        told: list[float] = []
        found.run(told.append)
        return str(everything(found)), told

    whole, told = run()
    assert told[-1] == 1.0
    monkeypatch.setattr(simulation_module, "SLICE_EVENTS", events)
    sliced, told = run()
    assert sliced == whole
    assert told == sorted(told)
    assert len(told) >= 300 // events


def test_a_run_ends_at_its_pages_or_its_time() -> None:
    found = turns_of(3, pages=100)
    found.run()
    assert found.pages == int(found.smp["events"][0]) == 100
    limit = found.elapsed_ps // 2
    half = turns_of(3, pages=100, limit_ps=limit)
    half.run()
    assert 0 < half.pages < 100
    steps = int(half.state["turns"][0])
    assert half.state["when"][0][:steps].tolist() == (
        found.state["when"][0][:steps].tolist()
    )
    assert int(half.smp["now_ps"][0]) <= limit
    assert int(found.state["when"][0][steps]) > limit


def test_a_part_of_a_run() -> None:
    found = turns_of(3, pages=100, nodes=2)
    found.run(part=4)
    assert found.pages == 50
    least = turns_of(3, pages=3)
    least.run(part=4)
    assert least.pages == 1


def test_what_is_skipped_is_not_measured() -> None:
    whole, later = turns_of(3, pages=100), turns_of(3, pages=100, skip=60)
    whole.run()
    later.run()
    assert later.pages == int(later.smp["events"][0]) == 40
    assert later.task_pages().sum() == 40
    assert later.cpus["t_ps"].tolist() == whole.cpus["t_ps"].tolist()
    assert int(later.nodes["calls"][0]) == 40
    assert later.zones[0].holds.total_ps == 40 * 1000
    began = int(whole.state["when"][0][59])
    assert later.elapsed_ps == int(whole.smp["now_ps"][0]) - began


#: Mean wait in an M/D/1 queue, in service times: rho / (2 (1 - rho)).
@pytest.mark.slow
@pytest.mark.parametrize(("rho", "tolerance"), [(0.3, 0.03), (0.5, 0.03), (0.8, 0.05)])
def test_waits_are_those_of_a_queue_with_random_arrivals(
    rho: float, tolerance: float
) -> None:
    """Holds of one length, and 2,000 CPUs that come at random: M/D/1.

    With so many CPUs, each of which comes back long after it left, arrivals are as good
    as independent.  But the system is closed: whoever waits does not come again, which
    takes load off a busy lock.  Of N CPUs about rho / (1 - rho) are at the lock, so the
    rate of arrivals sags by that share of N: a part in a thousand here, and waits by
    some times more.  The rest of the tolerance is chance: waits of neighbours are
    alike, and a million of them have a mean that is known to a percent or so.
    """
    cpus, hold = 2000, 1_000_000
    if not ENABLED:
        return
    think = round(cpus * hold / rho) - hold
    found = turns_of(
        cpus, pages=1_500_000, skip=20_000, hold_ps=hold, think_ps=think, seed=11
    )
    quantiles = (np.arange(1024) + 0.5) / 1024
    gaps = -np.log1p(-quantiles)
    found.state["gaps"] = np.rint(gaps / gaps.mean() * 1024)
    found.run()
    node = found.nodes[0]
    wait = int(node["wait_ps"]) / int(node["calls"]) / hold
    assert wait == pytest.approx(rho / (2 * (1 - rho)), rel=tolerance)
    utilisation = int(node["busy_ps"]) / found.elapsed_ps
    assert utilisation == pytest.approx(rho, rel=0.01)
    # one that comes at random finds the lock busy with this chance
    assert int(node["waits"]) / int(node["calls"]) == pytest.approx(rho, rel=0.01)


def test_hold_of_a_call_that_took_no_lock_is_nothing() -> None:
    found = turns_of(4, pages=50, hold_ps=0)
    found.run()
    assert int(found.nodes["calls"][0]) == 0
    assert int(found.cpus["spin_ps"].sum()) == 0
    assert found.lock_measures() == {}
