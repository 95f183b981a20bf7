"""The command that is recorded: started, waited for, ended."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from typing import Self

from rmqueue.errors import CommandNotFoundError, RecordError, UsageError
from rmqueue.record_drain import Drain
from rmqueue.record_wakeups import WakeUps

#: How long a command may take to end, before it is asked and before it is killed [s].
PATIENCE_S = (1.0, 5.0)
#: Whoever waits looks up that often, should a wake-up be lost [s].
LOOK_UP_S = 1.0


def check_command(command: Sequence[str]) -> None:
    """Refuse a command that cannot be started, before anything is set up.

    Raises
    ------
    UsageError
        There is none.
    CommandNotFoundError
        Its program is missing or not executable.
    """
    if not command:
        raise UsageError("no command to record: rmqueue record -- make -j8")
    if shutil.which(command[0]) is None:
        what = "is not executable" if os.path.isfile(command[0]) else "not found"
        raise CommandNotFoundError(f"{command[0]}: command {what}")


class Command:
    """The command that is recorded, from entering the context to leaving it.

    Parameters
    ----------
    words : sequence of str
        Program and arguments.
    """

    def __init__(self, words: Sequence[str]) -> None:
        try:
            self.child = subprocess.Popen(list(words))
        except OSError as error:
            raise RecordError(f"{words[0]}: {error.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.child.poll() is None:
            self.child.terminate()
            self._wait_or_kill()

    def wait(self, wakeups: WakeUps, drain: Drain) -> None:
        """Wait for its end, or for a reason not to wait for it."""
        while (
            self.child.poll() is None
            and wakeups.stopped_by is None
            and drain.error is None
        ):
            wakeups.wait(LOOK_UP_S)

    def end(self, wakeups: WakeUps) -> None:
        """End it as we were ended: a terminal tells all its processes of Ctrl-C."""
        give_up = time.monotonic() + PATIENCE_S[0]
        while self.child.poll() is None and time.monotonic() < give_up:
            wakeups.wait(0.1)
        if self.child.poll() is None and wakeups.stopped_by is not None:
            self.child.send_signal(wakeups.stopped_by)
            self._wait_or_kill()

    def _wait_or_kill(self) -> None:
        try:
            self.child.wait(PATIENCE_S[1])
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
