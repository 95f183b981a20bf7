"""What stands in front of an event: task, CPU, flags, time; jitted.

==========  ========================================================
tracefs     ``TASK-PID [CPU] FLAGS SEC.USEC: EVENT: key=value ...``
trace-cmd   the same, FLAGS optional, any number of spaces
perf        ``TASK PID [CPU] SEC.USEC: SYSTEM:EVENT: key=value ...``
==========  ========================================================

A task's name may hold spaces, dashes, brackets and colons, so a line is read from its
time stamp on: backwards, and then forwards.
"""

from __future__ import annotations

from typing import Any

from rmqueue.mm.jit import jit
from rmqueue_plugins.readers.bytescan import (
    byte,
    digits_back,
    find,
    number,
    skip_spaces,
    spaces_back,
)

_FEWEST_FLAGS, _MOST_SECONDS = 4, 1 << 42
_SPACE, _COLON, _DASH, _DOT, _SLASH, _OPEN, _CLOSE = 32, 58, 45, 46, 47, 91, 93


@jit
def read_stamp(text: Any, colon: int, scan: Any) -> int:
    """Read ``SEC.USEC`` in front of a colon; return where it begins, or -1."""
    dot = colon - 7
    if byte(text, dot) != _DOT:
        dot = colon - 10  # nanoseconds
        if byte(text, dot) != _DOT:
            return -1
        if number(text, colon - 3, colon, 10) < 0:
            return -1
    at = digits_back(text, dot)
    seconds, fraction = number(text, at, dot, 10), number(text, dot + 1, dot + 7, 10)
    if fraction < 0 or seconds < 0 or seconds > _MOST_SECONDS:
        return -1
    scan.time_us = seconds * 1_000_000 + fraction
    return at


@jit
def read_prefix(text: Any, colon: int, scan: Any) -> bool:
    """Read all that stands in front of an event, backwards from the colon."""
    stamp = read_stamp(text, colon, scan)
    at = spaces_back(text, stamp)
    if stamp < 0 or at == stamp:
        return False
    scan.irq = 0
    if byte(text, at - 1) != _CLOSE:
        flags = at
        while 33 <= byte(text, flags - 1) < 127:
            flags -= 1
        if at - flags < _FEWEST_FLAGS or byte(text, flags - 1) != _SPACE:
            return False
        scan.irq = byte(text, flags + 2)
        at = spaces_back(text, flags)
        if byte(text, at - 1) != _CLOSE:
            return False
    cpu = digits_back(text, at - 1)
    scan.cpu = number(text, cpu, at - 1, 10)
    if scan.cpu < 0 or at - 1 - cpu > 4 or byte(text, cpu - 1) != _OPEN:
        return False
    at = spaces_back(text, cpu - 1)
    return at < cpu - 1 and ends_in_pid(text, at, scan.dashed)


@jit
def ends_in_pid(text: Any, at: int, dashed: int) -> bool:
    """Whether a task ends at a position, with its PID."""
    pid = digits_back(text, at)
    if pid < at and dashed == 0 and byte(text, pid - 1) == _SLASH:
        at = pid - 1  # PID/TID
        pid = digits_back(text, at)
    before = _DASH if dashed else _SPACE
    return bool(pid < at and byte(text, pid - 1) == before)


@jit
def find_name(text: Any, at: int, end: int, scan: Any) -> int:
    """Where the event's name begins, behind prefix and time stamp, or -1."""
    while at < end:
        at = find(text, at, end, _COLON)
        if (
            at + 1 < end
            and byte(text, at + 1) == _SPACE
            and read_prefix(text, at, scan)
        ):
            return skip_spaces(text, at + 1, end)
        at += 1
    return -1
