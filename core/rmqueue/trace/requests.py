"""A trace without a start state to ops: what callers asked for, and gave back.

Only mm_page_alloc and mm_page_free count: everything below them is the allocator's own
doing, and a replay decides it anew.  Requests go through the per-CPU lists of the CPU
that made them where the order has such lists.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from rmqueue.ops import (
    ALLOC,
    FREE,
    PCP_ALLOC,
    PCP_FREE,
    SPLIT,
    Stream,
    as_ops,
    request,
)
from rmqueue.trace import events as kinds
from rmqueue.trace.chunks import Chunk
from rmqueue.trace.events import COSTLY_ORDER, HUGE_ORDER

#: Largest order of a block that frees in parts are looked for in.
_MOST_ORDER = 13
#: Reclaim is not part of a replay: requests wake kswapd and may do nothing else.
_KSWAPD = 32


class Requests:
    """Turns the events of a trace into ops, in order.

    Attributes
    ----------
    inferred : Counter
        What had to be made up or left out: ``before`` (frees of pages allocated before
        the trace: slots that exist at its start), ``freed_unseen`` (allocations of
        pages in use: freed just before), ``freed_twice`` (frees of free pages: left
        out; since 7.3 compaction traces some twice), ``failed`` (allocations that
        failed: left out).
    """

    def __init__(self) -> None:
        self.inferred: Counter[str] = Counter()
        self._ops: list[tuple[int, int, int, int]] = []
        self._parts: list[npt.NDArray[np.int32]] = [np.empty((0, 4), np.int32)]
        self._live: dict[int, tuple[int, int]] = {}
        self._gone: set[int] = set()
        self._before: list[tuple[int, int]] = []
        self._slots = 0

    def heed(self, chunk: Chunk) -> None:
        """Add a chunk."""
        kind = chunk.events["kind"]
        chosen = chunk.events[(kind == kinds.ALLOC) | (kind == kinds.FREE)]
        names = ("kind", "cpu", "pfn", "order", "mt")
        for row in zip(*(chosen[name].tolist() for name in names), strict=True):
            (self._alloc if row[0] == kinds.ALLOC else self._free)(*row[1:])
        if self._ops:  # rows are a tenth of the size of tuples
            self._parts.append(np.array(self._ops, np.int32))
            self._ops.clear()

    def _alloc(self, cpu: int, pfn: int, order: int, mt: int) -> None:
        if pfn == 0:
            self.inferred["failed"] += 1
            return
        self._split_down(pfn, order)
        for page in range(pfn, pfn + (1 << order)):
            if page in self._live:
                self.inferred["freed_unseen"] += 1
                self._release(cpu, page)
        slot = self._new_slots(1)
        what = request(order, min(mt, 2), _KSWAPD)
        if _listed(order):
            self._ops.append((PCP_ALLOC, what, slot, cpu))
        else:
            self._ops.append((ALLOC, what, slot, 0))
        self._live[pfn] = (slot, order)
        self._gone.discard(pfn)

    def _free(self, cpu: int, pfn: int, order: int, _: int) -> None:
        if self._live.get(pfn, (0, order))[1] == order:
            self._release_exactly(cpu, pfn, order)
            return
        self._split_down(pfn, order)
        for page in range(pfn, pfn + (1 << order)):
            if page in self._live:
                self._release(cpu, page)

    def _release_exactly(self, cpu: int, pfn: int, order: int) -> None:
        if pfn not in self._live and not self._split_down(pfn, order):
            if pfn in self._gone:
                self.inferred["freed_twice"] += 1
                return
            self.inferred["before"] += 1
            self._before.append((pfn, order))
            self._live[pfn] = (-len(self._before), order)
        self._release(cpu, pfn)

    def _release(self, cpu: int, pfn: int) -> None:
        slot, order = self._live.pop(pfn)
        self._gone.add(pfn)
        if _listed(order):
            self._ops.append((PCP_FREE, 0, slot, cpu))
        else:
            self._ops.append((FREE, 0, slot, 0))

    def _split_down(self, pfn: int, order: int) -> bool:
        """Split the block in use that this is a part of; whether there is one."""
        for larger in range(order + 1, _MOST_ORDER + 1):
            head = pfn >> larger << larger
            slot, size = self._live.get(head, (0, -1))
            if size == larger:
                parts = 1 << (size - order)
                first = self._new_slots(parts)
                self._ops.append((SPLIT, order, slot, first))
                del self._live[head]
                for part in range(parts):
                    self._live[head + (part << order)] = (first + part, order)
                return True
        return False

    def _new_slots(self, count: int) -> int:
        self._slots += count
        return self._slots - count

    def stream(self, name: str) -> Stream:
        """Return all ops: slots of pages from before the trace come first."""
        blocks = np.array(self._before, np.int64).reshape(-1, 2)
        rows = np.concatenate(self._parts)
        rows[:, 2] = self._numbered(rows[:, 2])
        split = rows[:, 0] == SPLIT
        rows[split, 3] = self._numbered(rows[split, 3])
        return Stream(name, as_ops(rows), blocks)

    def _numbered(self, slots: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Count slots from before the trace (-1, -2, ...) first, then all others."""
        return np.where(slots < 0, -1 - slots, slots + len(self._before))


def _listed(order: int) -> bool:
    return order <= COSTLY_ORDER or order == HUGE_ORDER


def requests_of(chunks: Iterable[Chunk], name: str) -> tuple[Stream, Counter[str]]:
    """Turn a trace into one op stream, and say what was inferred."""
    requests = Requests()
    for chunk in chunks:
        requests.heed(chunk)
    return requests.stream(name), requests.inferred
