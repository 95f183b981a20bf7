"""A recording folder to a `Recording`: the window, its requests, and notes on both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rmqueue.errors import TraceError
from rmqueue.trace.events import ALLOC, MARK, Events, Trace
from rmqueue.types import RecordedZone, Recording
from rmqueue_plugins.readers import cache
from rmqueue_plugins.readers.folder import (
    ABOUT,
    STATES,
    TRACES,
    find,
    input_files,
    is_exact,
    need,
    read_json,
    take,
)
from rmqueue_plugins.readers.plausible import DEFAULT_SEED, make_start
from rmqueue_plugins.readers.requests import convert
from rmqueue_plugins.readers.state import Start, read_end_free, read_start
from rmqueue_plugins.readers.traces import read_trace

FIRST_MARK, LAST_MARK = "RMQ SNAP_start", "RMQ SNAP_end"
#: More takes than this of pages in use, and trace and state do not belong together.
MISFIT_SHARE = 0.02
_SAYS = {
    "bypassed": "frees went past a busy per-CPU list",
    "isolated": "free blocks were taken by compaction: movable requests",
    "isolations_not_found": "ranges were compacted in a way that cannot be told",
    "captured": "allocations came straight from a free: requests",
    "silently_taken": "frees of pages that left the lists unseen: movable requests",
    "freed_unseen": "takes of pages whose free was not seen: freed before",
    "drained_free": "drained pages were free already: left out",
}


def accepts(path: Path) -> bool:
    """Whether a path looks like a recording folder."""
    return path.is_dir() and find(path, (ABOUT, *STATES, *TRACES)) is not None


def read(path: Path, seed: int = DEFAULT_SEED) -> Recording:
    """Read a recording folder, or take what was made of it before.

    Parameters
    ----------
    path : Path
        Folder with ``recording.json``, ``state-start.json.xz``, ``pages-start.npz`` and
        ``trace.txt.xz`` or ``trace.txt``; ``state-end.json.xz`` is used if it is there.
        Without an exact state ``start-zoneinfo.txt``, ``start-buddyinfo.txt`` and
        ``start-pagetypeinfo.txt``, from which one is made up.
    seed : int
        Seed of a state that is made up.

    Raises
    ------
    TraceError
        A file is missing, damaged, or does not fit the others.
    """
    if not path.is_dir():
        raise TraceError(f"{path}: a recording is a folder: name the folder")
    files, how = input_files(path), "" if is_exact(path) else f"seed {seed}"
    return cache.through(files, lambda: convert_folder(path, seed), str(path), how)


def convert_folder(folder: Path, seed: int = DEFAULT_SEED) -> Recording:
    """Read a recording folder, always from its files."""
    opened = open_folder(folder, seed)
    start, trace = opened.start, opened.trace
    end_free = read_end_free(folder, start.max_pfn) if opened.exact else None
    zones = convert(opened.events, start, end_free)
    _refuse(zones, trace)
    notes = (*opened.notes, *_inferred_notes(zones))
    # a replay does not use the per-CPU lists of the start, and the converted form has
    # none: the digest of what is asked must not depend on where it comes from
    zones = tuple(replace(z, state=replace(z.state, pcps=())) for z in zones)
    return Recording(opened.name, str(folder), start.kernel, zones, notes)


@dataclass(frozen=True, eq=False)
class Opened:
    """A recording folder: what its files say, before anything is made of it.

    Attributes
    ----------
    name : str
        Name of the recording.
    about : mapping
        Its ``recording.json``.
    exact : bool
        Whether the start state is recorded, and not made up.
    trace : Trace
        The whole trace.
    events : ndarray of EVENTS
        Events of the window, with the kernel's migratetypes.
    start : Start
        State at its start.
    notes : tuple of str
        What a reader must know.
    """

    name: str
    about: Mapping[str, Any]
    exact: bool
    trace: Trace
    events: Events
    start: Start
    notes: tuple[str, ...]


def open_folder(folder: Path, seed: int) -> Opened:
    """Read the files of a recording folder.

    Parameters
    ----------
    folder : Path
        The recording.
    seed : int
        Seed of a start state that is made up.

    Raises
    ------
    TraceError
        A file is missing, damaged, or does not fit the others.
    """
    about = read_json(need(folder, (ABOUT,)))
    name, exact = take(about, "name", str, str(folder / ABOUT)), is_exact(folder)
    notes: list[str] = []
    if exact:
        start = read_start(folder, about)
    trace = read_trace(need(folder, TRACES))
    events = choose_window(trace, about, exact)
    if not exact:
        start, notes = make_start(folder, about, events, seed)
        if not trace.marks:
            notes.append("no marks in the trace: all of it is the window")
    notes = [*window_notes(about), *trace_notes(trace), *notes]
    return Opened(name, about, exact, trace, events, start, tuple(notes))


def choose_window(trace: Trace, about: Mapping[str, Any], exact: bool = True) -> Events:
    """Events between the two states: what is replayed.

    Notes
    -----
    The state at the start was taken at the marker ``RMQ SNAP_start``, that at the end
    at ``RMQ SNAP_end``; `closure.end_cut.handshake_events_applied` lines behind it had
    still an effect.  A trace that is itself a window (`window` in recording.json) ends
    with its last line.  Without an exact state a trace that has no marks at all (perf
    writes none) is the window.
    """
    if not exact and not trace.marks:
        return _without_failed(trace.events)
    marks = {text: index for index, text in reversed(trace.marks)}
    if FIRST_MARK not in marks:
        raise TraceError(
            f"{trace.name}: no line 'tracing_mark_write: {FIRST_MARK}': it must say "
            "where in the trace the start state was taken"
        )
    first, last = marks[FIRST_MARK], marks.get(LAST_MARK, len(trace.events))
    if LAST_MARK not in marks and "window" not in about:
        raise TraceError(
            f"{trace.name}: no line 'tracing_mark_write: {LAST_MARK}': the trace is "
            f"cut off; if it is meant to be a part, say so by a 'window' in {ABOUT}"
        )
    chosen = np.zeros(len(trace.events), np.bool_)
    chosen[first:last] = True
    if LAST_MARK in marks:
        behind = trace.events["line"] - trace.events["line"][last]
        chosen |= (behind > 0) & (behind <= _handshake(about))
    match about.get("window"):
        case {"lines": int(lines)} if trace.lines < lines:
            raise TraceError(
                f"{trace.name}: {trace.lines:,} lines, and {ABOUT} says {lines:,}: the "
                "trace is cut off: copy the file again"
            )
    window = _without_failed(trace.events[chosen])
    if not len(window):
        raise TraceError(
            f"{trace.name}: no event between '{FIRST_MARK}' and '{LAST_MARK}': the "
            "marks are in the wrong order, or nothing was recorded"
        )
    return window


def _without_failed(events: Events) -> Events:
    """Events that are neither marks nor failed allocations."""
    failed = (events["kind"] == ALLOC) & (events["pfn"] == 0)
    window: Events = events[(events["kind"] != MARK) & ~failed]
    return window


def _handshake(about: Mapping[str, Any]) -> int:
    """Lines behind the last marker that had an effect on the end state."""
    match about:
        case {"closure": {"end_cut": {"handshake_events_applied": int(lines)}}}:
            return lines
    return 0


def _refuse(zones: tuple[RecordedZone, ...], trace: Trace) -> None:
    """Refuse a trace that cannot have begun at the start state."""
    takes = sum(zone.recorded["pages"] for zone in zones)
    unseen = sum(zone.recorded["inferred"].get("freed_unseen", 0) for zone in zones)
    if not takes:
        raise TraceError(
            f"{trace.name}: nothing is requested from the zones of the start state: "
            "trace and state are of different recordings, or the trace is too short"
        )
    if unseen > 10 and unseen > MISFIT_SHARE * takes:
        raise TraceError(
            f"{trace.name}: {unseen} of {takes} requests take pages that are in use: "
            "trace and start state are of different recordings, or events were lost"
        )


def window_notes(about: Mapping[str, Any]) -> list[str]:
    """Say of which recording this is a part."""
    match about.get("window"):
        case {"of": str(whole), "lines": int(lines)}:
            return [f"a window: the first {lines:,} lines of {whole}"]
    return []


def trace_notes(trace: Trace) -> list[str]:
    """Say what of a trace could not be used."""
    notes = []
    for problem, found in (
        ("could not be read", trace.broken),
        ("say that events were lost", trace.lost),
    ):
        if found:
            notes.append(f"{len(found)} lines {problem}, the first is {found[0][0]}")
    return notes


def _inferred_notes(zones: tuple[RecordedZone, ...]) -> list[str]:
    counts: Counter[str] = Counter()
    for zone in zones:
        counts.update(zone.recorded["inferred"])
    return [f"{counts[key]:,} {says}" for key, says in _SAYS.items() if counts[key]]
