"""What is installed: look-ups by name, over plugins that are loaded when needed.

A look-up loads as little as it can: first the entry point of the same name, then those
whose name ends in the plural of what is looked for (``lab-machines``), then all others;
`Registry.load_all` loads everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from rmqueue import hookspecs
from rmqueue.errors import PluginError, UnknownNameError, UsageError
from rmqueue.loader import KINDS, Entry, Failure, Loader, blocked_names
from rmqueue.types import (
    BuiltinExperiment,
    Machine,
    Reporter,
    StepWorkload,
    Strategy,
    TraceReader,
    Workload,
)


class Registry:
    """The plugins of this environment.

    Parameters
    ----------
    points : iterable of EntryPoint or None
        What to load from; None: the installed entry points of the group.
    blocked : iterable of str or None
        Entry points or distributions to leave out; None: those of ``RMQUEUE_BLOCK``.
    """

    def __init__(
        self,
        points: Iterable[EntryPoint] | None = None,
        blocked: Iterable[str] | None = None,
    ) -> None:
        found = entry_points(group=hookspecs.GROUP) if points is None else points
        self.blocked = blocked_names() if blocked is None else frozenset(blocked)
        self._loader = Loader(found, self.blocked)

    def strategy(self, name: str) -> Strategy:
        """Return the strategy of that name."""
        record: Strategy = self.find("strategy", name).record
        return record

    def machine(self, name: str) -> Machine:
        """Return the machine of that name."""
        record: Machine = self.find("machine", name).record
        return record

    def workload(self, name: str) -> Workload | StepWorkload:
        """Return the workload of that name."""
        record: Workload | StepWorkload = self.find("workload", name).record
        return record

    def reporter(self, name: str) -> Reporter:
        """Return the reporter of that name."""
        record: Reporter = self.find("reporter", name).record
        return record

    def experiment(self, name: str) -> BuiltinExperiment:
        """Return the built-in experiment of that name."""
        record: BuiltinExperiment = self.find("experiment", name).record
        return record

    def find(self, kind: str, name: str) -> Entry:
        """Look a record up.

        Parameters
        ----------
        kind : str
            A key of `KINDS`.
        name : str
            Its name.

        Raises
        ------
        UnknownNameError
            Nobody offers it.
        PluginError
            The plugin of that name is broken, or two plugins offer the name.
        """
        found: list[Entry] = []
        for _ in self._loading(kind, name):
            found = [
                e for e in self._loader.entries if (e.kind, e.name) == (kind, name)
            ]
            if len(found) > 1:
                raise PluginError(duplicate_message(kind, name, found))
            # what a file offers was there before anything else was looked at
            if found and not found[0].provenance.is_file:
                return found[0]
        if found:
            return found[0]
        raise self._not_found(kind, name)

    def add_file(self, path: Path) -> tuple[Entry, ...]:
        """Load a single file as a plugin, and return what it offers.

        Parameters
        ----------
        path : Path
            A Python file that implements hooks.

        Raises
        ------
        PluginError
            It is broken; the message names file and line.
        """
        self._loader.load_file(path)
        return tuple(
            entry
            for entry in self.of_files
            if Path(entry.provenance.module).resolve() == path.resolve()
        )

    @property
    def of_files(self) -> tuple[Entry, ...]:
        """Everything that single files offer."""
        return tuple(e for e in self._loader.entries if e.provenance.is_file)

    def reader_for(self, path: Path) -> TraceReader:
        """Return the trace reader that accepts a recording.

        Raises
        ------
        UsageError
            No reader accepts it, or several do.
        """
        kind = "trace reader"
        for _ in self._loading(kind, ""):
            found = [e for e in self._loader.entries if e.kind == kind]
            accepting = [e for e in found if self._accepts(e, path)]
            if len(accepting) > 1:
                names = " and ".join(f"{e.name!r} of {e.provenance}" for e in accepting)
                raise UsageError(
                    f"{path}: two readers accept this recording, {names}: "
                    "block one with RMQUEUE_BLOCK"
                )
            if accepting:
                record: TraceReader = accepting[0].record
                return record
        readers = ", ".join(self.names(kind)) or "none is installed"
        raise UsageError(
            f"{path}: no trace reader accepts this recording: {_what_is(path)}; "
            f"'rmqueue plugins' says what they read ({readers})"
        )

    def names(self, kind: str) -> tuple[str, ...]:
        """Return the names of all records of a kind; loads every plugin."""
        return tuple(sorted({e.name for e in self.load_all() if e.kind == kind}))

    def load_all(self) -> tuple[Entry, ...]:
        """Load every plugin, and return everything that they offer."""
        self._loader.load(lambda _: True)
        return tuple(self._loader.entries)

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Plugins that turned out to be broken so far."""
        return tuple(self._loader.failures)

    @property
    def blocked_points(self) -> tuple[str, ...]:
        """Names of the entry points that are left out."""
        return tuple(point.name for point in self._loader.blocked_points)

    def duplicates(self) -> tuple[str, ...]:
        """Name what more than one plugin offers, among what is loaded."""
        groups: dict[tuple[str, str], list[Entry]] = {}
        for entry in self._loader.entries:
            groups.setdefault((entry.kind, entry.name), []).append(entry)
        return tuple(
            duplicate_message(kind, name, group)
            for (kind, name), group in groups.items()
            if len(group) > 1
        )

    def _loading(self, kind: str, name: str) -> Iterator[None]:
        """Load in steps; between them the caller looks whether it has enough."""
        ending = KINDS[kind][2]
        self._loader.load(lambda point: point.name == name)
        yield
        self._loader.load(lambda point: point.name.endswith(ending))
        yield
        self._loader.load(lambda point: True)
        yield

    def _accepts(self, entry: Entry, path: Path) -> bool:
        """Whether a reader accepts a path; one that raises is broken and does not."""
        try:
            return bool(entry.record.accepts(path))
        except Exception as error:
            reason = f"accepts({str(path)!r}) raised {type(error).__name__}: {error}"
            self._loader.report(entry.provenance, reason)
            return False

    def _not_found(self, kind: str, name: str) -> UsageError:
        """Explain a fruitless look-up: blocked, broken or unknown."""
        if any(point.name == name for point in self._loader.blocked_points):
            blocked = ",".join(sorted(self.blocked))
            return UsageError(f"{kind} {name!r} is blocked (RMQUEUE_BLOCK={blocked})")
        for failure in self._loader.failures:
            if failure.provenance.entry_point == name:
                raise PluginError(str(failure))
        return UnknownNameError(kind, name, self.names(kind))


def _what_is(path: Path) -> str:
    """Say what a path is that no reader accepts."""
    try:
        if path.is_dir():
            names = sorted(child.name for child in path.iterdir())
            return f"it is a folder with {', '.join(names[:5]) or 'nothing in it'}"
        if not path.is_file():
            return "there is no such file"
        with path.open("rb") as file:
            begin = file.read(24)
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return f"it begins with {begin!r}" if begin else "it is empty"


def duplicate_message(kind: str, name: str, entries: Sequence[Entry]) -> str:
    """Name all who offer the same name, and the way out."""
    givers = " and ".join(str(entry.provenance) for entry in entries)
    points = [
        entry.provenance.entry_point
        for entry in entries
        if not entry.provenance.is_file
    ]
    own = "call it by another name in the file"
    if not points:
        advice = own
    elif len(points) < len(entries):
        advice = f"{own}, or block {', '.join(points)} with RMQUEUE_BLOCK=NAME"
    else:
        advice = f"block one of {', '.join(points)} with RMQUEUE_BLOCK=NAME"
    return f"{kind} {name!r} is offered by {givers}: {advice}"


@cache
def default_registry() -> Registry:
    """Return the registry of the installed plugins, shared by the whole process."""
    return Registry()
