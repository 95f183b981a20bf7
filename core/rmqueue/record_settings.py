"""What to record, where to, and which events of the kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

#: Without one of these a trace cannot be replayed.
NEEDED_EVENTS = (
    "kmem/mm_page_alloc",
    "kmem/mm_page_alloc_zone_locked",
    "kmem/mm_page_alloc_extfrag",
    "kmem/mm_page_free",
    "kmem/mm_page_free_batched",
    "kmem/mm_page_pcpu_drain",
)
#: Switched on where the kernel has them: they say why pages left the free lists.
WELCOME_EVENTS = (
    "compaction/mm_compaction_begin",
    "compaction/mm_compaction_end",
    "compaction/mm_compaction_isolate_freepages",
    "compaction/mm_compaction_migratepages",
    "vmscan/mm_vmscan_kswapd_wake",
    "vmscan/mm_vmscan_kswapd_sleep",
    "vmscan/mm_vmscan_direct_reclaim_begin",
    "vmscan/mm_vmscan_direct_reclaim_end",
)
#: The layout that readers know.  An instance begins with whatever the machine's owner
#: chose for the whole of tracefs.  With `overwrite`, lost events show where they were.
TRACE_OPTIONS = (
    *(("overwrite", 1), ("markers", 1), ("context-info", 1), ("irq-info", 1)),
    *(("record-tgid", 0), ("raw", 0), ("hex", 0), ("bin", 0), ("verbose", 0)),
    *(("fields", 0), ("stacktrace", 0), ("userstacktrace", 0)),
)
TRACE_CLOCK = "global"
FIRST_MARK, LAST_MARK = "RMQ SNAP_start", "RMQ SNAP_end"
#: Around the reading of the counts of free blocks, outside of the two above.
READING_MARK, READ_MARK = "RMQ PROC_start", "RMQ PROC_end"
#: Files of /proc kept before and after; the last two count the free blocks.
PROC_FILES = ("vmstat", "meminfo", "zoneinfo", "buddyinfo", "pagetypeinfo")
COUNTS = PROC_FILES[-2:]
#: Compressors by the suffix of their files, at the level that costs least.
#:
#: Per event of a recorded trace (160 bytes of text): ``gzip -1`` 0.5 us and 13 bytes,
#: ``xz -0`` 1.9 us and 7 bytes, ``zstd -1`` 0.3 us and 9 bytes, ``xz -6`` 46 us.
COMPRESSORS: Mapping[str, tuple[str, ...]] = {
    "gz": ("gzip", "-1"),
    "xz": ("xz", "-0"),
    "zst": ("zstd", "-q", "-1"),
}
#: The default: our readers take it, and it keeps up with what the kernel can print.
DEFAULT_COMPRESSOR = "gz"
#: Share of the free memory that the buffers of all CPUs get together, and the limits
#: of one buffer [KiB]; an event takes 32 bytes, a busy CPU traces 500,000 a second.
FREE_SHARE, LEAST_KB, MOST_KB = 16, 1024, 32768
#: Written to recording.json: what a reader must know of the start state.
START_STATE_NOTE = (
    "no exact state: build the free lists from the counts per zone, type and order in "
    "start-pagetypeinfo.txt; a count that begins with '>' is cut off there, the "
    "sum of all types is in start-buddyinfo.txt; pages on per-CPU lists are counted in "
    "start-zoneinfo.txt"
)


@dataclass(frozen=True)
class RecordSettings:
    """What `rmqueue record` was asked for.

    Attributes
    ----------
    command : tuple of str
        The command to record, and its arguments.
    folder : Path
        Recording folder to make.
    compress : str
        Suffix of the trace file, a key of `COMPRESSORS`.
    buffer_kb : int or None
        Trace buffer of each CPU [KiB]; None takes it from the free memory.
    tracefs : Path or None
        Where tracefs is mounted; None looks at the usual places.
    proc : Path
        Where procfs is mounted.
    """

    command: tuple[str, ...]
    folder: Path
    compress: str = DEFAULT_COMPRESSOR
    buffer_kb: int | None = None
    tracefs: Path | None = None
    proc: Path = Path("/proc")

    @property
    def trace_name(self) -> str:
        """Name of the trace file in the folder."""
        return f"trace.txt.{self.compress}"


def choose_buffer_kb(free_kb: int, cpus: int) -> int:
    """Choose the size of a CPU's trace buffer.

    Parameters
    ----------
    free_kb : int
        Free memory of the machine [KiB].
    cpus : int
        CPUs of the machine.

    Returns
    -------
    int
        Size [KiB].

    Examples
    --------
    >>> [choose_buffer_kb(free_kb, 4) for free_kb in (10_000, 800_000, 64_000_000)]
    [1024, 12500, 32768]
    """
    return min(max(free_kb // FREE_SHARE // cpus, LEAST_KB), MOST_KB)
