"""What ``rmqueue check`` does: run the checks of a plugin, and print a list of them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from rmqueue.errors import PluginError, UnknownNameError, UsageError
from rmqueue.loader import KINDS, Entry
from rmqueue.registry import Registry, default_registry
from rmqueue.testing.checklist import CheckError, Result, Subject, perform
from rmqueue.testing.plugin_checks import (
    EXPERIMENT_CHECKS,
    MACHINE_CHECKS,
    READER_CHECKS,
    REPORTER_CHECKS,
)
from rmqueue.testing.strategy_checks import STRATEGY_CHECKS
from rmqueue.testing.workload_checks import WORKLOAD_CHECKS

CHECKS = {
    "strategy": STRATEGY_CHECKS,
    "machine": MACHINE_CHECKS,
    "workload": WORKLOAD_CHECKS,
    "trace reader": READER_CHECKS,
    "reporter": REPORTER_CHECKS,
    "experiment": EXPERIMENT_CHECKS,
}
#: Without it no other check can tell more.
FIRST = "compiles"
ONE_KERNEL = re.compile(r"\bkernel \d+\.\d+[,:] ")


def run(name: str | None, registry: Registry | None = None) -> None:
    """Check everything of a name, or everything that single files offer.

    Raises
    ------
    CheckError
        A check failed; all have been printed before.
    UsageError
        There is nothing to check, or nothing of that name.
    PluginError
        The plugin of that name is broken, or two offer the name.
    """
    registry = registry or default_registry()
    entries = registry.of_files if name is None else list(named(name, registry))
    if not entries:
        raise UsageError("name a plugin, or a file with --plugin FILE")
    failures = [failure for entry in entries for failure in checked(entry, registry)]
    if failures:
        raise CheckError("\n".join(failures))


def named(name: str, registry: Registry) -> Iterator[Entry]:
    """Yield what is called so, of all kinds."""
    everything = registry.load_all()
    kinds = [k for k in KINDS if any((e.kind, e.name) == (k, name) for e in everything)]
    if not kinds:
        for failure in registry.failures:
            if failure.provenance.entry_point == name:
                raise PluginError(str(failure))
        raise UnknownNameError("plugin", name, {e.name for e in everything})
    for kind in kinds:
        yield registry.find(kind, name)


def checked(entry: Entry, registry: Registry) -> Iterator[str]:
    """Run the checks of a record and print them; yield what to say of failures."""
    subject = Subject(entry.kind, entry.record, registry, str(entry.provenance))
    print(f"{entry.kind} {entry.name}: {subject.given}")
    failed, said = 0, set[str]()
    checks = [c for c in CHECKS[entry.kind] if c.is_about(entry.record)]
    left = len(checks)
    for check in checks:
        result = perform(check, subject)
        failed, left = failed + result.failed, left - 1
        print(line_of(result, again=words_of(result) in said), flush=True)
        said.add(words_of(result))
        if result.failed and check.name == FIRST:
            break
    sys.stdout.flush()
    if failed:
        unrun = f": {left} need that it {FIRST}, and were not run" if left else ""
        yield f"{subject.name}: {failed} of {len(checks)} checks failed{unrun}"


def words_of(result: Result) -> str:
    """Take the kernel profile out of a message: several may say the same."""
    return ONE_KERNEL.sub("", result.message)


def line_of(result: Result, again: bool = False) -> str:
    """One line for a check; what a failure has to say stands below it, once."""
    line = f"  {result.status:<8} {result.check.words}"
    if result.failed and again:
        return f"{line}: as above"
    if result.failed:
        return "\n".join([line, *(f"    {m}" for m in result.message.splitlines())])
    return f"{line}: {result.message}" if result.message else line
