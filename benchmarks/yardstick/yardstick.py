"""Python side of the yardstick: golden traces for the C program, checks, timings.

yardstick.py verify [-v VARIANT ...] [-t TRACE ...] [-b BINARY] [--general] [--audit]
yardstick.py convert trace_NAME.npz OUT.bin
yardstick.py bench TRACE.bin ... [-v VARIANT ...] [-n REPEAT] [-b BINARY]

As a module: write_trace and read_trace (the trace format), run (one program call).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

HERE = Path(__file__).resolve().parent
GOLDEN = HERE.parents[1] / "tests" / "golden" / "data"
VARIANTS = ("greedy", "hygiene", "smallest", "remembered", "latest")
MAGIC = 0x314B545359524459  # b"YDRYSTK1"

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Trace:
    """What a trace file holds: `cfg` as in the golden vectors, ops as rows of four."""

    cfg: npt.NDArray[np.int64]
    ops: npt.NDArray[np.int32]
    pageblock_order: int = 9
    cma: int = 0
    max_order: int = 0
    fill_ops: int = 0


def write_trace(path: Path, trace: Trace) -> None:
    """Write a trace file."""
    length = max(32, (16 + len(trace.cfg) + 7) // 8 * 8)
    head = np.zeros(length, "<i8")
    head[:5] = MAGIC, length, len(trace.ops), trace.pageblock_order, trace.cma
    head[5:8] = trace.max_order, trace.fill_ops, len(trace.cfg)
    head[16 : 16 + len(trace.cfg)] = trace.cfg
    with path.open("wb") as file:
        head.tofile(file)
        trace.ops.astype("<i4").tofile(file)


def read_trace(path: Path) -> Trace:
    """Read a trace file."""
    magic, length, nr_ops = np.fromfile(path, "<i8", 3)
    if magic != MAGIC:
        raise ValueError(f"{path}: not a trace of the yardstick")
    head = np.fromfile(path, "<i8", length)
    ops = np.fromfile(path, "<i4", offset=8 * int(length)).reshape(-1, 4)
    if len(ops) != nr_ops:
        raise ValueError(f"{path}: {nr_ops} operations expected, found {len(ops)}")
    pageblock_order, cma, max_order, fill_ops, nr_cfg = head[3:8].tolist()
    cfg = head[16 : 16 + nr_cfg]
    return Trace(cfg, ops, pageblock_order, cma, max_order, fill_ops)


def convert(golden: Path, out: Path) -> None:
    """Make a trace file of a golden trace."""
    with np.load(golden) as arrays:
        columns = [arrays[key].astype("<i4") for key in ("code", "a", "b", "c")]
        meta = json.loads(str(arrays["meta"]))
        cfg = arrays["cfg"]
    ops = np.stack(columns, axis=1)
    write_trace(out, Trace(cfg, ops, meta["pageblock_order"], meta["cma"]))


def run(binary: Path, variant: str, trace: Path, *options: object) -> dict[str, Any]:
    """Call the program once, and return the JSON line that it prints."""
    words = [str(word) for word in (binary, variant, trace, *options)]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{variant} {trace}: {done.stderr.strip()}")
    line: dict[str, Any] = json.loads(done.stdout)
    return line


def read_verify(path: Path) -> Arrays:
    """Read what ``--verify`` wrote, by the keys of the golden result files."""
    sizes = np.fromfile(path, "<u8", 8).tolist()
    nres, nbulk, nchk, nblocks, orders, types, counters, fields = sizes
    out, offset = {}, 64
    layout: list[tuple[str, str, tuple[int, ...]]] = [
        ("res", "<i4", (nres,)),
        ("scan", "<u4", (nres,)),
        ("bulk", "<i4", (nbulk,)),
        ("hashes", "<u8", (nchk, 3)),
        ("zone", "<i8", (nchk, fields)),
        ("counters", "<u8", (nchk, counters)),
        ("types", "u1", (nchk, nblocks)),
        ("counts", "<u4", (nchk, orders, types)),
    ]
    for key, dtype, shape in layout:
        count = int(np.prod(shape))
        out[key] = np.fromfile(path, dtype, count, offset=offset).reshape(shape)
        offset += count * np.dtype(dtype).itemsize
    return out


def differences(found: Arrays, golden: Arrays, line: dict[str, Any]) -> list[str]:
    """Describe what differs from a golden result file: nothing if all agrees."""
    wanted = {key: golden[key].astype(np.int64) for key in found if key in golden}
    wanted["bulk"] = np.cumsum(golden["bulk_delta"], dtype=np.int64)
    wanted["last hashes"] = golden["hashes"][-1].astype(np.int64)
    wanted["last counters"] = golden["counters"][-1].astype(np.int64)
    last = [int(line[f"hash_{name}"], 16) for name in ("free", "types", "pcp")]
    found = {
        **found,
        "last hashes": np.array(last, np.uint64),
        "last counters": np.array(list(line["counters"].values()), np.uint64),
    }
    texts = []
    for key, want in wanted.items():
        have = found[key].astype(np.int64)
        if have.shape != want.shape:
            texts.append(f"{key}: shape {have.shape}, golden {want.shape}")
            continue
        at = np.argwhere(have != want)
        if len(at):
            place = tuple(at[0].tolist())
            values = f"{have[place]}, golden {want[place]}"
            texts.append(f"{key}: {len(at)} differ, first at {place}: {values}")
    return texts


def verify_one(
    binary: Path, variant: str, name: str, options: Sequence[str], folder: Path
) -> list[str]:
    """Replay one golden trace, and describe the differences."""
    trace, out = folder / f"{name}.bin", folder / f"{name}.out"
    convert(GOLDEN / f"trace_{name}.npz", trace)
    try:
        line = run(binary, variant, trace, "--repeat", 1, "--verify", out, *options)
    except RuntimeError as error:
        return [str(error)]
    with np.load(GOLDEN / f"{variant}__{name}.npz") as arrays:
        golden = {key: arrays[key] for key in arrays.files}
    return differences(read_verify(out), golden, line)


def verify(
    binary: Path, variants: Sequence[str], names: Sequence[str], options: Sequence[str]
) -> int:
    """Check the program against the golden vectors; returns how many are wrong."""
    every = sorted(path.stem[6:] for path in GOLDEN.glob("trace_*.npz"))
    total = wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in names or every:
            for variant in variants:
                texts = verify_one(binary, variant, name, options, Path(folder))
                total += 1
                wrong += bool(texts)
                for text in texts:
                    print(f"{variant}__{name} {text}")
    words = " ".join([binary.name, *options])
    print(f"{words}: {total - wrong} of {total} match")
    return wrong


def bench(
    binary: Path,
    variants: Sequence[str],
    traces: Sequence[Path],
    options: Sequence[object],
) -> None:
    """Print a line per trace and variant: how long an operation takes."""
    for trace in traces:
        for variant in variants:
            line = run(binary, variant, trace, *options)
            median = line["ns_per_op_median"]
            print(f"{trace.name:24} {variant:10} {line['ops']:9} ops {median:8.1f} ns")


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["verify", "convert", "bench"])
    parser.add_argument("args", nargs="*", type=Path)
    parser.add_argument("-v", "--variant", action="append")
    parser.add_argument("-t", "--trace", action="append", default=[])
    parser.add_argument("-b", "--binary", default="yardstick", help="[yardstick]")
    parser.add_argument("-n", "--repeat", type=int, default=5)
    for name in ("general", "counted", "audit"):
        parser.add_argument(f"--{name}", action="store_true")
    given = parser.parse_intermixed_args()
    words = ("general", "counted", "audit")
    options = [f"--{word}" for word in words if getattr(given, word)]
    variants, binary = given.variant or VARIANTS, HERE / given.binary
    if given.command == "convert":
        convert(*given.args)
        return 0
    if given.command == "bench":
        options += ["--repeat", str(given.repeat)]
        bench(binary, variants, given.args, options)
        return 0
    return 1 if verify(binary, variants, given.trace, options) else 0


if __name__ == "__main__":
    sys.exit(main())
