"""Where the files of a study lie: a folder here, or any URL that fsspec knows."""

from __future__ import annotations

import io
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from rmqueue.errors import OutputError, UsageError
from rmqueue.output import write_whole
from rmqueue.study.root import Root

#: Files of one row: zstd makes them no smaller, and takes three times as long;
#: statistics and the schema of Arrow are as large as the row.
PARQUET = {
    "compression": "snappy",
    "use_dictionary": False,
    "write_statistics": False,
    "store_schema": False,
}


class Files(Protocol):
    """Files by name, relative to the place of the study, with slashes."""

    def names(self) -> list[str]:
        """Names of the files of runs, in order."""

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write a Parquet file, whole or not at all."""

    def open_table(self, name: str) -> Any:
        """Return what Parquet can be read from."""

    def write_text(self, name: str, text: str) -> None:
        """Write a file, whole or not at all."""

    def read_text(self, name: str) -> str:
        """Read a file."""


def files_at(root: Root) -> Files:
    """Files of a study.

    Raises
    ------
    UsageError
        fsspec is not there, or knows no such URL.
    """
    return Folder(root) if isinstance(root, Path) else Url(root)


@dataclass(frozen=True)
class Folder:
    """Files in a folder of this system."""

    root: Path

    def names(self) -> list[str]:
        """Names of the files of runs, in order."""
        found = self.root.glob("experiment=*/strategy=*/*.parquet")
        names = (p.relative_to(self.root).as_posix() for p in found)
        return sorted(name for name in names if is_run(name))

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write under another name, then rename."""
        path = self.root / name
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, temporary, **PARQUET)
            os.replace(temporary, path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            why = error.strerror or error
            raise OutputError(f"{path}: cannot be written: {why}") from None

    def open_table(self, name: str) -> Path:
        """Return the path."""
        return self.root / name

    def write_text(self, name: str, text: str) -> None:
        """Write under another name, then rename; the folder is made if need be."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"{self.root}: cannot be made: {error.strerror}"
            ) from None
        write_whole(self.root / name, text)

    def read_text(self, name: str) -> str:
        """Read a file."""
        return (self.root / name).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Url:
    """Files behind a URL."""

    root: str

    def __post_init__(self) -> None:
        _ = self._system  # what is wrong with the URL is told now

    @cached_property
    def _system(self) -> tuple[Any, str]:
        """File system of fsspec, and path in it."""
        try:
            import fsspec.core
        except ImportError:
            raise UsageError(
                f"{self.root}: URLs need fsspec: pip install 'rmqueue[cluster]'"
            ) from None
        try:
            system, path = fsspec.core.url_to_fs(self.root)
        except (ImportError, ValueError) as error:
            raise UsageError(f"{self.root}: cannot be used: {error}") from None
        return system, str(path).rstrip("/")

    def names(self) -> list[str]:
        """Names of the files of runs, in order."""
        system, folder = self._system
        with self._told("listed"):
            system.invalidate_cache()
            try:
                found = [str(path) for path in system.find(folder)]
            except FileNotFoundError:
                return []
        names = (path[len(folder) :].lstrip("/") for path in found)
        return sorted(name for name in names if is_run(name))

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write under another name, then move."""
        buffer = io.BytesIO()
        pq.write_table(table, buffer, **PARQUET)
        self._write(name, buffer.getvalue())

    def open_table(self, name: str) -> io.BytesIO:
        """Return what is in a file: it is small, and one request is the quickest."""
        system, folder = self._system
        with self._told("read", name):
            return io.BytesIO(system.cat_file(f"{folder}/{name}"))

    def write_text(self, name: str, text: str) -> None:
        """Write under another name, then move."""
        self._write(name, text.encode())

    def read_text(self, name: str) -> str:
        """Read a file."""
        system, folder = self._system
        with self._told("read", name):
            return bytes(system.cat_file(f"{folder}/{name}")).decode()

    def _write(self, name: str, content: bytes) -> None:
        system, folder = self._system
        path = PurePosixPath(f"{folder}/{name}")
        temporary = str(path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}"))
        with self._told("written", name):
            system.makedirs(str(path.parent), exist_ok=True)
            system.pipe_file(temporary, content)
            system.mv(temporary, str(path))

    @contextmanager
    def _told(self, what: str, name: str = "") -> Iterator[None]:
        """Say what went wrong: each file system raises errors of its own."""
        try:
            yield
        except FileNotFoundError:
            raise
        except Exception as error:
            where = f"{self.root}/{name}".rstrip("/")
            why = str(error) or type(error).__name__
            raise OutputError(f"{where}: cannot be {what}: {why}") from error


def is_run(name: str) -> bool:
    """Whether a name is that of a run's file, and not of one that is being written.

    Examples
    --------
    >>> is_run("experiment=a/strategy=b/1.parquet"), is_run("study.json")
    (True, False)
    """
    experiment, _, rest = name.partition("/")
    strategy, _, file = rest.partition("/")
    return (
        experiment.startswith("experiment=")
        and strategy.startswith("strategy=")
        and file.endswith(".parquet")
        and not file.startswith(".")
        and "/" not in file
    )
