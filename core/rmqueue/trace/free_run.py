"""Level B2: the requests and frees of a recording, and a model left to itself.

Nothing brings it back to the recording.  It gives the recorded pages until the first
thing that the trace does not say: pages that alloc_pages_bulk took from a CPU's list
unseen.  From there on only totals can be compared.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rmqueue.binding import BoundStrategy
from rmqueue.faults import all_asked, asked
from rmqueue.mm import free_run
from rmqueue.mm.follow import keep_fallback
from rmqueue.mm.mmzone import RECLAIMABLE, UNMOVABLE
from rmqueue.mm.vmstat import BULK
from rmqueue.restore import open_state
from rmqueue.storage import ZoneStorage
from rmqueue.trace.events import (
    ALLOC,
    FREE,
    Bools,
    Events,
    Ints,
    has_cpu_list,
)
from rmqueue.trace.plan import Plan
from rmqueue.trace.takes import NO_TAKE, before
from rmqueue.types import Evidence, ZoneState

FUNCTION_WORDS = 3


@dataclass(frozen=True)
class FreeRun:
    """What came of a free run.

    Attributes
    ----------
    allocations : int
        Allocations of the recording.
    until : int
        Of these, given the recorded page before the first that was not.
    line : int
        Line of the trace with that one; 0: there is none.
    same : int
        Allocations that were given the recorded page, anywhere.
    failed : int
        Allocations that were given nothing.
    unmatched : int
        Frees of pages whose allocation is not in the trace: left out.
    refills, recorded_refills : int
        Refills of per-CPU lists, of the model and recorded.
    fallbacks, recorded_fallbacks : int
        Claims and steals.
    """

    allocations: int
    until: int
    line: int
    same: int
    failed: int
    unmatched: int
    refills: int
    recorded_refills: int
    fallbacks: int
    recorded_fallbacks: int


def run_free(evidence: Evidence, plan: Plan, strategy: str, kernel: str) -> FreeRun:
    """Run the requests of a recording on a model that is left to itself.

    Parameters
    ----------
    evidence : Evidence
        The recording, with per-CPU lists at the start.
    plan : Plan
        What `rmqueue.trace.plan.make_plan` found.
    strategy, kernel : str
        Names of the strategy and the kernel profile.
    """
    zones = [RunZone(state, strategy, kernel) for state in evidence.start]
    slot, unmatched = slots_of(evidence, plan)
    steps = make_steps(evidence, plan, slot, unmatched, zones)
    given = np.full(len(evidence.events), -1, np.int64)
    arrays = {
        "steps": steps,
        "zones": np.array([zone.address for zone in zones], np.int64),
        "fallbacks": np.array([zone.fallback for zone in zones], np.int64),
        "given": given,
    }
    record = np.zeros(1, free_run.FREE_RUN)
    for name, array in arrays.items():
        record[name] = array.ctypes.data
    record["nr_steps"] = len(steps)
    with all_asked(zones):
        free_run.free_run(record.ctypes.data)
    allocs = steps[steps["what"] == free_run.ALLOC]
    same = given[allocs["slot"]] == allocs["pfn"]
    wrong = np.flatnonzero(~same)
    first = int(wrong[0]) if len(wrong) else len(same)
    events, takes = evidence.events, plan.takes
    listed = (takes.kind != NO_TAKE) & (events["refill"] != 0) & (plan.zone >= 0)
    listed &= has_cpu_list(events["order"])  # extfrag events say nothing of refills
    return FreeRun(
        allocations=len(allocs),
        until=first,
        line=int(events["line"][allocs["slot"][first]]) if len(wrong) else 0,
        same=int(same.sum()),
        failed=int(record["failed"][0]),
        unmatched=int(unmatched.sum()),
        refills=sum(zone.refills for zone in zones),
        recorded_refills=len(np.unique(takes.batch[listed])),
        fallbacks=sum(zone.fallbacks for zone in zones),
        recorded_fallbacks=int(((takes.fallback >= 0) & (plan.zone >= 0)).sum()),
    )


class RunZone:
    """A zone of the model, with the recorded per-CPU lists."""

    def __init__(self, state: ZoneState, strategy: str, kernel: str) -> None:
        self.state = state
        self._storage: ZoneStorage = open_state(state, kernel)[1]
        self._bound = BoundStrategy(strategy, kernel)
        self._storage.record["strategy_state"] = self._bound.state.ctypes.data
        self._function = np.zeros(FUNCTION_WORDS, np.int64)
        keep_fallback(self.fallback, self._bound.fallback)
        self.base = int(self._storage.record[0]["base"])
        for cpu, pcp in enumerate(state.pcps):
            for index, pfns in pcp.lists.items():
                pages = np.ascontiguousarray(pfns - self.base)
                address = pages.ctypes.data
                free_run.restore_pcp(self.address, cpu, index, address, len(pages))
            pcp.put_into(self._storage.pcps, cpu)

    def asked(self) -> AbstractContextManager[None]:
        """Run what asks the strategy; what it does wrong is an error in its name."""
        return asked(self._bound, self._storage)

    @property
    def address(self) -> int:
        """Where the zone's record lies."""
        return self._storage.address

    @property
    def fallback(self) -> int:
        """Where the compiled strategy is kept."""
        return int(self._function.ctypes.data)

    @property
    def refills(self) -> int:
        """Batches that were taken."""
        return int(self._storage.record[0]["cnt"][BULK])

    @property
    def fallbacks(self) -> int:
        """Claims and steals."""
        record = self._storage.record[0]
        return int(record["claims"].sum() + record["steals"].sum())


def slots_of(evidence: Evidence, plan: Plan) -> tuple[Ints, Bools]:
    """Find the allocation of each free.

    Returns
    -------
    slot : ndarray of int64
        For each free the event of its allocation; -1: the block is in use at the start.
    unmatched : ndarray of bool
        Frees of blocks of which neither is known.
    """
    events = evidence.events
    kind = events["kind"]
    first, last = uses_before(events, np.isin(kind, (ALLOC, FREE)) & (plan.zone >= 0))
    free = (kind == FREE) & (plan.zone >= 0)
    matched = free & (first == last) & (last >= 0) & (kind[last] == ALLOC)
    for name in ("pfn", "order"):
        matched &= events[name][last] == events[name]
    unmatched = free & ~matched
    unmatched &= ~((last < 0) & used_at_start(evidence, events))
    return np.where(matched, last, -1), unmatched


def uses_before(events: Events, chosen: Bools) -> tuple[Ints, Ints]:
    """Find what happened before to the pages of each of some events.

    Returns
    -------
    first, last : ndarray of int64
        The earliest and the latest event that was the last one of any of its pages; -1:
        nothing.
    """
    index = np.flatnonzero(chosen)
    sizes = 1 << events["order"][index].astype(np.int64)
    owner = np.repeat(index, sizes)
    offset = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    previous = before(events["pfn"][owner] + offset, np.arange(len(owner)))
    event = np.where(previous >= 0, owner[previous], -1)
    first = np.full(len(events), len(events), np.int64)
    last = np.full(len(events), -1, np.int64)
    np.minimum.at(first, owner, event)
    np.maximum.at(last, owner, event)
    return first, last


def used_at_start(evidence: Evidence, events: Events) -> Bools:
    """Whether the block of each event is in use at the start."""
    idle = np.zeros(max(z.start_pfn + z.pages for z in evidence.start) + 1, np.bool_)
    for zone in evidence.start:
        for (order, _), pfns in zone.free_lists.items():
            idle[(pfns[:, None] + np.arange(1 << order)).ravel()] = True
        for pcp in zone.pcps:
            for index, pfns in pcp.lists.items():
                order = index // 3 if index < 12 else zone.pageblock_order
                idle[(pfns[:, None] + np.arange(1 << order)).ravel()] = True
    pages = np.cumsum(np.append(0, idle))
    first = np.clip(events["pfn"], 0, len(idle) - 1)
    size = 1 << np.maximum(events["order"].astype(np.int64), 0)
    last = np.clip(first + size, 0, len(idle))
    used: Bools = pages[last] == pages[first]
    return used


def make_steps(
    evidence: Evidence,
    plan: Plan,
    slot: Ints,
    unmatched: Bools,
    zones: list[RunZone],
) -> npt.NDArray[np.void]:
    """Make the steps of `rmqueue.mm.free_run`."""
    events = evidence.events
    wanted = (events["kind"] == ALLOC) | ((events["kind"] == FREE) & ~unmatched)
    chosen = np.flatnonzero(wanted & (plan.zone >= 0))
    alloc = events["kind"][chosen] == ALLOC
    steps = np.zeros(len(chosen), free_run.RUN_STEP)
    bases = np.array([zone.base for zone in zones], np.int64)
    steps["zone"] = plan.zone[chosen]
    steps["what"] = np.where(alloc, free_run.ALLOC, free_run.FREE)
    steps["pfn"] = events["pfn"][chosen] - bases[plan.zone[chosen]]
    steps["slot"] = np.where(alloc, chosen, slot[chosen])
    for name in ("cpu", "order", "mt"):
        steps[name] = events[name][chosen]
    steps["mt"][steps["mt"] > RECLAIMABLE] = UNMOVABLE  # no request asks for these
    return steps
