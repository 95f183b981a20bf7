"""What a workload of steps keeps to: `STEP_CHECKS`.

Its functions are looked at, then some steps are taken in Python under supervision
(`rmqueue.testing.step_watch`), and only what passed that runs compiled: compiled steps
that give back a wrong page write anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

import numpy as np

from rmqueue.config import ZoneConfig
from rmqueue.cost import Costs
from rmqueue.diagnosis import STEP_PARAMETERS, mistakes
from rmqueue.errors import ConfigError, InvariantError, SimulationError
from rmqueue.mm.jit import ENABLED, python_function
from rmqueue.mm.vmstat import COUNTERS
from rmqueue.simulation import Simulation
from rmqueue.testing.checklist import (
    Check,
    CheckError,
    NotCheckedError,
    Subject,
    require,
)
from rmqueue.testing.step_watch import NoPageLeftError, Watch
from rmqueue.types import ENDLESS_PS, StepWorkload, Strategy

#: Zone that steps are tried on: with the first of these numbers of CPUs that will do.
PAGES, CPUS = 16_384, (2, 4, 16, 64)
SEEDS = (1, 2)
#: What the zone falls back on.
STRATEGY = "remembered-fallback"
#: Every unit of work costs a nanosecond.
COSTS = Costs(dict.fromkeys(COUNTERS, 1000))
#: Steps in Python; compiled ones, one by one; parts of all that follow them.
FEW_STEPS, SINGLE_STEPS, PARTS = (300, 2000, 20) if ENABLED else (40, 3, 3)
MANY_STEPS = 50_000 if ENABLED else 500
TOO_SMALL = (
    f"it finds no page left in a zone of {PAGES >> 8} MiB: its steps can only be "
    "checked in an experiment of yours"
)


@lru_cache(maxsize=4)
def zone_for(record: StepWorkload) -> ZoneConfig:
    """Find the first zone that a workload accepts."""
    refused: ConfigError | None = None
    for cpus in CPUS:
        zone = ZoneConfig(pages=PAGES, cpus=cpus)
        try:
            record.numbers(record.parameters(), zone)
        except ConfigError as error:
            refused = error
            continue
        return zone
    raise CheckError(
        f"{place(record.numbers)}: numbers() refuses zones of {PAGES} pages with "
        f"{', '.join(map(str, CPUS))} CPUs: {refused}"
    )


def place(function: Any) -> str:
    """File and line of a function."""
    code = python_function(function).__code__
    return f"{code.co_filename}, line {code.co_firstlineno}"


def numbers_are_whole(subject: Subject) -> str:
    """Work out what its functions say of a run: whole numbers that go together."""
    record, zone = subject.record, zone_for(subject.record)
    params = record.parameters()
    numbers = record.numbers(params, zone)
    at = place(record.numbers)
    require(isinstance(numbers, Mapping), f"{at}: numbers() returned {numbers!r}")
    for name, number in numbers.items():
        require(
            is_whole(number),
            f"{at}: numbers() gives {name}={number!r}: steps read integers",
        )
    require(
        dict(numbers) == dict(record.numbers(params, zone)),
        f"{at}: numbers() gives others the next time",
    )
    state_dtype(record, dict(numbers), at)
    pages = whole_of(record.pages, "pages", 1, params)
    skipped = whole_of(record.skip_pages, "skip_pages", 0, params)
    require(
        skipped < pages,
        f"{place(record.skip_pages)}: skip_pages() is {skipped}, and pages() {pages}: "
        "nothing is left to be measured",
    )
    whole_of(record.limit_ps, "limit_ps", 1, params)
    tasks = whole_of(record.task_cpus, "task_cpus", 1, zone)
    wanted = tasks + bool(record.kswapd_cpu)
    require(
        wanted <= zone.cpus,
        f"{place(record.task_cpus)}: task_cpus(), and kswapd's if it has one, are "
        f"{wanted} CPUs of a zone with {zone.cpus}: stay below zone.cpus, or refuse it "
        "in numbers() with a ConfigError",
    )
    return f"{wanted} of {zone.cpus} CPUs run steps"


def is_whole(number: object) -> bool:
    """Whether a step can read it from a field."""
    return isinstance(number, (int, np.integer)) and not isinstance(number, bool)


def whole_of(function: Any, name: str, least: int, argument: Any) -> int:
    """Call a function of a workload that gives a number."""
    number = function(argument)
    require(
        is_whole(number) and number >= least,
        f"{place(function)}: {name}() gives {number!r}: it must be a whole number, "
        f"{least} at least",
    )
    return int(number)


def state_dtype(
    record: StepWorkload, numbers: Mapping[str, int], at: str = ""
) -> np.dtype[Any]:
    """Make the structured type of ``st``."""
    fields = [*((name, "i8") for name in numbers), *record.state]
    names = [field[0] for field in fields]
    twice = sorted({name for name in names if names.count(name) > 1})
    require(not twice, f"{at}: {', '.join(twice)}: a number and a field of state")
    try:
        return np.dtype(fields or [("unused", "i8")], align=True)
    except (TypeError, ValueError) as error:
        raise CheckError(f"{at}: state cannot be a record: {error}") from None


def steps_are_sound(subject: Subject) -> str:
    """Look at start and step for common mistakes."""
    record = subject.record
    numbers = record.numbers(record.parameters(), zone_for(record))
    state = state_dtype(record, numbers, place(record.numbers))
    found = [
        word
        for step in (record.start, record.step)
        for word in mistakes(step, state, STEP_PARAMETERS)
    ]
    require(not found, "\n".join(found))
    return ""


def simulation(
    subject: Subject, seed: int, other: StepWorkload | None = None
) -> Simulation:
    """Make a machine that runs the workload, or another in its place."""
    if STRATEGY not in subject.registry.names("strategy"):
        raise NotCheckedError(f"strategy {STRATEGY!r} is not installed")
    record = other or subject.record
    strategy: Strategy = subject.registry.strategy(STRATEGY)
    zone, params = zone_for(subject.record), record.parameters()
    return Simulation(record, params, zone, strategy, seed=seed, costs=COSTS)


@lru_cache(maxsize=4)
def watched(subject: Subject) -> str | Exception:
    """Take some steps in Python; what came of it."""
    try:
        numbers_are_whole(subject)
        steps_are_sound(subject)
        watch = Watch(subject.record, partial(simulation, subject, SEEDS[0]))
        watch.run(FEW_STEPS)
    except NoPageLeftError:
        return NotCheckedError(TOO_SMALL)
    except Exception as error:
        return error
    return f"{FEW_STEPS} steps, {watch.smp.pages:,} pages"


def pages_are_respected(subject: Subject) -> str:
    """Take some steps in Python: what they ask for exists, what they free is in use."""
    found = watched(subject)
    if isinstance(found, Exception):
        raise found
    return found


@lru_cache(maxsize=4)
def taken(subject: Subject, seed: int, turn: int = 1) -> tuple[Simulation, int]:
    """Take many compiled steps, if it is safe to; first one by one."""
    pages_are_respected(subject)
    machine, done = simulation(subject, seed), 0
    for part in (*[1] * SINGLE_STEPS, *[MANY_STEPS // PARTS] * PARTS):
        try:
            went = machine.take_steps(part)
            done += went
            machine.zones[0].check()
        except SimulationError:
            raise NotCheckedError(TOO_SMALL) from None
        except InvariantError as error:
            step = place(subject.record.step)
            raise CheckError(f"{step}: after {done} steps, {error}") from error
        if went < part:
            break
    return machine, done


def steps_compile(subject: Subject) -> str:
    """Compile start and step, once it is known that they end."""
    pages_are_respected(subject)
    simulation(subject, SEEDS[0])
    return ""


def steps_get_on(subject: Subject) -> str:
    """Take many steps, compiled: no invariant breaks, and there will be an end."""
    machine, done = taken(subject, SEEDS[0])
    step = place(subject.record.step)
    pages, now = machine.pages, machine.elapsed_ps
    limited = subject.record.limit_ps(machine.params) < ENDLESS_PS
    require(
        pages or (limited and now),
        f"{step}: {done} steps, and smp.pages is {pages}: the run ends when it is "
        "pages(): count each page that is taken",
    )
    return f"{done:,} steps, {pages:,} pages"


def measures_are_numbers(subject: Subject) -> str:
    """Ask what it measures after these steps."""
    machine, _ = taken(subject, SEEDS[0])
    record = subject.record
    found: object = record.measures(machine)
    at = place(record.measures)
    require(isinstance(found, Mapping), f"{at}: measures() returned {found!r}")
    for name, value in dict(found).items():  # type: ignore[call-overload]
        good = isinstance(value, (int, float)) and math.isfinite(value)
        require(good, f"{at}: measures() gives {name}={value!r}: give finite numbers")
    return ""


def runs_are_equal(subject: Subject) -> str:
    """Run it twice with a seed: equal pages at equal times."""
    runs = ((SEEDS[0], 1), (SEEDS[0], 2), (SEEDS[1], 1))
    first, again, other = (result(*taken(subject, *run)) for run in runs)
    for name, value in first.items():
        require(
            np.array_equal(value, again[name]),
            f"{place(subject.record.step)}: two runs differ in {name}: "
            "draw with rmqueue.mm.random from smp, remember in the fields of 'state'",
        )
    if all(np.array_equal(value, other[name]) for name, value in first.items()):
        return "two seeds give the same run"
    return ""


def result(machine: Simulation, done: int) -> dict[str, Any]:
    """Say what one sees of a machine after many steps."""
    zone = machine.zones[0]
    return {
        "steps": done,
        "pages": machine.pages,
        "time": machine.elapsed_ps,
        "work": list(zone.counters.values()),
        "free lists": zone.free_counts(),
        "pages at the head of a list": zone.free_list(0, "movable")[:100],
    }


ELSEWHERE = "a rule of workloads of steps; this one builds an op stream"
STEP_CHECKS = tuple(
    Check(name, words, run, (StepWorkload,), ELSEWHERE)
    for name, words, run in (
        ("numbers", "its numbers go together", numbers_are_whole),
        ("steps", "its steps take what they are given", steps_are_sound),
        ("pages", "it asks for what there is, and frees it once", pages_are_respected),
        ("compiles", "its steps compile", steps_compile),
        ("progress", "no invariant breaks, and it comes to an end", steps_get_on),
        ("measures", "what it measures are numbers", measures_are_numbers),
    )
)
