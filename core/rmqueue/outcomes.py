"""From a replay and the zone it left behind to an `Outcome`; sums over zones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from rmqueue.errors import InvariantError, StrategyError
from rmqueue.measures import FallbackMatrix, HoldStats, ReplayResult
from rmqueue.metrics import (
    added,
    as_matrix,
    fragmentation_index,
    mixed_pageblocks,
    pages_per_block,
    unusable_index,
)
from rmqueue.results import Holds, Outcome
from rmqueue.zone import Zone

#: Name of the sum over zones.
ALL_ZONES = "all"


class Geometry(Protocol):
    """What knows where a zone lies: a `ZoneConfig` or a `ZoneState`."""

    @property
    def start_pfn(self) -> int:
        """First page [pfn]."""

    @property
    def pages(self) -> int:
        """Pages spanned [pages]."""

    @property
    def pageblock_order(self) -> int:
        """Order of a pageblock."""

    @property
    def max_page_order(self) -> int:
        """Order of the largest block."""


def outcome_of(
    where: Geometry, zone: Zone, result: ReplayResult, orders: Sequence[int]
) -> Outcome:
    """Measure a replay and the zone afterwards.

    Parameters
    ----------
    where : Geometry
        Where the zone lies.
    zone : Zone
        The zone after the replay.
    result : ReplayResult
        What the replay returned.
    orders : sequence of int
        Orders of the indices; those that the zone does not have are left out.
    """
    return Outcome(
        ops=result.ops,
        seconds=result.seconds,
        asked=result.asked,
        served=result.served,
        counters=dict(result.counters),
        holds=summary(result.holds),
        misuse=dict(result.misuse),
        **fallback_fields(result.fallbacks),
        **state_fields(where, zone, orders),
    )


def fallback_fields(fallbacks: FallbackMatrix) -> dict[str, Any]:
    """Fields of an outcome about fallbacks by type pair."""
    return {
        "claim": as_matrix(fallbacks.claim),
        "steal": as_matrix(fallbacks.steal),
        "pollute": as_matrix(fallbacks.pollute),
    }


def state_fields(where: Geometry, zone: Zone, orders: Sequence[int]) -> dict[str, Any]:
    """Fields of an outcome about the zone as it is now."""
    counts = zone.free_counts()
    blocks = pages_per_block(where.start_pfn, where.pages, where.pageblock_order)
    known = [order for order in orders if order <= where.max_page_order]
    return {
        "zone": zone.name,
        "pages": where.pages,
        "free_pages": zone.nr_free,
        "unusable": {order: unusable_index(counts, order) for order in known},
        "fragmentation": {o: fragmentation_index(counts, o) for o in known},
        "pageblocks": len(blocks),
        "mixed_pageblocks": mixed_pageblocks(zone.pageblocks(), blocks),
    }


def refuse_disorder(zone: Zone) -> None:
    """Refuse figures of a zone that its strategy has left in disorder.

    Raises
    ------
    StrategyError
        An invariant is broken.
    """
    try:
        zone.check()
    except InvariantError as error:
        raise StrategyError(
            f"strategy {zone.strategy.name!r} has left the zone in disorder, so there "
            f"are no figures: {error}: change pages and lists with bricks only"
        ) from None


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
        measures=main.measures,
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
