"""Run an op stream on a zone's memory: buffers out, one jitted call, results back."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from rmqueue.mm.checkpoint import ZONE_FIELDS
from rmqueue.mm.replay import replay
from rmqueue.mm.run import MISUSES, NO_PAGE, RUN
from rmqueue.mm.vmstat import NR_COUNTERS
from rmqueue.ops import BULK, CHECK, WITH_RESULT, Ops, slots_needed
from rmqueue.storage import ZoneStorage, big_array

Fallback = Callable[..., int]


@dataclass(frozen=True, eq=False)
class Stops:
    """Where a run of a stream stops to be looked at.

    Attributes
    ----------
    at : sequence of int
        Operations done by then, in ascending order [operations].
    tell : callable
        Called at each of them, and at the end, with the operations done.
    """

    at: Sequence[int]
    tell: Callable[[int], None]


NO_STOPS = Stops((), lambda done: None)


@dataclass(eq=False)
class Buffers:
    """Where a run leaves its results; arrays of length 0 are not filled."""

    res: npt.NDArray[np.int64]
    scan: npt.NDArray[np.uint32]
    pfns: npt.NDArray[np.int64]
    hashes: npt.NDArray[np.uint64]
    zones: npt.NDArray[np.int64]
    counters: npt.NDArray[np.uint64]
    types: npt.NDArray[np.uint8]
    counts: npt.NDArray[np.uint32]
    run: npt.NDArray[np.void] = field(default_factory=lambda: np.zeros(1, RUN))
    seconds: float = 0.0
    first_misuse: int = -1

    def __getitem__(self, name: str) -> int:
        return int(self.run[name][0])

    @property
    def misuse(self) -> dict[str, int]:
        """Wrong operations by kind; kinds that did not occur are left out."""
        found = zip(MISUSES, self.run["misuse"][0].tolist(), strict=True)
        return {name: count for name, count in found if count}


def make_buffers(
    storage: ZoneStorage, ops: Ops, *, results: bool, checks: bool
) -> Buffers:
    """Buffers large enough for a stream."""
    zone = storage.record[0]
    code = ops["code"]
    n = int(np.isin(code, WITH_RESULT).sum()) if results else 0
    bulk = int(ops["c"][code == BULK].clip(0).sum(dtype=np.int64)) if results else 0
    k = int((code == CHECK).sum()) if checks else 0
    order = int(zone["pageblock_order"])
    blocks = ((int(zone["end"]) - 1) >> order) - (int(zone["start"]) >> order) + 1
    orders = int(zone["max_order"]) + 1
    return Buffers(
        res=np.empty(n, np.int64),
        scan=np.empty(n, np.uint32),
        pfns=np.empty(min(bulk, int(storage.meta.size) * max(n, 1)), np.int64),
        hashes=np.empty((k, 3), np.uint64),
        zones=np.empty((k, len(ZONE_FIELDS)), np.int64),
        counters=np.empty((k, NR_COUNTERS), np.uint64),
        types=np.empty((k, blocks), np.uint8),
        counts=np.empty((k, orders, int(zone["nr_types"])), np.uint32),
    )


def grown_slots(slots: npt.NDArray[np.uint32], ops: Ops) -> npt.NDArray[np.uint32]:
    """`slots`, or a longer copy if a stream names more."""
    needed = slots_needed(ops)
    if needed <= len(slots):
        return slots
    longer = big_array(needed, np.uint32)  # in huge pages: random access throughout
    longer[len(slots) :] = NO_PAGE
    longer[: len(slots)] = slots
    return longer


def run_ops(
    storage: ZoneStorage,
    fallback: Fallback,
    ops: Ops,
    slots: npt.NDArray[np.uint32],
    buffers: Buffers,
    stops: Stops = NO_STOPS,
) -> Buffers:
    """Run a stream in one jitted call; fills `buffers` and changes `slots`.

    With `stops`, in a call from each to the next: pages and counters are the same.
    """
    run = buffers.run
    values: dict[str, Any] = {
        "ops": ops.ctypes.data,
        "slots": slots.ctypes.data,
        "nr_slots": len(slots),
        "first_misuse": -1,
    }
    if len(buffers.res):
        for name in ("res", "scan", "pfns"):
            values[name] = getattr(buffers, name).ctypes.data
    if len(buffers.hashes):
        for name in ("hashes", "zones", "counters", "types", "counts"):
            values[name] = getattr(buffers, name).ctypes.data
    for name, value in values.items():
        run[name] = value
    # a call for no operations first: what is compiled or loaded now is not timed
    replay(storage.address, fallback, run.ctypes.data)
    done = 0
    for stop in (*stops.at, len(ops)):
        run["ops"] = ops.ctypes.data + done * ops.itemsize
        run["nr_ops"] = stop - done
        begin = time.thread_time()
        replay(storage.address, fallback, run.ctypes.data)
        buffers.seconds += time.thread_time() - begin
        if run["first_misuse"][0] >= 0 and buffers.first_misuse < 0:
            buffers.first_misuse = done + int(run["first_misuse"][0])
        done += int(run["done"][0])
        if done < stop:  # the strategy broke a rule
            break
        stops.tell(done)
    run["done"] = done
    return buffers
