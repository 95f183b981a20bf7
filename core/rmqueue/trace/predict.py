"""Level A: whether the model chooses the pages that the kernel chose (RECORDINGS 4).

From the recorded start state the events are followed one by one.  Requests under the
zone lock are asked of the model, which decides; the page is compared with the recorded
one, and after a miss the model is brought back to the recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from rmqueue.mm import single
from rmqueue.mm.mmzone import MOVABLE, RMQUEUE_NORMAL
from rmqueue.trace.events import (
    ALLOC,
    DRAIN,
    FREE,
    ISOLATE,
    Bools,
    Ints,
    has_cpu_list,
)
from rmqueue.trace.lookahead import NEVER, Uses, direct_frees, when_freed
from rmqueue.trace.resync import InFlight, Request, Resync
from rmqueue.trace.score import Score
from rmqueue.trace.takes import (
    CLAIM,
    FALLBACK_RETURNS_PAGE,
    NATIVE,
    NO_TAKE,
    STEAL,
    Takes,
    find_takes,
)
from rmqueue.trace.twin import Guess, TwinZone
from rmqueue.types import Evidence

KINDS = {NATIVE: "native", CLAIM: "claim", STEAL: "steal"}
#: Strides of compaction's free scanner [pages].
STRIDES = (1, 32, 16, 8, 4, 2)
_COLUMNS = (
    *("kind", "pfn", "order", "mt", "fallback_order", "fallback_mt", "claim"),
    *("end", "taken", "line"),
)


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


def plan(evidence: Evidence, strict: bool) -> Plan:
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


class Prediction:
    """Follows a recording with one strategy.

    Parameters
    ----------
    evidence : Evidence
        The recording.
    strategy : str
        Name of the strategy that decides.
    kernel : str
        Kernel profile that it runs on.
    strict : bool
        As of `plan`; compaction's takes are not followed either.

    Attributes
    ----------
    score : Score
        What was counted so far.
    zones : list of TwinZone
        The model.
    """

    def __init__(
        self, evidence: Evidence, strategy: str, kernel: str, strict: bool = False
    ) -> None:
        self.evidence, self.strict = evidence, strict
        self.plan = plan(evidence, strict)
        self.score = Score()
        self.zones = [TwinZone(zone, strategy, kernel) for zone in evidence.start]
        self.flying = [InFlight() for _ in self.zones]
        was_free = self.plan.uses.was_free if self.plan.uses else None
        self.resync = [
            Resync(zone, flying, was_free)
            for zone, flying in zip(self.zones, self.flying, strict=True)
        ]
        self._old = evidence.version < FALLBACK_RETURNS_PAGE
        self._columns = {name: evidence.events[name].tolist() for name in _COLUMNS}
        self._when = self.plan.when.tolist()
        self._batch, self._mode, self._clean = -1, RMQUEUE_NORMAL, True

    def run(self, progress: Callable[[int], None] | None = None) -> Score:
        """Follow all events.

        Parameters
        ----------
        progress : callable or None
            Told the number of events done, now and then.
        """
        due = self._due()
        actions: dict[int, Callable[[int, int], None]]
        actions = {ALLOC: self._alloc, FREE: self._free, DRAIN: self._drain}
        if not self.strict:
            actions[ISOLATE] = self._isolate
        zones = self.plan.zone.tolist()
        for at, (kind, take) in enumerate(
            zip(self._columns["kind"], self.plan.takes.kind.tolist(), strict=True)
        ):
            while due and due[-1][0] <= at:
                _, index, where = due.pop()
                self.flying[where].land(self.zones[where], index)
            if progress is not None and at & 0x3FFF == 0:
                progress(at)
            if zones[at] < 0:
                continue
            if take != NO_TAKE:
                self._request(at, zones[at], take)
            elif kind in actions:
                actions[kind](at, zones[at])
        self._finish()
        return self.score

    def _due(self) -> list[tuple[int, int, int]]:
        """Direct frees as (when, event, zone), the last first."""
        frees = np.flatnonzero((self.plan.when >= 0) & (self.plan.zone >= 0))
        columns = (self.plan.when[frees], frees, self.plan.zone[frees])
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return sorted(rows, reverse=True)

    def _finish(self) -> None:
        """Put everything on the lists that is still in flight."""
        for zone, flying in zip(self.zones, self.flying, strict=True):
            for key in list(flying.blocks):
                flying.land(zone, key)
        self._end_batch()

    # Requests --------------------------------------------------------------------

    def _request(self, at: int, where: int, take: int) -> None:
        """Ask the model for what the kernel took."""
        columns, score, zone = self._columns, self.score, self.zones[where]
        self._enter_batch(at)
        pfn, order, mt = (columns[name][at] for name in ("pfn", "order", "mt"))
        guess = zone.guess(order, mt, self._mode)
        score.pages += 1
        self._count_fallback(at, guess, order, mt)
        if guess.pfn == pfn:
            zone.keep()
            score.exact += 1
            self._mode = guess.mode
            return
        request = Request(at, pfn, order, mt, KINDS[take], self._stolen(at))
        zone.undo()
        self._clean = False
        score.first_miss = score.first_miss or columns["line"][at]
        score.misses[self.resync[where].cause(request, guess)] += 1
        how, self._mode = self.resync[where].mend(request, guess, self._mode)
        score.mended[how] += 1

    def _enter_batch(self, at: int) -> None:
        """Forget the mode where a new batch begins."""
        batch = int(self.plan.takes.batch[at])
        if batch != self._batch:
            self._end_batch()
            self._batch, self._mode, self._clean = batch, RMQUEUE_NORMAL, True

    def _end_batch(self) -> None:
        if self._batch >= 0:
            self.score.batches += 1
            self.score.exact_batches += self._clean

    def _count_fallback(self, at: int, guess: Guess, order: int, mt: int) -> None:
        """Count the fallbacks that the model and the kernel made for a request."""
        if guess.fallback_mt >= 0:
            claim = int(guess.kind == "claim")
            key = (mt, guess.fallback_mt, order, guess.fallback_order, claim)
            self.score.predicted[key] += 1
        index = int(self.plan.takes.fallback[at])
        if index >= 0:
            names = ("mt", "fallback_mt", "order", "fallback_order", "claim")
            key = tuple(self._columns[name][index] for name in names)
            self.score.recorded[key] += 1

    def _stolen(self, at: int) -> tuple[int, int] | None:
        """Block that was stolen for a request, where its trace names it."""
        index = int(self.plan.takes.fallback[at])
        if not self._old or index < 0:
            return None
        return self._columns["pfn"][index], self._columns["fallback_order"][index]

    # What else happens to pages --------------------------------------------------

    def _block(self, at: int) -> tuple[int, int]:
        return self._columns["pfn"][at], self._columns["order"][at]

    def _alloc(self, at: int, where: int) -> None:
        """Note an allocation; a page that is in the lists was captured by its free."""
        pfn, order = self._block(at)
        zone = self.zones[where]
        if zone.is_free(pfn, order):
            zone.do(single.carve, pfn, order)
            self.score.mended["captured"] += 1
        if self._columns["mt"][at] == MOVABLE:
            zone.do(single.mark_lru, pfn, order, 1)

    def _free(self, at: int, where: int) -> None:
        """Begin a free: it is traced before any lock is taken."""
        pfn, order = self._block(at)
        zone = self.zones[where]
        if zone.is_free(pfn, order):
            zone.do(single.carve, pfn, order)
            self.score.mended["taken_unseen"] += 1
        zone.do(single.mark_lru, pfn, order, 0)
        if self._when[at] >= 0:
            self.flying[where].blocks[at] = (pfn, order)

    def _drain(self, at: int, where: int) -> None:
        """Free a page from a per-CPU list; the kernel's version decides where to."""
        pfn, order = self._block(at)
        zone, mt = self.zones[where], self._columns["mt"][at]
        own = zone.pageblock_type(pfn)
        self.score.drains += 1
        if not self._old:
            self.score.drains_elsewhere += own != mt
            mt = own
        if zone.is_free(pfn, order):
            self.score.mended["drained_free"] += 1
            return
        zone.do(single.give, pfn, order, mt)

    def _isolate(self, at: int, where: int) -> None:
        """Take what compaction took of a range: the trace has only how much."""
        first, taken = self._columns["pfn"][at], self._columns["taken"][at]
        zone = self.zones[where]
        end = min(self._columns["end"][at], zone.state.start_pfn + zone.state.pages)
        for blocks in scans(zone, first, end) if taken else ():
            if sum(1 << order for _, order in blocks) == taken:
                break
        else:
            blocks = self._not_free_after(at, free_blocks(zone, first, end, 1))
            self.score.mended["isolation_unknown"] += bool(taken)
        for pfn, _ in blocks:
            zone.do(single.isolate, pfn, MOVABLE, int(not self._old))

    def _not_free_after(
        self, at: int, blocks: list[tuple[int, int]]
    ) -> list[tuple[int, int]]:
        """Those of some free blocks that must have left the lists."""
        uses = self.plan.uses
        assert uses is not None  # strict predictions follow no compaction
        return [block for block in blocks if not uses.was_free(block[0], at)]


def scans(zone: TwinZone, pfn: int, end: int) -> Iterator[list[tuple[int, int]]]:
    """Free blocks that compaction's scanner may have met in a range.

    It goes on with a stride behind each free block (isolate_freepages_block); a scan
    that was entered anew goes on right behind it.
    """
    for stride in STRIDES:
        yield free_blocks(zone, pfn, end, stride, skip=stride - 1)
        yield free_blocks(zone, pfn, end, stride)


def free_blocks(
    zone: TwinZone, pfn: int, end: int, stride: int, skip: int = 0
) -> list[tuple[int, int]]:
    """Free blocks that a scan meets with a stride, skipping pages behind each [pages]."""
    found = []
    while pfn < end:
        block = zone.free_block(pfn)
        if block is not None and block[0] == pfn:
            found.append(block)
            pfn += (1 << block[1]) + skip
        else:
            pfn += stride
    return found
