"""The scanner: text of a trace to rows of numbers, a byte at a time, jitted.

One scanner reads what tracefs, trace-cmd and perf write: they differ only in front of
the event (`rmqueue_plugins.readers.prefix`).  Of an event's fields those are read that
`rmqueue_plugins.readers.layout` lists; what stands between them does not matter.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rmqueue.mm.jit import I64, compile_entry, jit, load_i64, store_i64, view_as
from rmqueue.trace.events import EVENT_NAMES, MARK, OTHER
from rmqueue_plugins.readers.bytescan import byte, find, number, same
from rmqueue_plugins.readers.prefix import read_prefix

#: Where the scanner is, and where it leaves what it finds.
SCAN = np.dtype(
    [
        (name, "i8")
        for name in (
            *("at", "end", "line", "dashed"),  # text; dashed: a dash before the PID
            *("rows", "nr_rows", "most_rows"),
            *("notes", "nr_notes", "most_notes"),
            *("nr_lines", "nr_others"),
        )
    ],
    align=True,
)
#: What is noted about a line: a reason, its number, where it begins and ends (of a
#: mark: its text), and the row, or the kind of event and which of its fields is wrong.
NOTE_WORDS = 5
NO_PREFIX, NO_NAME, NO_FIELD, NO_VALUE, UNALIGNED, MARKED = range(6)

#: Words of a field's record: its key (where, how long), form, slot of its value, limit.
FIELD_WORDS = 5
DECIMAL, HEXADECIMAL, RANGE, GFP = range(4)
#: Words of a kind's record: name (where, how long), first field, number of fields.
KIND_WORDS = 4
#: Words of a row; the names are those of `EVENTS`, but for the last.  Those of
#: `rmqueue_plugins.readers.prefix` come first.
SLOTS = (
    *("cpu", "irq", "time_us", "line", "kind", "pfn", "end", "order", "mt"),
    *("fallback_order", "fallback_mt", "claim", "refill", "taken", "movable"),
    "pageblock_order",
)
LINE, KIND, PFN, END, ORDER, MT, FALLBACK_ORDER, FALLBACK_MT = range(3, 11)
CLAIM, REFILL, TAKEN, MOVABLE, PAGEBLOCK_ORDER = range(11, 16)
ROW_WORDS = len(SLOTS)

#: Behind the kinds of events: what trace-cmd and perf put in front of a mark.
PRINT = len(EVENT_NAMES)

_TAB, _NL, _CR, _SPACE, _HASH, _RIGHT = 9, 10, 13, 32, 35, 41
_COLON, _LESS, _EQUALS, _M, _T, _X = 58, 60, 61, 77, 84, 120

scan_at = view_as(SCAN)


@jit
def kind_of(text: Any, at: int, end: int, tables: Any) -> int:
    """Kind of the event that is named between two positions, `OTHER` if unknown."""
    for kind in range(1, load_i64(tables, 0)):
        record = KIND_WORDS * kind
        if load_i64(tables, record + 1) == end - at and same(
            text, at, load_i64(tables, record), end - at
        ):
            return kind
    return OTHER


@jit
def is_movable(text: Any, at: int, end: int, tables: Any) -> bool:
    """Whether gfp flags hold MOVABLE, be it in HIGHUSER_MOVABLE or TRANSHUGE."""
    first, second = load_i64(tables, 1), load_i64(tables, 2)
    while at < end:
        character = byte(text, at)
        if character == _M and same(text, at, first, 7):
            return True
        if character == _T and same(text, at, second, 9):
            return True
        at += 1
    return False


@jit
def read_value(text: Any, at: int, end: int, field: int, tables: Any, row: Any) -> int:
    """Read the value of a field into its slot; return its end, or -1."""
    form = load_i64(tables, field + 2)
    stop = find(text, at, end, _RIGHT if form == RANGE else _SPACE)
    if form == DECIMAL:
        value = number(text, at, stop, 10)
    elif form == HEXADECIMAL:
        value = number(text, at + 2, stop, 16) if byte(text, at + 1) == _X else -1
    elif form == RANGE:  # (0xA ~ 0xB)
        middle = find(text, at, stop, _SPACE)
        last = number(text, middle + 5, stop, 16)
        value = number(text, at + 3, middle, 16) if last >= 0 and stop < end else -1
        store_i64(row, END, last)
        stop += 1
    else:
        value = 1 if is_movable(text, at, stop, tables) else 0
    store_i64(row, load_i64(tables, field + 3), value)
    return stop if 0 <= value <= load_i64(tables, field + 4) else -1


@jit
def find_key(text: Any, at: int, end: int, field: int, tables: Any) -> int:
    """Where the value of a field begins, after whatever stands before it, or -1."""
    start, length = load_i64(tables, field), load_i64(tables, field + 1)
    while at + length < end:
        if byte(text, at + length) == _EQUALS and same(text, at, start, length):
            return int(at + length + 1)
        at = find(text, at, end, _SPACE) + 1
    return -1


@jit
def scan_fields(text: Any, at: int, end: int, kind: int, tables: Any, row: Any) -> int:
    """Read an event's fields; return -1, or what is wrong and, shifted, in which."""
    for slot in range(PFN, ROW_WORDS):
        store_i64(row, slot, -1)
    first = load_i64(tables, KIND_WORDS * kind + 2)
    for ordinal in range(load_i64(tables, KIND_WORDS * kind + 3)):
        field = first + FIELD_WORDS * ordinal
        at = find_key(text, at, end, field, tables)
        if at < 0:
            return NO_FIELD + 256 * ordinal
        at = read_value(text, at, end, field, tables, row)
        if at < 0 or (at < end and byte(text, at) != _SPACE):
            return NO_VALUE + 256 * ordinal
    order = load_i64(row, ORDER)
    if order >= 0 and load_i64(row, PFN) & ((1 << order) - 1) != 0:
        return UNALIGNED
    return -1


@jit
def note(scan: Any, reason: int, start: int, end: int, what: int) -> None:
    """Note something about the line at hand; the loop has made sure of the room."""
    at = scan.notes + 8 * NOTE_WORDS * scan.nr_notes
    store_i64(at, 0, reason)
    store_i64(at, 1, scan.line)
    store_i64(at, 2, start)
    store_i64(at, 3, end)
    store_i64(at, 4, what)
    scan.nr_notes += 1


@jit
def find_event(text: Any, at: int, end: int, dashed: int, row: Any) -> int:
    """Where a line goes on behind prefix and time stamp, or -1."""
    while at < end:
        at = find(text, at, end, _COLON) + 1
        if (
            at < end
            and byte(text, at) == _SPACE
            and read_prefix(text, at - 1, dashed, row)
        ):
            return at
    return -1


@jit
def scan_line(text: Any, start: int, end: int, tables: Any, scan: Any) -> None:
    """Read a line that should be an event."""
    row = scan.rows + 8 * ROW_WORDS * scan.nr_rows
    at = find_event(text, start, end, scan.dashed, row)
    if at < 0:
        note(scan, NO_PREFIX, start, end, 0)
        return
    kind, printed, name = PRINT, False, at
    while kind == PRINT:
        while byte(text, at) == _SPACE:
            at += 1
        name, stop = at, find(text, at, end, _COLON)
        at = stop + 1
        if scan.dashed == 0 and at < end and byte(text, at) != _SPACE:
            continue  # behind the name of the system
        kind = kind_of(text, name, stop, tables) if stop < end else OTHER
        if printed and kind != MARK:
            kind = OTHER
        printed = printed or kind == PRINT
    if kind == OTHER:
        named = name + 1 < at <= end and find(text, name, at, _SPACE) == at
        if printed or named or byte(text, name) == _LESS:  # <stack trace>
            scan.nr_others += 1
        else:
            note(scan, NO_NAME, start, end, 0)
        return
    store_i64(row, LINE, scan.line)
    store_i64(row, KIND, kind)
    wrong = scan_fields(text, at + 1, end, kind, tables, row)
    if wrong >= 0:
        note(scan, wrong & 255, start, end, 256 * kind + (wrong >> 8))
        return
    if kind == MARK:
        note(scan, MARKED, at, end, scan.nr_rows)
    scan.nr_rows += 1


def scan_text(text: Any, tables: Any, address: Any) -> int:
    """Scan whole lines until text, rows or notes are used up.

    Parameters
    ----------
    text : int64
        Address of the text.  There is a line end before its first line, and 64 bytes
        on either side of it can be read.
    tables : int64
        Address of the tables of `rmqueue_plugins.readers.layout`; the words that they
        point to are in the same buffer as the text.
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
            scan_line(text, start, end, tables, scan)
    return int(scan.nr_rows)


def compile_scanner(folder: Path) -> Any:
    """Compile the scanner, or take it from a folder of compiled code."""
    return compile_entry(scan_text, (I64, I64, I64, I64), folder)
