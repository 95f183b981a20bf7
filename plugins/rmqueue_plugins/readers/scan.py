"""The scanner: text of a trace to rows of `EVENTS`, a byte at a time, jitted.

One scanner reads what tracefs, trace-cmd and perf write: they differ only in front of
the event (`rmqueue_plugins.readers.prefix`).  Of an event's fields those are read that
`rmqueue_plugins.readers.layout` lists; what stands between them does not matter.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rmqueue.mm.jit import I64, compile_entry, jit, load_i64, store_i64, view_as
from rmqueue.trace.events import EVENT_NAMES, EVENTS, FALLBACK, MARK, OTHER
from rmqueue_plugins.readers.bytescan import (
    byte,
    find,
    number,
    same,
    skip_spaces,
)
from rmqueue_plugins.readers.prefix import find_name

#: Where the scanner is, and where it leaves what it finds.
SCAN = np.dtype(
    [
        (name, "i8")
        for name in (
            *("at", "end", "line", "dashed"),  # text; dashed: a dash before the PID
            *("rows", "nr_rows", "most_rows"),
            *("notes", "nr_notes", "most_notes"),
            *("nr_lines", "nr_others"),
            *("cpu", "irq", "time_us"),  # of the line at hand
        )
    ],
    align=True,
)
#: What is noted about a line: a reason, its number, where it begins and ends (of a
#: mark: its text), and the row or, of a broken line, where in the tables its event is.
NOTE_WORDS = 6
NO_PREFIX, NO_NAME, NO_FIELD, NO_VALUE, UNALIGNED, MARKED = range(6)

#: Words of a field's record: its key (where, how long), form, slot of its value, limit.
FIELD_WORDS = 5
DECIMAL, HEXADECIMAL, RANGE, GFP = range(4)
#: Words of a kind's record: name (where, how long), first field, number of fields.
KIND_WORDS = 4
#: Slots of values; the names are those of `EVENTS`.
SLOTS = (
    *("pfn", "end", "order", "mt", "fallback_order", "fallback_mt", "claim"),
    *("refill", "taken", "movable", "pageblock_order"),
)
PFN, END, ORDER, MT, FALLBACK_ORDER, FALLBACK_MT, CLAIM = range(7)
REFILL, TAKEN, MOVABLE, PAGEBLOCK_ORDER = range(7, len(SLOTS))

#: Behind the kinds of events: what trace-cmd and perf put in front of a mark.
PRINT = len(EVENT_NAMES)
ROW_BYTES = EVENTS.itemsize

_TAB, _NL, _CR, _SPACE, _HASH, _LEFT, _RIGHT = 9, 10, 13, 32, 35, 40, 41
_COLON, _LESS, _EQUALS, _X = 58, 60, 61, 120

scan_at, row_at = view_as(SCAN), view_as(EVENTS)


@jit
def kind_of(text: Any, at: int, end: int, words: Any, tables: Any) -> int:
    """Kind of the event that is named between two positions, `OTHER` if unknown."""
    for kind in range(1, load_i64(tables, 0)):
        record = KIND_WORDS * kind
        if load_i64(tables, record + 1) == end - at and same(
            text, at, words, load_i64(tables, record), end - at
        ):
            return kind
    return OTHER


@jit
def read_range(text: Any, at: int, end: int, values: Any) -> int:
    """Read ``(0xA ~ 0xB)``; return what stands behind it, or -1."""
    if byte(text, at) != _LEFT:
        return -1
    middle = find(text, at, end, _SPACE)
    last = find(text, middle, end, _RIGHT)
    start, stop = number(text, at + 3, middle, 16), number(text, middle + 5, last, 16)
    store_i64(values, PFN, start)
    store_i64(values, END, stop)
    return last + 1 if start >= 0 and stop >= 0 and last < end else -1


@jit
def is_movable(text: Any, at: int, end: int, words: Any, tables: Any) -> bool:
    """Whether gfp flags hold MOVABLE, be it in HIGHUSER_MOVABLE or TRANSHUGE."""
    first, second = load_i64(tables, 1), load_i64(tables, 2)
    while at < end:
        character = byte(text, at)
        if character == 77 and same(text, at, words, first, 7):
            return True
        if character == 84 and same(text, at, words, second, 9):
            return True
        at += 1
    return False


@jit
def read_value(
    text: Any, at: int, end: int, field: int, words: Any, tables: Any, values: Any
) -> int:
    """Read the value of a field into its slot; return its end, or -1."""
    form, slot = load_i64(tables, field + 2), load_i64(tables, field + 3)
    if form == RANGE:
        return read_range(text, at, end, values)
    stop = find(text, at, end, _SPACE)
    if form == DECIMAL:
        value = number(text, at, stop, 10)
    elif form == HEXADECIMAL:
        value = number(text, at + 2, stop, 16) if byte(text, at + 1) == _X else -1
    else:
        value = 1 if is_movable(text, at, stop, words, tables) else 0
    if value < 0 or value > load_i64(tables, field + 4):
        return -1
    store_i64(values, slot, value)
    return stop


@jit
def find_key(text: Any, at: int, end: int, field: int, words: Any, tables: Any) -> int:
    """Where the value of a field begins, after whatever stands before it, or -1."""
    start: int = load_i64(tables, field)
    length: int = load_i64(tables, field + 1)
    while at < end:
        at = skip_spaces(text, at, end)
        stop = at + length
        if (
            stop < end
            and byte(text, stop) == _EQUALS
            and same(text, at, words, start, length)
        ):
            return stop + 1
        at = find(text, at, end, _SPACE)
    return -1


@jit
def note(scan: Any, reason: int, start: int, end: int, row: int, part: int) -> None:
    """Note something about the line at hand; the loop has made sure of the room."""
    at = scan.notes + 8 * NOTE_WORDS * scan.nr_notes
    store_i64(at, 0, reason)
    store_i64(at, 1, scan.line)
    store_i64(at, 2, start)
    store_i64(at, 3, end)
    store_i64(at, 4, row)
    store_i64(at, 5, part)
    scan.nr_notes += 1


@jit
def write_row(scan: Any, kind: int, values: Any) -> None:
    """Append a row of `EVENTS`."""
    row = row_at(scan.rows + ROW_BYTES * scan.nr_rows)
    row.line, row.kind, row.irq = scan.line, kind, scan.irq
    row.cpu, row.time_us = scan.cpu, scan.time_us
    row.pfn, row.end = load_i64(values, PFN), load_i64(values, END)
    row.order, row.mt = load_i64(values, ORDER), load_i64(values, MT)
    row.fallback_order = load_i64(values, FALLBACK_ORDER)
    row.fallback_mt = load_i64(values, FALLBACK_MT)
    row.claim, row.refill = load_i64(values, CLAIM), load_i64(values, REFILL)
    row.taken, row.movable = load_i64(values, TAKEN), load_i64(values, MOVABLE)
    row.fragmenting = -1
    if kind == FALLBACK:  # what trace-cmd and perf print there is not the kernel's
        whole = load_i64(values, PAGEBLOCK_ORDER)
        row.fragmenting = 1 if load_i64(values, FALLBACK_ORDER) < whole else 0
    scan.nr_rows += 1


@jit
def scan_fields(
    text: Any, at: int, end: int, kind: int, words: Any, tables: Any, values: Any
) -> int:
    """Read an event's fields; return -1, or what is wrong and, shifted, in which."""
    for slot in range(len(SLOTS)):
        store_i64(values, slot, -1)
    first = load_i64(tables, KIND_WORDS * kind + 2)
    for ordinal in range(load_i64(tables, KIND_WORDS * kind + 3)):
        field = first + FIELD_WORDS * ordinal
        at = find_key(text, at, end, field, words, tables)
        if at < 0:
            return NO_FIELD + 256 * ordinal
        at = read_value(text, at, end, field, words, tables, values)
        if at < 0 or (at < end and byte(text, at) != _SPACE):
            return NO_VALUE + 256 * ordinal
    pfn, order = load_i64(values, PFN), load_i64(values, ORDER)
    if pfn >= 0 and order >= 0 and pfn & ((1 << order) - 1) != 0:
        return UNALIGNED
    return -1


@jit
def scan_line(
    text: Any, start: int, end: int, words: Any, tables: Any, values: Any, scan: Any
) -> None:
    """Read a line that should be an event."""
    name = find_name(text, start, end, scan)
    if name < 0:
        note(scan, NO_PREFIX, start, end, 0, 0)
        return
    stop = find(text, name, end, _COLON)
    if scan.dashed == 0 and stop + 1 < end and byte(text, stop + 1) != _SPACE:
        name = stop + 1  # behind the name of the system
        stop = find(text, name, end, _COLON)
    kind = kind_of(text, name, stop, words, tables) if stop < end else OTHER
    if kind == PRINT:
        name = skip_spaces(text, stop + 1, end)
        stop = find(text, name, end, _COLON)
        kind = kind_of(text, name, stop, words, tables)
        if kind != MARK:
            scan.nr_others += 1
            return
    if kind == OTHER:
        named = find(text, name, stop, _SPACE) == stop and name < stop < end
        if named or byte(text, name) == _LESS:  # <stack trace>
            scan.nr_others += 1
        else:
            note(scan, NO_NAME, start, end, 0, 0)
        return
    wrong = scan_fields(text, stop + 1, end, kind, words, tables, values)
    if wrong >= 0:
        note(scan, wrong & 255, start, end, kind, wrong >> 8)
        return
    if kind == MARK:
        note(scan, MARKED, stop + 1, end, scan.nr_rows, 0)
    write_row(scan, kind, values)


def scan_text(text: Any, words: Any, tables: Any, values: Any, address: Any) -> int:
    """Scan whole lines until text, rows or notes are used up.

    Parameters
    ----------
    text : int64
        Address of the text.  There is a line end before its first line, and 64 bytes
        on either side of it can be read.
    words, tables : int64
        Addresses of `rmqueue_plugins.readers.layout.WORDS` and ``TABLES``.
    values : int64
        Address of a word for each of `SLOTS`.
    address : int64
        Address of the `SCAN` record.

    Returns
    -------
    int64
        Rows so far.
    """
    scan = scan_at(address)
    while scan.at < scan.end:
        if scan.nr_rows >= scan.most_rows or scan.nr_notes >= scan.most_notes:
            break
        start = scan.at
        end = find(text, start, scan.end, _NL)
        scan.at = end + 1
        scan.line += 1
        if end > start and byte(text, end - 1) == _CR:
            end -= 1
        first = byte(text, start)
        remark = first == _HASH or first == _TAB  # a tab: a call chain of perf
        if first == _SPACE and byte(text, start + 1) == _EQUALS:
            remark = True  # " => ": a stack trace of tracefs
        if end > start and not remark:
            scan.nr_lines += 1
            scan_line(text, start, end, words, tables, values, scan)
    return int(scan.nr_rows)


def compile_scanner(folder: Path) -> Any:
    """Compile the scanner, or take it from a folder of compiled code."""
    return compile_entry(scan_text, (I64, I64, I64, I64, I64, I64), folder)
