"""Count the claims that a remembered fallback misses.

python -m benchmarks.remembering [RECORDING]...

Recordings are named by their folders; the built-in window and the model of LKP's server
(quick, five seeds) are always there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from statistics import median

try:
    from rmqueue.experiment import Experiment
    from rmqueue.results import Row
except ImportError as error:  # an earlier rmqueue, and asv imports everything here
    MISSING = str(error)
else:
    MISSING = ""

STRATEGIES = ("remembered-fallback", "reclaiming-memory", "steal-smallest-buddy")
SEEDS = range(1, 6)
COLUMNS = ("claims", "steals", "claim_try", "worst hold [us]")


def counts(rows: Iterable[Row]) -> tuple[float, ...]:
    """Claims, steals, claim attempts and worst hold of one strategy in one run."""
    total = next(iter(rows)).total
    claims, steals = (sum(map(sum, m)) for m in (total.claim, total.steal))
    return claims, steals, total.counters["claim_try"], total.holds.worst_ps / 1e6


def run(experiment: str, strategy: str, **more: object) -> tuple[float, ...]:
    """Run one strategy once."""
    loaded = Experiment.load(experiment, strategies=(strategy,), **more)  # type: ignore[arg-type]
    return counts(loaded.rows())


def show(name: str, runs: dict[str, list[tuple[float, ...]]]) -> None:
    """Print a line for each strategy: the median, and from least to most."""
    for strategy, results in runs.items():
        cells = []
        for values in zip(*results, strict=True):
            low, high = min(values), max(values)
            middle = f"{median(values):,.0f}"
            spread = "" if low == high else f" ({low:,.0f} to {high:,.0f})"
            cells.append(f"{middle + spread:>34}")
        print(f"{name:<14} {strategy:<21}" + " ".join(cells), flush=True)


def main() -> None:
    """Print the table."""
    if MISSING:
        sys.exit(f"this version of rmqueue has no experiments: {MISSING}")
    print(" " * 36 + " ".join(f"{head:>34}" for head in COLUMNS))
    show("real", {s: [run("real", s)] for s in STRATEGIES})
    for folder in map(Path, sys.argv[1:]):
        results = {s: [run("real", s, recording=folder)] for s in STRATEGIES}
        show(folder.name, results)
    runs = {s: [run("lkp-quick", s, seed=seed) for seed in SEEDS] for s in STRATEGIES}
    show("lkp-quick", runs)


if __name__ == "__main__":
    main()
