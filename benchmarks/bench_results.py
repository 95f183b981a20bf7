"""What strategies do: figures without noise, each change is one of behaviour.

`benchmarks/expected.json` holds the same figures; `python -m benchmarks.expected` says
what differs from it, and CI fails if anything does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from benchmarks import figures
from benchmarks.choice import QUICK, strategies
from benchmarks.figures import (
    BOARD_FIGURES,
    HAVE_EXPERIMENTS,
    PAIRS,
    REPLAY_FIGURES,
    REPLAYED,
    SERVER_FIGURES,
    WINDOW_FIGURES,
)

AnyType = TypeVar("AnyType", bound=type)


def tracking(units: Mapping[str, str]) -> Callable[[AnyType], AnyType]:
    """Give a class a `track_*` for each figure, with its unit."""

    def track_of(figure: str, unit: str) -> Callable[..., float]:
        def track(self: Any, found: Any, *params: str) -> float:
            return float(self.table(found, *params)[figure])

        track.unit, track.version = unit, "1"  # type: ignore[attr-defined]
        return track

    def complete(kind: AnyType) -> AnyType:
        for figure, unit in units.items():
            name = "track_" + re.sub(r"\W+", "_", figure)
            setattr(kind, name, track_of(figure, unit))
        return kind

    return complete


class Figures:
    """Everything is found once, before the first figure is asked for."""

    param_names: tuple[str, ...] = ("strategy",)
    timeout = 1200

    def setup(self, found: Any, *params: str) -> None:
        if not self.table(found, *params):
            raise NotImplementedError("it cannot run there, or not in this version")

    def table(self, found: Any, *params: str) -> dict[str, float]:
        strategy, experiment = params[:2]
        values: dict[str, float] = found.get(experiment, {}).get(strategy, {})
        return values


def found_by_replays() -> dict[str, Any]:
    """Figures of the experiments that replay requests."""
    if not HAVE_EXPERIMENTS:
        return {}
    return {name: figures.replayed(name, strategies()) for name in REPLAYED}


@tracking(REPLAY_FIGURES)
class Replayed(Figures):
    """The experiments that replay requests, beginning at the same state."""

    params = (strategies(), REPLAYED)
    param_names = ("strategy", "experiment")

    def setup_cache(self) -> dict[str, Any]:
        return found_by_replays()


class Polluted(Figures):
    """Pages placed in pageblocks of another type: asked for <- taken from."""

    params = (strategies(), REPLAYED, PAIRS)
    param_names = ("strategy", "experiment", "pair")
    unit, version = "pages", "1"

    def setup_cache(self) -> dict[str, Any]:
        return found_by_replays()

    def track_pages(self, found: Any, strategy: str, name: str, pair: str) -> float:
        return float(self.table(found, strategy, name)[figures.polluted(pair)])


class OfOne(Figures):
    """Figures of a single experiment."""

    params = (strategies(),)

    def table(self, found: Any, *params: str) -> dict[str, float]:
        values: dict[str, float] = found.get(params[0], {})
        return values


@tracking(WINDOW_FIGURES)
class Predicted(OfOne):
    """A window of the built-in recording, followed page by page."""

    def setup_cache(self) -> dict[str, Any]:
        return figures.predicted(strategies()) if HAVE_EXPERIMENTS else {}


@tracking(BOARD_FIGURES)
class Board(OfOne):
    """Published: the worst refill while dd writes, on a small board; ten seeds."""

    def setup_cache(self) -> dict[str, Any]:
        if not HAVE_EXPERIMENTS:
            return {}
        return figures.simulated(figures.BOARD, strategies(), BOARD_FIGURES)


@tracking(SERVER_FIGURES)
class Server(OfOne):
    """Published: throughput under contention, one node of a server, the whole run."""

    def setup_cache(self) -> dict[str, Any]:
        if not HAVE_EXPERIMENTS:
            return {}
        name = figures.SERVER_QUICK if QUICK else figures.SERVER
        return figures.simulated(name, strategies(), SERVER_FIGURES)
