"""Whatever counts and trace say, a start state that is made up is a state."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rmqueue.trace.events import DRAIN, EVENTS, FREE, LOCKED, Events
from rmqueue.types import ZoneState
from rmqueue.zone import Zone
from rmqueue_plugins.readers.clues import (
    FREED,
    NR_TYPES,
    USED,
    Clues,
    Extent,
    find_clues,
)
from rmqueue_plugins.readers.placement import Placement

PAGEBLOCKS, ORDERS = 12, 11
SIZE = 512

event = st.tuples(
    st.sampled_from([LOCKED, FREE, DRAIN]),
    st.integers(0, PAGEBLOCKS * SIZE - 1),
    st.integers(0, 5),
    st.integers(0, 2),
)
#: Per order and type; the large ones are rare, so that there is room.
row = st.lists(st.integers(0, 4), min_size=3, max_size=3)
tables = st.lists(row, min_size=ORDERS - 1, max_size=ORDERS - 1)


def events_of(rows: list[tuple[int, int, int, int]]) -> Events:
    events = np.zeros(len(rows), EVENTS)
    for at, (kind, pfn, order, mt) in enumerate(rows):
        events[at]["kind"], events[at]["pfn"] = kind, pfn >> order << order
        events[at]["order"], events[at]["mt"] = order, mt
    return events


def wanted_of(
    table: list[list[int]],
) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    counts = np.zeros((ORDERS, NR_TYPES), np.int64)
    counts[:-1, :3] = table
    counts[7:, :3] = np.minimum(counts[7:, :3], 1)
    return counts


def made(
    rows: list[tuple[int, int, int, int]],
    table: list[list[int]],
    seed: int,
    version: tuple[int, int],
) -> tuple[Placement, Clues]:
    extent = Extent(0, PAGEBLOCKS * SIZE, 9, ORDERS - 1)
    (clues,) = find_clues(events_of(rows), (extent,), version)
    placement = Placement(
        extent,
        clues,
        wanted_of(table),
        np.array([4, 6, 2, 0, 0]),
        mixed=version < (6, 10),
        rng=np.random.default_rng(seed),
    )
    return placement, clues


def state_of(placement: Placement, version: tuple[int, int]) -> ZoneState:
    return ZoneState(
        name="Normal",
        kernel="6.9" if version < (6, 10) else "6.14",
        start_pfn=0,
        pages=PAGEBLOCKS * SIZE,
        managed=PAGEBLOCKS * SIZE,
        cpus=1,
        pageblock_order=9,
        max_page_order=ORDERS - 1,
        watermarks=(1, 2, 3),
        boost=0,
        nr_reserved_high=0,
        free_lists=placement.lists(),
        pageblock_types=placement.types[:PAGEBLOCKS].astype(np.uint8),
        blocks=np.empty((0, 2), np.int64),
        lru=np.empty(0, np.int64),
    )


versions = st.sampled_from([(6, 1), (6, 12)])


@settings(deadline=None)
@given(st.lists(event, max_size=40), tables, st.integers(0, 99), versions)
def test_it_holds_every_invariant_and_what_the_trace_says(
    rows: list[tuple[int, int, int, int]],
    table: list[list[int]],
    seed: int,
    version: tuple[int, int],
) -> None:
    placement, clues = made(rows, table, seed, version)
    strategy = "greedy-steal" if version < (6, 10) else "remembered-fallback"
    zone = Zone.from_state(state_of(placement, version), strategy)
    zone.check()
    free = placement.mark == FREED
    assert zone.nr_free == free.sum()
    assert free[clues.mark == FREED].all()
    assert not free[clues.mark == USED].any()
    told = clues.types[:PAGEBLOCKS] >= 0
    large = [o for o, _ in placement.lists() if o > 9]
    if not large:
        assert (placement.types[:PAGEBLOCKS] == clues.types[:PAGEBLOCKS])[told].all()


@settings(deadline=None)
@given(tables, st.integers(0, 99), versions)
def test_without_a_trace_the_counts_are_matched(
    table: list[list[int]], seed: int, version: tuple[int, int]
) -> None:
    placement, _ = made([], table, seed, version)
    missing = placement.differences()
    counts = wanted_of(table)
    found = np.zeros_like(counts)
    for (order, mt), pfns in placement.lists().items():
        found[order, mt] = len(pfns)
    assert missing["blocks_more"] == 0
    assert np.abs(counts - found).sum() == missing["blocks_missing"]
    room = (1 << np.arange(ORDERS)) @ counts
    if (2 * room <= np.array([4, 6, 2, 0, 0]) * SIZE).all() and not counts[9:].any():
        assert missing["blocks_missing"] == 0


@settings(deadline=None)
@given(st.lists(event, max_size=20), tables, st.integers(0, 99))
def test_equal_seeds_give_equal_states(
    rows: list[tuple[int, int, int, int]], table: list[list[int]], seed: int
) -> None:
    first, second = (made(rows, table, seed, (6, 12))[0].lists() for _ in range(2))
    assert first.keys() == second.keys()
    assert all((first[key] == second[key]).all() for key in first)
