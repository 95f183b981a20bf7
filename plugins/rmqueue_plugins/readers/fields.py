"""The lines of tracefs text: prefix, event name, fields; all lines of a block at once.

A line is ``TASK-PID [CPU] FLAGS SEC.USEC: EVENT: key=value ...``.  A task's name may
hold spaces, dashes, brackets and colons, so a line is read from its time stamp on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rmqueue.trace.events import (
    ALLOC,
    BATCHED,
    DRAIN,
    EVENT_NAMES,
    EVENTS,
    FALLBACK,
    FREE,
    ISOLATE,
    LOCKED,
    MARK,
    OTHER,
    Bools,
    Events,
    Ints,
)
from rmqueue_plugins.readers.bytescan import (
    DIGITS,
    HEX_DIGITS,
    INK,
    SPACE,
    Block,
    table,
)

_PAGE = (("page", ""), ("pfn", "pfn"))
#: Keys of each event in the kernel's order, and the column that takes the value.
LAYOUT: dict[int, tuple[tuple[str, str], ...]] = {
    ALLOC: (*_PAGE, ("order", "order"), ("migratetype", "mt"), ("gfp_flags", "")),
    LOCKED: (
        *(*_PAGE, ("order", "order"), ("migratetype", "mt")),
        ("percpu_refill", "refill"),
    ),
    FALLBACK: (
        *(*_PAGE, ("alloc_order", "order"), ("fallback_order", "fallback_order")),
        *(("pageblock_order", ""), ("alloc_migratetype", "mt")),
        *(("fallback_migratetype", "fallback_mt"), ("fragmenting", "")),
        ("change_ownership", "claim"),
    ),
    FREE: (*_PAGE, ("order", "order")),
    BATCHED: (*_PAGE, ("order", "order")),
    DRAIN: (*_PAGE, ("order", "order"), ("migratetype", "mt")),
    ISOLATE: (("range", "pfn"), ("nr_scanned", ""), ("nr_taken", "taken")),
    MARK: (),
}
#: Largest value of a column; more is not what the kernel writes there.
LIMITS = {
    "order": 13,
    "fallback_order": 13,
    "mt": 7,
    "fallback_mt": 7,
    "claim": 1,
    "refill": 1,
    "taken": 2**31 - 1,
}
_NAME = table(b"_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_LONGEST_NUMBER = 15
_FEWEST_FLAGS = 4


@dataclass(frozen=True, eq=False)
class Lines:
    """What one block holds, one entry a line that was understood."""

    events: Events
    line: Ints
    text_at: Ints
    broken: Ints


def read_block(block: Block, wanted: Bools) -> Lines:
    """Read the lines of a block.

    Parameters
    ----------
    block : Block
        The text.
    wanted : ndarray of bool
        Which lines should be events.

    Returns
    -------
    Lines
        The known events, their lines, where their text begins, and the lines that
        should be events but are not.
    """
    stamp, line, head = _prefixes(block)
    name_at = stamp + 2
    name_end = _next_colon(block, stamp)
    end = block.ends[line]
    known = (name_end < end) & wanted[line]
    kind = _kinds(block, name_at, np.where(known, name_end, name_at))
    good = known & ((kind != OTHER) | _is_name(block, name_at, name_end, known, kind))
    events = np.full(len(line), -1, EVENTS)
    for column, values in head.items():
        events[column] = values
    events["kind"], events["line"] = kind, line
    for one in LAYOUT:
        chosen = np.flatnonzero(good & (kind == one))
        good[chosen] = _fill(block, one, events, chosen, name_end[chosen], end[chosen])
    good &= _is_aligned(events)
    _note_movable(block, events, line)
    broken = wanted.copy()
    broken[line[good]] = False
    kept = good & (kind != OTHER)
    return Lines(events[kept], line[kept], name_end[kept] + 2, np.flatnonzero(broken))


def _prefixes(block: Block) -> tuple[Ints, Ints, dict[str, Ints]]:
    """Find ``-PID [CPU] FLAGS SEC.USEC:``, the first of each line."""
    buf, colon = block.buf, block.where(":")
    stamp = colon[(buf[colon - 7] == ord(".")) & (buf[colon + 1] == ord(" "))]
    digits = np.ones(len(stamp), np.bool_)
    for back in range(1, 7):
        digits &= DIGITS[buf[stamp - back]]
    stamp = stamp[digits]
    seconds = block.back(stamp - 7, DIGITS)
    flags_end = block.back(seconds, SPACE)
    flags = block.back(flags_end, INK)
    cpu = block.back(flags - 2, DIGITS)
    pid_end = block.back(cpu - 1, SPACE)
    pid = block.back(pid_end, DIGITS)
    good = (seconds < stamp - 7) & (flags_end < seconds)
    good &= (flags_end - flags >= _FEWEST_FLAGS) & (buf[flags - 1] == ord(" "))
    good &= (buf[flags - 2] == ord("]")) & (cpu < flags - 2) & (flags - 2 - cpu < 6)
    good &= (buf[cpu - 1] == ord("[")) & (pid_end < cpu - 1)
    good &= (pid < pid_end) & (buf[pid - 1] == ord("-"))
    line = np.searchsorted(block.ends, stamp)
    chosen = np.flatnonzero(good)
    chosen = chosen[np.diff(line[chosen], prepend=-1) != 0]
    stamp = stamp[chosen]
    time_us = block.number(seconds[chosen], stamp - 7) * 1_000_000
    head = {
        "cpu": block.number(cpu[chosen], flags[chosen] - 2),
        "irq": buf[flags[chosen] + 2],
        "time_us": time_us + block.number(stamp - 6, stamp),
    }
    return stamp, line[chosen], head


def _is_aligned(events: Events) -> Bools:
    """Whether blocks begin at a multiple of their size."""
    size = 1 << np.maximum(events["order"].astype(np.int64), 0)
    aligned: Bools = (events["pfn"] < 0) | (events["pfn"] % size == 0)
    return aligned


def _next_colon(block: Block, at: Ints) -> Ints:
    colon = np.append(block.where(":"), len(block.buf))
    return colon[np.searchsorted(colon, at, "right")]


def _kinds(block: Block, at: Ints, end: Ints) -> Ints:
    """Kind of the event that is named between each two positions."""
    kind, length = np.zeros(len(at), np.int64), end - at
    for number, name in enumerate(EVENT_NAMES[1:], start=1):
        chosen = np.flatnonzero(length == len(name))
        kind[chosen[block.is_at(name, at[chosen])]] = number
    return kind


def _is_name(block: Block, at: Ints, end: Ints, known: Bools, kind: Ints) -> Bools:
    """Whether an event that the reader does not know has a name at all."""
    found = np.zeros(len(at), np.bool_)
    for index in np.flatnonzero(known & (kind == OTHER)):
        name = block.buf[at[index] : end[index]]
        found[index] = len(name) > 0 and bool(_NAME[name].all())
    return found


def _fill(
    block: Block, kind: int, events: Events, chosen: Ints, name_end: Ints, end: Ints
) -> Bools:
    """Read the fields of all events of one kind; say which of them are whole."""
    good = np.ones(len(chosen), np.bool_)
    layout = LAYOUT[kind]
    equals = np.append(block.where("="), np.full(len(layout), len(block.buf) - 32))
    first = np.searchsorted(equals, name_end)
    for number, (key, column) in enumerate(layout):
        at = equals[first + number]
        good &= at < end
        if not column:
            continue
        good &= block.is_at(f" {key}=", at - len(key) - 1)
        if key == "range":
            values, other, whole = _range(block, at + 1)
            events["end"][chosen] = other
        elif key == "pfn":
            values, whole = _hexadecimal(block, at + 1, end)
        else:
            values, whole = _decimal(block, at + 1, end)
        good &= whole & (values <= LIMITS.get(column, 2**52))
        events[column][chosen] = np.where(good, values, -1)
    return good


def _decimal(block: Block, at: Ints, end: Ints) -> tuple[Ints, Bools]:
    stop = block.forward(at, DIGITS)
    whole = (stop == end) | (block.buf[stop] == ord(" "))
    return block.number(at, stop), whole & _short(at, stop)


def _hexadecimal(block: Block, at: Ints, end: Ints) -> tuple[Ints, Bools]:
    stop = block.forward(at + 2, HEX_DIGITS)
    whole = (stop == end) | (block.buf[stop] == ord(" "))
    whole &= block.is_at("0x", at) & _short(at + 2, stop)
    return block.number(at + 2, stop, base=16), whole


def _range(block: Block, at: Ints) -> tuple[Ints, Ints, Bools]:
    """Read ``(0xA ~ 0xB)``."""
    start = at + 3
    stop = block.forward(start, HEX_DIGITS)
    second = stop + 5
    last = block.forward(second, HEX_DIGITS)
    whole = block.is_at("(0x", at) & block.is_at(" ~ 0x", stop)
    whole &= block.is_at(")", last) & _short(start, stop) & _short(second, last)
    return block.number(start, stop, 16), block.number(second, last, 16), whole


def _short(at: Ints, end: Ints) -> Bools:
    short: Bools = (end > at) & (end - at <= _LONGEST_NUMBER)
    return short


def _note_movable(block: Block, events: Events, line: Ints) -> None:
    """Mark the allocations whose gfp flags hold MOVABLE, also in TRANSHUGE."""
    has = np.zeros(len(block.ends) + 1, np.bool_)
    for word, offset in (("MOVABLE", 2), ("TRANSHUGE", 6)):
        at = block.where(word[offset]) - offset
        at = at[block.is_at(word, at)]
        has[np.searchsorted(block.ends, at)] = True
    events["movable"] = np.where(events["kind"] == ALLOC, has[line], -1)
