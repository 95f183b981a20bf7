"""A study as it is kept: what it wants, what is there, and its tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any

from rmqueue.results import Comparison, Recorded
from rmqueue.study.columns import matrix_from
from rmqueue.study.dataset import Place
from rmqueue.study.design import Point
from rmqueue.study.file import in_words
from rmqueue.study.kept import KeptRun, KeptStudy
from rmqueue.study.root import Root
from rmqueue.study.task import Task
from rmqueue.study.work import Done

#: Form of the manifest.
FORM = 1


def manifest_of(
    name: str, source: str, tasks: Iterable[Task], failed: Mapping[str, str]
) -> dict[str, Any]:
    """Say what a study is and wants, as JSON values.

    Parameters
    ----------
    name, source : str
        Name of the study, and the file that it was made of.
    tasks : iterable of Task
        Every run that it wants, in order.
    failed : mapping of str to str
        Why runs failed, by key.
    """
    return {
        "form": FORM,
        "name": name,
        "source": source,
        "rmqueue": version("rmqueue"),
        "runs": [
            {
                "key": task.key,
                "experiment": task.experiment,
                "strategy": task.label,
                "seed": task.seed,
                "point": json.loads(task.point),
                "failed": failed.get(task.key, ""),
            }
            for task in tasks
        ],
    }


def failures(dones: Iterable[Done]) -> dict[str, str]:
    """Why runs failed, by key."""
    return {done.key: done.words for done in dones if done.failed}


def read_study(path: Root, with_samples: bool = True) -> KeptStudy:
    """Read a study.

    Parameters
    ----------
    path : Path or str
        Its folder or URL.
    with_samples : bool
        Read also how each run went; that is most of it.

    Raises
    ------
    RmqueueError
        There is none, or a file of it is damaged.
    """
    place = Place(path)
    manifest = place.manifest()
    wanted = {run["key"]: run for run in manifest["runs"]}
    order = {key: number for number, key in enumerate(wanted)}
    there = [run for run in place.runs(with_samples) if run.key in order]
    there.sort(key=lambda run: order[run.key])
    keys = {run.key for run in there}
    return KeptStudy(
        name=manifest["name"],
        path=str(path),
        runs=tuple(there),
        comparisons=dict(tables(there)),
        missing=len(wanted.keys() - keys),
        failed={
            f"{run['experiment']}: {run['strategy']}, {in_words(run['point'])}": why
            for key, run in wanted.items()
            if (why := run["failed"]) and key not in keys
        },
    )


def tables(runs: list[KeptRun]) -> Iterator[tuple[tuple[str, str], Comparison]]:
    """Tables of a study: one for each experiment and point.

    A run of a strategy that part of a point does not concern is in all tables that it
    fits.
    """
    for experiment in dict.fromkeys(run.experiment for run in runs):
        own = [run for run in runs if run.experiment == experiment]
        for point in whole_points(own):
            fitting = [run for run in own if run.point.items() <= point.items()]
            yield (experiment, in_words(point)), table_of(experiment, fitting)


def with_shared_seeds(runs: list[KeptRun]) -> tuple[list[KeptRun], tuple[str, ...]]:
    """Leave out seeds that some strategy has no run of yet, and say so.

    What one strategy did with a seed says nothing of what another did with the next.
    """
    seeds: dict[str, set[int | None]] = {}
    for run in runs:
        seeds.setdefault(run.row.label, set()).add(run.row.seed)
    shared = set.intersection(*seeds.values())
    if shared == set.union(*seeds.values()):
        return runs, ()
    if not shared:
        return runs, (
            "incomplete: strategies have no seed in common: nothing compares",
        )
    left = [run for run in runs if run.row.seed in shared]
    count = len(runs) - len(left)
    return left, (f"incomplete: {count} runs of seeds that others lack are left out",)


def whole_points(runs: list[KeptRun]) -> list[Point]:
    """Points of runs, without those that are a part of another."""
    points = list({json.dumps(r.point): dict(r.point) for r in runs}.values())
    return [
        point
        for point in points
        if not any(point.items() < other.items() for other in points)
    ]


def table_of(experiment: str, runs: list[KeptRun]) -> Comparison:
    """Put runs together to the table that they were parts of."""
    runs, left_out = with_shared_seeds(runs)
    first = runs[0].provenance
    about: dict[str, Any] = {**first["table"]}
    about["unusable_orders"] = tuple(about["unusable_orders"])
    about["notes"] = (*about["notes"], *left_out)
    about["recorded"] = recorded_from(about["recorded"])
    inputs: dict[str, Any] = {}
    kernels: dict[str, Any] = {}
    for run in runs:
        inputs |= run.provenance["input_sha256"]
        kernels |= run.provenance["kernels"]
    provenance = {k: v for k, v in first.items() if k not in ("table", "where")}
    return Comparison(
        experiment=experiment,
        rows=tuple(run.row for run in runs),
        provenance={**provenance, "kernels": kernels, "input_sha256": inputs},
        **about,
    )


def recorded_from(values: Mapping[str, Any] | None) -> Recorded | None:
    """Make what the recorded kernel did of its JSON."""
    if values is None:
        return None
    matrices = {
        name: None if values[name] is None else matrix_from(values[name])
        for name in ("claim", "steal")
    }
    return Recorded(**{**values, **matrices})
