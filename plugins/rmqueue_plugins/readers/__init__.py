"""Readers of recordings: what a real kernel was asked, and what it did."""

from __future__ import annotations

from pathlib import Path

from rmqueue.hookspecs import hookimpl
from rmqueue.types import Evidence, Recording, TraceReader


def _accepts(path: Path) -> bool:
    from rmqueue_plugins.readers.recording import accepts

    return accepts(path)


def _read(path: Path) -> Recording:
    from rmqueue_plugins.readers.recording import read

    return read(path)


def _evidence(path: Path) -> Evidence:
    from rmqueue_plugins.readers.evidence import read_evidence

    return read_evidence(path)


@hookimpl
def rmqueue_trace_readers() -> list[TraceReader]:
    """Offer the reader of tracefs recordings; its modules load on first use."""
    summary = "Folder with tracefs text (kmem events) and the exact state at its start."
    return [TraceReader("tracefs", summary, _accepts, _read, _evidence)]
