"""The friendly object over ``mm/``: a zone that one can ask for pages and look into.

>>> zone = Zone(ZoneConfig(pages=2048), strategy="remembered-fallback")
>>> zone.alloc(migratetype="movable")
0
>>> zone.alloc(migratetype="unmovable")  # claims the other block of order 10
1024
>>> zone.free(0)
>>> zone.free_list(10, "movable")
array([0])
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rmqueue import runner
from rmqueue.binding import BoundStrategy
from rmqueue.config import StrategyConfig, ZoneConfig
from rmqueue.errors import UsageError
from rmqueue.measures import FallbackMatrix, ReplayResult
from rmqueue.mm.boot import boot
from rmqueue.mm.run import NO_PAGE
from rmqueue.mm.vmstat import COUNTERS, SCAN_PAGE_WARM
from rmqueue.ops import ALLOC, BULK, FREE, PCP_ALLOC, PCP_FREE, SET_LRU, as_ops
from rmqueue.registry import Registry
from rmqueue.request import (
    check_block,
    check_cpu,
    check_order,
    flag_bits,
    type_index,
    whole,
)
from rmqueue.restore import open_state
from rmqueue.storage import ZoneStorage
from rmqueue.types import Strategy, ZoneState
from rmqueue.zone_view import MATRICES, ZoneView, named_counts


class Zone(ZoneView):
    """A zone, booted: all its memory is free.

    Parameters
    ----------
    config : ZoneConfig
        Geometry, kernel profile and settings.
    strategy : str, Strategy or StrategyConfig
        What to do when the lists of a migratetype are empty.
    registry : Registry or None
        Where names are looked up; None: what is installed.

    Attributes
    ----------
    config : ZoneConfig
        As given.
    name : str
        ``"Normal"``, or what the recorded kernel calls it.

    Raises
    ------
    UsageError
        The strategy does not exist, or cannot run on this kernel profile.
    """

    def __init__(
        self,
        config: ZoneConfig,
        strategy: str | Strategy | StrategyConfig = "remembered-fallback",
        registry: Registry | None = None,
    ) -> None:
        bound = BoundStrategy(strategy, config.kernel, registry)
        storage = ZoneStorage(config)
        super().__init__(config, storage, bound, "Normal")
        self._slots = np.full(0, NO_PAGE, np.uint32)
        ranges = storage.ranges
        address, kbytes = storage.address, config.min_free_kbytes
        boot(address, ranges.ctypes.data, len(ranges), kbytes)

    @classmethod
    def from_state(
        cls,
        state: ZoneState,
        strategy: str | Strategy | StrategyConfig,
        kernel: str | None = None,
        registry: Registry | None = None,
    ) -> Zone:
        """Make a zone in a state that was recorded on a running kernel.

        Parameters
        ----------
        state : ZoneState
            The recorded state; slot `i` of a replay holds its block `i`.
        strategy : str, Strategy or StrategyConfig
            As of `Zone`.
        kernel : str or None
            Kernel profile to run on; None: that of the recording.
        registry : Registry or None
            As of `Zone`.

        Raises
        ------
        TraceError
            The state contradicts itself.
        """
        kernel = kernel or state.kernel
        bound = BoundStrategy(strategy, kernel, registry)
        config, storage = open_state(state, kernel)
        zone = cls.__new__(cls)
        ZoneView.__init__(zone, config, storage, bound, state.name)
        zone._slots = (state.blocks[:, 0] - zone._base).astype(np.uint32)
        return zone

    # Requests --------------------------------------------------------------------

    def alloc(
        self,
        order: int = 0,
        migratetype: str | int = "unmovable",
        cpu: int | None = None,
        lru: bool | None = None,
        flags: int | Iterable[str] = (),
    ) -> int | None:
        """Ask for one block.

        Parameters
        ----------
        order : int
            The block has ``2**order`` pages.
        migratetype : str or int
            ``"unmovable"``, ``"movable"`` or ``"reclaimable"``.
        cpu : int or None
            Go through the per-CPU lists of this CPU; None: straight to the free lists.
        lru : bool or None
            Put the pages on an LRU list, where the allocator takes them for movable;
            None: if the request is movable.
        flags : iterable of str, or int
            Names of `rmqueue.request.FLAGS` like ``"nofragment"``, or their bits.

        Returns
        -------
        int or None
            First page of the block [pfn]; None if there is none to be had.

        Raises
        ------
        OrderError
            The zone has no such order.
        UsageError
            The migratetype, CPU or a flag does not exist.
        StrategyError
            The strategy returned a page that it cannot have taken from a free list.
        """
        a = self._request(order, migratetype, lru, flags)
        code = ALLOC if cpu is None else PCP_ALLOC
        slots = np.full(1, NO_PAGE, np.uint32)
        self._run([(code, a, 0, check_cpu(self.config, cpu))], slots)
        if slots[0] == NO_PAGE:
            return None
        if lru:
            self._run([(SET_LRU, 0, 0, 1)], slots)
        return self._base + int(slots[0])

    def alloc_bulk(
        self,
        order: int = 0,
        count: int = 1,
        migratetype: str | int = "unmovable",
        lru: bool | None = None,
        flags: int | Iterable[str] = (),
    ) -> npt.NDArray[np.int64]:
        """Ask for a batch under one hold of the zone lock: one rmqueue_bulk().

        Parameters
        ----------
        order, migratetype, lru, flags
            As of `alloc`.
        count : int
            Blocks wanted.

        Returns
        -------
        ndarray of int64
            First pages of the blocks, in list order [pfn]; fewer than `count` if the
            zone ran out.

        Raises
        ------
        RmqueueError
            As of `alloc`.
        """
        a = self._request(order, migratetype, lru, flags)
        count = whole("count", count)
        if count < 0:
            raise UsageError(f"count: cannot be negative (found {count})")
        # a batch ends at its first failure: no zone gives more than its pages
        slots = np.full(min(count, self.managed + 1), NO_PAGE, np.uint32)
        self._run([(BULK, a, 0, len(slots))], slots)
        got = slots[slots != NO_PAGE]
        if lru:
            self._run([(SET_LRU, 0, slot, 1) for slot in range(len(got))], slots)
        pfns: npt.NDArray[np.int64] = got.astype(np.int64) + self._base
        return pfns

    def free(self, pfn: int, order: int = 0, cpu: int | None = None) -> None:
        """Give a block back.

        Parameters
        ----------
        pfn : int
            First page of the block.
        order : int
            The order that it was asked for with.
        cpu : int or None
            Free to the per-CPU lists of this CPU; None: straight to the free lists.

        Raises
        ------
        PfnError
            The zone has no such page.
        OrderError
            The zone has no such order, or the block was given with another.
        DoubleFreeError
            The page is free already.
        NotAllocatedError
            No block that was given to a caller begins at this page.
        """
        order, pfn = check_order(self.config, order), whole("pfn", pfn)
        c = check_cpu(self.config, cpu)
        check_block(self._storage, pfn, order)
        slots = np.array([pfn - self._base], np.uint32)
        self._run([(FREE if cpu is None else PCP_FREE, 0, 0, c)], slots)

    def replay(
        self, ops: Any, record: bool = True, stops: runner.Stops = runner.NO_STOPS
    ) -> ReplayResult:
        """Run a whole op stream in one jitted call.

        Slots keep their pages until the next replay.

        Parameters
        ----------
        ops : ndarray of OPS_DTYPE, or integers of shape (n, 4)
            See `rmqueue.ops`.
        record : bool
            Keep the result of each operation.
        stops : runner.Stops
            Where to stop and look; the result is the same.

        Returns
        -------
        ReplayResult
            What this replay did; operations that ask for something impossible have no
            effect and are counted in `ReplayResult.misuse`.

        Raises
        ------
        TypeError
            `ops` is no op stream.
        StrategyError
            The strategy returned a page that it cannot have taken from a free list; the
            replay has stopped there.
        """
        stream = as_ops(ops)
        self._slots = runner.grown_slots(self._slots, stream)
        buffers = runner.make_buffers(
            self._storage, stream, results=record, checks=False
        )
        before = {name: self._record[name].copy() for name in ("cnt", *MATRICES)}
        self._reset_holds()
        self._jitted(stream, self._slots, buffers, stops)
        return self._result(buffers, before)

    def replay_checked(self, ops: Any) -> runner.Buffers:
        """As `replay`, but every CHECK records the state of the zone.

        Returns
        -------
        runner.Buffers
            Results of operations, and per CHECK hashes, fields, counters, pageblock
            types and list lengths, as the golden vectors have them.
        """
        stream = as_ops(ops)
        self._slots = runner.grown_slots(self._slots, stream)
        buffers = runner.make_buffers(self._storage, stream, results=True, checks=True)
        self._jitted(stream, self._slots, buffers)
        return buffers

    # Settings --------------------------------------------------------------------

    def set_weights(self, costs: Mapping[str, int], warm_scans: int = 0) -> None:
        """Set what a unit of each work counter costs in a lock hold.

        Parameters
        ----------
        costs : mapping of str to int
            By name of the counter [ps]; ``scan_page_warm`` is the cost of a warm step
            of a scan, if it is another than that of ``scan_page``.
        warm_scans : int
            Scans that a pageblock stays in the cache for [scans].
        """
        weights = self._record["hold_weights"]
        weights[:] = 0
        for index, name in enumerate(COUNTERS):
            weights[index] = costs.get(name, 0)
        cold = costs.get("scan_page", 0)
        # a warm step is counted under scan_page too
        weights[SCAN_PAGE_WARM] = costs.get("scan_page_warm", cold) - cold
        self._record["warm_scans"] = warm_scans
        self._record["weighted"] = bool(weights.any()) or warm_scans > 0
        self._record["hold_start"] = self._record["cnt"]

    # How it is done --------------------------------------------------------------

    def _request(
        self,
        order: int,
        migratetype: str | int,
        lru: bool | None,
        flags: int | Iterable[str],
    ) -> int:
        order = check_order(self.config, order)
        bits = flag_bits(flags) | (flag_bits(("nolru",)) if lru is False else 0)
        return order + 256 * type_index(migratetype, 3) + 65536 * bits

    def _run(self, rows: Any, slots: npt.NDArray[np.uint32]) -> None:
        ops = as_ops(np.array(rows, np.int64).reshape(-1, 4))
        buffers = runner.make_buffers(self._storage, ops, results=False, checks=False)
        self._jitted(ops, slots, buffers)

    def _result(
        self, buffers: runner.Buffers, before: Mapping[str, npt.NDArray[np.int64]]
    ) -> ReplayResult:
        added = {name: self._record[name] - before[name] for name in before}
        first = buffers.first_misuse
        return ReplayResult(
            ops=buffers["done"],
            seconds=buffers.seconds,
            asked=buffers["asked"],
            served=buffers["served"],
            res=buffers.res,
            scan=buffers.scan,
            bulk_pfns=buffers.pfns[: buffers["nr_pfns"]],
            counters=named_counts(added["cnt"]),
            holds=self.holds,
            fallbacks=FallbackMatrix(*(added[name] for name in MATRICES)),
            misuse=buffers.misuse,
            first_misuse=None if first < 0 else first,
        )
