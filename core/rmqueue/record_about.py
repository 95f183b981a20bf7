"""What ``recording.json`` says of a recorded kernel."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from rmqueue.errors import RecordError
from rmqueue.record_scan import Summary
from rmqueue.record_settings import (
    COUNTS,
    PROC_FILES,
    START_STATE_NOTE,
    RecordSettings,
)
from rmqueue.tracefs import NEEDS_ROOT, sum_lost

ABOUT, FORMATS = "recording.json", "formats.txt"
_READ_BYTES = 1 << 20


class ProcFiles:
    """The files of /proc that are kept, opened before they are needed.

    They are read once on entering: the kernel keeps the memory that it prints them
    into, so a reading later on changes the free lists as little as it can.

    Parameters
    ----------
    proc : Path
        Where procfs is mounted.
    """

    def __init__(self, proc: Path) -> None:
        self.proc = proc
        self._handles: dict[str, int] = {}

    def __enter__(self) -> Self:
        try:
            for name in PROC_FILES:
                path = self.proc / name
                self._handles[name] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self.read(*PROC_FILES)
        except PermissionError:
            self.__exit__()
            raise RecordError(f"{path}: {NEEDS_ROOT}") from None
        except OSError as error:
            self.__exit__()
            raise RecordError(f"{path}: {error.strerror}") from None
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles.values():
            os.close(handle)

    def read(self, *names: str) -> dict[str, bytes]:
        """Read files anew, in this order."""
        return {name: _read_again(self._handles[name]) for name in names}


def _read_again(handle: int) -> bytes:
    os.lseek(handle, 0, os.SEEK_SET)
    return b"".join(iter(lambda: os.read(handle, _READ_BYTES), b""))


def count_cpus(zoneinfo: bytes) -> int:
    r"""Count the CPUs that zones have lists for.

    Examples
    --------
    >>> count_cpus(b"  pagesets\n    cpu: 0\n    count: 9\n    cpu: 1\n")
    2
    """
    numbers = re.findall(rb"^ *cpu: (\d+)$", zoneinfo, re.MULTILINE)
    return max(map(int, numbers), default=0) + 1


def free_kb(meminfo: bytes) -> int:
    r"""Free memory [KiB].

    Examples
    --------
    >>> free_kb(b"MemTotal:         924240 kB\nMemFree:          128280 kB\n")
    128280
    """
    match = re.search(rb"^MemFree: *(\d+) kB", meminfo, re.MULTILINE)
    return int(match[1]) if match else 0


def page_block_order(pagetypeinfo: bytes) -> int | None:
    r"""Order of a pageblock, None if the file does not say it.

    Examples
    --------
    >>> page_block_order(b"Page block order: 9\nPages per block:  512\n")
    9
    """
    match = re.match(rb"Page block order: *(\d+)", pagetypeinfo)
    return int(match[1]) if match else None


@dataclass(frozen=True, eq=False)
class Taken:
    """What was taken from the kernel, beside the trace.

    Attributes
    ----------
    events, missing_events : tuple of str
        Events that were on, and welcome ones that the kernel lacks.
    buffer_kb, trace_clock : str
        What the kernel says of the instance.
    start, end : mapping
        Files of /proc by name.
    stats : mapping
        What the kernel counted, by CPU.
    exit_status : int or None
        Exit status of the command; None if it was not waited for.
    stopped_by : str or None
        Signal that ended the recording.
    """

    events: tuple[str, ...]
    missing_events: tuple[str, ...]
    buffer_kb: str
    trace_clock: str
    start: Mapping[str, bytes]
    end: Mapping[str, bytes]
    stats: Mapping[str, Mapping[str, str]]
    exit_status: int | None
    stopped_by: str | None


def describe(
    settings: RecordSettings, taken: Taken, found: Summary, version: str
) -> dict[str, Any]:
    """Make the content of ``recording.json``.

    Parameters
    ----------
    settings : RecordSettings
        What was asked for.
    taken : Taken
        What the kernel gave.
    found : Summary
        What the trace holds.
    version : str
        Version of rmqueue.
    """
    span = (found.last_ts or 0.0) - (found.first_ts or 0.0)
    return {
        "name": settings.folder.name,
        "recorded_by": f"rmqueue {version}",
        **_kernel(settings.proc, taken),
        "workload_cmd": shlex.join(settings.command),
        "command": list(settings.command),
        "exit_status": taken.exit_status,
        "stopped_by": taken.stopped_by,
        "format": "tracefs",
        "trace_clock": taken.trace_clock,
        "buffer_kb_per_cpu": taken.buffer_kb,
        "enabled_events": list(taken.events),
        "missing_events": list(taken.missing_events),
        "events": dict(found.events.most_common()),
        "events_per_cpu": {
            str(cpu): found.per_cpu[cpu] for cpu in sorted(found.per_cpu)
        },
        "first_ts": found.first_ts,
        "last_ts": found.last_ts,
        "duration_s": round(span, 6),
        "markers": [list(mark) for mark in found.markers],
        "unparsed_lines": found.unparsed_lines,
        "out_of_order_lines": found.out_of_order,
        "per_cpu_stats": {cpu: dict(stats) for cpu, stats in taken.stats.items()},
        "lost_events": {
            **sum_lost(taken.stats),
            "lost lines": found.lost_lines,
            "events of lost lines": found.lost_events,
        },
        "start_state": {
            "exact": False,
            "from": [f"start-{name}.txt" for name in COUNTS],
            "note": START_STATE_NOTE,
        },
        "events_while_read": found.while_read,
        "paths": paths(settings.trace_name),
    }


def _kernel(proc: Path, taken: Taken) -> dict[str, Any]:
    """Keys that describe the machine."""
    return {
        "kernel_package": _line(proc / "sys/kernel/osrelease"),
        "kernel_version": _line(proc / "version"),
        "kernel_cmdline": _line(proc / "cmdline"),
        "cpus": count_cpus(taken.start["zoneinfo"]),
        "page_block_order": page_block_order(taken.start["pagetypeinfo"]),
    }


def _line(path: Path) -> str:
    """Return the only line of a file of /proc."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror}") from None


def paths(trace_name: str) -> dict[str, str]:
    """Files of the folder by what they are.

    Examples
    --------
    >>> list(paths("trace.txt.gz").items())[-2:]
    [('formats', 'formats.txt'), ('trace', 'trace.txt.gz')]
    """
    named = {
        f"{when}_{name}": f"{when}-{name}.txt"
        for when in ("start", "end")
        for name in PROC_FILES
    }
    return {**named, "formats": FORMATS, "trace": trace_name}
