"""Processes of this machine that tests have begun."""

from __future__ import annotations

from pathlib import Path


def in_session(session: int) -> list[int]:
    """Processes of a session that live."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] not in "ZX":
            found.append(int(path.parent.name))
    return found


def ignored(pid: int) -> int:
    """Signals that a process ignores, one bit each."""
    text = Path(f"/proc/{pid}/status").read_text()
    return next(
        int(line.split()[1], 16)
        for line in text.splitlines()
        if line.startswith("SigIgn:")
    )
