"""Progress of an experiment on a terminal (stderr)."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from rmqueue.experiment_file import Variation
from rmqueue.report import one_line
from rmqueue.results import Row
from rmqueue.runs import Run


class Live:
    """A bar that moves while strategies run, and a line that stays for each result."""

    def __init__(self) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._shares: dict[Run, float] = {}
        self._task = self._progress.add_task("reading the start", total=None)

    def __enter__(self) -> Live:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def expect(self, runs: int) -> None:
        """Show how many runs there will be."""
        self._progress.update(self._task, total=runs)

    def begin(self, run: Run) -> None:
        """Show what runs now."""
        seed = "" if run.seed is None else f", seed {run.seed}"
        words = f"{run.label} on {run.kernel}{seed}"
        self._progress.update(self._task, description=words, refresh=True)

    def advance(self, run: Run, share: float) -> None:
        """Move the bar with the runs that are under way."""
        self._shares[run] = share
        self._progress.update(self._task, completed=sum(self._shares.values()))

    def end(self, run: Run, row: Row) -> None:
        """Show what came of it."""
        self._progress.console.print(Text(one_line(row)))
        self.advance(run, 1.0)

    def varied(self, variation: Variation, row: Row) -> None:
        """Show what came of a variation."""
        self._progress.console.print(Text(f"{variation.label}: {one_line(row)}"))
