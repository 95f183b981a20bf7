"""What machines, trace readers, reporters and experiments keep to."""

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
from rmqueue.errors import ConfigError, RmqueueError
from rmqueue.experiment import Experiment
from rmqueue.experiment_file import ExperimentConfig
from rmqueue.results import Comparison
from rmqueue.study.file import variants
from rmqueue.testing.checklist import (
    Check,
    CheckError,
    NotCheckedError,
    Subject,
    require,
)
from rmqueue.testing.model_checks import SUMMARY
from rmqueue.validation import validated

SEEDS = (1, 2)


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
    """Run a small experiment: two strategies, three seeds."""
    config = ExperimentConfig.model_validate(
        {
            "name": "small",
            "description": 'Names with | and , and "quotes".',
            "weights_ps": {"lock": 50_000, "scan_page": 10_000},
            "zone": {"pages": 1024, "pageblock_order": 5},
            "workload": {"name": "mix", "params": {"operations": 200}},
            "strategies": [{"name": "none"}, {"name": "remembered-fallback"}],
            "seeds": (*SEEDS, 3),
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
    """Have it render comparisons: of seeds that differ, of one seed, of one strategy.

    A reporter that says it is binary makes bytes instead of text.
    """
    whole = comparison_for(subject)
    one_seed = tuple(row for row in whole.rows if row.seed == SEEDS[0])
    for words, comparison in (
        (f"two strategies with {len(SEEDS) + 1} seeds", whole),
        ("two strategies with one seed", replace(whole, rows=one_seed)),
        ("one strategy with one seed", replace(whole, rows=whole.rows[:1])),
    ):
        try:
            rendered: object = subject.record.render(comparison)
        except RmqueueError as error:
            raise NotCheckedError(f"it refuses a plain comparison: {error}") from None
        require_form(rendered, words, subject.record.binary)
        require(
            rendered == subject.record.render(comparison),
            f"render() of {words} gives something else the second time",
        )
    return ""


def require_form(rendered: object, words: str, binary: bool) -> None:
    """Refuse what is neither text that ends in a newline, nor bytes if it says so."""
    kind = type(rendered).__name__
    if binary:
        require(
            isinstance(rendered, bytes) and rendered,
            f"render() returned {kind} for {words}, not bytes: it says it is binary",
        )
        return
    require(
        isinstance(rendered, str),
        f"render() returned {kind} for {words}, not text: a reporter of bytes says "
        "binary=True",
    )
    require(
        str(rendered).endswith("\n"),
        f"render() of {words} does not end in a newline",
    )


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
    for one in variants(subject.record.path):
        Experiment(one.config, one.base, one.source, subject.registry)
    return ""


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
