"""The pages of a recorded zone and the slots that stand for them in the op stream."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rmqueue.ops import ALLOC, BULK, FREE, SET_LRU, SPLIT, Ops, as_ops
from rmqueue.trace.events import Ints
from rmqueue.types import ZoneState

#: What `Pages.owner` holds besides slots: in the buddy lists; in use, not yet named.
BUDDY, UNNAMED = -1, -2
#: Until their number is known, blocks in use at the start have slots from here down.
_FIRST_BLOCK = -3


class Pages:
    """Who holds each page of a recorded zone, and the ops so far.

    Parameters
    ----------
    state : ZoneState
        The zone at the start.

    Notes
    -----
    Slots are never reused: a slot is a block of the recording, from the request that
    made it to its free.  A block in use at the start gets a slot when an event first
    names it, in the size in which it is named; `finish` numbers these before all
    others.
    """

    def __init__(self, state: ZoneState) -> None:
        self.state = state
        self.base, self.end = state.start_pfn, state.start_pfn + state.pages
        owner = np.full(state.pages, UNNAMED, np.int64)
        for (order, _), pfns in state.free_lists.items():
            owner[(pfns[:, None] + np.arange(1 << order)).ravel() - self.base] = BUDDY
        lru = np.zeros(state.pages, np.uint8)
        lru[state.lru - self.base] = 1
        self.owner: list[int] = owner.tolist()
        self.lru = bytearray(lru.tobytes())
        self.block: list[tuple[int, int]] = []
        self.start_blocks: list[tuple[int, int]] = []
        self.ops: list[tuple[int, int, int, int]] = []

    def is_free(self, pfn: int) -> bool:
        """Whether a page of the zone is in the buddy lists."""
        return self.owner[pfn - self.base] == BUDDY

    def free_pages(self, pfn: int, order: int) -> int:
        """Return how many pages of a block are in the buddy lists."""
        at = pfn - self.base
        if order == 0:
            return int(self.owner[at] == BUDDY)
        return self.owner[at : at + (1 << order)].count(BUDDY)

    def request(self, what: int, blocks: list[tuple[int, int]], bulk: bool) -> None:
        """Ask for blocks, all of one order; the recording gave these."""
        first = len(self.block)
        code, count = (BULK, len(blocks)) if bulk else (ALLOC, 0)
        self.ops.append((code, what, first, count))
        for pfn, order in blocks:
            self._put(len(self.block), pfn, order)
            self.block.append((pfn, order))
            at, size = pfn - self.base, 1 << order
            self.lru[at : at + size] = bytes(size)

    def free(self, pfn: int, order: int) -> int:
        """Free the slots that hold a block; return their number."""
        count = 0
        for slot, at, size in self._slots(pfn, order):
            self.ops.append((FREE, 0, slot, 0))
            self.owner[at : at + size] = [BUDDY] * size
            self.lru[at : at + size] = bytes(size)
            count += 1
        return count

    def set_lru(self, pfn: int, order: int, on: bool) -> None:
        """Set or clear the lru bit of a block in use, where that changes anything."""
        at, size, value = pfn - self.base, 1 << order, int(on)
        if self.lru.count(value, at, at + size) == size:
            return
        for slot, at, size in self._slots(pfn, order):
            if self.lru.count(value, at, at + size) < size:
                self.ops.append((SET_LRU, 0, slot, value))
                self.lru[at : at + size] = bytes([value]) * size

    def free_block_at(self, pfn: int) -> int:
        """Order of the free block that begins at a page, -1 if none does.

        Free buddies are always merged, so the page's neighbours tell.
        """
        if not self.is_free(pfn):
            return -1
        order = 0
        while order < self.state.max_page_order:
            buddy, size = pfn ^ (1 << order), 1 << order
            if buddy < self.base or buddy + size > self.end:
                break
            if self.free_pages(buddy, order) < size:
                break
            if buddy < pfn:
                return -1
            order += 1
        return order

    def runs(self, pfn: int, order: int, owner: int) -> Iterator[tuple[int, int]]:
        """Largest aligned blocks of pages with one owner inside a block."""
        end = pfn + (1 << order)
        while pfn < end:
            at = pfn - self.base
            if self.owner[at] != owner:
                pfn += 1
                continue
            size = 1
            while (
                pfn % (2 * size) == 0
                and pfn + 2 * size <= end
                and self.owner[at : at + 2 * size].count(owner) == 2 * size
            ):
                size *= 2
            yield pfn, size.bit_length() - 1
            pfn += size

    def finish(self) -> tuple[Ops, Ints, int]:
        """Return the ops, the blocks in use at the start, and the number of slots."""
        rows = np.array(self.ops, np.int64).reshape(-1, 4)
        count = len(self.start_blocks)
        for column in (2, 3):
            is_slot = np.isin(rows[:, 0], (SPLIT,)) if column == 3 else slice(None)
            slots = rows[is_slot, column]
            rows[is_slot, column] = np.where(
                slots <= _FIRST_BLOCK, _FIRST_BLOCK - slots, slots + count
            )
        blocks = np.array(self.start_blocks, np.int64).reshape(-1, 2)
        return as_ops(rows), blocks, count + len(self.block)

    def _put(self, slot: int, pfn: int, order: int) -> None:
        at, size = pfn - self.base, 1 << order
        self.owner[at : at + size] = [slot] * size

    def _slots(self, pfn: int, order: int) -> Iterator[tuple[int, int, int]]:
        """Slots of the pages in use of a block, none larger than it.

        Yields the slot, the index of its first page and its pages.
        """
        end = pfn + (1 << order)
        while pfn < end:
            at = pfn - self.base
            slot = self.owner[at]
            if slot == BUDDY:
                pfn += 1
                continue
            if slot == UNNAMED:
                self._name(pfn, order)
            elif self._block(slot)[1] > order:
                self._split(slot, order)
            slot = self.owner[at]
            size = 1 << self._block(slot)[1]
            yield slot, at, size
            pfn += size

    def _block(self, slot: int) -> tuple[int, int]:
        if slot <= _FIRST_BLOCK:
            return self.start_blocks[_FIRST_BLOCK - slot]
        return self.block[slot]

    def _name(self, pfn: int, order: int) -> None:
        """Give a slot to the block in use at the start that begins at a page."""
        block = next(self.runs(pfn, order, UNNAMED))
        self.start_blocks.append(block)
        self._put(_FIRST_BLOCK - len(self.start_blocks) + 1, *block)

    def _split(self, slot: int, order: int) -> None:
        """Split the block in a slot into blocks of a smaller order."""
        pfn, old = self._block(slot)
        self.ops.append((SPLIT, order, slot, len(self.block)))
        for part in range(pfn, pfn + (1 << old), 1 << order):
            self._put(len(self.block), part, order)
            self.block.append((part, order))
