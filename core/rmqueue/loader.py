"""Load plugins: entry points of the group ``rmqueue``, one by one.

A plugin that cannot be loaded is remembered with its distribution and never stops the
others.

Environment
-----------
RMQUEUE_BLOCK
    Names of entry points or distributions, separated by commas, that are not loaded.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pluggy

from rmqueue import hookspecs
from rmqueue.errors import PluginError, UnknownNameError
from rmqueue.mm.profile import PROFILES
from rmqueue.plugin_file import load_file, place, words
from rmqueue.types import (
    BuiltinExperiment,
    Machine,
    Reporter,
    StepWorkload,
    Strategy,
    TraceReader,
    Workload,
)

#: What a record may be called.
NAME = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")

#: kind, as one says it -> classes of its records, hook, ending of entry-point names.
KINDS: dict[str, tuple[tuple[type, ...], str, str]] = {
    "strategy": ((Strategy,), "rmqueue_strategies", "strategies"),
    "machine": ((Machine,), "rmqueue_machines", "machines"),
    "workload": ((Workload, StepWorkload), "rmqueue_workloads", "workloads"),
    "trace reader": ((TraceReader,), "rmqueue_trace_readers", "readers"),
    "reporter": ((Reporter,), "rmqueue_reporters", "reporters"),
    "experiment": ((BuiltinExperiment,), "rmqueue_experiments", "experiments"),
}


@dataclass(frozen=True)
class Provenance:
    """Where a record comes from.

    Attributes
    ----------
    entry_point, module : str
        Name of the entry point, and what it loads; of a single file, nothing and its
        path.
    distribution, version : str
        The installed package that declares it; of a single file, ``"file"`` and
        nothing.
    """

    entry_point: str
    module: str
    distribution: str
    version: str

    @property
    def is_file(self) -> bool:
        """Whether it is a single file, named on the command line."""
        return not self.entry_point

    @property
    def giver(self) -> str:
        """Distribution and version; of a single file, that it is one."""
        return f"{self.distribution} {self.version}".strip()

    def __str__(self) -> str:
        if self.is_file:
            return f"{self.giver} {self.module}"
        return f"{self.giver} ({self.module})"


@dataclass(frozen=True)
class Entry:
    """A record that a plugin offers."""

    kind: str
    record: Any
    provenance: Provenance

    @property
    def name(self) -> str:
        """Name of the record."""
        return str(self.record.name)


@dataclass(frozen=True)
class Failure:
    """A plugin that could not be used, and why."""

    provenance: Provenance
    reason: str

    def __str__(self) -> str:
        entry_point = self.provenance.entry_point
        return f"plugin {entry_point!r} of {self.provenance} is broken: {self.reason}"


def provenance_of(entry_point: EntryPoint) -> Provenance:
    """Where an entry point comes from."""
    dist = entry_point.dist
    name, version = (dist.name, dist.version) if dist else ("unknown", "unknown")
    return Provenance(entry_point.name, entry_point.value, name, version)


def provenance_of_file(path: Path) -> Provenance:
    """Where the records of a single file come from."""
    return Provenance("", str(path), "file", "")


def blocked_names() -> frozenset[str]:
    """Names that the environment blocks."""
    names = os.environ.get("RMQUEUE_BLOCK", "").split(",")
    return frozenset(name.strip() for name in names if name.strip())


class Loader:
    """Loads entry points and keeps what they offer.

    Parameters
    ----------
    points : iterable of EntryPoint
        Everything that is installed.
    blocked : frozenset of str
        Entry points or distributions to leave out.

    Attributes
    ----------
    entries : list of Entry
        What the plugins loaded so far offer.
    failures : list of Failure
        Those that turned out to be broken.
    blocked_points : list of EntryPoint
        Those that are left out.
    """

    def __init__(self, points: Iterable[EntryPoint], blocked: frozenset[str]) -> None:
        ordered = sorted(set(points), key=lambda point: (point.name, point.value))
        self.blocked_points = [p for p in ordered if is_blocked(p, blocked)]
        self.waiting = [p for p in ordered if not is_blocked(p, blocked)]
        self.entries: list[Entry] = []
        self.failures: list[Failure] = []
        self._files: set[Path] = set()
        # whoever asks while another thread loads waits for what that one finds
        self._loading = threading.RLock()
        self._manager = pluggy.PluginManager(hookspecs.GROUP)
        self._manager.add_hookspecs(hookspecs)

    def load(self, wanted: Callable[[EntryPoint], bool]) -> None:
        """Load the entry points that are wanted and not loaded yet."""
        with self._loading:
            for point in [point for point in self.waiting if wanted(point)]:
                self.waiting.remove(point)
                try:
                    self.entries += self._import(point)
                except (Exception, SystemExit) as error:
                    self.report(provenance_of(point), words(error, Path()))

    def report(self, provenance: Provenance, reason: str) -> None:
        """Remember, once, that a plugin is broken."""
        failure = Failure(provenance, reason)
        if failure not in self.failures:
            self.failures.append(failure)

    def load_file(self, path: Path) -> None:
        """Load a single file, unless it is loaded already.

        Raises
        ------
        PluginError
            It is broken: whoever names a file means to use it.
        """
        if path.resolve() in self._files:
            return
        plugin = load_file(path)
        try:
            self.entries += self._entries_of(plugin, provenance_of_file(path))
        except PluginError as error:
            text = str(error)  # may know the line, and then the file too
            placed = text.startswith(f"{path}, line ")
            raise PluginError(text if placed else f"{path}: {text}") from None
        except (Exception, SystemExit) as error:
            raise PluginError(f"{place(error, path)}: {words(error, path)}") from error
        self._files.add(path.resolve())

    def _import(self, point: EntryPoint) -> list[Entry]:
        """Import a plugin and ask it every hook that it implements."""
        plugin = point.load()
        if self._manager.is_registered(plugin):
            raise PluginError(f"{point.value} is loaded already by another entry point")
        return self._entries_of(plugin, provenance_of(point))

    def _entries_of(self, plugin: Any, provenance: Provenance) -> list[Entry]:
        """Ask a plugin every hook that it implements."""
        self._manager.register(plugin)
        try:
            self._manager.check_pending()
            entries = list(self._ask(plugin, provenance))
        except Exception:
            self._manager.unregister(plugin)
            raise
        if not entries:
            raise PluginError("it implements no hook, or its hooks return nothing")
        return entries

    def _ask(self, plugin: Any, provenance: Provenance) -> Iterator[Entry]:
        callers: list[Any] = self._manager.get_hookcallers(plugin) or []
        for caller in callers:
            kind = next(k for k, (_, hook, _) in KINDS.items() if hook == caller.name)
            for impl in caller.get_hookimpls():
                if impl.plugin is plugin:
                    for record in asked(kind, impl.function):
                        check_record(kind, record)
                        yield Entry(kind, record, provenance)


def is_blocked(point: EntryPoint, blocked: frozenset[str]) -> bool:
    """Whether an entry point or its distribution is blocked."""
    return not {point.name, provenance_of(point).distribution}.isdisjoint(blocked)


def asked(kind: str, hook: Callable[[], Any]) -> Iterable[Any]:
    """Ask a hook for its records.

    Raises
    ------
    PluginError
        What it returns is no list of any kind; the message names file and line.
    """
    found = hook()
    classes, name, _ = KINDS[kind]
    if isinstance(found, Iterable) and not isinstance(found, (str, *classes)):
        return found
    what, advice = repr(found), "return one, in brackets"
    if isinstance(found, classes):
        what, advice = f"a {type(found).__name__}", "put it in brackets"
    code = getattr(hook, "__code__", None)
    where = f"{code.co_filename}, line {code.co_firstlineno}: " if code else ""
    wanted = " or ".join(one.__name__ for one in classes)
    raise PluginError(
        f"{where}{name} must return a list of {wanted}, found {what}: {advice}"
    )


def check_record(kind: str, record: Any) -> None:
    """Refuse what is not a well-formed record of a kind."""
    expected, hook, _ = KINDS[kind]
    if not isinstance(record, expected):
        raise PluginError(
            f"{hook} must return a list of "
            f"{' or '.join(kind.__name__ for kind in expected)}, "
            f"and one item is {record!r}"
        )
    name: object = getattr(record, "name", None)
    if not isinstance(name, str) or not NAME.fullmatch(name):
        article = "an" if kind[0] in "aeiou" else "a"
        raise PluginError(
            f"{name!r} cannot name {article} {kind}: use lower-case letters, digits "
            "and dashes"
        )
    kernel = getattr(record, "kernel", "")
    if kernel and kernel not in PROFILES:
        raise PluginError(f"{name}: {UnknownNameError('kernel', kernel, PROFILES)}")
