"""The files of a recording folder, and strict access to what they hold."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rmqueue.errors import TraceError
from rmqueue_plugins.readers.tracefs import read_text

ABOUT = "recording.json"
#: The trace, in any form that is read; the first that is there counts.
TRACES = (
    *("trace.txt.xz", "trace.txt", "trace.txt.zst", "trace.txt.gz"),
    *("trace-cmd-report.txt.xz", "trace-cmd-report.txt"),
    *("perf-script.txt.xz", "perf-script.txt", "trace.parquet"),
)
STATES = ("state-start.json.xz", "state-start.json")
END_STATES = ("state-end.json.xz", "state-end.json")
PAGES = "pages-start.npz"
#: Texts that stand for the state where it is not there, ``start-zoneinfo.txt`` first.
COUNTS = ("zoneinfo", "buddyinfo", "pagetypeinfo")
#: What numpy raises for a file that is no .npz file.
DAMAGE = (ValueError, TypeError, KeyError, EOFError)


def find(folder: Path, names: tuple[str, ...]) -> Path | None:
    """Return the first of these files that the folder holds."""
    return next((folder / name for name in names if (folder / name).is_file()), None)


def need(folder: Path, names: tuple[str, ...]) -> Path:
    """Return the first of these files that the folder holds, or refuse."""
    path = find(folder, names)
    if path is None:
        raise TraceError(
            f"{folder}: no {' or '.join(names[:2])}: a recording folder holds {ABOUT}, "
            f"{TRACES[0]} (or {TRACES[1]}), and {STATES[0]} with {PAGES}, or "
            f"{', '.join(f'start-{name}.txt' for name in COUNTS)}"
        )
    return path


def is_exact(folder: Path) -> bool:
    """Whether a recording has an exact state at its start, or should have one.

    It has none if neither of its files is there, but counts of free blocks are.
    """
    texts = (f"start-{name}.txt" for name in COUNTS)
    return bool(find(folder, (*STATES, PAGES)) or not find(folder, tuple(texts)))


def input_files(folder: Path) -> tuple[Path, ...]:
    """All files that a recording is made of; the state at its end may be missing."""
    if not is_exact(folder):
        texts = (f"start-{name}.txt" for name in COUNTS)
        return tuple(
            need(folder, n) for n in ((ABOUT,), TRACES, *((t,) for t in texts))
        )
    needed = ((ABOUT,), STATES, (PAGES,), TRACES)
    found = [need(folder, names) for names in needed]
    end = find(folder, END_STATES)
    return tuple([*found, end] if end else found)


def read_json(path: Path) -> Mapping[str, Any]:
    """Read a JSON object, plain or ``.xz``."""
    try:
        value = json.loads(read_text(path).decode())
    except ValueError as error:
        raise TraceError(
            f"{path}: not JSON ({error}): the file is damaged or another one"
        ) from None
    if not isinstance(value, dict):
        raise TraceError(
            f"{path}: a JSON object is needed, found a {type(value).__name__}"
        )
    return value


def take(record: Mapping[str, Any], key: str, kind: type, where: str) -> Any:
    """Return ``record[key]``, which must be of a type."""
    value = record.get(key) if isinstance(record, Mapping) else None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        found = "nothing" if value is None else f"{value!r:.40}"
        raise TraceError(
            f"{where}: {key!r} must be {_article(kind)}, found {found}: "
            "the file is damaged or of another format"
        )
    return value


def number(
    record: Mapping[str, Any],
    key: str,
    where: str,
    default: int | None = None,
    least: int = 0,
) -> int:
    """Return ``record[key]``, which must be a whole number."""
    if default is not None and record.get(key) is None:
        return default
    value: int = take(record, key, int, where)
    if not least <= value < 1 << 52:
        raise TraceError(f"{where}: {key!r} is {value}: the file is damaged")
    return value


def integers(value: Any, where: str) -> npt.NDArray[np.int64]:
    """Return a list of whole numbers as an array."""
    try:
        array = np.asarray(value if value is not None else "none")
    except ValueError:
        array = np.empty(0, np.str_)
    if array.ndim == 1 and array.dtype.kind in "iu" and array.dtype != np.uint64:
        return array.astype(np.int64)
    if isinstance(value, list) and not value:
        return np.empty(0, np.int64)
    raise TraceError(f"{where}: a list of whole numbers is needed")


def read_columns(path: Path, names: tuple[str, ...]) -> list[npt.NDArray[Any]]:
    """Read equally long columns of an ``.npz`` file."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as columns:
            found = [columns[name] for name in names]
    except OSError as error:
        raise TraceError(
            f"{path}: cannot be read: {error.strerror or 'no .npz file'}"
        ) from None
    except (*DAMAGE, zipfile.BadZipFile, zlib.error) as error:
        raise TraceError(
            f"{path}: no .npz file with the columns {', '.join(names)} ({error}): "
            "the file is damaged or another one"
        ) from None
    if any(column.ndim != 1 or column.dtype.kind not in "iu" for column in found):
        raise TraceError(f"{path}: the columns {', '.join(names)} must hold integers")
    if len({len(column) for column in found}) > 1:
        raise TraceError(f"{path}: the columns {', '.join(names)} differ in length")
    return found


def _article(kind: type) -> str:
    return {int: "a whole number", str: "a text", list: "a list", dict: "an object"}[
        kind
    ]
