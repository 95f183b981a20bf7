"""Cut a window off a recording: a smaller recording with the same start state."""

from __future__ import annotations

import json
import lzma
import shutil
from pathlib import Path

from rmqueue.errors import TraceError
from rmqueue_plugins.readers.folder import ABOUT, PAGES, STATES, TRACES, need, read_json
from rmqueue_plugins.readers.recording import FIRST_MARK, LAST_MARK
from rmqueue_plugins.readers.tracefs import read_text

#: What recording.json says about the machine; the rest counts events of the whole.
KEPT = (
    *("name", "description", "kernel_package", "kernel_version", "kernel_cmdline"),
    *("guest_mem_mib", "cpus", "icount", "accel", "workload_cmd", "prepare_cmd"),
    *("format", "thp", "lru_gen", "trace_clock", "page_block_order", "migratetypes"),
)


def cut_window(source: Path, target: Path, lines: int) -> int:
    """Write the first lines of a recording as a recording of its own.

    Parameters
    ----------
    source, target : Path
        Recording folders; the second is made.
    lines : int
        Most events to keep, counted from the marker of the start.

    Returns
    -------
    int
        Lines kept: the cut is before the last allocation that fits, where the CPU that
        writes it holds no lock.

    Raises
    ------
    TraceError
        The source is no whole recording.
    """
    about = read_json(need(source, (ABOUT,)))
    path = need(source, TRACES)
    text = read_text(path).decode().splitlines(keepends=True)
    head = [line for line in text[:64] if line.startswith("#")]
    body = [line for line in text if not line.startswith("#")]
    try:
        first = next(i for i, line in enumerate(body) if _is_mark(line, FIRST_MARK))
        last = next(i for i, line in enumerate(body) if _is_mark(line, LAST_MARK))
    except StopIteration:
        raise TraceError(f"{path}: a whole recording has both markers") from None
    cut = min(first + lines, last)
    while cut > first and ": mm_page_alloc: " not in body[cut]:
        cut -= 1
    kept = cut - first
    target.mkdir(parents=True, exist_ok=True)
    content = "".join([*head, *body[first:cut]]).encode()
    (target / TRACES[0]).write_bytes(
        lzma.compress(content, preset=9 | lzma.PRESET_EXTREME)
    )
    small = {key: about[key] for key in KEPT if key in about}
    small["window"] = {"of": about["name"], "lines": kept, "whole_lines": last - first}
    (target / ABOUT).write_text(json.dumps(small, indent=1) + "\n")
    shutil.copyfile(need(source, STATES), target / need(source, STATES).name)
    shutil.copyfile(need(source, (PAGES,)), target / PAGES)
    return kept


def _is_mark(line: str, mark: str) -> bool:
    return line.rstrip().endswith(f"tracing_mark_write: {mark}")
