"""Stream a trace out of the kernel and into a compressed file, while it is made.

One thread reads, one compresses: the kernel prints events while it is read from (a
microsecond each), so both are work.  Nothing here wakes up for single events: the
reader sleeps while the kernel's buffers fill, and so disturbs less and reads events of
all CPUs in better order.
"""

from __future__ import annotations

import gzip
import lzma
import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol, Self, cast

from rmqueue.errors import RecordError
from rmqueue.record_settings import COMPRESSORS

#: Text handed over at a time, and how much may wait for the compressor.
CHUNK_BYTES, WAITING_CHUNKS = 1 << 18, 64
#: The kernel gives at most two pages of text at a time [bytes].
READ_BYTES = 1 << 13
#: Sleep when there is nothing to read: a busy CPU fills a third of MiB meanwhile.
PAUSE_S = 0.02
#: At the end: how often nothing may come before the counters are no longer believed.
EMPTY_READS = 100


class Sink(Protocol):
    """Takes text until it is closed."""

    def write(self, data: bytes, /) -> object:
        """Take some text."""

    def close(self) -> None:
        """Finish the file."""


class Zstd:
    """A file behind the program zstd, which Python has no module for.

    Parameters
    ----------
    path : Path
        File to make.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("wb") as file:
            # a group of its own: Ctrl-C must not end it before the last event
            self._program = subprocess.Popen(
                COMPRESSORS["zst"],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.DEVNULL,
                process_group=0,
            )

    def write(self, data: bytes, /) -> None:
        """Hand some text to the program."""
        assert self._program.stdin is not None
        self._program.stdin.write(data)

    def close(self) -> None:
        """Wait for the program to finish the file."""
        assert self._program.stdin is not None
        try:
            self._program.stdin.close()
        finally:
            status = self._program.wait()
        if status:
            raise RecordError(f"{self._path}: zstd failed: is the disk full?")


def open_sink(path: Path) -> Sink:
    """Make a compressed file; its suffix says how.

    Raises
    ------
    RecordError
        The program that it needs is not installed.
    """
    if path.suffix == ".zst":
        if shutil.which("zstd") is None:
            raise RecordError("there is no program zstd: install it, or compress to gz")
        return Zstd(path)
    if path.suffix == ".xz":
        return lzma.open(path, "wb", preset=0)
    return cast(BinaryIO, gzip.open(path, "wb", compresslevel=1))


class Drain:
    """Two threads that empty ``trace_pipe``, from entering the context to leaving it.

    Parameters
    ----------
    pipe : Path
        The file ``trace_pipe`` of an instance: all CPUs, merged by time.
    sink : Sink
        Takes the text, and is closed at the end.
    is_empty : callable
        Whether the kernel has no more events, asked when tracing is off.
    wake : callable
        Called when a thread ends or fails.
    """

    def __init__(
        self,
        pipe: Path,
        sink: Sink,
        is_empty: Callable[[], bool],
        wake: Callable[[], None],
    ) -> None:
        self._pipe, self._sink = pipe, sink
        self._is_empty, self._wake = is_empty, wake
        self._chunks: queue.Queue[bytes | None] = queue.Queue(WAITING_CHUNKS)
        self._ending, self._abandoned = threading.Event(), threading.Event()
        self.error: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._run, args=(work,), daemon=True)
            for work in (self._read, self._compress)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the pipe at once, whatever is left in it."""
        self._abandoned.set()
        self._ending.set()
        for thread in self._threads:
            thread.join()

    @property
    def is_done(self) -> bool:
        """Whether everything is written, or will never be."""
        return not any(thread.is_alive() for thread in self._threads)

    def finish(self) -> None:
        """Read what is left, now that tracing is off; does not wait."""
        self._ending.set()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self.error = self.error or error
        finally:
            self._wake()

    def _read(self) -> None:
        try:
            handle = os.open(self._pipe, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                self._read_all(handle)
            finally:
                os.close(handle)
        finally:
            self._chunks.put(None)

    def _read_all(self, handle: int) -> None:
        parts: list[bytes] = []
        size = empty = 0
        while not self._abandoned.is_set():
            part = _read_part(handle)
            if part:
                parts.append(part)
                size, empty = size + len(part), 0
                if size >= CHUNK_BYTES:
                    self._chunks.put(b"".join(parts))
                    parts, size = [], 0
                continue
            if self._ending.wait(PAUSE_S):
                # an event that was begun before tracing went off may yet be completed
                empty += 1
                if empty > 1 and (self._is_empty() or empty > EMPTY_READS):
                    break
                self._abandoned.wait(PAUSE_S)
        self._chunks.put(b"".join(parts))

    def _compress(self) -> None:
        for chunk in iter(self._chunks.get, None):
            # after an error: only empty the queue, the reader may be waiting
            if not self._abandoned.is_set():
                try:
                    self._sink.write(chunk)
                except Exception as error:
                    self.error = error
                    self._abandoned.set()
                    self._wake()
        self._sink.close()


def _read_part(handle: int) -> bytes:
    """Read what is there, which may be nothing."""
    try:
        return os.read(handle, READ_BYTES)
    except BlockingIOError:
        return b""
