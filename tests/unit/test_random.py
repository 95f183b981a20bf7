"""Random numbers: those of xorshift64*, with the JIT and without."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest

from rmqueue.mm.jit import I64, entry, store_i64, view_as
from rmqueue.mm.random import chance_of, draw, draw_below, draw_share, seeded
from tests.unit.xorshift import MASK, Xorshift

RANDOM = np.dtype([("rng", "i8")])
random_at = view_as(RANDOM)
WHOLE = 1 << 53


@entry(I64, I64, I64, I64, I64)
def draws(address: int, out: int, count: int, bound: int) -> int:
    """Fill rows with 64 bits, a number below a bound, and a share."""
    state = random_at(address)
    for i in range(count):
        store_i64(out, 3 * i, draw(state))
        store_i64(out, 3 * i + 1, draw_below(state, bound))
        store_i64(out, 3 * i + 2, draw_share(state))
    return count


@pytest.mark.parametrize("seed", [0, 1, 2, 12345, (1 << 63) - 1])
@pytest.mark.parametrize("bound", [1, 2, 3, 7, 56, 4096, 1 << 40, (1 << 62) - 1])
def test_numbers_are_those_of_xorshift(seed: int, bound: int) -> None:
    state = np.array([(seeded(seed),)], RANDOM)
    out = np.zeros((50, 3), np.int64)
    draws(state.ctypes.data, out.ctypes.data, len(out), bound)
    plain = Xorshift(seed)
    for bits, below, share in out.tolist():
        assert bits & MASK == plain.bits()
        assert below == plain.below(bound)
        assert share == plain.share()
    assert int(state["rng"][0]) & MASK == plain.state


def test_numbers_below_a_bound_are_never_negative() -> None:
    """The 64 bits are taken for unsigned: half of them have the sign set."""
    state = np.array([(seeded(3),)], RANDOM)
    out = np.zeros((200, 3), np.int64)
    draws(state.ctypes.data, out.ctypes.data, len(out), 10)
    assert (out[:, 0] < 0).any()
    assert set(out[:, 1].tolist()) == set(range(10))
    assert out[:, 2].min() >= 0
    assert out[:, 2].max() < WHOLE


def test_seeds_are_states_of_their_own() -> None:
    states = [seeded(seed) for seed in range(1000)]
    assert len(set(states)) == 1000
    assert all(-(1 << 63) <= state < 1 << 63 for state in states)
    assert 0 not in states


def test_chances_at_the_ends() -> None:
    assert chance_of(0.0) == 0
    assert chance_of(1.0) == WHOLE
    assert chance_of(2.0**-53) == 1
    assert chance_of(1 - 2.0**-53) == WHOLE - 1
    assert chance_of(5e-324) == 1  # only the draw 0 is below
    assert chance_of(0.0, 0.0) == 0
    assert chance_of(0.48, 0.48) == WHOLE
    assert chance_of(7.0) == WHOLE


def test_a_chance_counts_the_draws_that_doubles_find_below() -> None:
    numbers = random.Random(1)
    for _ in range(300):
        scale = numbers.choice([1.0, 0.48, 3.0, numbers.random()])
        share = numbers.random() * scale
        chance = chance_of(share, scale)
        assert 0 <= chance <= WHOLE
        assert chance == 0 or (chance - 1) * 2.0**-53 * scale < share
        assert chance == WHOLE or not chance * 2.0**-53 * scale < share
        assert abs(Fraction(chance, WHOLE) - Fraction(share) / Fraction(scale)) < 1e-15
