"""Count what a recorded trace holds, line by line, when the recording is over."""

from __future__ import annotations

import gzip
import lzma
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from rmqueue.errors import RecordError
from rmqueue.record_settings import FIRST_MARK, LAST_MARK, READ_MARK, READING_MARK

MARK_EVENT = b"tracing_mark_write"
_LINE = re.compile(rb"\[(\d+)\] \S{4,} +(\d+\.\d{6}): (\w+): ?(.*)")
#: The kernel does not always know how many.
_LOST = re.compile(rb"CPU:\d+ \[LOST (?:(\d+) )?EVENTS\]")
#: Lines between two looks whether somebody waits in vain.
_BREATH = 1 << 16


@dataclass
class Summary:
    """What a trace holds.

    Attributes
    ----------
    events : Counter of str
        Lines of each event.
    per_cpu : Counter of int
        Lines of each CPU.
    markers : list of (float, str)
        What was written to trace_marker, and when [s].
    first_ts, last_ts : float or None
        First and last time stamp [s].
    lost_lines, lost_events : int
        Lines ``CPU:n [LOST m EVENTS]``, and the sum of m.
    out_of_order : int
        Lines with an earlier time stamp than the line before.
    unparsed_lines : int
        Other lines, which should not be there.
    while_read : dict of str to int
        Lines while the counts of free blocks were read, at the start and the end.
    """

    events: Counter[str] = field(default_factory=Counter)
    per_cpu: Counter[int] = field(default_factory=Counter)
    markers: list[tuple[float, str]] = field(default_factory=list)
    first_ts: float | None = None
    last_ts: float | None = None
    lost_lines: int = 0
    lost_events: int = 0
    out_of_order: int = 0
    unparsed_lines: int = 0
    while_read: dict[str, int] = field(default_factory=dict)

    @property
    def lines(self) -> int:
        """Lines that are events, our own marks included."""
        return sum(self.events.values())

    def has_window(self) -> bool:
        """Whether both marks of the window are there."""
        texts = {text for _, text in self.markers}
        return {FIRST_MARK, LAST_MARK} <= texts


@contextmanager
def open_trace(path: Path) -> Iterator[IO[bytes]]:
    """Open a compressed trace for reading; its suffix says how."""
    if path.suffix == ".zst":
        unpack = ["zstd", "-dcq", str(path)]
        with subprocess.Popen(unpack, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            yield child.stdout
    elif path.suffix == ".xz":
        with lzma.open(path) as xz:
            yield cast(IO[bytes], xz)
    else:
        with gzip.open(path) as gz:
            yield cast(IO[bytes], gz)


def summarize(path: Path, breathe: Callable[[], None] = lambda: None) -> Summary:
    """Count the lines of a compressed trace.

    Parameters
    ----------
    path : Path
        The trace.
    breathe : callable
        Called now and then; may raise.

    Raises
    ------
    RecordError
        The trace cannot be read back: it was not written whole.
    """
    try:
        with open_trace(path) as file:
            return count_lines(file, breathe)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise RecordError(f"{path}: cannot be read back ({error})") from None


def count_lines(
    lines: IO[bytes] | list[bytes], breathe: Callable[[], None] = lambda: None
) -> Summary:
    r"""Count lines of tracefs text.

    Examples
    --------
    >>> found = count_lines([
    ...     b"  cat-7  [001] .....  5.000021: tracing_mark_write: RMQ SNAP_start\n",
    ...     b"CPU:1 [LOST 12 EVENTS]\n",
    ... ])
    >>> found.markers, found.lost_events
    ([(5.000021, 'RMQ SNAP_start')], 12)
    """
    found = Summary()
    # by bytes: a million lines take a second as it is
    events: Counter[bytes] = Counter()
    cpus: Counter[bytes] = Counter()
    marked: dict[str, int] = {}
    last = 0.0
    for number, line in enumerate(lines):
        if number % _BREATH == 0:
            breathe()
        match = _LINE.search(line)
        if match is None:
            _count_other(found, line)
            continue
        cpu, stamp, event, text = match.groups()
        now = float(stamp)
        if found.first_ts is None:
            found.first_ts = now
        found.out_of_order += now < last
        last = now
        events[event] += 1
        cpus[cpu] += 1
        if event == MARK_EVENT:
            mark = text.decode(errors="replace").strip()
            found.markers.append((now, mark))
            marked.setdefault(mark, number)
    found.events.update({name.decode(): count for name, count in events.items()})
    found.per_cpu.update({int(cpu): count for cpu, count in cpus.items()})
    found.last_ts = last if events else None
    found.while_read = _between(marked)
    return found


def _between(marked: dict[str, int]) -> dict[str, int]:
    """Lines while the counts were read, at the start and the end."""
    return {
        key: marked[end] - marked[begin] - 1
        for key, begin, end in (
            ("start", READING_MARK, FIRST_MARK),
            ("end", LAST_MARK, READ_MARK),
        )
        if begin in marked and end in marked
    }


def _count_other(found: Summary, line: bytes) -> None:
    """Count a line that is no event."""
    lost = _LOST.match(line)
    if lost:
        found.lost_lines += 1
        found.lost_events += int(lost[1] or 0)
    elif line.strip() and not line.startswith(b"#"):
        found.unparsed_lines += 1
