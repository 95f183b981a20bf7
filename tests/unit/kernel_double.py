"""A kernel that traces itself: the plain allocator of ``tests.naive``, with its events.

`Double` writes what a kernel of some version would: the text of the trace, both states
and the recording folder around them.  None of it comes from the code that reads them.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tests.naive import BELOW_HIGH, MOVABLE, NaiveConfig, NaiveZone
from tests.naive_fixed_pcp import CarryingPcp, FixedPcp
from tests.naive_pcp import Pcp
from tests.naive_search import Request
from tests.unit.recordings import END, START, alloc, free, line, mark

#: Version of a kernel, and what it is: profile of the plain allocator and strategy.
KERNELS = {
    "6.1.192": ("6.1", "greedy-steal"),
    "6.9.12": ("6.8", "greedy-steal"),
    "6.10.14": ("6.14", "claim-whole-block"),
    "6.12.117": ("6.14", "remembered-fallback"),
    "6.18.15": ("6.18", "remembered-fallback"),
    "7.3.4": ("7.3", "tight-fallback"),
}
#: The fallback returns its page since; see `Double._trace_new`.
FALLBACK_RETURNS_PAGE = (6, 10)
PCP_FIELDS = (
    *("count", "high", "high_min", "high_max", "batch"),
    *("free_count", "alloc_factor", "flags"),
)
#: Before, the marks of per-CPU lists are fixed.
ADAPTS_LISTS = (6, 7)
#: Before, a page on a per-CPU list goes back to the lists of the type it came with.
CARRIES_NO_TYPE = (6, 10)

Block = tuple[int, int]


def of_page(event: str, pfn: int, cpu: int, **fields: int) -> str:
    """One line of an event about a page."""
    words = "".join(f" {name}={value}" for name, value in fields.items())
    return line(f"{event}: page=00000000 pfn={pfn:#x}{words}", cpu=cpu)


class TracedPcp(Pcp):
    """Per-CPU lists whose drains are traced."""

    zone: Double

    def flush(self, pages: int, index: int) -> None:
        self.zone.draining = True
        super().flush(pages, index)
        self.zone.draining = False


class TracedCarryingPcp(TracedPcp, CarryingPcp):
    """The same until 6.9: a page carries its type."""


class TracedFixedPcp(TracedPcp, FixedPcp):
    """The same until 6.6: nothing but `free_factor` adapts."""


class Double(NaiveZone):
    """A zone of a kernel that is traced."""

    draining = False
    _looked = _unlinked = (-1, -1, -1)

    def __init__(self, kernel: str, batch: int = 7, **fields: Any) -> None:
        self.kernel = kernel
        major, minor = (int(part) for part in kernel.split(".")[:2])
        self.version = major, minor
        profile, strategy = KERNELS[kernel]
        defaults = {"pages": 4096, "cpus": 2, "watermark_boost_factor": 0}
        fields = {**defaults, "strategy": strategy, **fields}
        super().__init__(NaiveConfig(kernel=profile, **fields))
        make = TracedPcp
        if self.version < CARRIES_NO_TYPE:
            make = TracedCarryingPcp
        if self.version < ADAPTS_LISTS:
            make = TracedFixedPcp
        self.pcps = [make(self) for _ in range(self.config.cpus)]
        for pcp in self.pcps:
            pcp.batch, pcp.high_min, pcp.high_max = batch, 4 * batch, 20 * batch
            pcp.high = 6 * batch
        self.trace: list[str] = []
        self.cpu = 0
        #: What was given out, oldest first.
        self.held: list[Block] = []

    @property
    def pcp_fields(self) -> tuple[str, ...]:
        """Fields of `struct per_cpu_pages`."""
        if self.version >= ADAPTS_LISTS:
            return PCP_FIELDS
        return ("count", "high", "batch", "free_factor")

    # What is observed ------------------------------------------------------------

    def ptype(self, pfn: int) -> int:
        self._look(pfn)
        return super().ptype(pfn)

    def pageblock_inside(self, pfn: int) -> bool:
        self._look(pfn)
        return super().pageblock_inside(pfn)

    def _look(self, pfn: int) -> None:
        """Remember the free block that a search asked about last."""
        if pfn in self.bud:
            self._looked = pfn, self.bud[pfn], self.home[pfn]

    def unlink(self, pfn: int, order: int) -> None:
        self._unlinked = pfn, order, self.home[pfn]
        super().unlink(pfn, order)

    def free_one(self, pfn: int, order: int, mt: int, to_tail: bool = False) -> None:
        super().free_one(pfn, order, mt, to_tail)
        if self.draining:
            self.emit("mm_page_pcpu_drain", pfn, order=order, migratetype=mt)

    def rmqueue(self, request: Request) -> int | None:
        before = dict(self.work)
        pfn = super().rmqueue(request)
        if pfn is not None:
            done = {name for name, count in self.work.items() if count > before[name]}
            trace = self._trace_old
            if self.version >= FALLBACK_RETURNS_PAGE:
                trace = self._trace_new
            trace(request, pfn, done)
        return pfn

    # What is traced --------------------------------------------------------------

    def emit(self, event: str, pfn: int, **fields: int) -> None:
        self.trace.append(of_page(event, pfn, self.cpu, **fields))

    def _trace_old(self, request: Request, pfn: int, done: set[str]) -> None:
        """Until 6.9: the stolen block first, then what was taken of it."""
        if "claim_try" in done:
            self._extfrag(request, self._looked[0], *self._looked[1:])
        self._locked(request, pfn)

    def _trace_new(self, request: Request, pfn: int, done: set[str]) -> None:
        """Since 6.10: a page that the fallback gives out was on no list of its own."""
        if "claim_part" in done:
            self._locked(request, pfn)
            self._extfrag(request, pfn, *self._looked[1:])
        elif done & {"claim_whole", "steal"}:
            self._extfrag(request, pfn, *self._unlinked[1:])
        else:
            self._locked(request, pfn)

    def _locked(self, request: Request, pfn: int) -> None:
        self.emit(
            "mm_page_alloc_zone_locked",
            pfn,
            order=request.order,
            migratetype=request.mt,
            percpu_refill=int(self.pcps[0].allows(request.order)),
        )

    def _extfrag(self, request: Request, pfn: int, order: int, mt: int) -> None:
        self.emit(
            "mm_page_alloc_extfrag",
            pfn,
            alloc_order=request.order,
            fallback_order=order,
            pageblock_order=self.pb_order,
            alloc_migratetype=request.mt,
            fallback_migratetype=mt,
            fragmenting=int(order < self.pb_order),
            change_ownership=int(super().ptype(pfn) == request.mt),
        )

    # What it is asked ------------------------------------------------------------

    def request(self, cpu: int, order: int, mt: int) -> int | None:
        """Allocate a block on a CPU, if there is enough for any refill."""
        self.cpu = cpu
        if not self.can_serve(order):
            return None
        if self.nr_free <= self.wmark_high + self.boost_pages:
            self.zone_flags |= BELOW_HIGH
        pfn = self.pcp_alloc(cpu, order, mt)
        assert pfn is not None
        self.trace.append(alloc(pfn, order, mt, cpu=cpu))
        if mt == MOVABLE:
            self.set_lru(pfn, order, True)
        self.held.append((pfn, order))
        return pfn

    def can_serve(self, order: int) -> bool:
        """Whether the largest refill of an order cannot fail."""
        blocks = sum(
            len(blocks) << (high - order)
            for high in range(order, self.max_order + 1)
            for blocks in self.lists[high][:3]
        )
        most = max(self.pcps[0].batch << 5 if order == 0 else 0, 2)
        if order > 0:
            most = max(self.pcps[0].batch >> order, 2)
        return blocks > most

    def give_back(self, cpu: int, at: int) -> None:
        """Free one of the blocks held, on a CPU."""
        if not self.held:
            return
        self.cpu = cpu
        pfn, order = self.held.pop(at % len(self.held))
        self.trace.append(free(pfn, order, cpu=cpu))
        self.pcp_free(cpu, pfn, order)
        # nothing but the CPU's next event says when a direct free was done
        listed = self.pcps[cpu].allows(order)
        if not listed and self.request(cpu, 0, MOVABLE) is None:
            self.release(cpu, at, 1)

    def release(self, cpu: int, at: int, count: int) -> None:
        """Free several pages at once: all are traced before the first is listed."""
        self.cpu = cpu
        pages = [block for block in self.held if block[1] == 0]
        at %= len(pages) or 1
        pages = pages[at : at + count]
        for pfn, _ in pages:
            self.held.remove((pfn, 0))
            self.trace.append(free(pfn, cpu=cpu))
            self.set_lru(pfn, 0, False)
        for pfn, _ in pages:
            self.emit("mm_page_free_batched", pfn, order=0)
            self.pcp_free(cpu, pfn, 0)

    def drain_all(self, cpu: int) -> None:
        """Give back what all CPUs keep (drain_all_pages)."""
        self.cpu = cpu
        for other in range(self.config.cpus):
            self.drain(other)

    # What is written -------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """As ``state-start.json`` and ``state-end.json`` have it."""
        names = ("UNMOVABLE", "MOVABLE", "RECLAIMABLE", "HIGHATOMIC")
        types = [1] * (self.start >> self.pb_order) + self.block_types
        pcps = [
            {
                **{n: getattr(pcp, n) for n in self.pcp_fields},
                "lists": {str(i): list(q) for i, q in enumerate(pcp.lists)},
            }
            for pcp in self.pcps
        ]
        zone = {
            "name": "Normal",
            "zone_start_pfn": self.start,
            "spanned_pages": self.end - self.start,
            "managed_pages": self.managed,
            "watermark": [self.wmark_min, self.wmark_low, self.wmark_high],
            "watermark_boost": self.boost_pages,
            "free_lists": {
                f"{order},{mt}": list(blocks)
                for order, row in enumerate(self.lists)
                for mt, blocks in enumerate(row)
            },
            "pcp": pcps,
        }
        return {
            "nr_orders": self.max_order + 1,
            "max_pfn": self.end,
            "migratetypes": [[f"MIGRATE_{n}", i] for i, n in enumerate(names)],
            "pageblock_migratetype": types,
            "zones": [zone],
        }

    def pages(self) -> dict[str, Any]:
        """As ``pages-start.npz`` has it; no folio is large."""
        flags = np.zeros(self.end, np.uint64)
        flags[sorted(self.lru)] = 1 << (5 if self.version >= (6, 12) else 4)
        idle = [(pfn, order) for pfn, order in self.bud.items()]
        for pcp in self.pcps:
            for index, pfns in enumerate(pcp.lists):
                idle += [(pfn, pcp.order_of(index)) for pfn in pfns]
        refcount = np.zeros(self.end, np.int32)
        refcount[self.start :] = 1
        for pfn, order in idle:
            refcount[pfn : pfn + (1 << order)] = 0
        return {"flags": flags, "refcount": refcount}


class Take:
    """A recording that is being made: it begins now, `write` ends it."""

    def __init__(self, kernel: Double) -> None:
        self.kernel = kernel
        self._state, self._pages = kernel.state(), kernel.pages()
        kernel.trace.clear()

    def write(
        self, folder: Path, lines: Iterable[str] | None = None, **about: Any
    ) -> Path:
        """Write the folder; `lines` may say otherwise than the kernel."""
        kernel = self.kernel
        folder.mkdir(exist_ok=True)
        lines = kernel.trace if lines is None else lines
        text = "".join(("# tracer: nop\n", mark(START), *lines, mark(END)))
        (folder / "trace.txt").write_text(text)
        about = {
            "name": "double",
            "kernel_package": kernel.kernel,
            "cpus": kernel.config.cpus,
            **about,
        }
        (folder / "recording.json").write_text(json.dumps(about))
        states = {"start": self._state, "end": kernel.state()}
        for moment, state in states.items():
            content = lzma.compress(json.dumps(state).encode(), preset=0)
            (folder / f"state-{moment}.json.xz").write_bytes(content)
        np.savez(folder / "pages-start.npz", **self._pages)
        return folder
