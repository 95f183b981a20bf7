"""What studies take: the memory of 1 TiB, the time around a small run, a second worker.

``python -m benchmarks.scale [memory|overhead|threads|processes]``, ten minutes on a
machine that does nothing else.  Each study is one that a user could write, run by the
command that a user would type.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

#: The zone is full but for what frees leave: much of it is claimed or stolen.
TIB = """\
name = "tib"
machine = "generic"
seeds = [1]
[zone]
pages = 268_435_456
cpus = 8
[workload]
name = "mix"
[workload.params]
operations = 2_000_000
fill = 1.0
orders = { 0 = 0.5, 3 = 0.2, 9 = 0.1, 10 = 0.2 }
[[strategies]]
name = "remembered-fallback"
[[strategies]]
name = "steal-smallest-buddy"
"""

SMALL = """\
name = "small"
machine = "generic"
seeds = { from = 1, to = 500 }
[zone]
pages = 4096
[workload]
name = "mix"
[workload.params]
operations = 1000
[[strategies]]
name = "remembered-fallback"
[[strategies]]
name = "steal-smallest-buddy"
"""

#: Seeds share a process and take threads of it; zones go to processes.
LONG = """\
name = "long"
machine = "generic"
seeds = { from = 1, to = 6 }
[zone]
pages = 262_144
cpus = 4
[workload]
name = "steady-mix"
params = { hours = 24.0, rate = 200.0, period = 6.0 }
[[strategies]]
name = "remembered-fallback"
[[strategies]]
name = "steal-smallest-buddy"
"""
ZONES = '[[sweep]]\nover = { "zone.pages" = [262144, 262656] }\n'
#: Each process starts for itself, which takes two seconds.
LONGER = LONG.replace("to = 6", "to = 12") + ZONES

REPEATS = 3
RMQUEUE = Path(sys.executable).with_name("rmqueue")


@dataclass(frozen=True)
class Ran:
    """What a study took: time from command to prompt, most memory, time in runs."""

    wall_s: float
    peak_bytes: int
    runs: int
    busy_s: float
    fallbacks: int


def ran(study: str, *options: str) -> Ran:
    """Run a study with a command of its own, as a user would."""
    with tempfile.TemporaryDirectory() as folder:
        path, kept = Path(folder, "study.toml"), Path(folder, "kept")
        path.write_text(study)
        words = [str(RMQUEUE), "run", str(path), "--quiet"]
        begin = time.perf_counter()
        child = subprocess.Popen([*words, "-o", str(kept), *options])
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - begin
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            raise SystemExit(f"{' '.join(words)}: exit status {child.returncode}")
        rows = pl.read_parquet(f"{kept}/**/*.parquet", hive_partitioning=True)
    fallbacks = rows.select(pl.sum("work_claim_part", "work_claim_whole", "work_steal"))
    return Ran(
        wall_s=wall,
        peak_bytes=usage.ru_maxrss << 10,
        runs=rows.height,
        busy_s=float(rows["seconds"].sum()),
        fallbacks=sum(fallbacks.row(0)),
    )


def memory_of_1_tib() -> str:
    """Most memory of a process that does two strategies on 268 M pages in turn."""
    found = ran(TIB, "--jobs", "1")
    return (
        f"1 TiB, {found.fallbacks:,} fallbacks in {found.runs} runs: "
        f"at most {found.peak_bytes / 2**30:.1f} GiB (4 wanted), {found.wall_s:.0f} s"
    )


def overhead_of_a_run() -> str:
    """Time of 1,000 small runs beside the replay itself, start and end included."""
    samples = [
        ran(SMALL + keep, "--jobs", "1") for keep in ("", "[keep]\nsamples = 0\n")
    ]
    ms = [1e3 * (found.wall_s - found.busy_s) / found.runs for found in samples]
    return (
        f"{samples[0].runs:,} small runs: {ms[0]:.1f} ms beside each (10 wanted), "
        f"{ms[1]:.1f} without samples on the way"
    )


def gain_of_a_second_worker(study: str, what: str) -> str:
    """How much sooner two do what one does; in turns, since machines change."""
    gains = [
        ran(study, "--jobs", "1").wall_s / ran(study, "--jobs", "2").wall_s
        for _ in range(REPEATS)
    ]
    return f"two {what}: {statistics.median(gains):.2f} times as fast (1.8 wanted)"


PARTS: dict[str, Callable[[], str]] = {
    "memory": memory_of_1_tib,
    "overhead": overhead_of_a_run,
    "threads": lambda: gain_of_a_second_worker(LONG, "threads, seeds of one zone"),
    "processes": lambda: gain_of_a_second_worker(LONGER, "processes, two zones"),
}


def main() -> None:
    """Print the parts that are named, or all."""
    for part in sys.argv[1:] or PARTS:
        print(PARTS[part](), flush=True)


if __name__ == "__main__":
    main()
