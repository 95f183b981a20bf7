"""Free blocks of a zone of which only numbers are known, put where they may have been.

What the trace tells (`rmqueue_plugins.readers.clues`) is kept; the rest is random.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rmqueue.trace.events import Bools, Ints
from rmqueue_plugins.readers.clues import (
    FREED,
    NO_TYPE,
    NR_TYPES,
    UNKNOWN,
    USED,
    Clues,
    Extent,
)
from rmqueue_plugins.readers.state import HIGHATOMIC, MOVABLE, UNMOVABLE, Lists


class Placement:
    """The pages of a zone while free blocks are put in.

    Parameters
    ----------
    extent : Extent
        Where the zone lies.
    clues : Clues
        What the trace says.
    counts : ndarray of int64, shape (orders, 5)
        Free blocks that are wanted, by our types.
    pageblocks : ndarray of int64, shape (5,)
        Pageblocks of each type.
    mixed : bool
        Whether free blocks may lie in pageblocks of another type than their list's.
    rng : numpy.random.Generator
        Decides what nothing else does.

    Attributes
    ----------
    types : ndarray of int8
        Type of each pageblock.
    mark : ndarray of int8
        As of `Clues`; `UNKNOWN` pages are in use.
    """

    def __init__(
        self,
        extent: Extent,
        clues: Clues,
        counts: Ints,
        pageblocks: Ints,
        *,
        mixed: bool,
        rng: np.random.Generator,
    ) -> None:
        self.extent, self.clues, self.rng = extent, clues, rng
        self.counts, self.mixed = counts, mixed
        self.shift = extent.pageblock_order
        self.mark, self.types = clues.mark.copy(), clues.types.copy()
        self.present = self._present(int(pageblocks.sum()))
        self.mark[np.repeat(~self.present, 1 << self.shift)] = USED
        low = extent.start_pfn - extent.base
        self.mark[:low] = self.mark[low + extent.pages :] = USED
        self.pageblocks = pageblocks
        self.left = pageblocks - self._counted()
        self.list_type = clues.hint.copy()
        self._measure()
        self._place_large()
        self._type_pageblocks()
        self._place_small()

    def _counted(self) -> Ints:
        """Pageblocks of each type, as far as their types are known."""
        known = self.types[self.present & (self.types != NO_TYPE)]
        return np.bincount(known, minlength=NR_TYPES)

    def _present(self, count: int) -> Bools:
        """Which pageblocks have memory: those that the trace names, then the lowest."""
        blocks = self.extent.size >> self.shift
        low = (self.extent.start_pfn - self.extent.base) >> self.shift
        end = self.extent.start_pfn - self.extent.base + self.extent.pages
        inside = np.zeros(blocks, np.bool_)
        inside[low : -(-end >> self.shift)] = True
        named = (self.mark != UNKNOWN).reshape(blocks, -1).any(axis=1)
        others = np.flatnonzero(inside & ~named)
        present: Bools = inside & named
        present[others[: max(count - int(present.sum()), 0)]] = True
        return present

    # What is free now ------------------------------------------------------------

    def _measure(self) -> None:
        """Look which aligned blocks are free, in use in part, or of known size."""
        self.free, self.used = [self.mark == FREED], [self.mark == USED]
        self.some, self.whole = [self.free[0]], [self.clues.whole]
        self.lead = [np.arange(self.extent.size)]
        for order in range(1, self.extent.max_order + 1):
            self.free.append(self._joined(order))
            for levels in (self.used, self.some, self.whole):
                levels.append(levels[-1][0::2] | levels[-1][1::2])
            low, high = self.lead[-1][0::2], self.lead[-1][1::2]
            earlier = self.clues.first[low] <= self.clues.first[high]
            self.lead.append(np.where(earlier, low, high))

    def _joined(self, order: int) -> Bools:
        """Blocks of an order both halves of which are free and merge."""
        low, high = self.free[-1][0::2], self.free[-1][1::2]
        joined: Bools = low & high
        if order > self.shift:
            step = 1 << (order - self.shift)
            types = self.types[::step], self.types[step // 2 :: step]
            joined &= (types[0] == types[1]) | np.logical_and(
                *(column < HIGHATOMIC for column in types)
            )
        return joined

    def _free_blocks(self, order: int) -> tuple[Ints, Ints]:
        """Free blocks of exactly an order, and the types of their lists."""
        alone = self.free[order].copy()
        if order < self.extent.max_order:
            alone &= ~np.repeat(self.free[order + 1], 2)
        blocks = np.flatnonzero(alone)
        lead = self.lead[order][blocks]
        types = self.types[lead >> self.shift].astype(np.int64)
        if self.mixed:
            hints = self.list_type[lead]
            types = np.where(hints != NO_TYPE, hints, types)
        return blocks, types

    def _missing(self, order: int) -> Ints:
        """Blocks wanted less blocks there, by type."""
        _, types = self._free_blocks(order)
        there = np.bincount(types[types != NO_TYPE], minlength=NR_TYPES)
        missing: Ints = self.counts[order] - there
        return missing

    # How blocks are put in -------------------------------------------------------

    def _put(self, order: int, blocks: Ints, mt: int) -> None:
        """Make blocks free, on the list of a type."""
        pages = ((blocks << order)[:, None] + np.arange(1 << order)).ravel()
        fresh = pages[self.mark[pages] != FREED]
        self.mark[pages] = FREED
        self.list_type[fresh] = mt
        if len(blocks):
            self._measure()

    def _choose(self, order: int, blocks: Ints, rank: Ints, count: int) -> Ints:
        """Choose blocks of the lowest rank, else at random, never two that merge."""
        ordered = blocks[np.lexsort((self.rng.random(len(blocks)), rank))]
        if order < self.extent.max_order:
            _, at = np.unique(ordered >> 1, return_index=True)
            ordered = ordered[np.sort(at)]
        chosen: Ints = ordered[:count]
        return chosen

    def _may_be_left(self, order: int, mt: int) -> bool:
        """Whether the trace allows free blocks that it does not name.

        It does not if the type fell back on others for want of such a block; the counts
        were read at another moment then, or compaction took blocks without a trace.
        """
        return bool(order < self.clues.emptied[mt])

    def _room(self, order: int) -> Bools:
        """Blocks that could be free as a whole and would not merge."""
        free = self.free[order]
        room: Bools = ~self.used[order] & ~free
        if order < self.extent.max_order:
            room &= ~free.reshape(-1, 2)[:, ::-1].ravel()
        return room

    def _place_large(self) -> None:
        """Put in blocks of whole pageblocks, while these can be of any type.

        One that was begun later shows by half of it being free without a break, or by
        free blocks of which there must not be so many; then come those of which nothing
        is known.
        """
        self.begun = self._surplus()
        for order in range(self.extent.max_order, self.shift - 1, -1):
            for mt, count in enumerate(self._missing(order).tolist()):
                if count > 0 and self._may_be_left(order, mt):
                    self._put_large(order, mt, count)

    def _surplus(self) -> Bools:
        """Pages of free blocks of an order and type that are mostly too many."""
        pages = np.zeros(self.extent.size, np.bool_)
        for order in range(self.shift):
            blocks, types = self._free_blocks(order)
            for mt, missing in enumerate(self._missing(order).tolist()):
                mine = blocks[types == mt]
                if -2 * missing > len(mine):
                    pages[mine << order] = True
        return pages

    def _put_large(self, order: int, mt: int, count: int) -> None:
        types = self.types.reshape(-1, 1 << (order - self.shift))
        fits = ((types == NO_TYPE) | (types == mt)).all(axis=1)
        fits &= ~self.whole[order]
        blocks = np.flatnonzero(fits & self._room(order))
        begun = self.begun.reshape(-1, 1 << order).any(axis=1)
        if order > 0:
            begun |= self.free[order - 1].reshape(-1, 2).any(axis=1)
        rank = np.where(begun, 0, np.where(self.some[order], 2, 1))[blocks]
        chosen = self._choose(order, blocks, rank, count)
        costs = (types[chosen] == NO_TYPE).sum(axis=1)
        chosen = chosen[np.cumsum(costs) <= max(int(self.left[mt]), 0)]
        self.left[mt] -= int((types[chosen] == NO_TYPE).sum())
        types[chosen] = mt
        self._put(order, chosen, mt)

    def _type_pageblocks(self) -> None:
        """Give the pageblocks that are left types: room where free pages must go."""
        unknown = np.flatnonzero(self.present & (self.types == NO_TYPE))
        size = 1 << np.arange(self.shift)
        need = (
            size
            @ np.maximum(
                np.array([self._missing(order) for order in range(self.shift)]), 0
            )
            if self.shift
            else np.zeros(NR_TYPES, np.int64)
        )
        slots = np.maximum(self.left, 0)
        slots[MOVABLE] += max(len(unknown) - int(slots.sum()), 0)
        room = (self.mark == UNKNOWN).reshape(len(self.types), -1).sum(axis=1)[unknown]
        roomy = unknown[np.lexsort((self.rng.random(len(unknown)), -room))]
        wish = need / np.maximum(slots, 1)
        for block in roomy.tolist():
            mt = int(np.where(slots > 0, wish, -np.inf).argmax())
            self.types[block] = mt
            slots[mt] -= 1
            need[mt] -= min(int(need[mt]), (1 << self.shift) // 2)
            wish[mt] = need[mt] / max(int(slots[mt]), 1)
        self.types[~self.present] = UNMOVABLE
        for order in range(self.shift + 1, self.extent.max_order + 1):
            blocks, types = self._free_blocks(order)
            shape = self.types.reshape(-1, 1 << (order - self.shift))
            shape[blocks] = types[:, None]
        self._measure()

    def _place_small(self) -> None:
        """Grow free blocks of which there are too many, then put in what is missing."""
        for order in range(min(self.shift, self.extent.max_order)):
            for mt, missing in enumerate(self._missing(order).tolist()):
                if missing < 0 and self._may_be_left(order + 1, mt):
                    self._grow(order, mt, -missing)
        for order in range(min(self.shift - 1, self.extent.max_order), -1, -1):
            for mt in range(NR_TYPES):
                for relaxed in range(3 if self.mixed else 2):
                    count = int(self._missing(order)[mt])
                    if count > 0 and self._may_be_left(order, mt):
                        self._put_small(order, mt, count, relaxed)

    def _grow(self, order: int, mt: int, count: int) -> None:
        """Make the buddies of some blocks free, too: a part of a block was not used."""
        blocks, types = self._free_blocks(order)
        blocks = blocks[(types == mt) & ~self.whole[order][blocks]]
        buddies = blocks ^ 1
        buddies = buddies[~self.used[order][buddies] & ~self.whole[order][buddies]]
        rank = (~self.some[order][buddies]).astype(np.int64)
        self._put(order, self._choose(order, buddies, rank, count), mt)

    def _put_small(self, order: int, mt: int, count: int, relaxed: int) -> None:
        """Put in blocks below the size of a pageblock.

        In pages of which nothing is known; else also around smaller free blocks; else
        in pageblocks of other types.
        """
        room = self._room(order) & ~self.whole[order]
        if relaxed != 1:
            room &= ~self.some[order]
        if relaxed < 2:
            room &= np.repeat(self.types == mt, 1 << (self.shift - order))
        blocks = np.flatnonzero(room)
        rank = np.zeros(len(blocks), np.int64)
        self._put(order, self._choose(order, blocks, rank, count), mt)

    # What came of it -------------------------------------------------------------

    def lists(self) -> Lists:
        """Free blocks by (order, type): first those taken first, then at random."""
        lists: Lists = {}
        for order in range(self.extent.max_order + 1):
            blocks, types = self._free_blocks(order)
            first = self.clues.first[self.lead[order][blocks]]
            ordered = np.lexsort((self.rng.random(len(blocks)), first))
            for mt in range(NR_TYPES):
                mine = blocks[ordered][types[ordered] == mt]
                if len(mine):
                    lists[order, mt] = (mine << order) + self.extent.base
        return lists

    def differences(self) -> Mapping[str, int]:
        """How far the result is from what was wanted, by what is counted."""
        orders = range(self.extent.max_order + 1)
        missing = np.array([self._missing(order) for order in orders])
        pages = 1 << np.arange(len(missing))
        return {
            "blocks_missing": int(np.maximum(missing, 0).sum()),
            "blocks_more": int(np.maximum(-missing, 0).sum()),
            "pages": int(abs(pages @ missing.sum(axis=1))),
            "pageblocks": int(np.maximum(self.pageblocks - self._counted(), 0).sum()),
        }
