"""Queues of pages do what `collections.deque` does."""

from __future__ import annotations

import random
from collections import deque

import numpy as np
import pytest

from rmqueue.mm.jit import I64, entry, load_i64, store_i64, view_as
from rmqueue.mm.queue import QUEUE, pop_newest, pop_oldest, push, queue_at, shuffle
from rmqueue.mm.random import chance_of, seeded
from tests.unit.xorshift import Xorshift

RANDOM = np.dtype([("rng", "i8")])
random_at = view_as(RANDOM)
PUSH, OLDEST, NEWEST = range(3)


@entry(I64, I64, I64, I64, I64)
def apply(address: int, ops: int, count: int, out: int) -> int:
    """Do operations (code, page) on a queue, and keep what each returns."""
    queue = queue_at(address)
    for i in range(count):
        code, page = load_i64(ops, 2 * i), load_i64(ops, 2 * i + 1)
        found = -2
        if code == PUSH:
            push(queue, page)
        elif code == OLDEST:
            found = pop_oldest(queue)
        else:
            found = pop_newest(queue)
        store_i64(out, i, found)
    return count


@entry(I64, I64, I64, I64)
def apply_shuffle(address: int, state: int, chance: int) -> int:
    """Shuffle a queue."""
    shuffle(queue_at(address), chance, random_at(state))
    return 0


class Queue:
    """A queue with memory of its own."""

    def __init__(self, size: int) -> None:
        self.entries = np.zeros(size, np.uint32)
        self.record = np.zeros(1, QUEUE)
        self.record["entries"] = self.entries.ctypes.data
        self.record["mask"] = size - 1

    @property
    def address(self) -> int:
        return int(self.record.ctypes.data)

    def run(self, ops: list[tuple[int, int]]) -> list[int]:
        rows, out = np.array(ops, np.int64), np.zeros(len(ops), np.int64)
        apply(self.address, rows.ctypes.data, len(ops), out.ctypes.data)
        return [int(value) for value in out]

    def pages(self) -> list[int]:
        head, count = int(self.record["head"][0]), int(self.record["count"][0])
        size = len(self.entries)
        return [int(self.entries[(head + i) % size]) for i in range(count)]


@pytest.mark.parametrize("seed", range(4))
def test_a_queue_is_a_deque(seed: int) -> None:
    numbers, size = random.Random(seed), 16
    queue, plain = Queue(size), deque[int]()
    ops: list[tuple[int, int]] = []
    expected: list[int] = []
    for _ in range(500):
        code = numbers.choice([PUSH, PUSH, OLDEST, NEWEST])
        if code == PUSH and len(plain) == size:
            code = OLDEST  # the owner makes room
        page = numbers.choice([0, 1, (1 << 32) - 1, numbers.randrange(1 << 32)])
        ops.append((code, page))
        if code == PUSH:
            plain.append(page)
            expected.append(-2)
        elif not plain:
            expected.append(-1)
        else:
            expected.append(plain.popleft() if code == OLDEST else plain.pop())
    assert queue.run(ops) == expected
    assert queue.pages() == list(plain)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("count", [0, 1, 2, 13])
def test_a_shuffle_is_that_of_fisher_and_yates(share: float, count: int) -> None:
    queue = Queue(16)
    ops = [(PUSH, 0)] * 9 + [(OLDEST, 0)] * 9  # so that it goes round the end
    queue.run(ops + [(PUSH, page) for page in range(count)])
    state = np.array([(seeded(5),)], RANDOM)
    chance, plain = chance_of(share), Xorshift(5)
    apply_shuffle(queue.address, state.ctypes.data, chance)
    pages = list(range(count))
    for i in range(count - 1, 0, -1):
        if plain.share() < chance:
            j = plain.below(i + 1)
            pages[i], pages[j] = pages[j], pages[i]
    assert queue.pages() == pages
    assert sorted(pages) == list(range(count))
    if share == 0:
        assert pages == sorted(pages)
