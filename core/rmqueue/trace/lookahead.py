"""Frees that go straight to the buddy lists, and when they take effect.

mm_page_free is traced before any lock is taken.  Whether the page then went on a
per-CPU list or past it, and when the zone lock was had, only later events tell.
"""

from __future__ import annotations

import numpy as np

from rmqueue.trace.events import (
    ALLOC,
    BATCHED,
    DRAIN,
    FALLBACK,
    FREE,
    LOCKED,
    Bools,
    Events,
    Ints,
    has_cpu_list,
)
from rmqueue.trace.takes import FALLBACK_RETURNS_PAGE, before

#: First kernel that gives the lock back after every batch of a drain.
DRAINS_IN_BATCHES = (6, 18)
NEVER = -1


def direct_frees(
    events: Events, end_free: Bools | None, version: tuple[int, int]
) -> Bools:
    """Which frees go straight to the buddy lists.

    Those of orders without a per-CPU list, and those that went past it because it was
    busy: all their pages are next taken from a free list, or are free at the end.

    Parameters
    ----------
    events : ndarray of EVENTS
        Events of the window without marks.
    end_free : ndarray of bool or None
        Which pages are in the buddy lists at the end; if that is not recorded, a page
        that is not named again counts as not free.
    version : tuple of int
        Version of the recorded kernel.
    """
    kind = events["kind"]
    owner, page = by_page(events, version)
    later = np.zeros(len(owner), np.bool_)
    again = page[1:] == page[:-1]
    taken = np.isin(kind[owner[1:]], (LOCKED, FALLBACK))
    later[:-1] = again & taken
    if end_free is not None and len(owner):
        last = np.append(~again, True)
        final = page[last]
        later[last] = end_free[np.minimum(final, len(end_free) - 1)]
        later[last] &= final < len(end_free)
    stays = np.zeros(len(events), np.bool_)
    stays[owner[~later]] = True
    direct: Bools = (kind == FREE) & (~has_cpu_list(events["order"]) | ~stays)
    return direct


def by_page(events: Events, version: tuple[int, int]) -> tuple[Ints, Ints]:
    """Events that use a page, and the page: by page, then in the order of the trace."""
    kind = events["kind"]
    uses = np.isin(kind, (LOCKED, DRAIN, ALLOC, FREE))
    if version >= FALLBACK_RETURNS_PAGE:
        uses |= kind == FALLBACK
    chosen = np.flatnonzero(uses)
    sizes = 1 << events["order"][chosen].astype(np.int64)
    owner = np.repeat(chosen, sizes)
    offset = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    page = events["pfn"][owner] + offset
    ordered = np.lexsort((owner, page))
    return owner[ordered], page[ordered]


def when_freed(
    events: Events,
    zone: Ints,
    direct: Bools,
    batches: tuple[int, ...],
    version: tuple[int, int],
) -> Ints:
    """When the direct frees take effect.

    Parameters
    ----------
    events, version
        As of `direct_frees`.
    zone : ndarray of int64
        Index of the zone of each event.
    direct : ndarray of bool
        What `direct_frees` found.
    batches : tuple of int
        Batch of the per-CPU lists of each zone [pages].

    Returns
    -------
    ndarray of int64
        For each direct free the index of the event before which it is done,
        ``len(events)`` for the end; `NEVER` for all other events.

    Notes
    -----
    It is done before the CPU's next event d, unless another CPU is in a hold of the
    zone's lock at d: then before that hold began.
    """
    following = _after(events["cpu"])
    holds = _Holds(events, zone, batches, version)
    when = np.full(len(events), NEVER, np.int64)
    for index in np.flatnonzero(direct).tolist():
        latest = int(following[index])
        if has_cpu_list(events["order"][index]):
            latest = _end_of_release(events, following, index, latest)
        began = holds.open_at(latest, int(zone[index]), int(events["cpu"][index]))
        when[index] = latest if began == NEVER else max(began, index + 1)
    return when


def _after(groups: Ints) -> Ints:
    """Next event of the same group, the number of events if there is none."""
    backwards = before(groups[::-1], np.arange(len(groups)))
    after = np.where(backwards < 0, len(groups), len(groups) - 1 - backwards)
    return np.asarray(after)[::-1]


def _end_of_release(events: Events, following: Ints, index: int, latest: int) -> int:
    """When a page that goes past its list is freed in the course of a batch release.

    A release traces all frees first, then one batched event a page that goes on a list:
    the page's turn comes before the batched event of a page freed after it.
    """
    later, at, last = [], latest, len(events)
    while at < last and events["kind"][at] == FREE:
        later.append(int(events["pfn"][at]))
        at = int(following[at])
    if (
        at >= last
        or events["kind"][at] != BATCHED
        or events["irq"][at] != events["irq"][index]
    ):
        return latest
    turn: dict[int, int] = {}
    while at < last and events["kind"][at] in (BATCHED, DRAIN):
        if events["kind"][at] == BATCHED:
            turn.setdefault(int(events["pfn"][at]), at)
        at = int(following[at])
    return next((turn[pfn] for pfn in later if pfn in turn), at)


class _Holds:
    """Holds of the zone locks: runs of takes, or of drains, of one CPU in one zone."""

    def __init__(
        self,
        events: Events,
        zone: Ints,
        batches: tuple[int, ...],
        version: tuple[int, int],
    ) -> None:
        self.cpus = np.unique(events["cpu"]).tolist()
        what = np.zeros(len(events), np.int64)
        what[np.isin(events["kind"], (LOCKED, FALLBACK))] = 1
        what[events["kind"] == DRAIN] = 2
        by_cpu = np.argsort(events["cpu"], kind="stable")
        new = np.ones(len(events), np.bool_)
        same = [part[by_cpu] for part in (events["cpu"], zone, what)]
        new[1:] = np.logical_or.reduce([part[1:] != part[:-1] for part in same])
        if version >= DRAINS_IN_BATCHES:
            _cut_drains(new, events["order"][by_cpu], same[1], same[2], batches)
        first = np.flatnonzero(new)
        last = np.append(first[1:], len(events)) - 1
        held = what[by_cpu[first]] > 0
        self.first, self.last = by_cpu[first[held]], by_cpu[last[held]]
        self.zone, self.cpu = zone[self.first], events["cpu"][self.first]
        self._of: dict[tuple[int, int], tuple[Ints, Ints]] = {}

    def open_at(self, at: int, zone: int, cpu: int) -> int:
        """First event of the hold of another CPU that is open at an event."""
        for other in self.cpus:
            if other == cpu:
                continue
            first, last = self._runs(zone, other)
            index = int(np.searchsorted(first, at)) - 1
            if index >= 0 and at <= last[index]:
                return int(first[index])
        return NEVER

    def _runs(self, zone: int, cpu: int) -> tuple[Ints, Ints]:
        if (zone, cpu) not in self._of:
            mine = (self.zone == zone) & (self.cpu == cpu)
            self._of[zone, cpu] = self.first[mine], self.last[mine]
        return self._of[zone, cpu]


def _cut_drains(
    new: Bools, order: Ints, zone: Ints, what: Ints, batches: tuple[int, ...]
) -> None:
    """Begin a new hold after every `batch` pages of a drain."""
    pages = 0
    drains = np.flatnonzero(what == 2)
    columns = (drains, 1 << order[drains], zone[drains])
    for index, size, where in zip(*(c.tolist() for c in columns), strict=True):
        if new[index] or (where >= 0 and pages >= batches[where]):
            new[index], pages = True, 0
        pages += size


class Uses:
    """The events that use each page, to ask what happens to it next.

    Parameters
    ----------
    events, end_free, version
        As of `direct_frees`.
    """

    def __init__(
        self, events: Events, end_free: Bools | None, version: tuple[int, int]
    ) -> None:
        owner, page = by_page(events, version)
        self._takes = np.isin(events["kind"], (LOCKED, FALLBACK))
        self._owner, self._page, self._end_free = owner, page, end_free

    def has_left(self, pfn: int, at: int) -> bool:
        """Whether a page cannot be in the free lists after an event.

        It is not if what happens to it next is anything but that it is taken from them,
        or if nothing does and it is not in them at the end.
        """
        first, last = np.searchsorted(self._page, (pfn, pfn + 1)).tolist()
        after = first + int(np.searchsorted(self._owner[first:last], at, "right"))
        if after < last:
            return not self._takes[self._owner[after]]
        end = self._end_free
        return end is not None and not (pfn < len(end) and end[pfn])
