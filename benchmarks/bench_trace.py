"""How fast the text of traces is read, and imported to Parquet, on one core.

python -m benchmarks.bench_trace [FILE...]   prints MB/s of text
"""

from __future__ import annotations

import io
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.choice import QUICK

try:
    from rmqueue.registry import default_registry
    from rmqueue.trace.columns import write_columns
    from rmqueue_plugins.readers.files import read_text
    from rmqueue_plugins.readers.tracefs import chunks_of
except ImportError:  # an earlier rmqueue
    HAVE_CHUNKS = False
else:
    HAVE_CHUNKS = True

#: What stands in front of the fields, as the tools write it.
FORMS = {
    "tracefs": None,
    "trace-cmd": rb"\g<task>-\g<pid> \g<cpu> \g<time> \g<event>:      ",
    "perf-script": rb"\g<task> \g<pid> \g<cpu> \g<time> kmem:\g<event>: ",
}
PREFIX = re.compile(
    rb"(?P<task>\S.*)-(?P<pid>\d+) +(?P<cpu>\[\d+\]) +\S+ +(?P<time>[0-9.]+:) "
    rb"(?P<event>\w+): "
)
#: Copies of the built-in recording: 24 MB of text each.
COPIES = 1 if QUICK else 4


def text_of(form: str) -> bytes:
    """The text of the built-in recording, as a tool would have written it."""
    folder = default_registry().experiment("real").path.parent / "steal-7.3"
    text = read_text(folder / "trace.txt.xz")
    wanted = FORMS[form]
    if wanted is not None:
        lines = [line for line in text.splitlines(True) if not line.startswith(b"#")]
        text = b"".join(PREFIX.sub(wanted, line, count=1) for line in lines)
    return text * COPIES


def scan(text: bytes) -> int:
    """Read a text, and say how many events it holds."""
    return sum(len(chunk.events) for chunk in chunks_of(io.BytesIO(text), "text"))


def convert(text: bytes) -> int:
    """Import a text, and say how long the Parquet file is [bytes]."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.parquet"
        write_columns(path, chunks_of(io.BytesIO(text), "text"), {})
        return path.stat().st_size


def speed(work: Callable[[bytes], int], text: bytes) -> float:
    """Best of three, by the CPU time of all threads [MB/s of text]."""
    laps = []
    for _ in range(3):
        begin = time.process_time()
        work(text)
        laps.append(time.process_time() - begin)
    return len(text) / min(laps) / 1e6


class Text:
    """Text of each form; the first reading, which compiles, is not timed."""

    params = tuple(FORMS)[:1] if QUICK else tuple(FORMS)
    param_names = ("form",)
    timer = staticmethod(time.process_time)
    number, warmup_time, timeout, version = 1, 0, 300, "1"

    def setup(self, form: str) -> None:
        if not HAVE_CHUNKS:
            raise NotImplementedError("this version of rmqueue reads whole texts only")
        self.text = text_of(form)
        scan(self.text[: 1 << 16].rpartition(b"\n")[0])

    def time_scan(self, form: str) -> None:
        scan(self.text)

    def time_import(self, form: str) -> None:
        convert(self.text)

    def track_scan_speed(self, form: str) -> float:
        return speed(scan, self.text)

    def track_import_speed(self, form: str) -> float:
        return speed(convert, self.text)

    def track_bytes_per_event(self, form: str) -> float:
        return convert(self.text) / scan(self.text)


Text.track_scan_speed.unit = "MB/s"  # type: ignore[attr-defined]
Text.track_import_speed.unit = "MB/s"  # type: ignore[attr-defined]
Text.track_bytes_per_event.unit = "bytes"  # type: ignore[attr-defined]


def main() -> None:
    if not HAVE_CHUNKS:
        sys.exit("this version of rmqueue reads whole texts only")
    texts = {name: read_text(Path(name)) for name in sys.argv[1:]}
    texts = texts or {form: text_of(form) for form in FORMS}
    print("| text | MB | scan [MB/s] | import [MB/s] |\n|---|--:|--:|--:|")
    for name, text in texts.items():
        scan(text[: 1 << 16].rpartition(b"\n")[0])  # compile
        size, scanned, imported = (
            len(text) / 1e6,
            speed(scan, text),
            speed(convert, text),
        )
        print(f"| {name} | {size:.0f} | {scanned:.0f} | {imported:.0f} |")


if __name__ == "__main__":
    main()
