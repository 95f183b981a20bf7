"""What every installed strategy keeps to, on every kernel profile that allows it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from rmqueue.config import ZoneConfig
from rmqueue.mm.profile import PROFILES
from rmqueue.ops import ALLOC, FREE, request
from rmqueue.registry import default_registry
from rmqueue.testing import golden
from rmqueue.zone import Zone
from tests.differential.streams import random_config, random_ops

NAMES = default_registry().names("strategy")
PAIRS = [
    (kernel, name)
    for kernel, profile in PROFILES.items()
    for name in NAMES
    if profile.mixed_lists or not default_registry().strategy(name).mixed_lists
]
TYPES = ("unmovable", "movable", "reclaimable")


def zone_and_ops(seed: int, kernel: str, strategy: str) -> tuple[Zone, Any]:
    config = random_config(seed, kernel)
    fields = asdict(config)
    del fields["strategy"]
    return Zone(ZoneConfig(**fields), strategy), random_ops(seed, 250, config)[0]


def test_strategies_are_installed() -> None:
    assert len(NAMES) >= 6
    assert len(PAIRS) >= 3 * len(NAMES) - 2


@pytest.mark.parametrize("seed", [11, pytest.param(12, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("kernel", "strategy"), PAIRS)
def test_no_stream_breaks_an_invariant(kernel: str, strategy: str, seed: int) -> None:
    zone, ops = zone_and_ops(seed, kernel, strategy)
    for part in np.array_split(ops, 8):
        assert zone.replay(part).misuse == {}
        zone.check()


@pytest.mark.parametrize(("kernel", "strategy"), PAIRS)
def test_equal_streams_give_equal_results(kernel: str, strategy: str) -> None:
    first, second = (
        golden.replay_ops(*zone_and_ops(21, kernel, strategy)) for _ in range(2)
    )
    for key, values in first.items():
        np.testing.assert_array_equal(second[key], values, err_msg=key)


@pytest.mark.parametrize(("kernel", "strategy"), PAIRS)
def test_no_search_while_there_is_a_native_page(kernel: str, strategy: str) -> None:
    zone = Zone(ZoneConfig(pages=4096, kernel=kernel), strategy)
    before = zone.counters
    pages = zone.alloc_bulk(0, 4000, "movable")
    for pfn in pages[::3]:
        zone.free(int(pfn))
    for order in range(5):
        assert zone.alloc(order, "movable") is not None
    after = zone.counters
    for name in ("fallback", "steal_search", "claim_try", "steal", "claim_whole"):
        assert after[name] == before[name] == 0, name


@pytest.mark.parametrize(("kernel", "strategy"), PAIRS)
@pytest.mark.parametrize("migratetype", TYPES)
def test_a_page_is_served_from_the_right_type_or_another(
    kernel: str, strategy: str, migratetype: str
) -> None:
    """Every fallback ends in a page, or in none and an unchanged zone."""
    zone = Zone(ZoneConfig(pages=512, kernel=kernel, pageblock_order=5), strategy)
    zone.alloc_bulk(0, 512, "movable", lru=False)
    for pfn in range(0, 512, 7):
        zone.free(pfn)
    free, before = zone.nr_free, zone.free_counts()
    got = zone.alloc_bulk(0, 30, migratetype)
    assert len(set(got.tolist())) == len(got)
    assert zone.nr_free == free - len(got)
    if not len(got):
        assert (zone.free_counts() == before).all()
    zone.check()


@pytest.mark.parametrize(("kernel", "strategy"), PAIRS)
def test_a_batch_is_forgotten_when_it_ends(kernel: str, strategy: str) -> None:
    zone = Zone(ZoneConfig(pages=1024, kernel=kernel), strategy)
    zone.alloc_bulk(0, 1024, "movable")
    for pfn in (100, *range(8, 12)):
        zone.free(pfn)
    zone.alloc_bulk(0, 2, "unmovable")
    zone.free(300)  # movable pages, given back
    assert zone.alloc(0, "movable") is not None
    zone.check()


@pytest.mark.parametrize(("kernel", "strategy"), PAIRS)
def test_everything_comes_back(kernel: str, strategy: str) -> None:
    zone = Zone(ZoneConfig(pages=3000, kernel=kernel, pageblock_order=6), strategy)
    rng = np.random.default_rng(5)
    types = rng.integers(0, 3, 900)
    orders = rng.integers(0, 3, 900)
    asks = [
        (ALLOC, request(int(order), int(mt)), slot, 0)
        for slot, (order, mt) in enumerate(zip(orders, types, strict=True))
    ]
    frees = [(FREE, 0, int(slot), 0) for slot in rng.permutation(900)]
    assert zone.replay([*asks, *frees]).misuse == {}
    assert zone.nr_free == zone.managed
    zone.check()


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_described_with_their_unit(name: str) -> None:
    strategy = default_registry().strategy(name)
    assert strategy.summary.endswith(".")
    assert strategy.parameters.model_config.get("frozen") is True
    assert strategy.parameters.model_config.get("extra") == "forbid"
    strategy.parameters()  # every parameter has a default
    for field, info in strategy.parameters.model_fields.items():
        words = (info.description or "").rstrip(".")
        assert words.endswith("]"), field
        assert "[" in words, field
