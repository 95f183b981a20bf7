"""N CPUs, zone locks with queues, and the clock: the discrete-event loop.

Whoever's next event comes first takes one step; ties go to the lowest CPU.  A step is
a function of the workload.  It calls the allocator, and `charge` makes the CPU wait for
its node's zone lock and hold it for the modelled cost of the work: calls are made in
the order of their request times, so the queue of the lock is first come, first served,
and a CPU that waits or holds does nothing else, as with interrupts off.  The clock
counts picoseconds in integers: results are the same on every machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rmqueue.mm.jit import (
    I64,
    entry,
    function_type,
    jit,
    load_i64,
    record,
    store_i64,
    view_as,
)
from rmqueue.mm.mmzone import zone_at
from rmqueue.mm.page_alloc import FALLBACK_TYPE
from rmqueue.mm.vmstat import bucket_of

#: A CPU that sleeps has its next event at the end of time.
ASLEEP = (1 << 62) - 1

CPU = np.dtype(
    [
        (name, "i8")
        for name in (
            # next event; index of its node; index of its lists in the node's zone
            *("t_ps", "node", "cpu"),
            # what the parts in `rmqueue.mm.reclaim` and a workload keep of it
            *("state", "chunks", "drain", "window", "need", "objects"),
            # statistics
            *("pages", "stalls", "spin_ps", "hold_ps", "calls"),
        )
    ],
    align=True,
)
NODE = np.dtype(
    [
        (name, "i8")
        for name in (
            # address of the zone, index of its first CPU, CPUs, which of them is kswapd
            *("zone", "first_cpu", "cpus", "kswapd"),
            # addresses of queues: pages on the LRU list, slabs, pages of the boot
            *("lru", "slabs", "boot"),
            # the lock: free again at, cost of a hand-over, waits and holds
            *("lock_at_ps", "handover_ps", "busy_ps", "wait_ps", "worst_wait_ps"),
            *("calls", "waits", "wait_histogram"),
            # reclaim: awake, boost when it woke, credit, drains under way, statistics
            *("awake", "boost_seen", "credit", "draining"),
            *("wakeups", "drains", "reclaimed", "stalls", "pages"),
        )
    ],
    align=True,
)
SMP = np.dtype(
    [
        (name, "i8")
        for name in (
            *("cpus", "nr_cpus", "nodes", "nr_nodes"),
            # tournament tree: address, number of leaves (a power of two)
            *("tree", "leaves"),
            # random numbers; end of the run; what was done
            *("rng", "limit_ps", "limit_pages", "limit_events"),
            *("now_ps", "events", "pages", "failed"),
        )
    ],
    align=True,
)
smp_at, node_at, cpu_at = view_as(SMP), view_as(NODE), view_as(CPU)
CPU_BYTES, NODE_BYTES = CPU.itemsize, NODE.itemsize

#: Type of a workload's step: simulation, CPU, node, address of its state, strategy.
STEP_SIGNATURE = (I64, record(SMP), record(CPU), record(NODE), I64, FALLBACK_TYPE)
STEP_TYPE = function_type(*STEP_SIGNATURE)


@jit(forceinline=True)
def cpu_of(smp: Any, index: int) -> Any:
    """Record of a CPU of the whole machine."""
    return cpu_at(smp.cpus + index * CPU_BYTES)


@jit(forceinline=True)
def node_of(smp: Any, index: int) -> Any:
    """Record of a node."""
    return node_at(smp.nodes + index * NODE_BYTES)


@jit(forceinline=True)
def zone_of(node: Any) -> Any:
    """Zone of a node."""
    return zone_at(node.zone)


@jit(forceinline=True)
def earlier(smp: Any, left: int, right: int) -> int:
    """Which of two CPUs comes first; -1 is none, and ties go to the left one."""
    if right < 0:
        return left
    first = cpu_of(smp, left).t_ps <= cpu_of(smp, right).t_ps
    return left if first else right


@jit(forceinline=True)
def reschedule(smp: Any, index: int) -> None:
    """Play the matches of a CPU anew, after its next event has changed."""
    at = (smp.leaves + index) >> 1
    while at > 0:
        left, right = load_i64(smp.tree, 2 * at), load_i64(smp.tree, 2 * at + 1)
        store_i64(smp.tree, at, earlier(smp, left, right))
        at >>= 1


@jit
def schedule_all(smp: Any) -> None:
    """Play all matches."""
    for index in range(smp.leaves):
        store_i64(smp.tree, smp.leaves + index, index if index < smp.nr_cpus else -1)
    for at in range(smp.leaves - 1, 0, -1):
        left, right = load_i64(smp.tree, 2 * at), load_i64(smp.tree, 2 * at + 1)
        store_i64(smp.tree, at, earlier(smp, left, right))


@jit(forceinline=True)
def charge(cpu: Any, node: Any, cost_before_ps: int) -> None:
    """Let a CPU pay for the lock holds of an allocator call that it has just made.

    Parameters
    ----------
    cpu : Cpu
        It goes on when it has had the lock for as long as the call cost.
    node : Node
        Whose zone was called.
    cost_before_ps : int64
        ``hold_total_ps`` of the zone before the call [ps]; a call that took no lock, or
        whose work costs nothing, costs no time.
    """
    hold = zone_of(node).hold_total_ps - cost_before_ps
    if hold == 0:
        return
    start = cpu.t_ps
    if node.lock_at_ps > start:
        start = node.lock_at_ps + node.handover_ps
        node.waits += 1
    wait = start - cpu.t_ps
    node.lock_at_ps = start + hold
    node.busy_ps += hold
    node.wait_ps += wait
    node.worst_wait_ps = max(node.worst_wait_ps, wait)
    node.calls += 1
    bucket = bucket_of(wait)
    store_i64(node.wait_histogram, bucket, load_i64(node.wait_histogram, bucket) + 1)
    cpu.spin_ps += wait
    cpu.hold_ps += hold
    cpu.calls += 1
    cpu.t_ps = node.lock_at_ps


@entry(I64, I64, STEP_TYPE, I64, FALLBACK_TYPE)
def run_smp(smp_address: int, step: Any, state: int, fallback: Any) -> int:
    """Run a machine until its time, pages or events are used up.

    Parameters
    ----------
    smp_address : int64
        Where the `SMP` record lies.
    step : compiled step
        First-class function of type `STEP_TYPE`: does what one CPU does next, and moves
        that CPU's clock.
    state : int64
        Address of the workload's own record.
    fallback : compiled strategy
        First-class function of type `page_alloc.FALLBACK_TYPE`.

    Returns
    -------
    int64
        Events [steps].
    """
    smp = smp_at(smp_address)
    schedule_all(smp)
    events = 0
    limit = smp.limit_events
    while events < limit and smp.failed == 0 and smp.pages < smp.limit_pages:
        index = load_i64(smp.tree, 1)
        cpu = cpu_of(smp, index)
        if cpu.t_ps > smp.limit_ps:
            break
        smp.now_ps = cpu.t_ps
        node = node_of(smp, cpu.node)
        if zone_of(node).fault != 0:
            break
        step(smp, cpu, node, state, fallback)
        reschedule(smp, index)
        events += 1
    smp.events += events
    return events
