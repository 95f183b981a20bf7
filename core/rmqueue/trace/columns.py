"""The columnar form of a trace: Parquet with a row per event, and where it came from.

The columns are those of `EVENTS`, in the kernel's own numbers; -1 where an event has no
such field.  Everything else is JSON under `KEY` in the file's metadata: the sources and
their digests, kernel, versions, lines, lost and broken lines, marks.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rmqueue.errors import TraceError
from rmqueue.output import replaced
from rmqueue.trace.chunks import BrokenLine, Chunk
from rmqueue.trace.events import EVENT_NAMES, EVENTS, Events

#: Key of our metadata, and the version of what is there and of the columns.
KEY, SCHEMA = b"rmqueue", 1
#: Rows of a row group, and rows that are read at a time.
GROUP_ROWS, READ_ROWS = 1 << 20, 1 << 16
#: Columns with hardly a value twice: deltas are short, a dictionary is not.
_RISING = ("line", "time_us", "pfn", "end")
#: Lines and marks that are kept in the metadata.
MOST_KEPT = 100_000


def need_pyarrow(path: Path) -> Any:
    """Return pyarrow, which only this form needs; it is large.

    Raises
    ------
    TraceError
        It is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise TraceError(
            f"{path}: Parquet and zstd need pyarrow ({error}): "
            "pip install 'rmqueue[trace]'"
        ) from None
    return pyarrow


def write_columns(
    path: Path, chunks: Iterable[Chunk], provenance: Mapping[str, Any]
) -> None:
    """Write a trace in columns.

    Parameters
    ----------
    path : Path
        File to make; written whole or not at all.
    chunks : iterable of Chunk
        The trace; errors pass through, and leave nothing behind.
    provenance : mapping of str to object
        What to keep of where it came from, for JSON.

    Raises
    ------
    OutputError
        It cannot be written.
    TraceError
        pyarrow is not installed.
    """
    pyarrow = need_pyarrow(path)
    fields = [(name, pyarrow.from_numpy_dtype(EVENTS[name])) for name in _names()]
    schema = pyarrow.schema(fields)
    about = _About(provenance)
    with (
        replaced(path) as target,
        pyarrow.parquet.ParquetWriter(
            target,
            schema,
            compression="zstd",
            use_dictionary=[name for name in _names() if name not in _RISING],
            column_encoding=dict.fromkeys(_RISING, "DELTA_BINARY_PACKED"),
            write_page_checksum=True,
        ) as writer,
    ):
        for events in _groups(map(about.heed, chunks)):
            columns = [np.ascontiguousarray(events[name]) for name in _names()]
            writer.write_table(pyarrow.table(columns, schema=schema))
        writer.add_key_value_metadata({KEY.decode(): json.dumps(about.record())})


def read_columns(path: Path) -> Iterator[Chunk]:
    """Read what `write_columns` wrote, in pieces.

    Raises
    ------
    TraceError
        It is no Parquet file of ours, is damaged, or a newer rmqueue wrote it.
    """
    pyarrow = need_pyarrow(path)
    try:
        with pyarrow.parquet.ParquetFile(path, page_checksum_verification=True) as file:
            about = _checked(path, file.metadata.metadata or {})
            _check_columns(path, file.schema_arrow, pyarrow)
            yield from _chunks(path, file, about)
    except pyarrow.ArrowException as error:
        words = " ".join(str(error).split())
        raise TraceError(
            f"{path}: no whole Parquet file ({words}): import the trace again"
        ) from None
    except OSError as error:
        why = error.strerror or " ".join(str(error).split())
        raise TraceError(f"{path}: cannot be read ({why})") from None


def _names() -> tuple[str, ...]:
    return EVENTS.names or ()


def _groups(parts: Iterator[Events]) -> Iterator[Events]:
    """Gather pieces to row groups; an empty trace is one empty group."""
    gathered: list[Events] = []
    rows = 0
    for events in parts:
        gathered.append(events)
        rows += len(events)
        if rows >= GROUP_ROWS:
            yield np.concatenate(gathered)
            gathered, rows = [], 0
    if gathered:
        yield np.concatenate(gathered)


class _About:
    """What goes into the metadata, gathered on the way."""

    def __init__(self, provenance: Mapping[str, Any]) -> None:
        self._record = dict(provenance)
        self._counts: Counter[str] = Counter()
        self._marks: list[tuple[int, str]] = []
        self._broken: list[tuple[int, str, str]] = []
        self._lost: list[tuple[int, str]] = []
        self._says: dict[str, str] = {}

    def heed(self, chunk: Chunk) -> Events:
        """Note what a chunk says beside its events, and return these."""
        first = self._counts["events"]
        self._marks += [(first + index, text) for index, text in chunk.marks]
        self._broken += [(b.line, b.text, b.reason) for b in chunk.broken]
        self._lost += chunk.lost
        self._says = {**chunk.about, **self._says}
        self._counts["events"] += len(chunk.events)
        for name in ("lines", "others", "nr_broken"):
            self._counts[name] += getattr(chunk, name)
        for kept in (self._marks, self._broken, self._lost):
            del kept[MOST_KEPT:]
        return chunk.events

    def record(self) -> dict[str, Any]:
        """Return the metadata."""
        return {
            "schema": SCHEMA,
            **self._record,
            "about": self._says,
            "kinds": EVENT_NAMES,
            **{name: self._counts[name] for name in _COUNTED},
            "marks": self._marks,
            "broken": self._broken,
            "lost": self._lost,
        }


_COUNTED = ("events", "lines", "others", "nr_broken")


def _checked(path: Path, metadata: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Return our metadata, if the file is ours and of a version that we know."""
    if KEY not in metadata:
        raise TraceError(
            f"{path}: a Parquet file, but not one that 'rmqueue trace import' wrote: "
            "import the text of the trace"
        )
    try:
        about: dict[str, Any] = json.loads(metadata[KEY])
        version = int(about["schema"])
        if version > SCHEMA:
            raise TraceError(
                f"{path}: written by rmqueue {about.get('rmqueue')} with schema "
                f"{version}, and this rmqueue knows schema {SCHEMA}: install a newer "
                "one, or import the trace again"
            )
        return {
            **{name: int(about[name]) for name in _COUNTED},
            "about": {str(key): str(word) for key, word in about["about"].items()},
            "marks": [(int(index), str(text)) for index, text in about["marks"]],
            "broken": [
                BrokenLine(int(line), str(text), str(reason))
                for line, text, reason in about["broken"]
            ],
            "lost": [(int(line), str(text)) for line, text in about["lost"]],
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TraceError(
            f"{path}: its metadata are damaged ({type(error).__name__}: {error}): "
            "import the trace again"
        ) from None


def _check_columns(path: Path, schema: Any, pyarrow: Any) -> None:
    """Refuse a file whose columns are not those of `EVENTS`."""
    for name in _names():
        wanted = pyarrow.from_numpy_dtype(EVENTS[name])
        at = schema.get_field_index(name)
        if at < 0 or schema.field(at).type != wanted:
            found = f"found {schema.field(at).type}" if at >= 0 else "it is missing"
            raise TraceError(
                f"{path}: column {name!r} must be {wanted}, {found}: import the trace "
                "again"
            )


def _chunks(path: Path, file: Any, about: Mapping[str, Any]) -> Iterator[Chunk]:
    """Rows with the marks that belong to them; everything else on the first chunk."""
    rest: dict[str, Any] = {
        **{name: about[name] for name in ("lines", "others", "nr_broken", "about")},
        **{name: tuple(about[name]) for name in ("broken", "lost")},
    }
    first = 0
    for batch in file.iter_batches(READ_ROWS, columns=list(_names())):
        events = np.empty(batch.num_rows, EVENTS)
        for name in _names():
            column = batch.column(name)
            if column.null_count:
                raise TraceError(f"{path}: column {name!r} holds nothing in some rows")
            events[name] = column.to_numpy(zero_copy_only=False)
        last = first + len(events)
        marks = tuple(
            (index - first, text)
            for index, text in about["marks"]
            if first <= index < last
        )
        yield Chunk(events=events, marks=marks, **rest)
        rest, first = {}, last
    if rest:
        yield Chunk(events=np.empty(0, EVENTS), **rest)
