"""What a replay measured: results, work, lock holds, fallbacks by type pair."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rmqueue.mm.vmstat import bucket_floor_ps


@dataclass(frozen=True, eq=False)
class HoldStats:
    """Zone-lock holds and their modelled cost.

    Attributes
    ----------
    count : int
        Holds.
    total_ps, worst_ps : int
        Cost of all holds together, and of the most expensive one [ps].
    worst_counters : mapping of str to int
        Work counted in the most expensive hold.
    histogram : ndarray of int64
        Holds per cost bucket: 16 buckets an octave (`vmstat.bucket_of`).
    """

    count: int
    total_ps: int
    worst_ps: int
    worst_counters: Mapping[str, int]
    histogram: npt.NDArray[np.int64]

    def percentile_ps(self, q: float) -> int:
        """Cost that `q` percent of the holds do not exceed [ps].

        Exact to the width of a bucket, 6 %: the upper edge is given, and never more
        than the worst hold.
        """
        if self.count == 0:
            return 0
        rank = max(1, math.ceil(self.count * q / 100))
        bucket = int(np.searchsorted(np.cumsum(self.histogram), rank))
        return min(bucket_floor_ps(bucket + 1) - 1, self.worst_ps)


@dataclass(frozen=True, eq=False)
class FallbackMatrix:
    """Fallbacks by type pair: row = type asked for, column = type taken from.

    Attributes
    ----------
    claim, steal : ndarray of int64, shape (5, 5)
        Whole pageblocks claimed; blocks taken from another type [events].
    pollute : ndarray of int64, shape (5, 5)
        Pages placed in pageblocks of another type [pages].
    orders : ndarray of int64, shape (14, 14)
        Claims and steals: row = order asked for, column = order of the block found
        [events].
    """

    claim: npt.NDArray[np.int64]
    steal: npt.NDArray[np.int64]
    pollute: npt.NDArray[np.int64]
    orders: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ReplayResult:
    """What one replay did.

    Attributes
    ----------
    ops : int
        Operations done.
    seconds : float
        Thread CPU time of the jitted call [s].
    asked, served : int
        Pages requested and given [pages].
    res : ndarray of int64
        One entry per ALLOC, BULK, PCP_ALLOC, PCP_DECAY and UNRESERVE, in order: pfn or
        -1, pages got, or the value returned.  Empty unless results were recorded.
    scan : ndarray of uint32
        Aligned with `res`: pages that claim scans would have visited in that operation.
    bulk_pfns : ndarray of int64
        Pages of all BULK operations, in list order.
    counters : mapping of str to int
        Work that this replay added (SEMANTICS 14).
    holds : HoldStats
        Zone-lock holds of this replay.
    fallbacks : FallbackMatrix
        Fallbacks of this replay.
    misuse : mapping of str to int
        Operations that asked for something impossible, by kind; empty if none did.
    first_misuse : int or None
        Index of the first of them.
    """

    ops: int
    seconds: float
    asked: int
    served: int
    res: npt.NDArray[np.int64]
    scan: npt.NDArray[np.uint32]
    bulk_pfns: npt.NDArray[np.int64]
    counters: Mapping[str, int]
    holds: HoldStats
    fallbacks: FallbackMatrix
    misuse: Mapping[str, int]
    first_misuse: int | None = None
