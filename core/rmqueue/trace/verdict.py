"""What came of validating a recording."""

from __future__ import annotations

from dataclasses import dataclass

from rmqueue.trace.ending import Ending
from rmqueue.trace.free_run import FreeRun
from rmqueue.trace.pcp_law import PcpScore
from rmqueue.trace.score import Score
from rmqueue.types import Evidence


@dataclass(frozen=True, eq=False)
class Column:
    """One strategy against a recording.

    Attributes
    ----------
    strategy, kernel : str
        Names of the strategy and of the kernel profile that it ran on.
    strict : bool
        Nothing that comes later was looked at.
    score : Score
        Page by page.
    ending : Ending or None
        The free lists at the end; None: they are not recorded.
    """

    strategy: str
    kernel: str
    strict: bool
    score: Score
    ending: Ending | None


@dataclass(frozen=True, eq=False)
class Validation:
    """A recording against the model.

    Attributes
    ----------
    evidence : Evidence
        The recording.
    columns : tuple of Column
        The kernel's own strategy, or all.
    pcp : PcpScore or None
        Per-CPU lists by the rules of the recording's kernel profile; None: their state
        at the start is not recorded.
    free_run : FreeRun or None
        The first strategy left to itself; None as above.
    """

    evidence: Evidence
    columns: tuple[Column, ...]
    pcp: PcpScore | None
    free_run: FreeRun | None
