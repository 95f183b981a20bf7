"""Text of tracefs, trace-cmd or perf to columns of events, in pieces or at once."""

from __future__ import annotations

import functools
import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from rmqueue import trace
from rmqueue.binding import check_cache
from rmqueue.errors import TraceError
from rmqueue.mm.jit import ENABLED, code_folder
from rmqueue.trace.chunks import BrokenLine, Chunk
from rmqueue.trace.events import (
    COMPACT_BEGIN,
    COMPACT_END,
    EVENT_NAMES,
    EVENTS,
    FALLBACK,
    MARK,
    Events,
    Trace,
)
from rmqueue_plugins.readers import scan as scanner
from rmqueue_plugins.readers.files import form_of_text, opened
from rmqueue_plugins.readers.files import read_text as read_text
from rmqueue_plugins.readers.layout import LAYOUT, tables_for

#: Text handled at a time: with its rows it fits a last-level cache [bytes].
BLOCK_BYTES = 1 << 20
#: No line is longer: it would be something else [bytes].
LONGEST_LINE = 1 << 16
#: More broken lines than this and the text is something else.
BROKEN_SHARE = 0.01
#: Lines after which a text that is mostly broken is given up.
_EARLY = 1000
#: Broken lines that are kept for messages.
KEPT = 1000
_PAD, _MOST_ROWS, _MOST_NOTES = 64, 1 << 15, 1 << 12
_EXCERPT = 100
#: What kernel and tools say of lost events.
_LOST = re.compile(
    r"\[LOST \d+ EVENTS\]|\[(?:\d+ )?EVENTS DROPPED\]|PERF_RECORD_LOST|"
    r"\blost \d+ chunks|LOST \d+ events"
)
#: Lines of the tools that are no events and say nothing of the trace.
_REMARK = re.compile(r"(?:cpus=|version = )\d+$|CPU \d+ is empty$")
_RELEASE = re.compile(rb"^# os ?release : (\S+)", re.MULTILINE)


def read_chunks(path: Path) -> Iterator[Chunk]:
    """Read a trace in pieces.

    Parameters
    ----------
    path : Path
        Text of tracefs, ``trace-cmd report`` or ``perf script``; it may be packed by
        xz, gzip or zstd.

    Yields
    ------
    Chunk
        About `BLOCK_BYTES` of text each.

    Raises
    ------
    TraceError
        The file cannot be read, a line does not end, or too many lines are broken.
    """
    with opened(path) as file:
        yield from chunks_of(file, str(path))


def chunks_of(file: IO[bytes], name: str) -> Iterator[Chunk]:
    """Read a trace in pieces, from an open file; as `read_chunks`."""
    text = _Text(name)
    yield from text.read(file)
    text.refuse_broken()


def parse(text: bytes, name: str) -> Trace:
    """Parse the text of a trace.

    Parameters
    ----------
    text : bytes
        Lines of events; lines that begin with ``#`` are comments.
    name : str
        What messages call the text.

    Returns
    -------
    Trace
        The events that matter to the page allocator, in the order of the lines.

    Raises
    ------
    TraceError
        More than one line in a hundred is broken, or there is nothing to replay.

    Examples
    --------
    >>> text = (b"  wl-7  [001] d.s3.  5.000021: mm_page_pcpu_drain: "
    ...         b"page=00000000 pfn=0x1f order=0 migratetype=2")
    >>> event = parse(text, "example").events[0]
    >>> [int(event[column]) for column in ("cpu", "time_us", "pfn", "order", "mt")]
    [1, 5000021, 31, 0, 2]
    """
    return gather(chunks_of(io.BytesIO(text), name), name)


def gather(chunks: Iterator[Chunk], name: str) -> Trace:
    """Put a trace together, without the begin and end of compactions.

    Raises
    ------
    TraceError
        There is nothing to replay; errors of the chunks pass through.
    """
    parts: list[Events] = []
    marks: list[tuple[int, str]] = []
    broken: list[tuple[int, str]] = []
    lost: list[tuple[int, str]] = []
    count = lines = 0
    for chunk in chunks:
        kind = chunk.events["kind"]
        kept = (kind != COMPACT_BEGIN) & (kind != COMPACT_END)
        place = count + np.cumsum(kept) - 1
        marks += [(int(place[index]), text) for index, text in chunk.marks]
        broken += [(line.line, line.text) for line in chunk.broken]
        lost += chunk.lost
        lines += chunk.lines
        parts.append(chunk.events[kept] if not kept.all() else chunk.events)
        count += len(parts[-1])
    events = np.concatenate(parts) if parts else np.empty(0, EVENTS)
    if not np.any(events["kind"] != MARK):
        wanted = ", ".join(EVENT_NAMES[1:7])
        raise TraceError(
            f"{name}: no event of the page allocator in {lines} lines: "
            f"record with the kmem events {wanted} on"
        )
    return Trace(name, events, tuple(marks), lines, tuple(broken), tuple(lost))


@functools.cache
def _scanner() -> Any:
    """Return the compiled scanner; its cache is keyed by all that goes into it."""
    check_cache()
    digest = hashlib.sha256()
    folders = (Path(__file__).parent, Path(trace.__file__).parent)
    for name in ("scan.py", "prefix.py", "bytescan.py", "events.py"):
        for folder in folders:
            if (folder / name).is_file():
                digest.update((folder / name).read_bytes())
    folder = code_folder() / f"scan-{digest.hexdigest()[:16]}"
    return scanner.compile_scanner(folder)


@dataclass
class _Found:
    """What one call of the scanner, or several, found beside rows."""

    marks: list[tuple[int, str]] = field(default_factory=list)
    broken: list[BrokenLine] = field(default_factory=list)
    lost: list[tuple[int, str]] = field(default_factory=list)
    nr_broken: int = 0
    remarks: int = 0


class _Text:
    """A text that is being scanned: its buffer, and the scanner's records."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.room = LONGEST_LINE + BLOCK_BYTES
        words, self.tables = tables_for(_PAD + self.room + _PAD)
        self.buffer = np.full(_PAD + self.room + _PAD + len(words) + _PAD, 10, np.uint8)
        self.buffer[_PAD + self.room + _PAD :][: len(words)] = np.frombuffer(
            words, np.uint8
        )
        self.rows = np.empty((_MOST_ROWS, scanner.ROW_WORDS), np.int64)
        self.notes = np.empty((_MOST_NOTES, scanner.NOTE_WORDS), np.int64)
        self.scan = np.zeros(1, scanner.SCAN)
        self.scan["rows"], self.scan["most_rows"] = self.rows.ctypes.data, _MOST_ROWS
        self.scan["notes"] = self.notes.ctypes.data
        self.scan["most_notes"] = _MOST_NOTES
        self.lines = self.nr_broken = 0
        self.first: BrokenLine | None = None
        self.about: dict[str, str] = {}

    def read(self, file: IO[bytes]) -> Iterator[Chunk]:
        """Scan a file; what a block leaves of its last line goes before the next."""
        room = self.buffer.data[_PAD : _PAD + self.room]
        kept, begun, more = 0, False, True
        while more:
            read = _fill(file, room[kept : kept + BLOCK_BYTES])
            more = read == BLOCK_BYTES
            size = kept + read
            if not begun:
                self._begin(bytes(room[:size]))
                begun = True
            whole = size if not more else _last_line_end(self.buffer, size)
            if not more:
                room[size : size + 1] = b"\n"
            yield from self._scan(whole)
            kept = size - whole
            if kept > LONGEST_LINE:
                self._refuse_long(bytes(room[whole : whole + 200]))
            room[:kept] = bytes(room[whole:size])

    def _begin(self, head: bytes) -> None:
        form = form_of_text(head)
        self.scan["dashed"] = form != "perf-script"
        self.about = {"format": form or "tracefs"}
        if release := _RELEASE.search(head):
            self.about["kernel"] = release[1].decode("ascii", "replace")

    def _scan(self, size: int) -> Iterator[Chunk]:
        """Scan the whole lines at the front of the buffer."""
        scan, about = self.scan, self.about
        scan["at"], scan["end"] = _PAD, _PAD + size
        while scan["at"][0] < _PAD + size:
            for name in ("nr_rows", "nr_notes", "nr_lines", "nr_others"):
                scan[name] = 0
            _scanner()(
                self.buffer.ctypes.data if ENABLED else self.buffer.tobytes(),
                self.tables.ctypes.data,
                scan.ctypes.data,
            )
            found = self._found(int(scan["nr_notes"][0]))
            lines = int(scan["nr_lines"][0]) - found.remarks
            self._count(lines, found)
            yield Chunk(
                events=_events(self.rows[: scan["nr_rows"][0]]),
                marks=tuple(found.marks),
                lines=lines,
                others=int(scan["nr_others"][0]),
                nr_broken=found.nr_broken,
                broken=tuple(found.broken),
                lost=tuple(found.lost),
                about=about,
            )
            about = {}

    def _found(self, count: int) -> _Found:
        """Turn the scanner's notes into what they mean."""
        found = _Found()
        for reason, line, start, end, what in self.notes[:count].tolist():
            if reason == scanner.MARKED:
                found.marks.append((what, self._string(start, end).strip()))
                continue
            text = self._string(start, min(end, start + 1000))
            if reason == scanner.NO_PREFIX and _LOST.search(text):
                found.lost.append((line, text))
                found.remarks += 1
            elif reason == scanner.NO_PREFIX and _REMARK.match(text):
                found.remarks += 1
            else:
                found.nr_broken += 1
                if self.nr_broken + found.nr_broken <= KEPT:
                    why = _reason(reason, *divmod(what, 256))
                    found.broken.append(BrokenLine(line, text, why))
        return found

    def _string(self, start: int, end: int) -> str:
        raw = self.buffer[start:end].tobytes()
        return raw.decode("ascii", "backslashreplace")

    def _count(self, lines: int, found: _Found) -> None:
        self.lines += lines
        self.nr_broken += found.nr_broken
        if self.first is None and found.broken:
            self.first = found.broken[0]
        if self.lines > _EARLY and 2 * self.nr_broken > self.lines:
            self.refuse_broken()

    def refuse_broken(self) -> None:
        """Refuse a text of which too many lines are broken."""
        if self.first is None or self.nr_broken <= BROKEN_SHARE * self.lines:
            return
        raise TraceError(
            f"{self.name}: line {self.first.line}: {self.first.reason}, found "
            f"{excerpt(self.first.text)}; {self.nr_broken} of {self.lines} lines are "
            "broken: give the text of tracefs' 'trace' file, of 'trace-cmd report' or "
            "of 'perf script', written with the default options, of Linux 6.1 or later"
        )

    def _refuse_long(self, begin: bytes) -> None:
        text = begin.decode("ascii", "backslashreplace")
        line = int(self.scan["line"][0]) + 1
        raise TraceError(
            f"{self.name}: line {line}: more than {LONGEST_LINE:,} bytes without a "
            f"line end, found {excerpt(text)}: a trace is lines of text"
        )


def _events(rows: npt.NDArray[np.int64]) -> Events:
    """Turn the scanner's rows into those of `EVENTS`."""
    events = np.empty(len(rows), EVENTS)
    values = dict(zip(scanner.SLOTS, rows.T, strict=True))
    # what trace-cmd and perf print there is not the kernel's
    less = values["fallback_order"] < values.pop("pageblock_order")
    values["fragmenting"] = np.where(values["kind"] == FALLBACK, less, -1)
    for name, column in values.items():
        events[name] = column
    return events


def _fill(file: IO[bytes], room: memoryview) -> int:
    """Read until the room is full or the file ends."""
    size = 0
    while size < len(room):
        read = file.readinto(room[size:])  # type: ignore[attr-defined]
        if not read:
            break
        size += read
    return size


def _last_line_end(buffer: npt.NDArray[np.uint8], size: int) -> int:
    """Where the whole lines of a text end."""
    at = size
    while at > 0:
        start = max(0, at - 4096)
        ends = np.flatnonzero(buffer[_PAD + start : _PAD + at] == 10)
        if len(ends):
            return start + int(ends[-1]) + 1
        at = start
    return 0


def _reason(reason: int, kind: int, field: int) -> str:
    """Say what is wrong with a line."""
    if reason == scanner.NO_PREFIX:
        return "expected 'TASK-PID [CPU] FLAGS SEC.USEC: EVENT: key=value ...'"
    if reason == scanner.NO_NAME:
        return "expected the name of an event behind the time"
    name = EVENT_NAMES[kind]
    if reason == scanner.UNALIGNED:
        return f"{name}: the block is not aligned to its order"
    key = LAYOUT[kind][field][0]
    if reason == scanner.NO_FIELD:
        return f"{name} has no field '{key}='"
    return f"{name}: '{key}=' has a value that the kernel does not write"


def excerpt(text: str) -> str:
    """Quote a text in a message, cut."""
    text = text.strip()
    return repr(text if len(text) <= _EXCERPT else text[:_EXCERPT] + "...")
