"""Text of tracefs (``/sys/kernel/tracing/trace``) to columns of events."""

from __future__ import annotations

import lzma
from pathlib import Path

import numpy as np

from rmqueue.errors import TraceError
from rmqueue.trace.events import (
    EVENT_NAMES,
    EVENTS,
    MARK,
    Bools,
    Events,
    Trace,
)
from rmqueue_plugins.readers.bytescan import Block
from rmqueue_plugins.readers.fields import Lines, read_block

#: Text handled at a time: fits a last-level cache together with its columns [bytes].
BLOCK_BYTES = 1 << 22
#: More broken lines than this and the text is something else.
BROKEN_SHARE = 0.01
#: Broken lines that are kept for messages.
KEPT = 1000
_EXCERPT = 60


def read_text(path: Path) -> bytes:
    """Read a file, decompressing ``.xz``.

    Raises
    ------
    TraceError
        It cannot be read, or its compressed data are cut off or damaged.
    """
    try:
        raw = path.read_bytes()
        return lzma.decompress(raw) if path.suffix == ".xz" else raw
    except FileNotFoundError:
        raise TraceError(
            f"{path}: no such file: a recording folder holds recording.json, "
            "state-start.json.xz, pages-start.npz and trace.txt(.xz)"
        ) from None
    except OSError as error:
        raise TraceError(f"{path}: cannot be read: {error.strerror}") from None
    except (lzma.LZMAError, EOFError) as error:
        raise TraceError(
            f"{path}: not whole xz data ({error}): copy the file again"
        ) from None


def parse(text: bytes, name: str) -> Trace:
    """Parse tracefs text.

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
    parts: list[Events] = []
    marks: list[tuple[int, str]] = []
    broken: list[tuple[int, str]] = []
    lost: list[tuple[int, str]] = []
    count = nr_broken = nr_lines = line = 0
    start = 0
    while start < len(text):
        stop = text.find(b"\n", start + BLOCK_BYTES) + 1 or len(text)
        block = Block(text, start, stop)
        wanted = _wanted(block, line, lost)
        lines = read_block(block, wanted)
        marks += _marks(block, lines, count)
        lines.events["line"] += line + 1
        for index in lines.broken[: KEPT - len(broken)]:
            broken.append((line + int(index) + 1, block.line(index)))
        parts.append(lines.events)
        count += len(lines.events)
        nr_broken += len(lines.broken)
        nr_lines += int(wanted.sum())
        line += len(block.ends)
        start = stop
    events = np.concatenate(parts) if parts else np.empty(0, EVENTS)
    trace = Trace(name, events, tuple(marks), nr_lines, tuple(broken), tuple(lost))
    _refuse(trace, nr_broken)
    return trace


def _wanted(block: Block, line: int, lost: list[tuple[int, str]]) -> Bools:
    """Which lines should be events; collects the lost-event markers on the way."""
    first = block.buf[block.starts]
    wanted: Bools = (first != ord("#")) & (block.starts < block.ends)
    for index in np.flatnonzero(wanted & block.is_at("CPU:", block.starts)):
        text = block.line(int(index))
        if "[LOST " in text:
            wanted[index] = False
            lost.append((line + int(index) + 1, text))
    return wanted


def _marks(block: Block, lines: Lines, count: int) -> list[tuple[int, str]]:
    """Text of what was written to trace_marker."""
    found = []
    for index in np.flatnonzero(lines.events["kind"] == MARK):
        line = int(lines.line[index])
        offset = int(lines.text_at[index] - block.starts[line])
        found.append((count + int(index), block.line(line)[offset:].strip()))
    return found


def _refuse(trace: Trace, nr_broken: int) -> None:
    """Refuse text that is not a trace, or holds nothing of the page allocator."""
    if nr_broken > BROKEN_SHARE * trace.lines:
        line, text = trace.broken[0]
        raise TraceError(
            f"{trace.name}: line {line}: expected 'TASK-PID [CPU] FLAGS SEC.USEC: "
            f"EVENT: key=value ...', found {_excerpt(text)}; {nr_broken} of "
            f"{trace.lines} lines are like this: give the text of tracefs' 'trace' "
            "file, written with the default options"
        )
    if not np.any(trace.events["kind"] != MARK):
        wanted = ", ".join(EVENT_NAMES[1:7])
        raise TraceError(
            f"{trace.name}: no event of the page allocator in {trace.lines} lines: "
            f"record with the kmem events {wanted} on"
        )


def _excerpt(text: str) -> str:
    return repr(text if len(text) <= _EXCERPT else text[:_EXCERPT] + "...")
