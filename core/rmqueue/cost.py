"""Work counters to modelled time: cost tables, and lock holds of several zones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from rmqueue.errors import ConfigError, UnknownNameError
from rmqueue.measures import HoldStats
from rmqueue.mm.vmstat import ALL_COUNTERS, COUNTERS, HISTOGRAM_BUCKETS
from rmqueue.types import Machine


@dataclass(frozen=True)
class Costs:
    """What work under a zone lock costs.

    Attributes
    ----------
    weights_ps : mapping of str to int
        Cost of a unit of each work counter [ps].
    warm_scans : int
        Scans that a pageblock stays in the cache for [scans].
    handover_ps : int
        Cost of handing a busy lock over [ps].
    """

    weights_ps: Mapping[str, int]
    warm_scans: int = 0
    handover_ps: int = 0


def costs_of(
    machine: Machine | None, strategy: str, overrides: Mapping[str, int]
) -> Costs:
    """Costs of a strategy's kernel on a machine.

    Parameters
    ----------
    machine : Machine or None
        None: only the overrides cost anything.
    strategy : str
        Name of the strategy.
    overrides : mapping of str to int
        Costs that replace those of the machine [ps].

    Raises
    ------
    ConfigError
        As of `cost_table`.
    """
    if machine is None:
        return Costs(cost_table(overrides))
    own = machine.strategy_weights_ps.get(strategy, {})
    weights = cost_table({**machine.weights_ps, **own}, overrides)
    return Costs(weights, machine.warm_scans, machine.handover_ps)


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
        if counter not in ALL_COUNTERS:
            unknown = UnknownNameError("work counter", counter, ALL_COUNTERS)
            raise ConfigError(f"weights_ps.{counter}: {unknown}")
        if cost < 0:
            raise ConfigError(
                f"weights_ps.{counter}: a cost cannot be negative (found {cost})"
            )
        costs[counter] = int(cost)
    return costs


def cost_ps(counters: Mapping[str, int], costs: Mapping[str, int]) -> int:
    """Cost of counted work [ps]; a warm step of a scan costs what `costs` says of it.

    Examples
    --------
    >>> cost_ps({"lock": 1, "scan_page": 512}, {"lock": 50_000, "scan_page": 10_000})
    5170000
    """
    cold = costs.get("scan_page", 0)
    warm = counters.get("scan_page_warm", 0)
    total = sum(counters.get(name, 0) * costs.get(name, 0) for name in COUNTERS)
    return total + warm * (costs.get("scan_page_warm", cold) - cold)


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
