"""Indices of fragmentation, mixed pageblocks, matrices by type pair."""

from __future__ import annotations

import numpy as np

from rmqueue.metrics import (
    added,
    as_matrix,
    fragmentation_index,
    mixed_pageblocks,
    pages_per_block,
    pairs,
    spread_over_blocks,
    unusable_index,
)
from tests.unit.zones import zone_of


def counts(*blocks: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(blocks, np.int64)


def test_unusable_index() -> None:
    assert unusable_index(counts(0, 0, 1), 2) == 0
    assert unusable_index(counts(4), 0) == 0
    assert unusable_index(counts(3, 0, 1), 2) == 3000 // 7
    assert unusable_index(counts(5, 3), 2) == 1000
    assert unusable_index(counts(0, 0, 0), 1) == 1000  # nothing is free
    assert unusable_index(counts(1, 1, 1).reshape(3, 1), 1) == 1000 // 7


def test_fragmentation_index() -> None:
    assert fragmentation_index(counts(0, 0, 0), 2) == 0
    assert fragmentation_index(counts(1, 0, 1), 2) == -1000  # would not fail
    assert fragmentation_index(counts(1, 0, 0), 2) == 1000 - (1000 + 250)
    assert fragmentation_index(counts(64, 0, 0, 0), 3) == 1000 - 9000 // 64


def test_indices_of_a_zone_that_falls_apart() -> None:
    zone = zone_of(1024)
    assert unusable_index(zone.free_counts(), 9) == 0
    pages = zone.alloc_bulk(0, 1024, "movable")
    for pfn in pages[::2]:
        zone.free(int(pfn))
    assert unusable_index(zone.free_counts(), 9) == 1000
    assert fragmentation_index(zone.free_counts(), 9) > 990
    assert unusable_index(zone.free_counts(), 0) == 0


def test_pages_per_block_of_odd_ends() -> None:
    assert pages_per_block(0, 1024, 9).tolist() == [512, 512]
    assert pages_per_block(500, 20, 9).tolist() == [12, 8]
    assert pages_per_block(3, 1, 9).tolist() == [1]


def test_large_free_blocks_spread_over_what_they_cover() -> None:
    full = np.full(5, 16)
    free = np.array([64, 0, 0, 0, 3])
    assert spread_over_blocks(free, full).tolist() == [16, 16, 16, 16, 3]
    assert free.tolist() == [64, 0, 0, 0, 3]


def test_mixed_pageblocks() -> None:
    zone = zone_of(4096)
    blocks = pages_per_block(0, 4096, 9)
    assert mixed_pageblocks(zone.pageblocks(), blocks) == 0
    zone.alloc(0, "movable")
    assert mixed_pageblocks(zone.pageblocks(), blocks) == 0
    zone.alloc(0, "movable", lru=False)  # pinned in a movable block
    assert mixed_pageblocks(zone.pageblocks(), blocks) == 1
    zone.alloc(0, "unmovable")
    assert mixed_pageblocks(zone.pageblocks(), blocks) == 1
    zone.alloc(0, "unmovable", lru=True)  # can be migrated, in an unmovable block
    assert mixed_pageblocks(zone.pageblocks(), blocks) == 2


def test_matrices() -> None:
    values = np.zeros((5, 5), np.int64)
    values[0, 1], values[2, 0] = 3, 4
    matrix = as_matrix(values)
    assert list(pairs(matrix)) == [
        ("unmovable", "movable", 3),
        ("reclaimable", "unmovable", 4),
    ]
    assert added([matrix, matrix]) == as_matrix(2 * values)
    assert added([]) == as_matrix(0 * values)
