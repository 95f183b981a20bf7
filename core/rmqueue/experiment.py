"""Experiment = start x strategies x seeds; its result is a `Comparison`.

Everything that can be wrong is found before the first operation: names, parameters,
cost tables, impossible pairs of strategy and kernel.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rmqueue.binding import check_pair
from rmqueue.cost import cost_table, merged_holds
from rmqueue.errors import ConfigError, RmqueueError, TraceError, UsageError
from rmqueue.experiment_file import ExperimentConfig, StrategyEntry, load_experiment
from rmqueue.measures import HoldStats
from rmqueue.mm.profile import PROFILES
from rmqueue.outcomes import largest, outcome_of, total
from rmqueue.registry import Registry, default_registry
from rmqueue.results import Comparison, Outcome, Row
from rmqueue.start import RecordingStart, Start, WorkloadStart, ZoneStart
from rmqueue.types import Recording, Strategy, TraceReader
from rmqueue.validation import validated

#: A quick comparison replays one part in so many.
QUICK_PART = 4
QUICK_NOTE = "quick: only the first quarter of the operations, and one seed"


@dataclass(frozen=True)
class Run:
    """One cell of an experiment: a strategy, ready to run, and a seed."""

    label: str
    strategy: StrategyEntry
    kernel: str
    seed: int | None


class Experiment:
    """An experiment, checked and ready to run.

    Parameters
    ----------
    config : ExperimentConfig
        What to do.
    base : pathlib.Path
        Folder that a recording is relative to.
    source : str
        What messages call the configuration.
    registry : Registry or None
        Where names are looked up; None: what is installed.
    quick : bool
        Replay only the first quarter of the operations, with the first seed.

    Raises
    ------
    RmqueueError
        Something that it names does not exist or does not fit together.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        base: Path = Path(),
        source: str = "experiment",
        registry: Registry | None = None,
        quick: bool = False,
    ) -> None:
        self.config, self.base, self.source = config, base, source
        self.quick = quick
        self.registry = registry or default_registry()
        self.costs = self._costs()
        self.strategies = tuple(
            self._checked(index, entry) for index, entry in enumerate(config.strategies)
        )
        self.start = self._start()
        self._check_orders()
        self.start.zones(self.seeds[0])  # what a workload objects to shows here

    @classmethod
    def load(
        cls,
        name_or_path: str,
        *,
        strategies: tuple[str, ...] = (),
        seed: int | None = None,
        quick: bool = False,
        registry: Registry | None = None,
    ) -> Experiment:
        """Load a built-in experiment by name, or an experiment file by path.

        Parameters
        ----------
        name_or_path : str
            Whatever ends in ``.toml`` or holds a slash is a path.
        strategies : tuple of str
            Names or labels to compare instead of the experiment's own.
        seed : int or None
            The only seed to use.
        quick : bool
            Replay only the first quarter of the operations, with the first seed.
        registry : Registry or None
            Where names are looked up.
        """
        path = Path(name_or_path)
        registry = registry or default_registry()
        if path.suffix != ".toml" and "/" not in name_or_path:
            path = registry.experiment(name_or_path).path
        config = load_experiment(path)
        changes: dict[str, Any] = {} if seed is None else {"seeds": (seed,)}
        if strategies:
            changes["strategies"] = chosen(config.strategies, strategies)
        config = config.model_copy(update=changes)
        return cls(config, path.parent, str(path), registry, quick)

    @property
    def seeds(self) -> tuple[int | None, ...]:
        """Seeds to run; a recording has none to vary."""
        if not self.start.seeded:
            return (None,)
        return self.config.seeds[:1] if self.quick else self.config.seeds

    def runs(self) -> tuple[Run, ...]:
        """Return everything that will be run, in order."""
        return tuple(
            Run(entry.heading, entry, str(entry.kernel), seed)
            for entry in self.strategies
            for seed in self.seeds
        )

    def rows(self, on_run: Callable[[Run], None] | None = None) -> Iterator[Row]:
        """Run everything; each row comes as soon as it is there.

        Parameters
        ----------
        on_run : callable or None
            Called with each `Run` before it starts.
        """
        for run in self.runs():
            if on_run:
                on_run(run)
            yield self._row(run)

    def compare(self) -> Comparison:
        """Run everything."""
        return self.comparison(tuple(self.rows()))

    def comparison(self, rows: tuple[Row, ...]) -> Comparison:
        """Put rows together with what made them."""
        return Comparison(
            experiment=self.config.name,
            description=self.config.description,
            source=self.start.describe(),
            machine=self._machine_words(),
            index_zone=largest(rows[0].zones).zone if rows else "",
            unusable_orders=self.config.unusable_orders,
            rows=rows,
            recorded=None if self.quick else self.start.recorded(),
            provenance=self._provenance(),
            notes=(*([QUICK_NOTE] if self.quick else []), *self.start.notes()),
        )

    def _costs(self) -> dict[str, int]:
        name = self.config.machine
        weights = self.registry.machine(name).weights_ps if name else {}
        try:
            return cost_table(weights, self.config.weights_ps)
        except ConfigError as error:
            raise ConfigError(f"{self.source}: {error}") from None

    def _machine_words(self) -> str:
        own = "own costs" if self.config.weights_ps else ""
        return ", ".join(filter(None, (self.config.machine, own)))

    def _checked(self, index: int, entry: StrategyEntry) -> StrategyEntry:
        """Complete a strategy's parameters and kernel, and refuse impossible ones."""
        strategy = self.registry.strategy(entry.name)
        where = f"strategies[{index}]"
        params = validated(
            strategy.parameters, entry.params, self.source, f"{where}.params"
        )
        kernel = entry.kernel or self.config.fixed_kernel or native_kernel(strategy)
        try:
            check_pair(strategy, kernel)
        except UsageError as error:
            raise UsageError(f"{self.source}: {where}.kernel: {error}") from None
        update = {"params": params.model_dump(), "kernel": kernel}
        return entry.model_copy(update=update)

    def _start(self) -> Start:
        if self.config.recording is not None:
            path = self.base / self.config.recording
            if not path.exists():
                raise ConfigError(f"{self.source}: recording: there is no {path}")
            return RecordingStart(read_recording(self.registry.reader_for(path), path))
        zone, chosen_workload = self.config.zone, self.config.workload
        if zone is None or chosen_workload is None:  # the model's validators see to it
            raise ConfigError(f"{self.source}: give a recording, or zone and workload")
        workload = self.registry.workload(chosen_workload.name)
        params = validated(
            workload.parameters, chosen_workload.params, self.source, "workload.params"
        )
        return WorkloadStart(zone, workload, params, self.source)

    def _check_orders(self) -> None:
        """Refuse orders of indices that no zone has."""
        highest = self.start.max_page_order
        for order in self.config.unusable_orders:
            if order > highest:
                raise ConfigError(
                    f"{self.source}: unusable_orders: {order} exceeds the largest "
                    f"order of the zone, {highest}"
                )

    def _row(self, run: Run) -> Row:
        parts = [self._run_zone(run, start) for start in self.start.zones(run.seed)]
        zones = tuple(outcome for outcome, _ in parts)
        return Row(
            label=run.label,
            strategy=run.strategy.name,
            params=run.strategy.params,
            kernel=run.kernel,
            seed=run.seed,
            total=total(zones, merged_holds(holds for _, holds in parts)),
            zones=zones,
        )

    def _run_zone(self, run: Run, start: ZoneStart) -> tuple[Outcome, HoldStats]:
        zone = start.open(run.strategy, run.kernel)
        zone.set_weights(self.costs)
        last = len(start.ops) // QUICK_PART if self.quick else len(start.ops)
        result = zone.replay(start.ops[:last], record=False)
        orders = self.config.unusable_orders
        return outcome_of(start, zone, result, orders), result.holds

    def _provenance(self) -> dict[str, Any]:
        kinds = [("strategy", entry.name) for entry in self.strategies]
        if self.config.machine:
            kinds.append(("machine", self.config.machine))
        if self.config.workload:
            kinds.append(("workload", self.config.workload.name))
        return {
            "rmqueue": version("rmqueue"),
            "python": platform.python_version(),
            "numpy": version("numpy"),
            "numba": version("numba"),
            "plugins": {
                f"{kind} {name}": str(self.registry.find(kind, name).provenance)
                for kind, name in kinds
            },
            "kernels": {entry.heading: entry.kernel for entry in self.strategies},
            "quick": self.quick,
            "costs_ps": self.costs,
            "config": self.config.model_dump(mode="json"),
            "input_sha256": {
                "recording" if seed is None else f"seed {seed}": self.start.digest(seed)
                for seed in self.seeds
            },
        }


def read_recording(reader: TraceReader, path: Path) -> Recording:
    """Read a recording; a reader that fails in a way of its own is named.

    Raises
    ------
    TraceError
        The recording cannot be read, or holds no zone.
    """
    try:
        recording = reader.read(path)
    except (RmqueueError, OSError, MemoryError):
        raise
    except Exception as error:
        raise TraceError(
            f"{path}: reader {reader.name!r} failed: {type(error).__name__}: {error}"
        ) from error
    if not recording.zones:
        raise TraceError(f"{path}: no zone of this recording was asked for anything")
    return recording


def native_kernel(strategy: Strategy) -> str:
    """Kernel profile of the versions that a strategy comes from.

    Its own; else, if it needs lists that hold blocks of another type, the newest
    profile that allows them; else the newest.
    """
    if strategy.kernel:
        return strategy.kernel  # the loader has checked that it exists
    fitting = [
        name
        for name, profile in PROFILES.items()
        if profile.mixed_lists or not strategy.mixed_lists
    ]
    return fitting[-1]


def chosen(
    entries: tuple[StrategyEntry, ...], names: tuple[str, ...]
) -> tuple[StrategyEntry, ...]:
    """Entries of these labels or names; a name that is not there comes with defaults.

    Raises
    ------
    UsageError
        A name is given twice.
    """
    if len(set(names)) < len(names):
        raise UsageError(f"a strategy is named twice: {', '.join(names)}")
    found: list[StrategyEntry] = []
    for name in names:
        known = [e for e in entries if e.heading == name]
        known = known or [e for e in entries if e.name == name]
        found += known or [StrategyEntry(name=name)]
    return tuple(found)
