"""What the trace commands read: files and folders, each with the reader for it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rmqueue.errors import TraceError, UsageError
from rmqueue.registry import Registry, default_registry
from rmqueue.trace.chunks import Chunk
from rmqueue.types import TraceReader


@dataclass(frozen=True)
class TraceSource:
    """A trace, and who reads it.

    Attributes
    ----------
    path : Path
        File or folder.
    reader : TraceReader
        The reader that accepts it.
    """

    path: Path
    reader: TraceReader

    def chunks(self) -> Iterator[Chunk]:
        """Read it in pieces, from the start.

        Raises
        ------
        UsageError
            The reader reads whole recordings only.
        TraceError
            It cannot be read.
        """
        if self.reader.chunks is None:
            raise UsageError(
                f"{self.path}: the reader {self.reader.name!r} reads whole recordings "
                "only: name the trace in it"
            )
        return self.reader.chunks(self.path)

    def provenance(self) -> dict[str, Any]:
        """Say which file it is: name, size, digest, reader."""
        path = self.path
        if path.is_dir():
            first = next(self.chunks(), None)
            path /= first.about.get("trace", "") if first is not None else ""
        record: dict[str, Any] = {"name": self.path.name, "reader": self.reader.name}
        if path.is_file():
            record |= {"file": path.name, "bytes": path.stat().st_size}
            with path.open("rb") as file:
                record["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
        return record


def open_trace(path: Path, registry: Registry | None = None) -> TraceSource:
    """Find the reader of a trace.

    Parameters
    ----------
    path : Path
        A file or a recording folder; the name of a built-in experiment stands for the
        recording that it replays.
    registry : Registry or None
        Where readers are looked up; None: what is installed.

    Raises
    ------
    TraceError
        There is no such file, or it is no regular one.
    UsageError
        No reader accepts it.
    """
    registry = registry or default_registry()
    if not path.exists():
        path = built_in(path, registry)
    if not (path.is_file() or path.is_dir()):
        raise TraceError(
            f"{path}: neither a file nor a folder: a trace is looked at before it is "
            "read; write what comes out of a pipe to a file first"
        )
    return TraceSource(path, registry.reader_for(path))


def built_in(path: Path, registry: Registry) -> Path:
    """Return the recording of the built-in experiment of that name.

    Raises
    ------
    TraceError
        There is none.
    """
    import tomllib

    name = str(path)
    if name in registry.names("experiment"):
        toml = registry.experiment(name).path
        recording = tomllib.loads(toml.read_text(encoding="utf-8")).get("recording")
        if recording is not None:
            return toml.parent / str(recording)
    raise TraceError(
        f"{path}: no such file, folder or built-in experiment with a recording"
    )
