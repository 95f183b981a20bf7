"""Queues of pages: what an LRU list or a stack of a workload is kept in."""

from __future__ import annotations

from typing import Any

import numpy as np

from rmqueue.mm.jit import jit, load_u32, store_u32, view_as
from rmqueue.mm.random import draw_below, draw_share

#: entries: address of ``mask + 1`` 32-bit entries, a power of two; the oldest is at
#: `head`, and `count` follow each other from there.
QUEUE = np.dtype(
    [(name, "i8") for name in ("entries", "mask", "head", "count")], align=True
)
queue_at = view_as(QUEUE)


@jit(forceinline=True)
def push(queue: Any, page: int) -> None:
    """Append a page; the owner has made room for all pages of the zone."""
    store_u32(queue.entries, (queue.head + queue.count) & queue.mask, page)
    queue.count += 1


@jit(forceinline=True)
def pop_oldest(queue: Any) -> int:
    """Take the page that has waited longest; -1 if there is none."""
    if queue.count == 0:
        return -1
    page = load_u32(queue.entries, queue.head)
    queue.head = (queue.head + 1) & queue.mask
    queue.count -= 1
    return int(page)


@jit(forceinline=True)
def pop_newest(queue: Any) -> int:
    """Take the page that came last; -1 if there is none."""
    if queue.count == 0:
        return -1
    queue.count -= 1
    return int(load_u32(queue.entries, (queue.head + queue.count) & queue.mask))


@jit
def pop_random(queue: Any, random: Any) -> int:
    """Take any page, all with the same chance; the newest takes its place; -1: none."""
    if queue.count == 0:
        return -1
    at = (queue.head + draw_below(random, queue.count)) & queue.mask
    page = load_u32(queue.entries, at)
    store_u32(queue.entries, at, pop_newest(queue))
    return int(page)


@jit
def shuffle(queue: Any, chance: int, random: Any) -> None:
    """Swap each page, from the last to the second, with an earlier one, by chance.

    With certainty it is the shuffle of Fisher and Yates; `chance` is that of
    `rmqueue.mm.random.chance_of`.
    """
    for i in range(queue.count - 1, 0, -1):
        if draw_share(random) < chance:
            j = draw_below(random, i + 1)
            at, other = (queue.head + i) & queue.mask, (queue.head + j) & queue.mask
            page = load_u32(queue.entries, at)
            store_u32(queue.entries, at, load_u32(queue.entries, other))
            store_u32(queue.entries, other, page)
