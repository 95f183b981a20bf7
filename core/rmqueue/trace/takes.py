"""Which events of a trace are requests under the zone lock, and which share a batch.

The kernel says when it takes a block from a list (mm_page_alloc_zone_locked) and when
it falls back (mm_page_alloc_extfrag), but how the two pair depends on its version, and
where one rmqueue_bulk() ends and the next begins it does not say at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rmqueue.trace.events import (
    ALLOC,
    DRAIN,
    FALLBACK,
    FREE,
    LOCKED,
    Bools,
    Events,
    Ints,
    has_cpu_list,
)

#: How a request was served: not a request, from its own lists, by claim, by steal.
NO_TAKE, NATIVE, CLAIM, STEAL = range(4)
#: First kernel whose fallback returns the page instead of moving blocks to its lists.
FALLBACK_RETURNS_PAGE = (6, 10)


@dataclass(frozen=True, eq=False)
class Takes:
    """Requests of a trace.

    Attributes
    ----------
    kind : ndarray of int64
        For each event `NO_TAKE`, `NATIVE`, `CLAIM` or `STEAL`.
    batch : ndarray of int64
        For each event the index of its batch, ascending in the order of their first
        events; -1 for events that are no requests.
    fallback : ndarray of int64
        For each request the index of its extfrag event; -1 if it has none.
    """

    kind: Ints
    batch: Ints
    fallback: Ints


def find_takes(events: Events, zone: Ints, version: tuple[int, int]) -> Takes:
    """Find the requests and their batches.

    Parameters
    ----------
    events : ndarray of EVENTS
        Events of the window without marks.
    zone : ndarray of int64
        Index of the zone of each event.
    version : tuple of int
        Version of the recorded kernel.

    Notes
    -----
    Until 6.9 the extfrag event comes before the zone_locked event of the same request,
    with the head of the stolen block as its pfn.  Since 6.10 a steal and the claim of a
    whole block have an extfrag event only, with the page given as pfn; a claim by the
    half rule has zone_locked first, then extfrag with the same pfn.

    A batch is a run of requests of one CPU for the same zone, order, type and kind of
    list.  It ends with the next drain, free or allocation of that CPU, when another CPU
    has held the zone's lock in between, and where a request is not served by a steal
    after one that was, if the kernel's `rmqueue_mode` would not have allowed that.  Two
    refills with nothing in between (bulk allocations leave no event) count as one.
    Orders without a per-CPU list and reserved blocks (type HIGHATOMIC, CMA) are batches
    of one.
    """
    if version < FALLBACK_RETURNS_PAGE:
        kind, fallback = _pair_fallback_first(events)
    else:
        kind, fallback = _pair_fallback_last(events)
    return Takes(kind, _batches(events, zone, kind, version), fallback)


def remembers_mode(version: tuple[int, int]) -> bool:
    """Whether a kernel's batches steal on once they have stolen (`rmqueue_mode`).

    The cure of 6.15 went into stable 6.12, but not into what came between.

    Examples
    --------
    >>> [remembers_mode(v) for v in ((6, 1), (6, 11), (6, 12), (6, 13), (6, 15))]
    [False, False, True, False, True]
    """
    return version == (6, 12) or version >= (6, 15)


def before(groups: Ints, chosen: Ints) -> Ints:
    """Previous event of the same group, among some events only; -1 if there is none.

    Examples
    --------
    >>> before(np.array([0, 1, 0, 0, 1]), np.array([0, 1, 3, 4]))
    array([-1, -1, -1,  0,  1])
    """
    previous = np.full(len(groups), -1, np.int64)
    ordered = chosen[np.argsort(groups[chosen], kind="stable")]
    same = groups[ordered[1:]] == groups[ordered[:-1]]
    previous[ordered[1:][same]] = ordered[:-1][same]
    return previous


def _pair_fallback_first(events: Events) -> tuple[Ints, Ints]:
    """Pair a zone_locked event with the extfrag event before it (until 6.9)."""
    locked = events["kind"] == LOCKED
    either = np.flatnonzero(locked | (events["kind"] == FALLBACK))
    previous = before(events["cpu"], either)
    paired = locked & (previous >= 0) & (events["kind"][previous] == FALLBACK)
    how = np.where(events["claim"][previous] == 1, CLAIM, STEAL)
    kind = np.where(locked, np.where(paired, how, NATIVE), NO_TAKE)
    return kind, np.where(paired, previous, -1)


def _pair_fallback_last(events: Events) -> tuple[Ints, Ints]:
    """Pair an extfrag event with the zone_locked event before it (since 6.10)."""
    previous = before(events["cpu"], np.arange(len(events)))
    fallback = events["kind"] == FALLBACK
    paired = fallback & (events["claim"] == 1) & (previous >= 0)
    for column in ("pfn", "order"):
        paired &= events[column][previous] == events[column]
    paired &= events["kind"][previous] == LOCKED
    how = np.where(events["claim"] == 1, CLAIM, STEAL)
    kind = np.where(fallback & ~paired, how, NO_TAKE)
    kind[events["kind"] == LOCKED] = NATIVE
    kind[previous[paired]] = CLAIM
    index = np.where(fallback & ~paired, np.arange(len(events)), -1)
    index[previous[paired]] = np.flatnonzero(paired)
    return kind, index


def _batches(events: Events, zone: Ints, kind: Ints, version: tuple[int, int]) -> Ints:
    take = kind != NO_TAKE
    closing = np.isin(events["kind"], (DRAIN, FREE, ALLOC))
    previous = before(events["cpu"], np.flatnonzero(take | closing))
    same = take & (previous >= 0) & take[previous] & _batchable(events)
    same &= zone[previous] == zone
    for column in ("order", "mt"):
        same &= events[column][previous] == events[column]
    if remembers_mode(version):
        same &= (kind[previous] != STEAL) | (kind == STEAL)
    same &= ~_lock_went_elsewhere(events, zone, take)
    return _number_batches(events, take, same)


def _batchable(events: Events) -> Bools:
    """Whether a request can be one of several of a refill."""
    listed = has_cpu_list(events["order"]) & (events["refill"] != 0)
    batchable: Bools = listed & (events["mt"] < 3)
    return batchable


def _lock_went_elsewhere(events: Events, zone: Ints, take: Bools) -> Bools:
    """Whether the last hold of the zone's lock was another CPU's."""
    holds = np.flatnonzero(take | (events["kind"] == DRAIN))
    previous = before(zone, holds)
    elsewhere: Bools = events["cpu"][previous] != events["cpu"]
    return elsewhere & (previous >= 0)


def _number_batches(events: Events, take: Bools, same: Bools) -> Ints:
    """Give batches numbers in the order of their first events."""
    takes = np.flatnonzero(take)
    by_cpu = takes[np.argsort(events["cpu"][takes], kind="stable")]
    firsts = by_cpu[~same[by_cpu]]
    rank = np.empty(len(firsts), np.int64)
    rank[np.argsort(firsts)] = np.arange(len(firsts))
    batch = np.full(len(events), -1, np.int64)
    batch[by_cpu] = rank[np.cumsum(~same[by_cpu]) - 1]
    return batch
