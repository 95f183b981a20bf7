"""Level B1: whether per-CPU lists are refilled and drained by the rules (RECORDINGS 5).

What is on the lists follows the recording; their sizing (`high`, `alloc_factor`,
`free_count`, flags) follows the rules.  Before each refill the rules say how many
blocks it takes, and at each free which pages go back to the zone, one by one.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rmqueue.errors import TraceError
from rmqueue.mm import follow
from rmqueue.mm.mmzone import (
    MOVABLE,
    PCP_ORDER_LISTS,
    RECLAIMABLE,
    ZONE_BELOW_HIGH,
    ZONE_RECLAIM_ACTIVE,
)
from rmqueue.restore import open_state
from rmqueue.types import ZoneState

HIDDEN = ZONE_BELOW_HIGH | ZONE_RECLAIM_ACTIVE
#: Values of the hidden flags, the likeliest first.
GUESSES = (0, ZONE_BELOW_HIGH, ZONE_RECLAIM_ACTIVE, HIDDEN)

PcpRecord = npt.NDArray[np.void]


@dataclass(eq=False)
class PcpScore:
    """How far the rules explain what per-CPU lists did.

    Attributes
    ----------
    refills, exact_refills : int
        Refills, and those of exactly the predicted size.
    frees, explained : int
        Frees to a list, and those after which exactly the predicted pages were drained.
    draining, draining_explained : int
        Of both those after which pages were drained: the others are explained by
        nothing happening.
    flips : int
        Times that a hidden flag of the zone had to be another.
    cut_short : int
        Drains that stopped between two batches.
    notes : Counter of str
        Everything else that had to be inferred.
    """

    refills: int = 0
    exact_refills: int = 0
    frees: int = 0
    explained: int = 0
    draining: int = 0
    draining_explained: int = 0
    flips: int = 0
    cut_short: int = 0
    notes: Counter[str] = field(default_factory=Counter)

    @property
    def explained_percent(self) -> float:
        """Share of `explained` in `frees` [%]."""
        return 100 * self.explained / self.frees if self.frees else 100.0


class PcpZone:
    """The per-CPU lists of one zone: contents as recorded, sizes by the rules.

    Parameters
    ----------
    state : ZoneState
        The zone at the start.
    kernel : str
        Kernel profile whose rules hold.
    score : PcpScore
        Where results are counted.

    Raises
    ------
    TraceError
        There are pages on a list that the kernel has not.
    """

    def __init__(self, state: ZoneState, kernel: str, score: PcpScore) -> None:
        config, self._storage = open_state(state, kernel)
        self.score = score
        self.address = self._storage.address
        self._zone = self._storage.record[0]
        self._pcps: PcpRecord = self._storage.pcps
        self.huge_order = int(self._zone["huge_order"])
        self._in_batches = bool(self._zone["flush_in_batches"])
        self._carries_types = bool(self._zone["pcp_keeps_type"])
        self.nr_lists = PCP_ORDER_LISTS + int(self._zone["huge_lists"])
        self.nr_free = int(self._zone["nr_free"])
        self.high_mark = state.watermarks[2] + state.boost
        self._types = state.pageblock_types.copy()
        self._order, self._first = config.pageblock_order, state.start_pfn
        self.lists = [
            [deque[int]() for _ in range(self.nr_lists)] for _ in range(config.cpus)
        ]
        #: CPUs with a request that has taken pages and is not yet traced.
        self._asking: set[int] = set()
        #: CPU and list of each page that is on one.
        self.where: dict[int, tuple[int, int]] = {}
        for cpu, pcp in enumerate(state.pcps):
            pcp.put_into(self._pcps, cpu)
            self._pcps[cpu]["count"] = pcp.count
            for index, pfns in pcp.lists.items():
                self._begin_with(cpu, index, pfns.tolist())

    def _begin_with(self, cpu: int, index: int, pfns: list[int]) -> None:
        """Put on a list what was on it at the start."""
        if pfns and index >= self.nr_lists:
            raise TraceError(
                f"CPU {cpu} has pages on per-CPU list {index}, but its kernel has the "
                f"lists 0 to {self.nr_lists - 1}: the state is of another kernel"
            )
        if pfns:
            self.lists[cpu][index].extend(pfns)
            self.where.update(dict.fromkeys(pfns, (cpu, index)))

    # Pageblocks ------------------------------------------------------------------

    def _block(self, pfn: int) -> int:
        return (pfn >> self._order) - (self._first >> self._order)

    def type_of(self, pfn: int) -> int:
        """Migratetype of the pageblock of a page."""
        return int(self._types[self._block(pfn)])

    def set_type(self, pfn: int, order: int, mt: int) -> None:
        """Note what type the pageblocks of a block have."""
        first = self._block(pfn >> order << order)
        self._types[first : first + max(1, (1 << order) >> self._order)] = mt

    # Lists -----------------------------------------------------------------------

    def index(self, order: int, mt: int) -> int:
        """Index of the list for an order and type (order_to_pindex)."""
        if order < PCP_ORDER_LISTS // 3:
            return 3 * order + (mt if mt <= RECLAIMABLE else MOVABLE)
        return PCP_ORDER_LISTS + int(mt == MOVABLE) * (
            self.nr_lists - PCP_ORDER_LISTS - 1
        )

    def order_of(self, index: int) -> int:
        """Order of the blocks on a list (pindex_to_order)."""
        return index // 3 if index < PCP_ORDER_LISTS else self.huge_order

    def remove(self, pfn: int) -> bool:
        """Take a block off the list that it is on, if it is on any."""
        place = self.where.pop(pfn, None)
        if place is None:
            return False
        cpu, index = place
        pages = self.lists[cpu][index]
        if pages[-1] == pfn:
            pages.pop()
        elif pages[0] == pfn:
            pages.popleft()
        else:
            pages.remove(pfn)
        self._pcps[cpu]["count"] -= 1 << self.order_of(index)
        return True

    def leave_from_head(self, pfn: int) -> None:
        """Take a block off the head of its list; those before it are gone unseen."""
        cpu, index = self.where[pfn]
        pages = self.lists[cpu][index]
        while pages[0] != pfn:
            self.remove(pages[0])
            self.score.notes["bulk_allocated"] += 1
        self.remove(pfn)

    def _add(self, cpu: int, index: int, pfn: int) -> deque[int]:
        if self.remove(pfn):
            self.score.notes["listed_twice"] += 1
        self.where[pfn] = cpu, index
        self._pcps[cpu]["count"] += 1 << self.order_of(index)
        return self.lists[cpu][index]

    # What happens ----------------------------------------------------------------

    def ask(self, cpu: int) -> None:
        """Note the zone below its high watermark, as a request does when it begins.

        It does so before it takes anything, and its allocation is traced at the end.
        """
        self._asking.add(cpu)
        if self.nr_free <= self.high_mark:
            self._believed |= ZONE_BELOW_HIGH

    def refill(self, cpu: int, order: int, mt: int, pfns: list[int]) -> None:
        """Compare the size of a refill with the rules, and follow it."""
        before = self._pcps[cpu].copy()
        self.score.refills += 1
        for flags in self._flags_to_try():
            self._pcps[cpu] = before
            if follow.refill_size(self.address, cpu, order) == len(pfns):
                self._believe(flags)
                self.score.exact_refills += 1
                break
        else:
            self._pcps[cpu] = before
            self._zone["flags"] = self._believed
            follow.refill_size(self.address, cpu, order)
        index = self.index(order, mt)
        pages = self.lists[cpu][index]
        while pages:
            self.remove(pages[0])
            self.score.notes["bulk_allocated"] += 1
        for pfn in pfns:
            self._add(cpu, index, pfn).append(pfn)
        self.nr_free -= len(pfns) << order

    def expected_refill(self, cpu: int, order: int) -> int:
        """Blocks that a list would be refilled with."""
        before = self._pcps[cpu].copy()
        self._zone["flags"] = self._believed
        blocks = follow.refill_size(self.address, cpu, order)
        self._pcps[cpu] = before
        return int(blocks)

    def alloc(self, cpu: int, order: int, mt: int, pfn: int) -> None:
        """Take a page from the head of its list; those before it are gone unseen."""
        if cpu not in self._asking:
            self.ask(cpu)
        self._asking.discard(cpu)
        if pfn not in self.where:
            return
        follow.note_pcp_alloc(self.address, cpu)
        own = self.index(order, mt)
        if self.where[pfn] != (cpu, own):
            self.score.notes["allocated_elsewhere"] += 1
            self.remove(pfn)
            return
        self.leave_from_head(pfn)

    def free(
        self, cpu: int, order: int, pfn: int, drained: list[tuple[int, int, int]]
    ) -> None:
        """Put a page on its list, and compare what is drained then with the rules."""
        index = self.index(order, self.type_of(pfn))
        self._add(cpu, index, pfn).appendleft(pfn)
        self.score.frees += 1
        self.score.draining += bool(drained)
        before = self._pcps[cpu].copy()
        pages = [page for page, _, _ in drained]
        for flags in self._flags_to_try():
            self._pcps[cpu] = before
            count = follow.pages_to_flush(self.address, cpu, order)
            verdict = self._compare(cpu, count, index, pages)
            if verdict:
                self._believe(flags)
                self.score.explained += 1
                self.score.draining_explained += bool(drained)
                self.score.cut_short += verdict == "cut short"
                self.score.notes[verdict] += 1
                break
        else:
            self._pcps[cpu] = before
            self._zone["flags"] = self._believed
            follow.pages_to_flush(self.address, cpu, order)
        given_back = sum(1 << size for _, size, _ in drained)
        if drained and self.nr_free + given_back > self.high_mark:
            self._believed &= ~ZONE_BELOW_HIGH

    def drain(self, pfn: int, order: int, mt: int) -> None:
        """Follow a block that goes back to the lists of a type."""
        if not self._carries_types:
            self.set_type(pfn, order, mt)
        if pfn in self.where:
            cpu, index = self.where[pfn]
            pages = self.lists[cpu][index]
            while pages[-1] != pfn:
                self.remove(pages[-1])
                self.score.notes["gone_from_tail"] += 1
            self.remove(pfn)
        else:
            self.score.notes["drained_unlisted"] += 1
        self.nr_free += 1 << order

    # The rules -------------------------------------------------------------------

    _believed = 0

    def _flags_to_try(self) -> Iterator[int]:
        """Set the hidden flags: as believed, then otherwise."""
        believed = self._believed
        for flags in (believed, *(f for f in GUESSES if f != believed)):
            self._zone["flags"] = flags
            yield flags

    def _believe(self, flags: int) -> None:
        self.score.flips += flags != self._believed
        self._believed = flags

    def _compare(self, cpu: int, count: int, index: int, pages: list[int]) -> str:
        """Say how pages that were drained agree with the rules; ``""`` if not.

        `count` pages should be, from list `index` on.  Kernels that give the lock back
        after each batch may stop there and go on later; and then the lists of other
        CPUs may have been drained, with everything that was left on this one or, if
        another CPU had taken that before, without.
        """
        wanted, boundaries = self._wanted(cpu, count, index)
        if pages == wanted:
            return "explained"
        if len(pages) < len(wanted):
            short = len(pages) in boundaries and pages == wanted[: len(pages)]
            return "cut short" if short else ""
        if pages[: len(wanted)] != wanted:
            return ""
        gone = set(wanted)
        rest = [pfn for pfn, _ in self._flush(cpu, 0) if pfn not in gone]
        own = set(rest)
        left = [pfn for pfn in pages[len(wanted) :] if pfn in own]
        return "drained by others" if left in ([], rest) else ""

    def _wanted(self, cpu: int, count: int, index: int) -> tuple[list[int], set[int]]:
        """Pages that the rules drain, and after how many the lock is given back."""
        batch = int(self._pcps[cpu]["batch"])
        left = min(count, int(self._pcps[cpu]["count"]))
        wanted: list[int] = []
        boundaries: set[int] = set()
        given = self._flush(cpu, index)
        while left > 0:
            chunk = min(left, batch) if self._in_batches else left
            left -= chunk
            while chunk > 0:
                pfn, order = next(given, (-1, 0))
                if pfn < 0:
                    return wanted, boundaries
                wanted.append(pfn)
                chunk -= 1 << order
            if self._in_batches:
                boundaries.add(len(wanted))
        return wanted, boundaries

    def _flush(self, cpu: int, index: int) -> Iterator[tuple[int, int]]:
        """Pages of a CPU in the order in which they are flushed."""
        for step in range(self.nr_lists):
            at = (index + step) % self.nr_lists
            order = self.order_of(at)
            for pfn in reversed(self.lists[cpu][at]):
                yield pfn, order
