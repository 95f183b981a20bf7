"""Run a study: what ``rmqueue run`` does."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rmqueue.errors import RmqueueError, UnknownNameError, UsageError
from rmqueue.experiment_source import experiment_path
from rmqueue.interrupt import outliving_children
from rmqueue.mm.profile import PROFILES
from rmqueue.registry import default_registry
from rmqueue.study.dataset import Place
from rmqueue.study.file import variants
from rmqueue.study.progress import Shown, Silence
from rmqueue.study.root import Root, root_of
from rmqueue.study.schedule import SHARE_OF_MEMORY, Limits, Tell, free_memory, run_tasks
from rmqueue.study.study import failures, manifest_of
from rmqueue.study.task import Task, tasks_of


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for.

    Attributes
    ----------
    study : str
        A built-in experiment, or a TOML file.
    folder : Path or str or None
        Folder or URL where the runs are kept; None: a folder here, named after the
        study.
    dry_run, resume, quick, quiet : bool
        Show what would run; run only what is missing; do only a part of each run; show
        no progress.
    kernel : str or None
        Kernel profile of all strategies; None: that of the study or each one's own.
    jobs : int or None
        Runs at once; None: as many as there are CPUs [runs].
    memory : float or None
        Memory that runs may take together; None: most of what is free [GiB].
    plugins : tuple of Path
        Plugin files.
    cluster : str or None
        Dask cluster: its scheduler's address, or ``local:N``; None: no cluster.
    """

    study: str
    folder: Root | None = None
    dry_run: bool = False
    resume: bool = False
    quick: bool = False
    quiet: bool = False
    kernel: str | None = None
    jobs: int | None = None
    memory: float | None = None
    plugins: tuple[Path, ...] = ()
    cluster: str | None = None


class FailedRunsError(RmqueueError):
    """Some runs of a study failed; the others are kept."""


def run(wanted: Wanted) -> None:
    """Run a study, or say what would be run.

    Raises
    ------
    RmqueueError
        Something is wrong with the study, or some of its runs failed.
    """
    if wanted.cluster is not None:
        from rmqueue.study.cluster_client import check_address

        check_address(wanted.cluster)
    if wanted.kernel is not None and wanted.kernel not in PROFILES:
        raise UnknownNameError("kernel", wanted.kernel, PROFILES, where="--kernel")
    path = experiment_path(wanted.study, default_registry())
    tasks = tasks_of(variants(path, wanted.kernel), wanted.quick)
    folder = root_of(wanted.folder or f"{path.stem}.study")
    place = Place(folder)
    there = place.whole_keys() if wanted.resume else set()
    if not wanted.resume and not wanted.dry_run and place.has_manifest():
        raise UsageError(
            f"{folder}: a study is kept there already: --resume runs what is missing "
            "of it, -o FOLDER keeps this one elsewhere"
        )
    check_owner(place, path.stem)
    missing = [task for task in tasks if task.key not in there]
    limits = limits_of(wanted)
    if wanted.dry_run:
        sys.stdout.write(plan_text(tasks, missing, folder))
        return

    def note(failed: dict[str, str]) -> None:
        place.write_manifest(manifest_of(path.stem, str(path), tasks, failed))

    with outliving_children(), progress(wanted.quiet, missing) as shown:
        run_missing(wanted, missing, folder, limits, shown.tell, lambda: note({}))
    failed = failures(shown.dones)
    note(failed)
    others = there - {task.key for task in tasks}
    report(tasks, missing, failed, folder, len(others))


def check_owner(place: Place, name: str) -> None:
    """Refuse to take over the folder of a study of another name.

    Without a manifest, or with a damaged one, nobody owns it: a new one is written.
    """
    try:
        owner = place.manifest()["name"]
    except (UsageError, KeyError, TypeError):
        return
    if owner != name:
        raise UsageError(
            f"{place.root}: the study {owner!r} is kept there, not {name!r}: -o FOLDER "
            "keeps this one elsewhere"
        )


def run_missing(
    wanted: Wanted,
    tasks: list[Task],
    folder: Root,
    limits: Limits,
    tell: Tell,
    begin: Callable[[], None],
) -> None:
    """Run tasks here, or on a cluster; `begin` is called as soon as that is there."""
    if wanted.cluster is None or not tasks:
        begin()
        run_tasks(tasks, folder, limits, tell)
        return
    from rmqueue.study.cluster import run_tasks as run_on_cluster
    from rmqueue.study.cluster_client import client_of

    root = folder.absolute() if isinstance(folder, Path) else folder
    with client_of(wanted.cluster, limits) as client:
        begin()
        run_on_cluster(client, tasks, root, limits, tell)


def limits_of(wanted: Wanted) -> Limits:
    """Return what runs may take: of this machine, or of a cluster that is there."""
    elsewhere = wanted.cluster is not None and not wanted.cluster.startswith("local:")
    if wanted.memory is not None and not math.isfinite(wanted.memory):
        raise UsageError(f"--memory: a number of GiB is needed, found {wanted.memory}")
    if wanted.memory is not None:
        memory = int(wanted.memory * (1 << 30))
    else:
        memory = sys.maxsize if elsewhere else int(free_memory() * SHARE_OF_MEMORY)
    most = sys.maxsize if elsewhere else os.cpu_count() or 1
    return Limits(wanted.jobs or most, memory, wanted.plugins)


def progress(quiet: bool, tasks: list[Task]) -> AbstractContextManager[Any]:
    """Show progress on stderr, if anybody watches."""
    if quiet or not sys.stderr.isatty():
        return Silence(notes=not quiet)
    return Shown(tasks)


def plan_text(tasks: list[Task], missing: list[Task], folder: Root) -> str:
    """Say what would run: a line for each run."""
    lines = [f"{task.words}  ({task.need_bytes >> 20:,} MiB)" for task in missing]
    there = len(tasks) - len(missing)
    lines.append(f"{len(missing):,} of {len(tasks):,} runs, to be kept in {folder}")
    if there:
        lines.append(f"{there:,} are there already")
    return "\n".join(lines) + "\n"


def report(
    tasks: list[Task],
    missing: list[Task],
    failed: dict[str, str],
    folder: Root,
    others: int,
) -> None:
    """Say what came of it, on stdout; failures are an error.

    Raises
    ------
    FailedRunsError
        Some failed.
    """
    done = len(missing) - len(failed)
    there = len(tasks) - len(missing)
    already = f", {there:,} were there" if there else ""
    print(f"{done:,} of {len(tasks):,} runs done{already}: kept in {folder}")
    if others:
        print(
            f"{others:,} runs that the study does not ask for lie there, too: rmqueue "
            "leaves them out, but polars and DuckDB do not: -o FOLDER keeps them apart"
        )
    if failed:
        words = {task.key: task.words for task in tasks}
        said = [f"{words[key]}: {why}" for key, why in failed.items()]
        rest = f"{len(failed):,} of {len(missing):,} runs failed; --resume tries again"
        raise FailedRunsError("\n".join([*said[:20], rest]))
