"""A zone that can be asked what it would do: the allocator under an undo.

A prediction changes lists, pageblocks and the strategy's own state in ways that only
the strategy knows.  So there are two zones in the same state: one tries, the other
follows if the answer is kept, and is copied back if it is not.  Answers are nearly
always kept, and then nothing is copied.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import numpy as np
import numpy.typing as npt

from rmqueue.binding import BoundStrategy
from rmqueue.faults import asked
from rmqueue.mm import surgery
from rmqueue.mm.follow import keep_fallback
from rmqueue.mm.mmzone import NR_TYPES, PAGE_FREE, PAGE_ORDER, ZONE
from rmqueue.restore import listed_blocks, open_state
from rmqueue.types import ZoneState

#: The record begins with the addresses of the arrays, which stay where they are.
_ADDRESSES = 8 * (ZONE.names or ()).index("base")
#: A compiled function in memory [64-bit words].
FUNCTION_WORDS = 3


class TwinZone:
    """Two zones in the same state, and a strategy each.

    Parameters
    ----------
    state : ZoneState
        Where both begin.
    strategy : str
        Name of an installed strategy.
    kernel : str
        Kernel profile.

    Attributes
    ----------
    tries, keeps : int
        Addresses of the zone that tries, and of the one that follows.
    base : int
        Page 0 of both, absolute; everything else here is absolute too.
    """

    def __init__(self, state: ZoneState, strategy: str, kernel: str) -> None:
        self.state = state
        self._strategies = [BoundStrategy(strategy, kernel) for _ in range(2)]
        self._zones = [open_state(state, kernel)[1] for _ in range(2)]
        for zone, bound in zip(self._zones, self._strategies, strict=True):
            zone.record["strategy_state"] = bound.state.ctypes.data
        self.tries, self.keeps = (zone.address for zone in self._zones)
        self._fallback = np.zeros(FUNCTION_WORDS, np.int64)
        keep_fallback(self.fallback, self._strategies[0].fallback)
        self.base = int(self._zones[0].record[0]["base"])

    @property
    def fallback(self) -> int:
        """Address where the compiled strategy is kept."""
        return int(self._fallback.ctypes.data)

    def undo(self) -> None:
        """Forget what only one of the zones did."""
        new, old = self._zones
        new.record.view(np.uint8)[_ADDRESSES:] = old.record.view(np.uint8)[_ADDRESSES:]
        for name in ("links", "meta", "words", "scans"):
            np.copyto(getattr(new, name), getattr(old, name))
        self._strategies[0].state[:] = self._strategies[1].state

    def asked(self) -> AbstractContextManager[None]:
        """Run what asks the strategy; what it does wrong is an error in its name."""
        return asked(self._strategies[0], *self._zones)

    def change(self, what: int, pfn: int, x: int = 0, y: int = 0) -> None:
        """Do a change of `rmqueue.mm.surgery` to both zones."""
        surgery.change(self.tries, self.keeps, what, pfn - self.base, x, y)

    def attempt(self, what: int, pfn: int, x: int = 0, y: int = 0) -> None:
        """Do a change to the zone that tries only; `undo` must follow."""
        surgery.change(self.tries, 0, what, pfn - self.base, x, y)

    # What is in it ---------------------------------------------------------------

    def free_block(self, pfn: int) -> tuple[int, int] | None:
        """First page and order of the free block that holds a page."""
        found = surgery.look(self.keeps, surgery.BLOCK, pfn - self.base, 0)
        return None if found < 0 else (found // 64 + self.base, found % 64)

    def order_at(self, pfn: int) -> int:
        """Order of the free block that begins at a page, or -1."""
        state = int(self._zones[1].meta[pfn - self.base])
        return state & PAGE_ORDER if state & PAGE_FREE else -1

    def list_of(self, pfn: int) -> int:
        """Migratetype of the list that a free block is on."""
        return int(surgery.look(self.keeps, surgery.LIST, pfn - self.base, 0))

    def pageblock_type(self, pfn: int) -> int:
        """Migratetype of the pageblock of a page."""
        block = (pfn - self.base) >> self.state.pageblock_order
        return int(self._zones[1].words[block]) & 0xFF

    def pageblock_types(self) -> npt.NDArray[np.uint8]:
        """Migratetypes of all pageblocks, from that of the zone's first page."""
        first = (self.state.start_pfn - self.base) >> self.state.pageblock_order
        count = len(self.state.pageblock_types)
        words = self._zones[1].words[first : first + count]
        return (words & 0xFF).astype(np.uint8)

    def free_list(self, order: int, mt: int) -> list[int]:
        """Blocks on a free list, head to tail."""
        zone = self._zones[1]
        head = int(zone.record[0]["heads"]) + order * NR_TYPES + mt
        found, at = [], int(zone.links[2 * head])
        while at != head:
            found.append(at + self.base)
            at = int(zone.links[2 * at])
        return found

    def free_lists(self) -> dict[tuple[int, int], list[int]]:
        """All free lists that are not empty, by (order, migratetype)."""
        orders = range(self.state.max_page_order + 1)
        lists = {
            (o, mt): self.free_list(o, mt) for o in orders for mt in range(NR_TYPES)
        }
        return {key: blocks for key, blocks in lists.items() if blocks}


def recorded_lists(state: ZoneState) -> dict[tuple[int, int], list[int]]:
    """Free lists of a recorded state, head to tail; empty lists are left out."""
    lists: dict[tuple[int, int], list[int]] = {}
    for pfn, order, mt in listed_blocks(state, 0).tolist():
        lists.setdefault((order, mt), []).append(pfn)
    return lists
