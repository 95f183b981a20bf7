"""A study cut into chapters: an experiment at one point of what is varied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rmqueue.results import Comparison
from rmqueue.samples import Sample
from rmqueue.study.design import Point
from rmqueue.study.file import in_words
from rmqueue.study.kept import KeptRun, KeptStudy
from rmqueue.study.study import whole_points


@dataclass(frozen=True, eq=False)
class Chapter:
    """The runs of one table.

    Attributes
    ----------
    experiment : str
        Name of the experiment.
    point : Point
        What is varied, and its values here.
    table : Comparison
        The runs as a table.
    runs : tuple of KeptRun
        The runs.
    """

    experiment: str
    point: Point
    table: Comparison
    runs: tuple[KeptRun, ...]

    @property
    def title(self) -> str:
        """Heading: the experiment, and the point if there is one."""
        words = in_words(self.point)
        return f"{self.experiment}: {words}" if words else self.experiment

    def runs_of(self, label: str) -> tuple[KeptRun, ...]:
        """Return the runs of one strategy, one per seed."""
        return tuple(run for run in self.runs if run.row.label == label)

    def samples_of(self, run: KeptRun) -> tuple[Sample, ...]:
        """Return how the largest zone of a run went."""
        zone = self.table.index_zone
        own = tuple(sample for sample in run.samples if sample.zone == zone)
        return own or tuple(s for s in run.samples if s.zone == run.samples[0].zone)


def chapters_of(study: KeptStudy) -> Iterator[Chapter]:
    """Chapters of a study, in the order of its tables."""
    for experiment in dict.fromkeys(run.experiment for run in study.runs):
        own = [run for run in study.runs if run.experiment == experiment]
        for point in whole_points(own):
            runs = tuple(run for run in own if run.point.items() <= point.items())
            table = study.comparisons[experiment, in_words(point)]
            yield Chapter(experiment, point, table, runs)


def costs_of_run(run: KeptRun) -> dict[str, int]:
    """Cost of a unit of each work counter, as this run was weighed [ps]."""
    costs: dict[str, Any] = dict(run.provenance.get("costs_ps", {}))
    return dict(costs.get(run.row.label, {}))
