"""A zone that can be asked what it would do: the allocator under an undo.

A prediction changes lists, pageblocks and the strategy's own state in ways that only
the strategy knows.  So there are two zones in the same state: one tries, the other
follows if the answer is kept, and is copied back if it is not.  Answers are nearly
always kept, and then nothing is copied.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rmqueue.binding import BoundStrategy
from rmqueue.errors import StrategyError
from rmqueue.mm import single
from rmqueue.mm.mmzone import (
    ALLOC_KSWAPD,
    NR_TYPES,
    PAGE_FREE,
    PAGE_ORDER,
    RECLAIMABLE,
    ZONE,
)
from rmqueue.restore import listed_blocks, open_state
from rmqueue.runner import fault_of
from rmqueue.types import ZoneState

#: The record begins with the addresses of the arrays, which stay where they are.
_ADDRESSES = 8 * ZONE.names.index("base")  # type: ignore[union-attr]

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Guess:
    """What the allocator would do with a request.

    Attributes
    ----------
    pfn : int
        The page, absolute; -1: none.
    kind : str
        ``"native"``, ``"claim"``, ``"steal"``, or ``"none"``.
    fallback_mt : int
        Migratetype that it is taken from; -1 if it is native.
    fallback_order : int
        Order of the block that the search found; -1 if it is native.
    mode : int
        What the batch remembers afterwards.
    """

    pfn: int
    kind: str
    fallback_mt: int
    fallback_order: int
    mode: int


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

    Notes
    -----
    All pages are absolute.  Whatever is not a guess is done to both zones at once.
    """

    def __init__(self, state: ZoneState, strategy: str, kernel: str) -> None:
        self.state = state
        self._strategies = [BoundStrategy(strategy, kernel) for _ in range(2)]
        self._zones = [open_state(state, kernel)[1] for _ in range(2)]
        for zone, bound in zip(self._zones, self._strategies, strict=True):
            zone.record["strategy_state"] = bound.state.ctypes.data
        self._tries, self._keeps = (zone.address for zone in self._zones)
        self._fallback = self._strategies[0].fallback
        self._record = self._zones[0].record[0]
        self._batch = self._zones[0].batch
        self._meta = self._zones[1].meta  # as it is before a guess
        self.base = int(self._record["base"])
        self._asked: tuple[int, int, int] = (0, 0, 0)
        self._moved = self._matrices()

    # What it would do ------------------------------------------------------------

    def guess(self, order: int, mt: int, mode: int) -> Guess:
        """Try a request; `keep` or `undo` must follow.

        Raises
        ------
        StrategyError
            The strategy returned a page that it cannot have taken.
        """
        self._asked = (order, mt, mode)
        pfn = single.take(self._tries, order, mt, ALLOC_KSWAPD, mode, self._fallback)
        after = int(self._batch["mode"][0])
        if pfn < 0:
            self._refuse_faults()
            return Guess(-1, "none", -1, -1, after)
        if self._record["rare_work"] == 0 or mt > RECLAIMABLE:
            return Guess(pfn + self.base, "native", -1, -1, after)
        kind, fallback_mt = self._how()
        high = self._found_order(pfn, order, kind, fallback_mt)
        return Guess(pfn + self.base, kind, fallback_mt, high, after)

    def keep(self) -> None:
        """Let the last guess stand."""
        order, mt, mode = self._asked
        single.take(self._keeps, order, mt, ALLOC_KSWAPD, mode, self._fallback)

    def undo(self) -> None:
        """Forget everything since both zones were the same."""
        new, old = self._zones
        _bytes(new.record)[_ADDRESSES:] = _bytes(old.record)[_ADDRESSES:]
        for name in ("links", "meta", "words", "scans"):
            np.copyto(getattr(new, name), getattr(old, name))
        self._strategies[0].state[:] = self._strategies[1].state
        self._moved = self._matrices()

    # What is done to it ----------------------------------------------------------

    def do(self, step: Callable[..., int], pfn: int, *numbers: int) -> int:
        """Do a step of `rmqueue.mm.single` to both zones."""
        step(self._tries, pfn - self.base, *numbers)
        return step(self._keeps, pfn - self.base, *numbers)

    def attempt(self, step: Callable[..., int], pfn: int, *numbers: int) -> None:
        """Do a step to the zone that tries only; `undo` must follow."""
        step(self._tries, pfn - self.base, *numbers)

    # What is in it ---------------------------------------------------------------

    def free_block(self, pfn: int) -> tuple[int, int] | None:
        """First page and order of the free block that holds a page."""
        found = single.find_block(self._keeps, pfn - self.base)
        return None if found < 0 else (found // 64 + self.base, found % 64)

    def is_free(self, pfn: int, order: int) -> bool:
        """Whether any page of a block is in the free lists."""
        at = pfn - self.base
        if order == 0 and self._meta[at] & PAGE_FREE:
            return True
        if single.find_block(self._keeps, at) >= 0:
            return True
        inside = self._meta[at : at + (1 << order)]
        return order > 0 and bool((inside & PAGE_FREE).any())

    def list_of(self, pfn: int) -> int:
        """Migratetype of the list that a free block is on."""
        return single.find_list(self._keeps, pfn - self.base)

    def pageblock_type(self, pfn: int) -> int:
        """Migratetype of the pageblock of a page."""
        block = (pfn - self.base) >> self.state.pageblock_order
        return int(self._zones[1].words[block]) & 0xFF

    def pageblock_types(self) -> npt.NDArray[np.uint8]:
        """Migratetypes of all pageblocks, from that of the zone's first page."""
        first = (self.state.start_pfn - self.base) >> self.state.pageblock_order
        count = len(self.state.pageblock_types)
        types: Bytes = (self._zones[1].words[first : first + count] & 0xFF).astype("u1")
        return types

    def free_lists(self) -> dict[tuple[int, int], list[int]]:
        """All free lists, head to tail, by (order, migratetype)."""
        zone = self._zones[1]
        record, links = zone.record[0], zone.links
        lists = {}
        for order in range(int(record["max_order"]) + 1):
            for mt in range(int(record["nr_types"])):
                head = int(record["heads"]) + order * NR_TYPES + mt
                found, at = [], int(links[2 * head])
                while at != head:
                    found.append(at + self.base)
                    at = int(links[2 * at])
                lists[order, mt] = found
        return lists

    # Inside ----------------------------------------------------------------------

    def _matrices(self) -> npt.NDArray[np.int64]:
        record = self._record
        return np.stack([record["claims"], record["steals"]])

    def _how(self) -> tuple[str, int]:
        """Kind and type of the fallback that was just tried."""
        now = self._matrices()
        moved = np.argwhere(now != self._moved)
        self._moved = now
        if not len(moved):
            return "native", -1
        what, _, fallback_mt = moved[0].tolist()
        return ("claim", "steal")[what], fallback_mt

    def _found_order(self, pfn: int, order: int, kind: str, fallback_mt: int) -> int:
        """Order of the block that the search found, as it was before.

        That of the page given, but for a pageblock that was claimed by halves: there
        the first block of the largest order whose list begins in it.
        """
        if kind == "native":
            return -1
        state = int(self._meta[pfn])
        shift = self.state.pageblock_order
        high = self.state.max_page_order
        while high >= order:
            first = single.first_of(self._keeps, high, fallback_mt)
            if first >= 0 and first >> shift == pfn >> shift:
                return high
            high -= 1
        return state & PAGE_ORDER

    def _refuse_faults(self) -> None:
        fault = fault_of(self._zones[0])
        if fault is not None:
            words, pfn, order = fault
            name = self._strategies[0].strategy.name
            raise StrategyError(
                f"strategy {name!r} {words}: pfn {pfn}, order {order}", pfn
            )


def recorded_lists(state: ZoneState) -> dict[tuple[int, int], list[int]]:
    """Free lists of a recorded state, head to tail; empty lists are left out."""
    lists: dict[tuple[int, int], list[int]] = {}
    for pfn, order, mt in listed_blocks(state, 0).tolist():
        lists.setdefault((order, mt), []).append(pfn)
    return lists


def _bytes(record: npt.NDArray[Any]) -> Bytes:
    return record.view(np.uint8)
