"""The exact gate: what strategies do, against what is written down in the repository.

python -m benchmarks.expected                    what differs; status 1 if anything
python -m benchmarks.expected --update "reason"  write it down anew, and why
python -m benchmarks.expected --full             the whole run of the server too

The figures carry no noise: whatever differs is a change of behaviour, wanted or not.
The reason goes into the table and into the commit, with the lines that --update prints.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import SERVER, Table, collect

try:
    from rmqueue.errors import RmqueueError
    from rmqueue.output import write_whole
    from rmqueue.registry import Registry, default_registry
except ImportError:  # an earlier rmqueue: asv imports this, and does not call it
    RmqueueError = RuntimeError  # type: ignore[assignment, misc]

PATH = Path(__file__).with_name("expected.json")
#: Strategies of this distribution are in the table; those of others are left alone.
OURS = "rmqueue"


class TableError(RmqueueError):
    """The stored table cannot be used."""


@dataclass(frozen=True)
class Difference:
    """A figure that is not as it is written down; None: it is not there."""

    experiment: str
    strategy: str
    figure: str
    stored: float | None
    found: float | None

    def __str__(self) -> str:
        return (
            f"{self.experiment}: {self.strategy}: {self.figure}: "
            f"{shown(self.stored)} -> {shown(self.found)}"
        )


def shown(value: float | None) -> str:
    """Value as it is written.

    Examples
    --------
    >>> shown(4.0), shown(0.25), shown(None)
    ('4', '0.25', 'none')
    """
    if value is None:
        return "none"
    return str(int(value)) if value == int(value) else repr(value)


def own_strategies(registry: Registry) -> tuple[str, ...]:
    """Strategies that this distribution offers."""
    return tuple(
        sorted(
            entry.name
            for entry in registry.load_all()
            if entry.kind == "strategy" and entry.provenance.distribution == OURS
        )
    )


def differences(
    stored: Mapping[str, Table], found: Mapping[str, Table]
) -> Iterator[Difference]:
    """Everything that is in one of them only, or not equal."""
    for experiment in sorted(stored.keys() | found.keys()):
        old, new = stored.get(experiment, {}), found.get(experiment, {})
        for strategy in sorted(old.keys() | new.keys()):
            ours, theirs = old.get(strategy, {}), new.get(strategy, {})
            for figure in sorted(ours.keys() | theirs.keys()):
                pair = ours.get(figure), theirs.get(figure)
                if pair[0] != pair[1]:
                    yield Difference(experiment, strategy, figure, *pair)


def read(path: Path = PATH) -> dict[str, Any]:
    """Return the stored table.

    Raises
    ------
    TableError
        It is not there, or is not one.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        if not (table["reason"].strip() and isinstance(table["figures"], dict)):
            raise ValueError("it has no reason, or no figures")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TableError(
            f"{path}: not a table of figures: {error}: write it anew with "
            '`python -m benchmarks.expected --update "reason"`'
        ) from None
    return dict(table)


def check(
    stored: Mapping[str, Table], found: Mapping[str, Table], full: bool
) -> list[Difference]:
    """Compare figures with those that are stored; the server's only if it has run."""
    wanted = {name: table for name, table in stored.items() if full or name != SERVER}
    return list(differences(wanted, found))


def update(found: dict[str, Table], reason: str, path: Path = PATH) -> list[Difference]:
    """Write figures down, and say what was different before."""
    old = read(path)["figures"] if path.exists() else {}
    table = {"reason": reason.strip(), "figures": found}
    text = json.dumps(table, indent=1, sort_keys=True) + "\n"
    write_whole(path, text)
    return list(differences(old, found))


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--update", metavar="REASON", help="write them down, and why")
    parser.add_argument("--full", action="store_true", help="the whole run of a server")
    given = parser.parse_args(words)
    if given.update is not None and not given.update.strip():
        parser.error("--update: say why the figures change")
    return given


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line."""
    given = arguments(words)
    full = given.full or given.update is not None
    try:
        stored = read() if given.update is None else {}
        found = collect(own_strategies(default_registry()), full)
        if given.update is not None:
            for line in update(found, given.update):
                print(line)
            print(f"written: {PATH.name}: say in the commit: {given.update.strip()}")
            return 0
    except RmqueueError as error:
        print(f"benchmarks.expected: {error}", file=sys.stderr)
        return error.exit_status
    changed = check(stored["figures"], found, full)
    for line in changed:
        print(line)
    count = sum(len(f) for table in found.values() for f in table.values())
    print(f"{count} figures, {len(changed)} differ from {PATH.name}")
    if changed:
        print(
            "behaviour has changed: if it was meant to, "
            '`python -m benchmarks.expected --update "reason"`'
        )
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
