"""A run that was kept: what came of it, how it went, and what made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from rmqueue.results import Comparison, Row
from rmqueue.samples import Sample


@dataclass(frozen=True, eq=False)
class KeptRun:
    """One run of a study.

    Attributes
    ----------
    key : str
        What names it: equal keys, equal runs.
    experiment : str
        Name of the experiment.
    point : mapping of str to object
        What the study varies, by dotted field: the values of this run.
    varied : mapping of str to str
        All that the study varies, and whether as ``"number"`` or ``"text"``; what does
        not concern this run is not in `point`.
    row : Row
        What tables show.
    histogram : ndarray of int64
        Holds per cost bucket, all zones together (`vmstat.bucket_floor_ps`).
    samples : tuple of Sample
        The zones on their way, in the order they were looked at.
    provenance : mapping of str to object
        Versions, plugins, configuration, machine, digests of the input.
    started : str
        When it was run, UTC (ISO 8601).
    wall_seconds : float
        How long it took, with compilation [s].
    """

    key: str
    experiment: str
    point: Mapping[str, Any]
    row: Row
    histogram: npt.NDArray[np.int64]
    samples: tuple[Sample, ...]
    provenance: Mapping[str, Any]
    started: str
    wall_seconds: float
    varied: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class KeptStudy:
    """All runs of a study that are there.

    Attributes
    ----------
    name : str
        Name of the study.
    path : str
        Where it is kept.
    runs : tuple of KeptRun
        In the order of experiments, points, strategies and seeds.
    comparisons : mapping of (str, str) to Comparison
        The runs as tables: one for each experiment and point; the second of the key
        names the point, "" if nothing is varied.
    missing : int
        Runs that the study wants and that are not there [runs].
    failed : mapping of str to str
        Why runs failed, by what they were.
    """

    name: str
    path: str
    runs: tuple[KeptRun, ...]
    comparisons: Mapping[tuple[str, str], Comparison]
    missing: int
    failed: Mapping[str, str]
