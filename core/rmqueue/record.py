"""Record the page allocator of the running kernel while a command runs.

Nothing of it stays behind: the instance of tracefs is removed whatever happens, and the
folder is made beside its place and renamed when it is whole.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from rmqueue.errors import RecordError, UsageError
from rmqueue.output import PartialFolder
from rmqueue.record_about import (
    ABOUT,
    FORMATS,
    ProcFiles,
    Taken,
    count_cpus,
    describe,
    free_kb,
)
from rmqueue.record_child import LOOK_UP_S, Command, check_command
from rmqueue.record_drain import Drain, open_sink
from rmqueue.record_scan import Summary, summarize
from rmqueue.record_settings import (
    COUNTS,
    FIRST_MARK,
    LAST_MARK,
    NEEDED_EVENTS,
    PROC_FILES,
    READ_MARK,
    READING_MARK,
    TRACE_CLOCK,
    TRACE_OPTIONS,
    WELCOME_EVENTS,
    RecordSettings,
    choose_buffer_kb,
)
from rmqueue.record_wakeups import WakeUps
from rmqueue.tracefs import Instance, choose_events, find_tracefs, sum_lost

#: A shell's exit status of what a signal has ended, less the signal.
BY_SIGNAL = 128


def record(settings: RecordSettings) -> int:
    """Record the running kernel while a command runs.

    Parameters
    ----------
    settings : RecordSettings
        What to record, and where to.

    Returns
    -------
    int
        Exit status: the command's, or 128 and the number of the signal that ended it
        or the recording.

    Raises
    ------
    UsageError
        There is no command, or the folder exists.
    RecordError
        The kernel cannot be recorded, or the disk is full; nothing is left behind.
    KeyboardInterrupt
        A second signal came before the recording was whole; nothing is left behind.
    """
    check_command(settings.command)
    if os.path.lexists(settings.folder):
        raise UsageError(f"{settings.folder}: exists: name another folder by --output")
    tracefs = find_tracefs(settings.tracefs)
    events = choose_events(tracefs, NEEDED_EVENTS, WELCOME_EVENTS)
    try:
        with WakeUps() as wakeups, PartialFolder(settings.folder) as folder:
            with (
                ProcFiles(settings.proc) as proc,
                Instance(tracefs, f"rmqueue-{os.getpid()}") as instance,
            ):
                set_up(instance, settings, events, proc)
                taken = take(instance, settings, events, proc, folder.path, wakeups)
            found = complete(folder.path, settings, taken, tracefs, wakeups)
            folder.keep()
    except OSError as error:
        place = error.filename or settings.folder
        raise RecordError(
            f"{place}: {error.strerror or error}: nothing is kept"
        ) from None
    report(settings, taken, found)
    return exit_status(taken, wakeups)


def set_up(
    instance: Instance,
    settings: RecordSettings,
    events: Sequence[str],
    proc: ProcFiles,
) -> None:
    """Prepare an instance so that only `tracing_on` is missing.

    Raises
    ------
    RecordError
        The kernel refuses something.
    """
    files = proc.read("meminfo", "zoneinfo")
    buffer_kb = settings.buffer_kb or choose_buffer_kb(
        free_kb(files["meminfo"]), count_cpus(files["zoneinfo"])
    )
    instance.set("tracing_on", 0)
    instance.set("trace_clock", TRACE_CLOCK)
    instance.set("buffer_size_kb", buffer_kb)
    for option, value in TRACE_OPTIONS:
        instance.set_if_there(f"options/{option}", value)
    for event in events:
        instance.set(f"events/{event}/enable", 1)


def take(
    instance: Instance,
    settings: RecordSettings,
    events: tuple[str, ...],
    proc: ProcFiles,
    folder: Path,
    wakeups: WakeUps,
) -> Taken:
    """Run the command under an instance that is set up.

    Raises
    ------
    RecordError
        The kernel refuses something, or the trace cannot be written.
    KeyboardInterrupt
        Somebody did not want to wait for the end of the trace.
    """
    buffer_kb, clock = instance.get("buffer_size_kb"), instance.get("trace_clock")
    sink = open_sink(folder / settings.trace_name)
    pipe = instance.path / "trace_pipe"
    with Drain(pipe, sink, instance.is_empty, wakeups.wake) as drain:
        instance.set("tracing_on", 1)
        start = read_start(instance, proc)
        wakeups.wait(0)
        if wakeups.stopped_by is not None:
            raise KeyboardInterrupt
        with Command(settings.command) as command:
            command.wait(wakeups, drain)
            end = read_end(instance, proc)
            command.end(wakeups)
        finish(drain, wakeups)
    return Taken(
        events=events,
        missing_events=tuple(name for name in WELCOME_EVENTS if name not in events),
        buffer_kb=buffer_kb,
        trace_clock=clock,
        start=start,
        end=end,
        stats=instance.stats(),
        exit_status=command.child.returncode if wakeups.stopped_by is None else None,
        stopped_by=wakeups.stopped_by.name if wakeups.stopped_by else None,
    )


def read_start(instance: Instance, proc: ProcFiles) -> dict[str, bytes]:
    """Read /proc, the counts of free blocks last, and open the window."""
    start = proc.read(*PROC_FILES[: -len(COUNTS)])
    instance.mark(READING_MARK)
    counts = proc.read(*COUNTS)
    instance.mark(FIRST_MARK)
    return {**start, **counts}


def read_end(instance: Instance, proc: ProcFiles) -> dict[str, bytes]:
    """Close the window, read /proc, the counts of free blocks first, and end it."""
    instance.mark(LAST_MARK)
    end = proc.read(*reversed(COUNTS))
    instance.mark(READ_MARK)
    instance.set("tracing_on", 0)
    return {**end, **proc.read(*PROC_FILES[: -len(COUNTS)])}


def finish(drain: Drain, wakeups: WakeUps) -> None:
    """Wait until the whole trace is written; a second signal ends the patience."""
    stops = wakeups.stops
    drain.finish()
    while not drain.is_done:
        wakeups.wait(LOOK_UP_S)
        give_up(wakeups, stops)
    if isinstance(drain.error, RecordError | OSError):
        raise drain.error
    if drain.error is not None:
        raise RecordError(f"the trace cannot be written: {drain.error}")


def give_up(wakeups: WakeUps, stops: int) -> None:
    """Leave if more signals came than were heeded."""
    if wakeups.stops > max(stops, 1):
        raise KeyboardInterrupt


def complete(
    folder: Path,
    settings: RecordSettings,
    taken: Taken,
    tracefs: Path,
    wakeups: WakeUps,
) -> Summary:
    """Write everything beside the trace."""
    for when, files in (("start", taken.start), ("end", taken.end)):
        for name, content in files.items():
            (folder / f"{when}-{name}.txt").write_bytes(content)
    formats = [(tracefs / "events" / e / "format").read_bytes() for e in taken.events]
    (folder / FORMATS).write_bytes(b"".join(formats))
    stops = wakeups.stops

    def breathe() -> None:
        wakeups.wait(0)
        give_up(wakeups, stops)

    found = summarize(folder / settings.trace_name, breathe)
    about = describe(settings, taken, found, version("rmqueue"))
    (folder / ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return found


def exit_status(taken: Taken, wakeups: WakeUps) -> int:
    """Exit status to leave with, as a shell would put it."""
    if wakeups.stopped_by is not None:
        return BY_SIGNAL + wakeups.stopped_by
    status = taken.exit_status or 0
    return status if status >= 0 else BY_SIGNAL - status


def report(settings: RecordSettings, taken: Taken, found: Summary) -> None:
    """Say on stderr what was recorded; stdout is the command's."""
    span = (found.last_ts or 0.0) - (found.first_ts or 0.0)
    lines = [f"{settings.folder}: {found.lines:,} events in {span:.3f} s"]
    if taken.stopped_by:
        lines.append(
            f"stopped by {taken.stopped_by}: kept what was recorded until then"
        )
    lost = max(sum(sum_lost(taken.stats).values()), found.lost_events)
    if lost or found.lost_lines:
        lines.append(
            f"{lost:,} events were lost: the trace cannot be replayed exactly; record "
            f"again with --buffer-kb above {taken.buffer_kb}"
        )
    if not found.has_window():
        lines.append("a mark of the window was lost: readers will refuse the trace")
    for line in lines:
        print(f"rmqueue: {line}", file=sys.stderr)
