"""Traces as files and folders: which reader takes which, and what it makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rmqueue.errors import TraceError
from rmqueue.trace.chunks import Chunk
from rmqueue.trace.columns import read_columns
from rmqueue.trace.events import Trace
from rmqueue.types import Recording
from rmqueue_plugins.readers.files import DAMAGED, form_of
from rmqueue_plugins.readers.folder import ABOUT, TRACES, find, need, read_json
from rmqueue_plugins.readers.tracefs import gather, read_chunks

#: Forms that each reader takes.  Those that it cannot read it takes to say why.
FORMS = {
    "tracefs": ("tracefs", DAMAGED),
    "trace-cmd": ("trace-cmd", "trace.dat"),
    "perf-script": ("perf-script", "perf.data"),
    "parquet": ("parquet",),
}
_ADVICE = {
    "trace.dat": "the binary file of trace-cmd: run 'trace-cmd report -i FILE' first, "
    "and give its output",
    "perf.data": "the binary file of perf: run 'perf script -i FILE' first, and give "
    "its output",
}


def accepts(reader: str, path: Path) -> bool:
    """Whether a file has a form that a reader takes."""
    return form_of(path) in FORMS[reader]


def chunks(path: Path) -> Iterator[Chunk]:
    """Read a trace in pieces, whatever form it has.

    Raises
    ------
    TraceError
        It cannot be read, or has no form that is known.
    """
    form = form_of(path)
    if form in _ADVICE:
        raise TraceError(f"{path}: {_ADVICE[form]}")
    return read_columns(path) if form == "parquet" else read_chunks(path)


def read_trace(path: Path) -> Trace:
    """Read a whole trace, whatever form it has; raises as `chunks`."""
    return gather(chunks(path), str(path))


def folder_chunks(folder: Path) -> Iterator[Chunk]:
    """Read the trace of a recording folder in pieces; raises as `chunks`."""
    about = {}
    if find(folder, (ABOUT,)):
        record = read_json(folder / ABOUT)
        if isinstance(record.get("kernel_package"), str):
            about["kernel"] = record["kernel_package"]
        if names := _type_names(record.get("migratetypes")):
            about["migratetypes"] = ",".join(names)
    path = need(folder, TRACES)
    parts = chunks(path)
    first = next(parts, None)
    if first is not None:
        about["trace"] = path.name
        yield replace(first, about={**first.about, **about})
        yield from parts


def _type_names(listed: object) -> list[str]:
    """Names of migratetypes by number, from the constants of a kernel."""
    try:
        pairs = [(int(number), str(name)) for name, number in listed]  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        return []
    known = {
        number: name.removeprefix("MIGRATE_").lower()
        for number, name in pairs
        if name.startswith("MIGRATE_") and not name.endswith(("TYPES", "TYPE_END"))
    }
    return [known.get(number, f"type {number}") for number in range(len(known))]


def no_state(path: Path) -> Recording:
    """Refuse to replay a trace alone.

    Raises
    ------
    TraceError
        Always.
    """
    raise TraceError(
        f"{path}: a trace alone does not say in which state it began: name the "
        "recording folder that holds it (recording.json, state-start.json.xz, "
        "pages-start.npz)"
    )
