"""What counted work costs, and the distribution of lock holds."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from rmqueue.cost import cost_ps, cost_table, merged_holds
from rmqueue.errors import ConfigError
from rmqueue.measures import HoldStats
from rmqueue.mm.vmstat import COUNTERS, HISTOGRAM_BUCKETS, bucket_floor_ps
from rmqueue.ops import ALLOC, request
from tests.unit.zones import zone_of


def test_own_costs_come_before_those_of_the_machine() -> None:
    costs = cost_table({"lock": 10, "merge": 3}, {"merge": 4})
    assert tuple(costs) == COUNTERS
    assert (costs["lock"], costs["merge"], costs["split"]) == (10, 4, 0)
    assert cost_ps({"lock": 2, "merge": 5, "other": 9}, costs) == 40


@pytest.mark.parametrize(
    ("costs", "words"),
    [
        ({"scan_pages": 1}, "weights_ps.scan_pages: no work counter is called"),
        ({"lock": -1}, "weights_ps.lock: a cost cannot be negative (found -1)"),
    ],
)
def test_impossible_costs_are_refused(costs: dict[str, int], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        cost_table(costs)
    assert words in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        cost_table({}, costs)
    assert words in str(caught.value)


def test_buckets_of_the_histogram_are_six_percent_wide() -> None:
    floors = [bucket_floor_ps(bucket) for bucket in range(HISTOGRAM_BUCKETS)]
    assert floors[:17] == list(range(17))
    assert floors == sorted(set(floors))
    for low, high in pairwise(floors[16:]):
        assert high - low <= low / 16


def holds_of(*costs: int) -> HoldStats:
    """Holds of given costs, made by the jitted code itself."""
    zone = zone_of(1 << 13)
    histogram = np.zeros(HISTOGRAM_BUCKETS, np.int64)
    total = worst = 0
    for cost in costs:
        zone.set_weights({"lock": cost})
        holds = zone.replay([(ALLOC, request(0, 1), 0, 0), (2, 0, 0, 0)]).holds
        assert holds.total_ps == 2 * cost
        histogram += holds.histogram // 2
        total, worst = total + cost, max(worst, cost)
    return HoldStats(len(costs), total, worst, {"lock": worst}, histogram)


def test_percentiles() -> None:
    holds = holds_of(*range(100, 10_100, 100))
    assert holds.percentile_ps(100) == 10_000
    for q in (1, 10, 50, 90, 99):
        assert q * 100 <= holds.percentile_ps(q) <= q * 100 * 17 / 16 + 1
    none = HoldStats(0, 0, 0, {}, np.zeros(HISTOGRAM_BUCKETS, np.int64))
    assert none.percentile_ps(99) == 0
    assert holds_of(5).percentile_ps(50) == 5


def test_holds_of_several_zones_become_one_distribution() -> None:
    first, second = holds_of(10, 20), holds_of(500)
    merged = merged_holds([first, second])
    assert (merged.count, merged.total_ps, merged.worst_ps) == (3, 530, 500)
    assert merged.worst_counters == second.worst_counters
    assert (merged.histogram == first.histogram + second.histogram).all()
    assert merged_holds([]).count == merged_holds([]).worst_ps == 0
