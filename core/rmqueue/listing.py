"""What ``rmqueue plugins`` and ``rmqueue schema`` print."""

from __future__ import annotations

import json
import sys

from rmqueue.errors import PluginError, UsageError
from rmqueue.loader import KINDS, Entry
from rmqueue.registry import Registry, default_registry


def list_plugins(registry: Registry | None = None) -> None:
    """Print a line per record; broken and contradicting plugins end in an error.

    Raises
    ------
    PluginError
        A plugin could not be loaded, or two offer the same name; everything else has
        been listed before.
    """
    registry = registry or default_registry()
    entries = registry.load_all()
    order = list(KINDS)
    lines = [
        describe(entry)
        for entry in sorted(entries, key=lambda e: (order.index(e.kind), e.name))
    ]
    heads = ("kind", "name", "distribution", "module", "summary")
    widths = [max(map(len, column)) for column in zip(heads, *lines, strict=True)]
    for line in (heads, *lines):
        padded = (f"{word:<{w}}" for word, w in zip(line, widths, strict=True))
        print("  ".join(padded).rstrip())
    for name in registry.blocked_points:
        print(f"blocked: {name}")
    sys.stdout.flush()
    wrong = [*map(str, registry.failures), *registry.duplicates()]
    if wrong:
        raise PluginError("\n".join(wrong))


def describe(entry: Entry) -> tuple[str, ...]:
    """Words of one line."""
    provenance = entry.provenance
    summary = str(entry.record.summary)
    return entry.kind, entry.name, provenance.giver, provenance.module, summary


def print_schema(
    strategy: str | None, workload: str | None, registry: Registry | None = None
) -> None:
    """Print a JSON schema: of experiment and study files, or of parameters."""
    if strategy is not None and workload is not None:
        raise UsageError("give --strategy or --workload, not both")
    registry = registry or default_registry()
    if strategy is not None:
        schema = registry.strategy(strategy).parameters.model_json_schema()
    elif workload is not None:
        schema = registry.workload(workload).parameters.model_json_schema()
    else:
        from rmqueue.study.file import file_schema

        schema = file_schema()
    print(json.dumps(schema, indent=2))
