"""The product against the allocator in plain Python, on zones and streams at random.

Every pair of kernel profile and strategy; each seed is another geometry (orders, odd
ends, holes, CMA, far from pfn 0) and another stream.  Without the JIT the smallest zone
of each pair is left.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from rmqueue.config import ZoneConfig
from rmqueue.testing import golden
from rmqueue.zone import Zone
from tests.differential.streams import PAIRS, random_config, random_ops
from tests.naive import NaiveConfig, NaiveZone

STEPS = 700


def cases(first: int, count: int) -> list[Any]:
    """Configurations with their seeds: `count` for each pair, all different."""
    params = []
    for at, (kernel, strategy) in enumerate(PAIRS):
        seeds = range(first + 100 * at, first + 100 * at + count)
        configs = {seed: random_config(seed, kernel, strategy) for seed in seeds}
        smallest = min(seeds, key=lambda seed: configs[seed].pages)
        for seed, config in configs.items():
            marks = () if seed == smallest else (pytest.mark.slow,)
            name = f"{kernel}-{strategy}-{seed}"
            params.append(pytest.param(config, seed, marks=marks, id=name))
    return params


def zone_of(config: NaiveConfig) -> Zone:
    fields = asdict(config)
    strategy = fields.pop("strategy")
    return Zone(ZoneConfig(**fields), strategy)


def assert_equal(
    found: dict[str, npt.NDArray[Any]], expected: dict[str, npt.NDArray[Any]]
) -> None:
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        np.testing.assert_array_equal(found[key], values, err_msg=key)


@pytest.mark.parametrize(("config", "seed"), cases(first=0, count=12))
def test_same_as_naive(config: NaiveConfig, seed: int) -> None:
    ops, _ = random_ops(seed, STEPS, config)
    zone = zone_of(config)
    naive = NaiveZone(config)
    assert_equal(golden.replay_ops(zone, ops), naive.replay(ops))
    zone.check()
    for cpu in range(config.cpus):
        for index, pages in enumerate(naive.pcp_lists(cpu)):
            assert zone.pcp_list(cpu, index).tolist() == pages


@pytest.mark.parametrize(("config", "seed"), cases(first=50, count=4))
def test_same_lists_as_naive_without_cpus(config: NaiveConfig, seed: int) -> None:
    ops, _ = random_ops(seed, STEPS // 2, config, pcp=False, flags=False)
    zone, naive = zone_of(config), NaiveZone(config)
    assert_equal(golden.replay_ops(zone, ops), naive.replay(ops))
    for order in range(config.max_page_order + 1):
        for mt in range(5 if config.cma else 4):
            assert zone.free_list(order, mt).tolist() == naive.free_list(order, mt)
    assert zone.pageblock_types().tolist() == naive.types()
    assert list(zone.counters.values()) == naive.counters
