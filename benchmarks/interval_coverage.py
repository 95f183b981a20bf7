"""How often a bootstrap interval holds the true mean.

``python -m benchmarks.interval_coverage``, two minutes.

The more seeds the better: of few, any bootstrap takes too little spread for the truth.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import bootstrap

RUNS = (3, 4, 5, 6, 7, 8, 9, 10, 15, 20, 30)
TRIALS, RESAMPLES = 1500, 1999
SKEW = 0.5


def coverage(n: int, draw: Callable[[tuple[int, int]], Any], mean: float) -> float:
    """Share of the intervals of `n` draws that hold the mean [%]."""
    samples = draw((TRIALS, n))
    held = 0
    for part in np.array_split(samples, 30):
        found = bootstrap(
            (part,),
            np.mean,
            axis=-1,
            n_resamples=RESAMPLES,
            method="BCa",
            rng=np.random.default_rng(n),
        ).confidence_interval
        held += int(((found.low <= mean) & (mean <= found.high)).sum())
    return 100 * held / TRIALS


def main() -> None:
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(3)
    print("runs  normal  log-normal [%]")
    for n in RUNS:
        normal = coverage(n, rng.standard_normal, 0.0)
        skewed = coverage(
            n, lambda shape: rng.lognormal(0, SKEW, shape), np.exp(SKEW**2 / 2)
        )
        print(f"{n:>4}  {normal:>6.0f}  {skewed:>10.0f}")


if __name__ == "__main__":
    main()
