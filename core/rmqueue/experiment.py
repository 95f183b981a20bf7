"""Experiment = start x strategies x seeds; its result is a `Comparison`.

Everything that can be wrong is found before the first operation: names, parameters,
cost tables, impossible pairs of strategy and kernel.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rmqueue.config import ZoneConfig
from rmqueue.cost import Costs, costs_of, merged_holds
from rmqueue.errors import ConfigError, UnknownNameError, UsageError
from rmqueue.experiment_file import (
    MOST_SEED,
    ExperimentConfig,
    StrategyEntry,
    Variation,
    load_experiment,
)
from rmqueue.experiment_source import another_recording, experiment_path
from rmqueue.outcomes import largest, total
from rmqueue.registry import Registry, default_registry
from rmqueue.request import whole
from rmqueue.results import Comparison, Row
from rmqueue.runs import (
    Measured,
    Progress,
    Run,
    check_names,
    chosen,
    completed,
    extended,
    first_alike,
    in_threads,
    on_kernel,
    workload_params,
)
from rmqueue.samples import Sampler
from rmqueue.start import (
    Job,
    RecordingStart,
    Start,
    WorkloadStart,
    read_recording,
)
from rmqueue.step_start import StepStart
from rmqueue.types import StepWorkload
from rmqueue.validation import validated

#: The distribution whose strategies need no check after a run.
OURS = "rmqueue"
#: Versions of distributions; looking one up parses all that it says of itself.
version_of = cache(version)


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
        try:
            self._look_up()
        except UnknownNameError as error:
            names = (error.kind, error.name, error.known)
            raise UnknownNameError(*names, where=self.source) from None

    def _look_up(self) -> None:
        """Find everything that is named, and check that it fits together."""
        config = self.config
        self.strategies = tuple(
            completed(config, index, self.source, self.registry)
            for index in range(len(config.strategies))
        )
        self.costs = {entry.heading: self._costs(entry) for entry in self.strategies}
        self.start = self._start()
        self._check_orders()
        self.start.check(self.seeds[0])

    @classmethod
    def load(
        cls,
        name_or_path: str | Path,
        *,
        strategies: tuple[str, ...] = (),
        seed: int | None = None,
        quick: bool = False,
        full: bool = False,
        kernel: str | None = None,
        recording: Path | None = None,
        registry: Registry | None = None,
        further: tuple[str, ...] = (),
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
        full : bool
            Use the seeds that the experiment names for the full run.
        kernel : str or None
            Run all strategies on this kernel profile.
        recording : Path or None
            Replay this recording instead of the experiment's own.
        registry : Registry or None
            Where names are looked up.
        further : tuple of str
            Names of strategies to compare too, if the experiment's own are.

        Raises
        ------
        ConfigError
            The file is wrong; the message names it and the field.
        UsageError
            There is no such experiment, strategy, kernel or seed.
        """
        if seed is not None and not 0 <= whole("seed", seed) <= MOST_SEED:
            raise UsageError(
                f"seed: a number from 0 to {MOST_SEED} is needed, found {seed}"
            )
        registry = registry or default_registry()
        path = experiment_path(name_or_path, registry)
        config = load_experiment(path, str(name_or_path))
        changes: dict[str, Any] = {} if seed is None else {"seeds": (seed,)}
        if full and seed is None and config.full_seeds:
            changes["seeds"] = config.full_seeds
        if strategies:
            changes["strategies"] = chosen(config.strategies, strategies)
            check_names(changes["strategies"], config.strategies, registry)
        elif further:
            changes["strategies"] = extended(config.strategies, further)
        if kernel is not None:
            entries = changes.get("strategies", config.strategies)
            changes["strategies"] = on_kernel(entries, kernel, registry)
        if recording is not None:
            changes |= another_recording(config, recording)
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

    def rows(
        self,
        on_run: Callable[[Run], None] | None = None,
        on_progress: Progress = lambda run, share: None,
    ) -> Iterator[Row]:
        """Run everything; each row comes as soon as it and those before it are there.

        Runs that take long share the CPUs of this machine: threads of one process.

        Parameters
        ----------
        on_run : callable or None
            Called with each `Run` before it starts.
        on_progress : callable
            Called with a `Run` and the share of it that is done, now and then.
        """

        def one(run: Run) -> Row:
            if on_run:
                on_run(run)
            return self.measured(run, on_progress).row

        runs = self.runs()
        firsts = first_alike(runs)
        unique = list(dict.fromkeys(firsts))
        workers = min(os.cpu_count() or 1, len(unique)) if self.start.parallel else 1
        found: dict[Run, Row] = {}
        with closing(in_threads(one, unique, workers)) as fresh:
            for run, first in zip(runs, firsts, strict=True):
                if first not in found:
                    found[first] = next(fresh)
                yield replace(found[first], label=run.label)

    def compare(self) -> Comparison:
        """Run everything."""
        return self.comparison(tuple(self.rows()))

    def varied(self, variation: Variation) -> Experiment:
        """Return this experiment with something changed (`--sensitivity`)."""
        wanted = self.config.sensitivity
        if wanted is None or self.config.workload is None:
            raise UsageError(
                f"{self.source}: has no [sensitivity] table for a workload"
            )
        workload = self.config.workload
        params = {**workload.params, **wanted.params, **variation.params}
        zone = {**self._zone().model_dump(exclude_unset=True), **variation.zone}
        changes: dict[str, Any] = {
            "workload": workload.model_copy(update={"params": params}),
            "zone": validated(ZoneConfig, zone, self.source, "sensitivity.zone"),
            "weights_ps": {**self.config.weights_ps, **variation.weights_ps},
            "seeds": variation.seeds or wanted.seeds or self.config.seeds,
        }
        if wanted.strategies:
            entries = chosen(self.config.strategies, wanted.strategies)
            changes["strategies"] = entries
        config = self.config.model_copy(update=changes)
        return Experiment(config, self.base, self.source, self.registry)

    def comparison(self, rows: tuple[Row, ...]) -> Comparison:
        """Put rows together with what made them."""
        return Comparison(
            experiment=self.config.name,
            description=self.config.description,
            source=self.start.describe(),
            machine=" and ".join(dict.fromkeys(row.machine for row in rows)),
            index_zone=largest(rows[0].zones).zone if rows else "",
            unusable_orders=self.config.unusable_orders,
            rows=rows,
            recorded=None if self.quick else self.start.recorded(),
            provenance=self.provenance(*dict.fromkeys(row.seed for row in rows)),
            notes=(
                *self.config.notes,
                *([self.start.quick_note()] if self.quick else []),
                *self.start.notes(),
            ),
            published=self.config.published,
        )

    def _costs(self, entry: StrategyEntry) -> Costs:
        """Costs of an entry: those of its machine, and the experiment's before them."""
        name = entry.machine or self.config.machine
        machine = self.registry.machine(name) if name else None
        try:
            return costs_of(machine, entry.name, self.config.weights_ps)
        except ConfigError as error:
            raise ConfigError(f"{self.source}: {error}") from None

    def _machine_of(self, entry: StrategyEntry) -> str:
        own = "own costs" if self.config.weights_ps else ""
        return ", ".join(filter(None, (entry.machine or self.config.machine, own)))

    def _start(self) -> Start:
        if self.config.recording is not None:
            path = self.base / self.config.recording
            if not path.exists():
                raise ConfigError(f"{self.source}: recording: there is no {path}")
            return RecordingStart(read_recording(self.registry.reader_for(path), path))
        chosen_workload = self.config.workload
        if chosen_workload is None:  # the model's validators see to it
            raise ConfigError(f"{self.source}: give a recording, or zone and workload")
        workload = self.registry.workload(chosen_workload.name)
        params = workload_params(workload, chosen_workload, self.source)
        zone = self._zone()
        if isinstance(workload, StepWorkload):
            machine = self.config.machine
            nodes = self.registry.machine(machine).nodes if machine else 1
            return StepStart(zone, workload, params, nodes, self.source)
        return WorkloadStart(zone, workload, params, self.source)

    def _zone(self) -> ZoneConfig:
        """Return the zone of the experiment, or that of its machine."""
        if self.config.zone is not None:
            return self.config.zone
        name = self.config.machine
        fields = self.registry.machine(name).zone if name else {}
        if not fields:
            raise ConfigError(
                f"{self.source}: zone: is missing: add a [zone] table, or name a "
                "machine that has one"
            )
        return validated(ZoneConfig, dict(fields), f"machine {name!r}", "zone")

    def _check_orders(self) -> None:
        """Refuse orders of indices that no zone has."""
        highest = self.start.max_page_order
        for order in self.config.unusable_orders:
            if order > highest:
                raise ConfigError(
                    f"{self.source}: unusable_orders: {order} exceeds the largest "
                    f"order of the zone, {highest}"
                )

    def measured(
        self,
        run: Run,
        on_progress: Progress = lambda run, share: None,
        sampler: Sampler | None = None,
    ) -> Measured:
        """Do one run; see `rows` and `rmqueue.samples.Sampler`."""
        sampler = sampler or Sampler(0)
        job = Job(
            strategy=run.strategy,
            kernel=run.kernel,
            seed=run.seed,
            costs=self.costs[run.label],
            orders=self.config.unusable_orders,
            quick=self.quick,
            on_progress=lambda share: on_progress(run, share),
            sampler=sampler,
            check=self._is_foreign(run.strategy.name),
        )
        parts = self.start.outcomes(job)
        zones = tuple(outcome for outcome, _ in parts)
        holds = merged_holds(holds for _, holds in parts)
        row = Row(
            label=run.label,
            strategy=run.strategy.name,
            params=run.strategy.params,
            kernel=run.kernel,
            seed=run.seed,
            machine=self._machine_of(run.strategy),
            total=total(zones, holds),
            zones=zones,
        )
        return Measured(row, holds, tuple(sampler.samples))

    def _is_foreign(self, strategy: str) -> bool:
        """Whether a strategy does not come with rmqueue: its zones are checked.

        Those that do are tested, and compiling the check takes a third of a cold start.
        """
        return self.registry.find("strategy", strategy).provenance.distribution != OURS

    def provenance(self, *seeds: int | None) -> dict[str, Any]:
        """Say what makes the results of these seeds: versions, plugins, input."""
        kinds = [("strategy", entry.name) for entry in self.strategies]
        machines = {entry.machine or self.config.machine for entry in self.strategies}
        kinds += [("machine", name) for name in sorted(filter(None, machines))]
        if self.config.workload:
            kinds.append(("workload", self.config.workload.name))
        return {
            "rmqueue": version_of("rmqueue"),
            "python": platform.python_version(),
            "numpy": version_of("numpy"),
            "numba": version_of("numba"),
            "plugins": {
                f"{kind} {name}": str(self.registry.find(kind, name).provenance)
                for kind, name in kinds
            },
            "kernels": {entry.heading: entry.kernel for entry in self.strategies},
            "quick": self.quick,
            "costs_ps": {
                heading: dict(costs.weights_ps) for heading, costs in self.costs.items()
            },
            "config": self.config.model_dump(mode="json"),
            "input_sha256": {
                "recording" if seed is None else f"seed {seed}": self.start.digest(seed)
                for seed in seeds
            },
        }
