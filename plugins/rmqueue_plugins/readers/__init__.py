"""Readers of recordings: what a real kernel was asked, and what it did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from rmqueue.hookspecs import hookimpl
from rmqueue.trace.chunks import Chunk
from rmqueue.types import Evidence, Recording, TraceReader

#: Readers of single files, which are no recordings: their forms and summaries.
FILES = {
    "tracefs": "Text of tracefs' file 'trace'; also .xz, .gz, .zst.",
    "trace-cmd": "Text of 'trace-cmd report'; also .xz, .gz, .zst.",
    "perf-script": "Text of 'perf script'; also .xz, .gz, .zst.",
    "parquet": "Columns that 'rmqueue trace import' wrote.",
}


def _accepts(path: Path) -> bool:
    from rmqueue_plugins.readers.recording import accepts

    return accepts(path)


def _read(path: Path, **seed: int) -> Recording:
    from rmqueue_plugins.readers.recording import read

    return read(path, **seed)


def _evidence(path: Path, **seed: int) -> Evidence:
    from rmqueue_plugins.readers.evidence import read_evidence

    return read_evidence(path, **seed)


def _folder_chunks(path: Path) -> Iterator[Chunk]:
    from rmqueue_plugins.readers.traces import folder_chunks

    return folder_chunks(path)


def _accepts_file(name: str) -> Callable[[Path], bool]:
    def accepts(path: Path) -> bool:
        from rmqueue_plugins.readers.traces import accepts

        return accepts(name, path)

    return accepts


def _read_file(path: Path) -> Recording:
    from rmqueue_plugins.readers.traces import no_state

    return no_state(path)


def _chunks(path: Path) -> Iterator[Chunk]:
    from rmqueue_plugins.readers.traces import chunks

    return chunks(path)


@hookimpl
def rmqueue_trace_readers() -> list[TraceReader]:
    """Offer all readers; their modules load on first use."""
    summary = "Folder with a trace of kmem events and the state or counts at its start."
    folders = TraceReader(
        *("recording", summary, _accepts, _read),
        evidence=_evidence,
        chunks=_folder_chunks,
        seeded=True,
    )
    return [
        folders,
        *(
            TraceReader(name, words, _accepts_file(name), _read_file, chunks=_chunks)
            for name, words in FILES.items()
        ),
    ]
