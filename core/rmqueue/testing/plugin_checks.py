"""What workloads, machines, trace readers, reporters and experiments keep to."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rmqueue.config import ZoneConfig
from rmqueue.cost import cost_table
from rmqueue.diagnosis import STEP_PARAMETERS, mistakes
from rmqueue.errors import ConfigError, RmqueueError
from rmqueue.experiment import Experiment
from rmqueue.experiment_file import ExperimentConfig, parts_of
from rmqueue.mm.jit import ENABLED
from rmqueue.ops import FREE, NOP, OPERATIONS, PCP_FREE, Ops, as_ops, slots_needed
from rmqueue.results import Comparison
from rmqueue.testing.checklist import (
    Check,
    CheckError,
    NotCheckedError,
    Subject,
    require,
)
from rmqueue.testing.model_checks import (
    parameters_are_documented,
    summary_is_a_sentence,
)
from rmqueue.types import StepWorkload
from rmqueue.validation import validated
from rmqueue.zone import Zone

#: The zone that workloads are tried on.
ZONE = ZoneConfig(pages=16_384, cpus=2)
SEEDS = (1, 2)
#: Operations that are replayed without the JIT.
SOME_OPS = 3000


# Workloads ---------------------------------------------------------------------------


def stream_of(subject: Subject, seed: int) -> Ops:
    """Build the stream of a workload with its default parameters."""
    record = subject.record
    if isinstance(record, StepWorkload):
        raise NotCheckedError("its steps run on the multi-CPU loop: it has no stream")
    try:
        return as_ops(record.build(ZONE, record.parameters(), seed))
    except TypeError as error:
        raise CheckError(
            f"seed {seed}: what it builds is no op stream: {error}"
        ) from None


def streams_are_equal(subject: Subject) -> str:
    """Build a stream twice: equal seeds give equal operations."""
    first, again, other = (stream_of(subject, s) for s in (SEEDS[0], *SEEDS))
    require(
        np.array_equal(first, again),
        f"seed {SEEDS[0]}: two streams differ: draw from "
        "numpy.random.default_rng(seed), and from nothing else",
    )
    if np.array_equal(first, other):
        return "two seeds give the same stream"
    return ""


def streams_are_valid(subject: Subject) -> str:
    """Look at the operations: known codes, slots from 0, frees of what was filled."""
    ops = stream_of(subject, SEEDS[0])
    require(len(ops), "its stream is empty")
    wrong = np.flatnonzero(ops["code"] >= len(OPERATIONS))
    require(
        not len(wrong),
        f"operation {wrong[:1]} has code {ops['code'][wrong[:1]]}: codes go from "
        f"{NOP} to {len(OPERATIONS) - 1}",
    )
    slots_needed(ops)
    freed = ops["b"][np.isin(ops["code"], (FREE, PCP_FREE))]
    require((freed >= 0).all(), "it frees a slot with a negative number")
    if not ENABLED:
        ops = ops[:SOME_OPS]
    result = Zone(ZONE, "none", subject.registry).replay(ops, record=False)
    require(
        not result.misuse,
        f"operation {result.first_misuse} asks for what a zone of {ZONE.pages} pages "
        f"and {ZONE.cpus} CPUs does not have: {dict(result.misuse)}",
    )
    return f"{len(ops):,} operations, {result.asked:,} pages asked"


def steps_are_sound(subject: Subject) -> str:
    """Look at the steps of a workload, and at their numbers; they are not run."""
    record = subject.record
    if not isinstance(record, StepWorkload):
        raise NotCheckedError("it is an op stream: it has no steps")
    params = record.parameters()
    numbers = dict(record.numbers(params, ZONE))
    require(
        all(isinstance(n, (int, np.integer)) for n in numbers.values()),
        f"numbers() must give integers, and gives {numbers}",
    )
    require(
        numbers == dict(record.numbers(params, ZONE)),
        "numbers() gives others the next time",
    )
    fields = [(name, "i8") for name in numbers]
    state = np.dtype([*fields, *record.state] or [("unused", "i8")], align=True)
    found = [
        word
        for step in (record.start, record.step)
        for word in mistakes(step, state, STEP_PARAMETERS)
    ]
    require(not found, "\n".join(found))
    return "its steps were not run: name it in an experiment"


# Machines ----------------------------------------------------------------------------


def costs_are_known(subject: Subject) -> str:
    """Look at the cost tables: counters that exist, whole numbers, none negative."""
    record = subject.record
    tables = {"weights_ps": record.weights_ps}
    for name, table in record.strategy_weights_ps.items():
        tables[f"strategy_weights_ps[{name!r}]"] = table
    for words, table in tables.items():
        check_table(words, table)
    if not any(record.weights_ps.values()):
        return "nothing costs anything"
    return ""


def check_table(words: str, table: Mapping[str, Any]) -> None:
    """Refuse a table with unknown counters, or with what is no whole number."""
    for counter, cost in table.items():
        require(
            isinstance(cost, (int, np.integer)),
            f"{words}: {counter} costs {cost!r}: costs are whole picoseconds",
        )
    try:
        cost_table(table)
    except ConfigError as error:
        raise CheckError(f"{words}: {error}") from None


def machine_is_sound(subject: Subject) -> str:
    """Look at its other numbers, and at the zone of a node if it names one."""
    record = subject.record
    for name, least in (("warm_scans", 0), ("handover_ps", 0), ("nodes", 1)):
        value = getattr(record, name)
        require(value >= least, f"{name} is {value}: it must be {least} at least")
    if not record.zone:
        return ""
    zone = validated(ZoneConfig, dict(record.zone), subject.name, "zone")
    return f"its nodes have {zone.pages >> 8:,} MiB and {zone.cpus} CPUs"


# Trace readers -----------------------------------------------------------------------


@contextmanager
def odd_paths() -> Iterator[dict[str, Path]]:
    """Make files and folders that are no recordings, and remove them afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = {
            "a path that does not exist": folder / "gone",
            "an empty file": folder / "empty",
            "a file of noise": folder / "noise.bin",
            "a text": folder / "a text with spaces.txt",
            "an empty folder": folder / "folder",
            "a folder with a file": folder,
            "a broken link": folder / "link",
            "a name that is no UTF-8": folder / os.fsdecode(b"\xff\xfe"),
            "a path below a file": folder / "empty" / "below",
        }
        (folder / "empty").touch()
        (folder / "noise.bin").write_bytes(np.random.default_rng(1).bytes(4096))
        (folder / "a text with spaces.txt").write_text("# tracer: nop\nhello\n")
        (folder / "folder").mkdir()
        (folder / "link").symlink_to(folder / "nowhere")
        yield found


def odd_paths_are_looked_at(subject: Subject) -> str:
    """Ask whether it accepts odd paths: it says yes or no, and does not raise."""
    accepted = []
    with odd_paths() as paths:
        for words, path in paths.items():
            try:
                answer: object = subject.record.accepts(path)
            except Exception as error:
                raise CheckError(
                    f"accepts() raised {type(error).__name__} on {words}: {error}: "
                    "return False for what it cannot read"
                ) from error
            require(
                isinstance(answer, bool), f"accepts() returned {answer!r} on {words}"
            )
            accepted += [words] if answer else []
    return f"accepts {', '.join(accepted)}" if accepted else ""


def odd_paths_are_refused(subject: Subject) -> str:
    """Have it read odd paths: it refuses them with a message."""
    with odd_paths() as paths:
        for words, path in paths.items():
            try:
                subject.record.read(path)
            except RmqueueError:
                continue
            except Exception as error:
                raise CheckError(
                    f"read() raised {type(error).__name__} on {words}: {error}: raise "
                    "rmqueue.errors.TraceError with a message"
                ) from error
            raise CheckError(f"read() made a recording of {words}: raise TraceError")
    return ""


# Reporters ---------------------------------------------------------------------------


def comparison_for(subject: Subject) -> Comparison:
    """Run a small experiment: two strategies, two seeds."""
    config = ExperimentConfig.model_validate(
        {
            "name": "small",
            "description": 'Names with | and , and "quotes".',
            "weights_ps": {"lock": 50_000, "scan_page": 10_000},
            "zone": {"pages": 1024, "pageblock_order": 5},
            "workload": {"name": "mix", "params": {"operations": 200}},
            "strategies": [{"name": "none"}, {"name": "remembered-fallback"}],
            "seeds": SEEDS,
            "unusable_orders": [3],
        }
    )
    registry = subject.registry
    needed = [("workload", "mix"), ("strategy", "none")]
    for kind, name in [*needed, ("strategy", "remembered-fallback")]:
        if name not in registry.names(kind):
            raise NotCheckedError(f"{kind} {name!r} is not installed")
    return Experiment(config, registry=registry).compare()


def reports_are_text(subject: Subject) -> str:
    """Have it render comparisons: of two strategies, and of one with one seed."""
    whole = comparison_for(subject)
    for words, comparison in (
        ("two strategies with two seeds", whole),
        ("one strategy with one seed", replace(whole, rows=whole.rows[:1])),
    ):
        try:
            rendered: object = subject.record.render(comparison)
        except RmqueueError as error:
            raise NotCheckedError(f"it refuses a plain comparison: {error}") from None
        require(
            isinstance(rendered, str),
            f"render() returned {type(rendered).__name__} for {words}, not text",
        )
        require(
            str(rendered).endswith("\n"),
            f"render() of {words} does not end in a newline",
        )
        require(
            rendered == subject.record.render(comparison),
            f"render() of {words} gives another text the second time",
        )
    return ""


def suffix_has_a_dot(subject: Subject) -> str:
    """Look at the suffix of its files."""
    suffix = subject.record.suffix
    require(
        len(suffix) > 1 and suffix.startswith("."),
        f"its suffix is {suffix!r}: begin it with a dot, like '.txt'",
    )
    return ""


# Experiments -------------------------------------------------------------------------


def experiments_load(subject: Subject) -> str:
    """Load the file: what it names exists and fits together; nothing is run."""
    for part in parts_of(subject.record.path):
        Experiment.load(part, registry=subject.registry)
    return ""


SUMMARY = Check("summary", "its summary is a sentence", summary_is_a_sentence)
PARAMETERS = Check(
    "parameters",
    "its parameters are described with their units, and have defaults",
    parameters_are_documented,
)
WORKLOAD_CHECKS = (
    SUMMARY,
    PARAMETERS,
    Check("determinism", "equal seeds give equal streams", streams_are_equal),
    Check("stream", "a zone can do what it asks for", streams_are_valid),
    Check("steps", "its steps take what they are given", steps_are_sound),
)
MACHINE_CHECKS = (
    SUMMARY,
    Check("costs", "its costs are those of known counters", costs_are_known),
    Check("numbers", "its other numbers make a machine", machine_is_sound),
)
READER_CHECKS = (
    SUMMARY,
    Check("accepts", "accepts() answers for odd paths", odd_paths_are_looked_at),
    Check("refuses", "read() refuses odd paths", odd_paths_are_refused),
)
REPORTER_CHECKS = (
    SUMMARY,
    Check("suffix", "its suffix begins with a dot", suffix_has_a_dot),
    Check("text", "render() returns text", reports_are_text),
)
EXPERIMENT_CHECKS = (
    SUMMARY,
    Check("loads", "what it names exists and fits together", experiments_load),
)
