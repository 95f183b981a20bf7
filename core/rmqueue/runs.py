"""The cells of an experiment: which strategy runs on which kernel, with which seed."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

from pydantic import BaseModel

from rmqueue.binding import check_pair, check_parameters
from rmqueue.errors import UnknownNameError, UsageError
from rmqueue.experiment_file import ExperimentConfig, StrategyEntry, WorkloadConfig
from rmqueue.measures import HoldStats
from rmqueue.mm.jit import ENABLED
from rmqueue.mm.profile import PROFILES
from rmqueue.registry import Registry
from rmqueue.results import Row
from rmqueue.samples import Sample
from rmqueue.types import StepWorkload, Strategy, Workload
from rmqueue.validation import check_defaults, validated

#: Told which run has done what share of its work.
Progress: TypeAlias = "Callable[[Run, float], None]"


@dataclass(frozen=True, eq=False)
class Run:
    """One cell of an experiment: a strategy, ready to run, and a seed."""

    label: str
    strategy: StrategyEntry
    kernel: str
    seed: int | None


@dataclass(frozen=True, eq=False)
class Measured:
    """What came of one run: the row of a table, all its holds, and how it went.

    Attributes
    ----------
    row : Row
        What tables show.
    holds : HoldStats
        Lock holds of all zones together.
    samples : tuple of Sample
        What a `Sampler` saw.
    """

    row: Row
    holds: HoldStats
    samples: tuple[Sample, ...]


def completed(
    config: ExperimentConfig, index: int, source: str, registry: Registry
) -> StrategyEntry:
    """Complete parameters and kernel of a strategy, and refuse impossible ones.

    Raises
    ------
    UsageError
        It does not exist, has no such parameters, or cannot run on its kernel.
    """
    entry, where = config.strategies[index], f"strategies[{index}]."
    from_words = entry.heading.startswith(f"{entry.name}:")  # see `changed`
    if from_words:
        source, where = f"--strategies {entry.heading}", ""
    strategy = registry.strategy(entry.name)
    check_parameters(strategy)
    params = validated(
        strategy.parameters,
        entry.params,
        source,
        f"{where}params",
        from_words=from_words,
    )
    kernel = entry.kernel or config.fixed_kernel or native_kernel(strategy)
    try:
        check_pair(strategy, kernel)
    except UsageError as error:
        raise UsageError(f"{source}: {where}kernel: {error}") from None
    update = {"params": params.model_dump(), "kernel": kernel}
    return entry.model_copy(update=update)


def workload_params(
    workload: Workload | StepWorkload, wanted: WorkloadConfig, source: str
) -> BaseModel:
    """Check the parameters of a workload."""
    check_defaults(workload.parameters, f"workload {workload.name!r}")
    return validated(workload.parameters, wanted.params, source, "workload.params")


def first_alike(runs: tuple[Run, ...]) -> list[Run]:
    """For each run the first that does the same under another heading, or itself."""
    seen: dict[str, Run] = {}
    alike = []
    for run in runs:
        entry = run.strategy.model_copy(update={"label": None})
        key = f"{entry.model_dump_json()} {run.kernel} {run.seed}"
        alike.append(seen.setdefault(key, run))
    return alike


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

    ``NAME:param=value`` changes parameters of an entry, and is its label.

    Raises
    ------
    UsageError
        A name is given twice, or what follows a colon is no parameter.
    """
    if len(set(names)) < len(names):
        raise UsageError(f"a strategy is named twice: {', '.join(names)}")
    found: list[StrategyEntry] = []
    for name in names:
        known = [e for e in entries if e.heading == name]
        known = known or [e for e in entries if e.name == name]
        found += known or changed(entries, name)
    return tuple(found)


def changed(entries: tuple[StrategyEntry, ...], text: str) -> list[StrategyEntry]:
    """Entries of ``NAME:param=value:...``, or the one of a name alone.

    Examples
    --------
    >>> [entry] = changed((), "fine:depth=3:share=0.5")
    >>> entry.name, entry.heading, entry.params
    ('fine', 'fine:depth=3:share=0.5', {'depth': '3', 'share': '0.5'})
    """
    name, *settings = text.split(":")
    if not settings:
        return [StrategyEntry(name=name)]
    params = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not (name and key and equals and value) or key in params:
            raise UsageError(
                f"--strategies: {text!r} is not NAME:param=value, nor "
                "NAME:param=value:param=value, with each parameter once"
            )
        params[key] = value
    base = chosen(entries, (name,))
    if len(base) > 1:
        raise UsageError(f"--strategies: {text!r}: several are called {name!r}")
    merged = {**base[0].params, **params}
    return [base[0].model_copy(update={"params": merged, "label": text})]


def check_names(
    entries: tuple[StrategyEntry, ...],
    own: tuple[StrategyEntry, ...],
    registry: Registry,
) -> None:
    """Refuse strategies that do not exist, of those that are not an experiment's own.

    Raises
    ------
    UnknownNameError
        One does not.
    """
    for entry in entries:
        if entry not in own:
            try:
                registry.strategy(entry.name)
            except UnknownNameError as error:
                names = (error.kind, error.name, error.known)
                raise UnknownNameError(*names, where="--strategies") from None


def on_kernel(
    entries: tuple[StrategyEntry, ...], kernel: str, registry: Registry
) -> tuple[StrategyEntry, ...]:
    """Entries on one kernel profile, whatever they say themselves.

    Raises
    ------
    UsageError
        There is no such profile, or a strategy cannot run on it.
    """
    if kernel not in PROFILES:
        raise UnknownNameError("kernel", kernel, PROFILES)
    for entry in entries:
        try:
            check_pair(registry.strategy(entry.name), kernel)
        except UsageError as error:
            raise UsageError(f"--kernel {kernel}: {error}, or leave it out") from None
    return tuple(entry.model_copy(update={"kernel": kernel}) for entry in entries)


def extended(
    entries: tuple[StrategyEntry, ...], names: tuple[str, ...]
) -> tuple[StrategyEntry, ...]:
    """Entries, and those of further names that are not among them."""
    known = {word for entry in entries for word in (entry.heading, entry.name)}
    fresh = [name for name in names if name not in known]
    return (*entries, *(StrategyEntry(name=name) for name in fresh))


def in_threads(
    one: Callable[[Run], Row], runs: list[Run], workers: int
) -> Generator[Row, None, None]:
    """Rows in order; done in threads, so that the main one hears of Ctrl-C at once.

    Without the JIT in the main thread, where a debugger is.  Whoever leaves early does
    not wait for what has begun: compiled code cannot be interrupted.
    """
    if not ENABLED:
        yield from map(one, runs)
        return
    pool = ThreadPoolExecutor(workers)
    try:
        yield from pool.map(one, runs)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
