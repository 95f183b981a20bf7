"""The op stream: what is asked of a zone, in order.

One operation is a code and three operands; requests name *slots*, never pages, so that
one stream runs on every strategy.  The codes are those of the golden vectors, and one
more:

====  ==========  ==================================================================
code  operation   operands
====  ==========  ==================================================================
0     NOP
1     ALLOC       a = order + 256 * migratetype + 65536 * flags, b = slot
2     FREE        b = slot
3     BULK        a as ALLOC, b = first slot, c = count
4     PCP_ALLOC   a and b as ALLOC, c = CPU
5     PCP_FREE    b = slot, c = CPU
6     PCP_DRAIN   c = CPU
7     PCP_DECAY   c = CPU
8     CHECK       record the state of the zone
9     ZONE_CTL    a < 16: set (b != 0) or clear zone flag a; a = 16: boost := b pages
10    UNRESERVE   a = migratetype, b = force
11    SET_LRU     b = slot, c = on
12    SPLIT       a = new order, b = slot, c = first of the new slots
====  ==========  ==================================================================
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rmqueue.errors import UsageError

Ops: TypeAlias = npt.NDArray[np.void]

OPS_DTYPE = np.dtype(
    [("code", "u1"), ("a", "<i4"), ("b", "<i4"), ("c", "<i4")], align=True
)

OPERATIONS = (
    "NOP",
    "ALLOC",
    "FREE",
    "BULK",
    "PCP_ALLOC",
    "PCP_FREE",
    "PCP_DRAIN",
    "PCP_DECAY",
    "CHECK",
    "ZONE_CTL",
    "UNRESERVE",
    "SET_LRU",
    "SPLIT",
)
(
    NOP,
    ALLOC,
    FREE,
    BULK,
    PCP_ALLOC,
    PCP_FREE,
    PCP_DRAIN,
    PCP_DECAY,
    CHECK,
    ZONE_CTL,
    UNRESERVE,
    SET_LRU,
    SPLIT,
) = range(len(OPERATIONS))

#: A slot costs four bytes, used or not: one for every page of 2 TiB.
MOST_SLOTS = 1 << 29
#: Codes that leave an entry in the results of a replay.
WITH_RESULT = (ALLOC, BULK, PCP_ALLOC, PCP_DECAY, UNRESERVE)


def request(order: int, migratetype: int, flags: int = 0) -> int:
    """Operand `a` of a request.

    Examples
    --------
    >>> request(order=3, migratetype=1, flags=32)
    2097411
    """
    return order + 256 * migratetype + 65536 * flags


def as_ops(rows: Any) -> Ops:
    """Make an op stream of rows (code, a, b, c), or check that it is one.

    Parameters
    ----------
    rows : array_like
        An array of `OPS_DTYPE`, or integers of shape (n, 4).

    Raises
    ------
    TypeError
        It is neither.
    UsageError
        A number does not fit in its field.

    Examples
    --------
    >>> as_ops([(1, request(0, 1), 0, 0), (2, 0, 0, 0)])["code"]
    array([1, 2], dtype=uint8)
    >>> len(as_ops([]))
    0
    """
    array = np.asarray(rows)
    if array.shape == (0,) and not array.dtype.names:
        return np.zeros(0, OPS_DTYPE)
    if array.dtype == OPS_DTYPE and array.ndim == 1:
        return np.ascontiguousarray(array)
    if array.dtype.kind in "iu" and array.ndim == 2 and array.shape[1] == 4:
        check_ranges(array)
        ops = np.zeros(len(array), OPS_DTYPE)
        for column, name in enumerate(("code", "a", "b", "c")):
            ops[name] = array[:, column]
        return ops
    raise TypeError(
        "ops are a 1-d array of rmqueue.OPS_DTYPE or rows (code, a, b, c) of integers; "
        f"found shape {array.shape} of {array.dtype}"
    )


def check_ranges(rows: npt.NDArray[np.integer]) -> None:
    """Refuse numbers that an operation cannot hold; they would become others."""
    for column, name in enumerate(("code", "a", "b", "c")):
        limits = np.iinfo(OPS_DTYPE[name])
        wrong = (rows[:, column] < limits.min) | (rows[:, column] > limits.max)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise UsageError(
                f"op {row}: {name} is {rows[row, column]}: it must be from "
                f"{limits.min} to {limits.max}"
            )


def slots_needed(ops: Ops) -> int:
    """Return the number of slots that a stream can fill.

    Raises
    ------
    UsageError
        It names a slot beyond `MOST_SLOTS`.
    """
    code, b, c = ops["code"], ops["b"].astype(np.int64), ops["c"].astype(np.int64)
    single, bulk = np.isin(code, (ALLOC, PCP_ALLOC)), code == BULK
    highest = max(
        int(b[single].max(initial=-1)),
        int((b[bulk] + c[bulk].clip(0)).max(initial=0)) - 1,
        _last_split_slot(ops),
    )
    if highest >= MOST_SLOTS:
        raise UsageError(
            f"the op stream fills slot {highest}: number slots from 0, up to "
            f"{MOST_SLOTS - 1}"
        )
    return highest + 1


def _last_split_slot(ops: Ops) -> int:
    """Highest slot that a SPLIT can fill: it makes at most 2**13 parts."""
    split = ops[ops["code"] == SPLIT]
    if not len(split):
        return -1
    parts = 1 << (13 - np.clip(split["a"].astype(np.int64), 0, 13))
    return int((split["c"].astype(np.int64) + parts).max()) - 1
