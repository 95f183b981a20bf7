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

A file of ops (`write_ops`) is an ``.npz`` with, for each stream i, ``ops i`` (rows
code, a, b, c) and ``blocks i`` (pfn and order of what is in use at the start: row k is
slot k), and with ``about``, JSON: what the streams are, and where they came from.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rmqueue.errors import TraceError, UsageError
from rmqueue.output import replaced

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


#: Version of files of ops.
OPS_FILE = 1


@dataclass(frozen=True, eq=False)
class Stream:
    """An op stream of one zone, as files keep it.

    Attributes
    ----------
    name : str
        Name of the zone.
    ops : ndarray of OPS_DTYPE
        What is asked of it.
    blocks : ndarray of int64, shape (k, 2)
        pfn and order of the pages in use at the start; row i is slot i.
    """

    name: str
    ops: Ops
    blocks: npt.NDArray[np.int64]

    def set_up(self, migratetype: int = 1) -> Ops:
        """Return the requests that fill the slots of `blocks` on an empty zone.

        Examples
        --------
        >>> stream = Stream("Normal", as_ops([]), np.array([[8, 3], [16, 0]]))
        >>> [[int(word) for word in op] for op in stream.set_up()]
        [[1, 259, 0, 0], [1, 256, 1, 0]]
        """
        ops = np.zeros(len(self.blocks), OPS_DTYPE)
        ops["code"], ops["b"] = ALLOC, np.arange(len(ops))
        ops["a"] = request(0, migratetype) + self.blocks[:, 1]
        return ops


def write_ops(path: Path, streams: Sequence[Stream], about: Mapping[str, Any]) -> None:
    """Write streams to a file, whole or not at all.

    Parameters
    ----------
    path : Path
        File to make.
    streams : sequence of Stream
        The streams.
    about : mapping of str to object
        What to keep of where they came from, for JSON.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    names = [stream.name for stream in streams]
    text = json.dumps({"rmqueue ops": OPS_FILE, "streams": names, **about})
    arrays: dict[str, Any] = {"about": np.frombuffer(text.encode(), np.uint8)}
    for index, stream in enumerate(streams):
        columns = [stream.ops[name].astype(np.int32) for name in OPS_DTYPE.names or ()]
        arrays[f"ops {index}"] = np.stack(columns, axis=1)
        arrays[f"blocks {index}"] = np.asarray(stream.blocks, np.int64).reshape(-1, 2)
    with replaced(path) as target, target.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_ops(path: Path) -> tuple[list[Stream], dict[str, Any]]:
    """Read what `write_ops` wrote: the streams, and where they came from.

    Raises
    ------
    TraceError
        It is no whole file of ops, or of a newer version.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].tobytes())
            if about["rmqueue ops"] > OPS_FILE:
                raise TraceError(
                    f"{path}: ops of version {about['rmqueue ops']}, and this rmqueue "
                    f"knows {OPS_FILE}: install a newer one"
                )
            streams = [
                Stream(name, as_ops(arrays[f"ops {i}"]), arrays[f"blocks {i}"])
                for i, name in enumerate(about["streams"])
            ]
    except OSError as error:
        raise TraceError(
            f"{path}: cannot be read: {error.strerror or 'no .npz file'}"
        ) from None
    except (ValueError, TypeError, KeyError, EOFError) as error:
        raise TraceError(f"{path}: no whole file of ops ({error})") from None
    except (zipfile.BadZipFile, zlib.error) as error:
        raise TraceError(f"{path}: no whole file of ops ({error})") from None
    return streams, about
