"""What ``rmqueue trace import`` and ``rmqueue trace ops`` do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rmqueue.errors import OutputError, TraceError, UsageError
from rmqueue.ops import Stream, write_ops
from rmqueue.output import check_writable
from rmqueue.trace.chunks import BrokenLine, Chunk
from rmqueue.trace.columns import need_pyarrow, write_columns
from rmqueue.trace.merge import merged
from rmqueue.trace.requests import requests_of
from rmqueue.trace_source import TraceSource, open_trace

#: Broken and lost lines that are shown.
SHOWN = 5


class Tally:
    """Counts what comes out of a source, on its way to the next.

    Parameters
    ----------
    source : TraceSource
        Where it comes from.
    """

    def __init__(self, source: TraceSource) -> None:
        self.source = source
        self.events = self.lines = self.others = self.nr_broken = 0
        self.broken: list[BrokenLine] = []
        self.nr_lost = 0
        self.lost: list[tuple[int, str]] = []

    def chunks(self) -> Iterator[Chunk]:
        """Read the source from the start; counts begin anew."""
        self.__init__(self.source)  # type: ignore[misc]
        for chunk in self.source.chunks():
            self.events += len(chunk.events)
            self.lines += chunk.lines
            self.others += chunk.others
            self.nr_broken += chunk.nr_broken
            self.broken += chunk.broken[: SHOWN - len(self.broken)]
            self.nr_lost += len(chunk.lost)
            self.lost += chunk.lost[: SHOWN - len(self.lost)]
            yield chunk

    def words(self) -> Iterator[str]:
        """Say what was counted."""
        path = self.source.path
        counts = [f"{self.events:,} events", f"{self.others:,} others left out"]
        counts.append(f"{self.nr_broken:,} broken lines")
        lost = (
            f"events lost in {self.nr_lost:,} places" if self.nr_lost else "none lost"
        )
        yield f"{path}: {', '.join(counts)}, {lost}"
        for broken in self.broken:
            yield f"  line {broken.line}: {broken.reason}: {broken.text.strip():.60}"
        for line, text in self.lost:
            yield f"  line {line}: {text.strip()}"


def import_files(files: Sequence[Path], out: Path) -> None:
    """Convert a trace to Parquet, and print what was read.

    Raises
    ------
    TraceError, UsageError
        The trace cannot be read, or its files cannot be ordered.
    OutputError
        The file cannot be written.
    """
    check_writable(out)
    need_pyarrow(out)
    tallies = [Tally(open_trace(path)) for path in files]
    sources = [tally.source for tally in tallies]
    refuse_own_input(out, sources)
    forms = sorted({source.reader.name for source in sources})
    if len(forms) > 1:
        raise UsageError(
            f"parts of one trace have one form, found {' and '.join(forms)}: import "
            "each trace to a file of its own"
        )
    provenance = {
        "rmqueue": version("rmqueue"),
        "sources": [tally.source.provenance() for tally in tallies],
    }
    chunks = merged([(str(tally.source.path), tally.chunks) for tally in tallies])
    write_columns(out, chunks, provenance)
    for tally in tallies:
        print("\n".join(tally.words()))
    events = sum(tally.events for tally in tallies)
    print(f"{out}: {events:,} events, {out.stat().st_size / 1e6:.1f} MB")


def refuse_own_input(out: Path, sources: Sequence[TraceSource]) -> None:
    """Refuse to write over what is read: a recording cannot be made again.

    Raises
    ------
    OutputError
        The file is one of the inputs, or a file in one of them.
    """
    for source in sources:
        path = source.path.resolve()
        if out.exists() and path in (out.resolve(), *out.resolve().parents):
            raise OutputError(f"{out}: is (in) the input {source.path}: name another")


def convert_to_ops(path: Path, out: Path) -> None:
    """Convert a trace to op streams, and print what was inferred.

    Raises
    ------
    TraceError, UsageError
        The trace cannot be read, or nothing is requested in it.
    OutputError
        The file cannot be written.
    """
    check_writable(out)
    source = open_trace(path)
    refuse_own_input(out, [source])
    about: dict[str, Any] = {
        "rmqueue": version("rmqueue"),
        "source": source.provenance(),
    }
    streams, notes = _recorded(source) if source.path.is_dir() else _requested(source)
    if not any(len(stream.ops) for stream in streams):
        raise TraceError(f"{source.path}: nothing is requested in this trace")
    write_ops(out, streams, {**about, "notes": notes})
    for stream in streams:
        print(
            f"{stream.name}: {len(stream.ops):,} ops, "
            f"{len(stream.blocks):,} slots of pages from before"
        )
    print("\n".join([*notes, f"{out}: {len(streams)} streams"]))


def _recorded(source: TraceSource) -> tuple[list[Stream], list[str]]:
    """Return the streams of a recording, whose start state is known."""
    recording = source.reader.read(source.path)
    streams = [
        Stream(zone.state.name, zone.ops, zone.state.blocks) for zone in recording.zones
    ]
    return streams, list(recording.notes)


def _requested(source: TraceSource) -> tuple[list[Stream], list[str]]:
    """Return what the callers of a trace alone asked for."""
    stream, inferred = requests_of(source.chunks(), "all zones")
    says = {
        "before": "frees of pages allocated before the trace: slots from the start",
        "freed_unseen": "allocations of pages in use: freed just before",
        "freed_twice": "frees of free pages: left out",
        "failed": "allocations that failed: left out",
    }
    return [stream], [f"{inferred[k]:,} {w}" for k, w in says.items() if inferred[k]]
