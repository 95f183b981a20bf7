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

from rmqueue.mm.jit import jit, store_i64
from rmqueue_plugins.readers.bytescan import back, byte, number

#: Words of a row that a prefix fills.
CPU, IRQ, TIME_US = range(3)
_FEWEST_FLAGS, _MOST_CPU, _MOST_SECONDS = 4, 9999, 1 << 42
_SPACE, _DASH, _DOT, _SLASH, _OPEN, _CLOSE = 32, 45, 46, 47, 91, 93
_ZERO, _NINE, _FIRST_INK, _LAST_INK = 48, 57, 33, 126


@jit
def read_prefix(text: Any, colon: int, dashed: int, row: Any) -> bool:
    """Read all that stands in front of an event, backwards from the colon.

    Six digits of a second are microseconds, nine are nanoseconds.
    """
    dot = back(text, colon, _ZERO, _NINE) - 1
    first = back(text, dot, _ZERO, _NINE)
    at = back(text, first, _SPACE, _SPACE)
    seconds, size = number(text, first, dot, 10), colon - dot
    if byte(text, dot) != _DOT or (size != 7 and size != 10) or at == first:
        return False
    if seconds < 0 or seconds > _MOST_SECONDS:
        return False
    store_i64(row, TIME_US, seconds * 1_000_000 + number(text, dot + 1, dot + 7, 10))
    irq = 0
    if byte(text, at - 1) != _CLOSE:
        flags = back(text, at, _FIRST_INK, _LAST_INK)
        irq = byte(text, flags + 2)
        if at - flags < _FEWEST_FLAGS:
            return False
        at = back(text, flags, _SPACE, _SPACE)
    store_i64(row, IRQ, irq)
    first = back(text, at - 1, _ZERO, _NINE)
    cpu = number(text, first, at - 1, 10)
    if byte(text, at - 1) != _CLOSE or byte(text, first - 1) != _OPEN:
        return False
    if cpu < 0 or cpu > _MOST_CPU:
        return False
    store_i64(row, CPU, cpu)
    at = back(text, first - 1, _SPACE, _SPACE)
    pid = back(text, at, _ZERO, _NINE)
    if at == first - 1 or pid == at:
        return False
    if dashed == 0 and byte(text, pid - 1) == _SLASH:  # PID/TID
        pid = back(text, pid - 1, _ZERO, _NINE)
    return bool(byte(text, pid - 1) == (_DASH if dashed else _SPACE))
