"""What strategies do, in numbers without noise: each change is one of behaviour.

Everything is reached through the parts of rmqueue that experiments are made of, so that
earlier versions can be asked too: what one cannot say is missing from its figures.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeAlias

try:
    from rmqueue.errors import RmqueueError, UnknownNameError
    from rmqueue.experiment import Experiment
except ImportError:  # an earlier rmqueue
    HAVE_EXPERIMENTS = False
else:
    HAVE_EXPERIMENTS = True

#: Figure -> value.
Figures: TypeAlias = dict[str, float]
#: Strategy -> its figures; none: it cannot run there.
Table: TypeAlias = dict[str, Figures]

REPLAYED = ("synthetic", "real")
BOARD, SERVER, SERVER_QUICK = "imx7d", "lkp", "lkp-quick"
WINDOW = "window"
#: Events of the built-in recording that are followed page by page.
WINDOW_EVENTS = 60_000
TYPES = ("unmovable", "movable", "reclaimable")
PAIRS = tuple(f"{a} <- {t}" for a in TYPES for t in TYPES if a != t)
#: Figures of a replay, beside those of pollution by type pair, with their units.
REPLAY_FIGURES = {
    "worst hold": "ps",
    "work of the worst hold": "work units",
    "claim attempts": "attempts",
    "claims": "pageblocks",
    "steals": "blocks",
    "blocks scanned": "pageblocks",
    "pages served": "pages",
    "unusable index, order 4": "1/1000",
    "unusable index, order 9": "1/1000",
    "mixed pageblocks": "pageblocks",
}
#: Figures of the two published regressions: what a run measures -> unit.
BOARD_FIGURES = {
    "worst_refill_ms": "ms",
    "worst_refill_claim_try": "attempts",
    "worst_refill_scan_page": "pages",
    "worst_refill_steal": "blocks",
}
SERVER_FIGURES = {
    "pages_per_s": "pages/s",
    "spin_share_pct": "%",
    "claims_per_kpage": "attempts",
    "steals_per_kpage": "blocks",
    "hold_per_page_ns": "ns",
}
WINDOW_FIGURES = {"pages predicted": "blocks", "batches predicted": "batches"}


def polluted(pair: str) -> str:
    """Return the name of the figure of pages placed in blocks of another type."""
    return f"pollute {pair}"


def replayed(experiment: str, strategies: Sequence[str]) -> Table:
    """Replay the requests of an experiment on each strategy, all from one start."""
    names = known(strategies)
    loaded = Experiment.load(experiment, strategies=names)
    return {row.strategy: replay_figures(row.total) for row in loaded.rows()}


def known(strategies: Sequence[str]) -> tuple[str, ...]:
    """Strategies that this version of rmqueue has."""
    from rmqueue.registry import default_registry

    return tuple(n for n in strategies if n in default_registry().names("strategy"))


def replay_figures(total: Any) -> Figures:
    """Figures of an outcome; a field that a version lacks is left out."""
    counters, holds = total.counters, total.holds
    pollute = total.pollute
    found: Figures = {
        "worst hold": holds.worst_ps,
        "work of the worst hold": sum(holds.worst_counters.values()),
        "claim attempts": counters["claim_try"],
        "claims": sum(map(sum, total.claim)),
        "steals": sum(map(sum, total.steal)),
        "blocks scanned": counters["scan_block"],
        "pages served": total.served,
        "mixed pageblocks": total.mixed_pageblocks,
    }
    for order, value in total.unusable.items():
        found[f"unusable index, order {order}"] = value
    for pair in PAIRS:
        asked, _, taken = pair.partition(" <- ")
        found[polluted(pair)] = pollute[TYPES.index(asked)][TYPES.index(taken)]
    return found


def simulated(
    experiment: str, strategies: Sequence[str], names: Mapping[str, str]
) -> Table:
    """Run a workload of the multi-CPU loop; of several seeds the median.

    A strategy that leaves the simulated machine without a page has no figures.
    """

    def one(strategy: str) -> Figures:
        try:
            rows = tuple(Experiment.load(experiment, strategies=(strategy,)).rows())
        except UnknownNameError:
            raise
        except RmqueueError:  # nothing left to reclaim: that is its result
            return {}
        measures = [row.total.measures for row in rows]
        return {
            name: rounded(statistics.median(one[name] for one in measures))
            for name in names
        }

    return side_by_side(one, known(strategies))


def predicted(strategies: Sequence[str]) -> Table:
    """Follow a window of the built-in recording, page by page, with each strategy."""
    from rmqueue.registry import default_registry

    try:
        from rmqueue.trace.predict import Prediction
        from rmqueue.validate import find_evidence, kernel_for
    except ImportError:  # an earlier rmqueue follows no recording: there is nothing
        return {}
    registry = default_registry()
    whole = find_evidence("real", registry)
    window = replace(whole, events=whole.events[:WINDOW_EVENTS])

    def one(strategy: str) -> Figures:
        kernel = kernel_for(window, strategy, registry)
        score = Prediction(window, strategy, kernel, False).run()
        return {
            "pages predicted": score.exact,
            "batches predicted": score.exact_batches,
        }

    return side_by_side(one, known(strategies))


def side_by_side(
    one: Callable[[str], Figures], strategies: tuple[str, ...]
) -> dict[str, Figures]:
    """Figures of each strategy, in two threads: jitted code lets others run."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(strategies, pool.map(one, strategies), strict=True))


def rounded(value: float) -> float:
    """Value with ten digits: more depend on the order of a sum.

    Examples
    --------
    >>> rounded(4.2950750000001)
    4.295075
    """
    return float(f"{value:.10g}")


def collect(strategies: Sequence[str], full: bool = False) -> dict[str, Table]:
    """Return all figures of all strategies; `full`: the whole run of the server too."""
    found = {name: replayed(name, strategies) for name in REPLAYED}
    found[WINDOW] = predicted(strategies)
    found[BOARD] = simulated(BOARD, strategies, BOARD_FIGURES)
    found[SERVER_QUICK] = simulated(SERVER_QUICK, strategies, SERVER_FIGURES)
    if full:
        found[SERVER] = simulated(SERVER, strategies, SERVER_FIGURES)
    return found
