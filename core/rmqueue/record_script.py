"""The recorder as a shell script, for machines that have little else.

The script is ``record.sh``, behind assignments of what was asked for.  It needs a POSIX
shell, cat, mkdir, rmdir, rm, mv, sleep and a compressor.
"""

from __future__ import annotations

import json
import os
import shlex
from importlib.metadata import version
from pathlib import Path

from rmqueue.errors import UsageError
from rmqueue.record_settings import (
    COMPRESSORS,
    COUNTS,
    FIRST_MARK,
    FREE_SHARE,
    LAST_MARK,
    LEAST_KB,
    MOST_KB,
    NEEDED_EVENTS,
    PROC_FILES,
    READ_MARK,
    READING_MARK,
    START_STATE_NOTE,
    TRACE_CLOCK,
    TRACE_OPTIONS,
    WELCOME_EVENTS,
    RecordSettings,
)
from rmqueue.tracefs import TRACEFS_FOLDERS

BODY = Path(__file__).with_name("record.sh")


def make_script(settings: RecordSettings) -> str:
    """Make a shell script that records what `rmqueue.record.record` would.

    Parameters
    ----------
    settings : RecordSettings
        What to record; nothing of it is looked up on this machine.

    Returns
    -------
    str
        The script.  Its folder holds the same files; its ``recording.json`` lacks what
        takes a look into the trace: counts of events, time stamps.

    Raises
    ------
    UsageError
        There is no command.

    Examples
    --------
    >>> script = make_script(RecordSettings(("make", "-j8"), Path("recording")))
    >>> script.splitlines()[-1]
    'rmq_main make -j8'
    """
    if not settings.command:
        raise UsageError("no command to record: rmqueue record --dry-run -- make -j8")
    words = shlex.join(settings.command)
    parent, name = os.path.split(os.path.normpath(settings.folder))
    places = TRACEFS_FOLDERS if settings.tracefs is None else (settings.tracefs,)
    variables = {
        "name": name,
        "parent": parent or ".",
        "places": " ".join(shlex.quote(str(place)) for place in places),
        "proc": settings.proc,
        "pack": shlex.join(COMPRESSORS[settings.compress]),
        "trace": settings.trace_name,
        "buffer_kb": settings.buffer_kb or "",
        "free_share": FREE_SHARE,
        "least_kb": LEAST_KB,
        "most_kb": MOST_KB,
        "clock": TRACE_CLOCK,
        "options": " ".join(f"{option}={value}" for option, value in TRACE_OPTIONS),
        "needed": " ".join(NEEDED_EVENTS),
        "welcome": " ".join(WELCOME_EVENTS),
        "files": " ".join(PROC_FILES[: -len(COUNTS)]),
        "counts": " ".join(COUNTS),
        "counts_back": " ".join(reversed(COUNTS)),
        "first_mark": FIRST_MARK,
        "last_mark": LAST_MARK,
        "reading_mark": READING_MARK,
        "read_mark": READ_MARK,
        "json_name": json.dumps(name),
        "json_by": json.dumps(f"rmqueue {version('rmqueue')} record --dry-run"),
        "json_words": json.dumps(words),
        "json_command": json.dumps(list(settings.command)),
        "json_from": json.dumps([f"start-{count}.txt" for count in COUNTS]),
        "json_note": json.dumps(START_STATE_NOTE),
    }
    lines = [f"rmq_{key}={shlex.quote(str(value))}" for key, value in variables.items()]
    head = "#!/bin/sh\n" + "\n".join(lines) + "\n"
    return f"{head}\n{BODY.read_text(encoding='utf-8')}\nrmq_main {words}\n"
