"""The op streams that the benchmarks replay, and the C program that they race."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.choice import QUICK
from benchmarks.yardstick.yardstick import GOLDEN, HERE, convert, read_trace

try:
    from rmqueue import Zone, ZoneConfig
    from rmqueue.ops import Ops, as_ops
    from rmqueue.testing.golden import CFG_FIELDS, NR_CFG
except ImportError:  # an earlier rmqueue: every benchmark that needs them is skipped
    HAVE_RMQUEUE = False
else:
    HAVE_RMQUEUE = True

TRACES = HERE / "traces"
MIB, GIB = 1 << 8, 1 << 18  # [pages]

#: name -> mix and zone size [pages] of a generated stream.
GENERATED = {
    "steady-64M": ("steady", 64 * MIB),
    "steady-1G": ("steady", GIB),
    "steady-16G": ("steady", 16 * GIB),
    "fallback-1G": ("fallback", GIB),
    "fallback-16G": ("fallback", 16 * GIB),
    "random-16G": ("random", 16 * GIB),
}
GOLDEN_NAMES = ("bulkfrag", "pcp8big")
NAMES = (*GENERATED, *GOLDEN_NAMES)
#: Operations of a generated stream.
NR_OPS = 100_000 if QUICK else 1_000_000


@dataclass(frozen=True, eq=False)
class Stream:
    """An op stream: the zone it is for, its set-up, and what is timed."""

    name: str
    path: Path
    config: ZoneConfig
    setup: Ops
    ops: Ops

    def zone(self, strategy: str = "remembered-fallback") -> Zone:
        """Build a zone anew and replay the set-up on it.

        All its memory is written first, as the yardstick does it: neither is timed
        while the system finds the pages.
        """
        zone = Zone(self.config, strategy)
        storage = zone._storage
        for array in (storage.links, storage.meta, storage.words):
            array += 0
        zone.replay(self.setup, record=False)
        return zone


@functools.cache
def binary(name: str = "yardstick-16") -> Path:
    """Build one program of the yardstick, and say where it is.

    Raises
    ------
    NotImplementedError
        There is no C compiler: asv skips the benchmark, and shows `n/a`.
    """
    if not (shutil.which("make") and shutil.which("gcc")):
        print("skipped: the yardstick needs make and gcc", file=sys.stderr)
        raise NotImplementedError("the yardstick needs make and gcc")
    subprocess.run(["make", "-s", name], cwd=HERE, check=True)
    return HERE / name


@functools.cache
def trace_file(name: str, seed: int = 1, nr_ops: int = NR_OPS) -> Path:
    """Make the trace file of a stream, unless it is there."""
    path = TRACES / f"{name}-{seed}-{nr_ops}.bin"
    source = HERE / "yardstick.c"
    if path.is_file() and path.stat().st_mtime > source.stat().st_mtime:
        return path
    TRACES.mkdir(exist_ok=True)
    if name in GOLDEN_NAMES:
        convert(GOLDEN / f"trace_{name}.npz", path)
        return path
    mix, pages = GENERATED[name]
    size = ["--pages", str(pages), "--ops", str(nr_ops), "--seed", str(seed)]
    words = [str(binary("yardstick")), "gen", "--mix", mix, *size, str(path)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return path


@functools.cache
def load(name: str, kernel: str = "6.14", nr_ops: int = NR_OPS) -> Stream:
    """Return a stream, ready for rmqueue.

    Raises
    ------
    NotImplementedError
        This version of rmqueue, or this machine, cannot do it.
    """
    if not HAVE_RMQUEUE:
        raise NotImplementedError("this version of rmqueue has no Zone to replay on")
    path = trace_file(name, nr_ops=nr_ops)
    trace = read_trace(path)
    fields: dict[str, Any] = dict(zip(CFG_FIELDS, trace.cfg.tolist(), strict=False))
    for flag in ("pcp_free_high_batch", "page_group_by_mobility_disabled"):
        fields[flag] = bool(fields[flag])
    ends = trace.cfg[NR_CFG:].tolist()
    config = ZoneConfig(
        **fields,
        kernel=kernel,
        pageblock_order=trace.pageblock_order,
        max_page_order=trace.max_order or 10,
        cma=bool(trace.cma),
        reserved=tuple(zip(ends[::2], ends[1::2], strict=True)),
    )
    ops, at = as_ops(trace.ops), trace.fill_ops
    return Stream(name, path, config, ops[:at], ops[at:])
