"""Turn the events of a recording into ops: the same requests for every strategy."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rmqueue.ops import request
from rmqueue.trace.compaction import isolated
from rmqueue.trace.events import (
    ALLOC,
    DRAIN,
    FALLBACK,
    FREE,
    ISOLATE,
    Bools,
    Events,
    Ints,
    has_cpu_list,
)
from rmqueue.trace.lookahead import direct_frees, when_freed
from rmqueue.trace.takes import NO_TAKE, find_takes
from rmqueue.types import RecordedZone
from rmqueue_plugins.readers.slots import BUDDY, Pages
from rmqueue_plugins.readers.state import CMA, HIGHATOMIC, MOVABLE, UNMOVABLE, Start

# Flags of requests (the op stream's numbers).
_HIGHATOMIC, _CMA, _KSWAPD, _NOLRU = 2, 4, 32, 128
_NR_TYPES, _NR_ORDERS = 5, 14


@dataclass(frozen=True, eq=False)
class Window:
    """Events of a recording and what was found out about them."""

    events: Events
    zone: Ints
    take: Ints
    batch: Ints
    when: Ints
    bypassed: Bools


def convert(
    events: Events, start: Start, end_free: Bools | None
) -> tuple[RecordedZone, ...]:
    """Turn the events of a window into one op stream a zone.

    Parameters
    ----------
    events : ndarray of EVENTS
        Events of the window without marks.
    start : Start
        State at its start.
    end_free : ndarray of bool or None
        Which pages are in the buddy lists at its end, if that is recorded.

    Returns
    -------
    tuple of RecordedZone
        The zones that the events name.

    Notes
    -----
    Everything that happens under a zone lock becomes an op; what happens on per-CPU
    lists does not show.  A batch of recorded takes (`takes.find_takes`) is one BULK, a
    take of an order without a per-CPU list one ALLOC; a drained page and a direct free
    (`lookahead`) are a FREE of the slot that stands for the recorded page.

    Where the trace is silent, the most sensible request is made up and counted in
    ``recorded["inferred"]``:

    ``bypassed``
        frees that went past a busy per-CPU list: done when they took effect.
    ``isolated``
        free blocks that compaction's scanner took: one movable ALLOC each.
    ``isolations_not_found``
        ranges in which no stride of the scanner gives the recorded number: nothing.
    ``captured``
        allocations of a page that is free in the lists (handed over by the free
        itself): one ALLOC of that order and type.
    ``silently_taken``
        frees of a page that is free (compaction's fast search took it unseen): one
        movable ALLOC just before.
    ``freed_unseen``
        takes of a page that is in use: its slots are freed before the batch.
    ``drained_free``
        drains of pages that are free: nothing.
    """
    events = known_types(events, start.migratetypes)
    zone = _zones(events, start)
    takes = find_takes(events, zone, start.version)
    direct = direct_frees(events, end_free, start.version)
    when = when_freed(events, zone, direct, start.batches, start.version)
    bypassed = direct & has_cpu_list(events["order"])
    window = Window(events, zone, takes.kind, takes.batch, when, bypassed)
    streams = [_Stream(window, start, index) for index in range(len(start.zones))]
    return tuple(stream.run() for stream in streams if stream.indices)


def known_types(events: Events, types: Ints) -> Events:
    """Replace the kernel's migratetypes by ours; isolated blocks count as movable."""
    events = events.copy()
    for column in ("mt", "fallback_mt"):
        known = types[np.maximum(events[column], 0)]
        known = np.where(known < 0, MOVABLE, known)
        events[column] = np.where(events[column] < 0, -1, known)
    return events


def _zones(events: Events, start: Start) -> Ints:
    """Index of the zone of each event, -1 for none."""
    zone = np.full(len(events), -1, np.int64)
    size = np.where(events["kind"] == ISOLATE, 1, 1 << np.maximum(events["order"], 0))
    for index, state in enumerate(start.zones):
        inside = events["pfn"] >= state.start_pfn
        inside &= events["pfn"] + size <= state.start_pfn + state.pages
        zone[inside] = index
    return zone


class _Stream:
    """Converts the events of one zone."""

    def __init__(self, window: Window, start: Start, index: int) -> None:
        self.window, self.state = window, start.zones[index]
        mine = np.flatnonzero(window.zone == index)
        self.indices: list[int] = mine.tolist()
        columns = ("kind", "pfn", "order", "mt", "end", "taken")
        self.rows = list(
            zip(*(window.events[name][mine].tolist() for name in columns), strict=True)
        )
        self.inferred: Counter[str] = Counter()
        self.pages = Pages(self.state)
        self.batches = self._batches(mine)
        self.flying: dict[int, tuple[int, int]] = {}
        self.due = self._due(mine)

    def _batches(self, mine: Ints) -> dict[int, list[int]]:
        """Map the first event of each batch to all of its events."""
        takes = mine[self.window.take[mine] != NO_TAKE]
        members: defaultdict[int, list[int]] = defaultdict(list)
        for index, batch in zip(
            takes.tolist(), self.window.batch[takes].tolist(), strict=True
        ):
            members[batch].append(index)
        return {events[0]: events for events in members.values()}

    def _due(self, mine: Ints) -> list[tuple[int, int]]:
        """Direct frees as (when, event), latest first."""
        frees = mine[self.window.when[mine] >= 0]
        when = self.window.when[frees].tolist()
        return sorted(zip(when, frees.tolist(), strict=True), reverse=True)

    def run(self) -> RecordedZone:
        """Make the ops."""
        actions: dict[int, Callable[..., None]] = {
            ALLOC: self._alloc,
            FREE: self._free,
            DRAIN: self._drain,
            ISOLATE: self._isolate,
        }
        for index, row in zip(self.indices, self.rows, strict=True):
            if self.due and self.due[-1][0] <= index:
                self._land(index)
            if index in self.batches:
                self._request(self.batches[index])
            elif row[0] in actions:
                actions[row[0]](index, *row[1:])
        self._land(len(self.window.events))
        ops, blocks, slots = self.pages.finish()
        state = replace(self.state, blocks=blocks)
        return RecordedZone(state, ops, slots, self._recorded())

    def _land(self, index: int) -> None:
        """Do the direct frees that are due before an event."""
        while self.due and self.due[-1][0] <= index:
            _, event = self.due.pop()
            if event in self.flying:
                self.pages.free(*self.flying.pop(event))

    def _request(self, members: list[int]) -> None:
        events = self.window.events[members]
        blocks = list(
            zip(events["pfn"].tolist(), events["order"].tolist(), strict=True)
        )
        for pfn, order in blocks:
            if self.pages.free_pages(pfn, order) < 1 << order:
                self._free_unseen(pfn, order)
        order, mt = blocks[0][1], int(events["mt"][0])
        flags = _KSWAPD | _NOLRU
        if mt >= HIGHATOMIC:
            mt, special = self._reserved_type(members[0], mt)
            flags |= special
        bulk = mt < HIGHATOMIC and flags == _KSWAPD | _NOLRU and _has_list(order)
        self.pages.request(request(order, mt, flags), blocks, bulk)

    def _free_unseen(self, pfn: int, order: int) -> None:
        """Free pages that the recording takes although they are in use."""
        self.inferred["freed_unseen"] += 1
        for event, (other, size) in list(self.flying.items()):
            if other < pfn + (1 << order) and pfn < other + (1 << size):
                self.pages.free(*self.flying.pop(event))
        self.pages.free(pfn, order)

    def _reserved_type(self, index: int, mt: int) -> tuple[int, int]:
        """Type and flags of a request that was served from reserved blocks.

        The take names the list only; the type asked for is that of the allocation which
        follows.
        """
        if mt == CMA:
            return MOVABLE, _CMA
        after = self.window.events[index + 1 : index + 64]
        same = after["kind"] == ALLOC
        same &= after["pfn"] == self.window.events["pfn"][index]
        asked = int(after["mt"][same][0]) if same.any() else UNMOVABLE
        return asked if asked < HIGHATOMIC else UNMOVABLE, _HIGHATOMIC

    def _alloc(self, _: int, pfn: int, order: int, mt: int, *__: int) -> None:
        if self.pages.free_pages(pfn, order):
            self.inferred["captured"] += 1
            self._grab(pfn, order, min(mt, 2))
        self.pages.set_lru(pfn, order, mt == MOVABLE)

    def _free(self, index: int, pfn: int, order: int, *_: int) -> None:
        if self.pages.free_pages(pfn, order):
            self.inferred["silently_taken"] += 1
            self._grab(pfn, order, MOVABLE)
        if self.window.when[index] >= 0:
            self.flying[index] = (pfn, order)
            self.inferred["bypassed"] += int(self.window.bypassed[index])
        if self.window.when[index] != index + 1:
            self.pages.set_lru(pfn, order, on=False)

    def _drain(self, _: int, pfn: int, order: int, *__: int) -> None:
        if self.pages.free(pfn, order) == 0:
            self.inferred["drained_free"] += 1

    def _grab(self, pfn: int, order: int, mt: int) -> None:
        """Ask for the free pages of a block that left the lists unseen."""
        for block in list(self.pages.runs(pfn, order, BUDDY)):
            self.pages.request(request(block[1], mt, _NOLRU), [block], bulk=False)

    def _isolate(
        self, _: int, pfn: int, __: int, ___: int, end: int, taken: int
    ) -> None:
        if taken == 0:
            return
        order_at = self.pages.free_block_at
        blocks = isolated(order_at, pfn, min(end, self.pages.end), taken)
        if blocks is None:
            self.inferred["isolations_not_found"] += 1
            return
        self.inferred["isolated"] += len(blocks)
        for block in blocks:
            what = request(block[1], MOVABLE, _NOLRU)
            self.pages.request(what, [block], bulk=False)

    def _recorded(self) -> Mapping[str, Any]:
        """Count what the recorded kernel did."""
        events = self.window.events[self.indices]
        taken = events[self.window.take[self.indices] != NO_TAKE]
        fallbacks = events[events["kind"] == FALLBACK]
        claims, steals = (fallbacks[fallbacks["claim"] == value] for value in (1, 0))
        types = ("mt", "fallback_mt"), _NR_TYPES, _NR_TYPES
        orders = ("order", "fallback_order"), _NR_ORDERS, _NR_ORDERS
        return {
            "pages": len(taken),
            "base_pages": int((1 << taken["order"].astype(np.int64)).sum()),
            "batches": len(self.batches),
            "fallbacks": len(fallbacks),
            "claim": _count(claims, *types),
            "steal": _count(steals, *types),
            "fallback_orders": _count(fallbacks, *orders),
            "requests": _count(taken, ("order", "mt"), _NR_ORDERS, _NR_TYPES),
            "native": int((self.window.take[self.indices] == 1).sum()),
            "inferred": dict(sorted(self.inferred.items())),
        }


def _has_list(order: int) -> bool:
    return bool(has_cpu_list(np.array(order)))


def _count(
    events: Events, columns: tuple[str, str], rows: int, width: int
) -> list[list[int]]:
    """Count events by two columns."""
    table = np.zeros((rows, width), np.int64)
    np.add.at(table, tuple(events[column] for column in columns), 1)
    counted: list[list[int]] = table.tolist()
    return counted
