"""A private instance of tracefs, and what the kernel refuses.

An instance has its own buffers, events and clock: whoever else traces on the machine
does not notice.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

from rmqueue.errors import RecordError

TRACEFS_FOLDERS = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
NEEDS_ROOT = "a kernel is recorded by root: run it with sudo"
#: An instance is busy until its last reader has gone [tries, seconds between them].
REMOVALS, REMOVAL_PAUSE_S = 20, 0.1
_REFUSALS = (errno.EACCES, errno.EPERM)


def find_tracefs(named: Path | None = None) -> Path:
    """Find where tracefs is mounted, and that instances can be made there.

    Parameters
    ----------
    named : Path or None
        The place, if it is known.

    Raises
    ------
    RecordError
        It is not mounted, root alone may use it, or the kernel has no instances.
    """
    places = TRACEFS_FOLDERS if named is None else (named,)
    states = {place: _is_there(place / "events") for place in places}
    found = next((place for place, there in states.items() if there), None)
    if found is None:
        if None in states.values():
            raise RecordError(NEEDS_ROOT)
        where = " or ".join(map(str, places))
        raise RecordError(
            f"no tracefs at {where}: 'mount -t tracefs nodev {places[0]}' mounts it, "
            "--tracefs names another place; the kernel needs CONFIG_TRACING"
        )
    instances = found / "instances"
    if _is_there(instances) is False:
        raise RecordError(f"{found}: this kernel has no instances: it is too old")
    if not os.access(instances, os.W_OK | os.X_OK):
        raise RecordError(NEEDS_ROOT)
    return found


def _is_there(path: Path) -> bool | None:
    """Whether a path exists; None if we may not know."""
    try:
        os.stat(path)
    except PermissionError:
        return None
    except OSError:
        return False
    return True


def choose_events(
    tracefs: Path, needed: Iterable[str], welcome: Iterable[str]
) -> tuple[str, ...]:
    """Choose those events that the kernel has.

    Parameters
    ----------
    tracefs : Path
        Where tracefs is mounted.
    needed, welcome : iterable of str
        Events, ``system/event``.

    Raises
    ------
    RecordError
        The kernel lacks an event that is needed.
    """
    folder = tracefs / "events"
    lacking = [event for event in needed if not _is_there(folder / event / "enable")]
    if lacking:
        raise RecordError(
            f"this kernel has no event {', '.join(lacking)}: without it a trace cannot "
            "be replayed"
        )
    return (
        *needed,
        *(event for event in welcome if _is_there(folder / event / "enable")),
    )


class Instance:
    """An instance of tracefs, from entering the context to leaving it.

    Parameters
    ----------
    tracefs : Path
        Where tracefs is mounted.
    name : str
        Name of the instance.
    """

    def __init__(self, tracefs: Path, name: str) -> None:
        self.path = tracefs / "instances" / name

    def __enter__(self) -> Self:
        try:
            os.mkdir(self.path)
        except FileExistsError:
            raise RecordError(
                f"{self.path}: left behind by a recorder that was killed: "
                f"'rmdir {self.path}' removes it"
            ) from None
        except OSError as error:
            raise _refusal(self.path, error) from None
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the instance; its events go off and its buffers are freed."""
        for _try in range(REMOVALS):
            try:
                os.rmdir(self.path)
            except FileNotFoundError:
                return
            except OSError as error:
                problem = error
                time.sleep(REMOVAL_PAUSE_S)
            else:
                return
        raise RecordError(
            f"{self.path}: cannot be removed ({problem.strerror}): 'rmdir {self.path}' "
            "removes it when nobody reads from it any more"
        )

    def set(self, file: str, value: object) -> None:
        """Write to a file of the instance.

        Raises
        ------
        RecordError
            The kernel refuses it.
        """
        path = self.path / file
        try:
            # neither O_CREAT nor O_TRUNC: the files are the kernel's
            handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(handle, f"{value}\n".encode())
            finally:
                os.close(handle)
        except OSError as error:
            raise _refusal(path, error) from None

    def set_if_there(self, file: str, value: object) -> None:
        """Write to a file that not every kernel has."""
        if _is_there(self.path / file):
            self.set(file, value)

    def get(self, file: str) -> str:
        """Read a file of the instance.

        Raises
        ------
        RecordError
            The kernel refuses it.
        """
        path = self.path / file
        try:
            return path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise _refusal(path, error) from None

    def mark(self, text: str) -> None:
        """Write a line of our own into the trace."""
        self.set("trace_marker", text)

    def stats(self) -> dict[str, dict[str, str]]:
        """Read what the kernel counted, by CPU."""
        folders = self.path.glob("per_cpu/cpu*")
        names = sorted((folder.name for folder in folders), key=lambda n: (len(n), n))
        return {name: parse_stats(self.get(f"per_cpu/{name}/stats")) for name in names}

    def is_empty(self) -> bool:
        """Whether all events were read."""
        return all(int(cpu.get("entries", 0)) == 0 for cpu in self.stats().values())


def parse_stats(text: str) -> dict[str, str]:
    r"""Parse a file ``per_cpu/cpu*/stats``.

    Examples
    --------
    >>> parse_stats("entries: 7\noverrun: 0\noldest event ts:    22.645309\n")
    {'entries': '7', 'overrun': '0', 'oldest event ts': '22.645309'}
    """
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}


def sum_lost(stats: Mapping[str, Mapping[str, str]]) -> dict[str, int]:
    """Sum the events that never reached the reader, by what became of them.

    Parameters
    ----------
    stats : mapping
        What `Instance.stats` gives.

    Examples
    --------
    >>> sum_lost({"cpu0": {"overrun": "2"}, "cpu1": {"overrun": "3"}})
    {'overrun': 5, 'commit overrun': 0, 'dropped events': 0}
    """
    return {
        key: sum(int(cpu.get(key, 0)) for cpu in stats.values())
        for key in ("overrun", "commit overrun", "dropped events")
    }


def _refusal(path: Path, error: OSError) -> RecordError:
    """Say what the kernel refused, and what helps."""
    if error.errno in _REFUSALS:
        return RecordError(
            f"{path}: {error.strerror}: {NEEDS_ROOT}; a kernel under lockdown refuses "
            "root, too"
        )
    if error.errno == errno.ENOMEM:
        return RecordError(
            f"{path}: {error.strerror}: --buffer-kb takes a smaller buffer"
        )
    return RecordError(f"{path}: {error.strerror}")
