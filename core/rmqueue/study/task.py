"""One run of a study, as something that any process can be handed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rmqueue.experiment import Experiment
from rmqueue.experiment_file import ExperimentConfig, StrategyEntry
from rmqueue.mm.strategy import code_digest
from rmqueue.registry import default_registry
from rmqueue.runs import Run, completed, workload_params
from rmqueue.study.design import Point, concerns, is_number
from rmqueue.study.file import Keep, Variant

#: Bytes of a page (ten of the zone, twelve of a machine's queues), of an operation of a
#: stream, and of all the rest.
PAGE_BYTES, OPERATION_BYTES, BASE_BYTES = 22, 40, 8 << 20
#: What does not change a run: words, and runs beside it.
NOT_OF_A_RUN = {
    *("name", "description", "notes", "published", "report", "sensitivity"),
    *("strategies", "seeds", "full_seeds"),
}
#: Experiments that a process keeps ready: recordings take long to read.
KEPT_EXPERIMENTS = 4


@dataclass(frozen=True)
class Task:
    """A run that any process can do.

    Attributes
    ----------
    key : str
        Names it: equal keys, equal results.
    experiment : str
        Name of the experiment.
    config : str
        The experiment, as JSON.
    base, source : str
        Folder of its recording, and what messages call it.
    label : str
        Heading of the strategy.
    seed : int or None
        Seed; None: there is none to vary.
    point : str
        What the study varies of this run, as JSON, by dotted field.
    varied : str
        All that the study varies, as JSON, and whether as number or text.
    keep : Keep
        What is kept of it.
    quick : bool
        Do only a part of it.
    need_bytes : int
        Memory that it takes [bytes].
    """

    key: str
    experiment: str
    config: str
    base: str
    source: str
    label: str
    seed: int | None
    point: str
    varied: str
    keep: Keep
    quick: bool
    need_bytes: int

    @property
    def words(self) -> str:
        """What messages call it."""
        values = "".join(f", {k} = {v}" for k, v in json.loads(self.point).items())
        seed = "" if self.seed is None else f", seed {self.seed}"
        return f"{self.experiment}: {self.label}{values}{seed}"


def tasks_of(variants: Iterator[Variant], quick: bool = False) -> list[Task]:
    """Every run of a study, each once.

    A strategy that nothing of a point concerns has one run for all such points.

    Raises
    ------
    RmqueueError
        A strategy, workload or machine is not there.
    """
    found: dict[str, Task] = {}
    varied: dict[str, str] = {}
    for variant in variants:
        check_names(variant.config, variant.source)
        for path, value in variant.point.items():
            if varied.setdefault(path, "number") == "number" and not is_number(value):
                varied[path] = "text"
        for task in tasks_at(variant, quick):
            found.setdefault(task.key, task)
    words = json.dumps(varied)
    return [replace(task, varied=words) for task in found.values()]


def tasks_at(variant: Variant, quick: bool) -> Iterator[Task]:
    """Yield every run at one point: strategies, and seeds of each."""
    config = variant.config
    seeds: tuple[int | None, ...] = config.seeds
    if config.recording is not None:
        seeds = (None,)
    common = {**identity_of(variant), "quick": quick}
    values, need = json.dumps(variant.values), need_bytes(config)
    for index, entry in enumerate(config.strategies):
        whole = completed(config, index, variant.source, default_registry())
        point = {k: v for k, v in variant.point.items() if concerns(k, entry.heading)}
        own = {
            "strategy": whole.model_dump(mode="json"),
            "code": code_of(config, entry),
        }
        identity = hashlib.sha256(
            json.dumps({**common, **own}, sort_keys=True).encode()
        )
        for seed in seeds[:1] if quick else seeds:
            key = identity.copy()
            key.update(f"seed {seed}".encode())
            yield Task(
                key=key.hexdigest()[:20],
                experiment=config.name,
                config=values,
                base=str(variant.base),
                source=variant.source,
                label=entry.heading,
                seed=seed,
                point=json.dumps(point),
                varied="{}",
                keep=variant.keep,
                quick=quick,
                need_bytes=need,
            )


def identity_of(variant: Variant) -> dict[str, Any]:
    """Return what changes the runs of all strategies at a point."""
    config = variant.config
    return {
        "experiment": config.name,
        "config": config.model_dump(mode="json", exclude=NOT_OF_A_RUN),
        "base": "" if config.recording is None else files_digest(variant.base, config),
        "keep": variant.keep.model_dump(),
        "costs": machine_costs(config),
        "workload": workload_defaults(config, variant.source),
        "rmqueue": version("rmqueue"),
    }


def check_names(config: ExperimentConfig, source: str) -> None:
    """Refuse names and parameters that are not there, before anything runs."""
    registry = default_registry()
    for index in range(len(config.strategies)):
        completed(config, index, source, registry)
    workload_defaults(config, source)


def workload_defaults(config: ExperimentConfig, source: str) -> str:
    """Parameters of the workload as JSON, with those that the file leaves out."""
    if config.workload is None:
        return ""
    workload = default_registry().workload(config.workload.name)
    return workload_params(workload, config.workload, source).model_dump_json()


def machine_costs(config: ExperimentConfig) -> str:
    """Say what the machines of an experiment are and cost: a plugin may be edited."""
    names = {config.machine, *(entry.machine for entry in config.strategies)}
    machines = [
        default_registry().machine(name) for name in sorted(filter(None, names))
    ]
    return repr(machines)


def code_of(config: ExperimentConfig, entry: StrategyEntry) -> str:
    """Digest of the code that a run goes through: it changes with an edit."""
    registry = default_registry()
    records: list[Any] = [registry.strategy(entry.name)]
    if config.workload is not None:
        records.append(registry.workload(config.workload.name))
    return _digest_of(*(f for record in records for f in functions_of(record)))


_digest_of = cache(code_digest)


def functions_of(record: Any) -> Iterator[Callable[..., Any]]:
    """Yield the functions of a plugin's record, but not the model of its parameters."""
    for field in fields(record):
        value = getattr(record, field.name)
        if callable(value) and not isinstance(value, type):
            yield value


def files_digest(base: Path, config: ExperimentConfig) -> str:
    """Digest of the files of a recording."""
    return _files_digest(base / str(config.recording))


@cache
def _files_digest(path: Path) -> str:
    digest = hashlib.sha256()
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    for file in files:
        if file.is_file():
            digest.update(file.name.encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def need_bytes(config: ExperimentConfig) -> int:
    """Memory that a run takes, from above [bytes].

    Of a recording the zones are not known yet: a gigabyte of pages is assumed.
    """
    machine = default_registry().machine(config.machine) if config.machine else None
    zone = dict(machine.zone) if machine else {}
    pages = config.zone.pages if config.zone else int(zone.get("pages", 1 << 18))
    operations = 0
    if config.workload is not None:
        operations = int(config.workload.params.get("operations", 1 << 20))
    return BASE_BYTES + PAGE_BYTES * pages + OPERATION_BYTES * operations


@lru_cache(KEPT_EXPERIMENTS)
def experiment_of(config: str, base: str, source: str, quick: bool) -> Experiment:
    """Make an experiment of its JSON; the last ones are kept, with their streams."""
    checked = ExperimentConfig.model_validate(json.loads(config))
    return Experiment(checked, Path(base), source, quick=quick)


@lru_cache(KEPT_EXPERIMENTS)
def runs_by_name(experiment: Experiment) -> dict[tuple[str, int | None], Run]:
    """Return the runs of an experiment by heading and seed."""
    return {(run.label, run.seed): run for run in experiment.runs()}


def run_of(task: Task) -> tuple[Experiment, Run]:
    """Return the experiment of a task, and its run in it."""
    experiment = experiment_of(task.config, task.base, task.source, task.quick)
    return experiment, runs_by_name(experiment)[task.label, task.seed]


def point_of(task: Task) -> Point:
    """Return what the study varies of a run."""
    found: Point = json.loads(task.point)
    return found
