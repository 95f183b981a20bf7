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


@contextmanager
def ended_in_words(words: str, at_once: bool = True) -> Iterator[None]:
    """Let SIGTERM end what Ctrl-C ends, and say these words then.

    Parameters
    ----------
    words : str
        What is done, and how it goes on.
    at_once : bool
        Leave without waiting for compiled code.  False: something has to be removed on
        the way out, and what runs elsewhere has ended.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as SLURM ends a job
    try:
        yield
    except KeyboardInterrupt:
        if at_once:
            leave_at_once(words)
        raise KeyboardInterrupt(words) from None
