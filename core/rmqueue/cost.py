"""Work counters to modelled time: cost tables, and lock holds of several zones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from rmqueue.errors import ConfigError, UnknownNameError
from rmqueue.measures import HoldStats
from rmqueue.mm.vmstat import COUNTERS, HISTOGRAM_BUCKETS


def cost_table(
    machine: Mapping[str, int], overrides: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Costs of all counters, those of the machine and one's own before them.

    Parameters
    ----------
    machine : mapping of str to int
        Cost [ps] of one unit, by counter; a counter that is not named costs nothing.
    overrides : mapping of str to int or None
        Costs that replace those of the machine.

    Raises
    ------
    ConfigError
        A counter does not exist, or a cost is negative.

    Examples
    --------
    >>> costs = cost_table({"lock": 50_000, "split": 30_000}, {"split": 10_000})
    >>> costs["lock"], costs["split"], costs["merge"]
    (50000, 10000, 0)
    """
    costs = dict.fromkeys(COUNTERS, 0)
    for counter, cost in [*machine.items(), *(overrides or {}).items()]:
        if counter not in costs:
            unknown = UnknownNameError("work counter", counter, COUNTERS)
            raise ConfigError(f"weights_ps.{counter}: {unknown}")
        if cost < 0:
            raise ConfigError(
                f"weights_ps.{counter}: a cost cannot be negative (found {cost})"
            )
        costs[counter] = int(cost)
    return costs


def cost_ps(counters: Mapping[str, int], costs: Mapping[str, int]) -> int:
    """Cost of counted work [ps].

    Examples
    --------
    >>> cost_ps({"lock": 1, "scan_page": 512}, {"lock": 50_000, "scan_page": 10_000})
    5170000
    """
    return sum(count * costs.get(name, 0) for name, count in counters.items())


def merged_holds(parts: Iterable[HoldStats]) -> HoldStats:
    """Merge the holds of several zones into one distribution."""
    holds = list(parts)
    worst = max(holds, key=lambda part: part.worst_ps, default=None)
    return HoldStats(
        count=sum(part.count for part in holds),
        total_ps=sum(part.total_ps for part in holds),
        worst_ps=worst.worst_ps if worst else 0,
        worst_counters=worst.worst_counters if worst else {},
        histogram=np.sum(
            [np.zeros(HISTOGRAM_BUCKETS, np.int64), *(p.histogram for p in holds)],
            axis=0,
        ),
    )
