"""Properties of whole streams: equal answers to equal questions, zones apart."""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmqueue.config import ZoneConfig
from rmqueue.cost import cost_ps
from rmqueue.mm.jit import ENABLED
from rmqueue.mm.vmstat import COUNTERS
from rmqueue.ops import CHECK
from rmqueue.testing import golden
from rmqueue.zone import Zone
from tests.differential.streams import PAIRS, random_config, random_ops

EXAMPLES = settings(
    derandomize=True, deadline=None, database=None, max_examples=20 if ENABLED else 3
)
LAST = np.array([(CHECK, 0, 0, 0)], np.int64)


def zone_and_ops(seed: int, pair: tuple[str, str], steps: int) -> tuple[Zone, Any]:
    config = random_config(seed, *pair)
    fields = asdict(config)
    strategy = fields.pop("strategy")
    return Zone(ZoneConfig(**fields), strategy), random_ops(seed, steps, config)[0]


def final_state(zone: Zone) -> list[Any]:
    buffers = zone.replay_checked(LAST)
    arrays = (buffers.hashes, buffers.zones, buffers.counters, buffers.types)
    return [array.tolist() for array in arrays]


@EXAMPLES
@given(seed=st.integers(0, 10**6), pair=st.sampled_from(PAIRS))
def test_equal_streams_give_equal_results(seed: int, pair: tuple[str, str]) -> None:
    once, again = (
        golden.replay_ops(*zone_and_ops(seed, pair, steps=200)) for _ in range(2)
    )
    for key, values in once.items():
        np.testing.assert_array_equal(again[key], values, err_msg=key)


@EXAMPLES
@given(
    seed=st.integers(0, 10**6),
    pairs=st.tuples(st.sampled_from(PAIRS), st.sampled_from(PAIRS)),
    cuts=st.lists(st.floats(0, 1), min_size=1, max_size=6),
)
def test_zones_side_by_side_do_not_meet(
    seed: int, pairs: tuple[tuple[str, str], ...], cuts: list[float]
) -> None:
    alone, together = [], []
    for at, pair in enumerate(pairs):
        zone, ops = zone_and_ops(seed + at, pair, steps=120)
        zone.replay(ops)
        alone.append(final_state(zone))
        together.append(zone_and_ops(seed + at, pair, steps=120))
    marks = [0.0, *sorted(cuts), 1.0]
    for begin, end in pairwise(marks):
        for zone, ops in together:  # a bit of the one, a bit of the other
            zone.replay(ops[int(begin * len(ops)) : int(end * len(ops))])
    for (zone, _), expected in zip(together, alone, strict=True):
        assert final_state(zone) == expected


@EXAMPLES
@given(seed=st.integers(0, 10**6), pair=st.sampled_from(PAIRS))
def test_recording_results_changes_nothing(seed: int, pair: tuple[str, str]) -> None:
    quiet, ops = zone_and_ops(seed, pair, steps=120)
    loud, _ = zone_and_ops(seed, pair, steps=120)
    assert len(quiet.replay(ops, record=False).res) == 0
    result = loud.replay(ops)
    assert len(result.res) == len(result.scan) > 0
    assert final_state(quiet) == final_state(loud)


@EXAMPLES
@given(
    seed=st.integers(0, 10**6),
    pair=st.sampled_from(PAIRS),
    weights=st.lists(
        st.integers(0, 10**6), min_size=len(COUNTERS), max_size=len(COUNTERS)
    ),
)
def test_holds_weigh_all_the_work(
    seed: int, pair: tuple[str, str], weights: list[int]
) -> None:
    """The holds together cost what all counted work costs, whatever is weighed."""
    zone, ops = zone_and_ops(seed, pair, steps=200)
    costs = dict(zip(COUNTERS, weights, strict=True))
    zone.set_weights(costs)
    result = zone.replay(ops)
    assert result.holds.count == result.counters["lock"] == result.holds.histogram.sum()
    assert result.holds.total_ps == cost_ps(result.counters, costs)
    assert result.holds.worst_ps == cost_ps(result.holds.worst_counters, costs)


@pytest.mark.parametrize("counter", COUNTERS)
def test_every_counter_is_weighed_in_its_hold(counter: str) -> None:
    for seed in range(3):
        zone, ops = zone_and_ops(seed, ("6.14", "claim-whole-block"), steps=150)
        zone.set_weights({counter: 1000})
        result = zone.replay(ops)
        assert result.holds.total_ps == 1000 * result.counters[counter]


@pytest.mark.parametrize("pair", PAIRS)
def test_single_steps_equal_one_replay(pair: tuple[str, str]) -> None:
    """The friendly calls and one long replay are the same allocator."""
    config = ZoneConfig(pages=3000, pageblock_order=5, kernel=pair[0])
    rng = np.random.default_rng(7)
    stepwise, whole = Zone(config, pair[1]), Zone(config, pair[1])
    rows: list[tuple[int, int, int, int]] = []
    held: list[tuple[int, int, int]] = []
    for slot in range(400):
        mt, order = int(rng.integers(3)), int(rng.integers(3))
        rows.append((1, order + 256 * mt, slot, 0))
        pfn = stepwise.alloc(order, mt)
        if pfn is not None:
            held.append((slot, pfn, order))
        if slot % 3 and held:
            victim, pfn, order = held.pop(int(rng.integers(len(held))))
            rows.append((2, 0, victim, 0))
            stepwise.free(pfn, order)
    whole.replay(rows)
    assert final_state(stepwise) == final_state(whole)
