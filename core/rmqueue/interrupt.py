"""Signals: leave at once, with one line; and outlive the processes that we began."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

#: Exit status, as shells have it.
INTERRUPTED = 130


def leave_at_once(words: str = "interrupted") -> NoReturn:
    """Leave without waiting for compiled code, which hears of nothing."""
    print(f"rmqueue: {words}", file=sys.stderr, flush=True)
    os._exit(INTERRUPTED)


@contextmanager
def outliving_children() -> Iterator[None]:
    """Let it be an error, and not our end, to write to a process that has died.

    The command line ends of it (SIGPIPE), as is usual where stdout has no reader any
    more.  Who fails in here stays immune: there is still something to tell.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only that one may set it
        return
    before = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGPIPE, before)
