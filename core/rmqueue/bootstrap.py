"""Bootstrap intervals, which are SciPy's (`scipy.stats.bootstrap`).

It is imported only where there is one to be made: where three runs or more differ.
Resampling begins with the same random state every time, so that equal figures have
equal intervals.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, TypeAlias

import numpy as np

from rmqueue.errors import UsageError

#: Share of resamples inside an interval.
CONFIDENCE = 0.95
RESAMPLES, RANDOM_STATE = 9999, 20250407
#: Runs without which there is no interval.
FEWEST = 3
#: Runs with which intervals are nearly as wide as they should be.
ENOUGH = 20
#: How often such an interval holds the true mean of a normal quantity, by runs [%]
#: (``python -m benchmarks.interval_coverage``).
COVERAGE = {3: 72, 4: 81, 5: 84, 6: 85, 7: 87, 8: 88, 9: 90, 10: 90, 15: 92}

Samples: TypeAlias = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Interval:
    """A bootstrap interval of 95 %.

    Attributes
    ----------
    low, high : float
        Its ends.
    method : str
        ``"BCa"`` (bias-corrected and accelerated) where that is defined, else
        ``"percentile"``.
    """

    low: float
    high: float
    method: str


@lru_cache(maxsize=4096)
def bootstrapped(samples: Samples, statistic: Callable[..., Any]) -> Interval | None:
    """Have SciPy make an interval: BCa, or by percentiles where that is undefined.

    Parameters
    ----------
    samples : tuple of tuple of float
        One sample, or two that are paired.
    statistic : callable
        ``statistic(*samples, axis)``, vectorised; the same object for the same thing.

    Returns
    -------
    Interval or None
        None where both are undefined.

    Raises
    ------
    UsageError
        SciPy is not installed.
    """
    need_scipy(len(samples[0]), "an interval")
    from scipy.stats import bootstrap  # two seconds

    for method in ("BCa", "percentile"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that BCa is undefined shows in its ends
            found = bootstrap(
                samples,
                statistic,
                n_resamples=RESAMPLES,
                vectorized=True,
                paired=len(samples) > 1,
                confidence_level=CONFIDENCE,
                method=method,
                rng=np.random.default_rng(RANDOM_STATE),
            ).confidence_interval
        low, high = float(found.low), float(found.high)
        if math.isfinite(low) and math.isfinite(high):
            return Interval(low, high, method)
    return None


def coverage_note(seeds: int) -> str:
    """Say how far an interval of so few seeds can be trusted; nothing of many.

    Examples
    --------
    >>> coverage_note(5)
    'intervals of 5 seeds are too narrow: they hold the truth in 84 % of cases, not 95'
    """
    known = COVERAGE[max((n for n in COVERAGE if n <= seeds), default=FEWEST)]
    if not FEWEST <= seeds < ENOUGH:
        return ""
    return (
        f"intervals of {seeds} seeds are too narrow: they hold the truth in {known} % "
        f"of cases, not {100 * CONFIDENCE:.0f}"
    )


def can_bootstrap() -> bool:
    """Whether SciPy is installed; it is not imported."""
    return find_spec("scipy") is not None


def need_scipy(seeds: int, what: str) -> None:
    """Refuse what needs intervals of that many seeds and cannot have them.

    Raises
    ------
    UsageError
        SciPy is not installed.
    """
    if seeds >= FEWEST and not can_bootstrap():
        raise UsageError(
            f"{what} of {seeds} seeds needs SciPy: pip install 'rmqueue[study]', or "
            "run fewer seeds"
        )
