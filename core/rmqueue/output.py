"""Write files whole or not at all."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from rmqueue.errors import OutputError


def check_writable(path: Path) -> None:
    """Refuse a path that cannot be written, before the work rather than after it.

    Raises
    ------
    OutputError
        The folder is missing or not writable, or the path is a folder.
    """
    if path.is_dir():
        raise OutputError(f"{path}: cannot be written: it is a folder")
    target = path.resolve()
    if is_special(target):
        return
    if not target.parent.is_dir():
        raise OutputError(f"{path}: cannot be written: there is no {target.parent}")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise OutputError(f"{path}: cannot be written: {target.parent} is read-only")


def write_whole(path: Path, text: str) -> None:
    """Replace a file by a new one, or leave it as it is.

    Links are followed; a device or pipe is written to directly.

    Raises
    ------
    OutputError
        It could not be written; nothing is left behind.
    """
    target = path.resolve()
    try:
        if is_special(target):
            target.write_text(text, encoding="utf-8")
        else:
            _replace(target, text)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from None


def is_special(path: Path) -> bool:
    """Whether a path is neither a regular file nor free to become one."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def _replace(target: Path, text: str) -> None:
    """Write beside the target, then rename."""
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(name, _mode(target))
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise


def _mode(target: Path) -> int:
    """Permissions of the file that is replaced, or those of a new one."""
    try:
        return stat.S_IMODE(target.stat().st_mode)
    except OSError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask
