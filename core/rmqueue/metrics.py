"""What a zone looks like afterwards: fragmentation indices, mixed pageblocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from rmqueue.mm.mmzone import MIGRATETYPES, MOVABLE, RECLAIMABLE, UNMOVABLE
from rmqueue.results import Matrix

#: Blocks on each free list: orders x migratetypes, or orders alone.
FreeCounts: TypeAlias = npt.NDArray[np.integer]


def free_blocks(free_counts: FreeCounts, order: int) -> tuple[int, int, int]:
    """Free pages, free blocks, and blocks of an order that could be cut from them."""
    counts = np.asarray(free_counts, np.int64)
    blocks = counts.reshape(len(counts), -1).sum(axis=1)
    orders = np.arange(len(blocks))
    large = orders >= order
    pages = int((blocks << orders).sum())
    suitable = int((blocks[large] << (orders[large] - order)).sum())
    return pages, int(blocks.sum()), suitable


def unusable_index(free_counts: FreeCounts, order: int) -> int:
    """Share of free memory that a request of an order cannot use [1/1000].

    Parameters
    ----------
    free_counts : ndarray of int, shape (orders,) or (orders, types)
        Blocks on the free lists.
    order : int
        Order of the request.

    Returns
    -------
    int
        0: all of it can be used; 1000: nothing, or nothing is free [1/1000].

    Notes
    -----
    ``unusable_free_index()``, mm/vmstat.c; /sys/kernel/debug/extfrag/unusable_index.

    Examples
    --------
    >>> unusable_index([4, 0, 1], order=2)  # four single pages and one block of four
    500
    """
    pages, _, suitable = free_blocks(free_counts, order)
    if pages == 0:
        return 1000
    return (pages - (suitable << order)) * 1000 // pages


def fragmentation_index(free_counts: FreeCounts, order: int) -> int:
    """Why a request of an order would fail [1/1000].

    Parameters
    ----------
    free_counts : ndarray of int, shape (orders,) or (orders, types)
        Blocks on the free lists.
    order : int
        Order of the request.

    Returns
    -------
    int
        Near 0: for lack of memory; near 1000: for fragmentation; -1000: it would not
        fail [1/1000].

    Notes
    -----
    ``__fragmentation_index()``, mm/vmstat.c; /sys/kernel/debug/extfrag/extfrag_index.

    Examples
    --------
    >>> fragmentation_index([64, 0, 0, 0], order=3)
    860
    """
    pages, blocks, suitable = free_blocks(free_counts, order)
    if blocks == 0:
        return 0
    if suitable:
        return -1000
    return 1000 - (1000 + pages * 1000 // (1 << order)) // blocks


def mixed_pageblocks(
    pageblocks: npt.NDArray[np.void], pages: npt.NDArray[np.int64]
) -> int:
    """Pageblocks that hold what their type says they should not.

    Parameters
    ----------
    pageblocks : structured ndarray
        `Zone.pageblocks()`: one row a block with type, free_pages and lru_pages.
    pages : ndarray of int64
        Pages of each block that lie inside the zone [pages].

    Returns
    -------
    int
        Unmovable or reclaimable blocks with pages on an LRU list, and movable blocks
        with pages in use that are not; pages waiting on per-CPU lists count as in use
        [pageblocks].
    """
    return int(mixed_blocks(pageblocks, pages).sum())


def mixed_blocks(
    pageblocks: npt.NDArray[np.void], pages: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Say of each pageblock whether it is mixed (see `mixed_pageblocks`)."""
    mt, lru = pageblocks["type"], pageblocks["lru_pages"]
    stuck = pages - spread_over_blocks(pageblocks["free_pages"], pages) - lru
    polluted = (mt == MOVABLE) & (stuck > 0)
    invaded = ((mt == UNMOVABLE) | (mt == RECLAIMABLE)) & (lru > 0)
    mixed: npt.NDArray[np.bool_] = polluted | invaded
    return mixed


def spread_over_blocks(
    free_pages: npt.NDArray[np.integer], pages: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Free pages in each pageblock, where a free block may span several.

    A block above pageblock order is accounted to the first pageblock that it covers;
    what exceeds that one fills the next ones.

    Examples
    --------
    >>> spread_over_blocks(np.array([1024, 0, 7]), np.array([512, 512, 512])).tolist()
    [512, 512, 7]
    """
    spread = np.asarray(free_pages, np.int64).copy()
    over = np.flatnonzero(spread[:-1] > pages[:-1])
    while len(over):  # as often as a block is longer than a pageblock
        excess = spread[over] - pages[over]
        spread[over] = pages[over]
        spread[over + 1] += excess
        over = over[over + 1 < len(spread) - 1] + 1
        over = over[spread[over] > pages[over]]
    return spread


@lru_cache(16)
def pages_per_block(
    start_pfn: int, pages: int, pageblock_order: int
) -> npt.NDArray[np.int64]:
    """Pages of each pageblock that lie inside a zone [pages], to be read only.

    Examples
    --------
    >>> pages_per_block(start_pfn=5, pages=2043, pageblock_order=9).tolist()
    [507, 512, 512, 512]
    """
    size, end = 1 << pageblock_order, start_pfn + pages
    starts = np.arange(start_pfn // size * size, end, size, dtype=np.int64)
    inside = np.minimum(starts + size, end) - np.maximum(starts, start_pfn)
    inside.flags.writeable = False
    return inside


def as_matrix(values: npt.ArrayLike) -> Matrix:
    """Numbers by type pair as plain tuples."""
    return tuple(tuple(int(cell) for cell in row) for row in np.asarray(values))


def added(matrices: Iterable[Matrix]) -> Matrix:
    """Sum of matrices by type pair; zeros if there are none."""
    size = len(MIGRATETYPES)
    total = np.zeros((size, size), np.int64)
    for matrix in matrices:
        total += np.asarray(matrix, np.int64)
    return as_matrix(total)


def pairs(matrix: Matrix) -> Iterator[tuple[str, str, int]]:
    """Type asked for, type taken from and number, of the pairs that are not zero.

    Examples
    --------
    >>> list(pairs(((0, 0), (57042, 0))))
    [('movable', 'unmovable', 57042)]
    """
    for asked, row in zip(MIGRATETYPES, matrix, strict=False):
        for taken, count in zip(MIGRATETYPES, row, strict=False):
            if count:
                yield asked, taken, count
