"""What is known of a recording's events before any is followed: the steps to take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rmqueue.mm import follow
from rmqueue.mm.mmzone import NR_TYPES
from rmqueue.trace.events import (
    ALLOC,
    DRAIN,
    FREE,
    ISOLATE,
    Bools,
    Events,
    Ints,
    has_cpu_list,
)
from rmqueue.trace.lookahead import NEVER, Uses, direct_frees, when_freed
from rmqueue.trace.takes import (
    FALLBACK_RETURNS_PAGE,
    NO_TAKE,
    Takes,
    find_takes,
)
from rmqueue.types import Evidence

Steps = npt.NDArray[np.void]


@dataclass(frozen=True, eq=False)
class Plan:
    """What is known of the events before any is followed.

    Attributes
    ----------
    zone : ndarray of int64
        Index of the zone of each event, -1 for none.
    takes : Takes
        The requests.
    when : ndarray of int64
        Event before which a direct free takes effect, `NEVER` for other events.
    uses : Uses or None
        What happens to a page next; None: no look-ahead.
    """

    zone: Ints
    takes: Takes
    when: Ints
    uses: Uses | None


def make_plan(evidence: Evidence, strict: bool) -> Plan:
    """Find requests, batches, and when frees take effect.

    Parameters
    ----------
    evidence : Evidence
        The recording.
    strict : bool
        Look at nothing that comes later: frees take effect where they are traced, and
        only those of orders without per-CPU lists go past them.
    """
    events = evidence.events
    zone = zones_of(evidence)
    takes = find_takes(events, zone, evidence.version)
    if strict:
        direct = (events["kind"] == FREE) & ~has_cpu_list(events["order"])
        when = np.where(direct, np.arange(len(events)) + 1, NEVER)
        return Plan(zone, takes, when, None)
    end_free = free_at_end(evidence)
    direct = direct_frees(events, end_free, evidence.version)
    batches = tuple(z.pcps[-1].batch if z.pcps else 1 for z in evidence.start)
    when = when_freed(events, zone, direct, batches, evidence.version)
    uses = Uses(events, end_free, evidence.version)
    return Plan(zone, takes, when, uses)


def zones_of(evidence: Evidence) -> Ints:
    """Index of the zone of each event, -1 for none."""
    events = evidence.events
    zone = np.full(len(events), -1, np.int64)
    size = np.where(events["kind"] == ISOLATE, 1, 1 << np.maximum(events["order"], 0))
    for index, state in enumerate(evidence.start):
        inside = events["pfn"] >= state.start_pfn
        inside &= events["pfn"] + size <= state.start_pfn + state.pages
        zone[inside] = index
    return zone


def free_at_end(evidence: Evidence) -> Bools | None:
    """Which pages are in the free lists at the end, if that is recorded."""
    if not evidence.end:
        return None
    free = np.zeros(max(z.start_pfn + z.pages for z in evidence.end), np.bool_)
    for zone in evidence.end:
        for (order, _), pfns in zone.free_lists.items():
            free[(pfns[:, None] + np.arange(1 << order)).ravel()] = True
    return free


def make_steps(evidence: Evidence, plan: Plan, bases: Ints, strict: bool) -> Steps:
    """Make the steps of `rmqueue.mm.follow`: events, and moments when frees land.

    Parameters
    ----------
    evidence, plan
        The recording, and what `make_plan` found.
    bases : ndarray of int64
        Page 0 of each zone of the model.
    strict : bool
        As of `make_plan`; compaction is not followed either.
    """
    events = evidence.events
    chosen, what = _events(events, plan, strict)
    frees = np.flatnonzero((plan.when >= 0) & (plan.zone >= 0))
    event = np.concatenate([frees, chosen])
    moment = np.concatenate([2 * plan.when[frees], 2 * chosen + 1])
    ordered = np.lexsort((event, moment))
    steps = np.zeros(len(event), follow.STEP)
    event = event[ordered]
    steps["event"], steps["zone"] = event, plan.zone[event]
    steps["what"] = np.concatenate([np.full(len(frees), follow.LAND), what])[ordered]
    steps["pfn"] = events["pfn"][event] - bases[plan.zone[event]]
    steps["order"], steps["mt"] = events["order"][event], events["mt"][event]
    if evidence.version < FALLBACK_RETURNS_PAGE:
        steps["mt"][steps["what"] == follow.DRAIN] += NR_TYPES
    return steps


def _events(events: Events, plan: Plan, strict: bool) -> tuple[Ints, Ints]:
    """Events that are followed, and what step each is."""
    kind: npt.NDArray[Any] = events["kind"]
    what = np.full(len(events), -1, np.int64)
    for event, step in (
        (ALLOC, follow.ALLOC),
        (FREE, follow.FREE),
        (DRAIN, follow.DRAIN),
    ):
        what[kind == event] = step
    if not strict:
        what[kind == ISOLATE] = follow.OTHER
    takes = np.flatnonzero(plan.takes.kind != NO_TAKE)
    what[takes] = follow.TAKE
    firsts = np.unique(plan.takes.batch[takes], return_index=True)[1]
    what[takes[firsts]] = follow.FIRST_TAKE
    what[plan.zone < 0] = -1
    chosen = np.flatnonzero(what >= 0)
    return chosen, what[chosen]
