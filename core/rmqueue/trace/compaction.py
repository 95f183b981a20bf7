"""What compaction's free scanner took of a range, of which the trace has only a sum."""

from __future__ import annotations

from collections.abc import Callable, Iterator

#: Strides of the scanner, the usual one first [pages].
STRIDES = (1, 32, 16, 8, 4, 2)

#: First page and order.
Block = tuple[int, int]


def isolated(
    order_at: Callable[[int], int], pfn: int, end: int, taken: int
) -> list[Block] | None:
    """Find the free blocks of a range that add up to what was taken.

    Parameters
    ----------
    order_at : callable
        ``order_at(pfn)``: order of the free block that begins at a page, -1 if none.
    pfn, end : int
        The range that was scanned.
    taken : int
        Pages that were taken of it [pages].

    Returns
    -------
    list of (int, int) or None
        The blocks, ascending; None if no way of scanning explains the sum.

    Examples
    --------
    >>> isolated(lambda pfn: 0 if pfn in (0, 33, 64) else -1, 0, 128, 2)
    [(0, 0), (64, 0)]
    """
    for blocks in scans(order_at, pfn, end):
        if sum(1 << order for _, order in blocks) == taken:
            return blocks
    return None


def scans(order_at: Callable[[int], int], pfn: int, end: int) -> Iterator[list[Block]]:
    """Free blocks that the scanner may have met, one way of scanning after the other.

    It goes on with its stride behind each free block (isolate_freepages_block); a scan
    that was entered anew goes on right behind it.
    """
    for stride in STRIDES:
        yield free_blocks(order_at, pfn, end, stride, skip=stride - 1)
        yield free_blocks(order_at, pfn, end, stride)


def free_blocks(
    order_at: Callable[[int], int], pfn: int, end: int, stride: int = 1, skip: int = 0
) -> list[Block]:
    """Free blocks that a scan meets with a stride, and pages skipped behind each."""
    found = []
    while pfn < end:
        order = order_at(pfn)
        if order < 0:
            pfn += stride
        else:
            found.append((pfn, order))
            pfn += (1 << order) + skip
    return found
