"""Write files and folders whole or not at all."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

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


def write_whole(path: Path, content: str | bytes) -> None:
    """Replace a file by a new one, or leave it as it is; text is written as UTF-8.

    Links are followed; a device or pipe is written to directly.

    Raises
    ------
    OutputError
        It could not be written; nothing is left behind.
    """
    target = path.resolve()
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        if is_special(target):
            target.write_bytes(data)
        else:
            _replace(target, data)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from None


class PartialFolder:
    """A folder beside its later place, removed unless it is kept.

    Parameters
    ----------
    target : Path
        Its later place.

    Attributes
    ----------
    path : Path
        Where it is now, from entering the context on.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target

    def __enter__(self) -> Self:
        parent, name = os.path.split(os.path.abspath(self.target))
        try:
            self.path = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=parent))
        except OSError as error:
            raise OutputError(
                f"{self.target}: cannot be made in {parent}: {error.strerror}"
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        if self.path != self.target:
            shutil.rmtree(self.path, ignore_errors=True)

    def keep(self) -> None:
        """Put the folder into its place.

        Raises
        ------
        OutputError
            Somebody else has made it meanwhile.
        """
        os.chmod(self.path, 0o777 & ~_umask())
        if os.path.lexists(self.target):
            raise OutputError(f"{self.target}: somebody has made it meanwhile")
        os.rename(self.path, self.target)
        self.path = self.target


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Give a new file to write to, which then takes the place of a path.

    Parameters
    ----------
    path : Path
        Links are followed; a device or pipe is given as it is.

    Yields
    ------
    Path
        A file beside the target, renamed when the block ends without an error.

    Raises
    ------
    OutputError
        It could not be written; nothing is left behind.
    """
    check_writable(path)
    target = path.resolve()
    try:
        if is_special(target):
            yield target
        else:
            yield from _renamed(target)
    except BrokenPipeError:
        raise
    except OSError as error:
        why = error.strerror or error
        raise OutputError(f"{path}: cannot be written: {why}") from None


def _renamed(target: Path) -> Iterator[Path]:
    """Give a file beside the target; it is renamed, or removed after an error."""
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(descriptor)
    try:
        yield Path(name)
        os.chmod(name, _mode(target))
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise


def is_special(path: Path) -> bool:
    """Whether a path is neither a regular file nor free to become one."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def _replace(target: Path, data: bytes) -> None:
    """Write beside the target, then rename."""
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
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
        return 0o666 & ~_umask()


def _umask() -> int:
    """Permissions that new files do not get."""
    umask = os.umask(0)
    os.umask(umask)
    return umask
