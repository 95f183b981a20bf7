"""Files as readers open them: unpacked on the way, and told apart by how they begin."""

from __future__ import annotations

import functools
import gzip
import lzma
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from rmqueue.errors import TraceError
from rmqueue.trace.columns import need_pyarrow

#: Text that is looked at to tell the form of a file [bytes].
HEAD_BYTES = 1 << 16
#: How packed files begin, and their suffixes.
_PACKED = {
    b"\xfd7zXZ\x00": (".xz", "xz"),
    b"\x1f\x8b": (".gz", "gzip"),
    b"\x28\xb5\x2f\xfd": (".zst", "zstd"),
}
#: Forms that are no text, by how they begin.
_BINARY = {
    b"\x17\x08\x44tracing": "trace.dat",
    b"PERFILE2": "perf.data",
    b"PAR1": "parquet",
}
_STAMP = rb"\d+\.\d{6}(?:\d{3})?: +"
_TEXT = (
    ("perf-script", rb"\S.* +\d+(?:/\d+)? +\[\d+\] +" + _STAMP),
    ("tracefs", rb"\S.*-\d+ +(?:\([ \d-]+\) +)?\[\d+\] +[!-~]{4,} +" + _STAMP),
    ("trace-cmd", rb"\S.*-\d+ +(?:\([ \d-]+\) +)?\[\d+\] +" + _STAMP),
)
_HEADS = {
    b"# tracer:": "tracefs",
    b"cpus=": "trace-cmd",
    b"# captured on": "perf-script",
}
#: What the libraries raise for data that are cut off or damaged.
_DAMAGE = (lzma.LZMAError, EOFError, zlib.error, gzip.BadGzipFile)
DAMAGED = "damaged"


def packing(path: Path) -> str:
    """How a file is packed, by its first bytes and by its name: ``xz``, ``gzip``, ...

    Raises
    ------
    TraceError
        The name promises packed data, and there are none.
    """
    with path.open("rb") as file:
        begin = file.read(8)
    for magic, (_, name) in _PACKED.items():
        if begin.startswith(magic):
            return name
    for suffix, name in _PACKED.values():
        if path.suffix == suffix:
            raise TraceError(
                f"{path}: not whole {name} data (it begins with {begin!r}): copy the "
                "file again, or rename it if it is not packed"
            )
    return ""


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, unpacking xz, gzip and zstd.

    Raises
    ------
    TraceError
        It cannot be read, or its packed data are cut off or damaged; raised as well for
        what is read inside the ``with`` block.
    """
    how = ""
    try:
        how = packing(path)
        with _open(path, how) as file:
            yield file
    except FileNotFoundError:
        raise TraceError(f"{path}: no such file") from None
    except _DAMAGE as error:
        raise TraceError(
            f"{path}: not whole {how} data ({error}): copy the file again"
        ) from None
    except OSError as error:
        if how == "zstd" and error.errno is None:
            raise TraceError(
                f"{path}: not whole zstd data ({error}): copy the file again"
            ) from None
        why = error.strerror or str(error)
        raise TraceError(f"{path}: cannot be read: {why}") from None


def _open(path: Path, how: str) -> Any:
    if how == "xz":
        return lzma.open(path, "rb")
    if how == "gzip":
        return gzip.open(path, "rb")
    if how == "zstd":
        return need_pyarrow(path).input_stream(str(path), compression="zstd")
    return path.open("rb", buffering=0)


def read_text(path: Path) -> bytes:
    """Read a whole file, unpacked.

    Raises
    ------
    TraceError
        It cannot be read, or its packed data are cut off or damaged.
    """
    with opened(path) as file:
        return file.read()


def form_of(path: Path) -> str:
    """Which form a file has: ``tracefs``, ``trace-cmd``, ``parquet``, ... or ``""``.

    `DAMAGED` is packed data of which not even the beginning can be read.
    """
    if not path.is_file():
        return ""
    about = path.stat()
    return _form_of(path, about.st_mtime_ns, about.st_size)


@functools.lru_cache(maxsize=64)
def _form_of(path: Path, *_: int) -> str:
    try:
        with opened(path) as file:
            head = file.read(HEAD_BYTES)
    except TraceError:
        return DAMAGED
    return form_of_text(head)


def form_of_text(head: bytes) -> str:
    """Which form the beginning of a file has, ``""`` if none that is known.

    Examples
    --------
    >>> form_of_text(b"cat-7 [000] ..... 5.000001: mm_page_free: pfn=0x1 order=0")
    'tracefs'
    >>> form_of_text(b"cat 7 [000] 5.000001: kmem:mm_page_free: pfn=0x1 order=0")
    'perf-script'
    """
    for begin, form in (*_BINARY.items(), *_HEADS.items()):
        if head.startswith(begin):
            return form
    for line in head[:HEAD_BYTES].splitlines():
        for form, pattern in _TEXT:
            if re.match(rb"\s*" + pattern, line[:1000]):
                return form
    return ""
