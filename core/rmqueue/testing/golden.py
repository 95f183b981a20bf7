"""Golden vectors: op streams, and what the kernel's own code answered to them.

A vector is a trace, ``trace_<name>.npz``, and beside it a result file for each of five
kernel states, ``<variant>__<name>.npz``.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rmqueue.config import StrategyConfig, ZoneConfig
from rmqueue.errors import TraceError
from rmqueue.ops import BULK, CHECK, WITH_RESULT, Ops, as_ops
from rmqueue.types import Strategy
from rmqueue.validation import validated
from rmqueue.zone import Zone

Arrays: TypeAlias = Mapping[str, npt.NDArray[Any]]

#: variant -> kernel profile and strategy that reproduce it.
VARIANTS = {
    "greedy": ("6.9", "greedy-steal"),
    "hygiene": ("6.14", "claim-whole-block"),
    "smallest": ("6.14", "steal-smallest-buddy"),
    "remembered": ("6.14", "remembered-fallback"),
    "latest": ("7.3", "tight-fallback"),
}
#: Keys of a result file.
RESULT_KEYS = (
    *("res", "bulk_delta", "scan", "hashes", "zone", "counters", "types", "counts"),
)
#: Entries of `cfg` in front of the reserved ranges.
CFG_FIELDS = (
    *("start_pfn", "pages", "cpus", "min_free_kbytes", "watermark_boost_factor"),
    *("watermark_scale_factor", "cma_pageblocks", "pcp_free_high_batch"),
    *("page_group_by_mobility_disabled", "percpu_pagelist_high_fraction"),
)
NR_CFG = 12


@dataclass(frozen=True, eq=False)
class GoldenTrace:
    """The op stream of a vector.

    Attributes
    ----------
    name : str
        Name of the trace.
    zone : mapping of str to object
        Fields of `ZoneConfig`; the kernel profile is still open.
    ops : ndarray of OPS_DTYPE
        The stream.
    """

    name: str
    zone: Mapping[str, Any]
    ops: Ops

    def config(self, kernel: str) -> ZoneConfig:
        """Return the configuration of the zone on a kernel profile."""
        return validated(ZoneConfig, {**self.zone, "kernel": kernel}, self.name)


def load_trace(path: str | Path) -> GoldenTrace:
    """Read ``trace_<name>.npz``.

    Raises
    ------
    TraceError
        It cannot be read, or is no trace of this format.
    """
    path = Path(path)
    arrays = load_arrays(path, ("cfg", "meta", "code", "a", "b", "c"))
    try:
        meta = json.loads(str(arrays["meta"]))
        cfg = [int(value) for value in arrays["cfg"]]
        zone: dict[str, Any] = dict(zip(CFG_FIELDS, cfg[:NR_CFG], strict=False))
        zone["pageblock_order"] = meta["pageblock_order"]
        zone["max_page_order"] = meta.get("max_page_order", 10)
        zone["cma"] = bool(meta["cma"])
        for flag in ("pcp_free_high_batch", "page_group_by_mobility_disabled"):
            zone[flag] = bool(zone[flag])
        ends = cfg[NR_CFG:]
        zone["reserved"] = tuple(zip(ends[::2], ends[1::2], strict=True))
        columns = [arrays[key].astype(np.int64) for key in ("code", "a", "b", "c")]
        ops = as_ops(np.stack(columns, axis=1))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise TraceError(f"{path}: not a golden trace: {error}") from None
    return GoldenTrace(path.stem.removeprefix("trace_"), zone, ops)


def load_arrays(path: Path, names: tuple[str, ...]) -> dict[str, npt.NDArray[Any]]:
    """Read arrays of an ``.npz`` file; the message of an error names the file."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names or arrays.files}
    except FileNotFoundError:
        raise TraceError(f"{path}: there is no such file") from None
    except KeyError as error:
        raise TraceError(f"{path}: not a golden vector: {error}") from None
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise TraceError(f"{path}: no whole .npz file: {error}") from None


def replay(
    path: str | Path, kernel: str, strategy: str | Strategy | StrategyConfig
) -> dict[str, npt.NDArray[Any]]:
    """Replay a golden trace, and return what a result file holds.

    Parameters
    ----------
    path : str or Path
        ``trace_<name>.npz``.
    kernel : str
        Kernel profile.
    strategy : str, Strategy or StrategyConfig
        As of `Zone`.

    Returns
    -------
    dict of str to ndarray
        The keys of ``<variant>__<name>.npz``: res, bulk_delta, scan, hashes, zone,
        counters, types, counts.

    Raises
    ------
    RmqueueError
        The trace cannot be read, or kernel and strategy do not go together.
    """
    trace = load_trace(path)
    return replay_ops(Zone(trace.config(kernel), strategy), trace.ops)


def replay_ops(zone: Zone, ops: Ops) -> dict[str, npt.NDArray[Any]]:
    """Replay a stream on a zone; every CHECK leaves the zone's state in the result."""
    buffers = zone.replay_checked(ops)
    pfn = np.int32 if zone.config.start_pfn + zone.config.pages < 1 << 31 else np.int64
    pfns = buffers.pfns[: buffers["nr_pfns"]]
    return {
        "res": buffers.res.astype(pfn),
        "bulk_delta": np.diff(pfns, prepend=0).astype(pfn),
        "scan": buffers.scan,
        "hashes": buffers.hashes,
        "zone": buffers.zones,
        "counters": buffers.counters,
        "types": buffers.types,
        "counts": buffers.counts,
    }


@dataclass(frozen=True)
class Difference:
    """Where two results differ first.

    Attributes
    ----------
    op : int
        Index of the operation.
    field : str
        Key of the result file, and the field within it.
    expected, found : str
        The two values.
    """

    op: int
    field: str
    expected: str
    found: str

    def __str__(self) -> str:
        return (
            f"op {self.op}: {self.field}: expected {self.expected}, found {self.found}"
        )


def first_difference(ops: Ops, expected: Arrays, found: Arrays) -> Difference | None:
    """Return the difference at the earliest operation; None if all is equal."""
    differences = [d for key in expected for d in differing(ops, key, expected, found)]
    return min(differences, key=lambda difference: difference.op, default=None)


def differing(
    ops: Ops, key: str, expected: Arrays, found: Arrays
) -> Iterator[Difference]:
    """Yield the first difference of one key."""
    want, have = expected[key], found.get(key, np.empty(0))
    if want.shape != have.shape:
        yield Difference(0, f"shape of {key}", str(want.shape), str(have.shape))
        return
    unequal = np.argwhere(want != have)
    if len(unequal):
        at = tuple(int(index) for index in unequal[0])
        op = op_of(ops, key, at[0], expected)
        name = f"{key}{list(at)} ({field_name(key, at)})"
        if key == "bulk_delta":
            want, have = np.cumsum(want), np.cumsum(have)
        yield Difference(op, name, str(want[at]), str(have[at]))


def op_of(ops: Ops, key: str, row: int, expected: Arrays) -> int:
    """Index of the operation that made a row of a result."""
    code = ops["code"]
    if key in ("res", "scan"):
        return int(np.flatnonzero(np.isin(code, WITH_RESULT))[row])
    if key == "bulk_delta":
        recorded = code[np.isin(code, WITH_RESULT)]
        behind = np.cumsum(expected["res"][recorded == BULK])
        bulk = int(np.searchsorted(behind, row, side="right"))
        return int(np.flatnonzero(code == BULK)[bulk])
    return int(np.flatnonzero(code == CHECK)[row])


def field_name(key: str, at: tuple[int, ...]) -> str:
    """Words for a place in a result."""
    from rmqueue.mm.checkpoint import ZONE_FIELDS
    from rmqueue.mm.mmzone import MIGRATETYPES
    from rmqueue.mm.vmstat import COUNTERS

    if key == "hashes":
        return ("free lists", "pageblock types", "per-CPU lists")[at[1]]
    if key == "zone":
        return ZONE_FIELDS[at[1]]
    if key == "counters":
        return COUNTERS[at[1]]
    if key == "counts":
        return f"order {at[1]}, {MIGRATETYPES[at[2]]}"
    return {
        "res": "pfn or value returned",
        "scan": "pages scanned",
        "bulk_delta": "pfn of a batch",
        "types": "migratetype of a pageblock",
    }[key]
