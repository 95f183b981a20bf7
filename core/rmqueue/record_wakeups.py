"""Signals and news of other threads as one stream that the recorder waits for.

A signal only leaves a note: nothing is torn out of its course, so an instance that was
made is removed, and a file that is being written is finished.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from typing import Any, Self

#: What asks the recorder to stop: Ctrl-C, kill, a terminal that goes away.
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class WakeUps:
    """Listen to signals, from entering the context to leaving it; main thread only.

    Attributes
    ----------
    stopped_by : signal.Signals or None
        The first signal that asked to stop.
    stops : int
        How many did.
    """

    def __init__(self) -> None:
        self.stopped_by: signal.Signals | None = None
        self.stops = 0
        self._before: dict[signal.Signals, Any] = {}
        self._reads = self._writes = self._outer = -1

    def __enter__(self) -> Self:
        self._reads, self._writes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._outer = signal.set_wakeup_fd(self._writes, warn_on_full_buffer=False)
        for number in (*STOPS, signal.SIGCHLD):
            # who started us with a signal ignored (nohup, a shell's job) means it
            if number == signal.SIGCHLD or signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, _note)
        # a compressor that dies must not take us along
        self._before[signal.SIGPIPE] = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        signal.set_wakeup_fd(self._outer)
        os.close(self._reads)
        os.close(self._writes)

    def wake(self) -> None:
        """End a `wait`, from any thread."""
        with contextlib.suppress(OSError):  # full: it will wake up anyway
            os.write(self._writes, b"\0")

    def wait(self, seconds: float) -> None:
        """Wait for a signal, a child's end or a `wake`, but not for ever."""
        select.select([self._reads], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            for number in os.read(self._reads, 4096):
                if number in STOPS:
                    self.stops += 1
                    self.stopped_by = self.stopped_by or signal.Signals(number)


def _note(number: int, frame: object) -> None:
    """Do nothing: the interpreter has written the number to the pipe."""
