"""Follows a recording's per-CPU lists, CPU by CPU: the events of `pcp_law`."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from rmqueue.mm.mmzone import RECLAIMABLE
from rmqueue.trace.events import (
    ALLOC,
    BATCHED,
    COSTLY_ORDER,
    DRAIN,
    FALLBACK,
    FREE,
    LOCKED,
    Bools,
    Events,
    Ints,
    has_cpu_list,
)
from rmqueue.trace.lookahead import NEVER
from rmqueue.trace.pcp_law import PcpScore, PcpZone
from rmqueue.trace.plan import Plan
from rmqueue.trace.takes import NO_TAKE, before
from rmqueue.types import Evidence

#: First kernel whose compaction traces the free of a page twice.
FREES_TWICE = (6, 19)
_COLUMNS = ("kind", "cpu", "pfn", "order", "mt", "claim", "fallback_order", "refill")


def pushes(evidence: Evidence, plan: Plan) -> Ints:
    """When each freed page goes on a per-CPU list.

    Returns
    -------
    ndarray of int64
        For each event that puts a page on a list the event of its free; -1 for others.

    Notes
    -----
    A release of many pages traces all frees first, then each page as it is put on a
    list; otherwise the free itself does both.  The compaction of late kernels traces
    pages as free that it keeps, and once more when it frees them.
    """
    events = evidence.events
    kind = events["kind"]
    listed = (kind == FREE) & has_cpu_list(events["order"]) & (plan.when == NEVER)
    if evidence.version >= FREES_TWICE:
        listed &= ~_freed_again(events)
    either = np.flatnonzero(listed | (kind == BATCHED))
    key = events["pfn"] * 1024 + events["cpu"]
    previous = before(key, either)
    batched = np.flatnonzero(kind == BATCHED)
    frees = previous[batched]
    ok = (frees >= 0) & listed[frees]
    push = np.full(len(events), -1, np.int64)
    push[batched[ok]] = frees[ok]
    alone = np.flatnonzero(listed)
    alone = alone[~np.isin(alone, frees[ok])]
    push[alone] = alone
    return push


def _freed_again(events: Events) -> Bools:
    """Frees of blocks that are freed once more with nothing in between."""
    kinds = (FREE, ALLOC, LOCKED, FALLBACK, DRAIN)
    chosen = np.flatnonzero(np.isin(events["kind"], kinds))[::-1]
    after = before(events["pfn"][chosen], np.arange(len(chosen)))
    free = events["kind"][chosen] == FREE
    twice: Bools = np.zeros(len(events), np.bool_)
    twice[chosen] = free & (after >= 0) & free[after]
    return twice


class PcpPrediction:
    """Follows the per-CPU lists of a recording.

    Parameters
    ----------
    evidence : Evidence
        The recording; its start must have per-CPU lists.
    plan : Plan
        What `rmqueue.trace.plan.make_plan` found.
    kernel : str
        Kernel profile whose rules hold.
    """

    def __init__(self, evidence: Evidence, plan: Plan, kernel: str) -> None:
        self.evidence, self.plan = evidence, plan
        self.score = PcpScore()
        self.zones = [PcpZone(zone, kernel, self.score) for zone in evidence.start]
        self._columns = {name: evidence.events[name].tolist() for name in _COLUMNS}
        self._when, self._zones = plan.when.tolist(), plan.zone.tolist()
        self._next = _following(evidence.events["cpu"])

    def run(self) -> PcpScore:
        """Follow all events."""
        kinds, zones = self._columns["kind"], self._zones
        push = pushes(self.evidence, self.plan).tolist()
        take = self.plan.takes.kind.tolist()
        batches = self._batches()
        claim = self._columns["claim"]
        for at, (kind, where) in enumerate(zip(kinds, zones, strict=True)):
            if where < 0:
                continue
            zone = self.zones[where]
            if kind == FALLBACK and claim[at] == 1:
                pfn, _, mt = self._block(at)
                zone.set_type(pfn, self._columns["fallback_order"][at], mt)
            if take[at] != NO_TAKE:
                self._take(zone, at, batches)
            elif kind == ALLOC:
                pfn, order, mt = self._block(at)
                zone.alloc(self._columns["cpu"][at], order, mt, pfn)
            elif kind == DRAIN:
                pfn, order, mt = self._block(at)
                zone.drain(pfn, order, mt)
            elif kind == FREE:
                pfn, order, _ = self._block(at)
                if pfn in zone.where:
                    zone.leave_from_head(pfn)
                if self._when[at] != NEVER:
                    zone.nr_free += 1 << order
            if push[at] >= 0:
                self._push(zone, at, push[at])
        return self.score

    def _block(self, at: int) -> tuple[int, int, int]:
        columns = self._columns
        return columns["pfn"][at], columns["order"][at], columns["mt"][at]

    def _batches(self) -> dict[int, list[int]]:
        """Pages of each batch, by its first event."""
        takes = self.plan.takes
        members: defaultdict[int, list[int]] = defaultdict(list)
        for at in np.flatnonzero(takes.kind != NO_TAKE).tolist():
            members[int(takes.batch[at])].append(at)
        return {events[0]: events for events in members.values()}

    def _take(self, zone: PcpZone, at: int, batches: dict[int, list[int]]) -> None:
        """Follow a batch at its first page."""
        members = batches.get(at)
        if members is None:
            return
        columns = self._columns
        cpu, order, mt = (columns[name][at] for name in ("cpu", "order", "mt"))
        zone.ask(cpu)
        # an extfrag event does not say whether the order has lists
        listed = mt <= RECLAIMABLE and columns["refill"][at] != 0
        listed = listed and (order <= COSTLY_ORDER or order == zone.huge_order)
        if not listed or self._is_direct(zone, at, len(members)):
            zone.nr_free -= len(members) << order
            return
        zone.refill(cpu, order, mt, [columns["pfn"][m] for m in members])

    def _is_direct(self, zone: PcpZone, at: int, count: int) -> bool:
        """Whether a page went past the lists, because they were busy.

        It is allocated at once, and the list would have been refilled with more.
        """
        columns, after = self._columns, self._next[at]
        if count != 1 or after < 0 or columns["kind"][after] != ALLOC:
            return False
        if columns["pfn"][after] != columns["pfn"][at]:
            return False
        if zone.expected_refill(columns["cpu"][at], columns["order"][at]) == 1:
            return False
        zone.score.notes["past_busy_lists"] += 1
        return True

    def _push(self, zone: PcpZone, at: int, free: int) -> None:
        """Put a page on a list; the drains that follow at once belong to that.

        But not those of pages that were drained, used, and drained again since.
        """
        columns = self._columns
        drained: dict[int, tuple[int, int, int]] = {}
        after, where = self._next[at], self._zones[at]
        while (
            after >= 0
            and columns["kind"][after] == DRAIN
            and self._zones[after] == where
            and columns["pfn"][after] not in drained
        ):
            drained[columns["pfn"][after]] = self._block(after)
            after = self._next[after]
        order, pfn = columns["order"][free], columns["pfn"][free]
        zone.free(columns["cpu"][at], order, pfn, list(drained.values()))


def _following(groups: Ints) -> list[int]:
    """Next event of the same group, -1 if there is none."""
    backwards = before(groups[::-1], np.arange(len(groups)))
    after = np.where(backwards < 0, -1, len(groups) - 1 - backwards)[::-1]
    return list(after.tolist())
