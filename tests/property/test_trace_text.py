"""Whatever events are written as text are read back as they were."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rmqueue.errors import TraceError
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
    Events,
)
from rmqueue_plugins.readers.tracefs import chunks_of, parse

#: Lines of real recordings, a few of each tool.
_REAL = [
    line
    for path in sorted((Path(__file__).parents[1] / "unit" / "traces").iterdir())
    for line in path.read_bytes().splitlines()[::25]
]

ORDERS, TYPES, BITS = st.integers(0, 13), st.integers(0, 7), st.integers(0, 1)
PFNS = st.integers(0, 1 << 38)
#: Columns of each kind beside order and pfn.
COLUMNS: dict[int, dict[str, st.SearchStrategy[int]]] = {
    ALLOC: {"mt": TYPES, "movable": BITS},
    LOCKED: {"mt": TYPES, "refill": BITS},
    FALLBACK: {
        "mt": TYPES,
        "fallback_mt": TYPES,
        "fallback_order": ORDERS,
        "claim": BITS,
        "fragmenting": BITS,
    },
    FREE: {},
    BATCHED: {},
    DRAIN: {"mt": TYPES},
    ISOLATE: {"end": PFNS, "taken": st.integers(0, 2**31 - 1)},
}
#: Names of tasks: 15 bytes at most, anything but a line end.
TASKS = st.text(
    st.one_of(
        st.sampled_from("-[]:. 019"), st.characters(min_codepoint=33, codec="utf-8")
    ),
    min_size=1,
    max_size=15,
).filter(lambda name: len(name.encode()) <= 15 and not set(name) & set("\n\r\t"))


@st.composite
def rows(draw: st.DrawFn) -> dict[str, int]:
    """Draw one event."""
    kind = draw(st.sampled_from(sorted(COLUMNS)))
    row = {"kind": kind, "cpu": draw(st.integers(0, 4095))}
    row["time_us"] = draw(st.integers(0, 10**13))
    row["irq"] = ord(draw(st.sampled_from(".hsHzZ")))
    row["pfn"] = draw(PFNS)
    if kind != ISOLATE:
        row["order"] = draw(ORDERS)
        row["pfn"] = row["pfn"] >> row["order"] << row["order"]
    for name, values in COLUMNS[kind].items():
        row[name] = draw(values)
    return row


def words_of(row: dict[str, int]) -> str:
    """Write the fields of an event as the kernel does."""
    kind, pfn = row["kind"], row["pfn"]
    if kind == ISOLATE:
        end, taken = row["end"], row["taken"]
        return f"range=({pfn:#x} ~ {end:#x}) nr_scanned=9 nr_taken={taken}"
    page = f"page=00000000c0ffee00 pfn={pfn:#x} "
    if kind == FALLBACK:
        whole = row["fallback_order"] + row["fragmenting"]
        return page + (
            f"alloc_order={row['order']} fallback_order={row['fallback_order']} "
            f"pageblock_order={whole} alloc_migratetype={row['mt']} "
            f"fallback_migratetype={row['fallback_mt']} "
            f"fragmenting=10 change_ownership={row['claim']}"
        )
    words = f"{page}order={row['order']}"
    if "mt" in row:
        words += f" migratetype={row['mt']}"
    if kind == LOCKED:
        words += f" percpu_refill={row['refill']}"
    if kind == ALLOC:
        flags = "GFP_HIGHUSER_MOVABLE" if row["movable"] else "GFP_NOFS|__GFP_MOVE"
        words += f" gfp_flags={flags}|__GFP_ZERO"
    return words


def line_of(task: str, pid: int, row: dict[str, int], tool: str) -> str:
    """Write an event as one of the tools does."""
    event = f"{EVENT_NAMES[row['kind']]}: {words_of(row)}"
    seconds, micros = divmod(row["time_us"], 1_000_000)
    cpu, stamp = f"[{row['cpu']:03}]", f"{seconds:5}.{micros:06}:"
    if tool == "perf-script":
        return f"{task:>16} {pid:5} {cpu} {stamp} {'kmem:' + event:>40}\n"
    if tool == "trace-cmd":
        return f"{task:>16}-{pid:<5} {cpu} {stamp} {event.replace(': ', ':    ', 1)}\n"
    return f"{task:>16}-{pid:<7} {cpu} d.{row['irq']:c}2. {stamp} {event}\n"


def expected(written: list[dict[str, int]], tool: str) -> Events:
    """Rows that the text must give."""
    events = np.full(len(written), -1, EVENTS)
    for at, row in enumerate(written):
        values: dict[str, Any] = {**row, "line": at + 2}
        if tool != "tracefs":
            values["irq"] = 0
        for name, value in values.items():
            events[name][at] = value
    return events


@settings(max_examples=60, deadline=None)
@given(
    written=st.lists(rows(), min_size=1, max_size=20),
    task=TASKS,
    pid=st.integers(0, 4_194_304),
    tool=st.sampled_from(["tracefs", "trace-cmd", "perf-script"]),
)
def test_text_gives_back_the_events(
    written: list[dict[str, int]], task: str, pid: int, tool: str
) -> None:
    heads = {"tracefs": "# tracer: nop", "trace-cmd": "cpus=8"}
    head = heads.get(tool, "# captured on    : now")
    text = head + "\n" + "".join(line_of(task, pid, row, tool) for row in written)
    trace = parse(text.encode(), tool)
    assert trace.broken == ()
    assert (trace.events == expected(written, tool)).all()


@settings(max_examples=100, deadline=None)
@given(
    lines=st.lists(
        st.one_of(st.binary(max_size=80), st.sampled_from(_REAL)), max_size=8
    ),
    cuts=st.lists(st.tuples(st.integers(0, 900), st.binary(max_size=3)), max_size=6),
)
def test_whatever_is_read_every_line_is_accounted_for(
    lines: list[bytes], cuts: list[tuple[int, bytes]]
) -> None:
    text = bytearray(b"\n".join(lines))
    for at, word in cuts:
        text[at : at + len(word)] = word
    found = {"events": 0, "others": 0, "nr_broken": 0, "lines": 0}
    with suppress(TraceError):  # too many lines are broken
        for chunk in chunks_of(io.BytesIO(bytes(text)), "x"):
            found["events"] += len(chunk.events)
            for name in ("others", "nr_broken", "lines"):
                found[name] += getattr(chunk, name)
    counted = found["events"] + found["others"] + found["nr_broken"]
    assert counted == found["lines"]
