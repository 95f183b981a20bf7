"""From a replay and the zone it left behind to an `Outcome`; sums over zones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rmqueue.measures import HoldStats, ReplayResult
from rmqueue.metrics import (
    added,
    as_matrix,
    fragmentation_index,
    mixed_pageblocks,
    pages_per_block,
    unusable_index,
)
from rmqueue.results import Holds, Outcome
from rmqueue.start import ZoneStart
from rmqueue.zone import Zone

#: Name of the sum over zones.
ALL_ZONES = "all"


def outcome_of(
    start: ZoneStart, zone: Zone, result: ReplayResult, orders: Sequence[int]
) -> Outcome:
    """Measure a replay and the zone afterwards.

    Parameters
    ----------
    start : ZoneStart
        What was replayed.
    zone : Zone
        The zone after the replay.
    result : ReplayResult
        What the replay returned.
    orders : sequence of int
        Orders of the indices; those that the zone does not have are left out.
    """
    where = start.geometry
    counts = zone.free_counts()
    blocks = pages_per_block(where.start_pfn, where.pages, where.pageblock_order)
    known = [order for order in orders if order <= where.max_page_order]
    return Outcome(
        zone=start.name,
        pages=where.pages,
        ops=result.ops,
        seconds=result.seconds,
        asked=result.asked,
        served=result.served,
        counters=dict(result.counters),
        holds=summary(result.holds),
        claim=as_matrix(result.fallbacks.claim),
        steal=as_matrix(result.fallbacks.steal),
        pollute=as_matrix(result.fallbacks.pollute),
        free_pages=zone.nr_free,
        unusable={order: unusable_index(counts, order) for order in known},
        fragmentation={order: fragmentation_index(counts, order) for order in known},
        pageblocks=len(blocks),
        mixed_pageblocks=mixed_pageblocks(zone.pageblocks(), blocks),
        misuse=dict(result.misuse),
    )


def total(zones: Sequence[Outcome], holds: HoldStats) -> Outcome:
    """Sum over zones; indices are those of the largest zone."""
    main = largest(zones)
    return Outcome(
        zone=ALL_ZONES,
        pages=sum(zone.pages for zone in zones),
        ops=sum(zone.ops for zone in zones),
        seconds=sum(zone.seconds for zone in zones),
        asked=sum(zone.asked for zone in zones),
        served=sum(zone.served for zone in zones),
        counters=summed_counts(zone.counters for zone in zones),
        holds=summary(holds),
        claim=added(zone.claim for zone in zones),
        steal=added(zone.steal for zone in zones),
        pollute=added(zone.pollute for zone in zones),
        free_pages=sum(zone.free_pages for zone in zones),
        unusable=main.unusable,
        fragmentation=main.fragmentation,
        pageblocks=sum(zone.pageblocks for zone in zones),
        mixed_pageblocks=sum(zone.mixed_pageblocks for zone in zones),
        misuse=summed_counts(zone.misuse for zone in zones),
    )


def largest(zones: Sequence[Outcome]) -> Outcome:
    """Return the zone with the most pages; the first of equals."""
    return max(zones, key=lambda zone: zone.pages)


def summary(holds: HoldStats) -> Holds:
    """Reduce a distribution of holds to what tables show."""
    return Holds(
        count=holds.count,
        total_ps=holds.total_ps,
        worst_ps=holds.worst_ps,
        p99_ps=holds.percentile_ps(99),
        worst_counters=dict(holds.worst_counters),
    )


def summed_counts(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Sum of counts by name, in the order of first appearance."""
    counts: Counter[str] = Counter()
    for part in parts:
        counts.update(part)
    return dict(counts)
