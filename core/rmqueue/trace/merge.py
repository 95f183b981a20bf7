"""Several files of one trace: parts that follow each other, or one of each CPU.

Parts follow each other if none begins before another has ended; they are joined by
time, in whatever order they are named.  Files of single CPUs overlap in time, but no
CPU is in two of them; they are merged by time stamp, equal stamps in the order of the
files.  Anything else cannot be ordered and is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise

import numpy as np

from rmqueue.errors import TraceError
from rmqueue.trace.chunks import Chunk
from rmqueue.trace.events import EVENTS, MARK, Events, Ints

#: A source of chunks: what messages call it, and how to read it (again).
Source = tuple[str, Callable[[], Iterator[Chunk]]]


@dataclass(frozen=True)
class Extent:
    """Where a file lies in the trace.

    Attributes
    ----------
    first_us, last_us : int
        Times of its first and last event [us].
    cpus : frozenset of int
        CPUs that its events name.
    last_line : int
        Number of its last event's line.
    falls : int
        Events that are earlier than the one before [events].
    """

    first_us: int
    last_us: int
    cpus: frozenset[int]
    last_line: int
    falls: int


def merged(sources: Sequence[Source]) -> Iterator[Chunk]:
    """Read the files of a trace as one.

    Parameters
    ----------
    sources : sequence of (str, callable)
        Name of each file, and what reads it; one file is read once and as it is,
        several are read twice.

    Yields
    ------
    Chunk
        Numbers of lines go on from file to file: those of a file begin behind the last
        event of the one before.

    Raises
    ------
    TraceError
        The files cannot be ordered; errors of reading pass through.
    """
    if len(sources) == 1:
        yield from sources[0][1]()
        return
    extents = [extent_of(*source) for source in sources]
    by_time = sorted(range(len(sources)), key=lambda i: extents[i].first_us)
    follow = _follow(extents, by_time)
    if not follow:
        _refuse_shared_cpus(sources, extents)
    _refuse_falls(sources, extents)
    streams, offset = [], 0
    for index in by_time if follow else range(len(sources)):
        streams.append(_shifted(sources[index][1](), offset))
        offset += extents[index].last_line
    if follow:
        yield from chain.from_iterable(streams)
    else:
        yield from _interleaved(streams)


def extent_of(name: str, read: Callable[[], Iterator[Chunk]]) -> Extent:
    """Read a file once, to see where it lies.

    Raises
    ------
    TraceError
        It holds no event.
    """
    first = last = line = -1
    falls = 0
    cpus: set[int] = set()
    for chunk in read():
        events = chunk.events
        if not len(events):
            continue
        times = events["time_us"]
        first = int(times[0]) if first < 0 else first
        falls += int((np.diff(times, prepend=last) < 0).sum())
        last, line = int(times[-1]), int(events["line"][-1])
        cpus.update(np.unique(events["cpu"]).tolist())
    if first < 0:
        raise TraceError(f"{name}: no event in it: name only files with events")
    return Extent(first, last, frozenset(cpus), line, falls)


def _follow(extents: Sequence[Extent], by_time: Sequence[int]) -> bool:
    """Whether none of the files begins before the one before it has ended."""
    return all(
        extents[before].last_us <= extents[after].first_us
        for before, after in pairwise(by_time)
    )


def _refuse_shared_cpus(sources: Sequence[Source], extents: Sequence[Extent]) -> None:
    for index, one in enumerate(extents):
        for other, another in enumerate(extents[:index]):
            shared = sorted(one.cpus & another.cpus)
            if shared:
                raise TraceError(
                    f"{sources[index][0]}: overlaps {sources[other][0]} in time "
                    f"({_span(one)} and {_span(another)}), and both have CPU "
                    f"{shared[0]}: give parts that follow each other, or a file of "
                    "each CPU"
                )


def _refuse_falls(sources: Sequence[Source], extents: Sequence[Extent]) -> None:
    for (name, _), extent in zip(sources, extents, strict=True):
        if extent.falls:
            raise TraceError(
                f"{name}: {extent.falls} events are earlier than the one before: "
                "a file that is joined with others must be in the order of time"
            )


def _span(extent: Extent) -> str:
    return f"{extent.first_us / 1e6:.6f} to {extent.last_us / 1e6:.6f} s"


def _shifted(chunks: Iterator[Chunk], lines: int) -> Iterator[Chunk]:
    """Add to the numbers of the lines."""
    for chunk in chunks:
        chunk.events["line"] += lines
        broken = tuple(replace(b, line=b.line + lines) for b in chunk.broken)
        lost = tuple((line + lines, text) for line, text in chunk.lost)
        yield replace(chunk, broken=broken, lost=lost)


class _Queue:
    """What was read of a file and is not handed on yet."""

    def __init__(self, chunks: Iterator[Chunk]) -> None:
        self._chunks = chunks
        self.events: Events = np.empty(0, EVENTS)
        self.texts: list[str] = []  # of the marks, in the order of the rows
        self.done = False

    def read(self) -> Chunk:
        """Read on; return what the chunk says beside its events."""
        chunk = next(self._chunks, None)
        if chunk is None:
            self.done = True
            return Chunk(events=np.empty(0, EVENTS))
        self.events = np.concatenate((self.events, chunk.events))
        self.texts += [text for _, text in chunk.marks]
        return replace(chunk, events=np.empty(0, EVENTS), marks=())

    @property
    def known_us(self) -> int:
        """Up to here nothing more will come [us]."""
        if self.done:
            return 1 << 62
        return int(self.events["time_us"][-1]) if len(self.events) else -1


def _interleaved(streams: Sequence[Iterator[Chunk]]) -> Iterator[Chunk]:
    """Merge streams by time; only what is not settled yet is held."""
    queues = [_Queue(stream) for stream in streams]
    while not all(queue.done for queue in queues):
        behind = min(queues, key=lambda queue: queue.known_us)
        said = behind.read()
        settled = min(queue.known_us for queue in queues)
        counts = [_before(queue.events["time_us"], settled) for queue in queues]
        events, marks = _taken(queues, counts)
        yield replace(said, events=events, marks=marks)


def _before(times: Ints, limit: int) -> int:
    return int(np.searchsorted(times, limit, "left"))


def _taken(
    queues: Sequence[_Queue], counts: Sequence[int]
) -> tuple[Events, tuple[tuple[int, str], ...]]:
    """Take rows off the queues, in the order of time, and their marks."""
    parts = [queue.events[:count] for queue, count in zip(queues, counts, strict=True)]
    events = np.concatenate(parts)
    texts = np.full(len(events), -1)
    words: list[str] = []
    first = 0
    for queue, part in zip(queues, parts, strict=True):
        marks = np.flatnonzero(part["kind"] == MARK)
        texts[first + marks] = np.arange(len(marks)) + len(words)
        words += queue.texts[: len(marks)]
        del queue.texts[: len(marks)]
        queue.events = queue.events[len(part) :]
        first += len(part)
    order = np.argsort(events["time_us"], kind="stable")
    texts = texts[order]
    marked = np.flatnonzero(texts >= 0).tolist()
    return events[order], tuple((i, words[int(texts[i])]) for i in marked)
