"""Do runs of a study and keep them: what a worker process does."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from rmqueue.errors import RmqueueError
from rmqueue.report import one_line
from rmqueue.samples import Sampler
from rmqueue.study.dataset import Place
from rmqueue.study.kept import KeptRun
from rmqueue.study.root import Root
from rmqueue.study.task import Task, point_of, run_of

#: What is kept of the table that a run belongs to.
ABOUT = (
    *("description", "source", "machine", "index_zone", "unusable_orders"),
    *("recorded", "notes", "published"),
)
#: Told the key of a run and the share of it that is done.
Shares = Callable[[str, float], None]


@dataclass(frozen=True)
class Done:
    """What came of a run, for whoever waits.

    Attributes
    ----------
    key : str
        Key of its task.
    words : str
        Its result in a line; of a failed one why.
    failed : bool
        Whether nothing was kept.
    """

    key: str
    words: str
    failed: bool = False


def work(task: Task, root: Root, on_share: Shares = lambda key, share: None) -> Done:
    """Do a run and keep it; what goes wrong is said, not raised.

    Parameters
    ----------
    task : Task
        The run.
    root : Path or str
        Folder or URL of the study.
    on_share : callable
        Told how far it is, now and then.
    """
    begin, started = time.perf_counter(), datetime.now(UTC).isoformat("T", "seconds")
    try:
        experiment, run = run_of(task)
        measured = experiment.measured(
            run,
            lambda _, share: on_share(task.key, share),
            Sampler(task.keep.samples, task.keep.cells),
        )
        table = experiment.comparison((measured.row,))
        about = {name: getattr(table, name) for name in ABOUT}
        kept = KeptRun(
            key=task.key,
            experiment=task.experiment,
            point=point_of(task),
            varied=json.loads(task.varied),
            row=measured.row,
            histogram=measured.holds.histogram,
            samples=measured.samples,
            provenance={**table.provenance, "where": where(), "table": about},
            started=started,
            wall_seconds=time.perf_counter() - begin,
        )
        Place(root).write(kept)
    except RmqueueError as error:
        return Done(task.key, str(error), failed=True)
    except MemoryError:
        words = f"not enough memory: it needs about {task.need_bytes >> 20:,} MiB"
        return Done(task.key, words, failed=True)
    return Done(task.key, one_line(measured.row))


def work_all(
    tasks: list[Task],
    root: Root,
    threads: int,
    tell: Callable[[str, Any], None],
) -> None:
    """Do runs of one experiment in threads of this process; they share what is read.

    Parameters
    ----------
    tasks : list of Task
        The runs.
    root : Path or str
        Folder or URL of the study.
    threads : int
        How many at once.
    tell : callable
        Told ``("begin", key)``, ``("share", (key, share))`` and ``("done", Done)``.
    """

    def one(task: Task) -> None:
        tell("begin", task.key)
        tell("done", work(task, root, lambda key, s: tell("share", (key, s))))

    if threads == 1:
        for task in tasks:
            one(task)
        return
    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(one, task) for task in tasks]:
            future.result()


@cache
def where() -> dict[str, Any]:
    """Return what machine and which commit of rmqueue this is."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "processor": processor(),
        "cpus": os.cpu_count(),
        "commit": commit(),
    }


def processor() -> str:
    """Name of the processor, as Linux knows it; empty if it does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor()


def commit() -> str:
    """Commit of the checkout that rmqueue runs from; empty if it is installed."""
    folder = Path(__file__).parents[3]
    if not (folder / ".git").exists():
        return ""
    words = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
